package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMetricsCountWhatHappens(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "counted", Version: "1.0.0", Body: faultBytes(1, 5000)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	faultGet(t, h.URL+"/npm"+v.path(), v.Body)
	faultTry(t, http.MethodGet, h.URL+"/npm/nobody")
	var status int
	var header http.Header
	var body []byte
	// An answer is counted once it is sent.
	eventually(t, "to count the last request", func() bool {
		status, header, body = get(t, h.URL+"/metrics")
		return strings.Contains(string(body), `entrepot_request_seconds_count{repository="npm"} 3`)
	})
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%d %s", status, header.Get("Content-Type"))
	}
	for _, want := range []string{
		`entrepot_requests_total{repository="npm",status="200"} 2`,
		`entrepot_requests_total{repository="npm",status="404"} 1`,
		`entrepot_response_bytes_total{repository="npm"} 1`,
		`entrepot_request_seconds_count{repository="npm"} 3`,
		`entrepot_upstream_seconds_count{status="200",upstream="` + reg.URL + `"} 2`,
		`entrepot_upstream_seconds_count{status="404",upstream="` + reg.URL + `"} 1`,
		"entrepot_cache_hits_total 1\n",
		`entrepot_plugin_up{plugin="npm"} 1`,
		`entrepot_plugin_restarts_total{plugin="npm"} 0`,
		`entrepot_cooldown_verdicts_total{verdict="served"} `,
		`entrepot_cooldown_verdicts_total{verdict="held"} 0`,
		`entrepot_cooldown_verdicts_total{verdict="refused"} `,
		"go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if strings.Contains(string(body), "entrepot_cache_bytes 0\n") {
		t.Error("the cache takes no bytes")
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if a := faultTry(t, http.MethodGet, h.URL+path); a.Status != http.StatusOK || string(a.Body) != want {
			t.Errorf("%s: %d %q", path, a.Status, a.Body)
		}
	}
}

func TestAccessLogHasALineForEachRequest(t *testing.T) {
	t.Parallel()
	v := faultVersion{Name: "logged", Version: "1.0.0", Body: faultBytes(1, 5000)}
	reg := startFaultRegistry(t, v)
	h := startHost(t, faultConfig(reg.URL))
	ids := map[string]string{}
	for _, path := range []string{"/npm" + v.path(), "/npm" + v.path() + "?a=\"b\\", "/npm/nobody", "/nowhere/%22%5c", "/healthz"} {
		a := faultTry(t, http.MethodGet, h.URL+path, "User-Agent", "probe/1 \"\\")
		id := a.Header.Get("X-Request-Id")
		if id == "" || ids[id] != "" {
			t.Errorf("%s: X-Request-Id %q", path, id)
		}
		ids[id] = path
	}
	h.Stop()
	text, err := os.ReadFile(filepath.Join(h.Dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != len(ids) {
		t.Errorf("%d lines for %d requests", len(lines), len(ids))
	}
	for _, line := range lines {
		var entry struct {
			Time, ID, Client, Method, Path, Repository, Cache, Agent string
			Status, Bytes                                            int
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		path := ids[entry.ID]
		if path == "" || entry.Path != path && !strings.HasPrefix(path, entry.Path) && !strings.Contains(entry.Path, "%22") || entry.Method != "GET" || entry.Client != "127.0.0.1" || entry.Status == 0 || !strings.HasPrefix(entry.Agent, "probe/1") {
			t.Errorf("%q was asked for, and the line says %s", path, line)
		}
		if path == "/npm"+v.path() && (entry.Repository != "npm" || entry.Status != 200 || entry.Bytes != 5000 || !strings.Contains(entry.Cache, "miss")) {
			t.Errorf("a cold file: %s", line)
		}
		delete(ids, entry.ID)
	}
}
