package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/git-pkgs/purl"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/policy"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
)

// Admin answers the commands of the entrepot program: JSON over a socket that
// only the same user can open.
func (d *Daemon) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /explain", answer(d.explain))
	mux.HandleFunc("POST /purge", answer(d.purge))
	mux.HandleFunc("POST /exempt", answer(d.exempt))
	mux.HandleFunc("POST /revoke", answer(d.revoke))
	mux.HandleFunc("POST /exemptions", answer(d.exemptions))
	mux.HandleFunc("POST /verify", answer(d.verify))
	mux.HandleFunc("POST /plugins", answer(d.runningPlugins))
	mux.HandleFunc("POST /token/create", answer(d.createToken))
	mux.HandleFunc("POST /token/rotate", answer(d.rotateToken))
	mux.HandleFunc("POST /token/revoke", answer(d.revokeToken))
	mux.HandleFunc("POST /token/list", answer(d.listTokens))
	mux.HandleFunc("POST /repositories", answer(d.repositoryInfos))
	mux.HandleFunc("POST /reload", answer(func(context.Context, struct{}) (struct{}, error) { return struct{}{}, d.Reload() }))
	mux.HandleFunc("POST /backup", d.backup)
	mux.HandleFunc("POST /export", d.export)
	mux.HandleFunc("POST /import", d.importPackage)
	return d.attended(mux)
}

