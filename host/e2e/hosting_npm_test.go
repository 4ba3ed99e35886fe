package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// hostingNpm has the scope @acme, which is ours, beside an upstream that has
// newer versions in it.
func hostingNpm(t *testing.T, settings string) (*fixture, *Host) {
	t.Helper()
	f := startNPM(t)
	bait := release{name: "@acme/boat", version: "9.9.9", age: 365 * day}
	f.files["tide 1.0.0"].shelf.put("/@acme%2fboat", "application/json", marshal(t, map[string]any{
		"name": bait.name, "dist-tags": map[string]string{"latest": bait.version}, "time": map[string]string{bait.version: npmTime(bait.published())},
		"versions": map[string]any{bait.version: npmManifest(bait, "", f.servers[0].URL+"/bait.tgz", npmTarball(t, bait, ""))},
	}))
	return f, startHost(t, f.config("3d", "hosted {\n  names = [\"@Acme/*\"]\n"+settings+"\n}"))
}

// hostingNpmAsked are the requests to upstream that have a name of ours.
func hostingNpmAsked(f *fixture) string {
	var all strings.Builder
	for line := range strings.Lines(f.requests()) {
		if strings.Contains(line, "acme") {
			all.WriteString(line)
		}
	}
	return all.String()
}

// hostingNpmProject is a project of somebody with a token, which is a package.
func hostingNpmProject(t *testing.T, c *client, h *Host, f *fixture, token string) *project {
	t.Helper()
	p := c.project(t, mount(h, f))
	auth := "//" + strings.TrimPrefix(mount(h, f), "http://") + "/:_authToken=" + token + "\n"
	switch {
	case c != yarnClient:
		p.write(t, ".npmrc", p.read(t, ".npmrc")+auth)
	case yarnMajor() == "1":
		p.write(t, ".npmrc", "registry="+p.url+"/\n"+auth)
	default:
		p.write(t, ".yarnrc.yml", p.read(t, ".yarnrc.yml")+"npmAuthToken: "+token+"\n")
	}
	return p
}

// hostingNpmPublish publishes a release with a client.
func hostingNpmPublish(t *testing.T, p *project, name, version string, more map[string]any) (string, error) {
	t.Helper()
	manifest := map[string]any{"name": name, "version": version, "description": "floats", "license": "MIT", "main": "index.js"}
	for k, v := range more {
		manifest[k] = v
	}
	p.write(t, "package.json", string(marshal(t, manifest)))
	p.write(t, "index.js", fmt.Sprintf("module.exports = %q\n", name+" "+version))
	p.write(t, "data.bin", string(release{name: name, version: version}.data()))
	p.write(t, "README.md", "# "+name+"\n")
	switch {
	case p.client == npmClient:
		return p.run(t, "npm", "publish")
	case p.client == pnpmClient:
		return p.run(t, "pnpm", "publish", "--no-git-checks")
	case yarnMajor() == "1":
		return p.run(t, "yarn", "publish", "--non-interactive", "--new-version", version)
	}
	p.must(t, "yarn", "install")
	return p.run(t, "yarn", "npm", "publish")
}

// hostingNpmHas fails unless the very bytes of a release are installed.
func hostingNpmHas(t *testing.T, p *project, name, version string) {
	t.Helper()
	if got := p.read(t, p.dir(name)+"/data.bin"); got != string(release{name: name, version: version}.data()) {
		t.Errorf("%s: %s is not what was published as %s", p.client.name, name, version)
	}
}

// hostingNpmInstalls adds a package in an empty project and checks what it got.
func hostingNpmInstalls(t *testing.T, c *client, url, name, version, want string) string {
	t.Helper()
	p := c.project(t, url)
	out, err := c.add(t, p, name, version)
	if err != nil {
		t.Fatalf("%s does not install %s: %v\n%s", c.name, name, err, out)
	}
	hostingNpmHas(t, p, name, want)
	return out
}

// hostingNpmDoc is a packument as the host serves it.
type hostingNpmDoc struct {
	Rev      string            `json:"_rev"`
	Tags     map[string]string `json:"dist-tags"`
	Versions map[string]struct {
		Version, Deprecated string
		Dist                struct{ Tarball, Integrity string }
	}
}

func hostingNpmGet(t *testing.T, url, name string) (doc hostingNpmDoc, status int) {
	t.Helper()
	status, _, body := get(t, url+"/"+strings.Replace(name, "/", "%2f", 1))
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatalf("the packument of %s is answered with %d %s", name, status, body)
	}
	return doc, status
}

