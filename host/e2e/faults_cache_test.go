package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestDamagedFileOnDiskIsFetchedAgain(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(string) error{
		"cut":     func(file string) error { return os.Truncate(file, 1000) },
		"emptied": func(file string) error { return os.Truncate(file, 0) },
		"longer": func(file string) error {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("more")
			return err
		},
		"flipped": func(file string) error {
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte("other bytes"), 1000)
			return err
		},
		"gone": os.Remove,
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %t", name, restart), func(t *testing.T) {
				t.Parallel()
				v := faultVersion{Name: "damaged", Version: "1.0.0", Body: faultBytes(1, 300_000)}
				reg := startFaultRegistry(t, v)
				h := startHost(t, faultConfig(reg.URL))
				address := h.URL + "/npm" + v.path()
				faultGet(t, address, v.Body)
				faultGet(t, address, v.Body)
				if err := damage(faultBlob(h, v.Body)); err != nil {
					t.Fatal(err)
				}
				if restart {
					h.Stop()
					h = startHostIn(t, h.Dir, faultConfig(reg.URL))
				}
				address = h.URL + "/npm" + v.path()
				faultGet(t, address, v.Body)
				faultGet(t, address, v.Body)
				// A file that is gone may be served as long as it is open.
				if n := reg.Fetched(v); n != 2 && (name != "gone" || restart) {
					t.Errorf("upstream was asked %d times, want once and once again", n)
				}
			})
		}
	}
}

func TestDamagedBodiesOfDocumentsAreMadeAgain(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(string) error{
		"cut":  func(file string) error { return os.Truncate(file, 10) },
		"gone": os.Remove,
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %t", name, restart), func(t *testing.T) {
				t.Parallel()
				var versions []faultVersion
				for i := range 200 { // larger than what is kept in memory
					versions = append(versions, faultVersion{Name: "remade", Version: fmt.Sprintf("1.0.%d", i), Body: []byte("x")})
				}
				reg := startFaultRegistry(t, versions...)
				h := startHost(t, faultConfig(reg.URL))
				want := faultTry(t, http.MethodGet, h.URL+"/npm/remade")
				if !has(want, "1.0.0") {
					t.Fatalf("%d %s", want.Status, want.Body)
				}
				base := h.URL
				faultTry(t, http.MethodGet, h.URL+"/npm/remade", "Accept-Encoding", "gzip")
				if restart {
					h.Stop()
				}
				damaged := 0
				for file := range faultFiles(t, filepath.Join(h.Dir, "data", "blobs")) {
					if err := damage(file); err != nil {
						t.Fatal(err)
					}
					damaged++
				}
				if damaged < 3 {
					t.Fatalf("only %d files to damage", damaged)
				}
				if restart {
					h = startHostIn(t, h.Dir, faultConfig(reg.URL))
				}
				for _, encoding := range []string{"identity", "gzip"} {
					a := faultTry(t, http.MethodGet, h.URL+"/npm/remade", "Accept-Encoding", encoding)
					if a.Status != http.StatusOK || !bytes.Equal(faultDecoded(t, a), bytes.ReplaceAll(want.Body, []byte(base), []byte(h.URL))) {
						t.Errorf("%s: %d %s", encoding, a.Status, a.Body[:min(len(a.Body), 200)])
					}
				}
			})
		}
	}
}

