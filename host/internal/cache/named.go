package cache

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"mime"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// A file may name others by their digests, so that who gets it asks for them next.
// With one that is known to be old enough they are served, whatever else is known of
// them, and with one that is held back they are held back.

// servedWith is what is known of a file that a kept one names which is served; nil:
// none does. With told, only one counts that documents with a history told of, or
// that is itself named by such a one, and so on: of another nobody knows whether it
// should be served, so that it frees nothing.
func (c *Cache) servedWith(repo *Repository, plan *pb.Artifact, told bool) (*found, error) {
	left := maxLooks
	served, err := c.namedByServed(repo, plan, told, &left)
	if !served || err != nil {
		return nil, err
	}
	return &found{fact: factOf(plan)}, nil
}

// namedByServed is [Cache.servedWith], by looking for what names at most so many
// files.
func (c *Cache) namedByServed(repo *Repository, plan *pb.Artifact, told bool, left *int) (bool, error) {
	var broken error
	naming, err := c.namedBy(repo, plan, func(path string, a *artifact) bool {
		since, floored, known := a.Since, a.Floored, !a.Since.IsZero()
		if !known { // what was learnt since it was fetched counts
			f, err := c.historyBelow(repo, folderOf(path), path)
			broken = errors.Join(broken, err)
			if known = f != nil; known {
				since, floored = f.since, f.floored
			}
		}
		if a.Withdrawn || c.verdict(repo, a.Name, a.Version, path, since, floored).Held || broken != nil {
			return false
		}
		if known || !told {
			return true
		}
		if *left == 0 {
			return false
		}
		*left--
		above := proto.CloneOf(plan)
		above.Path, above.Digest = path, digestIn(path)
		served, err := c.namedByServed(repo, above, told, left)
		broken = errors.Join(broken, err)
		return served
	})
	return naming != nil, errors.Join(err, broken)
}

