package access

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// Token is what is known of a token. Its text is known to nobody but its
// owner.
type Token struct {
	// ID is a part of its text that is no secret.
	ID string `json:"id"`
	// Name is the user that it stands for.
	Name string `json:"name"`
	// Permissions; empty: it may do nothing that not anybody may.
	Permissions []Permission `json:"permissions"`
	// Expires is when it ends; zero: never.
	Expires time.Time `json:"expires,omitzero"`
	// Addresses that it may be used from; empty: any.
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	// Created is when it was made, Rotated when it got its secret, if later.
	Created time.Time `json:"created"`
	Rotated time.Time `json:"rotated,omitzero"`
	// LastUsed is when it was used last, to the second; zero: never.
	LastUsed time.Time `json:"last_used,omitzero"`
}

// record is a token as it is kept.
type record struct {
	Token
	// Hash is the SHA-256 of its text.
	Hash []byte `json:"hash"`
	// Old is that of its text before it was rotated, valid until OldUntil.
	Old      []byte    `json:"old,omitempty"`
	OldUntil time.Time `json:"old_until,omitzero"`
}

const tokenKey = "token/"

// Keeper knows the tokens.
type Keeper struct {
	keep   *store.DB
	secret []byte // of the tokens that are issued
	// known tokens by id: a change makes a new map, so that requests need no
	// lock.
	known atomic.Pointer[map[string]*known]
	mu    sync.Mutex // one change at a time
}

// known is a token that can be used. It is immutable but for used.
type known struct {
	record
	identity Identity
	used     *atomic.Int64 // seconds since 1970; 0: never
}

// NewKeeper reads the tokens that were kept.
func NewKeeper(keep *store.DB) (*Keeper, error) {
	secret, err := issuing(keep)
	if err != nil {
		return nil, err
	}
	k := &Keeper{keep: keep, secret: secret}
	all := map[string]*known{}
	var bad error
	err = keep.Each(tokenKey, false, func(key string, value []byte) bool {
		var r record
		if bad = json.Unmarshal(value, &r); bad != nil {
			bad = fmt.Errorf("token %q: %w", key, bad)
			return false
		}
		all[r.ID] = newKnown(r, &atomic.Int64{})
		if !r.LastUsed.IsZero() {
			all[r.ID].used.Store(r.LastUsed.Unix())
		}
		return true
	})
	k.known.Store(&all)
	return k, cmp.Or(err, bad)
}

func newKnown(r record, used *atomic.Int64) *known {
	return &known{record: r, identity: Identity{id: r.ID, user: r.Name, permissions: r.Permissions}, used: used}
}

// Identify returns who a token stands for, be it one that was issued, nil for
// [NoToken], or a [*Denied] when it is none that may be used from an address now.
// It neither locks nor reads the store.
func (k *Keeper) Identify(text []byte, from netip.Addr, now time.Time) (*Identity, error) {
	if string(text) == NoToken {
		return nil, nil
	}
	if bytes.HasPrefix(text, []byte(issuedPrefix)) {
		return k.identifyIssued(text, from, now)
	}
	if !WellFormed(text) {
		return nil, &Denied{LogIn: true, Reason: "this is no token of this entrepot, or not all of one"}
	}
	t := (*k.known.Load())[string(idOf(text))]
	if t == nil || !t.fits(text, now) {
		return nil, &Denied{LogIn: true, Reason: "the token is wrong or was revoked"}
	}
	if err := t.usable(from, now); err != nil {
		return nil, err
	}
	return &t.identity, nil
}

// fits compares in a time that does not depend on where a difference is.
func (t *known) fits(text []byte, now time.Time) bool {
	sum := sha256.Sum256(text)
	if subtle.ConstantTimeCompare(sum[:], t.Hash) == 1 {
		return true
	}
	return now.Before(t.OldUntil) && subtle.ConstantTimeCompare(sum[:], t.Old) == 1
}

func (t *Token) expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

func (t *Token) mayComeFrom(from netip.Addr) bool {
	return len(t.Addresses) == 0 || slices.ContainsFunc(t.Addresses, func(p netip.Prefix) bool { return p.Contains(from) })
}

