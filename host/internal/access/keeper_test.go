package access

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/names"
)

var home = netip.MustParseAddr("192.0.2.1")

func openDir(t testing.TB, path string) *store.Dir {
	t.Helper()
	d, err := store.Open(path, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func newKeeper(t testing.TB) *Keeper {
	t.Helper()
	k, err := NewKeeper(openDir(t, t.TempDir()).Keep)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func create(t testing.TB, k *Keeper, token Token) (Token, []byte) {
	t.Helper()
	if token.Name == "" {
		token.Name = "ci"
	}
	made, text, err := k.Create(token)
	if err != nil {
		t.Fatal(err)
	}
	return made, []byte(text)
}

// refused fails unless a token is refused for a reason.
func refused(t *testing.T, k *Keeper, text []byte, from netip.Addr, at time.Time, reason string) {
	t.Helper()
	_, err := k.Identify(text, from, at)
	var denied *Denied
	if !errors.As(err, &denied) || !denied.LogIn || !strings.Contains(denied.Reason, reason) {
		t.Errorf("got %v, want %q", err, reason)
	}
}

func accepted(t *testing.T, k *Keeper, text []byte, from netip.Addr, at time.Time, user string) {
	t.Helper()
	if id, err := k.Identify(text, from, at); err != nil || id.User() != user {
		t.Errorf("got %q, %v", id.User(), err)
	}
}

func TestTokenIsRefusedWhenItIsNotWholeWrongOrRevoked(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	made, text := create(t, k, Token{})
	_, other := create(t, k, Token{Name: "joe"})
	accepted(t, k, text, home, time.Now(), "ci")
	accepted(t, k, other, home, time.Now(), "joe")
	refused(t, k, nil, home, time.Now(), "no token of this entrepot")
	refused(t, k, text[:len(text)-1], home, time.Now(), "not all of one")
	refused(t, k, []byte(newText(made.ID)), home, time.Now(), "wrong")
	refused(t, k, []byte(newText("")), home, time.Now(), "wrong")
	if _, err := k.Revoke(made.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, k, text, home, time.Now(), "revoked")
	accepted(t, k, other, home, time.Now(), "joe")
	if _, err := k.Revoke(made.ID); err == nil {
		t.Error("it can be revoked twice")
	}
}

func TestTokenEnds(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	now := time.Now()
	_, text := create(t, k, Token{Expires: now.Add(time.Hour)})
	accepted(t, k, text, home, now.Add(time.Hour-time.Second), "ci")
	refused(t, k, text, home, now.Add(time.Hour), "has expired")
	if _, err := k.Identify([]byte(text), home, now.Add(time.Hour)); err == nil || !err.(*Denied).Lapsed {
		t.Errorf("a token that has expired is taken for a guess: %v", err)
	}
	if _, _, err := k.Create(Token{Name: "late", Expires: now.Add(-time.Second)}); err == nil {
		t.Error("a token can be made that has expired")
	}
}

func TestTokenIsBoundToAddresses(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	_, text := create(t, k, Token{Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}})
	for address, ok := range map[string]bool{"192.0.2.255": true, "192.0.3.0": false, "2001:db8::1": true, "2001:db9::1": false, "::1": false} {
		if ok {
			accepted(t, k, text, netip.MustParseAddr(address), time.Now(), "ci")
		} else {
			refused(t, k, text, netip.MustParseAddr(address), time.Now(), "may not be used from address "+address)
		}
	}
	refused(t, k, text, netip.Addr{}, time.Now(), "may not be used")
}

func TestRotationEndsTheOldSecretAfterItsGrace(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	made, first := create(t, k, Token{Permissions: []Permission{{[]Action{Read}, "*", "*"}}})
	rotated, second, err := k.Rotate(made.ID, time.Hour, time.Time{})
	if err != nil || rotated.ID != made.ID || rotated.Name != "ci" || len(rotated.Permissions) != 1 {
		t.Fatalf("%+v %v", rotated, err)
	}
	accepted(t, k, []byte(second), home, time.Now(), "ci")
	accepted(t, k, first, home, time.Now().Add(59*time.Minute), "ci")
	refused(t, k, first, home, time.Now().Add(time.Hour), "wrong")
	_, third, err := k.Rotate(made.ID, 0, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, k, []byte(third), home, time.Now(), "ci")
	refused(t, k, []byte(second), home, time.Now(), "wrong")
	refused(t, k, first, home, time.Now(), "wrong")
	if _, _, err := k.Rotate("nobody0000", 0, time.Time{}); err == nil {
		t.Error("what is not there is rotated")
	}
}

func TestTokensAreKeptAsHashesOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openDir(t, dir)
	k, err := NewKeeper(d.Keep)
	if err != nil {
		t.Fatal(err)
	}
	want, text := create(t, k, Token{
		Permissions: []Permission{{[]Action{Read, Publish}, "main", "@acme/*"}},
		Expires:     time.Now().Add(time.Hour).UTC().Truncate(time.Second),
		Addresses:   []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	gone, goneText := create(t, k, Token{Name: "gone"})
	if _, err := k.Revoke(gone.ID); err != nil {
		t.Fatal(err)
	}
	accepted(t, k, text, home, time.Unix(time.Now().Unix(), 0), "ci")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	k.Run(ctx) // writes the last use
	used := k.Tokens()[0].LastUsed
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{text, goneText, text[len(prefix)+idLength : textLength-sumLength]} {
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			body, err := os.ReadFile(path)
			if bytes.Contains(body, secret) {
				t.Errorf("%s has a token", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	k, err = NewKeeper(openDir(t, dir).Keep)
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, k, text, home, used, "ci")
	refused(t, k, goneText, home, used, "revoked")
	all := k.Tokens()
	if len(all) != 1 || used.IsZero() || !all[0].LastUsed.Equal(used) || all[0].ID != want.ID || !all[0].Expires.Equal(want.Expires) ||
		all[0].Permissions[0].String() != "read,publish:main:@acme/*" || all[0].Addresses[0] != want.Addresses[0] {
		t.Errorf("got %+v, want %+v used at %s", all, want, used)
	}
}

func TestNamesOfTokens(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	for _, name := range []string{"", " ", "a b", "a\n", "-a", "ä", `"`, strings.Repeat("a", 65)} {
		if _, _, err := k.Create(Token{Name: name}); err == nil {
			t.Errorf("%q is a name", name)
		}
	}
	if _, _, err := k.Create(Token{Name: "a", Permissions: []Permission{{[]Action{"write"}, "*", "*"}}}); err == nil {
		t.Error("an unknown action is granted")
	}
	if _, _, err := k.Create(Token{Name: "a", Permissions: []Permission{{[]Action{Read}, "", "*"}}}); err == nil {
		t.Error("a permission without a repository is granted")
	}
}

func TestTokensChangeWhileTheyAreUsed(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	_, text := create(t, k, Token{})
	var users, changes sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		users.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := k.Identify(text, home, time.Now()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 4 {
		changes.Go(func() {
			for range 10 {
				made, other, err := k.Create(Token{Name: "x"})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := k.Identify([]byte(other), home, time.Now()); err != nil {
					t.Error("made, and not in force")
				}
				if _, err := k.Revoke(made.ID); err != nil {
					t.Error(err)
				}
				if _, err := k.Identify([]byte(other), home, time.Now()); err == nil {
					t.Error("revoked, and in force")
				}
				k.writeUses()
			}
		})
	}
	changes.Wait()
	close(done)
	users.Wait()
	if n := len(k.Tokens()); n != 1 {
		t.Errorf("%d tokens are left", n)
	}
}

// hot is all that a request with a token costs.
func hot(k *Keeper, h http.Header, now time.Time, packages []string) error {
	var buf [2 * MaxCredential]byte
	text, _ := Credential(h, buf[:])
	id, err := k.Identify(text, home, now)
	if err != nil {
		return err
	}
	return id.May(Read, "main", "/main", packages, nil, names.Rules{})
}

func hotRequest(t testing.TB) (*Keeper, http.Header, []string) {
	k := newKeeper(t)
	for range 100 {
		create(t, k, Token{})
	}
	_, text := create(t, k, Token{
		Permissions: []Permission{{[]Action{Publish}, "other", "*"}, {[]Action{Read}, "m*", "@acme/*"}},
		Expires:     time.Now().Add(time.Hour),
		Addresses:   []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	h := http.Header{"Accept": {"*/*"}, "User-Agent": {"x"}, "Accept-Encoding": {"gzip"}}
	r := http.Request{Header: h}
	r.SetBasicAuth("joe", string(text))
	return k, h, []string{"@acme/tool"}
}

func TestRequestWithATokenAllocatesNothing(t *testing.T) {
	k, h, packages := hotRequest(t)
	now := time.Now()
	if err := hot(k, h, now, packages); err != nil {
		t.Fatal(err)
	}
	// A request needs no lock: one that is held does not stop it.
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := testing.AllocsPerRun(100, func() {
		if err := hot(k, h, now, packages); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRequestWithAToken(b *testing.B) {
	k, h, packages := hotRequest(b)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := hot(k, h, time.Now(), packages); err != nil {
				b.Fatal(err)
			}
		}
	})
}
