package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/test/bufconn"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/daemon"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// connection is a way to a host that carries commands out.
type connection struct {
	client http.Client
	close  func() error
}

// startTime is how long a command waits for a host that is starting, or stopping.
const startTime = 20 * time.Second

// connect finds the host that runs on the data directory, or makes one for the
// purpose. One that has the directory open, but takes no commands yet, is waited
// for. Close must be called.
func (e *env) connect() (*connection, error) {
	c, diags := e.load()
	if diags.HasErrors() {
		return nil, daemon.Diagnostics{Diagnostics: diags}
	}
	for end := time.Now().Add(startTime); ; {
		if running := connectRunning(c); running != nil {
			return running, nil
		}
		own, err := e.connectOwn()
		if !errors.Is(err, store.ErrLocked) || time.Now().After(end) {
			return own, err
		}
	}
}

// connectOwn makes a host for the purpose of a command.
func (e *env) connectOwn() (*connection, error) {
	log := hclog.New(&hclog.LoggerOptions{Name: "entrepot", Level: hclog.Error, Output: e.err})
	d, err := daemon.New(daemon.Options{Load: e.load, Version: Version(), Log: log, Quiet: true, Self: self()})
	if err != nil {
		return nil, err
	}
	l := bufconn.Listen(64 << 10)
	s := &http.Server{Handler: d.Admin(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.StandardLogger(nil)}
	go s.Serve(l) //nolint:errcheck // ends with Close
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return l.DialContext(ctx) }
	return &connection{client: http.Client{Transport: &http.Transport{DialContext: dial}}, close: func() error {
		return errors.Join(s.Close(), d.Close())
	}}, nil
}

// connectRunning finds the host that runs on the data directory; nil: none
// does.
func connectRunning(c *config.Config) *connection {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", daemon.AdminSocket(c.DataDir))
	}
	probe, err := dial(context.Background(), "", "")
	if err != nil {
		return nil
	}
	probe.Close()
	return &connection{client: http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}, close: func() error { return nil }}
}

// post sends a command and returns the body of its answer, which must be
// closed.
func (c *connection) post(ctx context.Context, path, contentType string, body io.Reader) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://entrepot/"+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	resp, err := c.client.Do(r)
	if sending, ok := errors.AsType[*url.Error](err); ok {
		err = sending.Err // nobody knows the address
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var failed daemon.AdminError
	if err := json.NewDecoder(resp.Body).Decode(&failed); err != nil {
		return nil, fmt.Errorf("the host answers %s", resp.Status)
	}
	return nil, failed
}

// ask puts a question and reads the answer.
func (c *connection) ask(path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	resp, err := c.post(context.Background(), path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Close()
	return json.NewDecoder(resp).Decode(answer)
}

// ask puts a question to a host.
func (e *env) ask(path string, question, answer any) (err error) {
	c, err := e.connect()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	return c.ask(path, question, answer)
}
