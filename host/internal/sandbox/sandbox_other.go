//go:build !linux

package sandbox

import (
	"errors"
	"os/exec"
	"runtime"
)

// New says that this system has no sandbox.
func New([]string, func(layer string) bool) *Sandbox {
	return &Sandbox{missing: []string{"plugins run without a sandbox: there is none for " + runtime.GOOS}}
}

// Wrap changes nothing.
func (s *Sandbox) Wrap(*exec.Cmd) {}

// Main is never called.
func Main([]string) error { return errors.ErrUnsupported }
