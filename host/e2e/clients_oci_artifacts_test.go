package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// ociHosting is a host whose names are all its own and that everybody may read,
// with a token that may all.
func ociHosting(t *testing.T, lines ...string) (h *Host, token string) {
	t.Helper()
	h = startHost(t, ociConfig("3d", append(lines, ociOurs, `anonymous = ["read"]`, ociFrom("sea.example.com", "http://127.0.0.1:1"))...))
	return h, h.token(t, "joe", "--allow", "read,publish,delete")
}

// loggedIn is a project of a client that may push.
func (c *ociClient) loggedIn(t *testing.T, h *Host, token string) *project {
	t.Helper()
	p := c.project(t, h.URL)
	if out, err := c.logIn(t, p, registryOf(h.URL), "joe", token); err != nil {
		t.Fatalf("%s does not log in: %v\n%s", c.name, err, out)
	}
	return p
}

// pushes has a client push a layout under a reference.
func (c *ociClient) pushes(t *testing.T, p *project, image *ociContent, reference string) {
	t.Helper()
	image.layout(t, p.root+"/image", "v1")
	if digest, out, err := c.push(t, p, reference); err != nil || digest != image.digest {
		t.Fatalf("%s pushes %s, not %s: %v\n%s", c.name, digest, image.digest, err, out)
	}
}

func TestOCIIndexesArePushedAndPulled(t *testing.T) {
	t.Parallel()
	craneClient.needed(t)
	h, token := ociHosting(t)
	images := []*ociContent{ociImage(t, "tide", "amd64", 1000), ociImage(t, "tide", "arm64", 1000)}
	p, repo := craneClient.loggedIn(t, h, token), registryOf(h.URL)+"/acme/tide"
	var args []string
	for _, image := range images {
		craneClient.pushes(t, p, image, repo+":"+image.platform)
		args = append(args, "-m", repo+":"+image.platform)
	}
	p.must(t, "crane", append([]string{"index", "append", "-t", repo + ":v1"}, args...)...)
	p.must(t, "crane", "validate", "--remote", repo+":v1")
	for _, image := range images {
		if got := strings.TrimSpace(p.must(t, "crane", "digest", "--platform", "linux/"+image.platform, repo+":v1")); got != image.digest {
			t.Errorf("for %s it is %s, not %s", image.platform, got, image.digest)
		}
	}
	t.Run("skopeo", func(t *testing.T) {
		skopeoClient.needed(t)
		q := skopeoClient.loggedIn(t, h, token)
		index := ociIndex(t, images...)
		skopeoClient.pushes(t, q, index, repo+":v2")
		if digest, out, err := skopeoClient.pull(t, q, repo+":v2"); err != nil || digest != index.digest {
			t.Fatalf("%s is pulled: %v\n%s", digest, err, out)
		}
		layoutHas(t, q.root+"/pulled", index)
	})
	if tags := strings.Fields(p.must(t, "crane", "ls", repo)); !slices.Contains(tags, "v1") || !slices.Contains(tags, "arm64") {
		t.Errorf("the tags are %v", tags)
	}
	if names := p.must(t, "crane", "catalog", registryOf(h.URL)); names != "acme/tide\n" {
		t.Errorf("the catalogue has %q", names)
	}
	// What an index points at can be deleted, and only that.
	p.must(t, "crane", "delete", repo+"@"+images[1].digest)
	answered(t, 404, h.URL+"/v2/acme/tide/manifests/arm64")
	answered(t, 404, h.URL+"/v2/acme/tide/manifests/"+images[1].digest)
	answered(t, 200, h.URL+"/v2/acme/tide/manifests/v1")
	answered(t, 200, h.URL+"/v2/acme/tide/manifests/amd64")
}

