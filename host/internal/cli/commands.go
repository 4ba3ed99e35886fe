package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/daemon"
	"github.com/entrepot-registry/entrepot/host/internal/policy"
	"github.com/entrepot-registry/entrepot/sdk/cooldown"
	"github.com/entrepot-registry/entrepot/sdk/wire"
)

type serveCommand struct{}

// Run serves until SIGTERM or an interrupt; SIGHUP reads the configuration
// again.
func (serveCommand) Run(e *env) error {
	c, diags := e.load()
	if diags.HasErrors() {
		return daemon.Diagnostics{Diagnostics: diags}
	}
	log := e.logger(c)
	// Nothing here reads it, and plugins would inherit it.
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	os.Stdin = null
	runtime.MemProfileRate = 0 // nobody reads the profile, and it takes memory
	limitMemory(c)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	d, err := daemon.New(daemon.Options{Load: e.load, Version: Version(), Log: log, Self: self()})
	if err != nil {
		return err
	}
	defer func() {
		if err := d.Close(); err != nil {
			log.Error("not everything could be closed", "error", err)
		}
	}()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				if err := d.Reload(); err != nil {
					log.Error("the configuration was not changed")
					report(e.err, err)
					continue
				}
				log.Info("configuration and plugins reloaded")
			}
		}
	}()
	go pace(ctx)
	return d.Run(ctx, func(scheme string, at net.Addr) {
		log.Info("serving", "address", scheme+"://"+at.String()+"/", "data", c.DataDir)
	})
}

type validateCommand struct{}

