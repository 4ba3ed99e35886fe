package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// faultValidate runs the command on a configuration.
func faultValidate(t *testing.T, text string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.hcl")
	text = fmt.Sprintf("data_dir = %q\nplugin_dir = %q\n", filepath.Join(dir, "data"), filepath.Join(built(t), "plugins")) + text
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(built(t), "entrepot"), "validate", "--config", file)
	out, err := cmd.CombinedOutput()
	if _, stat := os.Stat(filepath.Join(dir, "data")); stat == nil {
		t.Error("validate touched the data directory")
	}
	return string(out), err
}

func TestValidateAcceptsWhatIsRight(t *testing.T) {
	t.Parallel()
	out, err := faultValidate(t, faultConfig("http://127.0.0.1:1"))
	if err != nil || !strings.Contains(out, "1 repositories, all well") {
		t.Errorf("%v %s", err, out)
	}
}

func TestValidatePointsAtEveryMistake(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []string // each at a line of its own, counted from the first of text
	}{
		"misspelt duration": {
			"cooldown {\n  default = \"3 days\"\n}\n",
			[]string{`2:13: error: Bad duration: "3 days" is no duration: write "3d"`},
		},
		"duration without a unit": {
			"cooldown {\n  default = \"3\"\n}\n",
			[]string{`2:13: error: Bad duration: "3" is no duration`},
		},
		"duration that is a number": {
			"cooldown {\n  default = 3\n}\n",
			[]string{`2:13: error: Bad duration: Write a quoted duration`},
		},
		"durations in maps": {
			"cooldown {\n  ecosystems = { npm = \"soon\" }\n  packages = { \"pkg:npm/a\" = \"-1d\", \"lodash\" = \"0\" }\n}\n",
			[]string{`2:24: error: Bad duration`, `3:30: error: Bad duration`, `3:37: error: Bad package pattern`},
		},
		"nothing to serve": {
			"repository \"generic\" {}\nrepository \"debian\" {}\nrepository \"go\" {\n  options { proxy = \"off\" }\n}\n",
			[]string{`1:1: error: Nothing to serve: Plugin generic knows no upstream by itself`, `2:1: error: Nothing to serve`, `3:1: error: Nothing to serve`},
		},
		"several at once": {
			"listen = \"127.0.0.1:0\"\nlog_level = \"loud\"\ncache_size = \"much\"\ncooldown {\n  default = \"never\"\n}\nrepository \"npm\" {\n  ttl = \"5\"\n  removed = \"maybe\"\n  upstream \"main\" {\n    url = \"localhost:80\"\n  }\n}\n",
			[]string{`2:13: error: Bad value`, `3:14: error: Bad size`, `5:13: error: Bad duration`, `8:9: error: Bad duration`, `9:13: error: Bad value`, `11:11: error: Bad address`},
		},
		"of the file and of plugins": {
			"log_level = \"loud\"\ntls {\n  certificate = \"none.pem\"\n  key = \"none.key\"\n}\nrepository \"npm\" {\n  upstream \"main\" {\n    url = \"localhost:80\"\n  }\n  options {\n    colour = \"red\"\n  }\n}\nrepository \"cargo\" {\n  options {\n    auth_required = \"perhaps\"\n  }\n}\nrepository \"nothing\" {}\n",
			[]string{`1:13: error: Bad value`, `2:1: error: Certificate cannot be used`, `8:11: error: Bad address`, `11:5: error: Unsupported argument`, `16:21: error: Bad option`, `19:1: error: Plugin cannot be used`},
		},
		"no time at all":            {"repository \"npm\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1:1\"\n    timeout = \"0\"\n  }\n  directory \"a\" {\n    refresh = \"0d\"\n  }\n}\n", []string{`4:15: error: Bad duration: timeout cannot be 0`, `7:15: error: Bad duration: refresh cannot be 0`}},
		"a host that is not asked":  {"repository \"npm\" {\n  upstream \"main\" {\n    url = \"http://169.254.169.254\"\n  }\n}\n", []string{`2:3: error: Bad host: 169.254.169.254 would never be asked`}},
		"unknown setting":           {"lisen = \"x\"\n", []string{`1:1: error: Unsupported argument`}},
		"unknown block":             {"repositry \"npm\" {}\n", []string{`1:1: error: Unsupported block type`}},
		"unknown repository option": {"repository \"npm\" {\n  tll = \"1m\"\n}\n", []string{`2:3: error: Unsupported argument`}},
		"unknown plugin option":     {"repository \"npm\" {\n  options {\n    colour = \"red\"\n  }\n}\n", []string{`3:5: error: Unsupported argument`}},
		"unknown role":              {"repository \"npm\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1:1\"\n    role = \"files\"\n  }\n}\n", []string{`2:3: error: Unknown role: Plugin npm has no upstream of role "files"; write one of main`}},
		"hosting where nobody can":  {"repository \"debian\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1:1\"\n  }\n  hosted { names = [\"a\"] }\n  directory \"b\" {}\n}\n", []string{`5:3: error: Plugin cannot host: Plugin debian cannot host packages; remove the hosted block`, `6:3: error: Plugin cannot host: Plugin debian cannot host packages; remove the directory block`}},
		"same path twice":           {"repository \"npm\" {}\nrepository \"two\" {\n  plugin = \"npm\"\n  path = \"/npm/\"\n}\n", []string{`2:1: error: Duplicate path`}},
		"same name twice":           {"repository \"npm\" {}\nrepository \"npm\" {\n  path = \"/b\"\n}\n", []string{`2:1: error: Duplicate repository`}},
		"missing variable":          {"repository \"npm\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1:1\"\n    token = env(\"ENTREPOT_TEST_UNSET\")\n  }\n}\n", []string{`4:18: error: Invalid function argument`}},
		"secret in the address":     {"repository \"npm\" {\n  upstream \"main\" {\n    url = \"http://joe:pw@127.0.0.1:1\"\n  }\n}\n", []string{`3:11: error: Credentials in address`}},
		"two kinds of credentials":  {"repository \"npm\" {\n  upstream \"main\" {\n    url = \"http://127.0.0.1:1\"\n    token = \"a\"\n    username = \"b\"\n  }\n}\n", []string{`2:3: error: Several credentials`}},
		"upstream without url":      {"repository \"npm\" {\n  upstream \"main\" {}\n}\n", []string{`2:3: error: Missing address`}},
		"broken syntax":             {"repository \"npm\" {\n", []string{`error: `}},
		"bad proxy range":           {"trusted_proxies = [\"10.0.0.0/8\", \"everybody\"]\n", []string{`1:34: error: Bad address range`}},
		"bad checksum":              {"plugin \"npm\" {\n  sha256 = \"abc\"\n}\n", []string{`2:12: error: Bad sha256`}},
		"wrong checksum":            {"repository \"npm\" {}\nplugin \"npm\" {\n  sha256 = \"" + strings.Repeat("0", 64) + "\"\n}\n", []string{`but the configuration pins 0000`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := faultValidate(t, test.text)
			if err == nil {
				t.Fatalf("it was accepted: %s", out)
			}
			// Two lines come before the text.
			out = regexp.MustCompile(`config\.hcl:(\d+):`).ReplaceAllStringFunc(out, func(s string) string {
				var n int
				fmt.Sscanf(s, "config.hcl:%d:", &n)
				return fmt.Sprintf("config.hcl:%d:", n-2)
			})
			for _, want := range test.want {
				if regexp.MustCompile(`^\d`).MatchString(want) {
					want = "config.hcl:" + want
				}
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			if n := strings.Count(out, "error: "); len(test.want) > 1 && n < len(test.want) {
				t.Errorf("%d errors, want %d:\n%s", n, len(test.want), out)
			}
		})
	}
}

func TestCommandsReachAHostWhoseDataDirectoryHasALongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep", 30)) // sockets' paths end at 104 bytes
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := faultConfig("http://127.0.0.1:1")
	h := startHostIn(t, dir, config)
	h.token(t, "joe")
	h.Kill()
	if out, err := h.Run(t, "token", "list"); err != nil || !strings.Contains(out, "joe") {
		t.Errorf("after a kill: %v\n%s", err, out)
	}
	h = startHostIn(t, dir, config)
	if out, err := h.Run(t, "token", "list"); err != nil || !strings.Contains(out, "joe") {
		t.Errorf("after another start: %v\n%s", err, out)
	}
}
