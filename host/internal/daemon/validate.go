package daemon

import (
	"cmp"
	"errors"
	"os"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"

	"github.com/entrepot-registry/entrepot/host/internal/config"
)

// Validate checks a configuration with the plugins that it names, without
// touching its data directory. What was found wrong in it before does not hide
// what they find: the error has all of that, in the order of the file.
func Validate(c *config.Config, found hcl.Diagnostics, version string, self []string, log hclog.Logger) error {
	dir, err := os.MkdirTemp("", "entrepot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	scratch := *c
	scratch.DataDir = dir
	log.SetLevel(hclog.Off) // what is wrong is returned
	var all hcl.Diagnostics
	for _, d := range found {
		if d.Severity == hcl.DiagError {
			all = append(all, d)
		}
	}
	if c.TLS != nil {
		_, err := newCertificate(c.TLS, log)
		if all, err = join(all, err); err != nil {
			return err
		}
		scratch.TLS = nil
	}
	d, err := New(Options{
		Load:    func() (*config.Config, hcl.Diagnostics) { return &scratch, nil },
		Version: version, Log: log, Quiet: true, Self: self,
	})
	if err == nil {
		err = d.Close()
	}
	if all, err = join(all, err); err != nil {
		return err
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b *hcl.Diagnostic) int { return cmp.Compare(offset(a), offset(b)) })
	return Diagnostics{all}
}

// join adds an error to diagnostics, as far as it consists of them; else it is
// returned.
func join(all hcl.Diagnostics, err error) (hcl.Diagnostics, error) {
	var more Diagnostics
	if errors.As(err, &more) {
		return append(all, more.Diagnostics...), nil
	}
	return all, err
}

// offset is where in its file a diagnostic points at.
func offset(d *hcl.Diagnostic) int {
	if d.Subject == nil {
		return -1
	}
	return d.Subject.Start.Byte
}
