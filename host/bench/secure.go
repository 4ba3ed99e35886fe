package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// certificate writes a certificate for this machine, and its key.
func certificate(dir string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fail(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		fail(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		fail(err)
	}
	write(dir, "tls.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(dir, "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

// secure measures what TLS costs, with HTTP/1.1 and with HTTP/2.
func secure(dir string, up *registry) {
	top := fmt.Sprintf("tls {\n  certificate = %q\n  key = %q\n}", dir+"/tls.pem", dir+"/tls.key")
	all := []*contestant{entrepot(dir, "entrepot (TLS)", up.url, top, lasting), nginxProxy(dir, up.url, true)}
	for _, c := range all {
		defer c.stop()
	}
	for _, r := range rows {
		if r.kind == &huge {
			continue
		}
		warm(r, all...)
		compare(r.name+", TLS", up, all, 1, func(c *contestant) figures {
			return runWrk(c, wrkScript(dir, c, numbered(r.path(*r.kind, 0), *r.kind), r.kind.count, r.gzip))
		})
		compare(r.name+", h2", up, all, 1, func(c *contestant) figures { return overHTTP2(c, r) })
	}
}

// overHTTP2 asks for a burst over four connections of HTTP/2 with eight
// requests at a time on each. Its own CPU time bounds the rate, so only the
// server's CPU time counts.
func overHTTP2(c *contestant, r row) figures {
	var clients sync.WaitGroup
	var done atomic.Int64
	before, began := c.cpu(), time.Now()
	for range 4 {
		one := &http.Client{Transport: &http.Transport{
			DisableCompression: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		}}
		for range 8 {
			clients.Go(func() {
				for time.Since(began) < *burst {
					resp, err := one.Do(c.request(r.path(*r.kind, mathrand.IntN(r.kind.count)), r.gzip))
					if err != nil {
						fail(err)
					}
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if err != nil || resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
						fail(fmt.Errorf("%s: %s over %s: %w", resp.Request.URL, resp.Status, resp.Proto, err))
					}
					done.Add(1)
				}
			})
		}
	}
	clients.Wait()
	f := timed(time.Since(began), c.cpu()-before, int(done.Load()))
	f.p50, f.p99 = 0, 0
	return f
}
