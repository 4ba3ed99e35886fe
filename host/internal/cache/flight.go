package cache

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// How a file on its way is shown to those who follow it.
const (
	// withheld is how much of the end is kept back until the digest is right; where
	// nobody says where that is, of what arrived.
	withheld = 64 << 10
	// publishEvery is how often progress is told, in bytes.
	publishEvery = 256 << 10
	// publishAfter is how often it is told of slow bodies.
	publishAfter = 10 * time.Millisecond
	// resumes is how often a body that broke off is taken up again without that
	// it got on.
	resumes = 4
	// resumesStalled is the same for a body that made no progress: each time takes
	// as long as it may.
	resumesStalled = 1
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
	f.tell()
}

// tell wakes those who follow. The flight is locked.
func (f *flight) tell() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// show lets those who follow read what they may of so many bytes that are there.
func (f *flight) show(there int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	may := there - withheld
	if f.size >= 0 {
		may = min(there, f.size-withheld)
	}
	if may > f.shown {
		f.shown = may
		f.tell()
	}
}

// fetchArtifact joins the flight of a file, or begins it, and waits for its
// first bytes or its failure.
func (c *Cache) fetchArtifact(ctx context.Context, repo *Repository, plan *pb.Artifact, base, name string) (*File, error) {
	if failed, ok := c.missing.Get(name); ok && !failed.wrong && time.Now().Before(failed.until) {
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
		c.missing.Set(name, &missed{Failure: failure, at: now, until: until})
	case errors.Is(err, errWrongDigest):
		c.missing.Set(name, &missed{Failure: AsFailure(err), at: now, until: until, wrong: true})
	}
}

// fly judges, fetches, verifies and keeps a file. It goes on when clients
// leave.
func (c *Cache) fly(repo *Repository, plan *pb.Artifact, base, name string, f *flight) {
	body, err := c.flown(repo, plan, base, name, f)
	c.noteMissing(repo, name, err)
	if f.started && err != nil && c.ctx.Err() == nil {
		c.log.Warn("a file did not arrive whole: who was sent a part is cut off", "repository", repo.Name, "file", plan.GetPath(), "error", err)
	}
	if errors.Is(err, errUpstreamBody) {
		c.Stats.Broken.Add(1)
	}
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
