package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	"github.com/entrepot-registry/entrepot/sdk/names"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Doc is a document that upstream answered with.
type Doc struct {
	// Source is the question.
	Source Source
	// URL is the address that answered, after redirects.
	URL string
	// Status is the HTTP status; 0: upstream could not be reached. Sources that
	// are not optional have 200, or 404 where there is only what we host. Those of
	// a document of [Document.Hosted] that has no Name, of which something is
	// hosted, are all 0 where upstream failed or its answer could not be read: what
	// we host is then to be shown alone, or, where there is nothing of ours to
	// show, an error returned, in whose place the client is told of upstream's.
	Status int
	// Header has content-type, last-modified and link of the answer, what
	// [Ecosystem.Learns] names, and for [Source.Head] also etag and
	// content-length, as far as they were sent,
	// names in lower case. It may be nil.
	Header map[string]string
	// Body is the whole body, without any content encoding. It is shared by the
	// runs of one rendering, so it must not be changed.
	Body []byte
}

// OK reports whether upstream has it, with status 200. There is a body to read
// then, but of a [Source.Head].
func (d *Doc) OK() bool { return d.Status == 200 }

// Reader reads the body.
func (d *Doc) Reader() io.Reader { return bytes.NewReader(d.Body) }

// Input is what Render works on: documents in, outputs and facts out.
type Input struct {
	request Request
	policy  cooldown.Policy
	docs    map[Source]*Doc
	first   []Source
	missing []Source
	facts   []*pb.Fact
	held    hold
	out     outputs
	known   []Known
	hosted  map[string]*HostedPackage
	ours    []string
	answer  *pb.PlanResponse
	state   *pb.State
	logs    []*pb.LogHead
	// mistake is what Keep was told that no host can use; empty: nothing.
	mistake string
	// several is whether the document has no name, so that upstream was asked
	// whatever names are ours.
	several bool
	// empty is what Empty was called for.
	empty bool
	// serveRemoved is what ServesRemoved tells.
	serveRemoved bool
	// over is whether Render has returned.
	over atomic.Bool
}

// outputs takes what a rendering writes.
type outputs interface {
	header(name, contentType string, headers map[string]string) error
	piece(p []byte) error
}

// Request is the request for the document's canonical address.
func (in *Input) Request() Request { return in.request }

// Docs are the documents of [Document.From], in its order. None is nil; those
// of optional sources may not be OK.
func (in *Input) Docs() []*Doc {
	docs := make([]*Doc, len(in.first))
	for i, s := range in.first {
		docs[i] = in.docs[s]
	}
	return docs
}

// Doc returns one more document of upstream. False, with nil: it is not there
// yet. Render should go on as far as it can, so that all it lacks is fetched
// together, and return; what it returns and wrote is dropped, and it is run
// again from its beginning. Rounds and documents are bounded by the host.
func (in *Input) Doc(s Source) (*Doc, bool) {
	in.mustBeOpen("Doc")
	if d, ok := in.docs[s]; ok {
		return d, true
	}
	in.missing = append(in.missing, s)
	return nil, false
}

// Keep records what is known of a version and its files, and reports whether
// policy lets all of them be shown. It must be called for every version that
// upstream's documents list, also for those that the plugin would drop itself;
// without [Version.Name], or with a [File.Path] that does not begin with a slash,
// the rendering fails. Files that can be shown one without the other are told of
// one by one. Without a file, the version itself is judged. In a document without
// [Document.Name], what upstream has under a name that is ours is not shown and
// not recorded.
func (in *Input) Keep(v Version, files ...File) bool {
	if len(files) == 0 {
		return in.keep(v, File{})
	}
	kept := true
	for _, f := range files {
		if !in.keep(v, f) {
			kept = false
		}
	}
	return kept
}

