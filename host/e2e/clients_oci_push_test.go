package e2e

import (
	"slices"
	"testing"
)

// TestOCIClientsPushAndPull has each client log in, push and delete, and pull
// without a token what is public. Upstream has the same name and tag.
func TestOCIClientsPushAndPull(t *testing.T) {
	t.Parallel()
	image := ociImage(t, "tide", "amd64", 300<<10)
	g := startOCIRegistry(t)
	for _, c := range ociClients {
		g.put("acme/"+c.name, ociImage(t, "bait", "amd64", 1000), "v1")
	}
	h := startHost(t, ociConfig("3d", ociFrom("sea.example.com", g.URL), `hosted { names = ["acme/*"] }`, `anonymous = ["read"]`))
	token := h.token(t, "joe", "--allow", "read,publish,delete:oci:acme/*")
	for _, c := range ociClients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.needed(t)
			name := "acme/" + c.name
			reference := registryOf(h.URL) + "/" + name + ":v1"
			author := c.project(t, h.URL)
			image.layout(t, author.root+"/image", "v1")
			if out, err := c.logIn(t, author, registryOf(h.URL), "joe", token); err != nil {
				t.Fatalf("it does not log in: %v\n%s", err, out)
			}
			pushed, out, err := c.push(t, author, reference)
			if err != nil {
				t.Fatalf("it does not push: %v\n%s", err, out)
			}
			if c.exact && pushed != image.digest {
				t.Errorf("%s was pushed, not %s", pushed, image.digest)
			}
			a := answered(t, 200, h.URL+"/v2/"+name+"/manifests/v1")
			if got := a.Header.Get("Docker-Content-Digest"); got != pushed || got != "sha256:"+sha256Hex(a.Body) {
				t.Errorf("the registry has %s, and %s was pushed:\n%s", got, pushed, out)
			}
			if tags := ociTags(t, h.URL+"/v2/"+name+"/tags/list"); !slices.Equal(tags, []string{"v1"}) {
				t.Errorf("the tags are %v", tags)
			}
			reader := c.project(t, h.URL)
			pulled, out, err := c.pull(t, reader, reference)
			if err != nil || pushed != pulled {
				t.Fatalf("%s was pulled, and %s was pushed: %v\n%s", pulled, pushed, err, out)
			}
			if c.exact {
				layoutHas(t, reader.root+"/pulled", image)
			}
			if c.remove == nil {
				return
			}
			if out, err := c.remove(t, author, reference); err != nil {
				t.Fatalf("it does not delete: %v\n%s", err, out)
			}
			answered(t, 404, h.URL+"/v2/"+name+"/manifests/v1")
		})
	}
	t.Cleanup(func() {
		if g.Total() > 0 {
			t.Errorf("upstream was asked for what is ours: %v", g.Requests())
		}
	})
}

// TestOCIClientsNeedTheRightToken keeps a repository private, and tells each
// client what its token may not.
func TestOCIClientsNeedTheRightToken(t *testing.T) {
	t.Parallel()
	image := ociImage(t, "tide", "amd64", 1000)
	g := startOCIRegistry(t)
	h := startHost(t, ociConfig("3d", ociFrom("sea.example.com", g.URL), `hosted { any = true }`, private))
	token := h.token(t, "joe", "--allow", "read:oci:*", "--allow", "publish:oci:acme/*")
	for _, c := range ociClients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.needed(t)
			reference := registryOf(h.URL) + "/acme/" + c.name + ":v1"
			p := c.project(t, h.URL)
			image.layout(t, p.root+"/image", "v1")
			out, err := c.logIn(t, p, registryOf(h.URL), "joe", token+"x")
			if c.unverified && err == nil {
				_, out, err = c.push(t, p, reference)
			}
			c.fails(t, out, err, "logs in with a wrong password", `(?i)unauthorized|invalid username/password|401`)
			if out, err := c.logIn(t, p, registryOf(h.URL), "joe", token); err != nil {
				t.Fatalf("it does not log in: %v\n%s", err, out)
			}
			pushed, out, err := c.push(t, p, reference)
			if err != nil {
				t.Fatalf("it does not push: %v\n%s", err, out)
			}
			_, out, err = c.push(t, p, registryOf(h.URL)+"/other/"+c.name+":v1")
			c.fails(t, out, err, "pushes where its token may not", c.denied)

			q := c.project(t, h.URL)
			_, out, err = c.pull(t, q, reference)
			c.fails(t, out, err, "pulls without a token", c.refused)
			if out, err := c.logIn(t, q, registryOf(h.URL), "joe", token); err != nil {
				t.Fatalf("it does not log in: %v\n%s", err, out)
			}
			pulled, out, err := c.pull(t, q, reference)
			if err != nil || pulled != pushed {
				t.Errorf("%s was pulled, and %s was pushed: %v\n%s", pulled, pushed, err, out)
			}
		})
	}
}
