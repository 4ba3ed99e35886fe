package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startDaemon runs a daemon that listens on a Unix socket until the test ends.
// It is ready when a command succeeds.
func startDaemon(t *testing.T, p *project, ready []string, program string, args ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skipf("SKIPPED: %s needs root", program)
	}
	var log logBuffer
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.root, p.env, &log, &log
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-end:
		case <-time.After(20 * time.Second):
		}
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) { // and its children
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s's log:\n%s", program, log.tail(8<<10))
		}
	})
	eventually(t, program, func() bool {
		select {
		case err := <-end:
			end <- err
			t.Fatalf("%s ended at once: %v\n%s", program, err, log.String())
		default:
		}
		_, err := p.run(t, ready[0], ready[1:]...)
		return err == nil
	})
}

// shortDir is a folder whose path is short enough for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// dockerd starts Docker's daemon, without a network and containers; more are
// further arguments. The project's docker talks to it.
func dockerd(t *testing.T, p *project, more ...string) {
	t.Helper()
	needs(t, "dockerd")
	dir := shortDir(t)
	p.write(t, "daemon.json", "{}")
	p.env = append(p.env, "DOCKER_HOST=unix://"+dir+"/s")
	startDaemon(t, p, []string{"docker", "version"}, "dockerd", append([]string{
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "run"), "--pidfile", filepath.Join(dir, "pid"),
		"--config-file", filepath.Join(p.root, "daemon.json"), "--host", "unix://" + dir + "/s", "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs",
	}, more...)...)
}

// sets reports whether a variable of the project's environment is set.
func (p *project) sets(variable string) bool {
	return slices.ContainsFunc(p.env, func(v string) bool { return strings.HasPrefix(v, variable+"=") })
}

// dockerOf starts the daemon of a project that has none yet.
func dockerOf(t *testing.T, p *project) {
	t.Helper()
	if !p.sets("DOCKER_HOST") {
		dockerd(t, p)
	}
}

var dockerClient = &ociClient{
	client: client{name: "docker", program: "docker", set: ociSet},
	logIn: func(t *testing.T, p *project, registry, user, password string) (string, error) {
		dockerOf(t, p)
		return p.run(t, "docker", "login", "-u", user, "-p", password, registry)
	},
	push: func(t *testing.T, p *project, reference string) (string, string, error) {
		dockerOf(t, p)
		p.must(t, "tar", "-cf", "image.tar", "image")
		p.must(t, "docker", "import", "image.tar", reference)
		out, err := p.run(t, "docker", "push", reference)
		return ociDigest.FindString(out[strings.LastIndex(out, " digest: ")+1:]), out, err
	},
	pull: func(t *testing.T, p *project, reference string) (string, string, error) {
		dockerOf(t, p)
		out, err := p.run(t, "docker", "pull", reference)
		return ociDigest.FindString(out[strings.LastIndex(out, "Digest: ")+1:]), out, err
	},
	refused: `unauthorized: a token is needed`, denied: `denied: .* may not publish to`,
}

// containerd starts containerd, which the project's ctr then talks to, unless
// it runs.
func containerd(t *testing.T, p *project) {
	t.Helper()
	if p.sets("CONTAINERD_ADDRESS") {
		return
	}
	needs(t, "containerd")
	dir := shortDir(t)
	p.write(t, "containerd.toml", fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n[grpc]\n  address = %q\n[ttrpc]\n  address = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "state"), dir+"/s", dir+"/t"))
	p.env = append(p.env, "CONTAINERD_ADDRESS="+dir+"/s")
	startDaemon(t, p, []string{"ctr", "version"}, "containerd", "--config", filepath.Join(p.root, "containerd.toml"))
}

// ctrUser are arguments with what logIn noted: ctr keeps no log-ins.
func ctrUser(t *testing.T, p *project) []string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(p.root, "user")); err != nil {
		return []string{"--plain-http"}
	}
	return []string{"--plain-http", "--user", p.read(t, "user")}
}

var ctrClient = &ociClient{
	client: client{name: "ctr", program: "ctr", set: ociSet},
	logIn: func(t *testing.T, p *project, _, user, password string) (string, error) {
		p.write(t, "user", user+":"+password)
		return "", nil
	},
	push: func(t *testing.T, p *project, reference string) (string, string, error) {
		containerd(t, p)
		p.must(t, "tar", "-C", "image", "-cf", "image.tar", "oci-layout", "index.json", "blobs")
		p.must(t, "ctr", "images", "import", "--no-unpack", "--all-platforms", "--base-name", "example.com/image", "image.tar")
		args := append([]string{"images", "push"}, ctrUser(t, p)...)
		out, err := p.run(t, "ctr", append(args, reference, "example.com/image:v1")...)
		return ociDigest.FindString(p.must(t, "ctr", "images", "ls")), out, err
	},
	pull: func(t *testing.T, p *project, reference string) (string, string, error) {
		containerd(t, p)
		args := append([]string{"content", "fetch", "--all-platforms"}, ctrUser(t, p)...)
		out, err := p.run(t, "ctr", append(args, reference)...)
		if err != nil {
			return "", out, err
		}
		return ociDigest.FindString(p.must(t, "ctr", "images", "ls", "name=="+reference)), out, nil
	},
	unverified: true,
	refused:    `(?i)401|unauthorized`, denied: `403`,
}