func TestHostingNpmPublishesAndInstalls(t *testing.T) {
	t.Parallel()
	each(t, npmClients, func(t *testing.T, c *client) {
		f, h := hostingNpm(t, "")
		token := h.token(t, "joe", "--allow", "publish:npm")
		p := hostingNpmProject(t, c, h, f, token)
		for _, version := range []string{"1.0.0", "1.1.0"} {
			if out, err := hostingNpmPublish(t, p, "@acme/boat", version, map[string]any{"dependencies": map[string]string{"shell": "^1.0.0"}}); err != nil {
				t.Fatalf("%s does not publish %s: %v\n%s", c.name, version, err, out)
			}
		}
		out, err := hostingNpmPublish(t, p, "@acme/boat", "1.1.0", nil)
		c.fails(t, out, err, "publishes a version twice", `is there already|cannot publish over`)
		for _, taken := range []string{"tide", "fresh", "@reef/tide"} {
			out, err = hostingNpmPublish(t, p, taken, "9.0.0", nil)
			c.fails(t, out, err, "publishes a name that is not ours", `cannot be published`)
		}
		doc, _ := hostingNpmGet(t, mount(h, f), "@acme/boat")
		if len(doc.Versions) != 2 || doc.Tags["latest"] != "1.1.0" {
			t.Errorf("the packument has %v", doc)
		}
		for version, v := range doc.Versions {
			_, _, body := get(t, v.Dist.Tarball)
			if integrity(body) != v.Dist.Integrity {
				t.Errorf("the tarball of %s is not the one that the packument has: %s", version, v.Dist.Integrity)
			}
		}
		for _, other := range npmClients {
			if _, err := exec.LookPath(other.program); err != nil {
				continue
			}
			hostingNpmInstalls(t, other, mount(h, f), "@acme/boat", "", "1.1.0")
			hostingNpmInstalls(t, other, mount(h, f), "@acme/boat", "1.0.0", "1.0.0")
		}
		if asked := hostingNpmAsked(f); asked != "" {
			t.Errorf("upstream was asked for what is ours:\n%s", asked)
		}
	})
}

// TestHostingNpmIsNotConfused asks for names of ours that only upstream has,
// and for a version of them that only upstream has.
func TestHostingNpmIsNotConfused(t *testing.T) {
	t.Parallel()
	each(t, npmClients, func(t *testing.T, c *client) {
		f, h := hostingNpm(t, "")
		out, err := c.add(t, c.project(t, mount(h, f)), "@acme/boat", "")
		c.fails(t, out, err, "installs a package of upstream's whose name is ours", `404|[Nn]ot found|is not published here`)
		p := hostingNpmProject(t, npmClient, h, f, h.token(t, "joe", "--allow", "publish:npm"))
		if out, err := hostingNpmPublish(t, p, "@acme/boat", "1.0.0", nil); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		hostingNpmInstalls(t, c, mount(h, f), "@acme/boat", "", "1.0.0")
		if out, err := c.add(t, c.project(t, mount(h, f)), "@acme/boat", "9.9.9"); err == nil {
			t.Errorf("%s installs upstream's version of a name that is ours:\n%s", c.name, out)
		}
		for _, path := range []string{"/@acme/boat/-/boat-9.9.9.tgz", "/@acme%2fboat/9.9.9", "/-/npm/v1/attestations/@acme%2fboat@9.9.9"} {
			if status, _, body := get(t, mount(h, f)+path); status != http.StatusNotFound {
				t.Errorf("%s is answered with %d %s", path, status, body)
			}
		}
		if asked := hostingNpmAsked(f); asked != "" {
			t.Errorf("upstream was asked for what is ours:\n%s", asked)
		}
	})
}

