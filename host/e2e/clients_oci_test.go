package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ociClient is a client of registries of images.
type ociClient struct {
	client
	// logIn logs in to a registry.
	logIn func(t *testing.T, p *project, registry, user, password string) (string, error)
	// push pushes the image of a layout in the folder "image", or one like it that
	// the client makes of it, and returns the digest that it has.
	push func(t *testing.T, p *project, reference string) (digest, out string, err error)
	// pull pulls an image and returns its digest.
	pull func(t *testing.T, p *project, reference string) (digest, out string, err error)
	// remove deletes an image at the registry; nil: the client cannot.
	remove func(t *testing.T, p *project, reference string) (string, error)
	// exact is whether what is pushed is the layout's image to the byte, and what
	// is pulled is an image layout in the folder "pulled".
	exact bool
	// unverified is whether logIn takes any password, so that a wrong one shows
	// when it is used.
	unverified bool
	// refused is what it prints when nobody is logged in; denied, when a token
	// may not do it.
	refused, denied string
}

var ociClients = []*ociClient{craneClient, skopeoClient, orasClient, podmanClient, buildahClient, ctrClient, dockerClient}

var ociDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// ociSet has the settings of a project's home be all that there are.
func ociSet(t *testing.T, p *project) []string {
	dir := filepath.Join(p.home, ".config", "containers")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"policy.json":     `{"default":[{"type":"insecureAcceptAnything"}]}`,
		"registries.conf": "unqualified-search-registries = []\n",
		"auth.json":       "{}",
		"storage.conf": fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n",
			filepath.Join(p.home, "storage"), filepath.Join(p.home, "run")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{
		"DOCKER_CONFIG=" + filepath.Join(p.home, ".docker"), "REGISTRY_AUTH_FILE=" + filepath.Join(dir, "auth.json"),
		"CONTAINERS_STORAGE_CONF=" + filepath.Join(dir, "storage.conf"),
	}
}

// registryOf is the registry at an address, as references name it.
func registryOf(url string) string { return strings.TrimPrefix(url, "http://") }

// layoutDigest is the digest of the image in a layout that a client wrote.
func layoutDigest(t *testing.T, p *project, dir string) string {
	t.Helper()
	return ociDigest.FindString(p.read(t, dir+"/index.json"))
}

var craneClient = &ociClient{
	client: client{name: "crane", program: "crane", set: ociSet},
	logIn: func(t *testing.T, p *project, registry, user, password string) (string, error) {
		return p.run(t, "crane", "auth", "login", registry, "-u", user, "-p", password)
	},
	push: func(t *testing.T, p *project, reference string) (string, string, error) {
		out, err := p.run(t, "crane", "push", "image", reference)
		return ociDigest.FindString(out[strings.LastIndex(out, "@")+1:]), out, err
	},
	pull: func(t *testing.T, p *project, reference string) (string, string, error) {
		out, err := p.run(t, "crane", "pull", "--format=oci", reference, "pulled")
		if err != nil {
			return "", out, err
		}
		p.must(t, "crane", "validate", "--remote", reference)
		return layoutDigest(t, p, "pulled"), out, nil
	},
	remove: func(t *testing.T, p *project, reference string) (string, error) {
		return p.run(t, "crane", "delete", reference)
	},
	exact: true, unverified: true,
	refused: `UNAUTHORIZED: (a token is needed|this is no token)`, denied: `DENIED: .* may not publish to`,
}

