package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestVersionWithdrawnUpstreamDisappears(t *testing.T) {
	t.Parallel()
	stays := faultVersion{Name: "withdrawn", Version: "1.0.0", Body: faultBytes(1, 1000)}
	goes := faultVersion{Name: "withdrawn", Version: "1.1.0", Body: faultBytes(2, 1000)}
	for name, left := range map[string][]faultVersion{"one version": {stays}, "the whole package": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := startFaultRegistry(t, stays, goes)
			h := startHost(t, faultConfig(reg.URL, `ttl = "1ms"`, `negative_ttl = "1ms"`))
			faultGet(t, h.URL+"/npm"+goes.path(), goes.Body)
			if a := faultTry(t, http.MethodGet, h.URL+"/npm/withdrawn"); !has(a, "1.1.0") {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			reg.Withdraw("withdrawn", left...)
			eventually(t, "to notice", func() bool {
				a := faultTry(t, http.MethodGet, h.URL+"/npm/withdrawn")
				if len(left) == 0 {
					return a.Status == http.StatusNotFound
				}
				return has(a, "1.0.0") && !has(a, "1.1.0")
			})
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				if a := faultTry(t, method, h.URL+"/npm"+goes.path()); a.Status != http.StatusForbidden && a.Status != http.StatusNotFound {
					t.Errorf("%s of the file: %d %s, want a refusal", method, a.Status, a.Body)
				}
			}
			if a := faultTry(t, http.MethodGet, h.URL+"/npm/withdrawn/1.1.0"); a.Status != http.StatusNotFound {
				t.Errorf("the version's document: %d %s", a.Status, a.Body)
			}
			h.Stop()
			h = startHostIn(t, h.Dir, faultConfig(reg.URL, `ttl = "1ms"`, `negative_ttl = "1ms"`))
			if a := faultTry(t, http.MethodGet, h.URL+"/npm"+goes.path()); a.Status != http.StatusForbidden && a.Status != http.StatusNotFound {
				t.Errorf("the file after a restart: %d %s, want a refusal", a.Status, a.Body)
			}
			if len(left) > 0 {
				faultGet(t, h.URL+"/npm"+stays.path(), stays.Body)
			}
			// What comes back is served again.
			reg.Withdraw("withdrawn", stays, goes)
			eventually(t, "to serve what came back", func() bool {
				faultTry(t, http.MethodGet, h.URL+"/npm/withdrawn")
				return faultTry(t, http.MethodGet, h.URL+"/npm"+goes.path()).whole()
			})
		})
	}
}

func TestWithdrawnFileIsNoticedWithoutAnyoneAskingForTheDocument(t *testing.T) {
	t.Parallel()
	stays := faultVersion{Name: "lockfile", Version: "1.0.0", Body: faultBytes(1, 1000)}
	goes := faultVersion{Name: "lockfile", Version: "1.1.0", Body: faultBytes(2, 1000)}
	reg := startFaultRegistry(t, stays, goes)
	h := startHost(t, faultConfig(reg.URL, `ttl = "1ms"`))
	faultGet(t, h.URL+"/npm"+goes.path(), goes.Body)
	reg.Withdraw("lockfile", stays)
	eventually(t, "to refuse the file", func() bool {
		return faultTry(t, http.MethodGet, h.URL+"/npm"+goes.path()).Status == http.StatusForbidden
	})
	a := faultTry(t, http.MethodGet, h.URL+"/npm"+goes.path())
	if !strings.Contains(string(a.Body), "withdrawn upstream") {
		t.Errorf("the refusal does not say why: %s", a.Body)
	}
}