func (in *Input) keep(v Version, f File) bool {
	in.mustBeOpen("Keep")
	published := v.Published
	if !f.Published.IsZero() {
		published = f.Published
	}
	if v.Name == "" {
		in.mistake = "a version without the name of its package"
	}
	if f.Path != "" && f.Path[0] != '/' {
		in.mistake = fmt.Sprintf("a file with the Path %q, which does not begin with a slash,", f.Path)
	}
	if in.several && in.Ours(v.Name) {
		return false
	}
	key := cooldown.Key{Name: v.Name, Version: v.Version, Path: f.Path}
	verdict := in.policy.Judge(key, published)
	if verdict.Held {
		in.held.note(key, verdict)
	}
	fact := &pb.Fact{
		Name:        v.Name,
		Version:     v.Version,
		Path:        f.Path,
		Url:         f.URL,
		Size:        f.Size,
		PublishedMs: milliseconds(published),
		Yanked:      v.Yanked,
		License:     v.License,
		Kept:        !verdict.Held,
		Extra:       f.Extra,
		Digests:     wireDigests(f.Digests),
		Claimed:     v.Claimed && f.Published.IsZero(),
		Log:         v.Log,
		Entry:       v.Entry,
	}
	in.facts = append(in.facts, fact)
	return !verdict.Held
}

// mustBeOpen ends what goes on after Render has returned, before it fills the
// memory or is mixed into another rendering.
func (in *Input) mustBeOpen(method string) {
	if in.over.Load() {
		panic("Input." + method + " was called after Render had returned: start no goroutine that outlives Render, and keep no Input")
	}
}

// Holds reports whether policy would hold a version back that has the Name,
// Version and Published given (zero: unknown, as for Keep), without recording
// anything: Keep is still to be called. It spares a plugin questions of upstream
// that would change nothing.
func (in *Input) Holds(v Version) bool {
	return in.policy.Judge(cooldown.Key{Name: v.Name, Version: v.Version}, v.Published).Held
}

// Known is a file of a version that an earlier rendering told Keep of.
type Known struct {
	// Version is what Keep was told, but for Claimed, Log and Entry, which are
	// zero; Published is the file's own, where Keep was told of one.
	Version Version
	// File likewise, with a zero Published; URL, Digests, Size and Extra are those
	// seen last. Digests has a sha256 also where Keep was told of none, while the
	// host keeps the file.
	File File
	// First is when it was first seen.
	First time.Time
}

// Earlier are the files that earlier renderings of a document with a
// [Document.History] told Keep of, oldest first, for what upstream no longer
// lists. Those of a [Document.Query] are of the listing that judges it. Nil:
// there are none. Those that are served again are to be told to
// Keep again. How many are remembered is bounded by the host.
func (in *Input) Earlier() []Known { return in.known }

// ServesRemoved reports whether the configuration has what upstream no longer has
// served on while it is kept (removed = "serve"): a document with a history that
// upstream does not have at all can then be what [Input.Earlier] tells.
func (in *Input) ServesRemoved() bool { return in.serveRemoved }

// Empty says that upstream shows the whole of a list, see [Document.Listing], and
// that there is nothing in it of which Keep would be told.
func (in *Input) Empty() { in.empty = true }

// Part names a file of a snapshot: its Path, and its digests, of which one is a
// sha256, and size. Its URL is where upstream has it by its content; without, or
// where it is not there, upstream has it beside the document's first source as
// its Path lies beside the document's. Index is the Path of the document that tells facts of
// the files that the part lists; empty: it lists none.
func (in *Input) Part(f File, index string) {
	in.facts = append(in.facts, &pb.Fact{
		Path: f.Path, Url: f.URL, Digests: wireDigests(f.Digests), Size: f.Size, Part: true, Kept: true, Index: index,
	})
}

// State says what state a snapshot is in: what it is called (a serial number, a
// date), when it was published, and when clients stop believing it; zero times:
// unknown, and never. The last call counts.
func (in *Input) State(version string, published, expires time.Time) {
	in.state = &pb.State{Version: version, PublishedMs: milliseconds(published), ExpiresMs: milliseconds(expires)}
}