func TestOCISignaturesAndAttachmentsAreFound(t *testing.T) {
	t.Parallel()
	orasClient.needed(t)
	h, token := ociHosting(t)
	image := ociImage(t, "tide", "amd64", 1000)
	p, repo := orasClient.loggedIn(t, h, token), registryOf(h.URL)+"/acme/tide"
	orasClient.pushes(t, p, image, repo+":v1")
	p.write(t, "sbom.json", `{"packages":[]}`)
	p.write(t, "notes.txt", "high water at noon")
	p.must(t, "oras", "attach", "--plain-http", "--artifact-type", "application/vnd.example.sbom", repo+":v1", "sbom.json:application/json")
	p.must(t, "oras", "attach", "--plain-http", "--artifact-type", "application/vnd.example.notes", "--annotation", "tide=high", repo+":v1", "notes.txt:text/plain")
	var found struct {
		Manifests []struct {
			Digest, ArtifactType string
			Annotations          map[string]string
		}
	}
	discover := func(args ...string) {
		t.Helper()
		found.Manifests = nil
		out := p.must(t, "oras", append([]string{"discover", "--plain-http", "--format", "json", repo + ":v1"}, args...)...)
		if err := json.Unmarshal([]byte(out), &found); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if discover(); len(found.Manifests) != 2 {
		t.Errorf("found %+v", found.Manifests)
	}
	if discover("--artifact-type", "application/vnd.example.notes"); len(found.Manifests) != 1 || found.Manifests[0].Annotations["tide"] != "high" {
		t.Fatalf("found %+v", found.Manifests)
	}
	q := orasClient.project(t, h.URL)
	q.must(t, "oras", "pull", "--plain-http", repo+"@"+found.Manifests[0].Digest)
	if got := q.read(t, "notes.txt"); got != "high water at noon" {
		t.Errorf("the attachment is %q", got)
	}
	a := answered(t, 200, h.URL+"/v2/acme/tide/referrers/"+image.digest+"?artifactType=application/vnd.example.sbom")
	if a.Header.Get("OCI-Filters-Applied") != "artifactType" || a.Header.Get("Content-Type") != ociIndexType || strings.Count(string(a.Body), "sha256:") != 1 {
		t.Errorf("the list of referrers is %v %s", a.Header, a.Body)
	}

	// A signature lies under a tag made of the digest, or refers to it.
	signature := ociArtifact(t, "application/vnd.example.signature", "signed", image)
	name := strings.Replace(image.digest, ":", "-", 1) + ".sig"
	orasClient.pushes(t, p, signature, repo+":"+name)
	if digest := strings.TrimSpace(p.must(t, "oras", "resolve", "--plain-http", repo+":"+name)); digest != signature.digest {
		t.Errorf("the signature is %s", digest)
	}
	if discover(); len(found.Manifests) != 3 {
		t.Errorf("found %+v", found.Manifests)
	}
	resp := ociPut(t, h.URL+"/v2/acme/tide/manifests/"+signature.digest, token, signature)
	if got := resp.Header.Get("OCI-Subject"); resp.Status != http.StatusCreated || got != image.digest {
		t.Errorf("%d, OCI-Subject is %q", resp.Status, got)
	}
	p.must(t, "oras", "manifest", "delete", "--force", "--plain-http", repo+"@"+signature.digest)
	if discover(); len(found.Manifests) != 2 {
		t.Errorf("after one is deleted: %+v", found.Manifests)
	}
}

func TestOCIArtifactsOfAnyKindArePushedAndPulled(t *testing.T) {
	t.Parallel()
	orasClient.needed(t)
	h, token := ociHosting(t)
	p, reference := orasClient.loggedIn(t, h, token), registryOf(h.URL)+"/acme/notes:v1"
	p.write(t, "notes.txt", "high water at noon")
	p.write(t, "chart.bin", string(faultBytes(1, 3<<20)))
	p.must(t, "oras", "push", "--plain-http", "--artifact-type", "application/vnd.example.notes", reference, "notes.txt:text/plain", "chart.bin")
	q := orasClient.project(t, h.URL)
	q.must(t, "oras", "pull", "--plain-http", reference)
	for _, name := range []string{"notes.txt", "chart.bin"} {
		if p.read(t, name) != q.read(t, name) {
			t.Errorf("%s was changed", name)
		}
	}
	p.must(t, "oras", "tag", "--plain-http", reference, "latest")
	if tags := ociTags(t, h.URL+"/v2/acme/notes/tags/list"); !slices.Equal(tags, []string{"latest", "v1"}) {
		t.Errorf("the tags are %v", tags)
	}
	// A copy to another repository mounts what is here.
	p.must(t, "oras", "cp", "--from-plain-http", reference, "--to-plain-http", registryOf(h.URL)+"/acme/copy:v1")
	if got := p.must(t, "oras", "resolve", "--plain-http", registryOf(h.URL)+"/acme/copy:v1"); got != p.must(t, "oras", "resolve", "--plain-http", reference) {
		t.Errorf("the copy is %s", got)
	}
}

var helmClient = &ociClient{
	client: client{name: "helm", program: "helm", set: ociSet},
	logIn: func(t *testing.T, p *project, registry, user, password string) (string, error) {
		return p.run(t, "helm", "registry", "login", "--plain-http", "-u", user, "-p", password, registry)
	},
}

func TestOCIHelmChartsArePushedAndPulled(t *testing.T) {
	t.Parallel()
	helmClient.needed(t)
	h := startHost(t, ociConfig("3d", ociOurs, private))
	token, reader := h.token(t, "joe", "--allow", "read,publish:oci:acme/charts/*"), h.token(t, "ann", "--allow", "read")
	registry := registryOf(h.URL)
	p := helmClient.project(t, h.URL)
	p.write(t, "tide/Chart.yaml", "apiVersion: v2\nname: tide\nversion: 1.2.3+moon\ndescription: rises and falls\n")
	p.write(t, "tide/values.yaml", "level: high\n")
	p.must(t, "helm", "package", "tide")
	const file = "tide-1.2.3+moon.tgz"
	out, err := helmClient.logIn(t, p, registry, "joe", token+"x")
	helmClient.fails(t, out, err, "logs in with a wrong password", `(?i)unauthorized|401`)
	p = p.again(t)
	p.write(t, "tide/Chart.yaml", "apiVersion: v2\nname: tide\nversion: 1.2.3+moon\ndescription: rises and falls\n")
	p.must(t, "helm", "package", "tide")
	out, err = p.run(t, "helm", "push", "--plain-http", file, "oci://"+registry+"/acme/charts")
	helmClient.fails(t, out, err, "pushes without a token", `(?i)unauthorized|401`)
	if out, err := helmClient.logIn(t, p, registry, "joe", token); err != nil {
		t.Fatalf("it does not log in: %v\n%s", err, out)
	}
	p.must(t, "helm", "push", "--plain-http", file, "oci://"+registry+"/acme/charts")
	out, err = p.run(t, "helm", "push", "--plain-http", file, "oci://"+registry+"/other")
	helmClient.fails(t, out, err, "pushes where its token may not", `(?i)denied: .* may not publish to|403`)

	q := helmClient.project(t, h.URL)
	out, err = q.run(t, "helm", "pull", "--plain-http", "oci://"+registry+"/acme/charts/tide", "--version", "1.2.3+moon")
	helmClient.fails(t, out, err, "pulls without a token", `(?i)unauthorized|401`)
	if out, err := helmClient.logIn(t, q, registry, "ann", reader); err != nil {
		t.Fatalf("it does not log in: %v\n%s", err, out)
	}
	// By version, and the newest that a range allows, for which it lists tags.
	for _, version := range []string{"1.2.3+moon", "^1.0.0"} {
		q.must(t, "helm", "pull", "--plain-http", "oci://"+registry+"/acme/charts/tide", "--version", version)
		if q.read(t, file) != p.read(t, file) {
			t.Errorf("the chart %s is another", version)
		}
	}
	if out := q.must(t, "helm", "show", "chart", "--plain-http", "oci://"+registry+"/acme/charts/tide"); !strings.Contains(out, "description: rises and falls") {
		t.Errorf("helm shows %s", out)
	}
}
