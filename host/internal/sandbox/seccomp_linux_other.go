//go:build linux && !amd64

package sandbox

// olderCalls are refused calls that this architecture never had.
var olderCalls []uint32
