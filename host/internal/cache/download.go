package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/host/internal/upstream"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

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
		return wire.Strongest(known.fact.GetDigests())
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
	if len(plan.GetDigest().GetSum()) > 0 {
		w.From(originOf(repo, source))
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
	had, stalls := int64(0), 0
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
			try, stalls = 0, 0
			pauses.Reset()
		}
		had = w.Size()
		if errors.Is(err, upstream.ErrStalled) {
			stalls++
		}
		if try == resumes || stalls > resumesStalled || w.Size() > 0 && etag == "" && (size < 0 || !digested) {
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
		case again.Status == http.StatusPartialContent && continues(again, w.Size(), size) && (digested || again.Header.Get("ETag") == etag):
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

// copyShowing copies a body into the growing file and tells those who follow it of
// what arrived: of the first bytes at once, of more when it is much or time.
func copyShowing(to io.Writer, from io.Reader, w *blobs.Writer, f *flight, limit int64) error {
	var there atomic.Int64
	there.Store(w.Size())
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		tick := time.NewTicker(publishAfter)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f.show(there.Load())
			case <-ended:
				return
			}
		}
	}()
	buf := make([]byte, publishEvery)
	for told := int64(0); ; {
		n, err := from.Read(buf)
		if n > 0 {
			if w.Size()+int64(n) > limit {
				return errTooLarge
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
			there.Store(w.Size())
			if told == 0 || w.Size()-told >= publishEvery {
				told = w.Size()
				f.show(told)
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