// attended has Close wait for commands under way, which it asks to end.
func (d *Daemon) attended(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.reloading.Lock()
		if d.closed {
			d.reloading.Unlock()
			refuse(w, http.StatusServiceUnavailable, errors.New("the host is stopping"))
			return
		}
		d.wg.Add(1)
		d.reloading.Unlock()
		defer d.wg.Done()
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(d.ctx, cancel)()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// AdminError is how a command's error travels.
type AdminError struct {
	Message string `json:"error"`
}

// Error is the message.
func (e AdminError) Error() string { return e.Message }

// answer makes a handler of a function.
func answer[Q, A any](f func(context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		a, err := f(r.Context(), q)
		if err != nil {
			refuse(w, http.StatusUnprocessableEntity, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a)
	}
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(AdminError{err.Error()})
}

// Target is what a command is about.
type Target struct {
	// PURL is a package URL, as pkg:npm/lodash@4.17.21.
	PURL string `json:"purl"`
	// Repository narrows it to one; empty: all of the purl's type.
	Repository string `json:"repository,omitempty"`
}

// matched is a repository and the package a purl means there.
type matched struct {
	repo          *cache.Repository
	name, version string
	as            string // what the version was called that only stood for it; empty: it is itself
}

// match finds the repositories that a purl is about.
func (d *Daemon) match(ctx context.Context, t Target) ([]matched, error) {
	p, err := purl.Parse(t.PURL)
	if err != nil {
		return nil, fmt.Errorf("%q is no package URL (write pkg:npm/lodash@4.17.21): %w", t.PURL, err)
	}
	if strings.Contains(p.Namespace+p.Name, "*") {
		return nil, fmt.Errorf("%q is a pattern, as rules of cool-down have: write one package", t.PURL)
	}
	if t.Repository != "" {
		if err := d.checkRepository(t.Repository, p.Type); err != nil {
			return nil, err
		}
	}
	var out []matched
	for _, repo := range d.repositories() {
		if !ofType(repo, p.Type) || t.Repository != "" && repo.Name != t.Repository {
			continue
		}
		name, err := d.cache.Canonical(ctx, repo, nameIn(repo, p))
		if err != nil {
			return nil, err
		}
		out = append(out, matched{repo: repo, name: name, version: p.Version})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no repository here holds packages of type %q", p.Type)
	}
	return out, nil
}

// ofType reports whether the package URLs of a repository are of a type.
func ofType(repo *cache.Repository, purlType string) bool {
	return repo.Describe.GetPurlType() == purlType || slices.Contains(repo.Describe.GetOtherPurlTypes(), purlType)
}

// nameIn is the name that a package URL gives a package of a repository. The
// address of its registry may end in the name, or stand before it.
func nameIn(repo *cache.Repository, p *purl.PURL) string {
	registry := p.Qualifier("repository_url")
	if registry == "" || !repo.Describe.GetPurlRegistry() {
		return p.FullName()
	}
	if _, after, ok := strings.Cut(registry, "://"); ok {
		registry = after
	}
	registry = strings.TrimSuffix(registry, "/")
	if strings.HasSuffix(registry, "/"+p.FullName()) {
		return registry
	}
	return registry + "/" + p.FullName()
}

// checkRepository says why there is nothing of a type in a repository.
func (d *Daemon) checkRepository(name, purlType string) error {
	var names []string
	for _, repo := range d.repositories() {
		if repo.Name != name {
			names = append(names, repo.Name)
			continue
		}
		if !ofType(repo, purlType) {
			return fmt.Errorf("repository %q holds packages of type %q, not %q", name, repo.Describe.GetPurlType(), purlType)
		}
		return nil
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no repository %q; the configuration has none", name)
	}
	return fmt.Errorf("there is no repository %q; write one of %s", name, strings.Join(names, ", "))
}

func (d *Daemon) base(repo *cache.Repository) string {
	c := d.state.Load().config
	if c.BaseURL != nil {
		return c.BaseURL.String() + repo.Path
	}
	return d.scheme() + "://" + c.Listen + repo.Path
}

// explain tells the verdict in each repository. One that cannot tell, because
// its upstream does not answer, does not keep the others from it.
func (d *Daemon) explain(ctx context.Context, t Target) ([]*cache.Explanation, error) {
	found, err := d.match(ctx, t)
	if err != nil {
		return nil, err
	}
	var out []*cache.Explanation
	var failed []error
	for _, m := range found {
		if m.version == "" {
			return nil, errors.New("name a version, as pkg:npm/lodash@4.17.21")
		}
		x, err := d.cache.Explain(ctx, m.repo, d.base(m.repo), m.name, m.version)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", m.repo.Name, err))
			x = &cache.Explanation{Repository: m.repo.Name, Name: m.name, Version: m.version, Verdict: "unknown", Why: err.Error()}
		}
		out = append(out, x)
	}
	if len(failed) == len(found) {
		return nil, errors.Join(failed...)
	}
	return out, nil
}

// PurgeTarget is what to purge: a purl, or a whole repository.
type PurgeTarget struct {
	Target
	// All purges the whole of Repository.
	All bool `json:"all,omitempty"`
	// GiveUp also gives up names of packages that were ours and are no more.
	GiveUp bool `json:"give_up,omitempty"`
}

// Purged says how many records were dropped, and which names were given up.
type Purged struct {
	Records int      `json:"records"`
	GivenUp []string `json:"given_up,omitempty"`
}

func (d *Daemon) purge(ctx context.Context, t PurgeTarget) (p Purged, err error) {
	if t.All {
		for _, repo := range d.repositories() {
			if repo.Name != t.Repository {
				continue
			}
			if err := d.giveUp(repo, "*", t.GiveUp, &p); err != nil {
				return p, err
			}
			p.Records, err = d.cache.PurgeAll(repo)
			return p, err
		}
		return p, fmt.Errorf("there is no repository %q", t.Repository)
	}
	found, err := d.match(ctx, t.Target)
	if err != nil {
		return p, err
	}
	for _, m := range found {
		if err := d.giveUp(m.repo, m.name, t.GiveUp, &p); err != nil {
			return p, err
		}
		n, err := d.cache.Purge(ctx, m.repo, d.base(m.repo), m.name, m.version)
		if err != nil {
			return p, err
		}
		p.Records += n
	}
	return p, nil
}

// giveUp gives up names of packages that were ours.
func (d *Daemon) giveUp(repo *cache.Repository, pattern string, wanted bool, p *Purged) error {
	if !wanted {
		return nil
	}
	names, err := d.cache.Catalog().GiveUp(repo.Name, pattern, repo.Names, time.Now())
	if err != nil {
		return err
	}
	p.GivenUp = append(p.GivenUp, names...)
	if len(names) > 0 {
		d.log.Info("names were given up: upstream is asked for them again", "repository", repo.Name, "names", names)
	}
	return nil
}

// Exempting asks for an exemption of one version.
type Exempting struct {
	PURL    string    `json:"purl"`
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires,omitzero"`
}

// Exempted is an exemption that was made.
type Exempted struct {
	policy.Exemption
	// Unlisted says, of each repository, why it is not known to list the version;
	// empty: one lists it.
	Unlisted string `json:"unlisted,omitempty"`
}

func (d *Daemon) exempt(ctx context.Context, e Exempting) (Exempted, error) {
	found, err := d.match(ctx, Target{PURL: e.PURL})
	if err != nil {
		return Exempted{}, err
	}
	m := found[0]
	switch {
	case m.version == "":
		return Exempted{}, errors.New("an exemption is for one version: write pkg:npm/lodash@4.17.21")
	case e.Reason == "":
		return Exempted{}, errors.New("an exemption needs a reason")
	case strings.ContainsFunc(e.Reason, func(c rune) bool { return !unicode.IsPrint(c) }):
		return Exempted{}, errors.New("the reason has line breaks, tabs or other characters that cannot be printed: write one line of text")
	case !e.Expires.IsZero() && e.Expires.Before(time.Now()):
		return Exempted{}, errors.New("the exemption would have ended already")
	}
	m, unlisted, err := d.asListed(ctx, found)
	if err != nil {
		return Exempted{}, err
	}
	x := policy.Exemption{Plugin: m.repo.Plugin, Name: m.name, Version: m.version, As: m.as, Reason: e.Reason, Created: time.Now(), Expires: e.Expires}
	if err := d.policy.Exempt(x); err != nil {
		return Exempted{}, err
	}
	until := "never"
	if !x.Expires.IsZero() {
		until = cooldown.Instant(x.Expires)
	}
	d.log.Info("exemption made", "plugin", x.Plugin, "name", x.Name, "version", x.Version, "reason", x.Reason, "expires", until)
	return Exempted{x, unlisted}, nil
}

// listingWait is how long a listing is waited for before a version is taken as it
// is spelled: an exemption is often urgent.
const listingWait = 5 * time.Second

// asListed is the first of some versions that its repository lists, as it is
// spelled there, or the one that it stands for. Where none does, it is the first as
// it was asked for, and why not is said. The error says that it stands for several.
func (d *Daemon) asListed(ctx context.Context, all []matched) (m matched, unlisted string, err error) {
	ctx, cancel := context.WithTimeout(ctx, listingWait)
	defer cancel()
	var why []string
	for _, m := range all {
		x, err := d.cache.Explain(ctx, m.repo, d.base(m.repo), m.name, m.version)
		switch {
		case err != nil:
			why = append(why, fmt.Sprintf("%s: %v", m.repo.Name, err))
		case x.Listed():
			m.name, m.version = x.Name, x.Version
			switch len(x.StandsFor) {
			case 0:
			case 1:
				m.version, m.as = x.StandsFor[0], x.Version
			default:
				return m, "", fmt.Errorf("%s %s stood for several versions that may be meant: exempt one of %s", x.Name, x.Version, strings.Join(x.StandsFor, ", "))
			}
			return m, "", nil
		default:
			why = append(why, fmt.Sprintf("%s: %s", m.repo.Name, x.Why))
		}
	}
	return all[0], strings.Join(why, "; "), nil
}

func (d *Daemon) revoke(ctx context.Context, t Target) (struct{}, error) {
	found, err := d.match(ctx, t)
	if err != nil {
		return struct{}{}, err
	}
	for _, m := range found {
		// It has the spelling that was listed when it was made, or is of what the
		// version stood for then.
		var versions, meant []string
		for _, x := range d.policy.Exemptions() {
			if x.Plugin != m.repo.Plugin || x.Name != m.name {
				continue
			}
			versions = append(versions, x.Version)
			if x.Version == m.version || x.As == m.version {
				meant = append(meant, x.Version)
			}
		}
		if len(meant) == 0 {
			other, err := d.cache.SameVersion(ctx, m.repo, m.name, m.version, versions)
			if err != nil {
				return struct{}{}, err
			}
			meant = append(meant, cmp.Or(other, m.version))
		}
		revoked := false
		for _, version := range meant {
			was, err := d.policy.Revoke(m.repo.Plugin, m.name, version)
			if err != nil {
				return struct{}{}, err
			}
			revoked = revoked || was
		}
		if revoked {
			return struct{}{}, nil
		}
	}
	return struct{}{}, fmt.Errorf("there is no exemption for %s %s", found[0].name, found[0].version)
}

func (d *Daemon) exemptions(context.Context, struct{}) ([]policy.Exemption, error) {
	return d.policy.Exemptions(), nil
}

// Verified says how many cached bodies were read and which were damaged.
type Verified struct {
	Checked int `json:"checked"`
	Damaged int `json:"damaged"`
	// Digests of damaged ones, the first [maxDigests].
	Digests []string `json:"digests,omitempty"`
}

// maxDigests bounds a list of digests.
const maxDigests = 1000

func (d *Daemon) verify(ctx context.Context, _ struct{}) (v Verified, err error) {
	v.Checked, v.Damaged, err = d.blobs.VerifyAll(ctx, func(digest string) {
		if len(v.Digests) < maxDigests {
			v.Digests = append(v.Digests, digest)
		}
	})
	return v, err
}
