package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// hostingPyPI has the names acme-*, spelled as people may, which are ours, beside an upstream that has
// a project of such a name as well.
func hostingPyPI(t *testing.T, settings string) (*fixture, *Host) {
	t.Helper()
	f := startPyPI(t)
	bait := release{name: "acme_tide", version: "9.9.9"}
	pages, files := f.servers[0].handler.(*shelf), f.servers[1].handler.(*shelf)
	files.put("/bait/"+wheelName(bait), "application/octet-stream", wheel(t, bait))
	pages.put("/simple/acme-tide/", "text/html", fmt.Appendf(nil, "<a href=%q>%s</a>", f.servers[1].URL+"/bait/"+wheelName(bait), wheelName(bait)))
	pages.put("/simple/", "application/vnd.pypi.simple.v1+json", []byte(`{"meta":{"api-version":"1.0"},"projects":[{"name":"acme-bait"},{"name":"shell"},{"name":"tide"}]}`))
	return f, startHost(t, f.config("3d", "hosted {\n  names = [\"Acme_*\"]\n"+settings+"\n}"))
}

// hostingPyPIAsked are the requests to upstream that have a name of ours.
func hostingPyPIAsked(f *fixture) []string {
	var all []string
	for line := range strings.Lines(f.requests()) {
		if strings.Contains(line, "acme") {
			all = append(all, line)
		}
	}
	return all
}

// hostingPyPIDist writes a wheel and a source distribution to a project's folder
// dist.
func hostingPyPIDist(t *testing.T, p *project, r release) (wheelBody, sdistBody []byte) {
	t.Helper()
	wheelBody, sdistBody = wheel(t, r), sdist(t, r)
	p.write(t, "dist/"+wheelName(r), string(wheelBody))
	p.write(t, "dist/"+r.name+"-"+r.version+".tar.gz", string(sdistBody))
	return wheelBody, sdistBody
}

// hostingPyPITwine publishes all in a project's folder dist.
func hostingPyPITwine(t *testing.T, p *project, token string, args ...string) (string, error) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.root, "dist/*"))
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"upload", "--non-interactive", "--disable-progress-bar", "--verbose", "--repository-url", p.url + "/legacy/", "-u", "__token__", "-p", token}, args...)
	return p.run(t, needs(t, "twine"), append(args, files...)...)
}

