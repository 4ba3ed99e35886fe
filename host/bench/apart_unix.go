//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// apart starts a command in a process group of its own, so that an interrupt
// meant for us does not reach it.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
