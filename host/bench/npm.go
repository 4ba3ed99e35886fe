package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// project is a folder in which npm works against a registry, with nothing of
// its own cached.
type project struct{ dir string }

// newProject depends on packages of the tree.
func newProject(dir, name, registry, token string, packages int) project {
	p := project{filepath.Join(dir, name)}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		fail(err)
	}
	var needs []string
	for i := range packages {
		needs = append(needs, fmt.Sprintf(`"%s":"^1.0.0"`, packageName(tree, i)))
	}
	write(p.dir, "package.json", `{"name":"measured","version":"1.0.0","dependencies":{`+strings.Join(needs, ",")+`}}`)
	_, place, _ := strings.Cut(registry, ":")
	write(p.dir, ".npmrc", fmt.Sprintf("registry=%s/\naudit=false\nfund=false\nupdate-notifier=false\n%s/:_authToken=%s\n", registry, place, token))
	return p
}

// npm runs npm and returns how long it took.
func (p project) npm(args ...string) time.Duration {
	cache := filepath.Join(p.dir, "cache")
	for _, left := range []string{cache, filepath.Join(p.dir, "node_modules")} {
		if err := os.RemoveAll(left); err != nil {
			fail(err)
		}
	}
	cmd := exec.Command("npm", append(args, "--cache", cache)...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "NPM_CONFIG_USERCONFIG="+filepath.Join(p.dir, ".npmrc"))
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		fail(fmt.Errorf("npm %s: %w\n%s", strings.Join(args, " "), err, out))
	}
	return time.Since(began)
}

// hasNPM reports whether npm is installed, and says so if not.
func hasNPM(row string) bool {
	_, err := exec.LookPath("npm")
	if err != nil {
		fmt.Printf("%-26s SKIPPED: npm is not installed\n\n", row)
	}
	return err == nil
}

// replay asks for what a real `npm install` of a project asks for, over 15
// connections as npm does, again and again.
func replay(dir string, up *registry, from *contestant, all []*contestant) {
	if !hasNPM("replay of npm install") {
		return
	}
	recorded := record(dir, from)
	const connections, times = 15, 5
	once := func(c *contestant) {
		next := make(chan *http.Request)
		var clients sync.WaitGroup
		for range connections {
			clients.Go(func() {
				for req := range next {
					if _, err := read(req, http.StatusOK); err != nil {
						fail(err)
					}
				}
			})
		}
		for _, r := range recorded {
			req := c.request(r.path, false)
			for _, name := range []string{"Accept", "Accept-Encoding"} {
				req.Header.Set(name, r.header.Get(name))
			}
			next <- req
		}
		close(next)
		clients.Wait()
	}
	for _, c := range all {
		once(c)
		once(c)
	}
	compare(fmt.Sprintf("replay of %d GETs of npm", len(recorded)), up, all, 1, func(c *contestant) figures {
		before, began := c.cpu(), time.Now()
		for range times {
			once(c)
		}
		return timed(time.Since(began), c.cpu()-before, times)
	})
}

// asking is a GET of npm.
type asking struct {
	path   string // below the registry
	header http.Header
}

// record has npm install a project through a contestant and notes what it asks
// for.
func record(dir string, c *contestant) []asking {
	target, err := url.Parse(c.url)
	if err != nil {
		fail(err)
	}
	var mu sync.Mutex
	var all []asking
	between := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, target.Host
		if r.In.Method == http.MethodGet {
			mu.Lock()
			all = append(all, asking{strings.TrimPrefix(r.In.URL.RequestURI(), target.Path), r.In.Header.Clone()})
			mu.Unlock()
		}
	}})
	defer between.Close()
	p := newProject(dir, "recorded", between.URL+target.Path, c.token, tree.count)
	p.npm("install", "--replace-registry-host=always", "--no-package-lock")
	return all
}

// npmCI installs a project of 200 packages from its lock file.
func npmCI(dir string, up *registry, all []*contestant) {
	const packages = 200
	if !hasNPM("npm ci") {
		return
	}
	first := newProject(dir, "locked", all[0].url, all[0].token, packages)
	first.npm("install", "--package-lock-only")
	lock, err := os.ReadFile(filepath.Join(first.dir, "package-lock.json"))
	if err != nil {
		fail(err)
	}
	projects := make([]project, len(all))
	took, asked := make([][]time.Duration, len(all)), make([]int64, len(all))
	for i, c := range all {
		projects[i] = newProject(dir, fmt.Sprintf("ci-%d", i), c.url, c.token, packages)
		write(projects[i].dir, "package-lock.json", strings.ReplaceAll(string(lock), all[0].url, c.url))
		projects[i].npm("ci")
	}
	for range *rounds {
		for i := range all {
			before := up.asked.Load()
			took[i] = append(took[i], projects[i].npm("ci"))
			asked[i] += up.asked.Load() - before
		}
	}
	for i, c := range all {
		slices.Sort(took[i])
		slices.Sort(took[1])
		m, to := took[i][len(took[i])/2], took[1][len(took[1])/2]
		fmt.Printf("%-26s %-18s %9.2fs %7.2f× %9d upstream\n", fmt.Sprintf("npm ci of %d packages", packages), c.name, m.Seconds(), m.Seconds()/to.Seconds(), asked[i])
	}
	fmt.Println()
}