func TestHostingNpmCommands(t *testing.T) {
	t.Parallel()
	npmClient.needed(t)
	f, h := hostingNpm(t, "")
	p := hostingNpmProject(t, npmClient, h, f, h.token(t, "joe", "--allow", "publish,delete:npm"))
	for _, version := range []string{"1.0.0", "1.1.0", "2.0.0"} {
		if out, err := hostingNpmPublish(t, p, "@acme/boat", version, map[string]any{"keywords": []string{"hull"}}); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	says := func(want string, args ...string) {
		t.Helper()
		if out := p.must(t, "npm", args...); !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("npm %s does not say %q:\n%s", strings.Join(args, " "), want, out)
		}
	}
	fails := func(want string, args ...string) {
		t.Helper()
		out, err := p.run(t, "npm", args...)
		npmClient.fails(t, out, err, "does not fail to "+strings.Join(args, " "), want)
	}
	says(`^joe\n$`, "whoami")
	says(`\+old: @acme/boat@1\.0\.0`, "dist-tag", "add", "@acme/boat@1.0.0", "old")
	says(`\+wrong: @acme/boat@1\.1\.0`, "dist-tag", "add", "@acme/boat@1.1.0", "wrong")
	fails(`no version 7\.0\.0`, "dist-tag", "add", "@acme/boat@7.0.0", "never")
	says(`-wrong: @acme/boat@1\.1\.0`, "dist-tag", "rm", "@acme/boat", "wrong")
	fails(`latest cannot be removed`, "dist-tag", "rm", "@acme/boat", "latest")
	says(`^latest: 2\.0\.0\nold: 1\.0\.0\n$`, "dist-tag", "ls", "@acme/boat")
	hostingNpmInstalls(t, npmClient, mount(h, f), "@acme/boat", "old", "1.0.0")

	p.must(t, "npm", "deprecate", "@acme/boat@1", "it leaks")
	for _, c := range npmClients {
		if _, err := exec.LookPath(c.program); err != nil {
			continue
		}
		out := hostingNpmInstalls(t, c, mount(h, f), "@acme/boat", "1.1.0", "1.1.0")
		if c.says.withdrawn != "" && !strings.Contains(out, "it leaks") && !strings.Contains(out, "deprecated") {
			t.Errorf("%s does not warn:\n%s", c.name, out)
		}
	}
	p.must(t, "npm", "undeprecate", "@acme/boat@1.1.0")
	doc, _ := hostingNpmGet(t, mount(h, f), "@acme/boat")
	if doc.Versions["1.0.0"].Deprecated != "it leaks" || doc.Versions["1.1.0"].Deprecated != "" || doc.Versions["2.0.0"].Deprecated != "" {
		t.Errorf("deprecated are %v", doc.Versions)
	}

	says(`joe`, "owner", "ls", "@acme/boat")
	fails(`no token has this name`, "owner", "add", "nobody", "@acme/boat")
	says(`joe: read-write`, "access", "list", "collaborators", "@acme/boat")
	says(`@acme/boat: read-write`, "access", "list", "packages", "joe")
	says(`joe`, "profile", "get")
	fails(`entrepot token list`, "token", "list")
	fails(`no more public or private than their repository`, "access", "get", "status", "@acme/boat")
	fails(`no more public or private than their repository`, "access", "set", "status=private", "@acme/boat")
	fails(`no organizations or teams here`, "access", "grant", "read-only", "acme:dev", "@acme/boat")
	jane := hostingNpmProject(t, npmClient, h, f, h.token(t, "jane", "--allow", "publish,delete:npm"))
	out, err := hostingNpmPublish(t, jane, "@acme/boat", "3.0.0", nil)
	npmClient.fails(t, out, err, "publishes what others own", `its owners only, who are joe`)
	out, err = jane.run(t, "npm", "deprecate", "@acme/boat@1", "it sinks")
	npmClient.fails(t, out, err, "deprecates what others own", `its owners only, who are joe`)
	out, err = jane.run(t, "npm", "owner", "add", "jane", "@acme/boat")
	npmClient.fails(t, out, err, "makes itself an owner", `its owners only, who are joe`)
	says(`\+ jane`, "owner", "add", "jane", "@acme/boat")
	says(`joe <>\njane <>`, "owner", "ls", "@acme/boat")
	jane.must(t, "npm", "dist-tag", "add", "@acme/boat@1.0.0", "janes")
	says(`- jane`, "owner", "rm", "jane", "@acme/boat")
	says(`^joe <>\n$`, "owner", "ls", "@acme/boat")
	says(`"name": ?"@acme/boat"`, "search", "hull", "--json")
	says(`floats`, "view", "@acme/boat")

	says(`- @acme/boat@2\.0\.0`, "unpublish", "@acme/boat@2.0.0")
	doc, _ = hostingNpmGet(t, mount(h, f), "@acme/boat")
	if len(doc.Versions) != 2 || doc.Tags["latest"] != "1.1.0" {
		t.Errorf("what is left is %v", doc)
	}
	if status, _, _ := get(t, mount(h, f)+"/@acme/boat/-/boat-2.0.0.tgz"); status != http.StatusNotFound {
		t.Errorf("an unpublished tarball is answered with %d", status)
	}
	out, err = hostingNpmPublish(t, p, "@acme/boat", "2.0.0", map[string]any{"description": "sinks"})
	npmClient.fails(t, out, err, "publishes other bytes as what was unpublished", `was published with other bytes and deleted`)
	says(`- @acme/boat`, "unpublish", "@acme/boat", "--force")
	fails(`404`, "view", "@acme/boat")
	fails(`404`, "access", "set", "status=public", "@acme/boat")
	if asked := hostingNpmAsked(f); asked != "" {
		t.Errorf("upstream was asked for what is ours:\n%s", asked)
	}
	fresh := hostingNpmProject(t, npmClient, h, f, h.token(t, "ann", "--allow", "publish:npm"))
	if out, err := hostingNpmPublish(t, fresh, "@acme/raft", "1.0.0", nil); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = fresh.run(t, "npm", "unpublish", "@acme/raft", "--force")
	npmClient.fails(t, out, err, "unpublishes without permission", `403`)
}

// TestHostingNpmManifestsAreTheirTarballs publishes with a manifest that says
// other things than the tarball, which no client does.
func TestHostingNpmManifestsAreTheirTarballs(t *testing.T) {
	t.Parallel()
	f, h := hostingNpm(t, "")
	token := h.token(t, "joe", "--allow", "publish:npm")
	archive := tarball(t, map[string][]byte{"package/package.json": []byte(`{"name":"@acme/boat","version":"1.0.0","dependencies":{"shell":"^1.0.0"},"scripts":{"test":"true"}}`)})
	send := func(length int) (int, string) {
		return hostingSend(t, http.MethodPut, mount(h, f)+"/@acme%2fboat", "Bearer "+token, "application/json", marshal(t, map[string]any{
			"_id": "@acme/boat", "name": "@acme/boat", "dist-tags": map[string]string{"latest": "1.0.0"},
			"versions": map[string]any{"1.0.0": map[string]any{
				"name": "@acme/boat", "version": "1.0.0", "dependencies": map[string]string{"shell": "^1.0.0", "evil": "*"},
				"scripts": map[string]string{"postinstall": "evil"}, "bin": map[string]string{"ls": "evil.js"}, "description": "floats",
			}},
			"_attachments": map[string]any{"@acme/boat-1.0.0.tgz": map[string]any{"data": base64.StdEncoding.EncodeToString(archive), "length": length}},
		}))
	}
	if status, body := send(len(archive) - 1); status != http.StatusBadRequest || !strings.Contains(body, "but the document says") {
		t.Errorf("a wrong length is answered with %d %s", status, body)
	}
	if status, body := send(len(archive)); status != http.StatusCreated {
		t.Fatalf("publishing is answered with %d %s", status, body)
	}
	for _, accept := range []string{"application/json", "application/vnd.npm.install-v1+json"} {
		_, _, doc := get(t, mount(h, f)+"/@acme%2fboat", "Accept", accept)
		if strings.Contains(string(doc), "evil") || !strings.Contains(string(doc), `"shell":"^1.0.0"`) || strings.Contains(string(doc), "hasInstallScript") {
			t.Errorf("the packument is %s", doc)
		}
	}
}