// Log says how many entries an append-only log has, in a document of which that
// is the only source: one that [Ecosystem.Watch] names. Versions whose
// [Version.Entry] the log did not have when it was seen are no older than that,
// whatever their authors claim.
func (in *Input) Log(name string, size int64) {
	in.logs = append(in.logs, &pb.LogHead{Log: name, Size: size})
}

// Answer has the client answered with an [Artifact] or a [Reply] instead of
// outputs; an artifact's Path must say which of several contents it is. A nil
// plan panics. The error is always nil, so that Render can end with it.
func (in *Input) Answer(p Plan) error {
	in.answer = p.response(in.request)
	return nil
}

// URL returns the external address of a path of this repository, as
// [Request.URL] does.
func (in *Input) URL(path string) string { return in.request.URL(path) }

// Output begins, or goes on with, one of the document's outputs; the name of
// the main one is empty. Several may be written in turns. An output is there
// once Write was called, and has the content type given the first time. An
// error of Write says that the host has gone; Render returns it.
func (in *Input) Output(name, contentType string) io.Writer {
	return in.OutputWith(name, contentType, nil)
}

// OutputWith is [Input.Output] of an output with further headers for the
// client, one value a name; nil: none. Those given the first time count.
func (in *Input) OutputWith(name, contentType string, header map[string]string) io.Writer {
	return &output{in: in, name: name, contentType: contentType, headers: header}
}

// JSON writes a value as the main output. An error is one of encoding/json, or
// of Write, and Render's to return.
func (in *Input) JSON(v any) error {
	return json.NewEncoder(in.Output("", "application/json")).Encode(v)
}

type output struct {
	in                *Input
	name, contentType string
	headers           map[string]string
}

// Write adds to the output.
func (o *output) Write(p []byte) (int, error) {
	if len(o.in.missing) > 0 {
		return len(p), nil // dropped: Render is going to be run again
	}
	if err := o.in.out.header(o.name, o.contentType, o.headers); err != nil {
		return 0, err
	}
	if err := o.in.out.piece(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func policyFromWire(p *pb.Policy, rules names.Rules) cooldown.Policy {
	policy := cooldown.Policy{
		Names:  rules,
		Now:    time.UnixMilli(p.GetNowMs()),
		Exempt: map[cooldown.Version]bool{},
		Floors: map[cooldown.Key]time.Time{},
	}
	for _, r := range p.GetRules() {
		policy.Rules = append(policy.Rules, cooldown.Rule{
			Name:    r.GetName(),
			Version: r.GetVersion(),
			Window:  time.Duration(r.GetWindowMs()) * time.Millisecond,
			Label:   r.GetLabel(),
		})
	}
	for _, e := range p.GetExempt() {
		policy.Exempt[cooldown.Version{Name: e.GetName(), Version: e.GetVersion()}] = true
	}
	for _, f := range p.GetFloors() {
		key := cooldown.Key{Name: f.GetName(), Version: f.GetVersion(), Path: f.GetPath()}
		policy.Floors[key] = time.UnixMilli(f.GetAtMs())
	}
	return policy
}

func knownFromWire(known []*pb.Known) []Known {
	var out []Known
	for _, k := range known {
		f := k.GetFact()
		file := File{Path: f.GetPath(), URL: f.GetUrl(), Digests: digestsFromWire(f.GetDigests()), Size: f.GetSize(), Extra: f.GetExtra()}
		out = append(out, Known{
			Version: Version{
				Name: f.GetName(), Version: f.GetVersion(), Published: instant(f.GetPublishedMs()),
				Yanked: f.GetYanked(), License: f.GetLicense(),
			},
			File:  file,
			First: instant(k.GetFirstMs()),
		})
	}
	return out
}