// tokenName is also the name of a user and of an owner.
var tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// Create makes a token with the name, permissions, end and addresses given,
// and its text, which cannot be had again. It is kept for good, and in force,
// when this returns.
func (k *Keeper) Create(t Token) (made Token, text string, err error) {
	if !tokenName.MatchString(t.Name) {
		return t, "", fmt.Errorf("%q is no name for a token: write up to 64 letters, digits, dots, dashes, underscores and @", t.Name)
	}
	for _, p := range t.Permissions {
		if err := p.check(); err != nil {
			return t, "", err
		}
	}
	if !t.Expires.IsZero() && t.expired(time.Now()) {
		return t, "", errors.New("the token would have expired already")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for text == "" || (*k.known.Load())[t.ID] != nil {
		text = newText("")
		t.ID = string(idOf([]byte(text)))
	}
	t.Created, t.Rotated, t.LastUsed = now(), time.Time{}, time.Time{}
	return t, text, k.put(record{Token: t, Hash: hash(text)}, &atomic.Int64{})
}

// Rotate gives a token a new secret, and a new end unless that is zero. The
// old secret remains valid for the grace.
func (k *Keeper) Rotate(id string, grace time.Duration, expires time.Time) (rotated Token, text string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, err := k.find(id)
	if err != nil {
		return Token{ID: id}, "", err
	}
	r := t.record
	r.Rotated = now()
	if !expires.IsZero() {
		r.Expires = expires
	}
	if r.expired(r.Rotated) {
		return r.Token, "", errors.New("the token has expired; give it a new end with its new secret")
	}
	r.Old, r.OldUntil = nil, time.Time{}
	if grace > 0 {
		r.Old, r.OldUntil = t.Hash, r.Rotated.Add(grace)
	}
	text = newText(id)
	r.Hash = hash(text)
	return r.Token, text, k.put(r, t.used)
}

// Revoke ends a token; it is refused when this returns, even with an error.
func (k *Keeper) Revoke(id string) (Token, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, err := k.find(id)
	if err != nil {
		return Token{ID: id}, err
	}
	rest := maps.Clone(*k.known.Load())
	delete(rest, id)
	k.known.Store(&rest)
	if err := k.write(store.Change{tokenKey + id: nil}); err != nil {
		return t.Token, fmt.Errorf("the token is refused from now on, but as that cannot be written, only until the next start: %w", err)
	}
	return t.Token, nil
}

// Tokens lists the tokens by name.
func (k *Keeper) Tokens() []Token {
	var all []Token
	for _, t := range *k.known.Load() {
		all = append(all, t.current().Token)
	}
	slices.SortFunc(all, func(a, b Token) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return all
}

// current is the token with its last use.
func (t *known) current() record {
	r := t.record
	if used := t.used.Load(); used > 0 {
		r.LastUsed = time.Unix(used, 0).UTC()
	}
	return r
}

// Named reports whether a token has a name, so that there is such a user.
func (k *Keeper) Named(name string) bool {
	for _, t := range *k.known.Load() {
		if t.Name == name {
			return true
		}
	}
	return false
}

func (k *Keeper) find(id string) (*known, error) {
	if t := (*k.known.Load())[id]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("there is no token %q; entrepot token list shows their ids", id)
}

// put keeps a token and puts it in force.
func (k *Keeper) put(r record, used *atomic.Int64) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := k.write(store.Change{tokenKey + r.ID: value}); err != nil {
		return err
	}
	all := maps.Clone(*k.known.Load())
	all[r.ID] = newKnown(r, used)
	k.known.Store(&all)
	return nil
}

func (k *Keeper) write(c store.Change) error {
	if err := k.keep.Apply(c); err != nil {
		return err
	}
	return k.keep.Sync()
}

// noteUses is how often last uses are written.
const noteUses = time.Minute

// Run writes when tokens were last used, now and then and at the end.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(noteUses)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.writeUses()
			return
		case <-tick.C:
			k.writeUses()
		}
	}
}

// writeUses writes the last uses that are not written yet. What cannot be
// written is tried again.
func (k *Keeper) writeUses() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, t := range *k.known.Load() {
		r := t.current()
		if r.LastUsed.Equal(t.LastUsed) {
			continue
		}
		value, err := json.Marshal(r)
		if err != nil || k.keep.Apply(store.Change{tokenKey + id: value}) != nil {
			continue
		}
		all := maps.Clone(*k.known.Load())
		all[id] = newKnown(r, t.used)
		k.known.Store(&all)
	}
}

func hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// now is the time as it is kept.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
