// Package publish carries out uploads and changes: it takes a request's body
// apart, has the plugin look into package files and decide, checks what it
// ordered and has the catalogue do it, all or nothing.
package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/intake"
	"github.com/entrepot-registry/entrepot/host/internal/peek"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Publisher publishes.
type Publisher struct {
	cache *cache.Cache
	blobs *blobs.Store
	keep  *store.DB
	log   hclog.Logger

	sessions *intake.Sessions
	turns    *turns
}

// New makes a publisher and drops what a killed host left half done. Uploads in
// several requests, which go on, lie in a folder of their own.
func New(c *cache.Cache, b *blobs.Store, keep *store.DB, uploads string, log hclog.Logger) (*Publisher, error) {
	p := &Publisher{cache: c, blobs: b, keep: keep, log: log, turns: newTurns()}
	var err error
	if p.sessions, err = intake.OpenSessions(uploads, b); err != nil {
		return nil, err
	}
	return p, p.sweep()
}

// Request is an upload or a change.
type Request struct {
	// Repository it is for.
	Repository *cache.Repository
	// Base is the repository's external address.
	Base string
	// Plan says how the body comes apart.
	Plan *pb.Upload
	// Asked is the request as the plugin gets it.
	Asked *pb.Request
	// HTTP is the request.
	HTTP *http.Request
	// Interrupt has reading its body fail; nil: nothing has.
	Interrupt func()
	// User who asks; empty: nobody in particular.
	User string
	// Allowed says why packages may not be changed; nil: they may.
	Allowed func(names []string) error
	// Readable says why packages may not be read; nil: they may.
	Readable func(names []string) error
	// Rights to packages.
	Rights Rights
}

// Bounds of a publication.
const (
	maxFieldBytes = 64 << 20
	rounds        = 4   // of states that a plugin asks for
	tries         = 100 // when packages change meanwhile, as by many uploads to one
)

// Do carries a request out and returns the answer. The error says why nothing
// was done.
func (p *Publisher) Do(ctx context.Context, r Request) (*pb.Reply, error) {
	if r.Repository.Hosted == nil {
		return nil, r.Repository.MayPublish("")
	}
	for _, name := range r.Plan.GetNames() {
		if f := r.Repository.MayPublish(name); f != nil {
			return nil, f
		}
	}
	if some := r.Plan.GetWithin(); len(some) > 0 && len(r.Plan.GetNames()) == 0 {
		if f := r.Repository.MayPublishSome(some); f != nil {
			return nil, f
		}
	}
	if r.Plan.GetStep() != pb.Step_STEP_UNSPECIFIED {
		return p.step(ctx, r)
	}
	if err := p.announced(r); err != nil {
		return nil, err
	}
	limits := intake.Limits{File: r.Repository.MaxArtifact, Fields: maxFieldBytes}
	if len(r.Plan.GetDigests()) > 0 {
		limits.Digests = r.Plan.GetDigests()
	}
	if r.Plan.GetBody() == "form" {
		mendForm(r.HTTP)
	}
	body, err := intake.Open(p.blobs, r.Plan.GetBody(), r.HTTP, limits)
	if err != nil {
		return nil, asFailure(err)
	}
	return p.publish(ctx, r, body)
}

// publish has the plugin decide about a body, which ends here.
func (p *Publisher) publish(ctx context.Context, r Request, body *intake.Body) (*pb.Reply, error) {
	defer body.Abort()
	files, err := p.inspect(ctx, r, body)
	if err != nil {
		return nil, err
	}
	set := newAside()
	defer p.release(set)
	return p.decide(ctx, r, body, files, set)
}

// asFailure tells the client's mistakes from ours.
func asFailure(err error) error {
	var tooLarge *http.MaxBytesError
	if f := sessionFailure(err); f != nil {
		return f
	}
	switch {
	case errors.Is(err, intake.ErrTooLarge), errors.As(err, &tooLarge):
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_TOO_LARGE, Message: err.Error()}
	case errors.Is(err, intake.ErrMalformed), errors.Is(err, intake.ErrArchive):
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_BAD_REQUEST, Message: err.Error()}
	}
	return err
}

