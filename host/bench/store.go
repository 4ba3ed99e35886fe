package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// largeStore compares a host that keeps many artifacts with one that keeps a
// thousand: the same thousand asked of both, and all of the many.
func largeStore(dir string, up *registry) {
	const few = 1000
	count := many.count
	many.count = few
	port := freePort()
	lean := entrepotAt(port, dir, fmt.Sprintf("%d kept", few), up.url, "", lasting)
	defer func() { lean.stop(); many.count = count }()
	files := row{"artifact 2 KB", &many, filePath, false}
	warm(files, lean)

	// The other begins with the same data.
	lean.stop()
	full := &contestant{name: fmt.Sprintf("%d kept", count)}
	data := dir + "/data of " + full.name
	if err := os.CopyFS(data, os.DirFS(dir+"/data of "+lean.name)); err != nil {
		fail(err)
	}
	began := time.Now()
	fill(data, few, count)
	fmt.Printf("%-26s %-18s written in %.0f s\n", "store", full.name, time.Since(began).Seconds())
	full = entrepotAt(port, dir, full.name, up.url, "", lasting)
	defer full.stop()
	fmt.Printf("%-26s %-18s answers after %.2f s, %.0f MiB idle\n", "store", full.name, full.ready.Seconds(), full.memory())
	lean = entrepot(dir, lean.name, up.url, "", lasting)
	both := []*contestant{lean, full}
	warm(files, both...)
	many.count = count
	for _, c := range both {
		if _, err := c.fetch(filePath(many, 0), false); err != nil {
			fail(err)
		}
	}
	if _, err := full.fetch(filePath(many, count-1), false); err != nil {
		fail(err)
	}
	full.settle()
	format := numbered(filePath(many, 0), many)
	compare("the same 1000, 2 KB", up, both, 0, func(c *contestant) figures {
		return runWrk(c, wrkScript(dir, c, format, few, false))
	})
	// The first request of each after a start does more than later ones: most of the
	// many are asked for once.
	compare("each its own, 2 KB", up, both, 0, func(c *contestant) figures {
		return runWrk(c, wrkScript(dir, c, format, map[*contestant]int{lean: few, full: count}[c], false))
	})
}

// fill adds artifacts to a data directory whose records are like those of the
// first one: what holds its name or its digest gets another's.
func fill(data string, from, to int) {
	d, err := store.Open(data, hclog.NewNullLogger())
	if err != nil {
		fail(err)
	}
	defer d.Close()
	name, sum := packageName(many, 0), sha256.Sum256(content(many, 0))
	written := hex.EncodeToString(sum[:])
	templates := store.Change{}
	err = d.Cache.Each("", false, func(key string, value []byte) bool {
		if strings.Contains(key, name+"/-/") || key == "b/"+written {
			templates[key] = value
		}
		return true
	})
	if err != nil {
		fail(err)
	}
	if len(templates) != 3 { // plan, artifact, body
		fail(fmt.Errorf("a kept artifact has %d records instead of three", len(templates)))
	}
	const batch = 2000
	parallel(2, (to-from+batch-1)/batch, func(n int) error {
		changes := store.Change{}
		for i := from + n*batch; i < min(from+(n+1)*batch, to); i++ {
			body := content(many, i)
			own := sha256.Sum256(body)
			digest, other := hex.EncodeToString(own[:]), packageName(many, i)
			folder := filepath.Join(data, "blobs", digest[:2])
			if err := os.MkdirAll(folder, 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(folder, digest[2:]), body, 0o600); err != nil {
				return err
			}
			for key, value := range templates {
				value = bytes.ReplaceAll(bytes.ReplaceAll(value, []byte(name), []byte(other)), sum[:], own[:])
				changes[strings.ReplaceAll(strings.ReplaceAll(key, name, other), written, digest)] = value
			}
		}
		return d.Cache.ApplyAll(changes)
	})
}