// heldWith is what is known of a file that one names which is held back, or that one
// names which it names, and so on; nil: none does. What is held back is fetched for
// that, and kept where nobody is served it from.
func (c *Cache) heldWith(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (*found, error) {
	if plan.GetNamedIn() == "" || len(plan.GetDigest().GetSum()) == 0 {
		return nil, nil
	}
	held, err := c.heldBelow(repo, strings.TrimSuffix(plan.GetNamedIn(), "*"))
	if err != nil {
		return nil, err
	}
	w := &within{c: c, repo: repo, plan: plan, base: base, left: maxLooks, seen: map[string]bool{}}
	for path, since := range held {
		if leads, err := w.leads(ctx, path); err != nil {
			return nil, err
		} else if leads {
			return &found{fact: factOf(plan), since: since, floored: true}, nil
		}
	}
	return nil, nil
}

// within looks for the digest of a file in others that are held back.
type within struct {
	c    *Cache
	repo *Repository
	plan *pb.Artifact
	base string
	left int             // how many more may be asked for what they are
	seen map[string]bool // paths
}

// leads reports whether a file that is held back names the one looked for, or leads
// to one that does.
func (w *within) leads(ctx context.Context, path string) (bool, error) {
	digest := []byte(hex.EncodeToString(w.plan.GetDigest().GetSum()))
	for paths := []string{path}; len(paths) > 0; paths = paths[1:] {
		body, typ, err := w.c.aside(ctx, w.repo, paths[0], w.base)
		if isNotFound(err) {
			continue // it is gone
		}
		if err != nil {
			return false, err
		}
		if bytes.Contains(body, digest) {
			return true, nil
		}
		if len(w.plan.GetLeafTypes()) == 0 || leaf(w.plan, typ) {
			continue
		}
		for _, text := range digestText.FindAll(body, -1) {
			next := strings.TrimSuffix(w.plan.GetNamedIn(), "*") + string(text)
			if w.seen[next] || w.left == 0 {
				continue
			}
			w.seen[next] = true
			w.left--
			if names, err := w.names(ctx, next); err != nil {
				return false, err
			} else if names {
				paths = append(paths, next)
			}
		}
	}
	return false, nil
}

// digestText is a digest as files name others by it.
var digestText = regexp.MustCompile(`\b(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\b`)

// digestIn is the digest in a path; without one it is empty.
func digestIn(path string) *pb.Digest {
	algorithm, text, _ := strings.Cut(digestText.FindString(path), ":")
	sum, _ := hex.DecodeString(text) // it is hexadecimal
	return &pb.Digest{Algorithm: algorithm, Sum: sum}
}

// names reports whether a file that one which is held back names may name others,
// and is not served for another reason.
func (w *within) names(ctx context.Context, path string) (bool, error) {
	plan, err := w.c.Plan(ctx, w.repo, w.base, &pb.Request{Method: "GET", Path: path})
	a := plan.GetArtifact()
	if err != nil || a == nil {
		return false, err
	}
	if typ := w.c.typeThere(ctx, w.repo, a); typ == "" || leaf(w.plan, typ) {
		return false, nil
	}
	if f, err := w.c.historyOf(w.repo, a); f != nil && !f.floored || err != nil {
		return false, err
	}
	served, err := w.c.servedWith(w.repo, a, true)
	return served == nil, err
}

// leaf reports whether files of a content type name no others.
func leaf(plan *pb.Artifact, contentType string) bool {
	typ, _, err := mime.ParseMediaType(contentType)
	return err == nil && slices.Contains(plan.GetLeafTypes(), typ)
}

// typeThere is the content type of a file with a digest, as it is kept or as
// upstream says once and for all; empty: it does not say, or cannot be asked.
func (c *Cache) typeThere(ctx context.Context, repo *Repository, plan *pb.Artifact) string {
	if a := c.knownArtifact(repo, artifactName(repo, plan.GetPath())); a != nil {
		return a.Type
	}
	for _, s := range plan.GetSources() {
		s = proto.CloneOf(s)
		s.Head = true
		head, _, err := c.source(ctx, repo, s, func(kept *source) bool { return kept.found() || repo.withinTTL(kept) })
		if err != nil {
			c.log.Debug("it cannot be asked of what kind a file is", "repository", repo.Name, "file", plan.GetPath(), "error", err)
			return ""
		}
		if head.found() {
			return head.Header["content-type"]
		}
	}
	return ""
}

// factOf is what a plan says of its file.
func factOf(plan *pb.Artifact) *pb.Fact {
	return &pb.Fact{Name: plan.GetVersion().GetName(), Version: plan.GetVersion().GetVersion(), Path: plan.GetPath()}
}

// heldBelow are the files below a folder that documents with a history told of and
// that are held back, by path, with since when.
func (c *Cache) heldBelow(repo *Repository, folder string) (map[string]time.Time, error) {
	held := map[string]time.Time{}
	var broken error
	err := c.dir.Keep.Each(sightingsName(repo, folder), false, func(_ string, value []byte) bool {
		s := &sightings{}
		if broken = json.Unmarshal(value, s); broken != nil {
			return false
		}
		floors := s.floors()
		for _, k := range s.known() {
			f := k.GetFact()
			since, floored := sinceOf(f, floors)
			if len(held) < maxLooks && strings.HasPrefix(f.GetPath(), folder) && floored && c.verdict(repo, f.GetName(), f.GetVersion(), f.GetPath(), since, true).Held {
				held[f.GetPath()] = since
			}
		}
		return true
	})
	return held, errors.Join(err, broken)
}

// aside is a file that is held back, as far as it is no larger than one that names
// others, and its content type.
func (c *Cache) aside(ctx context.Context, repo *Repository, path, base string) (content []byte, contentType string, err error) {
	plan, err := c.Plan(ctx, repo, base, &pb.Request{Method: "GET", Path: path})
	if err != nil || len(plan.GetArtifact().GetDigest().GetSum()) == 0 {
		return nil, "", err
	}
	aside := proto.CloneOf(plan.GetArtifact())
	aside.Path, aside.Ungated, aside.Facts = asidePath(path, aside.GetDigest()), true, nil
	body, err := c.landed(ctx, repo, aside, base)
	if err != nil || body.Size > maxNaming {
		return nil, "", err
	}
	if a := c.knownArtifact(repo, artifactName(repo, aside.GetPath())); a != nil {
		contentType = a.Type
	}
	content, err = c.blobs.Read(body.Digest, body.Size)
	return content, contentType, err
}
