package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/host/internal/upstream"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// How a file on its way is shown to those who follow it.
const (
	// withheld is how much of the end is kept back until the digest is right.
	withheld = 64 << 10
	// publishEvery is how often progress is told, in bytes.
	publishEvery = 256 << 10
	// publishAfter is how often progress is told of slow bodies.
	publishAfter = 10 * time.Millisecond
	// resumes is how often a body that broke off is taken up again without that
	// it got on.
	resumes = 4
	// resumeAfter is the pause before the second time; later ones are longer.
	resumeAfter = 200 * time.Millisecond
)

// flight is a file on its way from upstream. One goroutine writes it; any
// number of clients follow.
type flight struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced when anything below changes
	started bool          // size and path are known
	size    int64         // -1: unknown
	path    string        // of the growing file
	shown   int64         // bytes that may be read
	done    bool
	body    Body // when done without an error
	err     error
	typ     string
	kept    bool     // the body is, and what waits for that was done
	waiting []func() // what is to be done once it is kept, before anybody has all of it
}

// whenKept has something done once the body is kept, before those who follow are
// shown the end of it; at once, if it is.
func (f *flight) whenKept(do func()) {
	f.mu.Lock()
	if !f.kept {
		f.waiting = append(f.waiting, do)
		do = func() {}
	}
	f.mu.Unlock()
	do()
}

// keep does what waits for the body to be kept.
func (f *flight) keep() {
	for {
		f.mu.Lock()
		waiting := f.waiting
		f.waiting, f.kept = nil, len(waiting) == 0
		f.mu.Unlock()
		if len(waiting) == 0 {
			return
		}
		for _, do := range waiting {
			do()
		}
	}
}

