package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/host/internal/upstream"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// source is an upstream document as it came. It is immutable; a revalidation
// makes a new one.
type source struct {
	Status       int
	URL          string
	ETag         string `json:",omitempty"`
	LastModified string `json:",omitempty"`
	// From is the upstream whose ETag and LastModified these are.
	From    string            `json:",omitempty"`
	Header  map[string]string `json:",omitempty"`
	Digest  blobs.Digest
	Size    int64
	Checked time.Time
	// Head says that the body was not asked for; Digest is that of what is known
	// of it.
	Head bool `json:",omitempty"`
	// Asked are the upstreams that did not have it, where there is none.
	Asked string `json:",omitempty"`
	// Unframed says that nobody could tell whether the body was whole.
	Unframed bool `json:",omitempty"`
}

const sourceKey = "s/"

// longestURL is how long an address is that stands in keys as it is, in bytes;
// keys are bounded.
const longestURL = 2 << 10

// found reports whether there is a body.
func (s *source) found() bool { return s.Status == http.StatusOK }

// fresh reports whether the source need not be asked for again.
func (s *source) fresh(repo *Repository, now time.Time) bool {
	return now.Before(s.freshUntil(repo))
}

func (s *source) freshUntil(repo *Repository) time.Time {
	if s.found() {
		return s.Checked.Add(repo.TTL)
	}
	return s.Checked.Add(repo.NegativeTTL)
}

func sourceName(repo *Repository, s *pb.Source) string {
	url := s.GetUrl()
	if len(url) > longestURL {
		sum := sha256.Sum256([]byte(url))
		url = hex.EncodeToString(sum[:])
	}
	name := key(sourceKey+repo.Name, s.GetRole(), url, s.GetAccept())
	switch {
	case s.GetHead():
		return key(name, "HEAD")
	case s.GetHere():
		return key(name, "here")
	}
	return name
}

// kept reports whether what there is of a source is still there.
func (c *Cache) keptSource(s *source) bool {
	return !s.found() || s.Head || c.blobs.Has(s.Digest)
}

// source returns an upstream document: the kept one where accept says that it
// will do, else a new one, else, when upstream cannot be asked, the last one
// there was, with the reason in stale.
func (c *Cache) source(ctx context.Context, repo *Repository, s *pb.Source, accept func(*source) bool) (got *source, stale error, err error) {
	name := sourceName(repo, s)
	old := c.knownSource(name)
	if old != nil && !old.found() && old.Asked != askedOf(repo, s) {
		old = nil // they are others, or asked with other credentials
	}
	if old != nil && accept(old) && c.keptSource(old) {
		return old, nil, nil
	}
	v, err := c.shared(ctx, name, func(ctx context.Context) (any, error) { return c.fetchSource(ctx, repo, s, name) })
	if err == nil {
		return v.(*source), nil, nil
	}
	if old != nil && time.Now().Before(old.freshUntil(repo).Add(repo.MaxStale)) && upstreamFailed(err) && c.keptSource(old) {
		return old, err, nil
	}
	return nil, nil, err
}

// upstreamFailed reports errors that a stale answer is better than.
func upstreamFailed(err error) bool {
	var failed *upstream.Error
	return errors.As(err, &failed) || errors.Is(err, errUpstreamBody) || errors.Is(err, blobs.ErrNoSpace) || errors.Is(err, errGone)
}

// errGone says that what was kept is not there any more: evicted or damaged.
var errGone = errors.New("a document went from the cache while it was needed")

func (c *Cache) knownSource(name string) *source {
	return c.sources.Find(name, func() (*source, bool) {
		value, err := c.dir.Cache.Get(name)
		if err != nil {
			s := c.knownAbsent(name)
			return s, s != nil
		}
		s := &source{}
		return s, json.Unmarshal(value, s) == nil
	})
}

// errOversize marks documents of upstream that are larger than max_document.
var errOversize = fmt.Errorf("%w", errUpstreamBody)

// oversize is a document that was found to be too large: it is not asked for
// again until an instant, as asking costs as much as the bound allows.
type oversize struct {
	err   error
	until time.Time
}

// fetchSource asks upstream, conditionally where a body is kept.
func (c *Cache) fetchSource(ctx context.Context, repo *Repository, s *pb.Source, name string) (*source, error) {
	if o, ok := c.oversized.Get(name); ok && time.Now().Before(o.until) {
		return nil, o.err
	}
	r := upstream.Request{Source: s}
	old := c.knownSource(name)
	if s.GetHead() {
		r.Method, r.Exact = http.MethodHead, true
	} else if old != nil && old.found() && c.blobs.Has(old.Digest) {
		r.ETag, r.LastModified, r.From = old.ETag, old.LastModified, old.From
	}
	var last error
	for range 2 { // a body that breaks off is asked for once more
		got, err := c.readSource(ctx, repo, r, old, name)
		if err == nil {
			c.sources.Set(name, got)
			return got, nil
		}
		if errors.Is(err, errUpstreamBody) {
			c.Stats.Broken.Add(1)
		}
		if last = err; !errors.Is(err, errUpstreamBody) || errors.Is(err, errOversize) {
			break
		}
	}
	if errors.Is(last, errOversize) {
		c.oversized.Set(name, &oversize{last, time.Now().Add(repo.NegativeTTL)})
	}
	return nil, last
}