// TestHostingNpmPublishesWorkspaces has pnpm put versions in the place
// of the protocol by which packages of a workspace name each other.
func TestHostingNpmPublishesWorkspaces(t *testing.T) {
	t.Parallel()
	pnpmClient.needed(t)
	f, h := hostingNpm(t, "")
	p := hostingNpmProject(t, pnpmClient, h, f, h.token(t, "joe", "--allow", "publish:npm"))
	p.write(t, "package.json", `{"name":"root","private":true}`)
	p.write(t, "pnpm-workspace.yaml", "packages: [\"packages/*\"]\n")
	p.write(t, "packages/hull/package.json", `{"name":"@acme/hull","version":"1.2.3","main":"index.js"}`)
	p.write(t, "packages/hull/index.js", "module.exports = 1\n")
	p.write(t, "packages/boat/package.json", `{"name":"@acme/boat","version":"2.0.0","main":"src.js","bin":"./cli.js","dependencies":{"@acme/hull":"workspace:^"},"publishConfig":{"main":"index.js","bin":{"sail":"./dist.js"}}}`)
	for _, name := range []string{"src.js", "index.js", "cli.js", "dist.js"} {
		p.write(t, "packages/boat/"+name, "#!/usr/bin/env node\n")
	}
	p.must(t, "pnpm", "install", "--lockfile=false")
	p.must(t, "pnpm", "-r", "publish", "--no-git-checks")
	_, _, doc := get(t, mount(h, f)+"/@acme%2fboat")
	for _, want := range []string{`"@acme/hull":"^1.2.3"`, `"sail":`} {
		if !strings.Contains(string(doc), want) {
			t.Errorf("the packument has no %s: %s", want, doc)
		}
	}
	user := pnpmClient.project(t, mount(h, f))
	if out, err := pnpmClient.add(t, user, "@acme/boat", "2.0.0"); err != nil {
		t.Errorf("pnpm does not install it: %v\n%s", err, out)
	}
}

// TestHostingNpmPublishesWithoutUpstream publishes a name that upstream might
// have, while it is gone.
func TestHostingNpmPublishesWithoutUpstream(t *testing.T) {
	t.Parallel()
	npmClient.needed(t)
	f := startNPM(t)
	h := startHost(t, f.config("3d", "hosted { any = true }"))
	token := h.token(t, "joe", "--allow", "read,publish:npm")
	p := hostingNpmProject(t, npmClient, h, f, token)
	f.close()
	if out, err := hostingNpmPublish(t, p, "boat", "1.0.0", nil); err != nil {
		t.Fatalf("npm does not publish: %v\n%s", err, out)
	}
	p.must(t, "npm", "dist-tag", "add", "boat@1.0.0", "old")
	hostingNpmInstalls(t, npmClient, mount(h, f), "boat", "old", "1.0.0")
	if status, _, body := get(t, mount(h, f)+"/raft"); status != http.StatusBadGateway {
		t.Errorf("anybody is answered with %d %s", status, body)
	}
	if status, _, body := get(t, mount(h, f)+"/raft", "Authorization", "Bearer "+token); status != http.StatusNotFound || !strings.Contains(string(body), "upstream cannot be asked") {
		t.Errorf("who may publish is answered with %d %s", status, body)
	}
}

