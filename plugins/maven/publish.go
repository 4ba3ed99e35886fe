package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// Clients deploy a version file by file, each with its checksums, and last the
// metadata that lists it. A version is listed here from then on, and does not
// change any more. Metadata and checksums are made here.

var received = sdk.Reply{Status: http.StatusCreated}

// planPut takes a file of a version, or a checksum of one.
func planPut(r sdk.Request) sdk.Plan {
	f, algorithm, ok := fileAt(r)
	if !ok {
		return noFile
	}
	return sdk.Upload{Body: "raw", Names: []string{f.folder.name()}, Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		body, seen, err := lookedAt(p)
		switch {
		case err != nil:
			return sdk.Reply{}, err
		case algorithm != "":
			return acceptChecksum(p, f, algorithm, seen)
		}
		return acceptFile(p, f, body, seen)
	}}
}

var noFile = sdk.BadRequest("no such file has a place in a Maven repository: its name begins with those of the folders it is in, as group/artifact/version/artifact-version.jar")

// fileAt is the file that a request's path is about, and the algorithm if it is
// about a checksum of it. False: no file has such a path.
func fileAt(r sdk.Request) (file, string, bool) {
	at, ok := parseFolder(r.Path)
	if !ok || len(at) < 4 {
		return file{}, "", false
	}
	n := len(at)
	of, algorithm := cutChecksum(at[n-1])
	f, ok := parseFile(at[:n-2:n-2], at[n-2], of)
	return f, algorithm, ok
}

// lookedAt is the body and what was seen of it.
func lookedAt(p *sdk.Publication) (sdk.UploadedFile, contents, error) {
	if len(p.Files) != 1 {
		return sdk.UploadedFile{}, contents{}, sdk.BadRequest("send the file as the body")
	}
	body := p.Files[0]
	if body.Entry == nil {
		return body, contents{}, body.Problem
	}
	var seen contents
	err := json.Unmarshal(body.Entry.Extra, &seen)
	return body, seen, err
}

func acceptFile(p *sdk.Publication, f file, body sdk.UploadedFile, seen contents) (sdk.Reply, error) {
	if f.rest == ".pom" {
		if err := f.fits(seen); err != nil {
			return sdk.Reply{}, err
		}
	}
	known := p.Package(f.folder.name())
	if old := hostedFile(known, f); old != nil && bytes.Equal(digest(old.File.Digests, "sha256"), digest(body.Digests, "sha256")) {
		return received, nil // as when a deployment that broke off is made again
	}
	extra, err := kept{Plugin: seen.Plugin}.bytes()
	if err != nil {
		return sdk.Reply{}, err
	}
	e := sdk.Entry{Version: sdk.Version{Name: f.folder.name(), Version: f.version}, Path: f.path(), Extra: extra}
	p.Store(body, e, f.literal() || !listed(known, f.version))
	return received, nil
}

// fits says why a POM cannot stand where it is sent to.
func (f file) fits(seen contents) error {
	if seen.Root != "project" {
		return sdk.BadRequest("what was sent as a POM is none")
	}
	group, artifact, _ := strings.Cut(f.folder.name(), "/")
	for _, c := range []struct{ what, has, want string }{
		{"groupId", seen.Of.Group, group}, {"artifactId", seen.Of.Artifact, artifact}, {"version", seen.Of.Version, f.base},
	} {
		open := strings.Contains(c.has, "${") || c.has == "" && !seen.Whole // others know
		if c.has != c.want && !open {
			return sdk.BadRequest(fmt.Sprintf("the POM has the %s %q, but was sent to %q", c.what, c.has, c.want))
		}
	}
	return nil
}

// acceptChecksum holds a checksum against the file that was sent before it. What
// is served is made here.
func acceptChecksum(p *sdk.Publication, f file, algorithm string, seen contents) (sdk.Reply, error) {
	stored := hostedFile(p.Package(f.folder.name()), f)
	if stored == nil {
		return received, nil
	}
	sum, err := hex.DecodeString(parseChecksum(seen.Text))
	if err != nil || !bytes.Equal(sum, digest(stored.File.Digests, algorithm)) {
		return sdk.Reply{}, sdk.BadRequest(fmt.Sprintf("%s arrived with the %s %x, and the checksum sent is another", f.name(), algorithm, digest(stored.File.Digests, algorithm)))
	}
	return received, nil
}

