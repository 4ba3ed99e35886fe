package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// stale reports whether an answer says that upstream could not confirm it.
func (a faultAnswer) stale() bool {
	return strings.Contains(a.Header.Get("Cache-Status"), "stale") && strings.HasPrefix(a.Header.Get("Warning"), "299 - ")
}

func has(a faultAnswer, version string) bool {
	return a.whole() && bytes.Contains(a.Body, []byte(strconv.Quote(version)+":{"))
}

func TestSlowUpstreamGivesStaleAnswerAtOnceAndIsRevalidatedBehind(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "slow", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL, `ttl = "1ms"`))
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/slow"); !has(a, "1.0.0") || a.stale() {
		t.Fatalf("cold: %d %v %s", a.Status, a.Header, a.Body)
	}
	reg.Publish(faultVersion{Name: "slow", Version: "1.1.0", Body: faultBytes(2, 100)})
	gate := newFaultGate(t)
	reg.BreakDocuments(func(w http.ResponseWriter, r *http.Request) {
		gate.Wait(r)
		reg.serveDocument(w, r)
	})
	for range 3 {
		began := time.Now()
		a := faultTry(t, http.MethodGet, h.URL+"/npm/slow")
		if took := time.Since(began); took > time.Second {
			t.Errorf("a client waited %s although there was something to serve", took)
		}
		if !has(a, "1.0.0") || !a.stale() {
			t.Fatalf("while upstream is slow: %d, Cache-Status %q, Warning %q", a.Status, a.Header.Get("Cache-Status"), a.Header.Get("Warning"))
		}
	}
	if n := reg.Documents("slow"); n != 2 {
		t.Errorf("upstream was asked %d times, want once and once again", n)
	}
	gate.Open()
	eventually(t, "to show what upstream has by now", func() bool {
		a := faultTry(t, http.MethodGet, h.URL+"/npm/slow")
		return has(a, "1.1.0") && !a.stale()
	})
}

func TestDeadUpstreamServesWhatIsKept(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "dead", Version: "1.0.0", Body: faultBytes(1, 100_000)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL, `ttl = "1ms"`))
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/dead"); !has(a, "1.0.0") {
		t.Fatalf("cold: %d %s", a.Status, a.Body)
	}
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	reg.CloseClientConnections()
	reg.Close()
	for i := range 3 {
		if a := faultTry(t, http.MethodGet, h.URL+"/npm/dead"); !has(a, "1.0.0") || !a.stale() {
			t.Fatalf("request %d with a dead upstream: %d %q", i, a.Status, a.Header.Get("Cache-Status"))
		}
		faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	}
	a := faultTry(t, http.MethodGet, h.URL+"/npm/other")
	if a.Status != http.StatusBadGateway || !strings.Contains(string(a.Body), "cannot be reached") {
		t.Errorf("what was never fetched gives %d %s, want 502 and why", a.Status, a.Body)
	}
	// The same after a restart: nothing of it may live in memory only.
	h.Stop()
	again := startHostIn(t, h.Dir, faultConfig(reg.URL, `ttl = "1ms"`))
	if a := faultTry(t, http.MethodGet, again.URL+"/npm"+v.path()); !a.whole() || !bytes.Equal(a.Body, v.Body) {
		t.Errorf("a cached file after a restart with a dead upstream: %d %s", a.Status, a.Body)
	}
	if a := faultTry(t, http.MethodGet, again.URL+"/npm/dead"); a.Status != http.StatusOK && a.Status != http.StatusBadGateway {
		t.Errorf("a document after a restart on another port: %d %s", a.Status, a.Body)
	}
}

// TestDocumentMadeOfWhatUpstreamCannotConfirmIsStale asks for documents of a package
// for the first time when upstream is gone.
func TestDocumentMadeOfWhatUpstreamCannotConfirmIsStale(t *testing.T) {
	t.Parallel()
	reg := startFaultRegistry(t, faultVersion{Name: "made", Version: "1.0.0", Body: faultBytes(1, 100)})
	h := startHost(t, faultConfig(reg.URL, `ttl = "1ms"`))
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/made"); !has(a, "1.0.0") {
		t.Fatalf("cold: %d %s", a.Status, a.Body)
	}
	reg.CloseClientConnections()
	reg.Close()
	for _, path := range []string{"/made/latest", "/-/package/made/dist-tags", "/made/1.0.0"} {
		for range 2 {
			if a := faultTry(t, http.MethodGet, h.URL+"/npm"+path); !a.whole() || !a.stale() {
				t.Errorf("%s of what upstream cannot confirm: %d %v %s", path, a.Status, a.Header, a.Body)
			}
		}
	}
}

func TestDocumentIsNotServedBeyondItsLargestStaleness(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "tooold", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL, `ttl = "1ms"`, `max_stale = "1ms"`))
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/tooold"); !has(a, "1.0.0") {
		t.Fatalf("cold: %d %s", a.Status, a.Body)
	}
	reg.CloseClientConnections()
	reg.Close()
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/tooold"); a.Status != http.StatusBadGateway {
		t.Errorf("past max_stale: %d %s, want 502", a.Status, a.Body)
	}
}

