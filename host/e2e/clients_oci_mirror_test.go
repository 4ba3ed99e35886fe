package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ociMirrored is a host that is a mirror of two registries, each with a "tide"
// of its own: that of Docker Hub comes first.
func ociMirrored(t *testing.T, lines ...string) (h *Host, hub, quay *ociContent) {
	t.Helper()
	first, second := startOCIRegistry(t), startOCIRegistry(t)
	hub = ociIndex(t, ociImage(t, "hub", "amd64", 300<<10), ociImage(t, "hub", "arm64", 1000))
	quay = ociIndex(t, ociImage(t, "quay", "amd64", 300<<10), ociImage(t, "quay", "arm64", 1000))
	first.put("library/tide", hub, "v1")
	second.put("acme/tide", quay, "v1")
	h = startHost(t, ociConfig("3d", append(lines, ociFrom("docker.io", first.URL), ociFrom("quay.example.com", second.URL))...))
	return h, hub, quay
}

func TestOCIClientsPullThrough(t *testing.T) {
	t.Parallel()
	h, hub, quay := ociMirrored(t)
	for _, c := range ociClients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.needed(t)
			for name, want := range map[string]*ociContent{"tide": hub, "library/tide": hub, "quay.example.com/acme/tide": quay} {
				p := c.project(t, h.URL)
				digest, out, err := c.pull(t, p, registryOf(h.URL)+"/"+name+":v1")
				if err != nil {
					t.Fatalf("it does not pull %s: %v\n%s", name, err, out)
				}
				if digest != want.digest && digest != want.manifests[0].digest {
					t.Errorf("%s is %s:\n%s", name, digest, out)
				}
				if c.exact {
					layoutHas(t, filepath.Join(p.root, "pulled"), want)
				}
				if c == dockerClient || c == ctrClient {
					break // a daemon each is enough
				}
			}
		})
	}
}

// TestOCIMirrorOfDocker has Docker's daemon ask the host for what is of its own
// registry, without a name of the host's anywhere.
func TestOCIMirrorOfDocker(t *testing.T) {
	t.Parallel()
	dockerClient.needed(t)
	// The daemon sends no credentials to a mirror, so that it must need none.
	h, hub, _ := ociMirrored(t, `anonymous = ["read"]`)
	p := dockerClient.project(t, h.URL)
	dockerd(t, p, "--registry-mirror", h.URL)
	for _, name := range []string{"tide:v1", "tide@" + hub.digest} {
		out, err := p.run(t, "docker", "pull", name)
		if err != nil || !strings.Contains(out, hub.digest) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	id := strings.TrimSpace(p.must(t, "docker", "image", "inspect", "--format", "{{.Id}}", "tide:v1"))
	if id != hub.manifests[0].blobs[0].digest {
		t.Errorf("its configuration is %s", id)
	}
}

func TestOCIMirrorOfContainerd(t *testing.T) {
	t.Parallel()
	ctrClient.needed(t)
	h, hub, quay := ociMirrored(t)
	p := ctrClient.project(t, h.URL)
	for _, registry := range []string{"docker.io", "quay.example.com"} {
		p.write(t, "hosts/"+registry+"/hosts.toml", fmt.Sprintf("server = %[1]q\n[host.%[1]q]\n  capabilities = [\"pull\", \"resolve\"]\n", h.URL))
	}
	containerd(t, p)
	for name, want := range map[string]*ociContent{"docker.io/library/tide:v1": hub, "quay.example.com/acme/tide:v1": quay} {
		p.must(t, "ctr", "content", "fetch", "--all-platforms", "--hosts-dir", filepath.Join(p.root, "hosts"), name)
		there := p.must(t, "ctr", "content", "ls")
		for _, part := range want.all() {
			if !strings.Contains(there, part.digest) {
				t.Errorf("%s: %s was not fetched:\n%s", name, part.digest, there)
			}
		}
	}
	// What is not had from a registry is not taken from another.
	if out, err := p.run(t, "ctr", "content", "fetch", "--hosts-dir", filepath.Join(p.root, "hosts"), "quay.example.com/library/tide:v1"); err == nil {
		t.Errorf("an image of another registry is fetched:\n%s", out)
	}
}

func TestOCIMirrorOfPodmanAndSkopeo(t *testing.T) {
	t.Parallel()
	h, hub, quay := ociMirrored(t, `hosted { names = ["acme/*"] }`, private)
	token := h.token(t, "joe", "--allow", "read")
	for _, c := range []*ociClient{skopeoClient, podmanClient, buildahClient} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.needed(t)
			p := c.loggedIn(t, h, token)
			text := ""
			text += fmt.Sprintf("[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n", registryOf(h.URL)+"/docker.io")
			text += fmt.Sprintf("[[registry]]\nlocation = \"quay.example.com\"\n[[registry.mirror]]\nlocation = %q\ninsecure = true\n", registryOf(h.URL)+"/quay.example.com")
			if err := os.WriteFile(filepath.Join(p.home, ".config/containers/registries.conf"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]*ociContent{"docker.io/library/tide:v1": hub, "quay.example.com/acme/tide:v1": quay} {
				digest, out, err := c.pull(t, p, name)
				if err != nil || digest != want.digest && digest != want.manifests[0].digest && !c.exact {
					t.Errorf("%s is %s: %v\n%s", name, digest, err, out)
				}
				if c.exact {
					layoutHas(t, filepath.Join(p.root, "pulled"), want)
				}
			}
		})
	}
}
