package daemon

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/config"
)

// pairFor makes a certificate for a name and its key.
func pairFor(t *testing.T, name string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

func TestCertificateIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := config.TLS{Certificate: filepath.Join(dir, "c.pem"), Key: filepath.Join(dir, "k.pem")}
	at := time.Now()
	put := func(file string, body []byte) {
		t.Helper()
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Minute) // as if time had passed
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	if _, err := newCertificate(&files, hclog.NewNullLogger()); err == nil {
		t.Fatal("files that are not there are a certificate")
	}
	firstCertificate, firstKey := pairFor(t, "first")
	put(files.Certificate, firstCertificate)
	put(files.Key, firstKey)
	c, err := newCertificate(&files, hclog.New(&hclog.LoggerOptions{Output: &log}))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	shows := func(when time.Time, want string) {
		t.Helper()
		leaf, err := x509.ParseCertificate(c.current(when).Certificate[0])
		if err != nil || leaf.Subject.CommonName != want {
			t.Errorf("shows %s (%v), want %s", leaf.Subject.CommonName, err, want)
		}
	}
	shows(now, "first")
	secondCertificate, secondKey := pairFor(t, "second")
	put(files.Certificate, secondCertificate)
	shows(now.Add(recheck/2), "first") // not looked at
	shows(now.Add(recheck), "first")   // the key does not fit yet
	shows(now.Add(2*recheck), "first")
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("%d complaints about one change:\n%s", n, log.String())
	}
	put(files.Key, secondKey)
	shows(now.Add(3*recheck), "second")
	put(files.Certificate, []byte("no certificate"))
	shows(now.Add(4*recheck), "second")
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	shows(now.Add(5*recheck), "second")
	put(files.Certificate, firstCertificate)
	put(files.Key, firstKey)
	shows(now.Add(6*recheck), "first")
}
