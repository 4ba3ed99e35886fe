package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// spare is a plugin of which there can be many, because its name is put in when
// it is written.
const spare = `package main

import "github.com/entrepot-registry/entrepot/sdk"

func main() {
	sdk.Serve(func(struct{}) (sdk.Ecosystem, error) {
		return sdk.Ecosystem{
			Name:      %q,
			Upstreams: []sdk.Upstream{{URL: "https://packages.example.com"}},
			Routes: []sdk.Route{{Match: "GET /{name}", Plan: func(r sdk.Request) sdk.Plan {
				return sdk.Reply{Body: []byte(r.Get("name"))}
			}}},
		}, nil
	})
}
`

// idle starts a host with 20 plugins on a store of many versions.
func idle(dir string, up *registry) {
	const wanted = 20
	fresh := entrepot(dir, "entrepot (1)", up.url, "", lasting)
	fmt.Printf("%-26s %-18s answers after %.2f s; host %.0f MiB resident, %.0f MiB private\n", "idle, 1 plugin", "new store", fresh.ready.Seconds(),
		rss(fresh.cmd.Process.Pid), private(fresh.cmd.Process.Pid))
	// Documents of 200,000 versions and more, as a store has them that was used.
	parallel(2, broad.count, func(i int) error {
		_, err := fresh.fetch(documentPath(broad, i), true)
		return err
	})
	fresh.stop()

	plugins := filepath.Join(dir, "bin", "plugins")
	out, err := exec.Command("go", "build", "-o", plugins+"/", "./plugins/...").CombinedOutput()
	if err != nil {
		fail(fmt.Errorf("go build ./plugins/...: %w\n%s", err, out))
	}
	entries, err := os.ReadDir(plugins)
	if err != nil {
		fail(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != "npm" {
			names = append(names, e.Name())
		}
	}
	for i := len(names); i < wanted-1; i++ {
		name := fmt.Sprintf("spare%d", i)
		source := filepath.Join(dir, name)
		if err := os.MkdirAll(source, 0o700); err != nil {
			fail(err)
		}
		if out, err := exec.Command("go", "build", "-o", filepath.Join(plugins, name), write(source, "main.go", fmt.Sprintf(spare, name))).CombinedOutput(); err != nil {
			fail(fmt.Errorf("go build of a spare plugin: %w\n%s", err, out))
		}
		names = append(names, name)
	}
	var blocks strings.Builder
	for _, name := range names {
		fmt.Fprintf(&blocks, "repository %q {\n  anonymous = []\n  upstream \"main\" { url = %q }\n}\n", name, up.url)
	}
	var ready, resident []float64
	for range *rounds {
		c := entrepot(dir, "entrepot (1)", up.url, blocks.String(), lasting)
		ready = append(ready, c.ready.Seconds())
		host := c.cmd.Process.Pid
		var own []float64
		for _, pid := range c.processes()[1:] {
			own = append(own, private(pid))
		}
		slices.Sort(own)
		resident = append(resident, rss(host))
		fmt.Printf("%-26s %-18s answers after %.2f s (%.2f s CPU); host %.0f MiB resident, %.0f MiB private; %d plugins of %.1f to %.1f MiB private\n", fmt.Sprintf("idle, %d plugins", wanted), "used store",
			c.ready.Seconds(), c.cpu().Seconds(), rss(host), private(host), len(own), own[0], own[len(own)-1])
		c.stop()
	}
	slices.Sort(ready)
	slices.Sort(resident)
	fmt.Printf("%-26s %-18s median %.2f s, %.0f MiB\n\n", fmt.Sprintf("idle, %d plugins", wanted), "used store", ready[len(ready)/2], resident[len(resident)/2])
}
