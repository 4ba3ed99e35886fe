package main

import (
	"crypto/tls"
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
	name  string
	url   string // of the npm registry it shows
	token string // sent with every request; empty: none
	cmd   *exec.Cmd
	ready time.Duration // from its start until it answered
	most  float64       // MiB of memory that it had after a turn
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
	began := time.Now()
	if err := c.cmd.Start(); err != nil {
		fail(err)
	}
	cleanup = append(cleanup, c.stop)
	for deadline := began.Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if resp, err := client.Get(c.url + "/"); err == nil {
			resp.Body.Close()
			c.ready = time.Since(began)
			return
		}
		if time.Now().After(deadline) {
			fail(fmt.Errorf("%s does not answer; see %s", c.name, log.Name()))
		}
	}
}

// stop ends a contestant. Stopping it again does nothing.
func (c *contestant) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = c.cmd.Wait()
}

// nginxProxy caches what upstream has.
func nginxProxy(dir, upstream string, tls bool) *contestant {
	port := freePort()
	c := &contestant{name: "nginx proxy_cache", url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	name, options := "proxy", ""
	if tls {
		name, options = "secure", " ssl http2"
		c.url = fmt.Sprintf("https://127.0.0.1:%d", port)
	}
	c.start(dir, "nginx", "-p", dir, "-c", write(dir, name+".conf", fmt.Sprintf(`
daemon off; worker_processes 2; pid %[1]s/%[5]s.pid; error_log %[1]s/%[5]s.err;
events { worker_connections 4096; }
http {
  access_log %[1]s/%[5]s.access combined buffer=64k flush=1s;
  sendfile on; tcp_nopush on; keepalive_requests 1000000; ssl_certificate %[1]s/tls.pem; ssl_certificate_key %[1]s/tls.key;
  gzip on; gzip_comp_level 1; gzip_proxied any; gzip_types application/json;
  proxy_cache_path %[1]s/%[5]s levels=1:2 keys_zone=z:64m max_size=20g inactive=10d use_temp_path=off;
  proxy_temp_path %[1]s/%[5]s-ptmp; client_body_temp_path %[1]s/%[5]s-ctmp; fastcgi_temp_path %[1]s/%[5]s-f; uwsgi_temp_path %[1]s/%[5]s-u; scgi_temp_path %[1]s/%[5]s-s;
  server {
    listen 127.0.0.1:%[2]d%[4]s;
    location / {
      proxy_pass %[3]s; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Accept-Encoding $http_accept_encoding;
      proxy_cache z; proxy_cache_key "$uri$http_accept_encoding$http_accept"; proxy_cache_valid 200 404 10d; proxy_cache_lock on; proxy_cache_lock_timeout 60s; proxy_ignore_headers Vary;
    }
  }
}`, dir, port, upstream, options, name)))
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

// build builds the host and the npm plugin.
func build(dir string) {
	for target, pkg := range map[string]string{dir + "/bin/": "./host/cmd/entrepot", dir + "/bin/plugins/": "./plugins/npm"} {
		if out, err := exec.Command("go", "build", "-o", target, pkg).CombinedOutput(); err != nil {
			fail(fmt.Errorf("go build %s: %w\n%s", pkg, err, out))
		}
	}
}

// entrepot is what this is about. Nobody may do anything without a token, new
// versions are held back, and there is an access log. Name tells its data
// directory from that of others; top and repository are more lines of the
// configuration.
func entrepot(dir, name, upstream, top, repository string) *contestant {
	return entrepotAt(freePort(), dir, name, upstream, top, repository)
}

// entrepotAt is entrepot on a port: what it has planned is for one address.
func entrepotAt(port int, dir, name, upstream, top, repository string) *contestant {
	c := &contestant{name: name, url: fmt.Sprintf("http://127.0.0.1:%d/npm", port)}
	if strings.Contains(top, "tls {") {
		c.url = "https" + c.url[len("http"):]
	}
	config := write(dir, name+".hcl", fmt.Sprintf(`
listen     = "127.0.0.1:%d"
data_dir   = %q
plugin_dir = %q
access_log = %q
cooldown { default = "3d" }
%s
repository "npm" {
  anonymous = []
  upstream "main" { url = %q }
  %s
}`, port, dir+"/data of "+name, dir+"/bin/plugins", dir+"/"+name+".access", top, upstream, repository))
	out, err := exec.Command(dir+"/bin/entrepot", "token", "create", fmt.Sprintf("bench-%d", port), "--allow", "read", "--config", config).Output()
	if err != nil {
		fail(fmt.Errorf("entrepot token create: %w", err))
	}
	c.token = strings.TrimSpace(string(out))
	c.start(dir, dir+"/bin/entrepot", "serve", "--config", config)
	return c
}

// lasting are lines of a repository of which nothing is asked for twice.
const lasting = `ttl          = "10d"
  negative_ttl = "10d"`

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

// settle waits until a contestant has nothing more to do by itself.
func (c *contestant) settle() {
	for deadline, before := time.Now().Add(time.Minute), c.cpu(); time.Now().Before(deadline); {
		time.Sleep(time.Second)
		now := c.cpu()
		if now-before < 20*time.Millisecond {
			return
		}
		before = now
	}
}

// request is a GET of a path.
func (c *contestant) request(path string, gzip bool) *http.Request {
	req, err := http.NewRequest(http.MethodGet, c.url+path, nil)
	if err != nil {
		fail(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if gzip {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req
}

// fetch reads a path and returns how many bytes came.
func (c *contestant) fetch(path string, gzip bool) (int64, error) {
	return read(c.request(path, gzip), http.StatusOK)
}

// read reads the answer to a request, which must have a status.
func read(req *http.Request, status int) (int64, error) {
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != status {
		err = fmt.Errorf("%s answers %s", req.URL, resp.Status)
	}
	return n, err
}

// client believes any certificate: those here are made up.
var client = &http.Client{Transport: &http.Transport{
	DisableCompression: true, MaxIdleConnsPerHost: 256,
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
}}
