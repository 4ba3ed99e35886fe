package directory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/intake"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// part is what is remembered of one of several files in an archive.
type part struct{ Name, Version, Path string }

// unpacked is an archive that holds several files.
type unpacked struct {
	operations []*pb.Operation
	parts      *intake.Parts
	stored     map[*intake.Taken]bool // copies that were committed
}

// unpackRounds bounds how often a plugin asks for more of an archive.
const unpackRounds = 32

// unpack has the plugin say what is in an archive, with what it asks for on the
// way. What is to be stored of it is then in f.unpacked; nil: the answer is that
// of a file that holds no others, or says why it is none.
func (w *walk) unpack(ctx context.Context, f *found, file *pb.PackageFile, members []wire.Member) (*pb.InspectResponse, error) {
	file.Unpack = true
	f.seen.Upstreams = rolesOf(w.repo)
	parts := intake.NewParts(f.file, w.blobs)
	if f.folder != "" {
		parts = intake.NewFolder(f.folder, w.blobs)
		marker, _, err := parts.Take([]string{filepath.Base(f.file)}, nil)
		if errors.Is(err, intake.ErrArchive) {
			return &pb.InspectResponse{Failure: &pb.Failure{Message: err.Error()}}, nil
		}
		if err != nil {
			return nil, err
		}
		members = marker
	}
	var measured []*pb.Measured
	for range unpackRounds {
		said, err := w.inspect(ctx, w.repo, file, members, measured...)
		if err != nil {
			parts.Abort()
			return nil, err
		}
		if len(said.GetMembers())+len(said.GetParts()) == 0 {
			if len(said.GetOperations()) == 0 {
				parts.Abort()
				return said, nil
			}
			f.unpacked = &unpacked{said.GetOperations(), parts, map[*intake.Taken]bool{}}
			return said, nil
		}
		more, sizes, err := parts.Take(said.GetMembers(), said.GetParts())
		if err != nil {
			parts.Abort()
			if errors.Is(err, intake.ErrArchive) {
				return &pb.InspectResponse{Failure: &pb.Failure{Message: err.Error()}}, nil
			}
			return nil, err
		}
		members, measured = append(members, more...), append(measured, sizes...)
	}
	parts.Abort()
	return nil, fmt.Errorf("plugin %s asks for more of an archive than %d times", w.repo.Plugin, unpackRounds)
}

// putUnpacked puts what an archive holds into the catalogue, in the place of
// what it held before. What other archives hold as well is put there again
// afterwards, because it may have gone with this one. A file in whose place
// another is served is refused at the last, and waits before.
func (w *walk) putUnpacked(f *found, last bool) error {
	defer f.unpacked.parts.Abort()
	if f.unsettled {
		w.result.Unsettled++
		return nil
	}
	was, _, err := w.seen(w.repo.Name, f.file)
	if err != nil {
		return err
	}
	if free := w.claim(f); !free && !last {
		w.wait(f.file)
		return nil
	}
	hold := w.blobs.Hold() // until what is stored is pinned
	defer hold.Release()
	change := w.change()
	change.Operations = w.gone(f.file, was)
	change.Published = make([]time.Time, len(change.Operations))
	for _, o := range f.unpacked.operations {
		if o.GetKind() == pb.Operation_KIND_STORE {
			body, err := w.bodyOf(f, o)
			if err != nil {
				return err
			}
			if !itself(o) {
				body.Archive = f.file
			}
			o.Body, o.File = nil, int32(len(change.Bodies))
			change.Bodies = append(change.Bodies, body)
			p := part{o.GetVersion().GetName(), o.GetVersion().GetVersion(), o.GetPath()}
			if !slices.Contains(f.seen.Parts, p) {
				f.seen.Parts = append(f.seen.Parts, p)
			}
		}
		change.Operations = append(change.Operations, o)
		change.Published = append(change.Published, f.seen.Modified)
	}
	record, err := json.Marshal(f.seen)
	if err != nil {
		return err
	}
	change.Records[seenName(w.repo.Name, f.file)] = record
	err = w.catalog.Apply(change)
	if problem := reason(err); problem != "" && !last {
		w.wait(f.file)
		return nil
	} else if problem != "" {
		first := f.seen.Parts[0]
		f.unpacked, f.seen = nil, seen{stamp: f.seen.stamp, Problem: problem, Name: first.Name, Version: first.Version, Path: first.Path}
		return w.store([]*found{f})
	}
	if err != nil {
		return err
	}
	w.result.Added++
	w.lose(was.lost(f.seen))
	w.tag(f.file, was, f.seen)
	return nil
}

// itself reports whether what is stored is the file itself, not a part of it.
func itself(o *pb.Operation) bool {
	return o.GetPart() != nil && o.GetPart().GetName() == ""
}

