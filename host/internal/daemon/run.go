package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/server"
)

// drain is how long requests under way may take to finish at the end.
const drain = 20 * time.Second

// Run serves until the context ends; then it lets requests finish. Ready is
// called with scheme and address once requests are answered; nil: nobody.
func (d *Daemon) Run(ctx context.Context, ready func(scheme string, at net.Addr)) error {
	listen := d.state.Load().config.Listen
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", listen, err)
	}
	main := &http.Server{
		Handler:           d.server,
		ReadHeaderTimeout: 20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          d.log.Named("http").StandardLogger(nil),
	}
	admin, err := d.serveAdmin()
	if err != nil {
		l.Close()
		return err
	}
	defer admin()
	failed := make(chan error, 1)
	go func() { failed <- d.serve(main, l) }()
	if ready != nil {
		ready(d.scheme(), l.Addr())
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	d.log.Info("stopping; requests under way may finish")
	stop, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if err := main.Shutdown(stop); err != nil {
		main.Close()
	}
	return nil
}

func (d *Daemon) serve(s *http.Server, l net.Listener) error {
	if d.tls == nil {
		return s.Serve(server.Joining(s, l))
	}
	s.TLSConfig = d.tls.config()
	return s.ServeTLS(l, "", "")
}

// scheme of the addresses that we are reached at, unless a proxy stands before
// us.
func (d *Daemon) scheme() string {
	if d.tls == nil {
		return "http"
	}
	return "https"
}

// AdminSocket is where a running host takes commands: beside the sockets of its
// plugins, where its path is short enough for one.
func AdminSocket(dataDir string) string {
	dir := filepath.Join(dataDir, socketsName)
	if short, err := os.Readlink(dir); err == nil {
		dir = short
	}
	return filepath.Join(dir, adminName)
}

const adminName = "admin.sock"

// serveAdmin listens for commands of the same user.
func (d *Daemon) serveAdmin() (stop func(), err error) {
	path := filepath.Join(d.sockets, adminName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		d.log.Warn("commands cannot reach this host", "socket", path, "error", err)
		return func() {}, nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	s := &http.Server{Handler: d.Admin(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: d.log.Named("admin").StandardLogger(nil)}
	go s.Serve(l) //nolint:errcheck // ends with Close
	return func() { s.Close() }, nil
}
