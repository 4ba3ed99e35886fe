package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// bodiesOn counts the bodies and temporary files on a host's disk.
func bodiesOn(t *testing.T, h *Host) int {
	t.Helper()
	n := 0
	for _, pattern := range []string{"blobs/*/*", "tmp/*"} {
		found, err := filepath.Glob(filepath.Join(h.Dir, "data", pattern))
		if err != nil {
			t.Fatal(err)
		}
		n += len(found)
	}
	return n
}

// TestQuotaRefusesInTheClientsForm publishes beyond what a repository may have,
// one package after the other and several at once.
func TestQuotaRefusesInTheClientsForm(t *testing.T) {
	t.Parallel()
	_, config := pubShelf(t)
	h := startHost(t, strings.Replace(config, `hosted { names = ["acme_*"] }`, "hosted {\n names = [\"acme_*\"]\n quota = \"150000\"\n}", 1))
	url := h.URL + "/pubhost"
	if status, body := publishPub(t, url, pubArchiveOf(t, "acme_lamp", "1.0.0", 40_000)); status != http.StatusNoContent {
		t.Fatalf("publishing is answered with %d %s", status, body)
	}
	_, _, before := get(t, url+"/api/packages/acme_lamp")
	bodies := bodiesOn(t, h)
	status, body := publishPub(t, url, pubArchiveOf(t, "acme_lamp", "2.0.0", 120_000))
	if status != http.StatusRequestEntityTooLarge || !strings.Contains(body, "its quota is 150000") {
		t.Errorf("publishing beyond the quota is answered with %d %s", status, body)
	}
	if _, _, after := get(t, url+"/api/packages/acme_lamp"); string(after) != string(before) {
		t.Errorf("the listing was %s and is %s", before, after)
	}
	if n := bodiesOn(t, h); n != bodies {
		t.Errorf("%d bodies are on the disk, before there were %d", n, bodies)
	}

	var all sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		archive := pubArchiveOf(t, "acme_"+string(rune('a'+i)), "1.0.0", 60_000)
		all.Go(func() { statuses[i], _ = publishPub(t, url, archive) })
	}
	all.Wait()
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	if count[http.StatusNoContent] != 1 || count[http.StatusRequestEntityTooLarge] != len(statuses)-1 {
		t.Errorf("of %d that race for the room of one the answers are %v", len(statuses), count)
	}
	if n := bodiesOn(t, h); n != bodies+1 {
		t.Errorf("%d bodies are on the disk, want %d", n, bodies+1)
	}
}

// TestBodiesThatDoNotFitAreNotAskedFor tells how large a body is and waits to be
// asked for it, as curl does.
func TestBodiesThatDoNotFitAreNotAskedFor(t *testing.T) {
	t.Parallel()
	h := startHost(t, `repository "generic" {
  upstream "main" { url = "http://192.0.2.1/" }
  hosted {
    names = ["acme/*"]
    quota = "100000"
  }
  max_artifact = "300000"
}
repository "npm" {
  upstream "main" { url = "http://192.0.2.1/" }
  hosted {
    names = ["@acme/*"]
    quota = "100000"
  }
}
`)
	token := h.token(t, "ci", "--allow", "publish")
	announce := func(path string, size int) (first string) {
		t.Helper()
		c, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", path, token, size)
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	for _, c := range []struct {
		path string
		size int
		want string
	}{
		{"/generic/acme/lamp.bin", 50_000, "100 Continue"},
		{"/generic/acme/lamp.bin", 100_001, "413 "},
		{"/generic/acme/lamp.bin", 50_000_000, "413 "},
		{"/npm/@acme%2flamp", 1_000_000, "100 Continue"}, // most of it may be documents
		{"/npm/@acme%2flamp", 50_000_000, "413 "},
	} {
		if got := announce(c.path, c.size); !strings.Contains(got, c.want) {
			t.Errorf("%s of %d bytes is answered with %q, want %s", c.path, c.size, got, c.want)
		}
	}
}

// TestDeletingGivesRoomBack unpublishes with the client what fills a repository.
func TestDeletingGivesRoomBack(t *testing.T) {
	t.Parallel()
	needs(t, "npm")
	f, h := hostingNpm(t, `quota = "700KB"`)
	p := hostingNpmProject(t, npmClient, h, f, h.token(t, "joe", "--allow", "read,publish,delete:npm"))
	out, err := "", error(nil)
	version := 0
	next := func() string { version++; return "1." + string(rune('0'+version)) + ".0" }
	for range 5 {
		if out, err = hostingNpmPublish(t, p, "@acme/boat", next(), nil); err != nil {
			break
		}
	}
	npmClient.fails(t, out, err, "publishes beyond the quota", "its quota is 700000")
	if out, err = p.run(t, "npm", "unpublish", "--force", "@acme/boat@1.1.0"); err != nil {
		t.Fatalf("npm does not unpublish: %v\n%s", err, out)
	}
	if out, err = hostingNpmPublish(t, p, "@acme/boat", next(), nil); err != nil {
		t.Errorf("npm does not publish when there is room again: %v\n%s", err, out)
	}
}
