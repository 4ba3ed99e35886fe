package sandbox

import "golang.org/x/sys/unix"

// olderCalls are refused calls that younger architectures never had.
var olderCalls = []uint32{
	unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT,
	unix.SYS_INOTIFY_INIT, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_IOPL, unix.SYS_IOPERM,
	unix.SYS_FORK, unix.SYS_VFORK,
}
