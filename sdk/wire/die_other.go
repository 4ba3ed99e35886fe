//go:build !linux

package wire

import "os/exec"

// dieWithParent does nothing: the SDK watches its parent.
func dieWithParent(*exec.Cmd) {}