// TestHostingNpmLogsIn has npm log in: it tries its other way first.
func TestHostingNpmLogsIn(t *testing.T) {
	t.Parallel()
	npmClient.needed(t)
	f, h := hostingNpm(t, "")
	token := h.token(t, "joe", "--allow", "publish:npm")
	for _, colon := range []string{":", "%3A", "%3a"} {
		status, body := hostingSend(t, http.MethodPut, mount(h, f)+"/-/user/org.couchdb.user"+colon+"anybody", "", "application/json", []byte(`{"_id":"org.couchdb.user:anybody","name":"anybody","password":"`+token+`","type":"user","roles":[],"date":"2025-01-01T00:00:00.000Z"}`))
		if want := `{"ok":"you are logged in","username":"joe","token":"` + token + `"}`; status != http.StatusCreated || body != want {
			t.Errorf("a log-in at an address with %s is answered with %d %s", colon, status, body)
		}
	}
	if status, body := hostingSend(t, http.MethodPut, mount(h, f)+"/-/user/org.couchdb.user:joe", "", "application/json", []byte(`{"name":"joe","password":"guessed"}`)); status != http.StatusUnauthorized || !strings.Contains(body, `"error"`) {
		t.Errorf("a wrong log-in is answered with %d %s", status, body)
	}
	p := npmClient.project(t, mount(h, f))
	cmd := exec.CommandContext(t.Context(), "npm", "login")
	cmd.Dir, cmd.Env, cmd.WaitDelay = p.root, p.env, time.Second
	answers, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	asked := &logBuffer{}
	cmd.Stdout, cmd.Stderr = asked, asked
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, prompt := range []struct{ asks, answer string }{{"Username:", "joe"}, {"Password:", token}} {
		eventually(t, "to be asked for by npm: "+prompt.asks, func() bool { return strings.Contains(asked.String(), prompt.asks) })
		if _, err := io.WriteString(answers, prompt.answer+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("npm login: %v\n%s", err, asked)
	}
	if out := p.must(t, "npm", "whoami"); out != "joe\n" {
		t.Errorf("npm whoami says %s", out)
	}
	p.must(t, "npm", "logout")
	if out, err := p.run(t, "npm", "whoami"); err == nil {
		t.Errorf("npm whoami says after the log-out: %s", out)
	}
}

// TestHostingNpmMerges has versions of ours beside upstream's.
func TestHostingNpmMerges(t *testing.T) {
	t.Parallel()
	each(t, npmClients, func(t *testing.T, c *client) {
		f, h := hostingNpm(t, `merge = ["tide"]`)
		token := h.token(t, "joe", "--allow", "publish,delete:npm")
		p := hostingNpmProject(t, c, h, f, token)
		// Clients look first whether there is such a version.
		if status, body := hostingNpmPut(t, mount(h, f), token, "tide", "1.0.0", hostingNpmArchive(t, "tide", "1.0.0", "ours")); status != http.StatusCreated {
			t.Fatal(status, body)
		}
		if out, err := hostingNpmPublish(t, p, "tide", "1.0.1-ours.1", map[string]any{"publishConfig": map[string]string{"tag": "ours"}, "dependencies": map[string]string{"shell": "1"}}); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		hostingNpmInstalls(t, c, mount(h, f), "tide", "1.0.1-ours.1", "1.0.1-ours.1")
		doc, _ := hostingNpmGet(t, mount(h, f), "tide")
		if len(doc.Versions) != 2 || doc.Versions["1.1.0"].Version != "" {
			t.Errorf("the versions are %v", doc.Versions)
		}
		if _, _, body := get(t, doc.Versions["1.0.0"].Dist.Tarball); integrity(body) != doc.Versions["1.0.0"].Dist.Integrity || bytes.Equal(body, f.file(t, "tide", "1.0.0").body) {
			t.Error("a version that both have is not ours")
		}
	})
}

// TestHostingNpmAuditsKeepSecrets looks at what audits tell upstream.
func TestHostingNpmAuditsKeepSecrets(t *testing.T) {
	t.Parallel()
	each(t, npmClients, func(t *testing.T, c *client) {
		f, h := hostingNpm(t, "")
		token := h.token(t, "joe", "--allow", "publish:npm")
		if out, err := hostingNpmPublish(t, hostingNpmProject(t, c, h, f, token), "@acme/boat", "1.0.0", map[string]any{"dependencies": map[string]string{"wreck": "1"}}); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		told := &logBuffer{}
		next := f.servers[0].handler
		f.servers[0].Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				body, _ := io.ReadAll(r.Body)
				if unzipped, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
					body, _ = io.ReadAll(unzipped)
				}
				_, _ = told.Write(body)
				r.Header.Del("Content-Encoding")
				r.Body = io.NopCloser(bytes.NewReader(body))
			}
			next.ServeHTTP(w, r)
		}))
		p := c.project(t, mount(h, f))
		if out, err := c.add(t, p, "@acme/boat", ""); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		args := []string{"audit"}
		if c == yarnClient && yarnMajor() != "1" {
			args = []string{"npm", "audit", "--recursive"}
		}
		out, _ := p.run(t, c.program, args...) // there is something about wreck
		if told.String() == "" {
			t.Skipf("SKIPPED: %s has no audit: %s", c.name, out)
		}
		if !strings.Contains(told.String(), "wreck") || strings.Contains(told.String(), "acme") {
			t.Errorf("upstream was told %s", told)
		}
	})
}

// hostingNpmBody is what a client sends to publish; the archive is anything.
func hostingNpmBody(t testing.TB, name, version string, archive []byte) []byte {
	t.Helper()
	return marshal(t, map[string]any{
		"_id": name, "name": name, "dist-tags": map[string]string{"latest": version},
		"versions":     map[string]any{version: map[string]any{"name": name, "version": version}},
		"_attachments": map[string]any{name + "-" + version + ".tgz": map[string]any{"content_type": "application/octet-stream", "data": base64.StdEncoding.EncodeToString(archive), "length": len(archive)}},
	})
}

func hostingNpmPut(t testing.TB, url, token, name, version string, archive []byte) (int, string) {
	t.Helper()
	return hostingSend(t, http.MethodPut, url+"/"+strings.Replace(name, "/", "%2f", 1), "Bearer "+token, "application/json", hostingNpmBody(t, name, version, archive))
}

// hostingNpmArchive is a small package, with something that tells it apart.
func hostingNpmArchive(t testing.TB, name, version, more string) []byte {
	return tarball(t, map[string][]byte{
		"package/package.json": marshal(t, map[string]string{"name": name, "version": version}),
		"package/more":         []byte(more),
	})
}

