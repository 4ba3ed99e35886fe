package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// startPyPI plays a Python index with the releases as wheels, and brine, of
// which there is a source distribution only. The files stand on another server
// than the index.
func startPyPI(t testing.TB) *fixture {
	t.Helper()
	pages, bodies := newShelf(), newShelf()
	index, files := startUpstream(t, pages), startUpstream(t, bodies)
	f := &fixture{
		repository: "pypi",
		upstream:   fmt.Sprintf(`upstream "main" { url = %q }`, index.URL),
		servers:    []*Upstream{index, files},
		files:      map[string]*fixtureFile{},
	}
	brine := release{name: "brine", version: "1.0.0", age: 365 * day}
	grouped(append([]release{brine}, releases...), func(name string, of []release) {
		var listed []any
		var versions []string
		old := map[string]any{}
		for _, r := range of {
			filename, body, metadata := wheelName(r), []byte(nil), wheelMetadata(r)
			if r == brine {
				filename = r.name + "-" + r.version + ".tar.gz"
				body = sdist(t, r)
			} else {
				body = wheel(t, r)
			}
			sum := sha256Hex(body)
			path := fmt.Sprintf("/packages/%s/%s/%s/%s", sum[:2], sum[2:4], sum[4:], filename)
			file := &fixtureFile{release: r, here: "/files" + path, path: path, on: files, shelf: bodies, body: body, digest: sum}
			f.files[r.String()] = file
			file.mend()
			entry := map[string]any{
				"filename": filename, "url": files.URL + path, "hashes": map[string]string{"sha256": sum}, "size": len(body),
				"requires-python": ">=3.7", "yanked": false, "provenance": nil,
			}
			if r != brine {
				bodies.put(path+".metadata", "application/octet-stream", metadata)
				entry["core-metadata"] = map[string]string{"sha256": sha256Hex(metadata)}
				entry["data-dist-info-metadata"] = entry["core-metadata"]
			}
			if r.withdrawn != "" {
				entry["yanked"] = r.withdrawn
			}
			if !r.undated {
				entry["upload-time"] = pypiTime(r.published())
			}
			listed, versions = append(listed, entry), append(versions, r.version)
			old[r.version] = []any{map[string]any{"filename": filename, "url": files.URL + path, "digests": map[string]string{"sha256": sum}, "upload_time_iso_8601": pypiTime(r.published())}}
		}
		pages.put("/simple/"+name+"/", "application/vnd.pypi.simple.v1+json", marshal(t, map[string]any{
			"meta": map[string]any{"api-version": "1.4", "_last-serial": 7}, "name": name, "files": listed, "versions": versions,
			"alternate-locations": []string{}, "project-status": map[string]string{"status": "active"},
		}))
		pages.put("/pypi/"+name+"/json", "application/json", marshal(t, map[string]any{
			"info": map[string]any{"name": name, "version": versions[len(versions)-1]}, "releases": old, "urls": []any{}, "last_serial": 7,
		}))
	})
	return f
}

// onAnotherHost has the files at a name for loopback that the configuration
// does not say.
func onAnotherHost(t testing.TB, f *fixture) {
	t.Helper()
	u, err := url.Parse(f.servers[1].URL)
	if err != nil {
		t.Fatal(err)
	}
	pages := f.servers[0].handler.(*shelf)
	pages.mu.Lock()
	defer pages.mu.Unlock()
	for path, item := range pages.items {
		item.body = bytes.ReplaceAll(item.body, []byte(u.Host), []byte("localhost:"+u.Port()))
		pages.items[path] = item
	}
}

func pypiTime(t time.Time) string { return t.Format("2006-01-02T15:04:05.000000Z") }

func wheelName(r release) string { return r.name + "-" + r.version + "-py3-none-any.whl" }

func wheelMetadata(r release) []byte {
	text := fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\nRequires-Python: >=3.7\n", r.name, r.version)
	if r.needs != "" {
		text += fmt.Sprintf("Requires-Dist: %s<2,>=1.0.0\n", r.needs)
	}
	return []byte(text)
}

func wheel(t testing.TB, r release) []byte {
	t.Helper()
	info := r.name + "-" + r.version + ".dist-info/"
	files := map[string][]byte{
		r.name + "/__init__.py": []byte(fmt.Sprintf("NAME = %q\n", r.String())),
		r.name + "/data.bin":    r.data(),
		info + "METADATA":       wheelMetadata(r),
		info + "WHEEL":          []byte("Wheel-Version: 1.0\nGenerator: entrepot\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
	}
	var record strings.Builder
	for _, name := range sortedKeys(files) {
		sum := sha256.Sum256(files[name])
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", name, base64.RawURLEncoding.EncodeToString(sum[:]), len(files[name]))
	}
	files[info+"RECORD"] = []byte(record.String() + info + "RECORD,,\n")
	var members []string
	for _, name := range sortedKeys(files) {
		members = append(members, name, string(files[name]))
	}
	return zipped(t, members...)
}

// sdist is a source distribution that builds without anything from elsewhere.
func sdist(t testing.TB, r release) []byte {
	t.Helper()
	dir := r.name + "-" + r.version + "/"
	return tarball(t, map[string][]byte{
		dir + "PKG-INFO":       wheelMetadata(r),
		dir + "pyproject.toml": []byte("[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n"),
		dir + "data.bin":       r.data(),
		dir + "backend.py": []byte(fmt.Sprintf(`import zipfile

NAME, VERSION = %q, %q

def build_wheel(directory, config_settings=None, metadata_directory=None):
    info = f"{NAME}-{VERSION}.dist-info/"
    wheel = f"{NAME}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{wheel}", "w") as z:
        z.writestr(f"{NAME}/__init__.py", "")
        z.write("data.bin", f"{NAME}/data.bin")
        z.write("PKG-INFO", info + "METADATA")
        z.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: entrepot\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(info + "RECORD", "".join(f"{name},,\n" for name in z.namelist() + [info + "RECORD"]))
    return wheel
`, r.name, r.version)),
	})
}
