package daemon

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"

	"github.com/entrepot-registry/entrepot/host/internal/config"
)

func TestReloadAppliesSettingsAndNamesThoseThatNeedARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	head := fmt.Sprintf("access_log = %q\n", filepath.Join(dir, "access.log"))
	same := fmt.Sprintf("data_dir = %q\nplugin_dir = %q\n", filepath.Join(dir, "data"), dir)
	text := head + same
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Info})
	d, err := New(Options{
		Load:    func() (*config.Config, hcl.Diagnostics) { return config.Parse([]byte(text), "test.hcl") },
		Version: "test", Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	settings := []string{"listen", "data_dir", "plugin_dir", "memory_cache", "log_format", "sandbox_without", "tls"}
	for _, step := range []struct {
		name, text string
		level      hclog.Level
		warned     bool
		fails      bool
	}{
		{"nothing", head + same, hclog.Info, false, false},
		{"level", head + same + "log_level = \"debug\"", hclog.Debug, false, false},
		{"a mistake", head + same + "log_level = \"loud\"", hclog.Debug, false, true},
		{"no access log", "access_log = \"\"\n" + same, hclog.Info, false, false},
		{"all others", head + "listen = \":1\"\ndata_dir = \"a\"\nplugin_dir = \"b\"\nmemory_cache = \"1MB\"\nlog_format = \"json\"\nsandbox_without = [\"seccomp\"]\ntls {\n  certificate = \"a\"\n  key = \"b\"\n}", hclog.Info, true, false},
		{"as before", head + same, hclog.Info, false, false},
	} {
		out.Reset()
		text = step.text
		if err := d.Reload(); (err != nil) != step.fails {
			t.Fatalf("%s: %v", step.name, err)
		}
		if log.GetLevel() != step.level {
			t.Errorf("%s: the level is %s", step.name, log.GetLevel())
		}
		for _, setting := range settings {
			if strings.Contains(out.String(), "setting="+setting+"\n") != step.warned {
				t.Errorf("%s: warned about %s is not %t: %s", step.name, setting, step.warned, out.String())
			}
		}
	}
}
