package access

import (
	"errors"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk/names"
)

func identity(t *testing.T, permissions ...string) *Identity {
	t.Helper()
	id := &Identity{id: "0123456789", user: "ci"}
	for _, s := range permissions {
		p, err := ParsePermission(s)
		if err != nil {
			t.Fatal(err)
		}
		id.permissions = append(id.permissions, p)
	}
	return id
}

func TestMayDecides(t *testing.T) {
	t.Parallel()
	everybody := []Action{Read}
	all := []string{Everything}
	for name, test := range map[string]struct {
		who        *Identity
		action     Action
		repository string
		packages   []string
		anonymous  []Action
		want       string // a part of the reason; empty: it may
		logIn      bool
	}{
		"anybody reads where that is said":           {nil, Read, "main", all, everybody, "", false},
		"nobody reads where it is not":               {nil, Read, "main", nil, nil, "a token is needed", true},
		"nobody enters where it is not":              {nil, Some, "main", nil, nil, "a token is needed", true},
		"anybody enters where something is said":     {nil, Some, "main", nil, everybody, "", false},
		"nobody publishes where anybody reads":       {nil, Publish, "main", []string{"a"}, everybody, "a token is needed", true},
		"anybody publishes where that is said":       {nil, Publish, "main", []string{"a"}, []Action{Publish}, "", false},
		"and does not read":                          {nil, Read, "main", nil, []Action{Publish}, "a token is needed", true},
		"an empty list grants nothing":               {identity(t), Read, "main", nil, nil, "token ci (0123456789) may not read", false},
		"not even to enter":                          {identity(t), Some, "main", nil, nil, "may not use repository main", false},
		"a permission of no action grants nothing":   {&Identity{permissions: []Permission{{Repository: "*", Package: "*"}}}, Some, "main", nil, nil, "may not use", false},
		"an unknown action is nobody's":              {identity(t, "read,publish,delete,admin"), "rename", "main", nil, nil, "may not rename", false},
		"but what anybody may":                       {identity(t), Read, "main", all, everybody, "", false},
		"publishing is not reading":                  {identity(t, "publish"), Read, "main", []string{"a"}, nil, "may not read a", false},
		"reading is not publishing":                  {identity(t, "read"), Publish, "main", []string{"a"}, nil, "may not publish", false},
		"publishing is not deleting":                 {identity(t, "publish"), Delete, "main", []string{"a"}, nil, "may not delete", false},
		"deleting is not administering":              {identity(t, "delete"), Admin, "main", []string{"a"}, nil, "may not administer", false},
		"another repository":                         {identity(t, "read:main"), Read, "other", nil, nil, "repository other", false},
		"entering another repository":                {identity(t, "read:main"), Some, "other", nil, nil, "may not use repository other", false},
		"a pattern of repositories":                  {identity(t, "read:team-*"), Read, "team-a", all, nil, "", false},
		"a package of the pattern":                   {identity(t, "read:main:@acme/*"), Read, "main", []string{"@acme/a"}, nil, "", false},
		"another package":                            {identity(t, "read:main:@acme/*"), Read, "main", []string{"acme"}, nil, "may not read acme", false},
		"one of several is another":                  {identity(t, "read:main:@acme/*"), Read, "main", []string{"@acme/a", "b"}, nil, "may not read b", false},
		"each by a permission of its own":            {identity(t, "read:main:a", "read:*:b"), Read, "main", []string{"a", "b"}, nil, "", false},
		"package of one, repository of another":      {identity(t, "read:main:a", "read:other:b"), Read, "main", []string{"b"}, nil, "may not read b", false},
		"a colon belongs to the package":             {identity(t, "read:main:org.acme:*"), Read, "main", []string{"org.acme:tool"}, nil, "", false},
		"no package named, and a pattern":            {identity(t, "read:main:@acme/*"), Read, "main", nil, nil, "", false},
		"all packages, and a pattern":                {identity(t, "read:main:@acme/*"), Read, "main", all, nil, "all packages of repository main", false},
		"all packages, and a pattern of one byte":    {identity(t, "read:main:?"), Read, "main", all, nil, "all packages", false},
		"all packages, and a pattern that fits many": {identity(t, "read:main:*?"), Read, "main", all, nil, "all packages", false},
		"all packages":                               {identity(t, "read:main"), Read, "main", all, nil, "", false},
		"a package without a name is all":            {identity(t, "read:main:a*"), Read, "main", []string{""}, nil, "all packages", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.who.May(test.action, test.repository, "/"+test.repository, test.packages, test.anonymous, names.Rules{})
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var denied *Denied
			if !errors.As(err, &denied) || !strings.Contains(denied.Reason, test.want) || denied.LogIn != test.logIn {
				t.Errorf("got %#v, want %q", err, test.want)
			}
		})
	}
}

func TestParsePermissionRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "write", "read,", "Read", "read::a", "read:main:", ":main"} {
		if p, err := ParsePermission(s); err == nil {
			t.Errorf("%q is read as %s", s, p)
		}
	}
	for s, want := range map[string]string{"read": "read:*:*", "read,publish:a": "read,publish:a:*", "admin:a-*:b": "admin:a-*:b"} {
		if p, err := ParsePermission(s); err != nil || p.String() != want {
			t.Errorf("%q is read as %s: %v", s, p, err)
		}
	}
}

// TestPatternsMeetNamesHoweverTheyAreSpelled gives a permission for a pattern in
// a spelling that is the same to the ecosystem.
func TestPatternsMeetNamesHoweverTheyAreSpelled(t *testing.T) {
	t.Parallel()
	who, rules := identity(t, "publish:main:Acme_*"), names.Rules{IgnoreCase: true, Alike: "-_", Runs: true}
	for _, name := range []string{"acme-lamp", "acme__lamp", "ACME-lamp"} {
		if err := who.May(Publish, "main", "/main", []string{name}, nil, rules); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"acmelamp", "lamp-acme-x"} {
		if who.May(Publish, "main", "/main", []string{name}, nil, rules) == nil {
			t.Errorf("%s is allowed", name)
		}
	}
	apart := names.Rules{IgnoreCase: true, CaseApart: true}
	if who.May(Publish, "main", "/main", []string{"acme_lamp"}, nil, apart) == nil || who.MaySome(Publish, "main", "/main", []string{"acme_*"}, nil, apart) == nil {
		t.Error("acme_lamp is allowed where case tells packages apart")
	}
	if err := who.May(Publish, "main", "/main", []string{"Acme_lamp"}, nil, apart); err != nil {
		t.Errorf("Acme_lamp where case tells packages apart: %v", err)
	}
	if who.May(Publish, "main", "/main", []string{"acme-lamp"}, nil, names.Rules{}) == nil {
		t.Error("acme-lamp is allowed where each name is only itself")
	}
}
