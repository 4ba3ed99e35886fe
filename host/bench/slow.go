package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// slowReaders are 200 clients that read a large warm file at 64 KiB a second.
func slowReaders(all []*contestant) {
	const clients, piece = 200, 16 << 10
	for _, c := range all {
		if _, err := c.fetch(filePath(huge, 0), false); err != nil {
			fail(err)
		}
		before := c.memory()
		peak, stop := watchMemory(c)
		var readers sync.WaitGroup
		for range clients {
			readers.Go(func() {
				resp, err := client.Do(c.request(filePath(huge, 0), false))
				if err != nil {
					fail(err)
				}
				defer resp.Body.Close() // what is left is not read
				tick := time.NewTicker(time.Second / 4)
				defer tick.Stop()
				for range 20 {
					if _, err := io.CopyN(io.Discard, resp.Body, piece); err != nil {
						fail(err)
					}
					<-tick.C
				}
			})
		}
		readers.Wait()
		stop()
		fmt.Printf("%-26s %-18s %4.0f MiB above idle\n", "200 slow readers, 64 MB", c.name, *peak-before)
	}
	fmt.Println()
}
