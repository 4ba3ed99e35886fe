package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/access"
)

func TestAnybodyReadsOnThisMachineOnly(t *testing.T) {
	t.Parallel()
	read := []access.Action{access.Read}
	for _, test := range []struct {
		listen, anonymous string
		want              []access.Action
		warned            bool
	}{
		{"127.0.0.1:80", "", read, false},
		{"[::1]:80", "", read, false},
		{"localhost:80", "", read, false},
		{":80", "", nil, true},
		{"0.0.0.0:80", "", nil, true},
		{"192.0.2.1:80", "", nil, true},
		{"packages.example.com:80", "", nil, true},
		{"127.0.0.1:80", "anonymous = []", nil, false},
		{":80", "anonymous = []", nil, false},
		{":80", `anonymous = ["read"]`, read, false},
		{"127.0.0.1:80", `anonymous = ["publish"]`, []access.Action{access.Publish}, false},
	} {
		c, all := diagnosed("listen = \"" + test.listen + "\"\nrepository \"a\" {\n" + test.anonymous + "\n}\n")
		if len(all) > 0 {
			t.Fatal(all)
		}
		if got := c.AnonymousIn(c.Repositories[0]); !slices.Equal(got, test.want) {
			t.Errorf("%s %s: nobody may %v, want %v", test.listen, test.anonymous, got, test.want)
		}
		warnings := c.Warnings()
		if (len(warnings) > 0) != test.warned {
			t.Errorf("%s %s: warns %v", test.listen, test.anonymous, warnings)
		}
		for _, w := range warnings {
			if w.Subject.Start.Line != 2 || !strings.Contains(w.Detail, `anonymous = ["read"]`) {
				t.Errorf("%s: warns %s", test.listen, w)
			}
		}
	}
}

func TestPluginBlocksForNothingAreToldOf(t *testing.T) {
	t.Parallel()
	c, all := diagnosed("repository \"a\" {\n  plugin = \"b\"\n}\nplugin \"b\" {}\nplugin \"a\" {}\n")
	if len(all) > 0 {
		t.Fatal(all)
	}
	if w := c.Warnings(); len(w) != 1 || w[0].Subject.Start.Line != 5 || !strings.Contains(w[0].Detail, `uses a plugin "a"`) {
		t.Errorf("warns %v", w)
	}
}

func TestListenThatIsGivenDecides(t *testing.T) {
	t.Parallel()
	c, _ := diagnosed("repository \"a\" {}\n")
	c.Override(Overrides{Listen: ":80"})
	if got := c.AnonymousIn(c.Repositories[0]); len(got) > 0 {
		t.Errorf("everybody may %v", got)
	}
}

func TestAccessSettings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"repository \"a\" {\n  anonymous = [\"write\"]\n}": "2:16 Unknown action",
		"repository \"a\" {\n  anonymous = \"read\"\n}":    "2:16 Invalid expression",
		"tls {\n  certificate = \"a\"\n}":                  "1:5 Missing required argument",
		"tls {}\ntls {}":                                   "2:1 Duplicate tls block",
		"audit_log = \"no/such/audit.log\"":                "1:13 No directory for the log",
	} {
		if _, got := diagnosed(text); !slices.Contains(got, want) {
			t.Errorf("%q: complaints are %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{"": "d/audit.log", `audit_log = ""`: "", `audit_log = "-"`: "-", `audit_log = "audit.log"`: "audit.log"} {
		c, _ := diagnosed("data_dir = \"d\"\n" + text)
		if got := c.AuditFile(); got != want {
			t.Errorf("%s: the audit log is %q, want %q", text, got, want)
		}
	}
	c, _ := diagnosed("tls {\n  certificate = \"c.pem\"\n  key = \"k.pem\"\n}")
	if c.TLS == nil || c.TLS.Certificate != "c.pem" || c.TLS.Key != "k.pem" {
		t.Errorf("tls is %+v", c.TLS)
	}
}
