package cache

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/host/internal/upstream"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// The bytes of a file that is asked for by its digest may be kept already: under
// another path, or as a document. They are not fetched again. What is to be known
// is whether upstream has the file there, so that nobody gets by its digest what
// is not for him; and only what an upstream gave is believed to be its own, so that
// none can say of another's, or of ours, that it has it.

// maxNaming bounds a file that is searched for the digests of others, in bytes.
const maxNaming = 4 << 20

// originOf is where the bytes at an address come from, as bodies remember it:
// those who may give them.
func originOf(repo *Repository, s *pb.Source) string {
	host := ""
	if u, err := url.Parse(s.GetUrl()); err == nil {
		host = u.Host
	}
	return key(repo.Name, s.GetRole(), host)
}

// bodyNamed is the body that is kept under the digest that a plan names and that
// came from where the plan would have it fetched; false: there is none, or the
// digest is of an algorithm that bodies are not kept under.
func (c *Cache) bodyNamed(repo *Repository, plan *pb.Artifact, known *found) (Body, bool, error) {
	d := plan.GetDigest()
	if d.GetAlgorithm() != "sha256" || len(d.GetSum()) != len(blobs.Digest{}) {
		return Body{}, false, nil
	}
	b := Body{Digest: blobs.Digest(d.GetSum())}
	var there bool
	if b.Size, there = c.blobs.Size(b.Digest); !there {
		return Body{}, false, nil
	}
	for _, source := range addresses(plan, known) {
		if ok, err := c.blobs.CameFrom(b.Digest, originOf(repo, source)); ok || err != nil {
			return b, ok, err
		}
	}
	return Body{}, false, nil
}

// fromElsewhere keeps a file under its own path whose bytes are kept already, if
// upstream says that it has it; false: it is to be asked for as a whole.
func (c *Cache) fromElsewhere(ctx context.Context, repo *Repository, plan *pb.Artifact, known *found, name string) (Body, bool, error) {
	body, there, err := c.bodyNamed(repo, plan, known)
	if !there || err != nil {
		return Body{}, false, err
	}
	head, err := c.headed(ctx, repo, plan, known)
	var no *upstream.Error
	if isNotFound(err) || errors.As(err, &no) && no.Status/100 == 4 && no.Status != http.StatusTooManyRequests {
		return Body{}, false, nil // or its upstream knows no HEAD
	}
	if err != nil {
		return Body{}, false, err
	}
	a := newArtifact(plan, known, body, head.GetContentType())
	if err := c.dir.Cache.Apply(store.Change{name: a.encode()}); err != nil {
		return Body{}, false, err
	}
	a.recheck.Store(time.Now().Add(repo.TTL).UnixMilli())
	c.artifacts.Set(name, a)
	return a.Body, true, c.stillListed(repo, plan, known, a)
}

// headWait is how long who asks for the header of a file waits for what upstream says
// where something else tells it.
const headWait = 300 * time.Millisecond

// headed is what is known of a file that may be fetched: what the plan knows, what
// upstream says or, where it cannot be asked, what is kept. A negative size is not
// known.
func (c *Cache) headed(ctx context.Context, repo *Repository, plan *pb.Artifact, known *found) (*pb.Head, error) {
	if h := plan.GetHead(); h.GetSize() > 0 {
		return h, nil
	} else if h != nil {
		return &pb.Head{ContentType: h.GetContentType(), Size: -1}, nil
	}
	var body Body
	var there bool
	if plan.GetContentType() != "" { // else only upstream can tell it
		var err error
		if body, there, err = c.bodyNamed(repo, plan, known); err != nil {
			return nil, err
		}
	}
	if !there {
		return c.headThere(ctx, repo, plan, known)
	}
	named := func() (*pb.Head, error) {
		naming, err := c.namedBy(repo, plan, nil)
		if naming == nil || err != nil {
			return nil, err
		}
		return &pb.Head{Size: body.Size}, nil
	}
	asked := c.begin(key("headed", artifactName(repo, plan.GetPath())), func(ctx context.Context) (any, error) {
		return c.headThere(ctx, repo, plan, known)
	})
	late := time.NewTimer(headWait)
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late.C:
			if head, err := named(); head != nil || err != nil {
				return head, err
			}
		case answer := <-asked:
			if upstreamFailed(answer.Err) {
				if head, err := named(); head != nil || err != nil {
					return head, err
				}
			}
			head, _ := answer.Val.(*pb.Head)
			return head, answer.Err
		}
	}
}

// headThere is what upstream says of a file.
func (c *Cache) headThere(ctx context.Context, repo *Repository, plan *pb.Artifact, known *found) (*pb.Head, error) {
	last := error(notFound("upstream's documents give no address for %s", strings.TrimPrefix(plan.GetPath(), "/")))
	for _, source := range addresses(plan, known) {
		resp, err := ask(ctx, repo, upstream.Request{Source: source, Exact: true, Method: http.MethodHead})
		if err == nil {
			resp.Body.Close()
			if resp.Status == http.StatusOK {
				return &pb.Head{ContentType: resp.Header.Get("Content-Type"), Size: resp.Length}, nil
			}
			err = refused(plan, resp)
		}
		if last = err; !isNotFound(err) {
			break
		}
	}
	return nil, last
}

// namedBy is a kept file, among those that a plan says may name its own by its
// digest, that does and that is fit; nil: none. Fit nil: all are.
func (c *Cache) namedBy(repo *Repository, plan *pb.Artifact, fit func(path string, a *artifact) bool) (*artifact, error) {
	folder, ok := strings.CutSuffix(plan.GetNamedIn(), "*")
	if !ok || len(plan.GetDigest().GetSum()) == 0 {
		return nil, nil
	}
	digest := []byte(hex.EncodeToString(plan.GetDigest().GetSum()))
	var naming *artifact
	var broken error
	prefix := artifactName(repo, "")
	err := c.dir.Cache.Each(artifactName(repo, folder), false, func(k string, value []byte) bool {
		path := strings.Clone(k[len(prefix):])
		a, err := decodeArtifact(value)
		if err != nil || a.Size > maxNaming || path == plan.GetPath() || strings.Contains(path, "\x00") {
			return true // too large, itself, or put aside
		}
		if leaf(plan, a.Type) {
			return true
		}
		body, err := c.blobs.Read(a.Digest, a.Size) // past the memory for what clients ask for
		if err != nil {
			if !lost(err) {
				broken = errors.Join(broken, err)
			}
			return true
		}
		if bytes.Contains(body, digest) && (fit == nil || fit(path, a)) {
			naming = a
		}
		return naming == nil
	})
	if naming != nil {
		return naming, nil
	}
	return nil, errors.Join(err, broken)
}
