// Command bench measures entrepot beside nginx, serving the same bytes from the
// same upstream on loopback, in one run:
//
//	go run ./host/bench
//
// It builds the host and the npm plugin, starts nginx twice (as a static file
// server and as a caching proxy) and whatever else of the contestants is
// installed, warms all of them, alternates bursts of wrk between them, and
// prints medians: requests a second, CPU microseconds a request (user and
// system time of all of a contestant's processes), latency, the ratios to
// nginx's caching proxy, memory, and how often upstream was asked. Absolute
// figures depend on the machine and the minute; the ratios are what counts.
//
// Besides warm requests it measures names that do not exist, TLS with HTTP/1.1
// and HTTP/2, what a real npm asks for and how long it takes, a store of a
// million artifacts beside one of a thousand, cold files and documents with many
// askers, slow readers, revalidation, and starting and idling with 20 plugins.
// With -only it runs some of that: -only "artifact,npm ci".
//
// Entrepot runs with a token that everything needs, a cool-down of three days
// and its access log on. It needs nginx and wrk, which Debian has; the rows of
// npm need npm, and the million artifacts 5 GB of disk for a while.
//
// With -images it measures registries of container images instead: entrepot,
// distribution's "registry" and "zot", as far as they are on the PATH.
package main