func (c *Cache) readSource(ctx context.Context, repo *Repository, r upstream.Request, old *source, name string) (*source, error) {
	resp, err := ask(ctx, repo, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got := &source{Status: resp.Status, URL: resp.URL, From: resp.From, Checked: time.Now()}
	switch {
	case resp.Status == http.StatusNotModified && r.ETag+r.LastModified != "" && resp.From == r.From:
		c.Stats.Revalidations.Add(1)
		same := *old
		same.Checked = got.Checked
		return &same, c.putSource(name, &same)
	case resp.Closed && old != nil && old.found(): // which it was not before
		return nil, &upstream.Error{Upstream: resp.URL, Status: http.StatusForbidden, Err: errors.New("it refuses what it gave before")}
	case resp.Missing():
		got.Asked = askedOf(repo, r.Source)
		if old != nil && old.found() {
			return got, c.putSource(name, got)
		}
		if err := c.putAbsent(name, got); err != nil {
			c.log.Debug("that upstream has no such document is remembered in memory only", "repository", repo.Name, "url", got.URL, "error", err)
		}
		return got, nil
	case resp.Status != http.StatusOK:
		return nil, &upstream.Error{Upstream: resp.URL, Status: resp.Status, Err: errors.New(http.StatusText(resp.Status))}
	}
	got.ETag, got.LastModified = resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	got.Header = wire.SourceHeaders(resp.Header, r.Source.GetHead(), repo.Describe.GetLearns())
	if r.Source.GetHead() {
		head := *got
		head.Head, head.Digest = true, digestOfHeader(got.Header)
		if err := c.keepUnasked(repo, r.Source, resp, got); err != nil {
			return nil, err
		}
		return &head, c.putSource(name, &head)
	}
	tooLarge := fmt.Errorf("%w: %s is larger than max_document (%d bytes)", errOversize, resp.URL, repo.MaxDocument)
	if resp.Length > repo.MaxDocument {
		return nil, tooLarge
	}
	w, err := c.blobs.Create()
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	n, err := io.Copy(w, io.LimitReader(resp.Body, repo.MaxDocument+1))
	if errors.Is(err, blobs.ErrNoSpace) || ctx.Err() != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s broke off after %d bytes: %w", errUpstreamBody, resp.URL, n, err)
	}
	if n > repo.MaxDocument {
		return nil, tooLarge
	}
	got.Digest, got.Size, got.Unframed = w.Digest(), n, !resp.Framed
	record, err := json.Marshal(got)
	if err != nil {
		return nil, err
	}
	if len(repo.Describe.GetLearns()) > 0 { // it may be asked for by its digest
		w.From(originOf(repo, r.Source))
	}
	_, err = w.Commit(store.Change{name: record}, false)
	return got, err
}

// maxUnasked bounds a body that is kept although only its head was asked for, in
// bytes.
const maxUnasked = 4 << 20

// keepUnasked keeps the body that came with a head, as it does from what knows no
// HEAD, so that it is not asked for once more.
func (c *Cache) keepUnasked(repo *Repository, s *pb.Source, resp *upstream.Response, got *source) error {
	var first [1]byte
	if resp.Length <= 0 || resp.Length > maxUnasked {
		return nil
	}
	if n, _ := resp.Body.Read(first[:]); n == 0 {
		return nil // the usual: there is none
	}
	w, err := c.blobs.Create()
	if err != nil {
		return err
	}
	defer w.Abort()
	n, err := io.Copy(w, io.MultiReader(bytes.NewReader(first[:]), resp.Body))
	if err != nil || n != resp.Length {
		return nil //nolint:nilerr // it was not asked for, and the head is there
	}
	got.Digest, got.Size, got.Unframed = w.Digest(), n, !resp.Framed
	record, err := json.Marshal(got)
	if err != nil {
		return err
	}
	body := proto.CloneOf(s)
	body.Head = false
	name := sourceName(repo, body)
	w.From(originOf(repo, s))
	if _, err = w.Commit(store.Change{name: record}, false); err == nil {
		c.sources.Set(name, got)
	}
	return err
}