var skopeoClient = &ociClient{
	client: client{name: "skopeo", program: "skopeo", set: ociSet},
	logIn: func(t *testing.T, p *project, registry, user, password string) (string, error) {
		return p.run(t, "skopeo", "login", "--tls-verify=false", "-u", user, "-p", password, registry)
	},
	push: func(t *testing.T, p *project, reference string) (string, string, error) {
		out, err := p.run(t, "skopeo", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", "--digestfile=pushed.txt", "oci:image:v1", "docker://"+reference)
		if err != nil {
			return "", out, err
		}
		return ociDigest.FindString(p.read(t, "pushed.txt")), out, nil
	},
	pull: func(t *testing.T, p *project, reference string) (string, string, error) {
		out, err := p.run(t, "skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false", "docker://"+reference, "oci:pulled:v1")
		if err != nil {
			return "", out, err
		}
		return layoutDigest(t, p, "pulled"), out, nil
	},
	remove: func(t *testing.T, p *project, reference string) (string, error) {
		return p.run(t, "skopeo", "delete", "--tls-verify=false", "docker://"+reference)
	},
	exact:   true,
	refused: `unauthorized: a token is needed`, denied: `denied: .* may not publish to`,
}

var orasClient = &ociClient{
	client: client{name: "oras", program: "oras", set: ociSet},
	logIn: func(t *testing.T, p *project, registry, user, password string) (string, error) {
		return p.run(t, "oras", "login", "--plain-http", "-u", user, "-p", password, registry)
	},
	push: func(t *testing.T, p *project, reference string) (string, string, error) {
		out, err := p.run(t, "oras", "cp", "--from-oci-layout", "image:v1", "--to-plain-http", reference)
		return ociDigest.FindString(out), out, err
	},
	pull: func(t *testing.T, p *project, reference string) (string, string, error) {
		out, err := p.run(t, "oras", "cp", "--from-plain-http", reference, "--to-oci-layout", "pulled:v1")
		return ociDigest.FindString(out), out, err
	},
	remove: func(t *testing.T, p *project, reference string) (string, error) {
		return p.run(t, "oras", "manifest", "delete", "--force", "--plain-http", reference)
	},
	exact:   true,
	refused: `(?i)unauthorized: a token is needed`, denied: `(?i)denied: .* may not publish to`,
}

// podman runs podman without anything of the machine's.
func podman(t *testing.T, p *project, args ...string) (string, error) {
	return p.run(t, "podman", append([]string{"--cgroup-manager", "cgroupfs", "--events-backend", "file"}, args...)...)
}

var podmanClient = &ociClient{
	client: client{name: "podman", program: "podman", set: ociSet},
	logIn: func(t *testing.T, p *project, registry, user, password string) (string, error) {
		return podman(t, p, "login", "--tls-verify=false", "-u", user, "-p", password, registry)
	},
	push: func(t *testing.T, p *project, reference string) (string, string, error) {
		if out, err := podman(t, p, "pull", "--quiet", "oci:image:v1"); err != nil {
			return "", out, fmt.Errorf("it does not read the layout: %w", err)
		}
		out, err := podman(t, p, "push", "--tls-verify=false", "--digestfile=pushed.txt", "localhost/image", "docker://"+reference)
		if err != nil {
			return "", out, err
		}
		return p.read(t, "pushed.txt"), out, nil
	},
	pull: func(t *testing.T, p *project, reference string) (string, string, error) {
		out, err := podman(t, p, "pull", "--tls-verify=false", reference)
		if err != nil {
			return "", out, err
		}
		digest, err := podman(t, p, "image", "inspect", "--format", "{{.Digest}}", reference)
		return strings.TrimSpace(digest), out, err
	},
	refused: `unauthorized: a token is needed`, denied: `denied: .* may not publish to`,
}

// buildahClient pushes an image with the layout in it, for which it runs nothing.
var buildahClient = &ociClient{
	client: client{name: "buildah", program: "buildah", set: ociSet},
	logIn: func(t *testing.T, p *project, registry, user, password string) (string, error) {
		return p.run(t, "buildah", "login", "--tls-verify=false", "-u", user, "-p", password, registry)
	},
	push: func(t *testing.T, p *project, reference string) (string, string, error) {
		for _, step := range [][]string{{"from", "--name", "work", "scratch"}, {"add", "work", "image", "/"}, {"commit", "--rm", "work", "made"}} {
			if out, err := p.run(t, "buildah", step...); err != nil {
				return "", out, fmt.Errorf("it makes no image: %w", err)
			}
		}
		out, err := p.run(t, "buildah", "push", "--tls-verify=false", "--digestfile=pushed.txt", "made", "docker://"+reference)
		if err != nil {
			return "", out, err
		}
		return p.read(t, "pushed.txt"), out, nil
	},
	pull: func(t *testing.T, p *project, reference string) (string, string, error) {
		out, err := p.run(t, "buildah", "pull", "--tls-verify=false", reference)
		if err != nil {
			return "", out, err
		}
		digest, err := p.run(t, "buildah", "inspect", "--type", "image", "--format", "{{.FromImageDigest}}", reference)
		return strings.TrimSpace(digest), out, err
	},
	refused: `unauthorized: a token is needed`, denied: `denied: .* may not publish to`,
}