// bodyOf is where the bytes of a part are.
func (w *walk) bodyOf(f *found, o *pb.Operation) (catalog.Body, error) {
	if o.GetPart() == nil {
		b, err := w.blobs.Create()
		if err != nil {
			return catalog.Body{}, err
		}
		defer b.Abort()
		if _, err := b.Write(o.GetBody()); err != nil {
			return catalog.Body{}, err
		}
		digests, err := hashAll(bytes.NewReader(o.GetBody()))
		if err != nil {
			return catalog.Body{}, err
		}
		d, err := b.Commit(nil, true)
		return catalog.Body{Digest: d, Size: int64(len(o.GetBody())), Digests: digests}, err
	}
	if itself(o) {
		return f.body, nil
	}
	t := f.unpacked.parts.Get(o.GetPart())
	if t == nil || t.Digests == nil {
		return catalog.Body{}, fmt.Errorf("plugin %s serves a member of %s that it did not measure: %s", w.repo.Plugin, f.file, o.GetPart().GetName())
	}
	body := catalog.Body{Size: t.Size, Digests: t.Digests, Digest: blobs.Digest(t.Digests["sha256"])}
	switch {
	case t.Source != "":
		body.Source, body.Modified = t.Source, t.Modified
		return body, nil
	case t.Copy == nil:
		body.Source, body.Modified, body.Offset, body.Whole = f.file, f.seen.Modified, t.Offset, f.seen.Size
		return body, nil
	}
	if f.unpacked.stored[t] { // it stands at several addresses
		return body, nil
	}
	f.unpacked.stored[t] = true
	_, err := t.Copy.Writer.Commit(nil, true)
	return body, err
}

// gone are the operations that take what a file held out of the catalogue.
func (w *walk) gone(file string, was seen) []*pb.Operation {
	var out []*pb.Operation
	for _, p := range was.held() {
		out = append(out, &pb.Operation{Kind: pb.Operation_KIND_DELETE, Version: &pb.Version{Name: p.Name, Version: p.Version}, Path: p.Path, Value: file})
	}
	for _, t := range was.Tags {
		if w.has(file, t) {
			out = append(out, &pb.Operation{Kind: pb.Operation_KIND_UNTAG, Version: &pb.Version{Name: t.Name}, Value: t.Tag})
		}
	}
	return out
}

// held is what is served of a file.
func (was seen) held() []part {
	if was.Problem == "" && was.Path != "" {
		return append([]part{{was.Name, was.Version, was.Path}}, was.Parts...)
	}
	return was.Parts
}

// lost is what a file held and holds no longer.
func (was seen) lost(now seen) []part {
	var out []part
	for _, p := range was.held() {
		if !slices.Contains(now.held(), p) {
			out = append(out, p)
		}
	}
	return out
}

// lose notes what is served no longer, for others that may have it.
func (w *walk) lose(parts []part) {
	for _, p := range parts {
		w.lost[p.Path] = true
		w.lost[w.alike(p.Name)] = true
	}
}

// alike is a name among what was lost. Paths begin with a slash.
func (w *walk) alike(name string) string { return "name " + w.repo.Names.Fold(name) }

// succeed has files looked into again that may be served now that others are
// not: those that hold the same, and those that were refused for them.
func (w *walk) succeed() error {
	if len(w.lost) == 0 {
		return nil
	}
	prefix := seenName(w.repo.Name, "")
	var broken error
	err := w.keep.Each(prefix, false, func(k string, value []byte) bool {
		var other seen
		if broken = json.Unmarshal(value, &other); broken != nil {
			return false
		}
		refused := other.Problem != "" && other.Path != "" && (w.lost[other.Path] || w.lost[w.alike(other.Name)])
		if refused || slices.ContainsFunc(other.Parts, func(p part) bool { return w.lost[p.Path] }) ||
			slices.ContainsFunc(other.Untagged, func(t tagged) bool { return w.lost[t.key()] }) {
			w.wait(strings.TrimPrefix(k, prefix))
		}
		return true
	})
	clear(w.lost)
	return errors.Join(err, broken)
}

// single makes a file one that holds no others where all that is to be stored of
// it is the file itself, and reports whether it did.
func (f *found) single() bool {
	all := f.unpacked.operations
	if len(all) != 1 || !itself(all[0]) || all[0].GetKind() != pb.Operation_KIND_STORE {
		return false
	}
	o := all[0]
	f.entry = &pb.Entry{Version: o.GetVersion(), Path: o.GetPath(), Extra: o.GetExtra(), ContentType: o.GetContentType()}
	f.unpacked.parts.Abort()
	f.unpacked = nil
	return true
}
