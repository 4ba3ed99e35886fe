package publish

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/intake"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// step carries one request of an upload in several out.
func (p *Publisher) step(ctx context.Context, r Request) (*pb.Reply, error) {
	if r.Plan.GetStep() == pb.Step_STEP_OPEN {
		return p.begin(ctx, r)
	}
	about, size, err := p.sessions.Status(r.Plan.GetSession())
	if err == nil && (about.Repository != r.Repository.Name || about.User != r.User || !slices.Equal(about.Names, r.Plan.GetNames())) {
		err = intake.ErrNoSession
	}
	if err != nil {
		return nil, told(r.Plan, err)
	}
	if r.Plan.GetStep() == pb.Step_STEP_STATUS {
		return progress(r.Plan.GetReply(), r.Plan.GetSession(), size), nil
	}
	session, err := p.sessions.Take(r.Plan.GetSession())
	if err != nil {
		return nil, told(r.Plan, err)
	}
	defer session.Release()
	switch r.Plan.GetStep() {
	case pb.Step_STEP_ABORT:
		size := session.Size()
		p.sessions.End(session)
		return progress(r.Plan.GetReply(), session.ID, size), nil
	case pb.Step_STEP_APPEND, pb.Step_STEP_COMMIT:
	default:
		return nil, fmt.Errorf("step %s of an upload is not known here; update entrepot", r.Plan.GetStep())
	}
	bounds, err := p.mayTake(r)
	if err != nil {
		return nil, err
	}
	if err := session.Append(r.HTTP.Body, r.Plan.GetRange(), r.HTTP.ContentLength, bounds, r.Interrupt); err != nil {
		if errors.Is(err, intake.ErrTooLarge) {
			p.sessions.End(session) // it will not fit later either, and others need the room
		}
		return nil, asFailure(err)
	}
	if r.Plan.GetStep() == pb.Step_STEP_APPEND {
		return progress(r.Plan.GetReply(), session.ID, session.Size()), nil
	}
	defer p.sessions.End(session) // also when it is refused: its bytes are not what they should be
	body, err := session.Body(p.blobs, r.Plan.GetDigests())
	if err != nil {
		return nil, err
	}
	session.Settle() // the catalogue counts it from now on
	return p.publish(ctx, r, body)
}

// mayTake is how many bytes uploads may have that are not in the catalogue yet.
func (p *Publisher) mayTake(r Request) (intake.Bounds, error) {
	b := intake.Bounds{File: r.Repository.MaxArtifact, All: math.MaxInt64}
	quota := r.Repository.Hosted.Quota
	if quota <= 0 {
		return b, nil
	}
	used, err := p.cache.Catalog().Size(r.Repository.Name)
	b.All = max(quota-used, 0)
	return b, err
}

// told is what a client hears when its upload cannot be gone on with.
func told(plan *pb.Upload, err error) error {
	if own := plan.GetMissing(); own != nil && errors.Is(err, intake.ErrNoSession) {
		return &cache.Failure{Kind: own.GetKind(), Message: own.GetMessage(), Code: own.GetCode()}
	}
	return asFailure(err)
}

// begin begins an upload, unless the file is there already.
func (p *Publisher) begin(ctx context.Context, r Request) (*pb.Reply, error) {
	if r.Plan.GetMount() != nil {
		reply, err := p.mount(ctx, r)
		if reply != nil || err != nil {
			return reply, err
		}
	}
	session, err := p.sessions.Begin(intake.About{
		Repository: r.Repository.Name, Names: r.Plan.GetNames(), User: r.User, Digests: r.Plan.GetDigests(),
	})
	if err != nil {
		return nil, asFailure(err)
	}
	defer session.Release()
	return progress(r.Plan.GetReply(), session.ID, session.Size()), nil
}

// progress fills the answer of a step in, of an upload and how many bytes it has.
func progress(reply *pb.Reply, session string, size int64) *pb.Reply {
	fill := strings.NewReplacer(
		"{session}", session,
		"{size}", fmt.Sprint(size),
		"{last}", fmt.Sprint(max(size-1, 0)),
	)
	out := &pb.Reply{Status: reply.GetStatus(), Headers: map[string]string{}, Body: reply.GetBody()}
	for name, value := range reply.GetHeaders() {
		out.Headers[name] = fill.Replace(value)
	}
	return out
}

// mount has Accept decide about a file that is here already; neither: there is
// none that may be used.
func (p *Publisher) mount(ctx context.Context, r Request) (*pb.Reply, error) {
	f, err := p.mountable(r)
	if f == nil || err != nil {
		return nil, err
	}
	set, err := p.hold(f)
	if err != nil {
		return nil, err
	}
	defer p.release(set)
	if !p.blobs.Has(f.Body) {
		return nil, nil
	}
	file := &pb.UploadedFile{Size: f.Size, Digests: digests(f.Digests)}
	return p.decide(ctx, r, &intake.Body{}, []*pb.UploadedFile{file}, set)
}

// mountable is the file that a request wants to use again, if there is one that
// the one who asks may read.
func (p *Publisher) mountable(r Request) (*catalog.File, error) {
	m := r.Plan.GetMount()
	if m.GetPath() != "" {
		of, f, err := p.cache.Catalog().At(r.Repository.Name, m.GetPath(), "")
		if err != nil || f == nil || f.Source != "" || r.Readable([]string{of.Name}) != nil {
			return nil, err
		}
		return f, nil
	}
	if m.GetDigest().GetAlgorithm() != "sha256" || len(m.GetDigest().GetSum()) != len(blobs.Digest{}) {
		return nil, nil
	}
	d := blobs.Digest(m.GetDigest().GetSum())
	names, err := p.cache.Catalog().Holders(r.Repository.Name, d)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		of, err := p.cache.Catalog().Package(r.Repository.Name, name)
		if err != nil || of == nil || r.Readable([]string{name}) != nil {
			continue
		}
		if i := slices.IndexFunc(of.Files, func(f *catalog.File) bool { return f.Body == d && f.Source == "" && f.Path != "" }); i >= 0 {
			return of.Files[i], nil
		}
	}
	return nil, nil
}

// hold keeps a file that is here from being evicted while it is decided about.
func (p *Publisher) hold(f *catalog.File) (*aside, error) {
	set := newAside()
	set.bodies = append(set.bodies, catalog.Body{Digest: f.Body, Size: f.Size, Digests: f.Digests})
	set.mounted = 1
	return set, p.pin(set, []blobs.Digest{f.Body}, store.Change{})
}

// Uploading are the packages of a repository that uploads under way are for, to
// which something was added since an instant, with when the first of each began.
func (p *Publisher) Uploading(repository string, since time.Time) map[string]time.Time {
	return p.sessions.Open(repository, since)
}

// SweepSessions ends uploads that were given up.
func (p *Publisher) SweepSessions() { p.sessions.Sweep(time.Now()) }

// sessionFailure tells the client what is wrong with its upload; nil: nothing
// that it knows of.
func sessionFailure(err error) error {
	switch {
	case errors.Is(err, intake.ErrNoSession):
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Message: err.Error()}
	case errors.Is(err, intake.ErrFull):
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_UNAVAILABLE, Message: err.Error(), RetryAfter: time.Now().Add(time.Minute)}
	case errors.Is(err, intake.ErrBusy):
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_CONFLICT, Message: err.Error()}
	case errors.Is(err, intake.ErrRange):
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_RANGE, Message: err.Error()}
	}
	return nil
}
