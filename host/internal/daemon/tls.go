package daemon

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"

	"github.com/entrepot-registry/entrepot/host/internal/config"
)

// certificate is the one that the host shows, read again when its files
// change.
type certificate struct {
	config.TLS
	log hclog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	looked time.Time
	read   [2]stamp // of the files as they were read last
}

// stamp tells a file from a changed one.
type stamp struct {
	size     int64
	modified time.Time
}

// recheck is how long a certificate is shown without a look at its files.
const recheck = time.Second

// newCertificate reads a certificate and its key.
func newCertificate(c *config.TLS, log hclog.Logger) (*certificate, error) {
	cert := &certificate{TLS: *c, log: log}
	cert.read = cert.stamps()
	pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return nil, Diagnostics{hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Certificate cannot be used", Subject: &c.Range,
			Detail: err.Error() + ": write the names of PEM files with a certificate and its key."}}}
	}
	cert.pair = &pair
	return cert, nil
}

// config is how connections are encrypted.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(time.Now()), nil },
	}
}

// current is the certificate in the files, or the last one that was whole.
func (c *certificate) current(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.looked) < recheck {
		return c.pair
	}
	c.looked = now
	stamps := c.stamps()
	if stamps == c.read {
		return c.pair
	}
	c.read = stamps
	pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		// Perhaps only one of the two was written yet: the other changes the stamps.
		c.log.Error("the changed certificate cannot be used; the one before stays", "certificate", c.Certificate, "error", err)
		return c.pair
	}
	c.log.Info("the certificate was read again", "certificate", c.Certificate)
	c.pair = &pair
	return c.pair
}

func (c *certificate) stamps() (out [2]stamp) {
	for i, name := range []string{c.Certificate, c.Key} {
		if info, err := os.Stat(name); err == nil {
			out[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	return out
}
