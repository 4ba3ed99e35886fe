package main

import (
	"fmt"
	"net/http"
)

// storm is many requests for packages that do not exist.
func storm(dir string, up *registry, all []*contestant) {
	const format = "/absent-%d"
	for _, c := range all {
		before := up.asked.Load()
		parallel(8, small.count, func(i int) error {
			for range 2 {
				if _, err := read(c.request(fmt.Sprintf(format, i), true), http.StatusNotFound); err != nil {
					return err
				}
			}
			return nil
		})
		fmt.Printf("%-26s %-18s %d names asked for twice, upstream asked %d times\n", "404 storm", c.name, small.count, up.asked.Load()-before)
	}
	compare("404 storm", up, all, 1, func(c *contestant) figures {
		f, failed := burstOf(c, wrkScript(dir, c, format, small.count, true))
		if failed != f.requests {
			fail(fmt.Errorf("%s: of %.0f requests %.0f were refused", c.name, f.requests, failed))
		}
		return f
	})
}