func TestEvictionKeepsTheBoundAndNothingFails(t *testing.T) {
	t.Parallel()
	const files, size, bound = 40, 500_000, 5_000_000
	var versions []faultVersion
	for i := range files {
		versions = append(versions, faultVersion{Name: "evicted", Version: fmt.Sprintf("1.0.%d", i), Body: faultBytes(uint64(i), size)})
	}
	reg := startFaultRegistry(t, versions...)
	h := startHost(t, fmt.Sprintf("cache_size = \"%d\"\n", bound)+faultConfig(reg.URL))
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for round := range 2 {
				for i := range files {
					v := versions[(i+worker*files/4)%files]
					a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path())
					if !a.whole() || !bytes.Equal(a.Body, v.Body) {
						t.Errorf("round %d, %s: %d, %d bytes, %v", round, v.Version, a.Status, len(a.Body), a.Err)
					}
				}
			}
		})
	}
	all.Wait()
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/evicted"); !has(a, "1.0.0") {
		t.Errorf("the document: %d %s", a.Status, a.Body)
	}
	h.wait(t, "to keep its bound", func() bool {
		total := int64(0)
		for _, n := range faultFiles(t, filepath.Join(h.Dir, "data", "blobs")) {
			total += n
		}
		return total <= bound
	})
	_, _, metrics := get(t, h.URL+"/metrics")
	if strings.Contains(string(metrics), "entrepot_cache_evicted_total 0\n") {
		t.Error("nothing was evicted, so this test shows nothing")
	}
	faultGet(t, h.URL+"/npm"+versions[0].path(), versions[0].Body)
}

// TestAbsentPackageStaysAbsentWhileUpstreamIsDown has clients that look at more
// than one place go on, also after a restart.
func TestAbsentPackageStaysAbsentWhileUpstreamIsDown(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t)
	config := faultConfig(reg.URL, `ttl = "1ms"`, `negative_ttl = "1ms"`)
	h := startHost(t, config)
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/absent"); a.Status != http.StatusNotFound {
		t.Fatalf("an absent package is answered with %d", a.Status)
	}
	reg.Close()
	for range 2 {
		for range 2 {
			if a := faultTry(t, http.MethodGet, h.URL+"/npm/absent"); a.Status != http.StatusNotFound {
				t.Errorf("with upstream down, an absent package is answered with %d %s", a.Status, a.Body)
			}
		}
		if a := faultTry(t, http.MethodGet, h.URL+"/npm/never"); a.Status != http.StatusBadGateway {
			t.Errorf("with upstream down, a package that nobody asked for is answered with %d", a.Status)
		}
		h.Stop()
		h = startHostIn(t, h.Dir, config)
	}
}

func TestAbsentPackageIsAskedForOncePerNegativeTTL(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	reg := startFaultRegistry(t)
	h := startHost(t, faultConfig(reg.URL, `negative_ttl = "2s"`))
	began := time.Now()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for _, path := range []string{"/npm/absent", "/npm/absent/-/absent-1.0.0.tgz", "/npm/absent/latest", "/npm/absent"} {
				if a := faultTry(t, http.MethodGet, h.URL+path); a.Status != http.StatusNotFound {
					t.Errorf("%s: %d %s", path, a.Status, a.Body)
				}
			}
		})
	}
	all.Wait()
	most := 1 + int(time.Since(began)/ttl)
	for request, n := range reg.Requests() {
		if n > most {
			t.Errorf("%s was asked %d times in %s, want at most %d", request, n, time.Since(began), most)
		}
	}
	v := faultVersion{Name: "absent", Version: "1.0.0", Body: faultBytes(1, 1000)}
	reg.Publish(v)
	eventually(t, "to find what is there by now", func() bool {
		return has(faultTry(t, http.MethodGet, h.URL+"/npm/absent"), "1.0.0")
	})
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
}

func TestAbsentFileIsFoundOnceItIsThere(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "listed", Version: "1.0.0", Body: faultBytes(1, 1000)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL, `negative_ttl = "1s"`))
	reg.BreakTarballs(func(w http.ResponseWriter, r *http.Request, _ faultVersion) { http.NotFound(w, r) })
	began := time.Now()
	for range 20 {
		if a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path()); a.Status != http.StatusNotFound {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	if n, most := reg.Fetched(v), 1+int(time.Since(began)/time.Second); n > most {
		t.Errorf("upstream was asked %d times for a file that it does not have, want at most %d", n, most)
	}
	reg.BreakTarballs(nil)
	eventually(t, "to find the file", func() bool {
		a := faultTry(t, http.MethodGet, h.URL+"/npm"+v.path())
		return a.whole() && bytes.Equal(a.Body, v.Body)
	})
}

// damageBlob takes a kept body away behind the host's back.
func damageBlob(h *Host, body []byte) error { return os.Remove(faultBlob(h, body)) }
