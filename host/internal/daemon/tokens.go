package daemon

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/access"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
)

// TokenWanted is a token to be made.
type TokenWanted struct {
	Name        string              `json:"name"`
	Permissions []access.Permission `json:"permissions"`
	// Expires is when it ends; zero: never.
	Expires time.Time `json:"expires,omitzero"`
	// Addresses that it may be used from; empty: any.
	Addresses []netip.Prefix `json:"addresses,omitempty"`
}

// TokenRotation asks for a new secret.
type TokenRotation struct {
	ID string `json:"id"`
	// Grace is how long the old secret remains valid.
	Grace time.Duration `json:"grace,omitempty"`
	// Expires is the new end; zero: as before.
	Expires time.Time `json:"expires,omitzero"`
}

// TokenMade is a token with its text, which is told this once.
type TokenMade struct {
	access.Token
	Text string `json:"text"`
	// Unknown are patterns of its permissions that fit no repository there is.
	Unknown []string `json:"unknown,omitempty"`
}

// TokenID names a token.
type TokenID struct {
	ID string `json:"id"`
}

func (d *Daemon) createToken(_ context.Context, q TokenWanted) (TokenMade, error) {
	t, text, err := d.tokens.Create(access.Token{Name: q.Name, Permissions: q.Permissions, Expires: q.Expires, Addresses: q.Addresses})
	d.tokenChanged("token create", t, err)
	return TokenMade{t, text, d.unknown(t)}, err
}

func (d *Daemon) rotateToken(_ context.Context, q TokenRotation) (TokenMade, error) {
	t, text, err := d.tokens.Rotate(q.ID, q.Grace, q.Expires)
	d.tokenChanged("token rotate", t, err)
	return TokenMade{t, text, d.unknown(t)}, err
}

func (d *Daemon) revokeToken(_ context.Context, q TokenID) (access.Token, error) {
	t, err := d.tokens.Revoke(q.ID)
	d.tokenChanged("token revoke", t, err)
	return t, err
}

func (d *Daemon) listTokens(context.Context, struct{}) ([]access.Token, error) {
	return d.tokens.Tokens(), nil
}

// unknown are the patterns of a token's permissions that fit no repository: they
// may be mistakes, or be ahead of the configuration.
func (d *Daemon) unknown(t access.Token) (all []string) {
	for _, p := range t.Permissions {
		fits := func(repo *cache.Repository) bool { return cooldown.Match(p.Repository, repo.Name) }
		if !slices.ContainsFunc(d.repositories(), fits) && !slices.Contains(all, p.Repository) {
			all = append(all, p.Repository)
		}
	}
	return all
}

// tokenChanged notes what was done to a token.
func (d *Daemon) tokenChanged(action string, t access.Token, err error) {
	e := access.Event{Time: time.Now(), User: t.Name, Token: t.ID, Action: action, Result: access.Done}
	var may []string
	for _, p := range t.Permissions {
		may = append(may, p.String())
	}
	e.Detail = strings.Join(may, " ")
	if err != nil {
		e.Result, e.Detail = access.Failed, err.Error()
	}
	d.audit.Write(e)
}
