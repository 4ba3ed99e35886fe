package cache

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Explanation is the verdict on one version and the reasons for it.
type Explanation struct {
	Repository string          `json:"repository"`
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	Verdict    string          `json:"verdict"` // served, held, held in part, refused or unknown
	Why        string          `json:"why"`
	Rule       string          `json:"rule,omitempty"`
	Published  time.Time       `json:"published,omitzero"`
	FirstSeen  time.Time       `json:"first_seen,omitzero"`
	Until      time.Time       `json:"until,omitzero"` // all of it is served
	Files      []ExplainedFile `json:"files,omitempty"`
	Yanked     bool            `json:"yanked,omitempty"`
	// StandsFor are the versions that are judged in its place, where it is only a
	// name of others: those that are held back or, where none is, all; nil: it is
	// judged itself.
	StandsFor []string `json:"stands_for,omitempty"`
}

// heldInPart is the verdict on a version some of whose files are served.
const heldInPart = "held in part"

// InPart reports whether some files of the version are served and others are not
// yet, as where they were published one after the other.
func (x *Explanation) InPart() bool { return x.Verdict == heldInPart }

// Listed reports whether the version is ours or one that upstream has, as far as
// known.
func (x *Explanation) Listed() bool {
	return x.Verdict == "served" || x.Verdict == "held" || x.InPart()
}

// ExplainedFile is the verdict on one file of a version.
type ExplainedFile struct {
	Path    string    `json:"path"`
	Verdict string    `json:"verdict"` // served or held
	Why     string    `json:"why"`
	Until   time.Time `json:"until,omitzero"`
}

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
	x.judge(p, facts)
	if x.Verdict == "unknown" && seen != nil && !repo.ServeRemoved && repo.Describe.GetCompleteListings() {
		x.Verdict = "refused"
	}
	return x, nil
}

// judge judges what is known of the version: the file that is held back for
// longest counts, and it is held in part where others are served.
func (x *Explanation) judge(p *cooldown.Policy, facts []*pb.Fact) {
	var held []string
	served := 0
	for _, f := range facts {
		v := p.Judge(keyOf(f), publishedOf(f))
		if other := f.GetVersion(); other != x.Version {
			x.StandsFor = append(x.StandsFor, other)
			if v.Held {
				held = append(held, other)
			}
		}
		if f.GetPath() != "" {
			file := ExplainedFile{Path: f.GetPath(), Verdict: "served", Why: v.Reason()}
			if v.Held {
				file.Verdict, file.Until = "held", v.Until
			} else {
				served++
			}
			x.Files = append(x.Files, file)
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
	if x.Verdict == "held" && served > 0 && x.StandsFor == nil {
		x.Verdict, x.Published = heldInPart, time.Time{}
		x.Why = fmt.Sprintf("%d of its %d files served so far; the last: %s", served, len(x.Files), x.Why)
	}
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
		if file := cmp.Or(f.Source, f.Archive); file != "" {
			x.Why = "it lies in a directory, as " + file
		}
		x.Files = append(x.Files, ExplainedFile{Path: f.Path, Verdict: x.Verdict, Why: x.Why})
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