// inspect has the plugin look into the files.
func (p *Publisher) inspect(ctx context.Context, r Request, body *intake.Body) ([]*pb.UploadedFile, error) {
	var files []*pb.UploadedFile
	for _, f := range body.Files {
		up := &pb.UploadedFile{Name: f.Name, Filename: f.Filename, Size: f.Writer.Size(), Digests: digests(f.Digests())}
		files = append(files, up)
		if r.Plan.GetUnread() || !r.Repository.Describe.GetCapabilities().GetHost() {
			continue
		}
		members, err := peek.Members(f.Writer.Path(), r.Repository.Describe.GetCapabilities())
		if err != nil {
			return nil, asFailure(err)
		}
		name := f.Filename
		if name == "" {
			name = f.Name
		}
		said, err := r.Repository.Ecosystem.Inspect(ctx, &pb.PackageFile{
			Repository: r.Repository.Plain(r.Base), Name: name, Size: up.GetSize(), Digests: up.GetDigests(),
		}, members)
		if err != nil {
			return nil, err
		}
		up.Entry, up.Failure = said.GetEntry(), said.GetFailure()
	}
	return files, nil
}

func digests(all map[string][]byte) []*pb.Digest {
	var out []*pb.Digest
	for _, algorithm := range slices.Sorted(maps.Keys(all)) {
		out = append(out, &pb.Digest{Algorithm: algorithm, Sum: all[algorithm]})
	}
	return out
}

// addMade adds the files that a plugin made, and numbers them.
func addMade(body *intake.Body, mounted int, operations []*pb.Operation) error {
	for _, o := range operations {
		if len(o.GetBody()) == 0 {
			continue
		}
		o.File = int32(mounted + len(body.Files))
		if err := body.Add(o.GetBody()); err != nil {
			return err
		}
	}
	return nil
}

// adopt publishes, with what needs them, files that lie in directories: those
// may go, and nobody would send them again who found them here.
func (p *Publisher) adopt(repo *cache.Repository, body *intake.Body, mounted int, decision *pb.AcceptResponse) error {
	adopted := map[string]bool{}
	for i := 0; i < len(decision.GetOperations()); i++ { // those that are added may need more
		o := decision.GetOperations()[i]
		for _, path := range o.GetNeeds() {
			of, err := p.cache.Catalog().Package(repo.Name, o.GetVersion().GetName())
			if err != nil {
				return err
			}
			f := of.At(path)
			if !f.Fleeting() || adopted[path] {
				continue
			}
			adopted[path] = true
			number := int32(mounted + len(body.Files))
			if err := p.copyOf(body, f); err != nil {
				return fmt.Errorf("keeping a copy of %s, which lies in a directory: %w", path, err)
			}
			decision.Operations = append(decision.Operations, &pb.Operation{
				Kind: pb.Operation_KIND_STORE, Version: &pb.Version{Name: of.Name, Version: f.Version, Canonical: f.Canonical}, Path: path, Extra: f.Extra,
				ContentType: f.Type, Needs: f.Needs, Loose: true, Replace: true, File: number,
			})
		}
	}
	return nil
}

func (p *Publisher) copyOf(body *intake.Body, f *catalog.File) error {
	content, err := p.cache.OpenHosted(f)
	if err != nil {
		return err
	}
	defer content.Close()
	return body.Copy(content.Reader())
}

// decide asks the plugin what to do and has it done, again when a package
// changed meanwhile. Nothing is kept of a publication that is refused.
func (p *Publisher) decide(ctx context.Context, r Request, body *intake.Body, files []*pb.UploadedFile, set *aside) (*pb.Reply, error) {
	if names := r.Plan.GetNames(); len(names) > 0 {
		done, err := p.turns.take(ctx, r.Repository.Name, names[0])
		if err != nil {
			return nil, err
		}
		defer done()
	}
	for range tries {
		now := time.Now()
		decision, revisions, err := p.ask(ctx, r, wire.Publication{
			Start:  &pb.AcceptStart{Repository: r.Repository.Plain(r.Base), Request: r.Asked, User: r.User, NowMs: now.UnixMilli()},
			Fields: body.Fields,
			Files:  files,
		})
		if err != nil {
			return nil, err
		}
		if err := addMade(body, set.mounted, decision.GetOperations()); err != nil {
			return nil, err
		}
		if err := p.check(r, decision); err != nil {
			return nil, err
		}
		if err := p.adopt(r.Repository, body, set.mounted, decision); err != nil {
			return nil, asFailure(err)
		}
		if len(decision.GetOperations()) == 0 {
			return decision.GetReply(), nil
		}
		if err := p.putAside(set, body.Files[len(set.bodies)-set.mounted:]); err != nil {
			return nil, err
		}
		err = p.apply(catalog.Change{
			Repository: r.Repository.Name,
			Operations: decision.GetOperations(),
			Bodies:     set.bodies,
			Revisions:  revisions,
			Rules:      r.Repository.Names,
			Now:        now,
			Overwrite:  r.Repository.Hosted.Overwrite,
			Quota:      r.Repository.Hosted.Quota,
			Records:    set.released(),
			Blind:      r.Plan.GetBlind(),
		}, r.Plan.GetStep() == pb.Step_STEP_COMMIT)
		if err == nil {
			set.pins = nil
			return decision.GetReply(), nil
		}
		if !errors.Is(err, catalog.ErrChanged) {
			return nil, unapplied(err)
		}
	}
	return nil, &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_CONFLICT, Message: "the package is being changed by others; try again"}
}

