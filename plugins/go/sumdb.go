package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/entrepot-registry/entrepot/sdk"
)

// Routes that policy does not judge.
const (
	lookupRoute = "GET /sumdb/{db...}/lookup/{module...}@{version}"
	tileRoute   = "GET /sumdb/{db...}/tile/{tile...}"
)

// database is the checksum database (go.dev/ref/mod, "Checksum database").
type database struct {
	// name; empty: there is none.
	name string
	// proxied is whether module proxies are asked for it first, as the go command
	// does where no address of it is given.
	proxied bool
	// private are patterns of module paths, as in GONOSUMDB, that it must not
	// hear of.
	private string
}

// sources are where something of the database's is, in the order in which they
// are asked.
func (db database) sources(rest string) []sdk.Source {
	direct := sdk.Source{URL: rest, Role: roleSumDB}
	if !db.proxied {
		return []sdk.Source{direct}
	}
	return []sdk.Source{{URL: db.path(rest), Role: roleMain}, direct}
}

// supported is where module proxies say whether they pass the database on.
func (db database) supported() sdk.Source {
	return sdk.Source{URL: db.path("/supported"), Role: roleMain, Optional: true}
}

// doc is something of the database's: a proxy's where one passes the database
// on, else its own. False: rendering is to be asked again.
func (db database) doc(in *sdk.Input, rest string) (*sdk.Doc, bool) {
	all := db.sources(rest)
	from := all[len(all)-1]
	if db.proxied {
		supported, ok := in.Doc(db.supported())
		if !ok {
			return nil, false
		}
		if supported.OK() {
			from = all[0]
		}
	}
	from.Optional = true
	return in.Doc(from)
}

// knows reports whether the database may be asked about a module.
func (db database) knows(path string) bool {
	return db.name != "" && !module.MatchPrefixPatterns(db.private, path)
}

// is reports whether a request is for this database.
func (db database) is(r sdk.Request) bool { return db.name != "" && r.Get("db") == db.name }

// unsupported is the answer for other databases: clients then ask those
// themselves.
func unsupported(r sdk.Request) sdk.Plan {
	return sdk.NotFound("not found: the checksum database " + r.Get("db") + " is not passed on here")
}

// path is the canonical address here of something of the database's.
func (db database) path(rest string) string {
	return (&url.URL{Path: "/sumdb/" + db.name}).EscapedPath() + rest
}

// planSupported tells clients whether to ask the database here.
func (db database) planSupported(r sdk.Request) sdk.Plan {
	if !db.is(r) {
		return unsupported(r)
	}
	return sdk.Reply{Header: map[string]string{"Content-Type": "text/plain; charset=utf-8"}}
}

// watch is the document that says how many records the database has. It is
// looked at from time to time, so that a new record tells that nobody had heard of
// its version before: the time of a commit is only what its author says.
func (db database) watch() []string {
	if db.name == "" {
		return nil
	}
	return []string{db.path("/latest")}
}

// planLatest serves the signed tree head, as it is.
func (db database) planLatest(r sdk.Request) sdk.Plan {
	if !db.is(r) {
		return unsupported(r)
	}
	first := db.supported()
	if !db.proxied {
		first = db.sources("/latest")[0]
		first.Optional = true
	}
	return sdk.Document{
		Path:  db.path("/latest"),
		Query: true,
		From:  []sdk.Source{first},
		Render: func(in *sdk.Input) error {
			doc, ok := db.doc(in, "/latest")
			if !ok {
				return nil
			}
			if !doc.OK() {
				return fmt.Errorf("the checksum database %s does not tell its tree (status %d)", db.name, doc.Status)
			}
			tree, err := tlog.ParseTree(doc.Body)
			if err != nil {
				return err
			}
			in.Log(db.name, tree.N)
			_, err = in.Output("", "text/plain; charset=utf-8").Write(doc.Body)
			return err
		},
	}
}

// planLookup serves a record, once it is there for good.
func (db database) planLookup(r sdk.Request) sdk.Plan {
	if !db.is(r) {
		return unsupported(r)
	}
	m, err := fixedVersion(r)
	if err != nil {
		return notFound(err)
	}
	if !db.knows(m.Path) {
		return sdk.Failure{Kind: sdk.KindRefused, Message: fmt.Sprintf("%s is not looked up in the checksum database, because this repository's nosumdb matches it: set GONOSUMDB=%s", m.Path, db.private)}
	}
	record := db.record(lookupPath(m), "text/plain; charset=utf-8")
	record.Version.Name = m.Path // of names that are ours it is not asked
	return record
}

// planTile serves a tile of the log's hashes.
func (db database) planTile(r sdk.Request) sdk.Plan {
	if !db.is(r) {
		return unsupported(r)
	}
	tile, err := tlog.ParseTilePath("tile/" + r.Get("tile"))
	if err != nil {
		return notFound(err)
	}
	return db.record("/"+tile.Path(), "application/octet-stream")
}

// record is a file of the database's that never changes.
func (db database) record(rest, contentType string) sdk.Artifact {
	return sdk.Artifact{
		Path:    db.path(rest),
		From:    db.sources(rest),
		Type:    contentType,
		Ungated: true,
	}
}

// lookupPath is where the database has the record of a version.
func lookupPath(m module.Version) string {
	path := strings.TrimSuffix(folder(m.Path), "/@v/")
	version := strings.TrimPrefix(filePath(m, ""), folder(m.Path))
	return "/lookup" + path + "@" + version
}

// sums are the digests of a version's files; nil: none is known, and there is no
// record.
type sums struct {
	zip, mod []sdk.Digest
	record   int64 // number of the record
}

// parseLookup reads the record of a version. One that is not there says
// nothing; a database that does not answer is an error, as what nobody verified
// would be kept for good.
func parseLookup(m module.Version, doc *sdk.Doc) (sums, error) {
	switch doc.Status {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return sums{}, nil
	default:
		return sums{}, fmt.Errorf("the checksum database, the upstream in the role of %q, does not tell the hashes of %s %s (status %d)", roleSumDB, m.Path, m.Version, doc.Status)
	}
	id, text, _, err := tlog.ParseRecord(doc.Body)
	if err != nil {
		return sums{}, fmt.Errorf("the checksum database's record of %s %s: %w", m.Path, m.Version, err)
	}
	s := sums{record: id}
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) != 3 || fields[0] != m.Path {
			continue
		}
		switch fields[1] {
		case m.Version:
			s.zip = append(s.zip, digest("h1", fields[2]))
		case m.Version + "/go.mod":
			s.mod = append(s.mod, digest("h1:go.mod", fields[2]))
		}
	}
	if len(s.zip) == 0 || len(s.mod) == 0 {
		return sums{}, fmt.Errorf("the checksum database's record of %s %s is about something else", m.Path, m.Version)
	}
	return s, nil
}

// digest is a hash as go.sum writes it. One that cannot be read is a digest
// that no file has, so that nothing is served unverified.
func digest(algorithm, text string) sdk.Digest {
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "h1:"))
	if err != nil || !strings.HasPrefix(text, "h1:") || len(sum) != sha256.Size {
		sum = make([]byte, sha256.Size)
	}
	return sdk.Digest{Algorithm: algorithm, Sum: sum}
}
