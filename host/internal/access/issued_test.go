package access

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/names"
)

// issuer is a keeper with a token that may read and publish in the repository
// main.
func issuer(t *testing.T) (k *Keeper, token Token, text string) {
	t.Helper()
	k = newKeeper(t)
	token, text, err := k.Create(Token{Name: "joe", Permissions: []Permission{{Actions: []Action{Read, Publish}, Repository: "main", Package: "*"}}})
	if err != nil {
		t.Fatal(err)
	}
	return k, token, text
}

func TestIssuedTokensAreForWhatTheyWereIssuedFor(t *testing.T) {
	t.Parallel()
	k, _, text := issuer(t)
	issued, err := k.Issue([]byte(text), "/v2", []Grant{{Read, "acme/app"}, {Delete, "acme/app"}, {Publish, "sub/app"}, {Read, Everything}}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	id, err := k.Identify([]byte(issued), netip.MustParseAddr("192.0.2.1"), time.Now())
	if err != nil || id.User() != "joe" {
		t.Fatalf("it stands for %s: %v", id.User(), err)
	}
	for about, test := range map[string]struct {
		action   Action
		mounted  string
		packages []string
		may, ask bool // whether it may, and, if not, whether another token would help
	}{
		"what is granted":                    {Read, "/v2", []string{"acme/app"}, true, false},
		"another action":                     {Publish, "/v2", []string{"acme/app"}, false, true},
		"another package":                    {Read, "/v2", []string{"acme/other"}, false, true},
		"one of two packages":                {Read, "/v2", []string{"acme/app", "b"}, false, true},
		"what its owner may not":             {Delete, "/v2", []string{"acme/app"}, false, false},
		"all packages":                       {Read, "/v2", []string{Everything}, true, false},
		"any package":                        {Read, "/v2", nil, true, false},
		"any package, an action not granted": {Publish, "/other", nil, false, true},
		"entering":                           {Some, "/v2", nil, true, false},
		"below, where the name is shorter":   {Publish, "/v2/sub", []string{"app"}, true, false},
		"below, another name":                {Publish, "/v2/sub", []string{"sub/app"}, false, true},
		"below, all packages":                {Read, "/v2/sub", []string{Everything}, false, true},
		"beside":                             {Read, "/v22", []string{"acme/app"}, false, true},
		"elsewhere":                          {Read, "/npm", []string{"acme/app"}, false, true},
	} {
		err := id.May(test.action, "main", test.mounted, test.packages, nil, names.Rules{})
		var denied *Denied
		if (err == nil) != test.may || !test.may && (!errors.As(err, &denied) || denied.LogIn != test.ask) {
			t.Errorf("%s: %v", about, err)
		}
	}
	// As the repository below spells it, which the one that issued it does not know.
	official := names.Rules{Home: "library/"}
	if issued, err = k.Issue([]byte(text), "/v2", []Grant{{Read, "sub/library/app"}}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	spelled, err := k.Identify([]byte(issued), netip.MustParseAddr("192.0.2.1"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := spelled.May(Read, "main", "/v2/sub", []string{"app"}, nil, official); err != nil {
		t.Errorf("below, by another spelling: %v", err)
	}
	if spelled.May(Read, "main", "/v2/sub", []string{"lamp"}, nil, official) == nil {
		t.Error("below, another name may be read")
	}
	if err := id.May(Read, "main", "/v2", []string{"acme/other"}, []Action{Read}, names.Rules{}); err != nil {
		t.Errorf("what anybody may: %v", err)
	}
}

func TestIssuedTokensEnd(t *testing.T) {
	t.Parallel()
	from, until := netip.MustParseAddr("192.0.2.1"), time.Now().Add(time.Hour)
	for about, end := range map[string]func(*Keeper, string) error{
		"when its time is over": func(*Keeper, string) error { return nil },
		"when the token is revoked": func(k *Keeper, id string) error {
			_, err := k.Revoke(id)
			return err
		},
		"when the token is rotated": func(k *Keeper, id string) error {
			_, _, err := k.Rotate(id, 0, time.Time{})
			return err
		},
	} {
		k, token, text := issuer(t)
		issued, err := k.Issue([]byte(text), "/v2", nil, until)
		if err != nil {
			t.Fatal(err)
		}
		at := until.Add(-time.Second)
		if _, err := k.Identify([]byte(issued), from, at); err != nil {
			t.Errorf("%s: before: %v", about, err)
		}
		if err := end(k, token.ID); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(about, "time") {
			at = until
		}
		var denied *Denied
		if _, err := k.Identify([]byte(issued), from, at); !errors.As(err, &denied) || !denied.LogIn || !denied.Lapsed {
			t.Errorf("%s: %v", about, err)
		}
	}
}

func TestIssuedTokensCannotBeMade(t *testing.T) {
	t.Parallel()
	k, _, text := issuer(t)
	other, _, _ := issuer(t)
	issued, err := k.Issue([]byte(text), "/v2", []Grant{{Read, strings.Repeat("a", 2000)}, {Read, "b"}}, time.Now().Add(time.Hour))
	if err != nil || len(issued) > MaxCredential {
		t.Fatalf("%d bytes: %v", len(issued), err)
	}
	from := netip.MustParseAddr("192.0.2.1")
	for i := range issued {
		changed := []byte(issued)
		changed[i] ^= 1
		if id, err := k.Identify(changed, from, time.Now()); err == nil && string(changed) != issued {
			t.Errorf("with another byte at %d it stands for %s", i, id.User())
		}
		if _, err := k.Identify([]byte(issued[:i]), from, time.Now()); err == nil {
			t.Errorf("%d bytes of it are enough", i)
		}
	}
	if _, err := other.Identify([]byte(issued), from, time.Now()); err == nil {
		t.Error("another entrepot takes it")
	}
	if _, err := k.Issue([]byte(issued), "/v2", nil, time.Now().Add(time.Hour)); err == nil {
		t.Error("it gets another")
	}
}