func TestUpstream429IsObeyedAndPassedOn(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "limited", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v, faultVersion{Name: "limitedcold", Version: "1.0.0"})
	h := startHost(t, faultConfig(reg.URL, `ttl = "1ms"`))
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/limited"); !has(a, "1.0.0") {
		t.Fatalf("cold: %d %s", a.Status, a.Body)
	}
	refuse := func(wait string) {
		reg.BreakDocuments(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", wait)
			w.WriteHeader(http.StatusTooManyRequests)
		})
	}
	refuse("40")
	before := reg.Total()
	for range 10 {
		if a := faultTry(t, http.MethodGet, h.URL+"/npm/limited"); !has(a, "1.0.0") || !a.stale() {
			t.Fatalf("with something to serve: %d %q", a.Status, a.Header.Get("Cache-Status"))
		}
		a := faultTry(t, http.MethodGet, h.URL+"/npm/limitedcold")
		wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if a.Status != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 41 {
			t.Fatalf("with nothing to serve: %d, Retry-After %q: %s", a.Status, a.Header.Get("Retry-After"), a.Body)
		}
	}
	if n := reg.Total() - before; n != 2 {
		t.Errorf("upstream said 429 at two addresses and was asked %d times, want once at each", n)
	}
	// That both said so is the registry's saying.
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/limitedtoo"); a.Status != http.StatusTooManyRequests || reg.Total()-before != 2 {
		t.Errorf("a third address is answered with %d, after %d requests", a.Status, reg.Total()-before)
	}
}

func TestUpstream429EndsAfterRetryAfter(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "limited", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	reg.BreakDocuments(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/limited"); a.Status != http.StatusTooManyRequests {
		t.Fatalf("cold: %d %s", a.Status, a.Body)
	}
	reg.BreakDocuments(nil)
	eventually(t, "to ask again after Retry-After", func() bool {
		return has(faultTry(t, http.MethodGet, h.URL+"/npm/limited"), "1.0.0")
	})
}

func TestUpstream500IsRetriedAndRecovers(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "flaky", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	var mu sync.Mutex
	failures := 2
	fail := func(w http.ResponseWriter) bool {
		mu.Lock()
		defer mu.Unlock()
		if failures--; failures < 0 {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	reg.BreakDocuments(func(w http.ResponseWriter, r *http.Request) {
		if !fail(w) {
			reg.serveDocument(w, r)
		}
	})
	reg.BreakTarballs(func(w http.ResponseWriter, r *http.Request, v faultVersion) {
		if !fail(w) {
			faultServeWhole(w, r, v)
		}
	})
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/flaky"); !has(a, "1.0.0") {
		t.Fatalf("two failures are not retried: %d %s", a.Status, a.Body)
	}
	mu.Lock()
	failures = 2
	mu.Unlock()
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	mu.Lock()
	failures = 3
	mu.Unlock()
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/other"); a.Status != http.StatusBadGateway || !strings.Contains(string(a.Body), "500") {
		t.Errorf("three failures: %d %s, want 502 and the status", a.Status, a.Body)
	}
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/other"); a.Status != http.StatusNotFound {
		t.Errorf("recovered: %d %s, want upstream's 404", a.Status, a.Body)
	}
}

func TestUnreadableDocumentTakesNothingAway(t *testing.T) {
	t.Parallel()
	unreadable := []func(good string) string{
		func(string) string { return "<html>Please log in.</html>" },
		func(string) string { return "" },
		func(good string) string { return good[:len(good)-30] },
		func(good string) string { return strings.ReplaceAll(good, `"portal`, `"someone`) },
		func(string) string { return "[]" },
	}
	reg := startFaultRegistry(t)
	h := startHost(t, faultConfig(reg.URL, `ttl = "1ms"`))
	var warm, cold []faultVersion
	broken := map[string]string{}
	for i, garble := range unreadable {
		name := fmt.Sprint("portal", i)
		v := faultVersion{Name: name, Version: "1.0.0", Body: faultBytes(uint64(i), 100_000)}
		w := faultVersion{Name: name, Version: "1.1.0", Body: faultBytes(uint64(100+i), 100_000)}
		reg.Publish(v, w)
		warm, cold = append(warm, v), append(cold, w)
		if a := faultTry(t, http.MethodGet, h.URL+"/npm/"+name); !has(a, "1.0.0") {
			t.Fatalf("cold: %d %s", a.Status, a.Body)
		}
		faultGet(t, h.URL+"/npm"+v.path(), v.Body)
		broken["/"+name] = garble(string(faultDocument(reg.URL, name, v, w)))
	}
	reg.BreakDocuments(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, broken[r.URL.Path])
	})
	for i, v := range warm {
		asked := reg.Documents(v.Name)
		if a := faultTry(t, http.MethodGet, h.URL+"/npm/"+v.Name); !has(a, "1.0.0") || !a.stale() || reg.Documents(v.Name) == asked {
			t.Errorf("upstream asked anew says %q: the document kept before gives %d %q", broken["/"+v.Name], a.Status, a.Header.Get("Cache-Status"))
		}
		faultGet(t, h.URL+"/npm"+v.path(), v.Body)
		faultGet(t, h.URL+"/npm"+cold[i].path(), cold[i].Body) // its address and digest are known from before
	}
	reg.BreakDocuments(nil)
	for _, v := range warm {
		eventually(t, "to confirm the document of "+v.Name, func() bool {
			a := faultTry(t, http.MethodGet, h.URL+"/npm/"+v.Name)
			return has(a, "1.0.0") && !a.stale()
		})
	}
}

