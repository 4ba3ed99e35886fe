package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/plugintest"
)

// signer is a key that expires a day after it was made, long ago.
func signer(t *testing.T, name string) (*openpgp.Entity, *packet.Config) {
	t.Helper()
	at := time.Date(2025, 6, 8, 12, 0, 0, 0, time.UTC)
	config := &packet.Config{Time: func() time.Time { return at }, KeyLifetimeSecs: 24 * 60 * 60, Algorithm: packet.PubKeyAlgoEdDSA}
	key, err := openpgp.NewEntity(name, "", name+"@example.com", config)
	if err != nil {
		t.Fatal(err)
	}
	return key, config
}

func armored(t *testing.T, key *openpgp.Entity) string {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err == nil {
		err = key.Serialize(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sign(t *testing.T, text string, key *openpgp.Entity, config *packet.Config) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, key.PrivateKey, config)
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSuitesMustBeSignedByTheirArchivesKeys(t *testing.T) {
	t.Parallel()
	mine, config := signer(t, "mine")
	other, _ := signer(t, "other")
	text := "Date: Sun, 08 Jun 2025 12:00:00 UTC\nSHA256:\n " + strings.Repeat("0", 64) + " 1 main/binary-amd64/Packages\n"
	good := sign(t, text, mine, config)
	var detached bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&detached, mine, strings.NewReader(text), config); err != nil {
		t.Fatal(err)
	}
	render := plugintest.Renderer(t, func(o options) (sdk.Ecosystem, error) {
		o.Keys = map[string]string{"sea": armored(t, mine)}
		return open(o)
	})
	forged := bytes.Replace(good, []byte("main/binary"), []byte("evil/binary"), 1)
	for name, test := range map[string]struct {
		archive string
		docs    map[string][]byte
		want    string // of the failure; empty: none
	}{
		"its key":               {"sea", map[string][]byte{"InRelease": good}, ""},
		"its key, beside":       {"sea", map[string][]byte{"Release": []byte(text), "Release.gpg": detached.Bytes()}, ""},
		"another key":           {"sea", map[string][]byte{"InRelease": sign(t, text, other, config)}, "not signed by a key"},
		"another text":          {"sea", map[string][]byte{"InRelease": forged}, "not signed by a key"},
		"another text, beside":  {"sea", map[string][]byte{"Release": []byte(text + "A: b\n"), "Release.gpg": detached.Bytes()}, "not signed by a key"},
		"not signed":            {"sea", map[string][]byte{"Release": []byte(text)}, "its signature"},
		"archive without keys":  {"lake", map[string][]byte{"InRelease": sign(t, text, other, config)}, ""},
		"no keys, not signed":   {"lake", map[string][]byte{"Release": []byte(text)}, ""},
		"signature is nonsense": {"sea", map[string][]byte{"Release": []byte(text), "Release.gpg": []byte("hello\n")}, "its signature"},
	} {
		upstream := map[string][]byte{}
		for file, body := range test.docs {
			upstream["/dists/stable/"+file] = body
		}
		r := render(t, plugintest.Question{Path: "/" + test.archive + "/dists/stable/InRelease", Upstream: upstream})
		switch {
		case test.want == "" && (r.Failure != nil || len(r.Facts) != 1 || len(r.Outputs) == 0):
			t.Errorf("%s: %v, %d facts, %d outputs", name, r.Failure, len(r.Facts), len(r.Outputs))
		case test.want != "" && !strings.Contains(r.Failure.GetMessage(), test.want):
			t.Errorf("%s: the failure is %v, want %q", name, r.Failure, test.want)
		}
	}
}

func TestBadKeysAreAnErrorOfTheOption(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "hello", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----"} {
		if _, err := open(options{Keys: map[string]string{"sea": text}}); err == nil || !strings.Contains(fmt.Sprint(err), "keys: those of sea cannot be read") {
			t.Errorf("keys %q: %v", text, err)
		}
	}
}