func TestHostingNpmRefusesArchives(t *testing.T) {
	t.Parallel()
	f, h := hostingNpm(t, "")
	token := h.token(t, "joe", "--allow", "publish:npm")
	manifest := tar.Header{Name: "package/package.json", Typeflag: tar.TypeReg, Mode: 0o644}
	pack := func(headers ...tar.Header) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for _, header := range append([]tar.Header{manifest}, headers...) {
			body := []byte(`{"name":"@acme/boat","version":"1.0.0"}`)
			if header.Typeflag != tar.TypeReg {
				body = nil
			}
			header.Size = max(header.Size, int64(len(body)))
			if err := w.WriteHeader(&header); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(w, io.MultiReader(bytes.NewReader(body), hostingNpmZeros{}), header.Size); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	good := pack()
	for name, c := range map[string]struct {
		archive []byte
		says    string
	}{
		"zip slip":             {pack(tar.Header{Name: "package/../../evil", Typeflag: tar.TypeReg}), "leads elsewhere"},
		"absolute":             {pack(tar.Header{Name: "/etc/passwd", Typeflag: tar.TypeReg}), "leads elsewhere"},
		"backslash":            {pack(tar.Header{Name: `package\..\evil`, Typeflag: tar.TypeReg}), "leads elsewhere"},
		"symbolic link":        {pack(tar.Header{Name: "package/link", Typeflag: tar.TypeSymlink, Linkname: "../../etc/passwd"}), "leads out of it"},
		"hard link":            {pack(tar.Header{Name: "package/link", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}), "leads out of it"},
		"device":               {pack(tar.Header{Name: "package/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}), "neither a file"},
		"member twice":         {pack(manifest), "stands twice"},
		"two manifests":        {pack(tar.Header{Name: "other/package.json", Typeflag: tar.TypeReg}), "two package.json"},
		"manifest by case":     {pack(tar.Header{Name: "package/PACKAGE.JSON", Typeflag: tar.TypeReg}), "where case does not matter"},
		"a folder and a file":  {pack(tar.Header{Name: "package/d", Typeflag: tar.TypeDir}, tar.Header{Name: "package/d", Typeflag: tar.TypeReg}), "as a folder it has"},
		"bomb":                 {pack(tar.Header{Name: "package/zeros", Typeflag: tar.TypeReg, Size: 300 << 20}), "unpacks to more than"},
		"cut off":              {good[:len(good)/2], "refused"},
		"no archive":           {[]byte("hello"), "no tarball"},
		"nothing":              {nil, "no tarball"},
		"another package":      {hostingNpmArchive(t, "@acme/raft", "1.0.0", ""), `but package.json in the tarball \"@acme/raft\"`},
		"another version":      {hostingNpmArchive(t, "@acme/boat", "2.0.0", ""), `but package.json in the tarball \"2.0.0\"`},
		"a name of somebody's": {hostingNpmArchive(t, "tide", "1.0.0", ""), `but package.json in the tarball \"tide\"`},
	} {
		status, body := hostingNpmPut(t, mount(h, f), token, "@acme/boat", "1.0.0", c.archive)
		if status != http.StatusBadRequest || !strings.HasPrefix(body, `{"error":"`) || !strings.Contains(body, c.says) {
			t.Errorf("%s is answered with %d %s", name, status, body)
		}
	}
	if status, body := hostingSend(t, http.MethodPut, mount(h, f)+"/@acme%2fboat", "Bearer "+token, "application/json", hostingNpmBody(t, "@acme/boat", "1.0.0", good)[:100]); status != http.StatusBadRequest {
		t.Errorf("half a body is answered with %d %s", status, body)
	}
	if status, _, body := get(t, mount(h, f)+"/@acme%2fboat"); status != http.StatusNotFound {
		t.Errorf("there is something: %d %s", status, body)
	}
	for _, dir := range []string{"blobs", "tmp"} {
		for file, size := range faultFiles(t, filepath.Join(h.Dir, "data", dir)) {
			if size > 0 {
				t.Errorf("%s with %d bytes is left of what was refused", file, size)
			}
		}
	}
	if status, body := hostingNpmPut(t, mount(h, f), token, "@acme/boat", "1.0.0", good); status != http.StatusCreated {
		t.Errorf("a good one is answered with %d %s", status, body)
	}
	npmClient.needed(t)
	p := hostingNpmProject(t, npmClient, h, f, token)
	p.write(t, "evil.tgz", string(pack(tar.Header{Name: "package/link", Typeflag: tar.TypeSymlink, Linkname: "../../etc/passwd"})))
	p.write(t, "package.json", `{}`)
	p.must(t, "npm", "config", "set", "--location=project", "tag=evil")
	out, err := p.run(t, "npm", "publish", "./evil.tgz")
	npmClient.fails(t, out, err, "publishes a link that leads out", `leads out of it|cannot publish over`)
}

type hostingNpmZeros struct{}

func (hostingNpmZeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestHostingNpmAtOnce(t *testing.T) {
	t.Parallel()
	f, h := hostingNpm(t, "")
	token := h.token(t, "joe", "--allow", "publish:npm")
	const rivals, others = 8, 16
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses, won := map[int]int{}, []byte(nil)
	for i := range rivals + others {
		version := "1.0.0"
		if i >= rivals {
			version = fmt.Sprintf("2.0.%d", i)
		}
		archive := hostingNpmArchive(t, "@acme/boat", version, fmt.Sprint(i))
		wg.Go(func() {
			status, answer := hostingNpmPut(t, mount(h, f), token, "@acme/boat", version, archive)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case version != "1.0.0" && status != http.StatusCreated:
				t.Errorf("%s: %d %s", version, status, answer)
			case version == "1.0.0":
				statuses[status]++
				if status == http.StatusCreated {
					won = archive
				}
			}
		})
	}
	wg.Wait()
	if statuses[http.StatusCreated] != 1 || statuses[http.StatusConflict] != rivals-1 {
		t.Errorf("one is to win, and the others are to be told: %v", statuses)
	}
	doc, _ := hostingNpmGet(t, mount(h, f), "@acme/boat")
	if len(doc.Versions) != 1+others || doc.Versions["1.0.0"].Dist.Integrity != integrity(won) {
		t.Errorf("the packument has %d versions, and 1.0.0 with %s", len(doc.Versions), doc.Versions["1.0.0"].Dist.Integrity)
	}
	if _, _, got := get(t, doc.Versions["1.0.0"].Dist.Tarball); !bytes.Equal(got, won) {
		t.Error("the tarball is not that of the one who won")
	}
}

// TestHostingNpmSurvivesKilling kills the host at moments of publications. What
// was answered is there afterwards, everything else is there or not.
func TestHostingNpmSurvivesKilling(t *testing.T) {
	t.Parallel()
	f := startNPM(t)
	dir, config := t.TempDir(), f.config("3d", `hosted { names = ["@acme/*"] }`)
	h := startHostIn(t, dir, config)
	token := h.token(t, "joe", "--allow", "publish:npm")
	big := make([]byte, 8<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(big) // never fails
	answered := map[string][]byte{}
	tried := map[string][]byte{}
	for round := range 4 {
		version := fmt.Sprintf("1.0.%d", round)
		archive := hostingNpmArchive(t, "@acme/boat", version, string(big)+version)
		tried[version] = archive
		body := hostingNpmBody(t, "@acme/boat", version, archive)
		cut := len(body)
		if round == 0 {
			cut = len(body) / 2
		}
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PUT /npm/@acme%%2fboat HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", strings.TrimPrefix(h.URL, "http://"), token, len(body))
		if _, err := conn.Write(body[:cut]); err != nil {
			t.Fatal(err)
		}
		switch round {
		case 0, 1: // with half of the body, and with all of it
		case 2: // about when it is stored
			eventually(t, "to begin storing", func() bool { return hostingNpmStored(t, dir) > len(tried)-1 })
		case 3:
			answer := make([]byte, len("HTTP/1.1 201"))
			if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 201" {
				t.Fatalf("the publication is answered with %s %v", answer, err)
			}
			answered[version] = archive
		}
		h.Kill()
		conn.Close()
		h = startHostIn(t, dir, config)
		doc, status := hostingNpmGet(t, mount(h, f), "@acme/boat")
		if status == http.StatusNotFound && len(answered) > 0 {
			t.Fatalf("after round %d nothing is there", round)
		}
		for version := range answered {
			if doc.Versions[version].Version == "" {
				t.Errorf("after round %d, %s is gone", round, version)
			}
		}
		if round == 0 && status != http.StatusNotFound {
			t.Errorf("half a publication is there: %v", doc)
		}
		for version, v := range doc.Versions {
			if _, _, got := get(t, v.Dist.Tarball); !bytes.Equal(got, tried[version]) || integrity(got) != v.Dist.Integrity {
				t.Errorf("after round %d, %s is there, but not whole", round, version)
			}
			answered[version] = tried[version]
		}
		if _, ok := answered[version]; !ok {
			if status, body := hostingNpmPut(t, mount(h, f), token, "@acme/boat", version, archive); status != http.StatusCreated {
				t.Errorf("after round %d, %s cannot be published: %d %s", round, version, status, body)
			}
			answered[version] = archive
		}
	}
	if stored := hostingNpmStored(t, dir); stored != len(answered) {
		t.Errorf("%d files are kept of %d versions", stored, len(answered))
	}
	if out, err := h.Run(t, "purge", "--repository", "npm"); err != nil {
		t.Fatalf("purge: %v\n%s", err, out)
	}
	doc, _ := hostingNpmGet(t, mount(h, f), "@acme/boat")
	for version, archive := range answered {
		if _, _, got := get(t, doc.Versions[version].Dist.Tarball); !bytes.Equal(got, archive) {
			t.Errorf("after a purge %s is gone", version)
		}
	}
}

// hostingNpmStored is how many large bodies are kept.
func hostingNpmStored(t *testing.T, dir string) int {
	n := 0
	for name, size := range faultFiles(t, filepath.Join(dir, "data", "blobs")) {
		if size > 8<<20 && regexp.MustCompile(`[0-9a-f]{62}`).MatchString(filepath.Base(name)) {
			n++
		}
	}
	return n
}

// TestHostingNpmKeepsProvenance publishes an attestation as npm does.
func TestHostingNpmKeepsProvenance(t *testing.T) {
	t.Parallel()
	f, h := hostingNpm(t, "")
	token := h.token(t, "joe", "--allow", "publish:npm")
	archive := hostingNpmArchive(t, "@acme/boat", "1.0.0", "")
	sum := sha512.Sum512(archive)
	statement := marshal(t, map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1",
		"subject": []any{map[string]any{"name": "pkg:npm/%40acme/boat@1.0.0", "digest": map[string]string{"sha512": hex.EncodeToString(sum[:])}}},
	})
	bundle := marshal(t, map[string]any{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": map[string]any{"payload": base64.StdEncoding.EncodeToString(statement)}})
	var body map[string]any
	if err := json.Unmarshal(hostingNpmBody(t, "@acme/boat", "1.0.0", archive), &body); err != nil {
		t.Fatal(err)
	}
	body["_attachments"].(map[string]any)["@acme/boat-1.0.0.sigstore"] = map[string]any{"content_type": "application/vnd.dev.sigstore.bundle.v0.3+json", "data": string(bundle), "length": len(bundle)}
	if status, answer := hostingSend(t, http.MethodPut, mount(h, f)+"/@acme%2fboat", "Bearer "+token, "application/json", marshal(t, body)); status != http.StatusCreated {
		t.Fatal(status, answer)
	}
	_, _, doc := get(t, mount(h, f)+"/@acme%2fboat/1.0.0")
	var manifest struct {
		Dist struct {
			Attestations struct {
				URL        string
				Provenance struct{ PredicateType string }
			}
		}
	}
	if err := json.Unmarshal(doc, &manifest); err != nil || manifest.Dist.Attestations.Provenance.PredicateType != "https://slsa.dev/provenance/v1" {
		t.Fatalf("the manifest is %s", doc)
	}
	_, _, kept := get(t, manifest.Dist.Attestations.URL)
	if !bytes.Contains(kept, bundle) {
		t.Errorf("the attestations are %s", kept)
	}
}

// TestHostingNpmPrivately has a repository of which all is ours.
func TestHostingNpmPrivately(t *testing.T) {
	t.Parallel()
	each(t, npmClients, func(t *testing.T, c *client) {
		f := startNPM(t)
		h := startHost(t, f.config("3d", `hosted { names = ["*"] }`))
		p := hostingNpmProject(t, c, h, f, h.token(t, "joe", "--allow", "publish:npm"))
		if out, err := hostingNpmPublish(t, p, "tide", "0.1.0", nil); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		hostingNpmInstalls(t, c, mount(h, f), "tide", "", "0.1.0")
		if _, _, body := get(t, mount(h, f)+"/-/v1/search?text=tide"); !bytes.Contains(body, []byte(`"0.1.0"`)) || bytes.Contains(body, []byte(`"1.0.0"`)) {
			t.Errorf("a search finds %s", body)
		}
		_, _ = p.run(t, c.program, "audit") // which may fail
		if n := f.asked(); n > 0 {
			t.Errorf("upstream was asked:\n%s", f.requests())
		}
	})
}

// TestHostingNpmLargeBodiesAreRefusedInWords has npm print why a package that
// is no small one is refused, although the host does not want its body.
func TestHostingNpmLargeBodiesAreRefusedInWords(t *testing.T) {
	t.Parallel()
	each(t, npmClients, func(t *testing.T, c *client) {
		f, h := hostingNpm(t, "")
		p := hostingNpmProject(t, c, h, f, h.token(t, "joe", "--allow", "publish:npm"))
		big := make([]byte, 24<<20)
		_, _ = rand.NewChaCha8([32]byte{2}).Read(big) // never fails
		if err := os.WriteFile(filepath.Join(p.root, "big.bin"), big, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := hostingNpmPublish(t, p, "tide", "9.0.0", nil)
		c.fails(t, out, err, "publishes a name that is not ours", `cannot be published`)
		if out, err := hostingNpmPublish(t, p, "@acme/boat", "9.0.0", nil); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// TestHostingNpmTakesNoIdentityProvidersToken sends where tokens would be
// exchanged, and versions staged, what clients send to registries that do: they go
// on with the token that they have, and nobody has guessed at one.
func TestHostingNpmTakesNoIdentityProvidersToken(t *testing.T) {
	t.Parallel()
	f, h := hostingNpm(t, "")
	const foreign = "Bearer eyJhbGciOiJub25lIn0.e30.x"
	for range 14 { // more than an address may guess
		if status, answer := hostingSend(t, http.MethodPost, mount(h, f)+"/-/npm/v1/oidc/token/exchange/package/@acme%2fboat", foreign, "application/json", nil); status != http.StatusNotFound || !strings.Contains(answer, "tokens are not exchanged here") {
			t.Fatalf("an exchange is answered with %d %s", status, answer)
		}
	}
	if status, answer := hostingSend(t, http.MethodPost, mount(h, f)+"/-/stage/package/@acme%2fboat", foreign, "application/json", nil); status != http.StatusNotFound || !strings.Contains(answer, "not staged here") {
		t.Errorf("staging is answered with %d %s", status, answer)
	}
	if noted, err := os.ReadFile(filepath.Join(h.Dir, "data", "audit.log")); err == nil && bytes.Contains(noted, []byte("oidc")) {
		t.Errorf("the audit log has\n%s", noted)
	}
	if status, _ := hostingSend(t, http.MethodPut, mount(h, f)+"/@acme%2fboat", foreign, "application/json", nil); status != http.StatusUnauthorized {
		t.Errorf("a publication with such a token is answered with %d, and is the first guess", status)
	}
	for _, version := range []string{"9.9.9", "9.9.9-a"} {
		status, _, body := get(t, mount(h, f)+"/-/npm/v1/attestations/@acme%2fboat@"+version)
		if status != http.StatusNotFound || !strings.Contains(string(body), "there are no attestations of @acme/boat@"+version) {
			t.Errorf("attestations that are not there are answered with %d %s", status, body)
		}
	}
}