func (f *flight) update(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

// Follower reads a file on its way.
type Follower struct {
	flight *flight
	file   *os.File
}

// Available waits until bytes from an offset may be read, and returns how
// many may be read in all; io.EOF when there are no more.
func (r *Follower) Available(ctx context.Context, offset int64) (int64, error) {
	for {
		r.flight.mu.Lock()
		shown, done, err, changed := r.flight.shown, r.flight.done, r.flight.err, r.flight.changed
		r.flight.mu.Unlock()
		switch {
		case err != nil:
			return 0, err
		case shown > offset:
			return shown, nil
		case done:
			return shown, io.EOF
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// File is the growing file, with an offset of the follower's own.
func (r *Follower) File() *os.File { return r.file }

// Close ends following.
func (r *Follower) Close() { r.file.Close() }

// fetchArtifact joins the flight of a file, or begins it, and waits for its
// first bytes or its failure.
func (c *Cache) fetchArtifact(ctx context.Context, repo *Repository, plan *pb.Artifact, base, name string) (*File, error) {
	if failed, ok := c.missing.GetIfPresent(name); ok && !failed.wrong && time.Now().Before(failed.until) {
		return nil, failed.Failure
	}
	f := c.join(repo, plan, base, name)
	for tries := 3; ; {
		f.mu.Lock()
		changed := f.changed
		file, err := c.followed(plan, f)
		f.mu.Unlock()
		if lost(err) && tries > 0 { // evicted before we got to it
			tries--
			f = c.join(repo, plan, base, name)
			continue
		}
		if file != nil || err != nil {
			return file, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// landed waits until a file is kept completely.
func (c *Cache) landed(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (Body, error) {
	name := artifactName(repo, plan.GetPath())
	if a := c.knownArtifact(repo, name); a != nil {
		f, err := c.kept(ctx, repo, plan, base, a)
		if err != nil {
			return Body{}, err
		}
		if f != nil {
			f.Content.Close()
			return a.Body, nil
		}
	}
	f := c.join(repo, plan, base, name)
	for {
		f.mu.Lock()
		changed, done, body, err := f.changed, f.done, f.body, f.err
		f.mu.Unlock()
		if done {
			return body, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Body{}, ctx.Err()
		}
	}
}

// join returns the flight of a file, which it begins if there is none.
func (c *Cache) join(repo *Repository, plan *pb.Artifact, base, name string) *flight {
	c.flightsMu.Lock()
	defer c.flightsMu.Unlock()
	f := c.flights[name]
	if f == nil {
		f = &flight{changed: make(chan struct{}), size: -1}
		c.flights[name] = f
		c.wg.Add(1)
		go func() {
			defer c.wg.Done()
			c.fly(repo, plan, base, name, f)
		}()
	}
	return f
}

// followed is what a flight has for a client; neither: nothing yet. The flight
// is locked.
func (c *Cache) followed(plan *pb.Artifact, f *flight) (*File, error) {
	switch {
	case f.err != nil:
		return nil, f.err
	case f.done:
		content, err := c.Open(f.body)
		if err != nil {
			return nil, err
		}
		return &File{Content: content, Landed: true, Type: typeOf(plan, f.typ), Size: f.body.Size}, nil
	case !f.started:
		return nil, nil
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, nil //nolint:nilerr // renamed this moment: done comes next
	}
	return &File{Flight: &Follower{flight: f, file: file}, Type: typeOf(plan, f.typ), Size: f.size}, nil
}

// missed remembers that upstream has no such file, or sent a wrong one.
type missed struct {
	*Failure
	at, until time.Time
	// wrong is whether bytes came that are not the file's: who asks for them has
	// them fetched again, and who asks for the header only is told.
	wrong bool
}

// noteMissing remembers for a while that upstream has no such file, or sent a
// wrong one, if that is why it cannot be had.
func (c *Cache) noteMissing(repo *Repository, name string, err error) {
	now := time.Now()
	until := now.Add(repo.NegativeTTL)
	failure := (*Failure)(nil)
	switch {
	case errors.As(err, &failure) && failure.Kind == pb.ErrorKind_ERROR_KIND_NOT_FOUND:
		c.missing.Set(name, missed{Failure: failure, at: now, until: until})
	case errors.Is(err, errWrongDigest):
		c.missing.Set(name, missed{Failure: AsFailure(err), at: now, until: until, wrong: true})
	}
}

// fly judges, fetches, verifies and keeps a file. It goes on when clients
// leave.
func (c *Cache) fly(repo *Repository, plan *pb.Artifact, base, name string, f *flight) {
	body, err := c.flown(repo, plan, base, name, f)
	c.noteMissing(repo, name, err)
	typ := f.typ
	if err == nil {
		f.keep()
		if a := c.knownArtifact(repo, name); a != nil { // also where nothing was to be fetched
			typ = a.Type
		}
	}
	// Whoever asks from now on finds it kept, or tries anew.
	c.flightsMu.Lock()
	delete(c.flights, name)
	c.flightsMu.Unlock()
	f.update(func() {
		f.done, f.body, f.typ, f.err = true, body, typ, err
		if err == nil {
			f.shown = body.Size
		}
	})
}

func (c *Cache) flown(repo *Repository, plan *pb.Artifact, base, name string, f *flight) (Body, error) {
	// Another flight may have landed since the client found nothing.
	if a := c.knownArtifact(repo, name); a != nil && c.blobs.Has(a.Digest) {
		if f := c.refusal(repo, a.Name, a.Version, plan.GetPath(), a.Since, a.Floored, a.Withdrawn); f != nil && !plan.GetUngated() {
			return Body{}, f
		}
		return a.Body, nil
	}
	known, err := c.judgeCold(c.ctx, repo, plan, base)
	if err != nil {
		return Body{}, err
	}
	expected, err := c.expected(plan, known, name)
	if err != nil {
		return Body{}, err
	}
	if body, ok, err := c.fromAside(repo, plan, known, name); ok || err != nil {
		return body, err
	}
	if body, ok, err := c.fromElsewhere(c.ctx, repo, plan, known, name); ok || err != nil {
		return body, err
	}
	sources := addresses(plan, known)
	if len(sources) == 0 {
		return Body{}, notFound("upstream's documents give no address for %s", strings.TrimPrefix(plan.GetPath(), "/"))
	}
	for i, source := range sources {
		body, err := c.download(repo, plan, known, source, expected, name, f)
		if i < len(sources)-1 && !f.started && isNotFound(err) {
			continue
		}
		return body, err
	}
	return Body{}, nil
}

// addresses are where upstream has a file: as its facts say, else as the plan
// does.
func addresses(plan *pb.Artifact, known *found) []*pb.Source {
	if known.exact && known.fact.GetUrl() != "" {
		return []*pb.Source{wire.FactSource(plan, known.fact)}
	}
	return plan.GetSources()
}

// refused turns upstream's definite no into an error.
func refused(plan *pb.Artifact, resp *upstream.Response) error {
	if resp.Missing() {
		v := plan.GetVersion()
		return &Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Name: v.GetName(), Version: v.GetVersion(),
			Message: "upstream has no " + strings.TrimPrefix(plan.GetPath(), "/")}
	}
	return &upstream.Error{Upstream: resp.URL, Status: resp.Status, Err: errors.New(http.StatusText(resp.Status))}
}

func isNotFound(err error) bool {
	var failure *Failure
	return errors.As(err, &failure) && failure.Kind == pb.ErrorKind_ERROR_KIND_NOT_FOUND
}

// namedDigest is the digest of a file that its plan or its facts name; nil: none.
func namedDigest(plan *pb.Artifact, known *found) *pb.Digest {
	if d := plan.GetDigest(); len(d.GetSum()) > 0 {
		return d
	}
	if known.exact {
		return digestOf(known.fact.GetDigests())
	}
	return nil
}

// expected is the digest that a file must have, which is also the one that it
// had before; nil: nobody says.
func (c *Cache) expected(plan *pb.Artifact, known *found, name string) (*pb.Digest, error) {
	if d := namedDigest(plan, known); d != nil {
		return d, nil
	}
	sum, err := c.dir.Keep.Get(pinnedKey + name)
	if lost(err) {
		return nil, nil
	}
	return &pb.Digest{Algorithm: "sha256", Sum: sum}, err
}

// download fetches a file from one address.
func (c *Cache) download(repo *Repository, plan *pb.Artifact, known *found, source *pb.Source, expected *pb.Digest, name string, f *flight) (Body, error) {
	ctx := c.ctx
	resp, err := repo.Upstreams.Get(ctx, upstream.Request{Source: source, Exact: true})
	if err != nil {
		return Body{}, err
	}
	defer func() { resp.Body.Close() }()
	switch {
	case resp.Status != http.StatusOK:
		return Body{}, refused(plan, resp)
	case resp.Length > repo.MaxArtifact:
		return Body{}, fmt.Errorf("%w: %s is larger than max_artifact (%d bytes)", errUpstreamBody, resp.URL, repo.MaxArtifact)
	}
	size := resp.Length
	if known.exact && known.fact.GetSize() > 0 {
		if size >= 0 && size != known.fact.GetSize() && expected == nil {
			return Body{}, fmt.Errorf("%w: %s has %d bytes, its listing says %d", errUpstreamBody, resp.URL, size, known.fact.GetSize())
		}
	}
	if size < 0 && !resp.Framed && expected == nil {
		return Body{}, fmt.Errorf("%w: %s comes without length and digest, so nobody could tell whether it is whole", errUpstreamBody, resp.URL)
	}
	if err := c.blobs.Fits(size); err != nil { // before clients are promised all of it
		return Body{}, err
	}
	w, err := c.blobs.Create()
	if err != nil {
		return Body{}, err
	}
	defer w.Abort()
	check := newCheck(expected)
	typ := resp.Header.Get("Content-Type")
	f.update(func() { f.started, f.size, f.path, f.typ = true, size, w.Path(), typ })
	if err := c.receive(ctx, repo, source, &resp, expected != nil, io.MultiWriter(w, check), w, f); err != nil {
		return Body{}, err
	}
	if err := check.verify(expected, w.Path(), w.Size()); err != nil {
		return Body{}, fmt.Errorf("%w: %s: %w", errWrongDigest, resp.URL, err)
	}
	a := newArtifact(plan, known, Body{Digest: w.Digest(), Size: w.Size()}, typ)
	if expected == nil {
		sum := a.Digest
		if err := c.dir.Keep.Apply(store.Change{pinnedKey + name: sum[:]}); err != nil {
			return Body{}, err
		}
	}
	if _, err := w.Commit(store.Change{name: a.encode()}, false); err != nil {
		return Body{}, err
	}
	if a.Unverified {
		c.log.Info("upstream tells no digest of a file: its own is believed from now on", "repository", repo.Name, "file", plan.GetPath(), "sha256", fmt.Sprintf("%x", a.Digest[:]))
	}
	a.recheck.Store(time.Now().Add(repo.TTL).UnixMilli())
	c.artifacts.Set(name, a)
	return a.Body, c.stillListed(repo, plan, known, a)
}

// receive copies a body into the growing file and shows its progress. A body
// that breaks off is taken up where it ended, if upstream says that it is still
// the same, or a digest will tell: at once, then after pauses, and for as long as
// it gets on.
func (c *Cache) receive(ctx context.Context, repo *Repository, source *pb.Source, resp **upstream.Response, digested bool, to io.Writer, w *blobs.Writer, f *flight) error {
	etag := (*resp).Header.Get("ETag")
	if strings.HasPrefix(etag, "W/") {
		etag = ""
	}
	size := (*resp).Length
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = resumeAfter
	had := int64(0)
	for try := 0; ; try++ {
		err := copyShowing(to, (*resp).Body, w, f, repo.MaxArtifact)
		if err == nil && size >= 0 && w.Size() != size {
			err = io.ErrUnexpectedEOF
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, blobs.ErrNoSpace) || errors.Is(err, errTooLarge) {
			return err
		}
		broken := fmt.Errorf("%w: %s broke off after %d bytes: %w", errUpstreamBody, (*resp).URL, w.Size(), err)
		if w.Size()-had >= publishEvery {
			try = 0
			pauses.Reset()
		}
		had = w.Size()
		if try == resumes || w.Size() > 0 && etag == "" && (size < 0 || !digested) {
			return broken
		}
		(*resp).Body.Close()
		if try > 0 {
			select {
			case <-time.After(pauses.NextBackOff()):
			case <-ctx.Done():
				return broken
			}
		}
		again, err := repo.Upstreams.Get(ctx, upstream.Request{Source: source, Exact: true, Offset: w.Size(), IfRange: etag})
		if err != nil {
			return errors.Join(broken, err)
		}
		*resp = again
		switch {
		case w.Size() == 0 && again.Status == http.StatusOK:
		case again.Status == http.StatusPartialContent && continues(again, w.Size(), size):
		case again.Status == http.StatusOK && again.Length == size && size >= 0 && (digested || again.Header.Get("ETag") == etag):
			// No ranges there: skip what we have.
			if _, err := io.CopyN(io.Discard, again.Body, w.Size()); err != nil {
				return broken
			}
		default:
			return broken
		}
	}
}

// continues reports whether a partial answer begins where we ended and is of
// the same file.
func continues(r *upstream.Response, offset, size int64) bool {
	var from, to, total int64
	if n, err := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &total); err != nil || n != 3 {
		return false
	}
	return from == offset && (size < 0 || total == size)
}

var errTooLarge = fmt.Errorf("%w: larger than max_artifact", errUpstreamBody)

func copyShowing(to io.Writer, from io.Reader, w *blobs.Writer, f *flight, limit int64) error {
	buf := make([]byte, publishEvery)
	told, at := int64(0), time.Now()
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if w.Size()+int64(n) > limit {
				return errTooLarge
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
			if show := w.Size() - withheld; show > told && (show-told >= publishEvery || told == 0 || time.Since(at) >= publishAfter) {
				told, at = show, time.Now()
				f.update(func() { f.shown = max(f.shown, show) })
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
