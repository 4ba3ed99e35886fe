package cli

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/access"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/daemon"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
)

type tokenCommand struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token and print it; it is not shown again."`
	List   tokenListCommand   `cmd:"" help:"List the tokens: what they may do, and when they were used last."`
	Rotate tokenRotateCommand `cmd:"" help:"Give a token a new secret and print it."`
	Revoke tokenRevokeCommand `cmd:"" help:"End a token; it is refused at once."`
}

type tokenCreateCommand struct {
	Name    string   `arg:"" help:"Who or what it is for, as ci or joe; the user's name in logs and of owners."`
	Allow   []string `help:"What it may do: actions out of read, publish, delete and admin, with commas between them, then a repository and a package, which may have * for any run of characters. Repeat it for more. As read, read,publish:internal or publish:internal:@acme/*. None includes another, and without any the token may do nothing." sep:"none" placeholder:"ACTIONS[:REPOSITORY[:PACKAGE]]"`
	Expires string   `help:"How long it is valid, as 90d or 36h; without end otherwise." placeholder:"DURATION"`
	From    []string `help:"Addresses that it may be used from, as 10.0.0.0/8; from any otherwise." placeholder:"RANGE"`
}

// Run makes a token. Only the token goes to standard output.
func (x *tokenCreateCommand) Run(e *env) (err error) {
	q := daemon.TokenWanted{Name: x.Name}
	for _, s := range x.Allow {
		p, err := access.ParsePermission(s)
		if err != nil {
			return err
		}
		q.Permissions = append(q.Permissions, p)
	}
	for _, s := range x.From {
		p, err := config.ParsePrefix(s)
		if err != nil {
			return fmt.Errorf("%q is no range of addresses: write 10.0.0.0/8 or 127.0.0.1", s)
		}
		q.Addresses = append(q.Addresses, p)
	}
	if q.Expires, err = end(x.Expires); err != nil {
		return err
	}
	var made daemon.TokenMade
	if err := e.ask("token/create", q, &made); err != nil {
		return err
	}
	return e.showToken(made)
}

// end is the instant after a duration; none: zero.
func end(duration string) (time.Time, error) {
	if duration == "" {
		return time.Time{}, nil
	}
	d, err := config.ParseDuration(duration)
	if err != nil {
		return time.Time{}, err
	}
	return time.Now().Add(d).UTC().Truncate(time.Second), nil
}

// showToken prints a token, and what it is apart from it, so that a script can
// take the one without the other.
func (e *env) showToken(t daemon.TokenMade) error {
	for _, pattern := range t.Unknown {
		fmt.Fprintf(e.err, "note: the configuration has no repository %q\n", pattern)
	}
	fmt.Fprintf(e.err, "token %s (%s) may %s; it is shown only now:\n", t.Name, t.ID, permissions(t.Token))
	_, err := fmt.Fprintln(e.out, t.Text)
	return err
}

func permissions(t access.Token) string {
	var all []string
	for _, p := range t.Permissions {
		all = append(all, p.String())
	}
	if all == nil {
		return "nothing"
	}
	return strings.Join(all, " ")
}

type tokenListCommand struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Run lists the tokens.
func (x *tokenListCommand) Run(e *env) error {
	all := []access.Token{}
	if err := e.ask("token/list", struct{}{}, &all); err != nil {
		return err
	}
	if x.JSON {
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	instant := func(t time.Time, never string) string {
		if t.IsZero() {
			return never
		}
		return cooldown.Instant(t)
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tMAY\tFROM\tEXPIRES\tLAST USED")
	for _, t := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Name, permissions(t), addresses(t.Addresses), instant(t.Expires, "never"), instant(t.LastUsed, "never"))
	}
	return w.Flush()
}

func addresses(ranges []netip.Prefix) string {
	if len(ranges) == 0 {
		return "anywhere"
	}
	var all []string
	for _, p := range ranges {
		all = append(all, p.String())
	}
	return strings.Join(all, ",")
}

type tokenRotateCommand struct {
	ID      string `arg:"" help:"Id of the token." name:"id"`
	Grace   string `help:"How long the old secret remains valid, as 1d; not at all otherwise." placeholder:"DURATION"`
	Expires string `help:"How long the token is valid from now, as 90d; as before otherwise." placeholder:"DURATION"`
}

// Run gives a token a new secret.
func (x *tokenRotateCommand) Run(e *env) (err error) {
	q := daemon.TokenRotation{ID: x.ID}
	if x.Grace != "" {
		if q.Grace, err = config.ParseDuration(x.Grace); err != nil {
			return err
		}
	}
	if q.Expires, err = end(x.Expires); err != nil {
		return err
	}
	var made daemon.TokenMade
	if err := e.ask("token/rotate", q, &made); err != nil {
		return err
	}
	return e.showToken(made)
}

type tokenRevokeCommand struct {
	ID string `arg:"" help:"Id of the token." name:"id"`
}

// Run ends a token.
func (x *tokenRevokeCommand) Run(e *env) error {
	var t access.Token
	if err := e.ask("token/revoke", daemon.TokenID{ID: x.ID}, &t); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "revoked %s (%s)\n", t.Name, t.ID)
	return nil
}
