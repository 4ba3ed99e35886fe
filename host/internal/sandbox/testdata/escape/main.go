// Command escape tries what a plugin must not be able to do and prints what
// worked, a word a line.
package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	tcp, socket, log, secret, dir := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	try := func(what string, attempt func() error) {
		if err := attempt(); err == nil {
			fmt.Println(what)
		} else {
			fmt.Fprintln(os.Stderr, what, err)
		}
	}
	try("dial", func() error {
		c, err := net.DialTimeout("tcp", tcp, 2*time.Second)
		if err == nil {
			c.Close()
		}
		return err
	})
	try("udp", func() error {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err == nil {
			c.Close()
		}
		return err
	})
	try("connect", func() error {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
		}
		return err
	})
	try("datagram", func() error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: log})
	})
	try("pair", func() error { // of which each can be told another address
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return unix.Sendto(pair[0], []byte("x"), 0, &unix.SockaddrUnix{Name: log})
	})
	try("read", func() error { _, err := os.ReadFile(secret); return err })
	try("list", func() error { _, err := os.ReadDir(filepath.Dir(secret)); return err })
	try("write", func() error { return os.WriteFile(filepath.Join(dir, "written"), nil, 0o600) })
	try("signal", func() error { return unix.Kill(os.Getppid(), 0) })
	tryProcesses(try, os.Getppid())
	tryMetadata(try, secret)
	tryDirectories(try, filepath.Join(filepath.Dir(socket), "neighbour"), os.Getenv("PLUGIN_UNIX_SOCKET_DIR"))
	try("listen", func() error { // the one thing that a plugin does need
		l, err := net.Listen("unix", filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "own"))
		if err == nil {
			l.Close()
		}
		return err
	})
	try("proc", func() error { _, err := os.ReadFile("/proc/self/status"); return err })
}

// tryProcesses makes a process, and acts on another, without changing it.
func tryProcesses(try func(string, func() error), other int) {
	try("fork", func() error {
		// Nothing but calls: a child of a Go program has no runtime.
		child, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			return errno
		}
		if child == 0 {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
		_, err := unix.Wait4(int(child), nil, 0, nil)
		return err
	})
	try("limits", func() error { // of a kind that Go does not use
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
			return err
		}
		return unix.Prlimit(other, unix.RLIMIT_CORE, &limit, nil)
	})
	try("priority", func() error { return unix.Setpriority(unix.PRIO_PROCESS, other, 0) })
	try("affinity", func() error {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(other, &set); err != nil {
			return err
		}
		return unix.SchedSetaffinity(other, &set)
	})
	try("scheduler", func() error {
		var parameter int32
		return call(unix.SYS_SCHED_SETSCHEDULER, uintptr(other), 0, uintptr(unsafe.Pointer(&parameter)))
	})
	try("scheduling", func() error {
		return unix.SchedSetAttr(other, &unix.SchedAttr{Size: unix.SizeofSchedAttr}, 0)
	})
	try("ioprio", func() error { return call(unix.SYS_IOPRIO_SET, 1, uintptr(other), 0) })
}

// tryMetadata changes what is known of a file.
func tryMetadata(try func(string, func() error), file string) {
	try("chmod", func() error { return os.Chmod(file, 0o600) })
	try("chmod-folder", func() error { return os.Chmod(filepath.Dir(file), 0o700) })
	try("fchmodat2", func() error { return unix.Fchmodat(unix.AT_FDCWD, file, 0o600, unix.AT_SYMLINK_NOFOLLOW) })
	try("chown", func() error { return os.Lchown(file, -1, -1) })
	try("utimes", func() error { return os.Chtimes(file, time.Now(), time.Now()) })
	try("xattr", func() error { return unix.Setxattr(file, "user.escape", []byte("x"), 0) })
	try("flags", func() error { // of the one file that can be opened
		f, err := os.Open(os.Args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			return err
		}
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
	})
}

// tryDirectories does what it can in another's socket directory and in its own.
func tryDirectories(try func(string, func() error), neighbour, own string) {
	try("neighbours", func() error { _, err := os.ReadDir(filepath.Dir(neighbour)); return err })
	try("impersonate", func() error {
		path := filepath.Join(neighbour, "plugin")
		if err := os.Remove(path); err != nil {
			return err
		}
		l, err := net.Listen("unix", path)
		if err == nil {
			l.Close()
		}
		return err
	})
	try("content", func() error { return os.WriteFile(filepath.Join(own, "content"), []byte("x"), 0o600) })
	try("folder", func() error { return os.Mkdir(filepath.Join(own, "folder"), 0o700) })
	try("fifo", func() error { return unix.Mkfifo(filepath.Join(own, "fifo"), 0o600) })
	try("link", func() error { return os.Symlink("/", filepath.Join(own, "link")) })
	try("own", func() error { _, err := os.ReadDir(own); return err })
}

// call makes a system call of three arguments.
func call(number, a, b, c uintptr) error {
	if _, _, errno := unix.Syscall(number, a, b, c); errno != 0 {
		return fmt.Errorf("call %d: %w", number, errno)
	}
	return nil
}