func TestBreakerOpensOnUpstreamsFaultsAndClosesAgain(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "broken", Version: "1.0.0", Body: faultBytes(1, 100)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	reg.BreakDocuments(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for i := range 4 {
		if a := faultTry(t, http.MethodGet, fmt.Sprint(h.URL, "/npm/some", i)); a.Status != http.StatusBadGateway {
			t.Fatalf("request %d: %d %s", i, a.Status, a.Body)
		}
	}
	if n := reg.Total(); n != 5 {
		t.Errorf("a failing upstream was asked %d times, want 5 until the breaker opened", n)
	}
	for i := range 20 {
		if a := faultTry(t, http.MethodGet, fmt.Sprint(h.URL, "/npm/more", i)); a.Status != http.StatusBadGateway {
			t.Fatalf("while open: %d %s", a.Status, a.Body)
		}
	}
	if n := reg.Total(); n > 6 {
		t.Errorf("an open breaker let %d requests through", n-5)
	}
	reg.BreakDocuments(nil)
	eventually(t, "to close the breaker", func() bool {
		return has(faultTry(t, http.MethodGet, h.URL+"/npm/broken"), "1.0.0")
	})
	for i := range 10 {
		if a := faultTry(t, http.MethodGet, fmt.Sprint(h.URL, "/npm/absent", i)); a.Status != http.StatusNotFound {
			t.Fatalf("once closed: %d %s", a.Status, a.Body)
		}
	}
}

func TestClientsMistakesAndAbortsDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "fine", Version: "1.0.0", Body: faultBytes(1, 1<<20)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	for i := range 12 {
		if a := faultTry(t, http.MethodGet, fmt.Sprint(h.URL, "/npm/absent", i)); a.Status != http.StatusNotFound {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	gate := newFaultGate(t)
	reg.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { gate.Wait(r) }))
	var aborted sync.WaitGroup
	for i := range 12 {
		method, path, body := http.MethodPost, "/npm/-/npm/v1/security/advisories/bulk", io.Reader(strings.NewReader("{}"))
		if i%2 == 0 {
			method, path, body = http.MethodGet, fmt.Sprint("/npm/waiting", i), nil
		}
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, method, h.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		asked := reg.Total()
		aborted.Go(func() {
			if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
				resp.Body.Close()
				t.Errorf("request %d was answered with %d", i, resp.StatusCode)
			}
		})
		eventually(t, "to ask upstream", func() bool { return reg.Total() > asked })
		leave()
	}
	aborted.Wait()
	eventually(t, "to note that clients left", func() bool {
		_, _, metrics := get(t, h.URL+"/metrics")
		return strings.Contains(string(metrics), `entrepot_requests_total{repository="npm",status="499"} 12`)
	})
	reg.Serve(reg)
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
}

func TestSecondUpstreamIsAskedInOrder(t *testing.T) {
	t.Parallel()
	first := startFaultRegistry(t, faultVersion{Name: "both", Version: "1.0.0", Body: faultBytes(1, 100)})
	only := faultVersion{Name: "second", Version: "2.0.0", Body: faultBytes(2, 100)}
	second := startFaultRegistry(t, only, faultVersion{Name: "both", Version: "9.0.0", Body: faultBytes(3, 100)})
	two := func(failover bool) string {
		return fmt.Sprintf(`
cooldown { default = "0" }
repository "npm" {
  upstream "main" {
    url      = %q
    role     = "main"
    failover = %t
  }
  upstream "mirror" {
    url  = %q
    role = "main"
  }
}
`, first.URL, failover, second.URL)
	}
	h := startHost(t, two(false))
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/both"); !has(a, "1.0.0") || has(a, "9.0.0") {
		t.Errorf("the first upstream has it, and the answer is %d %s", a.Status, a.Body)
	}
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/second"); !has(a, "2.0.0") {
		t.Errorf("only the second upstream has it, and the answer is %d %s", a.Status, a.Body)
	}
	faultGet(t, h.URL+"/npm"+only.path(), only.Body)
	first.BreakDocuments(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	asked := second.Total()
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/never"); a.Status != http.StatusBadGateway || second.Total() != asked {
		t.Errorf("the first upstream fails and is no failover: %d, and the second was asked %d times", a.Status, second.Total()-asked)
	}
	h = startHost(t, two(true))
	if a := faultTry(t, http.MethodGet, h.URL+"/npm/both"); !has(a, "9.0.0") {
		t.Errorf("the first upstream fails and is a failover: %d %s", a.Status, a.Body)
	}
}
