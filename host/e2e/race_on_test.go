//go:build race

package e2e

// raced has the binaries built with the race detector too.
const raced = true
