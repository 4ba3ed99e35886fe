package names

import "testing"

// ecosystems have rules like those of real ones.
var (
	python = Rules{IgnoreCase: true, Alike: "-_.", Runs: true}
	rust   = Rules{IgnoreCase: true, Alike: "-_"}
	java   = Rules{Alike: "/:", Loose: "/."}
	images = Rules{Prefix: "registry.example.com/", Home: "library/"}
	two    = Rules{Prefix: "registry.example.com/ sea.example.com/", Home: "library/"}
	others = Rules{Prefix: "quay.example.com/", Home: "registry.example.com/library/"}
)

func TestFold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules      Rules
		name, want string
	}{
		{Rules{}, "Acme_.X", "Acme_.X"},
		{python, "acme-lamp", "acme-lamp"},
		{python, "Acme__.--Lamp", "acme-lamp"},
		{python, "_acme_", "-acme-"},
		{rust, "Acme__lamp", "acme--lamp"},
		{java, "com.acme:lamp", "com.acme/lamp"},
		{java, "com:acme.lamp", "com/acme.lamp"},
		{java, "Com.acme..lamp", "Com.acme..lamp"},
		{images, "registry.example.com/acme/lamp", "acme/lamp"},
		{images, "acme/registry.example.com/", "acme/registry.example.com/"},
		{two, "registry.example.com/acme/lamp", "acme/lamp"},
		{two, "sea.example.com/library/lamp", "lamp"},
		{two, "quay.example.com/library/lamp", "quay.example.com/library/lamp"},
		{images, "library/lamp", "lamp"},
		{images, "registry.example.com/library/lamp", "lamp"},
		{images, "library/acme/lamp", "library/acme/lamp"},
		{images, "library/library/lamp", "library/library/lamp"},
		{images, "library/*", "library/*"},
		{images, "quay.example.com/library/lamp", "quay.example.com/library/lamp"},
		{others, "registry.example.com/library/lamp", "registry.example.com/lamp"},
		{others, "library/lamp", "library/lamp"},
		{python, "", ""},
	} {
		got := c.rules.Fold(c.name)
		if got != c.want {
			t.Errorf("%+v: %q becomes %q, want %q", c.rules, c.name, got, c.want)
		}
		if again := c.rules.Fold(got); again != got {
			t.Errorf("%+v: %q becomes %q when it is folded again", c.rules, got, again)
		}
	}
}

func TestMatchHoweverSpelled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules         Rules
		pattern, name string
		want          bool
	}{
		{Rules{}, "acme-*", "acme-lamp", true},
		{Rules{}, "acme-*", "acme_lamp", false},
		{Rules{}, "*", "", true},
		{rust, "acme-*", "acme_lamp", true},
		{rust, "ACME_*", "acme-lamp", true},
		{rust, "acme-*", "acme", false},
		{python, "Acme_*", "acme.lamp", true},
		{python, "*_lamp", "acme--lamp", true},
		{java, "com.acme", "com/acme", true},
		{java, "com.acme.*", "com.acme/lamp", true},
		{java, "com.acme:*", "com.acme/lamp", true},
		{java, "com:acme:lamp", "com.acme/lamp", true},
		{java, "com.acme.*", "com.acmeevil/lamp", false},
		{java, "com.acme", "com.acmeevil", false},
		{images, "registry.example.com/acme/*", "acme/lamp", true},
		{images, "library/lamp", "lamp", true},
		{images, "lamp", "library/lamp", true},
		{images, "library/*", "lamp", true},
		{images, "registry.example.com/library/la*", "lamp", true},
		{images, "library/*", "acme/lamp", false},
		{images, "library/*", "library/acme/lamp", true},
		{images, "library/b*", "lamp", false},
		{images, "lib*", "lamp", false},
		{others, "registry.example.com/library/*", "registry.example.com/lamp", true},
		{others, "registry.example.com/library/*", "registry.example.com/acme/lamp", false},
		{others, "library/*", "lamp", false},
		{images, "acme/*", "registry.example.com/acme/lamp", true},
		{images, "registry.example.com/*", "acme/lamp", true},
		{images, "registry.example.com/*", "other.example.com/acme/lamp", false},
		{images, "registry.example.com/*", "localhost/acme/lamp", false},
		{images, "registry.example.com/*", "other:5000/lamp", false},
		{images, "registry.example.com/*", "lamp", true},
		{images, "*", "other.example.com/acme/lamp", true},
		{images, "other.example.com/*", "other.example.com/acme/lamp", true},
	} {
		if got := c.rules.Match(c.pattern, c.name); got != c.want {
			t.Errorf("%+v: %q fits %q: %t, want %t", c.rules, c.name, c.pattern, got, c.want)
		}
	}
	if !rust.Any([]string{"lamp", "acme_*"}, "acme-x") || rust.Any(nil, "acme-x") {
		t.Error("Any does not tell whether one of several patterns fits")
	}
}

// FuzzFold has folding come to an end at once, so that what is folded can be
// compared.
func FuzzFold(f *testing.F) {
	f.Add("Acme_.-X")
	f.Fuzz(func(t *testing.T, name string) {
		for _, r := range []Rules{python, rust, java} {
			if once := r.Fold(name); r.Fold(once) != once || !r.Match(name, name) && r.Fold(name) == name {
				t.Errorf("%+v: %q", r, name)
			}
		}
	})
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules Rules
		a, b  string
		want  bool
	}{
		{Rules{}, "", "", true},
		{Rules{}, "", "*", true},
		{Rules{}, "", "?", false},
		{Rules{}, "a", "a", true},
		{Rules{}, "a", "b", false},
		{Rules{}, "a*", "*b", true},
		{Rules{}, "a*c", "b*c", false},
		{Rules{}, "a*b*c", "axc", false},
		{Rules{}, "a?c", "*bc", true},
		{Rules{}, "a?", "*bc", false},
		{Rules{}, "**a", "a**", true},
		{java, "com.acme.*", "com.acme/*", true},
		{java, "com.acme.*", "com/acme", false},
		{java, "com.acme.*", "com.acme.lamp/*", true},
		{java, "com.acme/lamp", "com.acme/*", true},
		{java, "com.acme/lamp", "com.acme.lamp/*", false},
		{java, "com.acme.*", "com/*", true},
		{java, "com.acme.*", "org.evil/*", false},
		{python, "Acme_*", "acme-lamp", true},
	} {
		for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got := c.rules.Overlap(pair[0], pair[1]); got != c.want {
				t.Errorf("%q and %q overlap: %t", pair[0], pair[1], got)
			}
		}
	}
}
