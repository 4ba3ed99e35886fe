package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// A file of ours is a package by its name, of one version without a name.

// renderOurs leads to a file of ours. A request that names a digest gets no
// other content.
func (f file) renderOurs(in *sdk.Input, ours *sdk.HostedPackage) error {
	kept := ours.Files[0]
	sum := sha256Of(kept.File.Digests)
	if f.sha256 != nil && !bytes.Equal(f.sha256, sum) {
		return sdk.NotFound(fmt.Sprintf("%s is published here, but its SHA-256 is %x", ours.Name, sum))
	}
	return in.Answer(sdk.Artifact{Version: kept.Version, Path: kept.File.Path, Header: checksum(sum)})
}

// checksum tells clients the digest in the header in which they may send it.
func checksum(sum []byte) map[string]string {
	return map[string]string{"X-Checksum-Sha256": hex.EncodeToString(sum)}
}

// sha256Of is the sha256 among digests; nil: there is none.
func sha256Of(digests []sdk.Digest) []byte {
	for _, d := range digests {
		if d.Algorithm == "sha256" {
			return d.Sum
		}
	}
	return nil
}

// listing is what a folder of ours has.
type listing struct {
	Folder  string   `json:"folder"`
	Folders []string `json:"folders"`
	Files   []listed `json:"files"`
}

// listed is a file in a listing.
type listed struct {
	Name      string    `json:"name"`
	URL       string    `json:"url"`
	Size      int64     `json:"size"`
	SHA256    string    `json:"sha256"`
	Published time.Time `json:"published"`
}

// pageOutput is the listing's output for people.
const pageOutput = "html"

// planFolder lists the files of ours in a folder, as JSON or, for browsers, as
// a page. What upstream has in it is not listed.
func planFolder(r sdk.Request) sdk.Plan {
	folder := strings.TrimPrefix(r.Path, "/")
	d := sdk.Document{
		Path:   "/" + folder,
		Query:  true,
		Hosted: folder + "*",
		Render: func(in *sdk.Input) error { return renderFolder(in, folder) },
	}
	if strings.Contains(r.Header("Accept"), "text/html") {
		d.Output = pageOutput
	}
	return d
}

func renderFolder(in *sdk.Input, folder string) error {
	l := listing{Folder: folder, Folders: []string{}, Files: []listed{}}
	for _, p := range in.HostedPackages() {
		below, ok := strings.CutPrefix(p.Name, folder)
		if !ok || below == "" {
			continue
		}
		if name, _, deeper := strings.Cut(below, "/"); deeper {
			if !slices.Contains(l.Folders, name+"/") {
				l.Folders = append(l.Folders, name+"/")
			}
			continue
		}
		f := p.Files[0]
		l.Files = append(l.Files, listed{
			Name: below, URL: in.URL(f.File.Path), Size: f.File.Size, SHA256: hex.EncodeToString(sha256Of(f.File.Digests)), Published: f.Version.Published.UTC(),
		})
	}
	if len(l.Folders)+len(l.Files) == 0 {
		return sdk.NotFound("nothing is published here, and listings are off for what upstream has: ask for a file, as /{upstream}/{path}")
	}
	if err := in.JSON(l); err != nil {
		return err
	}
	_, err := in.Output(pageOutput, "text/html; charset=utf-8").Write(l.page())
	return err
}

// page is a listing for people.
func (l listing) page() []byte {
	var b bytes.Buffer
	title := html.EscapeString("/" + plain(l.Folder))
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<title>%s</title>\n<h1>%s</h1>\n<ul>\n", title, title)
	if l.Folder != "" {
		b.WriteString("<li><a href=\"../\">../</a></li>\n")
	}
	for _, name := range l.Folders {
		fmt.Fprintf(&b, "<li><a href=\"./%s\">%s</a></li>\n", html.EscapeString(name), html.EscapeString(plain(name)))
	}
	for _, f := range l.Files {
		fmt.Fprintf(&b, "<li><a href=\"./%s\">%s</a> %d bytes, %s</li>\n", html.EscapeString(f.Name), html.EscapeString(plain(f.Name)), f.Size, f.Published.Format(time.DateTime))
	}
	b.WriteString("</ul>\n")
	return b.Bytes()
}

// plain is a name as people write it.
func plain(name string) string {
	if s, err := url.PathUnescape(name); err == nil {
		return s
	}
	return name
}
