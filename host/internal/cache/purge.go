package cache

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Explanation is the verdict on one version and the reasons for it.
type Explanation struct {
	Repository string    `json:"repository"`
	Name       string    `json:"name"`
	Version    string    `json:"version"`
	Verdict    string    `json:"verdict"` // served, held, refused or unknown
	Why        string    `json:"why"`
	Rule       string    `json:"rule,omitempty"`
	Published  time.Time `json:"published,omitzero"`
	FirstSeen  time.Time `json:"first_seen,omitzero"`
	Until      time.Time `json:"until,omitzero"`
	Files      []string  `json:"files,omitempty"`
	Yanked     bool      `json:"yanked,omitempty"`
	// StandsFor are the versions that are judged in its place, where it is only a
	// name of others: those that are held back or, where none is, all; nil: it is
	// judged itself.
	StandsFor []string `json:"stands_for,omitempty"`
}

// Listed reports whether the version is ours or one that upstream has, as far as
// known.
func (x *Explanation) Listed() bool { return x.Verdict == "served" || x.Verdict == "held" }

// Explain judges a version as every surface does, with reasons. One that is listed
// in another spelling is explained as that.
func (c *Cache) Explain(ctx context.Context, repo *Repository, base, name, version string) (*Explanation, error) {
	d, err := c.about(ctx, repo, base, &pb.Version{Name: name, Version: version})
	if err != nil {
		return nil, err
	}
	if names := d.GetNames(); len(names) == 1 {
		name = names[0]
	}
	x := &Explanation{Repository: repo.Name, Name: name, Version: version, Verdict: "unknown"}
	if ours, err := c.explainOurs(repo, x, d.GetCanonical()); ours || err != nil {
		return x, err
	}
	if why, err := c.unasked(repo, name); why != "" || err != nil {
		x.Verdict, x.Why = "refused", why
		return x, err
	}
	if d == nil {
		return nil, fmt.Errorf("plugin %s cannot tell about versions", repo.Plugin)
	}
	listed, err := c.listed(ctx, repo, d, base, &pb.Version{Name: name, Version: version})
	if err != nil {
		return nil, err
	}
	x.Version = listed.version
	seen, err := c.sightings(repo, c.observedPath(ctx, repo, d, base))
	if err != nil {
		return nil, err
	}
	if seen != nil {
		x.FirstSeen = seen.First
	}
	floors, err := c.withLogs(repo, seen.floors(), listed.all)
	if err != nil {
		return nil, err
	}
	p := c.policy.For(repo.eco(), []string{name}, time.Now())
	p.Floors = floors
	x.Why = "upstream lists no such version"
	facts := listed.facts
	if len(facts) == 0 {
		told, err := c.historyOfVersion(repo, name, version)
		if err != nil {
			return nil, err
		}
		if told != nil {
			facts, x.FirstSeen = []*pb.Fact{told.fact}, told.seen
			if p.Floors = nil; told.floored {
				p.Floors = map[cooldown.Key]time.Time{keyOf(told.fact): told.since}
			}
		}
	}
	var held []string
	for _, f := range facts {
		v := p.Judge(keyOf(f), publishedOf(f))
		if other := f.GetVersion(); other != x.Version {
			x.StandsFor = append(x.StandsFor, other)
			if v.Held {
				held = append(held, other)
			}
		}
		if f.GetPath() != "" {
			x.Files = append(x.Files, f.GetPath())
		}
		x.Yanked = x.Yanked || f.GetYanked()
		if x.Verdict != "unknown" && (!v.Held || x.Verdict == "held" && !v.Until.After(x.Until)) {
			continue
		}
		x.Verdict, x.Why, x.Published = "served", v.Reason(), publishedOf(f)
		if v.Rule != nil {
			x.Rule = v.Rule.Label
		}
		if v.Held {
			x.Verdict, x.Until = "held", v.Until
		}
	}
	if held != nil {
		x.StandsFor = held
	}
	slices.Sort(x.StandsFor)
	x.StandsFor = slices.Compact(x.StandsFor)
	if x.Verdict == "unknown" && seen != nil && !repo.ServeRemoved && repo.Describe.GetCompleteListings() {
		x.Verdict = "refused"
	}
	return x, nil
}

// explainOurs explains a version that is hosted here, if it is, also in another
// spelling.
func (c *Cache) explainOurs(repo *Repository, x *Explanation, canonical string) (bool, error) {
	pkg, err := c.catalog.Package(repo.Name, x.Name)
	if err != nil || pkg == nil {
		return false, err
	}
	version := cmp.Or(pkg.Tags[x.Version], x.Version)
	if !slices.ContainsFunc(pkg.Files, func(f *catalog.File) bool { return f.Version == version }) {
		x.Version = cmp.Or(pkg.Spelled(version, canonical), x.Version)
		version = x.Version
	}
	for _, f := range pkg.Files {
		if f.Version != version {
			continue
		}
		x.Verdict, x.Why, x.Published = "served", "it is hosted here", f.Published
		x.Files = append(x.Files, f.Path)
		if file := cmp.Or(f.Source, f.Archive); file != "" {
			x.Why = "it lies in a directory, as " + file
		}
	}
	return x.Verdict == "served", nil
}

// unasked says why upstream is not asked for a name; empty: it is.
func (c *Cache) unasked(repo *Repository, name string) (string, error) {
	has, err := c.upstreamHas(repo, name)
	if err != nil || has {
		return "", err
	}
	if i := slices.IndexFunc(repo.Hosted.Names, func(p string) bool { return repo.Names.Match(p, name) }); i >= 0 {
		return fmt.Sprintf("there is no such version here, and upstream is not asked: the name is ours (hosted { names = [%q] })", repo.Hosted.Names[i]), nil
	}
	all, err := c.catalog.Names(repo.Name, "*")
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(all, func(other string) bool { return repo.Names.Fold(other) == repo.Names.Fold(name) }); i >= 0 {
		return fmt.Sprintf("there is no such version here, and upstream is not asked: %s is a package of ours", all[i]), nil
	}
	return "upstream is not asked: the name stays ours, because a package was here by it, published or in a directory (entrepot purge --give-up gives it up)", nil
}

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
			c.artifacts.Invalidate(k)
		case strings.HasPrefix(k, sourceKey):
			c.sources.Invalidate(k)
			change[absentPlace(k)] = nil
		case strings.HasPrefix(k, renderingKey):
			c.renderings.Invalidate(k)
		case strings.HasPrefix(k, factsKey):
			c.factSets.Invalidate(k)
		}
	}
	c.missing.InvalidateAll()
	return nil
}
