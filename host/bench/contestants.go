package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// contestant is a server that is measured.
type contestant struct {
	name string
	url  string // of the npm registry it shows
	cmd  *exec.Cmd
	most float64 // MiB of memory that it had after a turn
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (c *contestant) start(dir string, name string, args ...string) {
	log, err := os.Create(filepath.Join(dir, c.name+".log"))
	if err != nil {
		fail(err)
	}
	c.cmd = exec.Command(name, args...)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	apart(c.cmd)
	if err := c.cmd.Start(); err != nil {
		fail(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if resp, err := http.Get(c.url + "/"); err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			fail(fmt.Errorf("%s does not answer; see %s", c.name, log.Name()))
		}
	}
}

func (c *contestant) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = c.cmd.Wait()
}

// nginxProxy caches what upstream has.
func nginxProxy(dir string, upstream string) *contestant {
	port := freePort()
	c := &contestant{name: "nginx proxy_cache", url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	c.start(dir, "nginx", "-p", dir, "-c", write(dir, "proxy.conf", fmt.Sprintf(`
daemon off; worker_processes 2; pid %[1]s/proxy.pid; error_log %[1]s/proxy.err;
events { worker_connections 4096; }
http {
  access_log %[1]s/proxy.access combined buffer=64k flush=1s;
  sendfile on; tcp_nopush on; keepalive_requests 1000000;
  gzip on; gzip_comp_level 1; gzip_proxied any; gzip_types application/json;
  proxy_cache_path %[1]s/proxy levels=1:2 keys_zone=z:64m max_size=20g inactive=10d use_temp_path=off;
  proxy_temp_path %[1]s/ptmp; client_body_temp_path %[1]s/ctmp; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server {
    listen 127.0.0.1:%[2]d;
    location / {
      proxy_pass %[3]s; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Accept-Encoding $http_accept_encoding;
      proxy_cache z; proxy_cache_key "$uri$http_accept_encoding"; proxy_cache_valid 200 10d; proxy_cache_lock on; proxy_cache_lock_timeout 60s; proxy_ignore_headers Vary;
    }
  }
}`, dir, port, upstream)))
	return c
}

// gzipping serves an upstream's documents compressed where it is asked to, so
// that nginx's cache holds them as it sends them.
func gzipping(next http.Handler) http.Handler { return gzipHandler{next} }

// nginxStatic serves the same bodies from files.
func nginxStatic(dir string) *contestant {
	port := freePort()
	c := &contestant{name: "nginx static", url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	c.start(dir, "nginx", "-p", dir, "-c", write(dir, "static.conf", fmt.Sprintf(`
daemon off; worker_processes 2; pid %[1]s/static.pid; error_log %[1]s/static.err;
events { worker_connections 4096; }
http {
  access_log %[1]s/static.access combined buffer=64k flush=1s;
  sendfile on; tcp_nopush on; keepalive_requests 1000000; gzip_static on; default_type application/json;
  open_file_cache max=20000 inactive=1h;
  client_body_temp_path %[1]s/ctmp2; proxy_temp_path %[1]s/ptmp2; fastcgi_temp_path %[1]s/f2; uwsgi_temp_path %[1]s/u2; scgi_temp_path %[1]s/s2;
  server { listen 127.0.0.1:%[2]d; root %[1]s/static; location / { try_files $uri $uri.json =404; } }
}`, dir, port)))
	return c
}

// entrepot is what this is about.
func entrepot(dir, upstream string) *contestant {
	for target, pkg := range map[string]string{dir + "/bin/": "./host/cmd/entrepot", dir + "/bin/plugins/": "./plugins/npm"} {
		if out, err := exec.Command("go", "build", "-o", target, pkg).CombinedOutput(); err != nil {
			fail(fmt.Errorf("go build %s: %w\n%s", pkg, err, out))
		}
	}
	port := freePort()
	c := &contestant{name: "entrepot", url: fmt.Sprintf("http://127.0.0.1:%d/npm", port)}
	c.start(dir, dir+"/bin/entrepot", "serve", "--config", write(dir, "config.hcl", fmt.Sprintf(`
listen     = "127.0.0.1:%d"
data_dir   = %q
plugin_dir = %q
access_log = %q
cooldown { default = "3d" }
repository "npm" {
  ttl = "10d"
  upstream "main" { url = %q }
}`, port, dir+"/data", dir+"/bin/plugins", dir+"/access.log", upstream)))
	return c
}

// verdaccio, where it is installed.
func verdaccio(dir, upstream string) *contestant {
	if _, err := exec.LookPath("verdaccio"); err != nil {
		return nil
	}
	port := freePort()
	c := &contestant{name: "verdaccio", url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	c.start(dir, "verdaccio", "-l", fmt.Sprintf("127.0.0.1:%d", port), "-c", write(dir, "verdaccio.yaml", fmt.Sprintf(`
storage: %s/verdaccio
uplinks: { up: { url: %q, maxage: 10d } }
packages: { '**': { access: $all, proxy: up } }
log: { type: file, path: %s/verdaccio.access, level: http }
`, dir, upstream, dir)))
	return c
}

func write(dir, name, text string) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		fail(err)
	}
	return path
}

// processes are a contestant's process and all below it.
func (c *contestant) processes() []int {
	children := map[int][]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		fail(err)
	}
	for _, path := range stats {
		if f := statFields(path); f != nil {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			parent, _ := strconv.Atoi(f[1])
			children[parent] = append(children[parent], pid)
		}
	}
	all := []int{c.cmd.Process.Pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// statFields are the fields of /proc/PID/stat after the name: state, parent, …
func statFields(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	_, rest, ok := strings.Cut(string(b), ") ")
	if !ok {
		return nil
	}
	return strings.Fields(rest)
}

// cpu is the user and system time of all of a contestant's processes.
func (c *contestant) cpu() time.Duration {
	var ticks int64
	for _, pid := range c.processes() {
		if f := statFields(fmt.Sprintf("/proc/%d/stat", pid)); f != nil {
			user, _ := strconv.ParseInt(f[11], 10, 64)
			system, _ := strconv.ParseInt(f[12], 10, 64)
			ticks += user + system
		}
	}
	const perSecond = 100 // USER_HZ
	return time.Duration(ticks) * time.Second / perSecond
}

// memory is the resident memory of all of a contestant's processes in MiB, as
// it is now; shared pages count once each process.
func (c *contestant) memory() float64 {
	var kib int64
	for _, pid := range c.processes() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				kib += n
			}
		}
	}
	return float64(kib) / 1024
}

// fetch reads an address and returns how many bytes came.
func fetch(url string, gzip bool) (int64, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	if gzip {
		req.Header.Set("Accept-Encoding", "gzip")
	} else {
		req.Header.Set("Accept-Encoding", "identity")
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return n, err
}

var client = &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256}}
