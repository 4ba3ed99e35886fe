package daemon

import (
	"net/url"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/config"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestUpstreamsWithTheProtocolsOwnPath are refused with what to write.
func TestUpstreamsWithTheProtocolsOwnPath(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://sea.example.com":            "",
		"https://sea.example.com/":           "",
		"https://sea.example.com/v2x/repo":   "",
		"https://sea.example.com/a/v2":       `write "https://sea.example.com/a".`,
		"https://sea.example.com/v2":         `write "https://sea.example.com".`,
		"https://sea.example.com/v2/":        `write "https://sea.example.com".`,
		"https://sea.example.com/v2/hub":     `write "https://sea.example.com", and ask for names that begin with hub/.`,
		"https://sea.example.com/a/v2/b/hub": `write "https://sea.example.com/a", and ask for names that begin with b/hub/.`,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		r := &config.Repository{Upstreams: []*config.Upstream{{Name: "sea", URL: u}}}
		said := checkUpstreams(r, []*pb.Upstream{{Role: "main", Below: "/v2"}, {Role: "*", Below: "/v2"}})
		if want == "" && len(said) > 0 || want != "" && (len(said) != 1 || !strings.HasSuffix(said[0].Detail, want)) {
			t.Errorf("%s: %v, want %q", address, said, want)
		}
		if said := checkUpstreams(r, []*pb.Upstream{{Role: "main"}, {Role: "*"}}); len(said) > 0 {
			t.Errorf("%s is refused where no path is added: %v", address, said)
		}
	}
}