// planPutMetadata takes metadata, which says that all files of the versions in
// it were sent. What it lists is found out here.
func planPutMetadata(r sdk.Request) sdk.Plan {
	f, ok := parseFolder(r.Raw("folder"))
	if !ok {
		return noFile
	}
	within := f.within()
	if checksum := r.Get("checksum"); checksum != "" {
		return sdk.Upload{Body: "raw", Within: within, Accept: func(*sdk.Publication) (sdk.Reply, error) { return received, nil }}
	}
	return sdk.Upload{Body: "raw", Within: within, Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		_, seen, err := lookedAt(p)
		if err != nil {
			return sdk.Reply{}, err
		}
		if seen.Root != "metadata" {
			return sdk.Reply{}, sdk.BadRequest("what was sent as " + metadataFile + " is none")
		}
		return received, commit(p, f, seen)
	}}
}

// within are patterns of the artifacts that metadata in the folder can be about:
// that of the folder's name, or, where the folder is a group's, those of the group.
func (f folder) within() []string {
	if last := len(f) - 1; last > 1 && strings.HasSuffix(f[last], snapshot) {
		return []string{f[:last].name()}
	}
	group := strings.Join(f, ".") + "/*"
	if f.name() == "" {
		return []string{group}
	}
	return []string{f.name(), group}
}

// commit lists the versions that metadata is about. Of a group, which has no
// files, nothing is kept: what plugins it has their jars say.
func commit(p *sdk.Publication, f folder, seen contents) error {
	base := ""
	if last := len(f) - 1; last > 1 && strings.HasSuffix(f[last], snapshot) {
		base, f = f[last], f[:last]
	}
	if f.name() == "" {
		return nil
	}
	known := p.Package(f.name())
	for _, v := range unlisted(known, base) {
		if !seen.Whole || slices.Contains(seen.Versions, v) {
			extra, err := kept{Builds: seen.buildsOf(v)}.bytes()
			if err != nil {
				return err
			}
			p.StoreVersion(sdk.Entry{Version: sdk.Version{Name: f.name(), Version: v}, Extra: extra}, true)
		}
	}
	return nil
}

// buildsOf are the files of a snapshot's build.
func (seen contents) buildsOf(version string) []snapshotBuild {
	var all []snapshotBuild
	for _, b := range seen.Builds {
		if b.Value == version {
			all = append(all, b)
		}
	}
	return all
}

// unlisted are the versions of an artifact, or with a base that snapshot and its
// builds, that have files but are not listed yet.
func unlisted(known *sdk.HostedPackage, base string) []string {
	var all []string
	for _, h := range known.Files {
		v := h.Version.Version
		of, _ := snapshotOf(v)
		if base == "" {
			v = of
		}
		if (base == "" || of == base) && !slices.Contains(all, v) && !listed(known, v) {
			all = append(all, v)
		}
	}
	return all
}

// isFixed reports whether a file's bytes are what others may have built with: of
// a release that is listed.
func isFixed(p *sdk.Publication, h sdk.Hosted) bool {
	_, changes := snapshotOf(h.Version.Version)
	return !changes && listed(p.Package(h.Version.Name), h.Version.Version)
}

// planDelete deletes a file, or with a slash at its end a version.
func planDelete(r sdk.Request) sdk.Plan {
	if raw, ok := strings.CutSuffix(r.Path, "/"); ok {
		at, ok := parseFolder(raw)
		if !ok || len(at) < 3 {
			return noFile
		}
		return deletion(at[:len(at)-1], func(p *sdk.Publication, h sdk.Hosted) bool {
			of, _ := snapshotOf(h.Version.Version)
			if of == at[len(at)-1] || h.Version.Version == at[len(at)-1] {
				p.Delete(h.Version.Name, h.Version.Version, isFixed(p, h))
				return true
			}
			return false
		})
	}
	f, algorithm, ok := fileAt(r)
	if !ok || algorithm != "" {
		return noFile
	}
	return deletion(f.folder, func(p *sdk.Publication, h sdk.Hosted) bool {
		if h.File.Path == f.path() {
			p.DeleteFile(h.Version.Name, h.Version.Version, h.File.Path, isFixed(p, h))
			return true
		}
		return false
	})
}

// deletion deletes what of an artifact is to go.
func deletion(of folder, del func(*sdk.Publication, sdk.Hosted) bool) sdk.Plan {
	return sdk.Upload{Action: sdk.ActionDelete, Names: []string{of.name()}, Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		done := false
		for _, h := range p.Package(of.name()).Files {
			done = del(p, h) || done
		}
		if !done {
			return sdk.Reply{}, sdk.NotFound("that was not deployed here")
		}
		return sdk.Reply{Status: http.StatusNoContent}, nil
	}}
}
