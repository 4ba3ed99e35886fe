package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestReloadOpensTheAccessLogAgain(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t)
	h := startHost(t, faultConfig(reg.URL))
	file := filepath.Join(h.Dir, "access.log")
	faultTry(t, http.MethodGet, h.URL+"/npm/before")
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	faultTry(t, http.MethodGet, h.URL+"/npm/between")
	h.Configure(t, faultConfig(reg.URL))
	faultTry(t, http.MethodGet, h.URL+"/npm/after")
	h.Stop()
	for name, want := range map[string][]string{file + ".1": {"before", "between"}, file: {"after"}} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n != len(want) {
			t.Errorf("%s has %d lines:\n%s", name, n, text)
		}
		for _, w := range want {
			if !strings.Contains(string(text), "/npm/"+w) {
				t.Errorf("%s lacks %s:\n%s", name, w, text)
			}
		}
	}
}

func TestReloadAppliesTheBoundOfTheCache(t *testing.T) {
	t.Parallel()
	var versions []faultVersion
	for i := range 10 {
		versions = append(versions, faultVersion{Name: "bounded", Version: "1.0." + strconv.Itoa(i), Body: faultBytes(uint64(i), 500_000)})
	}
	reg := startFaultRegistry(t, versions...)
	h := startHost(t, faultConfig(reg.URL))
	for _, v := range versions {
		faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	}
	kept := func() (total int64) {
		_, _, text := get(t, h.URL+"/metrics")
		m := regexp.MustCompile(`(?m)^entrepot_cache_bytes (\S+)$`).FindSubmatch(text)
		if m == nil {
			t.Fatal("there is no entrepot_cache_bytes")
		}
		f, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return int64(f)
	}
	if n := kept(); n < 5_000_000 {
		t.Fatalf("%d bytes are kept", n)
	}
	h.Configure(t, "cache_size = \"2MB\"\n"+faultConfig(reg.URL))
	h.wait(t, "to keep the new bound", func() bool { return kept() <= 2_000_000 })
	faultGet(t, h.URL+"/npm"+versions[0].path(), versions[0].Body)
}

func TestVerifyFindsADamagedBodyAndItIsFetchedAgain(t *testing.T) {
	t.Parallel()
	for name, running := range map[string]bool{"running": true, "stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := faultVersion{Name: "rotten", Version: "1.0.0", Body: faultBytes(1, 300_000)}
			reg := startFaultRegistry(t, v)
			h := startHost(t, faultConfig(reg.URL))
			faultGet(t, h.URL+"/npm"+v.path(), v.Body)
			if out, err := h.Run(t, "verify"); err != nil || !strings.Contains(out, " 0 damaged\n") || strings.HasPrefix(out, "0 ") {
				t.Fatalf("what is whole: %v %s", err, out)
			}
			if !running {
				h.Stop()
			}
			damaged := 0
			for file, size := range faultFiles(t, filepath.Join(h.Dir, "data", "blobs")) {
				if size != int64(len(v.Body)) {
					continue
				}
				body, err := os.ReadFile(file)
				if err != nil || !bytes.Equal(body, v.Body) {
					t.Fatalf("%s: %v", file, err)
				}
				body[12345] ^= 1
				if err := os.WriteFile(file, body, 0o600); err != nil {
					t.Fatal(err)
				}
				damaged++
			}
			if damaged != 1 {
				t.Fatalf("%d files to damage", damaged)
			}
			if out, err := h.Run(t, "verify"); err == nil || !strings.Contains(out, " 1 damaged\n") || !strings.Contains(out, "damaged: sha256 "+faultSum(v.Body)) {
				t.Errorf("a flipped bit: %v %s", err, out)
			}
			if !running {
				h = startHostIn(t, h.Dir, faultConfig(reg.URL))
			}
			faultGet(t, h.URL+"/npm"+v.path(), v.Body)
			if out, err := h.Run(t, "verify"); err != nil || !strings.Contains(out, " 0 damaged\n") {
				t.Errorf("after it was fetched again: %v %s", err, out)
			}
		})
	}
}

func TestExplainKnowsNoSuchRepository(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t)
	h := startHost(t, faultConfig(reg.URL))
	out, err := h.Run(t, "explain", "--repository", "zz", "pkg:npm/a@1.0.0")
	if err == nil || !strings.Contains(out, `there is no repository "zz"; write one of npm`) {
		t.Errorf("%v %s", err, out)
	}
	out, err = h.Run(t, "explain", "--repository", "npm", "pkg:cargo/a@1.0.0")
	if err == nil || !strings.Contains(out, `repository "npm" holds packages of type "npm", not "cargo"`) {
		t.Errorf("%v %s", err, out)
	}
}
