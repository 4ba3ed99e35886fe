package daemon

import (
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"

	"github.com/entrepot-registry/entrepot/host/internal/config"
)

// Validate checks a configuration with the plugins that it names, without
// touching its data directory.
func Validate(c *config.Config, version string, self []string, log hclog.Logger) error {
	dir, err := os.MkdirTemp("", "entrepot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	scratch := *c
	scratch.DataDir = dir
	log.SetLevel(hclog.Off) // what is wrong is returned
	d, err := New(Options{
		Load:    func() (*config.Config, hcl.Diagnostics) { return &scratch, nil },
		Version: version, Log: log, Quiet: true, Self: self,
	})
	if err != nil {
		return err
	}
	return d.Close()
}