// apply makes a change, for which uploads of clients that seem to be gone make
// place. Counted says that its bytes were held against the quota, with those of
// other uploads, while they came.
func (p *Publisher) apply(ch catalog.Change, counted bool) error {
	for {
		if ch.Quota > 0 && !counted {
			ch.Underway = p.sessions.Underway(ch.Repository)
		}
		err := p.cache.Catalog().Apply(ch)
		var full *catalog.QuotaError
		if ch.Underway == 0 || !errors.As(err, &full) || !p.sessions.MakeRoom(ch.Repository) {
			return err
		}
	}
}

// unapplied tells why a change cannot be made as the client gets to know it. What
// is no fault of the change stays as it is; nil: it was made.
func unapplied(err error) error {
	if err == nil {
		return nil
	}
	var exists *catalog.ExistsError
	var spelled *catalog.SpelledError
	var gone *catalog.GoneError
	var missing *catalog.MissingError
	var full *catalog.QuotaError
	var placed *catalog.DirectoryError
	var alike *catalog.AlikeError
	var taken *catalog.TakenError
	f := &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_CONFLICT, Message: err.Error()}
	switch {
	case errors.As(err, &full):
		f.Kind = pb.ErrorKind_ERROR_KIND_TOO_LARGE
	case errors.As(err, &placed):
		f.Kind = pb.ErrorKind_ERROR_KIND_REFUSED
	case errors.As(err, &missing):
		f.Kind, f.Name, f.Version = pb.ErrorKind_ERROR_KIND_NOT_FOUND, missing.Name, missing.Version
	case errors.As(err, &gone):
		f.Name, f.Version = gone.Name, gone.Version
	case errors.As(err, &taken):
	case errors.As(err, &alike):
		f.Name = alike.Name
	case errors.As(err, &exists):
		f.Name, f.Version = exists.Name, exists.Version
	case errors.As(err, &spelled):
		f.Name, f.Version = spelled.Name, spelled.Version
	default:
		return err
	}
	return f
}

// ask asks the plugin, with the states of the packages that it needs.
func (p *Publisher) ask(ctx context.Context, r Request, question wire.Publication) (*pb.AcceptResponse, map[string]uint64, error) {
	revisions := map[string]uint64{}
	needed := r.Plan.GetNames()
	if r.Plan.GetBlind() {
		needed = nil
	}
	whole := map[string]bool{}
	var excerpts []*pb.Excerpt
	for range rounds {
		for _, name := range needed {
			known, err := p.cache.Catalog().Package(r.Repository.Name, name)
			if err != nil {
				return nil, nil, err
			}
			if known == nil {
				known = &catalog.Package{Name: name}
			}
			if _, asked := revisions[name]; !asked { // whatever is said of it later must be of the same
				revisions[name] = known.Revision
			}
			some := 0
			for _, x := range excerpts {
				if x.GetName() == name {
					question.Packages = append(question.Packages, known.Excerpt(x))
					some++
				}
			}
			if some == 0 && !whole[name] {
				whole[name] = true
				question.Packages = append(question.Packages, known.Wire())
			}
		}
		decision, err := r.Repository.Ecosystem.Accept(ctx, question)
		if err != nil {
			return nil, nil, err
		}
		if f := decision.GetFailure(); f != nil {
			return nil, nil, &cache.Failure{Kind: f.GetKind(), Message: f.GetMessage(), Code: f.GetCode()}
		}
		if needed, excerpts = decision.GetNeeded(), decision.GetExcerpts(); len(needed) == 0 {
			return decision, revisions, nil
		}
	}
	return nil, nil, fmt.Errorf("plugin %s asks for packages more than %d times", r.Repository.Plugin, rounds)
}

// check holds what a plugin ordered against what the one who asks, and the
// repository, allow.
func (p *Publisher) check(r Request, decision *pb.AcceptResponse) error {
	names := catalog.Names(decision.GetOperations())
	for _, name := range names {
		if name == "" {
			return fmt.Errorf("plugin %s changes a package without a name", r.Repository.Plugin)
		}
		if f := r.Repository.MayPublish(name); f != nil {
			return f
		}
	}
	if err := r.Allowed(names); err != nil {
		return err
	}
	return p.checkOwners(r, decision.GetOperations())
}
