package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// spkFile is a package as Package Center's are: a tar archive with an INFO, an
// icon, a payload that nobody unpacks here, and a signature.
func spkFile(t *testing.T, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: members[i], Mode: 0o644, Size: int64(len(members[i+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(members[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const spkIcon = "\x89PNG\r\n\x1a\nicon"

func spk(t *testing.T, name, version, more string) []byte {
	t.Helper()
	return spkFile(t,
		"INFO", fmt.Sprintf("package=%q\nversion=%q\narch=\"x86_64\"\nos_min_ver=\"7.0-40000\"\ndisplayname=%q\ndescription=\"about it\"\ndisplayname_ger=\"Auf Deutsch\"\n%s", name, version, name, more),
		"PACKAGE_ICON.PNG", spkIcon, "package.tgz", "\xfd7zXZ\x00payload of "+name+" "+version, "scripts/postinst", "#!/bin/sh\n", "syno_signature.asc", "-----BEGIN PGP SIGNATURE-----\n")
}

// spkQuestion is what a device of DSM 7 asks.
const spkQuestion = "unique=synology_apollolake_918%2B&arch=apollolake&major=7&minor=2&build=64570&language=ger&timezone=Berlin&package_update_channel=stable"

type spkIndex struct {
	Packages []struct {
		Package, Version, Dname, Link, MD5 string
		Size                               int64
		Thumbnail                          []string
	}
	Keyrings []string
}

// spkList asks a source, and returns what it lists with its versions.
func spkList(t *testing.T, address string) (spkIndex, map[string]string) {
	t.Helper()
	status, _, body := get(t, address)
	var i spkIndex
	if err := json.Unmarshal(body, &i); err != nil || status != http.StatusOK {
		t.Fatalf("%s is answered with %d %s", address, status, body)
	}
	all := map[string]string{}
	for _, p := range i.Packages {
		all[p.Package] = p.Version
	}
	return i, all
}

// hostingSPK has the names acme-*, which are ours, beside a source that has a
// higher version of one.
func hostingSPK(t *testing.T, settings string) (*Upstream, *Host) {
	t.Helper()
	sonar := spk(t, "sonar", "1.0-1", "")
	up := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			_, _ = w.Write(sonar)
			return
		}
		_, _ = w.Write(marshal(t, map[string]any{"packages": []any{
			map[string]any{"package": "acme-lamp", "version": "99.0-1", "link": "bait.spk"},
			map[string]any{"package": "sonar", "version": "1.0-1", "link": "sonar.spk", "md5": fmt.Sprintf("%x", md5.Sum(sonar)), "size": len(sonar)},
		}, "keyrings": []string{"a key"}}))
	}))
	return up, startHost(t, fmt.Sprintf("cooldown {\n  default = \"3d\"\n}\nrepository \"spk\" {\n  upstream \"main\" { url = %q }\n  hosted { names = [\"acme-*\"] }\n%s\n}\n", up.URL, settings))
}

func TestHostingSPKPublishes(t *testing.T) {
	t.Parallel()
	up, h := hostingSPK(t, "")
	at := h.URL + "/spk"
	token := "Bearer " + h.token(t, "ci", "--allow", "publish,delete:spk:acme-*")
	for version, method := range map[string]string{"1.9-0009": http.MethodPut, "1.10-0010": http.MethodPost} {
		path := map[string]string{http.MethodPut: "/packages/anything.spk", http.MethodPost: "/api/packages"}[method]
		if status, body := hostingSend(t, method, at+path, token, "application/octet-stream", spk(t, "acme-lamp", version, "")); status != http.StatusCreated || !strings.Contains(body, version) {
			t.Fatalf("%s is answered with %d %s", method, status, body)
		}
	}
	index, listed := spkList(t, at+"/?"+spkQuestion)
	if listed["acme-lamp"] != "1.10-0010" || listed["sonar"] != "1.0-1" || len(listed) != 2 || len(index.Keyrings) != 1 || index.Packages[0].Dname != "Auf Deutsch" {
		t.Errorf("the source lists %+v", index)
	}
	for _, p := range index.Packages {
		status, _, body := get(t, p.Link)
		if want := spk(t, p.Package, p.Version, ""); status != http.StatusOK || !bytes.Equal(body, want) || p.MD5 != fmt.Sprintf("%x", md5.Sum(want)) || p.Size != int64(len(want)) {
			t.Errorf("%s is answered with %d and %d bytes, want %d", p.Link, status, len(body), len(want))
		}
		for _, icon := range p.Thumbnail {
			if status, header, body := get(t, icon); status != http.StatusOK || string(body) != spkIcon || header.Get("Content-Type") != "image/png" {
				t.Errorf("%s is answered with %d %q", icon, status, body)
			}
		}
	}
	// Older devices ask with a form.
	for _, query := range []string{"", "?language=ger"} {
		resp, err := http.Post(at+"/"+query, "application/x-www-form-urlencoded", strings.NewReader(spkQuestion))
		if err != nil {
			t.Fatal(err)
		}
		var posted spkIndex
		err = json.NewDecoder(resp.Body).Decode(&posted)
		resp.Body.Close()
		if err != nil || len(posted.Packages) != 2 || posted.Packages[0].Version != "1.10-0010" {
			t.Errorf("a form is answered with %d %+v (%v)", resp.StatusCode, posted, err)
		}
	}
	for query, want := range map[string]int{"": 400, "arch=apollolake": 400, "arch=a%2Fb&build=1": 400, "arch=apollolake&build=x": 400} {
		if status, _, body := get(t, at+"/?"+query); status != want {
			t.Errorf("%q is answered with %d %s", query, status, body)
		}
	}
	old, err := url.ParseQuery(spkQuestion)
	if err != nil {
		t.Fatal(err)
	}
	old.Set("arch", "armada38x")
	if _, listed := spkList(t, at+"/?"+old.Encode()); listed["acme-lamp"] != "" || listed["sonar"] == "" {
		t.Errorf("a device of another platform gets %v", listed)
	}
	if status, _, _ := get(t, at+"/packages/acme-lamp/99.0-1/0123456789ab/bait.spk"); status != http.StatusNotFound {
		t.Errorf("what only upstream has is answered with %d", status)
	}
	if status, _, _ := do(t, http.MethodDelete, at+"/packages/acme-lamp/1.10-0010", "Authorization", token); status != http.StatusNoContent {
		t.Errorf("a delete is answered with %d", status)
	}
	if _, listed := spkList(t, at+"/?"+spkQuestion); listed["acme-lamp"] != "1.9-0009" {
		t.Errorf("after it, the source lists %v", listed)
	}
	for request := range up.Requests() {
		if strings.Contains(request, "acme") || strings.Contains(request, "bait") {
			t.Errorf("upstream was asked %s", request)
		}
	}
}

func TestHostingSPKRefusals(t *testing.T) {
	t.Parallel()
	_, h := hostingSPK(t, "")
	at := h.URL + "/spk/packages/a.spk"
	token := "Bearer " + h.token(t, "ci", "--allow", "publish:spk")
	good := spk(t, "acme-lamp", "1.0-1", "")
	for name, test := range map[string]struct {
		body   []byte
		token  string
		status int
		says   string
	}{
		"no archive":   {[]byte("nothing"), token, 400, "it is no package (.spk)"},
		"no INFO":      {spkFile(t, "package.tgz", "x"), token, 400, "it is no package (.spk)"},
		"no version":   {spkFile(t, "INFO", "package=\"acme-lamp\"\n"), token, 400, "which is none"},
		"a bad name":   {spkFile(t, "INFO", "package=\"../acme\"\nversion=\"1\"\n"), token, 400, "which no package can be called"},
		"a bad icon":   {spkFile(t, "INFO", "package=\"acme-lamp\"\nversion=\"1\"\n", "PACKAGE_ICON.PNG", "<svg>"), token, 400, "is no PNG file"},
		"slip":         {spkFile(t, "INFO", "package=\"acme-lamp\"\nversion=\"1\"\n", "../evil", "x"), token, 400, "leads elsewhere"},
		"twice":        {spkFile(t, "INFO", "package=\"acme-lamp\"\nversion=\"1\"\n", "INFO", "x"), token, 400, "stands twice"},
		"cut off":      {good[:600], token, 400, "the archive is refused"},
		"another name": {spk(t, "sonar", "9.0-1", ""), token, 403, "cannot be published"},
		"no token":     {good, "", 401, ""},
		"good":         {good, token, 201, ""},
	} {
		if status, body := hostingSend(t, http.MethodPut, at, test.token, "application/octet-stream", test.body); status != test.status || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := hostingSend(t, http.MethodPut, at, token, "", spk(t, "acme-lamp", "1.0-1", "beta=\"yes\"\n")); status != http.StatusConflict {
		t.Errorf("the same version again: %d %s", status, body)
	}
}

// TestHostingSPKDirectory serves packages that lie in a directory, without any
// upstream that answers.
func TestHostingSPKDirectory(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "whatever it is called.spk"), spk(t, "acme-lamp", "1.0-1", ""), 0o644); err != nil {
		t.Fatal(err)
	}
	h := startHost(t, fmt.Sprintf("repository \"spk\" {\n  hosted { names = [\"*\"] }\n  directory %q {}\n}\n", tree))
	eventually(t, "to list the package", func() bool {
		_, listed := spkList(t, h.URL+"/spk/?"+spkQuestion)
		return listed["acme-lamp"] == "1.0-1"
	})
}

// TestSPKYoungPackages has a package appear upstream, which is held back while
// the one before it is served, also by its own address.
func TestSPKYoungPackages(t *testing.T) {
	t.Parallel()
	version := "1.0-1"
	up := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			fmt.Fprint(w, "bytes of "+r.URL.Path)
			return
		}
		_, _ = w.Write(marshal(t, []any{map[string]any{"package": "sonar", "version": version, "link": "sonar-" + version + ".spk"}}))
	}))
	h := startHost(t, fmt.Sprintf("cooldown {\n  default = \"3d\"\n}\nrepository \"spk\" {\n  ttl = \"1ms\"\n  upstream \"main\" { url = %q }\n}\n", up.URL))
	first, _ := spkList(t, h.URL+"/spk/?"+spkQuestion)
	version = "2.0-1"
	second, listed := spkList(t, h.URL+"/spk/?"+spkQuestion)
	if listed["sonar"] != "1.0-1" {
		t.Errorf("a young package is listed: %v", listed)
	}
	if status, _, body := get(t, second.Packages[0].Link); status != http.StatusOK || string(body) != "bytes of /sonar-1.0-1.spk" || first.Packages[0].Link != second.Packages[0].Link {
		t.Errorf("the package before it is answered with %d %s", status, body)
	}
	h.Configure(t, fmt.Sprintf("cooldown {\n  default = \"0\"\n}\nrepository \"spk\" {\n  ttl = \"1ms\"\n  upstream \"main\" { url = %q }\n}\n", up.URL))
	if _, listed := spkList(t, h.URL+"/spk/?"+spkQuestion); listed["sonar"] != "2.0-1" {
		t.Errorf("without a cool-down the source lists %v", listed)
	}
}
