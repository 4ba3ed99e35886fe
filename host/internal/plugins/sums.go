package plugins

import (
	"os"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/wire"
)

// summedKey is where the checksum of a binary is remembered, with what the file
// system says of the file: to read twenty of them takes longer than to start
// them.
const summedKey = "plugin-sum/"

// settled is how long a file must have been left alone before its checksum is
// remembered: clocks of file systems are coarse.
const settled = 2 * time.Second

// sum is the checksum of the binary on disk, in hex. One that the configuration
// pins is read each time.
func (p *Plugin) sum(settings Settings) (string, error) {
	info, err := os.Stat(p.path())
	if err != nil {
		return "", err
	}
	mark, changed := markOf(info)
	if known, err := p.o.Keep.Get(summedKey + p.Name); err == nil && mark != "" && settings.SHA256 == "" {
		if sum, ok := strings.CutSuffix(string(known), " "+mark); ok {
			return sum, nil
		}
	}
	sum, err := wire.Checksum(p.path())
	if err != nil || mark == "" || time.Since(changed) < settled {
		return sum, err
	}
	if again, err := os.Stat(p.path()); err != nil {
		return "", err
	} else if now, _ := markOf(again); now != mark {
		return sum, nil // it is being written to
	}
	if err := p.o.Keep.Apply(store.Change{summedKey + p.Name: []byte(sum + " " + mark)}); err != nil {
		p.log.Warn("the plugin's checksum cannot be remembered", "error", err)
	}
	return sum, nil
}
