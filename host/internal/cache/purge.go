package cache

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Canonical is a package's name as its plugin writes it.
func (c *Cache) Canonical(ctx context.Context, repo *Repository, name string) (string, error) {
	d, err := c.about(ctx, repo, "", &pb.Version{Name: name})
	if err != nil {
		return "", err
	}
	if names := d.GetNames(); len(names) == 1 {
		return names[0], nil
	}
	return name, nil
}

// Purge drops what is cached of a package, or of one version of it: documents,
// sources and files. What was seen, and when, is kept. It returns how many
// records were dropped.
func (c *Cache) Purge(ctx context.Context, repo *Repository, base, name, version string) (int, error) {
	d, err := c.about(ctx, repo, base, &pb.Version{Name: name, Version: version})
	if err != nil {
		return 0, err
	}
	canonical := name
	if names := d.GetNames(); len(names) == 1 {
		canonical = names[0]
	}
	if set := c.knownFacts(repo, d.GetPath()); version != "" && set != nil && len(versionIn(set.facts, canonical, version, false)) == 0 {
		other, err := c.spelled(ctx, repo, base, canonical, d.GetCanonical(), set.facts)
		if err != nil {
			return 0, err
		}
		version = cmp.Or(other, version)
	}
	var drop []string
	collect := func(prefix string, match func(key string, value []byte) bool) error {
		return c.dir.Cache.Each(key(prefix+repo.Name, ""), false, func(k string, v []byte) bool {
			if match(k, v) {
				drop = append(drop, k)
			}
			return true
		})
	}
	err = collect(artifactKey, func(_ string, v []byte) bool {
		a, err := decodeArtifact(v)
		return err != nil || a.Name == canonical && (version == "" || a.Version == version)
	})
	if err != nil {
		return 0, err
	}
	if d != nil {
		if err := c.purgeDocument(repo, d, collect); err != nil {
			return 0, err
		}
	}
	return len(drop), c.dropAll(drop)
}

func (c *Cache) purgeDocument(repo *Repository, d *pb.Document, collect func(string, func(string, []byte) bool) error) error {
	of := map[string]bool{}
	for _, s := range d.GetSources() {
		of[sourceName(repo, s)] = true
	}
	if err := collect(sourceKey, func(k string, _ []byte) bool { return of[k] }); err != nil {
		return err
	}
	prefix := key(renderingKey+repo.Name, d.GetPath(), "")
	if err := collect(renderingKey, func(k string, _ []byte) bool { return strings.HasPrefix(k, prefix) }); err != nil {
		return err
	}
	return c.purgeQueries(repo, d.GetNames(), collect)
}

// purgeQueries drops what answers questions about one package, and what that
// was made of.
func (c *Cache) purgeQueries(repo *Repository, names []string, collect func(string, func(string, []byte) bool) error) error {
	if len(names) != 1 {
		return nil
	}
	sources, facts := map[string]bool{}, map[string]bool{}
	err := collect(renderingKey, func(k string, v []byte) bool {
		r := renderingRecord{}
		if json.Unmarshal(v, &r) != nil || !slices.Equal(r.Names, names) {
			return false
		}
		for _, u := range r.Sources {
			sources[sourceName(repo, u.wire())] = true
		}
		path, _, _ := strings.Cut(strings.TrimPrefix(k, key(renderingKey+repo.Name, "")), "\x00")
		facts[factsName(repo, path)] = true
		return true
	})
	if err != nil {
		return err
	}
	if err := collect(sourceKey, func(k string, _ []byte) bool { return sources[k] }); err != nil {
		return err
	}
	return collect(factsKey, func(k string, _ []byte) bool { return facts[k] })
}

// PurgeAll drops everything that is cached of a repository.
func (c *Cache) PurgeAll(repo *Repository) (int, error) {
	var drop []string
	for _, prefix := range []string{artifactKey, sourceKey, renderingKey, factsKey, PlanKey} {
		err := c.dir.Cache.Each(key(prefix+repo.Name, ""), true, func(k string, _ []byte) bool {
			drop = append(drop, k)
			return true
		})
		if err != nil {
			return 0, err
		}
	}
	return len(drop), c.dropAll(drop)
}

func (c *Cache) dropAll(keys []string) error {
	change := map[string][]byte{}
	for _, k := range keys {
		change[k] = nil
	}
	// Before they are forgotten: who asks meanwhile would remember them again.
	if err := c.dir.Cache.ApplyAll(change); err != nil {
		return err
	}
	for _, k := range keys {
		switch {
		case strings.HasPrefix(k, artifactKey):
			c.artifacts.Drop(k)
		case strings.HasPrefix(k, sourceKey):
			c.sources.Drop(k)
			change[absentPlace(k)] = nil
		case strings.HasPrefix(k, renderingKey):
			c.renderings.Drop(k)
		case strings.HasPrefix(k, factsKey):
			c.factSets.Drop(k)
		}
	}
	c.missing.Clear()
	return nil
}
