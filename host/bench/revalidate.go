package main

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// revalidation asks again for documents whose time is over and that have not
// changed upstream.
func revalidation(dir string, up *registry) {
	c := entrepot(dir, "entrepot (short)", up.url, "", `ttl = "2s"`)
	defer c.stop()
	ask := func() {
		parallel(4, dated.count, func(i int) error {
			_, err := c.fetch(documentPath(dated, i), true)
			return err
		})
	}
	ask()
	time.Sleep(3 * time.Second)
	asked, rendered, bodies, cpu := up.asked.Load(), counter(c, "entrepot_renderings_total"), bodiesBelow(dir+"/data of "+c.name), c.cpu()
	ask()
	fmt.Printf("%-26s %-18s %d documents of 150 KB: %d upstream requests, %d renderings, %d bodies written, %d µs CPU each\n\n", "revalidation", c.name, dated.count,
		up.asked.Load()-asked, counter(c, "entrepot_renderings_total")-rendered, bodiesBelow(dir+"/data of "+c.name)-bodies, (c.cpu()-cpu).Microseconds()/int64(dated.count))
}

// counter is a figure of the metrics.
func counter(c *contestant, name string) int64 {
	resp, err := client.Get(strings.TrimSuffix(c.url, "/npm") + "/metrics")
	if err != nil {
		fail(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		fail(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + ` (\d+)$`).FindSubmatch(text)
	if m == nil {
		fail(fmt.Errorf("there is no %s in the metrics of %s", name, c.name))
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n
}

// bodiesBelow counts the bodies of a data directory.
func bodiesBelow(data string) (n int) {
	err := filepath.WalkDir(filepath.Join(data, "blobs"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		fail(err)
	}
	return n
}
