package wire

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the child when the host dies. The SDK also
// watches its parent, which covers other systems.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
