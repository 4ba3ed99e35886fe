package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// sameNames are by plugin: a pattern of names that are ours, in a spelling that
// people write, and addresses of packages in spellings that are the same to the
// ecosystem; and one of a name that is not ours.
var sameNames = map[string]struct {
	pattern   string
	upstreams []string
	ours      []string
	others    string
}{
	"npm": {"@Acme/*", []string{"main"},
		[]string{"/@acme/lamp", "/@acme%2flamp", "/@Acme/lamp", "/@ACME%2FLamp", "/@acme/lamp/-/lamp-9.9.9.tgz", "/@Acme/Lamp/-/Lamp-9.9.9.tgz", "/@acme/lamp/latest"}, "/lamp"},
	"cargo": {"Acme_*", []string{"index", "api"},
		[]string{"/ac/me/acme-lamp", "/ac/me/acme_lamp", "/AC/ME/Acme-Lamp", "/crates/acme_lamp/9.9.9/download", "/crates/Acme-lamp/9.9.9/download"}, "/la/mp/lamp"},
	"pypi": {"Acme_.*", []string{"main"},
		[]string{"/simple/acme-lamp/", "/simple/acme_lamp/", "/simple/Acme.-Lamp/", "/simple/ACME--lamp/", "/pypi/acme_lamp/json", "/pypi/Acme.Lamp/9.9.9/json"}, "/simple/lamp/"},
	"nuget": {"Acme.*", []string{"main"},
		[]string{"/v3/flatcontainer/acme.lamp/index.json", "/v3/flatcontainer/ACME.lamp/9.9.9/acme.lamp.9.9.9.nupkg", "/v3/registration/Acme.Lamp/index.json", "/v2/package/ACME.Lamp/9.9.9", "/v2/FindPackagesById()?id='ACME.Lamp'"},
		"/v3/flatcontainer/lamp/index.json"},
	"maven": {"com.acme.*", []string{"main"},
		[]string{"/com/acme/lamp/maven-metadata.xml", "/com/acme/lamp/9.9.9/lamp-9.9.9.jar", "/com/acme/light/bulb/maven-metadata.xml", "/com/acme/light/bulb/9.9.9/bulb-9.9.9.pom"}, "/com/acmeevil/lamp/maven-metadata.xml"},
	"oci": {"docker.io/acme/*", []string{"docker.io"},
		[]string{"/acme/lamp/manifests/latest", "/docker.io/acme/lamp/manifests/latest", "/acme/lamp/tags/list", "/acme/lamp/manifests/latest?ns=docker.io"}, "/lamp/manifests/latest"},
	"go": {"corp.example.com/*", []string{"main"},
		[]string{"/corp.example.com/lamp/@v/list", "/corp.example.com/!lamp/@v/v9.9.9.zip"}, "/example.com/lamp/@v/list"},
	"generic": {"acme/*", []string{"acme", "others"},
		[]string{"/acme/lamp.bin", "/acme/l%61mp.bin"}, "/others/lamp.bin"},
	"spk": {"acme-*", []string{"main"}, nil, ""}, // it asks for all packages at once
}

// TestNamesThatAreTheSameAreOurs asks every plugin for names that are ours in all
// spellings that its clients may use, and sees that upstream hears of none.
func TestNamesThatAreTheSameAreOurs(t *testing.T) {
	t.Parallel()
	upstream := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NotFound(w, r)
	}))
	var config strings.Builder
	config.WriteString("cooldown { default = \"0\" }\n")
	for plugin, c := range sameNames {
		fmt.Fprintf(&config, "repository %q {\n  hosted { names = [%q] }\n", plugin, c.pattern)
		for _, u := range c.upstreams {
			fmt.Fprintf(&config, "  upstream %q { url = %q }\n", u, upstream.URL+"/"+plugin+"/"+u)
		}
		config.WriteString("}\n")
	}
	h := startHost(t, config.String())
	for plugin, c := range sameNames {
		t.Run(plugin, func(t *testing.T) {
			asked := func() (n int) {
				for request := range upstream.Requests() {
					if strings.HasPrefix(request, "GET /"+plugin+"/") || strings.HasPrefix(request, "HEAD /"+plugin+"/") {
						n++
					}
				}
				return n
			}
			for _, address := range c.ours {
				if status, _, body := get(t, h.URL+"/"+plugin+address); status == http.StatusOK && !strings.Contains(string(body), "<feed") || status >= 500 {
					t.Errorf("%s is answered with %d %.200s", address, status, body)
				}
				if n := asked(); n > 0 {
					t.Fatalf("upstream was asked after %s: %v", address, upstream.Requests())
				}
			}
			if c.others == "" {
				return
			}
			if get(t, h.URL+"/"+plugin+c.others); asked() == 0 {
				t.Errorf("upstream was not asked for %s", c.others)
			}
		})
	}
}

// TestEveryPluginSaysWhichNamesAreTheSame has no plugin left out of the table
// above that can have packages of its own.
func TestEveryPluginSaysWhichNamesAreTheSame(t *testing.T) {
	t.Parallel()
	for plugin := range specimens {
		if _, ok := sameNames[plugin]; !ok && plugin != "debian" {
			t.Errorf("plugin %s is not in the table of names that are the same", plugin)
		}
	}
}

// TestHostedNamesKeepAlikeOnesFromUpstream publishes where any name may be
// published, and sees that upstream is not asked for another spelling of it.
func TestHostedNamesKeepAlikeOnesFromUpstream(t *testing.T) {
	t.Parallel()
	f := startCargo(t)
	h := startHost(t, f.config("0", "hosted { any = true }"))
	p := hostingCargoProject(t, h.URL+"/cargo", h.token(t, "alice", "--allow", "publish:cargo"))
	hostingCargoPublish(t, p, "acme_lamp", "1.0.0", "")
	if status, _, body := get(t, h.URL+"/cargo/ac/me/acme-lamp"); status != 404 {
		t.Errorf("acme-lamp is answered with %d %s", status, body)
	}
	if asked := f.requests(); strings.Contains(asked, "acme-lamp") {
		t.Errorf("upstream was asked:\n%s", asked)
	}
}

// TestCargoGetsNoOtherSpellingFromUpstream has upstream offer crates that cargo
// takes for one of ours, published or not.
func TestCargoGetsNoOtherSpellingFromUpstream(t *testing.T) {
	t.Parallel()
	cargoClient.needed(t)
	f, h := hostingCargo(t, "")
	for _, name := range []string{"acme_lamp", "acme_tide"} {
		bait := release{name: name, version: "99.0.0", age: 365 * day}
		f.servers[0].handler.(*shelf).put(cratePath(name), "text/plain", indexLine(t, bait, crate(t, bait)))
	}
	p := hostingCargoProject(t, mount(h, f), h.token(t, "alice", "--allow", "publish:cargo:Acme*"))
	hostingCargoPublish(t, p, "acme-lamp", "1.0.0", "")
	for _, name := range []string{"acme_lamp", "acme_tide"} {
		user := cargoClient.project(t, mount(h, f))
		user.write(t, "Cargo.toml", "[package]\nname = \"user\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")
		user.write(t, "src/main.rs", "fn main() {}\n")
		out, err := user.run(t, "cargo", "add", "--registry", "entrepot", name)
		if strings.Contains(out, "99.0.0") || err == nil && name == "acme_tide" {
			t.Errorf("cargo add %s: %v\n%s", name, err, out)
		}
	}
	if asked := hostingCargoAsked(f); len(asked) > 0 {
		t.Errorf("upstream was asked for what is ours: %v", asked)
	}
}
