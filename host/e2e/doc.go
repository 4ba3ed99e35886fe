// Package e2e tests entrepot as its users meet it: the real host binary, the
// real plugin binaries as processes of their own, and real package managers or
// plain HTTP in front, with upstream registries played on loopback.
//
// A client that is not installed makes its tests fail where CI is set and skip,
// loudly, elsewhere.
package e2e