// Run checks the configuration, and the options with the plugins that are
// installed.
func (validateCommand) Run(e *env) error {
	c, diags := e.load()
	if c == nil {
		return daemon.Diagnostics{Diagnostics: diags}
	}
	printDiagnostics(e.err, c.Warnings())
	if err := daemon.Validate(c, diags, Version(), self(), e.logger(c)); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%s: %d repositories, all well\n", e.Config, len(c.Repositories))
	return nil
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(e *env) error {
	fmt.Fprintf(e.out, "entrepot %s (plugin protocol %d, %s %s/%s)\n", Version(), wire.ProtocolVersion, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

type explainCommand struct {
	PURL       string `arg:"" help:"Package URL with a version, as pkg:npm/lodash@4.17.21." name:"purl"`
	Repository string `help:"Only in this repository." placeholder:"NAME"`
	JSON       bool   `help:"Print JSON." name:"json"`
}

// Run prints the verdict and why.
func (x *explainCommand) Run(e *env) error {
	var answers []*cache.Explanation
	if err := e.ask("explain", daemon.Target{PURL: x.PURL, Repository: x.Repository}, &answers); err != nil {
		return err
	}
	if x.JSON {
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		return enc.Encode(answers)
	}
	for _, a := range answers {
		fmt.Fprintf(e.out, "%s: %s %s is %s: %s\n", a.Repository, a.Name, a.Version, a.Verdict, a.Why)
		line := func(label string, at time.Time) {
			if !at.IsZero() {
				fmt.Fprintf(e.out, "  %s %s\n", label, cooldown.Instant(at))
			}
		}
		line("published", a.Published)
		line("package first seen here", a.FirstSeen)
		if a.InPart() {
			line("will be served whole from", a.Until)
		} else {
			line("will be served from", a.Until)
		}
		for _, v := range a.StandsFor {
			fmt.Fprintf(e.out, "  stands for %s\n", v)
		}
		for _, f := range a.Files {
			fmt.Fprintf(e.out, "  file %s", f.Path)
			if a.InPart() {
				fmt.Fprintf(e.out, " is %s: %s", f.Verdict, f.Why)
			}
			fmt.Fprintln(e.out)
			if a.InPart() {
				line("  will be served from", f.Until)
			}
		}
	}
	return nil
}

type purgeCommand struct {
	PURL       string `arg:"" optional:"" help:"Package URL, with or without a version." name:"purl"`
	Repository string `help:"Only in this repository; without a purl, all of it." placeholder:"NAME"`
	GiveUp     bool   `help:"Also give up names that were ours and have no package any more, so that upstream is asked for them."`
}

// Run drops what is cached.
func (x *purgeCommand) Run(e *env) error {
	if x.PURL == "" && x.Repository == "" {
		return fmt.Errorf("name a package URL, or a repository with --repository")
	}
	var p daemon.Purged
	t := daemon.PurgeTarget{Target: daemon.Target{PURL: x.PURL, Repository: x.Repository}, All: x.PURL == "", GiveUp: x.GiveUp}
	if err := e.ask("purge", t, &p); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%d records dropped; bodies that nothing refers to go with eviction\n", p.Records)
	if x.GiveUp {
		fmt.Fprintf(e.out, "%d names given up: %s\n", len(p.GivenUp), cmp.Or(strings.Join(p.GivenUp, ", "), "none was ours without having a package"))
	}
	return nil
}

type verifyCommand struct{}

// Run reads every cached body and compares it with its digest.
func (verifyCommand) Run(e *env) error {
	var v daemon.Verified
	if err := e.ask("verify", struct{}{}, &v); err != nil {
		return err
	}
	for _, digest := range v.Digests {
		fmt.Fprintf(e.out, "damaged: sha256 %s\n", digest)
	}
	fmt.Fprintf(e.out, "%d bodies checked, %d damaged\n", v.Checked, v.Damaged)
	if v.Damaged > 0 {
		return fmt.Errorf("%d cached bodies were damaged and are dropped; they are fetched again when they are asked for", v.Damaged)
	}
	return nil
}

type exemptCommand struct {
	PURL    string `arg:"" optional:"" help:"Package URL with a version, as pkg:npm/lodash@4.17.21." name:"purl"`
	Reason  string `help:"Why; shown to whoever asks." placeholder:"TEXT"`
	Expires string `help:"How long it holds, as 14d or 36h; never ends without." placeholder:"DURATION"`
	Revoke  bool   `help:"End the exemption."`
	List    bool   `help:"List the exemptions in force."`
}

// Run makes, ends or lists exemptions.
func (x *exemptCommand) Run(e *env) error {
	switch {
	case x.List:
		var all []policy.Exemption
		if err := e.ask("exemptions", struct{}{}, &all); err != nil {
			return err
		}
		for _, x := range all {
			fmt.Fprintln(e.out, describeExemption(x))
		}
		return nil
	case x.PURL == "":
		return fmt.Errorf("name a version, as pkg:npm/lodash@4.17.21, or write --list")
	case x.Revoke:
		if err := e.ask("revoke", daemon.Target{PURL: x.PURL}, &struct{}{}); err != nil {
			return err
		}
		fmt.Fprintln(e.out, "revoked", x.PURL)
		return nil
	}
	q := daemon.Exempting{PURL: x.PURL, Reason: x.Reason}
	if x.Expires != "" {
		d, err := config.ParseDuration(x.Expires)
		if err != nil {
			return err
		}
		q.Expires = time.Now().Add(d)
	}
	var made daemon.Exempted
	if err := e.ask("exempt", q, &made); err != nil {
		return err
	}
	fmt.Fprintln(e.out, describeExemption(made.Exemption))
	if made.Unlisted != "" {
		fmt.Fprintf(e.out, "  no listing is known to have that version (%s); --revoke takes the exemption back\n", made.Unlisted)
	}
	return nil
}

func describeExemption(x policy.Exemption) string {
	until := "without end"
	if !x.Expires.IsZero() {
		until = "until " + cooldown.Instant(x.Expires)
	}
	version := x.Version
	if x.As != "" {
		version += " (" + x.As + ")"
	}
	return fmt.Sprintf("%s: %s %s is exempt %s: %s", x.Plugin, x.Name, version, until, x.Reason)
}