func TestRemovedServeKeepsWithdrawnFiles(t *testing.T) {
	t.Parallel()
	stays := faultVersion{Name: "archive", Version: "1.0.0", Body: faultBytes(1, 1000)}
	goes := faultVersion{Name: "archive", Version: "1.1.0", Body: faultBytes(2, 100_000)}
	reg := startFaultRegistry(t, stays, goes)
	config := faultConfig(reg.URL, `ttl = "1ms"`, `negative_ttl = "1ms"`, `removed = "serve"`)
	h := startHost(t, config)
	faultGet(t, h.URL+"/npm"+goes.path(), goes.Body)
	reg.Withdraw("archive", stays)
	eventually(t, "to drop the version from the document", func() bool {
		a := faultTry(t, http.MethodGet, h.URL+"/npm/archive")
		return has(a, "1.0.0") && !has(a, "1.1.0")
	})
	faultGet(t, h.URL+"/npm"+goes.path(), goes.Body)
	h.Stop()
	h = startHostIn(t, h.Dir, config)
	faultGet(t, h.URL+"/npm"+goes.path(), goes.Body)
	// Once its bytes are lost, nobody has them any more.
	h.Stop()
	if !faultKept(h, goes.Body) {
		t.Fatal("the file is not kept")
	}
	if err := damageBlob(h, goes.Body); err != nil {
		t.Fatal(err)
	}
	h = startHostIn(t, h.Dir, config)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if a := faultTry(t, method, h.URL+"/npm"+goes.path()); a.Status != http.StatusNotFound {
			t.Errorf("%s of a file whose body is lost: %d %s (%v), want 404", method, a.Status, a.Body, a.Err)
		}
	}
}

func TestBackDatedVersionIsHeldByWhenItWasFirstSeen(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %t", restart), func(t *testing.T) {
			t.Parallel()
			first := faultVersion{Name: "backdated", Version: "1.0.0", Body: faultBytes(1, 1000)}
			reg := startFaultRegistry(t, first)
			config := strings.Replace(faultConfig(reg.URL, `ttl = "1ms"`, `negative_ttl = "1ms"`), `default = "0"`, `default = "7d"`, 1)
			h := startHost(t, config)
			if a := faultTry(t, http.MethodGet, h.URL+"/npm/backdated"); !has(a, "1.0.0") {
				t.Fatalf("what was there at the first look: %d %s", a.Status, a.Body)
			}
			faultGet(t, h.URL+"/npm"+first.path(), first.Body)
			if restart {
				h.Stop()
			}
			late := faultVersion{Name: "backdated", Version: "1.0.1", Body: faultBytes(2, 1000), Published: time.Now().AddDate(-5, 0, 0)}
			reg.Publish(late)
			if restart {
				h = startHostIn(t, h.Dir, config)
			}
			address := h.URL + "/npm" + late.path()
			eventually(t, "to see the new version", func() bool {
				return faultTry(t, http.MethodGet, address).Status == http.StatusForbidden
			})
			a := faultTry(t, http.MethodGet, address)
			if !strings.Contains(string(a.Body), "1.0.1 is held back until") || !strings.Contains(string(a.Body), "not seen before") || !strings.Contains(string(a.Body), "rule: default") {
				t.Errorf("the refusal does not say until when and why: %s", a.Body)
			}
			if a := faultTry(t, http.MethodHead, address); a.Status != http.StatusForbidden {
				t.Errorf("HEAD: %d", a.Status)
			}
			for path, want := range map[string]int{"/npm/backdated": 200, "/npm/backdated/latest": 200, "/npm/backdated/1.0.1": 403, "/npm/-/package/backdated/dist-tags": 200} {
				a := faultTry(t, http.MethodGet, h.URL+path)
				if a.Status != want || want == 200 && strings.Contains(string(a.Body), "1.0.1") {
					t.Errorf("%s: %d %s", path, a.Status, a.Body)
				}
			}
			if n := reg.Fetched(late); n != 0 {
				t.Errorf("the held file was fetched %d times", n)
			}
			faultGet(t, h.URL+"/npm"+first.path(), first.Body)
			out, err := h.Run(t, "explain", "pkg:npm/backdated@1.0.1")
			if err != nil || !strings.Contains(out, "is held") || !strings.Contains(out, "not seen before") {
				t.Errorf("explain: %v %s", err, out)
			}
			if out, err := h.Run(t, "exempt", "pkg:npm/backdated@1.0.1", "--reason", "it fixes us", "--expires", "1d"); err != nil {
				t.Fatalf("exempt: %v %s", err, out)
			}
			faultGet(t, address, late.Body)
			if out, err := h.Run(t, "exempt", "pkg:npm/backdated@1.0.1", "--revoke"); err != nil {
				t.Fatalf("revoke: %v %s", err, out)
			}
			if a := faultTry(t, http.MethodGet, address); a.Status != http.StatusForbidden {
				t.Errorf("revoked, and the cached file gives %d", a.Status)
			}
		})
	}
}

