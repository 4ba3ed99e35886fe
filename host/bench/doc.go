// Command bench measures entrepot beside nginx, serving the same bytes from the
// same upstream on loopback, in one run:
//
//	go run ./host/bench
//
// It builds the host and the npm plugin, starts nginx twice (as a static file
// server and as a caching proxy) and whatever else of the contestants is
// installed, warms all of them, alternates bursts of wrk between them, and
// prints medians: requests a second, CPU microseconds a request (user and
// system time of all of a contestant's processes), latency, and the ratios to
// nginx's caching proxy. Absolute figures depend on the machine and the minute;
// the ratios are what counts.
//
// Entrepot runs with its access log and a cool-down of three days on. No TLS.
// It needs nginx and wrk, which Debian has.
//
// With -images it measures registries of container images instead: entrepot,
// distribution's "registry" and "zot", as far as they are on the PATH.
package main
