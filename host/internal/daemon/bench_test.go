package daemon

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"

	"github.com/entrepot-registry/entrepot/host/internal/config"
)

// BenchmarkWarm is what an answer from what is kept costs in the host, without
// the network: one of 1,000 packages each time.
func BenchmarkWarm(b *testing.B) {
	const packages = 1000
	files := map[string][]byte{}
	up := httptest.NewServer(nil)
	defer up.Close()
	for i := range packages {
		name := fmt.Sprintf("p%d", i)
		for _, size := range []int{10 << 10, 200 << 10} {
			files[fmt.Sprintf("/%s/-/%s-1.0.%d.tgz", name, name, size)] = []byte(strings.Repeat(name, size/len(name)))
		}
		var versions, times []string
		for _, size := range []int{10 << 10, 200 << 10} {
			path := fmt.Sprintf("/%s/-/%s-1.0.%d.tgz", name, name, size)
			sum := sha512.Sum512(files[path])
			versions = append(versions, fmt.Sprintf(`"1.0.%[2]d":{"name":%[1]q,"version":"1.0.%[2]d","dist":{"tarball":"%[3]s%[4]s","integrity":"sha512-%[5]s"}}`,
				name, size, up.URL, path, base64.StdEncoding.EncodeToString(sum[:])))
			times = append(times, fmt.Sprintf(`"1.0.%d":"2020-01-01T00:00:00Z"`, size))
		}
		files["/"+name] = fmt.Appendf(nil, `{"name":%q,"description":%q,"dist-tags":{"latest":"1.0.10240"},"versions":{%s},"time":{%s}}`,
			name, strings.Repeat("words ", 300), strings.Join(versions, ","), strings.Join(times, ","))
	}
	up.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body) // a client that left fails elsewhere
	})
	plugins := b.TempDir()
	if out, err := exec.Command("go", "build", "-o", plugins+"/", "../../../plugins/npm").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	dir := b.TempDir()
	text := fmt.Sprintf("data_dir = %q\nplugin_dir = %q\naccess_log = %q\nrepository \"npm\" {\n  ttl = \"1d\"\n  upstream \"main\" { url = %q }\n}\n",
		filepath.Join(dir, "data"), plugins, filepath.Join(dir, "access.log"), up.URL)
	d, err := New(Options{
		Load:    func() (*config.Config, hcl.Diagnostics) { return config.Parse([]byte(text), "bench.hcl") },
		Version: "bench",
		Log:     hclog.NewNullLogger(),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()

	for _, row := range []struct {
		name, path string
		status     int
	}{
		{"document", "/npm/p%[1]d", 200},
		{"artifact 10 KB", "/npm/p%[1]d/-/p%[1]d-1.0.10240.tgz", 200},
		{"artifact 200 KB", "/npm/p%[1]d/-/p%[1]d-1.0.204800.tgz", 200},
		{"not found", "/npm/missing%d", 404},
	} {
		b.Run(row.name, func(b *testing.B) {
			requests := make([]*http.Request, packages)
			for i := range requests {
				requests[i] = httptest.NewRequest(http.MethodGet, fmt.Sprintf(row.path, i), nil)
				requests[i].Host = "127.0.0.1:8080"
				requests[i].Header.Set("Accept-Encoding", "gzip")
				w := &discard{header: http.Header{}}
				d.server.ServeHTTP(w, requests[i])
				if w.status != row.status {
					b.Fatalf("%s answers %d", requests[i].RequestURI, w.status)
				}
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				w := &discard{header: http.Header{}}
				d.server.ServeHTTP(w, requests[i%packages])
				if w.status != row.status {
					b.Fatalf("%s answers %d", requests[i%packages].RequestURI, w.status)
				}
				i++
			}
		})
	}
}

// discard is a ResponseWriter that throws the body away.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(io.Discard, r)
}