func TestCoolDownThatIsTightenedHoldsWhatIsCached(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "young", Version: "1.0.0", Body: faultBytes(1, 1000), Published: time.Now().Add(-24 * time.Hour)}
	old := faultVersion{Name: "young", Version: "0.9.0", Body: faultBytes(2, 1000)}
	reg := startFaultRegistry(t, old, v)
	h := startHost(t, faultConfig(reg.URL))
	want := faultWarm(t, h, v)
	tight := strings.Replace(faultConfig(reg.URL), `default = "0"`, `default = "3d"`, 1)
	h.Configure(t, tight)
	if a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path()); a.Status != http.StatusForbidden {
		t.Errorf("the cached file: %d", a.Status)
	}
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/young"); !has(a, "0.9.0") || has(a, "1.0.0") {
		t.Errorf("the cached document: %d %s", a.Status, a.Body)
	}
	// Also when upstream is down and the plugin's rendering cannot be confirmed.
	reg.CloseClientConnections()
	reg.Close()
	h.Stop()
	h = startHostIn(t, h.Dir, tight)
	if a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path()); a.Status != http.StatusForbidden {
		t.Errorf("the cached file with a dead upstream: %d", a.Status)
	}
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/young"); has(a, "1.0.0") {
		t.Errorf("the document with a dead upstream shows the held version")
	}
	h.Configure(t, faultConfig(reg.URL))
	for address, body := range want {
		if strings.HasSuffix(address, ".tgz") {
			faultGet(t, h.URL+"/npm"+v.path(), body)
		}
	}
}

func TestExemptionHasAReasonOfOneLine(t *testing.T) {
	t.Parallel()
	h := startHost(t, "repository \"npm\" {\n  upstream \"main\" { url = \"http://127.0.0.1:1\" }\n}\n")
	for reason, ok := range map[string]bool{"a\nnpm: b 1.0.0 is exempt until revoked: forged": false, "a\rb": false, "\x1b[2J": false, "wegen Käfern – nötig": true} {
		if out, err := h.Run(t, "exempt", "pkg:npm/a@1.0.0", "--reason", reason); (err == nil) != ok || !ok && !strings.Contains(out, "one line") {
			t.Errorf("%q: %v %s", reason, err, out)
		}
	}
	if out, err := h.Run(t, "exempt", "--list"); err != nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "nötig") {
		t.Errorf("exemptions are %v %q", err, out)
	}
	for _, args := range [][]string{{"purge", "pkg:npm/*"}, {"explain", "pkg:npm/@acme/*@1.0.0"}, {"exempt", "pkg:npm/lib*@1.0.0", "--reason", "why"}} {
		if out, err := h.Run(t, args...); err == nil || !strings.Contains(out, "is a pattern") {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
}

func TestExplainTellsWhatItCanWhenAnUpstreamIsDown(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "reef", Version: "1.0.0", Body: faultBytes(1, 1000)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL)+`
repository "down" {
  plugin = "npm"
  upstream "main" { url = "http://127.0.0.1:1" }
}
`)
	out, err := h.Run(t, "explain", "pkg:npm/reef@1.0.0")
	if err != nil || !strings.Contains(out, "npm: reef 1.0.0 is served") || !strings.Contains(out, "down: reef 1.0.0 is unknown: upstream http://127.0.0.1:1 cannot be reached") {
		t.Errorf("explain: %v %s", err, out)
	}
	if out, err := h.Run(t, "explain", "pkg:npm/reef@1.0.0", "--repository", "down"); err == nil || !strings.Contains(out, "cannot be reached") {
		t.Errorf("explain of what is down: %v %s", err, out)
	}
}
