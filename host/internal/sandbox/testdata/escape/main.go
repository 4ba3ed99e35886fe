// Command escape tries what a plugin must not be able to do and prints what
// worked, a word a line.
package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	tcp, socket, secret, dir := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
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
	try("read", func() error { _, err := os.ReadFile(secret); return err })
	try("list", func() error { _, err := os.ReadDir(filepath.Dir(secret)); return err })
	try("write", func() error { return os.WriteFile(filepath.Join(dir, "written"), nil, 0o600) })
	try("signal", func() error { return unix.Kill(os.Getppid(), 0) })
	try("listen", func() error { // the one thing that a plugin does need
		l, err := net.Listen("unix", filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "own"))
		if err == nil {
			l.Close()
		}
		return err
	})
	try("proc", func() error { _, err := os.ReadFile("/proc/self/status"); return err })
}