// here is a file of ours as a source.
func (c *Cache) here(ctx context.Context, repo *Repository, s *pb.Source, base string) (*source, error) {
	path, query, _ := strings.Cut(s.GetUrl(), "?")
	plan, err := c.Plan(ctx, repo, base, &pb.Request{Method: "GET", Path: path, Query: query})
	if err != nil {
		return nil, err
	}
	if plan.GetArtifact() == nil {
		return nil, fmt.Errorf("plugin %s: %s is no file here", repo.Plugin, s.GetUrl())
	}
	a, err := c.resolved(ctx, repo, plan.GetArtifact(), base, true)
	if err != nil {
		return nil, err
	}
	body, err := c.own(ctx, repo, a)
	if body.Digest.Zero() && err == nil {
		body, err = c.landed(ctx, repo, a, base)
	}
	if isNotFound(err) {
		return &source{Status: http.StatusNotFound, Checked: time.Now()}, nil
	}
	if err != nil {
		return nil, err
	}
	if body.Size > repo.MaxDocument {
		return nil, fmt.Errorf("%w: %s is larger than max_document (%d bytes)", errUpstreamBody, s.GetUrl(), repo.MaxDocument)
	}
	return &source{Status: http.StatusOK, URL: s.GetUrl(), Digest: body.Digest, Size: body.Size, Checked: time.Now()}, nil
}

// own is the body of a file that is hosted; zero: there is none, and upstream may
// be asked for it.
func (c *Cache) own(ctx context.Context, repo *Repository, plan *pb.Artifact) (Body, error) {
	f, err := c.hostedFile(ctx, repo, plan)
	if f == nil || err != nil {
		return Body{}, err
	}
	defer f.Content.Close()
	if f.Content.plain == nil {
		return Body{Digest: f.Digest, Size: f.Size}, nil
	}
	// It lies in a directory.
	w, err := c.blobs.Create()
	if err != nil {
		return Body{}, err
	}
	defer w.Abort()
	if _, err := io.Copy(w, f.Reader()); err != nil {
		return Body{}, err
	}
	size := w.Size()
	digest, err := w.Commit(nil, false)
	return Body{Digest: digest, Size: size}, err
}

// ask asks upstream. What knows no HEAD is asked for the beginning of an
// answer to GET, which says as much.
func ask(ctx context.Context, repo *Repository, r upstream.Request) (*upstream.Response, error) {
	resp, err := repo.Upstreams.Get(ctx, r)
	if err != nil || r.Method != http.MethodHead || resp.Found() || resp.Missing() {
		return resp, err
	}
	resp.Body.Close()
	r.Method = ""
	return repo.Upstreams.Get(ctx, r)
}

// digestOfHeader tells apart what is known of a body that was not asked for.
func digestOfHeader(h map[string]string) blobs.Digest {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		all = append(all, name, h[name])
	}
	return sha256.Sum256([]byte(key(all...)))
}

func (c *Cache) putSource(name string, s *source) error {
	record, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return c.dir.Cache.Apply(store.Change{name: record})
}

// Names that do not exist are without end, so that of what upstream does not
// have, as many are remembered as there are places, each by its hash.
const (
	absentKey    = "no/"
	absentPlaces = 1 << 16
	absentLength = 1 << 10 // of names; longer ones are not remembered
)

// absentSource is what upstream said that it does not have.
type absentSource struct {
	Name string
	source
}

func absentPlace(name string) string {
	h := shortHash(name)
	return fmt.Sprintf("%s%04x", absentKey, binary.BigEndian.Uint32(h[:])%absentPlaces)
}

// knownAbsent is what is remembered of a source that upstream does not have;
// nil: nothing is.
func (c *Cache) knownAbsent(name string) *source {
	value, err := c.dir.Cache.Get(absentPlace(name))
	if err != nil {
		return nil
	}
	var a absentSource
	if json.Unmarshal(value, &a) != nil || a.Name != name {
		return nil
	}
	return &a.source
}

func (c *Cache) putAbsent(name string, s *source) error {
	if len(name) > absentLength {
		return nil
	}
	record, err := json.Marshal(absentSource{name, *s})
	if err != nil {
		return err
	}
	return c.dir.Cache.Apply(store.Change{absentPlace(name): record})
}

// document hands a source to a plugin.
func (c *Cache) document(asked *pb.Source, s *source) (wire.Document, error) {
	d := wire.Document{Header: &pb.DocumentHeader{
		Source: asked, Url: s.URL, Status: int32(s.Status), Headers: s.Header, Size: s.Size,
	}}
	if !s.found() || s.Head {
		return d, nil
	}
	f, err := c.blobs.Open(s.Digest, s.Size)
	if err != nil {
		return d, err
	}
	d.Body = releasing{f}
	return d, nil
}

// releasing closes a body by giving it back.
type releasing struct{ *blobs.File }

func (r releasing) Close() error { r.Release(); return nil }

// lost reports that a body was evicted under its record.
func lost(err error) bool { return errors.Is(err, fs.ErrNotExist) }
