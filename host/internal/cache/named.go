package cache

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// A file may name others by their digests, so that who gets it asks for them next.
// With one that is served they are served, whatever else is known of them, and with
// one that is held back they are held back.

// servedWith is what is known of a file that a kept one names which is served; nil:
// none does.
func (c *Cache) servedWith(repo *Repository, plan *pb.Artifact) (*found, error) {
	var broken error
	naming, err := c.namedBy(repo, plan, func(path string, a *artifact) bool {
		since, floored := a.Since, a.Floored
		if since.IsZero() { // what was learnt since it was fetched counts
			f, err := c.historyBelow(repo, folderOf(path), path)
			if broken = errors.Join(broken, err); f != nil {
				since, floored = f.since, f.floored
			}
		}
		return !a.Withdrawn && !c.verdict(repo, a.Name, a.Version, path, since, floored).Held
	})
	if err = errors.Join(err, broken); naming == nil || err != nil {
		return nil, err
	}
	return &found{fact: factOf(plan)}, nil
}

// heldWith is what is known of a file that one names which is held back; nil: none
// does. What is held back is fetched for that, and kept where nobody is served it
// from.
func (c *Cache) heldWith(ctx context.Context, repo *Repository, plan *pb.Artifact, base string) (*found, error) {
	digest := plan.GetDigest().GetSum()
	if plan.GetNamedIn() == "" || len(digest) == 0 {
		return nil, nil
	}
	held, err := c.heldBelow(repo, strings.TrimSuffix(plan.GetNamedIn(), "*"))
	if err != nil {
		return nil, err
	}
	for path, since := range held {
		body, err := c.aside(ctx, repo, path, base)
		if isNotFound(err) {
			continue // it is gone
		}
		if err != nil {
			return nil, err
		}
		if bytes.Contains(body, []byte(hex.EncodeToString(digest))) {
			return &found{fact: factOf(plan), since: since, floored: true}, nil
		}
	}
	return nil, nil
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
// others.
func (c *Cache) aside(ctx context.Context, repo *Repository, path, base string) ([]byte, error) {
	plan, err := c.Plan(ctx, repo, base, &pb.Request{Method: "GET", Path: path})
	if err != nil || len(plan.GetArtifact().GetDigest().GetSum()) == 0 {
		return nil, err
	}
	aside := proto.CloneOf(plan.GetArtifact())
	aside.Path, aside.Ungated, aside.Facts = asidePath(path, aside.GetDigest()), true, nil
	body, err := c.landed(ctx, repo, aside, base)
	if err != nil || body.Size > maxNaming {
		return nil, err
	}
	return c.blobs.Read(body.Digest, body.Size)
}