// hostingPyPIPost publishes a file without a client; fields are names and values
// in turn.
func hostingPyPIPost(t testing.TB, url, token, file string, body []byte, fields ...string) (int, string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	err := w.WriteField(":action", "file_upload")
	verified := false
	for i := 0; i+1 < len(fields) && err == nil; i += 2 {
		err = w.WriteField(fields[i], fields[i+1])
		verified = verified || strings.HasSuffix(fields[i], "_digest")
	}
	if err == nil && !verified {
		err = w.WriteField("sha256_digest", sha256Hex(body))
	}
	if err == nil {
		to, failed := w.CreateFormFile("content", file)
		if err = failed; err == nil {
			_, err = to.Write(body)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	return hostingSend(t, http.MethodPost, url+"/legacy/", token, w.FormDataContentType(), b.Bytes())
}

// hostingPyPIPage is a project's page in JSON.
type hostingPyPIPage struct {
	Files []struct {
		Filename, URL, Provenance string
		Hashes                    map[string]string
		Size                      int
		Yanked                    any
		RequiresPython            string            `json:"requires-python"`
		CoreMetadata              map[string]string `json:"core-metadata"`
	}
	Versions []string
}

func hostingPyPIGet(t *testing.T, url, project string) hostingPyPIPage {
	t.Helper()
	status, _, body := get(t, url+"/simple/"+project+"/", "Accept", "application/vnd.pypi.simple.v1+json")
	var page hostingPyPIPage
	if err := json.Unmarshal(body, &page); err != nil || status != http.StatusOK {
		t.Fatalf("the page of %s is answered with %d: %s (%v)", project, status, body, err)
	}
	return page
}

// hostingPyPIInstalls installs a requirement in a new project and checks which
// release it got.
func hostingPyPIInstalls(t *testing.T, c *client, url, requirement string, want release) string {
	t.Helper()
	p := c.project(t, url)
	line := p.into(requirement)
	out := p.must(t, line[0], line[1:]...)
	if got := p.read(t, "site/"+want.name+"/data.bin"); got != string(want.data()) {
		t.Errorf("%s: what is installed for %s is not %s:\n%s", c.name, requirement, want, out)
	}
	return out
}

func TestHostingPyPIPublishesWithTwine(t *testing.T) {
	t.Parallel()
	needs(t, "twine")
	f, h := hostingPyPI(t, "")
	p := pipClient.project(t, mount(h, f))
	tide := release{name: "acme_tide", version: "1.0.0", needs: "shell"} // one dependency is upstream's
	wheelBody, sdistBody := hostingPyPIDist(t, p, tide)
	token := h.token(t, "alice", "--allow", "publish:pypi")
	if out, err := hostingPyPITwine(t, p, token); err != nil {
		t.Fatalf("twine upload: %v\n%s", err, out)
	}
	page := hostingPyPIGet(t, mount(h, f), "acme-tide")
	if len(page.Files) != 2 || len(page.Versions) != 1 {
		t.Fatalf("the page has %+v", page)
	}
	for _, file := range page.Files {
		body := sdistBody
		if strings.HasSuffix(file.Filename, ".whl") {
			body = wheelBody
			_, _, metadata := get(t, file.URL+".metadata")
			if string(metadata) != string(wheelMetadata(tide)) || file.CoreMetadata["sha256"] != sha256Hex(metadata) {
				t.Errorf("the metadata of %s is %q", file.Filename, metadata)
			}
		}
		if _, _, got := get(t, file.URL); !bytes.Equal(got, body) || file.Hashes["sha256"] != sha256Hex(body) || file.Size != len(body) || file.RequiresPython != ">=3.7" {
			t.Errorf("%s is listed as %+v", file.Filename, file)
		}
	}
	each(t, pythonClients, func(t *testing.T, c *client) {
		hostingPyPIInstalls(t, c, mount(h, f), "acme-tide", tide)
		hostingPyPIInstalls(t, c, mount(h, f), "Acme.Tide==1.0", tide)
		q := c.project(t, mount(h, f))
		q.write(t, "requirements.txt", fmt.Sprintf("acme-tide==1.0.0 --hash=sha256:%s\nshell==1.0.0 --hash=sha256:%s\n", sha256Hex(wheelBody), f.file(t, "shell", "1.0.0").digest))
		line := q.into("--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt")
		q.must(t, line[0], line[1:]...)
		out, err := q.run(t, line[0], append(line[1:len(line)-5:len(line)-5], "acme-tide==9.9.9")...)
		c.fails(t, out, err, "installs what upstream has of a name of ours", `9\.9\.9`)
		if asked := hostingPyPIAsked(f); len(asked) > 0 {
			t.Errorf("upstream was asked for names of ours: %v", asked)
		}
	})
}

func TestHostingPyPIBuildsSourceDistributions(t *testing.T) {
	t.Parallel()
	f, h := hostingPyPI(t, "")
	token := h.token(t, "alice", "--allow", "publish:pypi")
	brine := release{name: "acme_brine", version: "1.0.0"}
	if status, body := hostingPyPIPost(t, mount(h, f), token, "acme_brine-1.0.0.tar.gz", sdist(t, brine)); status != http.StatusOK {
		t.Fatal(status, body)
	}
	each(t, pythonClients, func(t *testing.T, c *client) {
		hostingPyPIInstalls(t, c, mount(h, f), "acme-brine", brine)
	})
}

func TestHostingPyPIKnowsWhatIsThere(t *testing.T) {
	t.Parallel()
	needs(t, "twine")
	f, h := hostingPyPI(t, "")
	p := pipClient.project(t, mount(h, f))
	token := h.token(t, "alice", "--allow", "publish,read:pypi")
	hostingPyPIDist(t, p, release{name: "acme_tide", version: "1.0.0"})
	if out, err := hostingPyPITwine(t, p, token); err != nil {
		t.Fatalf("twine upload: %v\n%s", err, out)
	}
	if out, err := hostingPyPITwine(t, p, token); err != nil {
		t.Errorf("twine upload of the same files again: %v\n%s", err, out)
	}
	hostingPyPIPacksAnew(t, p, "dist/acme_tide-1.0.0.tar.gz")
	out, err := hostingPyPITwine(t, p, token)
	pipClient.fails(t, out, err, "publishes a file twice", `(?s)409.*acme-tide 1\.0\.0 is there already`)
	hostingPyPIDist(t, p, release{name: "acme_tide", version: "1.1.0"})
	// Twine knows --skip-existing only where it has the public registry's address.
	python := pythonOf(t, p, needs(t, "twine"))
	p.write(t, "anywhere.py", "import sys\nfrom twine import __main__, settings\nsettings.Settings.verify_feature_capability = lambda self: None\nsys.exit(__main__.main())\n")
	out, err = p.run(t, python, "anywhere.py", "upload", "--skip-existing", "--disable-progress-bar", "--repository-url", p.url+"/legacy/", "-u", "__token__", "-p", token,
		"dist/acme_tide-1.0.0.tar.gz", "dist/acme_tide-1.0.0-py3-none-any.whl", "dist/acme_tide-1.1.0.tar.gz", "dist/acme_tide-1.1.0-py3-none-any.whl")
	if err != nil || strings.Count(out, "Skipping acme_tide-1.0.0") != 1 {
		t.Errorf("twine upload --skip-existing: %v\n%s", err, out)
	}
	if page := hostingPyPIGet(t, mount(h, f), "acme-tide"); len(page.Files) != 4 || strings.Join(page.Versions, " ") != "1.0.0 1.1.0" {
		t.Errorf("the page has %+v", page)
	}
}

// hostingPyPIPacksAnew has a source distribution be the same in other bytes.
func hostingPyPIPacksAnew(t *testing.T, p *project, file string) {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(p.read(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	w, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, r); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p.write(t, file, b.String())
}

// pythonOf is the Python that a program is installed for: the usual one, or that
// in the program's first line.
func pythonOf(t *testing.T, p *project, program string) string {
	t.Helper()
	if _, err := p.run(t, "python3", "-c", "import "+filepath.Base(program)); err == nil {
		return "python3"
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(strings.TrimPrefix(string(text), "#!"), "\n")
	return line
}

func TestHostingPyPIPublishesWithUV(t *testing.T) {
	t.Parallel()
	uvClient.needed(t)
	f, h := hostingPyPI(t, "")
	token := h.token(t, "alice", "--allow", "publish,read:pypi")
	p := uvClient.project(t, mount(h, f))
	tide := release{name: "acme_tide", version: "1.0.0"}
	hostingPyPIDist(t, p, tide)
	publish := func(args ...string) (string, error) {
		args = append([]string{"publish", "--trusted-publishing", "never", "--publish-url", p.url + "/legacy/", "--username", "__token__", "--password", token}, args...)
		return p.run(t, "uv", append(args, "dist/*")...)
	}
	if out, err := publish(); err != nil {
		t.Fatalf("uv publish: %v\n%s", err, out)
	}
	hostingPyPIInstalls(t, uvClient, mount(h, f), "acme-tide", tide)
	if out, err := publish(); err != nil {
		t.Errorf("uv publish of the same files again: %v\n%s", err, out)
	}
	if out, err := publish("--check-url", p.url+"/simple/"); err != nil || !strings.Contains(out, "already exists") {
		t.Errorf("uv publish --check-url: %v\n%s", err, out)
	}
	hostingPyPIPacksAnew(t, p, "dist/acme_tide-1.0.0.tar.gz")
	out, err := publish()
	uvClient.fails(t, out, err, "publishes a file twice", `409`)
	p = uvClient.project(t, mount(h, f))
	hostingPyPIDist(t, p, release{name: "tide", version: "2.0.0"})
	out, err = publish()
	uvClient.fails(t, out, err, "captures a public name", `(?s)403.*tide cannot be published in repository "pypi": its names are Acme_\*`)
}

func TestHostingPyPIYanks(t *testing.T) {
	t.Parallel()
	f, h := hostingPyPI(t, "")
	token := h.token(t, "alice", "--allow", "publish,delete:pypi:acme-*")
	first, second := release{name: "acme_tide", version: "1.0.0"}, release{name: "acme_tide", version: "1.1.0"}
	for _, r := range []release{first, second} {
		if status, body := hostingPyPIPost(t, mount(h, f), token, wheelName(r), wheel(t, r)); status != http.StatusOK {
			t.Fatal(status, body)
		}
	}
	yank := mount(h, f) + "/api/Acme_Tide/1.1/yank"
	if status, body := hostingSend(t, http.MethodPut, yank+"?reason=it+sank", token, "", nil); status != http.StatusOK {
		t.Fatal(status, body)
	}
	if status, body := hostingPyPIPost(t, mount(h, f), token, "acme_tide-1.1.0.tar.gz", sdist(t, second)); status != http.StatusOK {
		t.Fatal(status, body)
	}
	for _, file := range hostingPyPIGet(t, mount(h, f), "acme-tide").Files {
		if want := any("it sank"); strings.Contains(file.Filename, "1.1.0") && file.Yanked != want || strings.Contains(file.Filename, "1.0.0") && file.Yanked != false {
			t.Errorf("%s is yanked: %v", file.Filename, file.Yanked)
		}
	}
	if _, _, page := get(t, mount(h, f)+"/simple/acme-tide/"); strings.Count(string(page), `data-yanked="it sank"`) != 2 {
		t.Errorf("the page in HTML is\n%s", page)
	}
	for _, c := range pythonClients {
		hostingPyPIInstalls(t, c, mount(h, f), "acme-tide", first)
		if out := hostingPyPIInstalls(t, c, mount(h, f), "acme-tide==1.1.0", second); !strings.Contains(out, "it sank") {
			t.Errorf("%s does not say why it was yanked:\n%s", c.name, out)
		}
	}
	if status, body := hostingSend(t, http.MethodDelete, yank, token, "", nil); status != http.StatusOK {
		t.Fatal(status, body)
	}
	hostingPyPIInstalls(t, pipClient, mount(h, f), "acme-tide", second)
	whole := mount(h, f) + "/api/Acme_Tide/1.1"
	if status, _ := hostingSend(t, http.MethodDelete, whole, h.token(t, "rash", "--allow", "publish:pypi"), "", nil); status != http.StatusForbidden {
		t.Errorf("a deletion without being allowed to: %d", status)
	}
	if status, body := hostingSend(t, http.MethodDelete, whole, token, "", nil); status != http.StatusOK {
		t.Errorf("a version is not deleted: %d %s", status, body)
	}
	if page := hostingPyPIGet(t, mount(h, f), "acme-tide"); len(page.Files) != 1 || page.Files[0].Filename != wheelName(first) {
		t.Errorf("after a deletion of 1.1.0 there are %v", page.Files)
	}
	second.needs = "other"
	if status, body := hostingPyPIPost(t, mount(h, f), token, wheelName(second), wheel(t, second)); status != http.StatusConflict {
		t.Errorf("what was deleted is published with other bytes: %d %s", status, body)
	}
	for path, want := range map[string]int{"/api/acme-tide/7.0/yank": 404, "/api/tide/1.0.0/yank": 403} {
		if status, body := hostingSend(t, http.MethodPut, mount(h, f)+path, token, "", nil); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	if status, _ := hostingSend(t, http.MethodPut, yank, h.token(t, "hasty", "--allow", "publish:pypi"), "", nil); status != http.StatusForbidden {
		t.Errorf("a yank without being allowed to: %d", status)
	}
}

// TestHostingPyPIRefusesFiles publishes what is no package, or not the one that
// it says it is, and finds nothing stored.
func TestHostingPyPIRefusesFiles(t *testing.T) {
	t.Parallel()
	f, h := hostingPyPI(t, "")
	token := h.token(t, "alice", "--allow", "publish:pypi")
	tide := release{name: "acme_tide", version: "1.0.0"}
	name, good, at := wheelName(tide), wheel(t, tide), "acme_tide-1.0.0.dist-info/METADATA"
	metadata := string(wheelMetadata(tide))
	for _, test := range []struct {
		name, file string
		body       []byte
		fields     []string
		says       string
	}{
		{"no archive", name, []byte("nothing"), nil, "no METADATA"},
		{"no metadata", name, zipped(t, "a", "b"), nil, "no METADATA"},
		{"two metadata", name, zipped(t, at, metadata, "b-1.dist-info/METADATA", metadata), nil, "of several packages"},
		{"another name in the file's", "acme_moon-1.0.0-py3-none-any.whl", good, nil, "which its name acme_moon-1.0.0-py3-none-any.whl does not say"},
		{"another version in the file's name", "acme_tide-1.1.0-py3-none-any.whl", good, nil, "does not say"},
		{"another folder", name, zipped(t, "acme_moon-1.0.0.dist-info/METADATA", metadata), nil, "stands in a folder called acme_moon-1.0.0"},
		{"another name in the form", name, good, []string{"name", "acme-moon", "version", "1.0.0"}, "the form is about acme-moon"},
		{"another version in the form", name, good, []string{"name", "acme-tide", "version", "1.1.0"}, "the form is about version 1.1.0"},
		{"another digest", name, good, []string{"sha256_digest", strings.Repeat("0", 64)}, "it changed on its way"},
		{"another old digest", name, good, []string{"md5_digest", strings.Repeat("0", 32)}, "it changed on its way"},
		{"a digest that is none", name, good, []string{"sha256_digest", "x"}, "it changed on its way"},
		{"another digest beside the right one", name, good, []string{"sha256_digest", sha256Hex(good), "blake2_256_digest", strings.Repeat("0", 64)}, "it changed on its way"},
		{"no digest", name, good, []string{"md5_digest", ""}, "the form has no digest"},
		{"attestations about another file", name, good, []string{"attestations", hostingPyPIAttestation("other.whl", good)}, "about another file"},
		{"attestations about other bytes", name, good, []string{"attestations", hostingPyPIAttestation(name, nil)}, "about another file"},
		{"attestations that are none", name, good, []string{"attestations", `{}`}, "not those of PEP 740"},
		{"zip slip", name, zipped(t, at, metadata, "../evil", ""), nil, "leads elsewhere"},
		{"a member twice", name, zipped(t, at, metadata, "a", "1", "a", "2"), nil, "stands twice"},
		{"metadata twice by case", name, zipped(t, at, metadata, strings.ToUpper(at), metadata), nil, "where case does not matter"},
		{"a file and a folder", name, zipped(t, at, metadata, "a", "1", "a/b", "2"), nil, "as a folder it has"},
		{"a bomb", name, zipped(t, at, metadata, "bomb", strings.Repeat("\x00", 80<<20)), nil, "unpacks to more"},
		{"an egg", "acme_tide-1.0.0-py3.11.egg", good, nil, "not the name of a wheel"},
		{"a path", `..%2facme_tide-1.0.0.tar.gz`, good, nil, "not the name of a wheel"},
		{"no version", name, zipped(t, at, "Metadata-Version: 2.1\nName: acme-tide\nVersion: new\n"), nil, "does not follow PEP 440"},
		{"no name", name, zipped(t, at, "Metadata-Version: 2.1\nVersion: 1\n"), nil, "names the project"},
		{"an sdist without metadata", "acme_tide-1.0.0.tar.gz", tarball(t, map[string][]byte{"acme_tide-1.0.0/setup.py": nil}), nil, "no PKG-INFO"},
		{"an sdist cut off", "acme_tide-1.0.0.tar.gz", sdist(t, tide)[:5000], nil, "the archive is refused"},
	} {
		if status, body := hostingPyPIPost(t, mount(h, f), token, test.file, test.body, test.fields...); status != http.StatusBadRequest || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d %s", test.name, status, body)
		}
	}
	if status, body := hostingSend(t, http.MethodPost, mount(h, f)+"/legacy/", token, "text/plain", []byte("x")); status != http.StatusBadRequest {
		t.Errorf("no form: %d %s", status, body)
	}
	for _, path := range []string{"/simple/acme-tide/", "/pypi/acme-tide/json", "/packages/acme-tide/" + name} {
		if status, _, body := get(t, mount(h, f)+path); status != http.StatusNotFound {
			t.Errorf("something was stored: %s: %d %s", path, status, body)
		}
	}
	if status, body := hostingPyPIPost(t, mount(h, f), token, name, good, "sha256_digest", strings.ToUpper(sha256Hex(good)), "name", "Acme.Tide", "version", "1.0"); status != http.StatusOK {
		t.Errorf("a good wheel: %d %s", status, body)
	}
	moved := release{name: "Acme_Tide", version: "1.0.0"}
	if status, body := hostingPyPIPost(t, mount(h, f), token, wheelName(moved), wheel(t, moved)); status != http.StatusConflict || !strings.Contains(body, "already exists as "+name) {
		t.Errorf("the same file in another spelling: %d %s", status, body)
	}
}

// hostingPyPIAttestation is an attestation of a file, with nobody's signature.
func hostingPyPIAttestation(file string, body []byte) string {
	statement := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":%q,"digest":{"sha256":%q}}],"predicateType":"https://docs.example.com/publish/v1","predicate":null}`, file, sha256Hex(body))
	return fmt.Sprintf(`[{"version":1,"verification_material":{},"envelope":{"statement":%q,"signature":""}}]`, base64.StdEncoding.EncodeToString([]byte(statement)))
}

func TestHostingPyPIKeepsAttestations(t *testing.T) {
	t.Parallel()
	needs(t, "twine")
	f, h := hostingPyPI(t, "")
	p := pipClient.project(t, mount(h, f))
	tide := release{name: "acme_tide", version: "1.0.0"}
	name, body := wheelName(tide), wheel(t, tide)
	attestation := strings.Trim(hostingPyPIAttestation(name, body), "[]")
	p.write(t, "dist/"+name, string(body))
	p.write(t, "dist/"+name+".publish.attestation", attestation)
	if out, err := hostingPyPITwine(t, p, h.token(t, "alice", "--allow", "publish:pypi"), "--attestations"); err != nil {
		t.Fatalf("twine upload --attestations: %v\n%s", err, out)
	}
	page := hostingPyPIGet(t, mount(h, f), "acme-tide")
	status, header, got := get(t, page.Files[0].Provenance)
	var provenance struct {
		Bundles []struct {
			Publisher    map[string]string
			Attestations []json.RawMessage
		} `json:"attestation_bundles"`
	}
	if err := json.Unmarshal(got, &provenance); err != nil || status != http.StatusOK || header.Get("Content-Type") != "application/vnd.pypi.integrity.v1+json" {
		t.Fatalf("the provenance is answered with %d %s: %s (%v)", status, header.Get("Content-Type"), got, err)
	}
	if len(provenance.Bundles) != 1 || provenance.Bundles[0].Publisher["user"] != "alice" || len(provenance.Bundles[0].Attestations) != 1 {
		t.Fatalf("the provenance is %s", got)
	}
	var kept, sent any
	if err := json.Unmarshal(provenance.Bundles[0].Attestations[0], &kept); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(attestation), &sent); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(marshal(t, kept), marshal(t, sent)) {
		t.Errorf("the attestation is %s, was %s", provenance.Bundles[0].Attestations[0], attestation)
	}
	hostingPyPIInstalls(t, pipClient, mount(h, f), "acme-tide", tide)
}

// TestHostingPyPIAtOnce has many publish files of one project at once: one name
// with other bytes each, and others.
func TestHostingPyPIAtOnce(t *testing.T) {
	t.Parallel()
	f, h := hostingPyPI(t, "")
	token := h.token(t, "alice", "--allow", "publish:pypi")
	const rivals, others = 8, 16
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	won := ""
	for i := range rivals + others {
		version := "1.0.0"
		if i >= rivals {
			version = fmt.Sprintf("2.0.%d", i)
		}
		body := zipped(t, "number", fmt.Sprint(i), "acme_tide-"+version+".dist-info/METADATA", "Metadata-Version: 2.1\nName: acme-tide\nVersion: "+version+"\n")
		wg.Go(func() {
			status, answer := hostingPyPIPost(t, mount(h, f), token, "acme_tide-"+version+"-py3-none-any.whl", body)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case i >= rivals && status != http.StatusOK:
				t.Errorf("%s: %d %s", version, status, answer)
			case i < rivals:
				statuses[status]++
				if status == http.StatusOK {
					won = sha256Hex(body)
				}
			}
		})
	}
	wg.Wait()
	if statuses[http.StatusOK] != 1 || statuses[http.StatusConflict] != rivals-1 {
		t.Errorf("one is to win, and the others are to be told: %v", statuses)
	}
	page := hostingPyPIGet(t, mount(h, f), "acme-tide")
	if len(page.Files) != 1+others || len(page.Versions) != 1+others {
		t.Errorf("the page has %d files and %d versions, want %d", len(page.Files), len(page.Versions), 1+others)
	}
	for _, file := range page.Files {
		if strings.Contains(file.Filename, "-1.0.0-") && file.Hashes["sha256"] != won {
			t.Error("the file is not that of the one who won")
		}
	}
}

func TestHostingPyPIMerges(t *testing.T) {
	t.Parallel()
	f, h := hostingPyPI(t, `merge = ["tide", "spray"]`)
	token := h.token(t, "alice", "--allow", "publish:pypi")
	mended, newer := release{name: "tide", version: "1.0.0", needs: "acme-tide"}, release{name: "tide", version: "1.0.1"}
	for _, r := range []release{newer, {name: "spray", version: "0.9.0"}, {name: "acme_tide", version: "1.0.0"}} {
		if status, body := hostingPyPIPost(t, mount(h, f), token, wheelName(r), wheel(t, r)); status != http.StatusOK {
			t.Fatal(status, body)
		}
	}
	each(t, pythonClients, func(t *testing.T, c *client) {
		hostingPyPIInstalls(t, c, mount(h, f), "tide", newer)
		hostingPyPIInstalls(t, c, mount(h, f), "tide<1.0.1", release{name: "tide", version: "1.0.0"})
		hostingPyPIInstalls(t, c, mount(h, f), "spray", release{name: "spray", version: "0.9.0"})
	})
	_, _, api := get(t, mount(h, f)+"/pypi/tide/json")
	var told struct {
		Info     struct{ Version string }
		Releases map[string][]struct{ URL string }
		URLs     []struct{ URL string }
	}
	if err := json.Unmarshal(api, &told); err != nil || told.Info.Version != "1.0.1" || len(told.Releases["1.0.0"]) != 1 || len(told.Releases["1.0.1"]) != 1 || len(told.URLs) != 1 || told.Releases["1.1.0"] != nil {
		t.Errorf("the JSON API says (%v):\n%s", err, api)
	}
	// A version of ours stands for upstream's with all its files, also for those who
	// kept the address of one.
	var theirs []string
	for _, file := range hostingPyPIGet(t, mount(h, f), "tide").Files {
		if strings.Contains(file.Filename, "-1.0.0-") {
			theirs = append(theirs, file.URL)
		}
	}
	if status, body := hostingPyPIPost(t, mount(h, f), token, wheelName(mended), wheel(t, mended)); status != http.StatusOK {
		t.Fatal(status, body)
	}
	n := 0
	for _, file := range hostingPyPIGet(t, mount(h, f), "tide").Files {
		if strings.Contains(file.Filename, "-1.0.0-") {
			n++
			if want := wheel(t, mended); file.Hashes["sha256"] != sha256Hex(want) {
				t.Errorf("tide 1.0.0 is %+v", file)
			}
		}
	}
	if n != 1 {
		t.Errorf("tide 1.0.0 is listed %d times", n)
	}
	for _, address := range theirs {
		if status, _, body := get(t, address); status != http.StatusNotFound {
			t.Errorf("upstream's file of a version of ours, %s, is answered with %d %.100s", address, status, body)
		}
	}
	if len(theirs) != 1 {
		t.Errorf("upstream's files of tide 1.0.0 were %v", theirs)
	}
	_, _, list := get(t, mount(h, f)+"/simple/", "Accept", "application/vnd.pypi.simple.v1+json")
	var projects struct{ Projects []struct{ Name string } }
	var names []string
	if err := json.Unmarshal(list, &projects); err != nil {
		t.Fatal(err)
	}
	for _, p := range projects.Projects {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "shell tide acme-tide spray" {
		t.Errorf("the projects are %s", got)
	}
	if asked := hostingPyPIAsked(f); len(asked) > 0 {
		t.Errorf("upstream was asked for names of ours: %v", asked)
	}
}

// TestHostingPyPIAlone has a repository that asks no upstream and that nobody
// reads without a token, and ends its host.
func TestHostingPyPIAlone(t *testing.T) {
	t.Parallel()
	pipClient.needed(t)
	dir := t.TempDir()
	config := "repository \"pypi\" {\n  anonymous = []\n  hosted { names = [\"*\"] }\n}\n"
	h := startHostIn(t, dir, config)
	token := h.token(t, "alice", "--allow", "read,publish,delete:pypi")
	auth := []string{"Authorization", token, "Accept", "application/vnd.pypi.simple.v1+json"}
	if status, _, body := get(t, h.URL+"/pypi/simple/", auth...); status != http.StatusOK || !strings.Contains(string(body), `"projects":[]`) {
		t.Errorf("the list of nothing: %d %s", status, body)
	}
	status, header, _ := get(t, h.URL+"/pypi/simple/tide/")
	if status != http.StatusUnauthorized || header.Get("Www-Authenticate") != `Basic realm="entrepot"` {
		t.Errorf("without a token: %d %v", status, header)
	}
	tide := release{name: "tide", version: "1.0.0"}
	if status, body := hostingPyPIPost(t, h.URL+"/pypi", token, wheelName(tide), wheel(t, tide)); status != http.StatusOK {
		t.Fatal(status, body)
	}
	if status, body := hostingSend(t, http.MethodPut, h.URL+"/pypi/api/tide/1.0.0/yank", token, "", nil); status != http.StatusOK {
		t.Fatal(status, body)
	}
	for _, end := range []func(*Host){(*Host).Stop, (*Host).Kill} {
		end(h)
		h = startHostIn(t, dir, config)
		with := strings.Replace(h.URL, "://", "://__token__:"+token+"@", 1) + "/pypi"
		hostingPyPIInstalls(t, pipClient, with, "tide==1.0.0", tide)
		_, _, api := get(t, h.URL+"/pypi/pypi/tide/1.0.0/json", auth...)
		if !regexp.MustCompile(`"name":"tide".*"version":"1\.0\.0","yanked":true`).Match(api) {
			t.Errorf("the JSON API says %s", api)
		}
		if status, _, body := get(t, h.URL+"/pypi/pypi/tide/2.0.0/json", auth...); status != http.StatusNotFound {
			t.Errorf("a version that is not there: %d %s", status, body)
		}
		if status, _, body := get(t, h.URL+"/pypi/simple/nothing/", auth...); status != http.StatusNotFound {
			t.Errorf("a project that is not there: %d %s", status, body)
		}
	}
}
