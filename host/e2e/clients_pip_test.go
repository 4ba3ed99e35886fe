package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// pipRequirements pins what pip has just installed by address and digest.
func pipRequirements(t *testing.T, p *project) string {
	t.Helper()
	var report struct {
		Install []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Download struct {
				URL     string `json:"url"`
				Archive struct {
					Hashes struct {
						SHA256 string `json:"sha256"`
					} `json:"hashes"`
				} `json:"archive_info"`
			} `json:"download_info"`
		} `json:"install"`
	}
	if err := json.Unmarshal([]byte(p.read(t, "report.json")), &report); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, i := range report.Install {
		fmt.Fprintf(&b, "%s @ %s --hash=sha256:%s\n", i.Metadata.Name, i.Download.URL, i.Download.Archive.Hashes.SHA256)
	}
	return b.String()
}
