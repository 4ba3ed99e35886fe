package publish

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestOwnersAloneChangeWhatIsOwned has joe own the boat, nobody the raft, and
// each of several people change them.
func TestOwnersAloneChangeWhatIsOwned(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	order := func(kind pb.Operation_Kind, name, value string) *pb.Operation {
		return &pb.Operation{Kind: kind, Version: &pb.Version{Name: name, Version: "1"}, Value: value, File: -1}
	}
	const store, own, disown, remove = pb.Operation_KIND_STORE, pb.Operation_KIND_OWN, pb.Operation_KIND_DISOWN, pb.Operation_KIND_DELETE
	if err := s.cache.Catalog().Apply(catalog.Change{
		Repository: "r", Now: time.Now(), Blind: true,
		Operations: []*pb.Operation{order(store, "boat", ""), order(own, "boat", "joe"), order(store, "raft", "")},
	}); err != nil {
		t.Fatal(err)
	}
	denied := errors.New("may not delete")
	for name, c := range map[string]struct {
		user string
		does *pb.Operation
		want string // what the refusal says; empty: it may
	}{
		"an owner publishes":                    {"joe", order(store, "boat", ""), ""},
		"another publishes":                     {"ann", order(store, "boat", ""), "boat is changed by its owners only, who are joe"},
		"nobody in particular publishes":        {"", order(store, "boat", ""), "its owners only"},
		"an administrator publishes":            {"root", order(store, "boat", ""), ""},
		"another publishes what nobody owns":    {"ann", order(store, "raft", ""), ""},
		"an owner adds one":                     {"joe", order(own, "boat", "ann"), ""},
		"an owner adds nobody":                  {"joe", order(own, "boat", "nobody"), "no token has this name"},
		"the last owner leaves":                 {"joe", order(disown, "boat", "joe"), "nobody would own boat"},
		"an owner removes nobody":               {"joe", order(disown, "boat", "ann"), ""},
		"an administrator leaves none":          {"root", order(disown, "boat", "joe"), ""},
		"another adds itself":                   {"ann", order(own, "boat", "ann"), "its owners only"},
		"another takes what nobody owns":        {"ann", order(own, "raft", "ann"), "an administrator says who they are"},
		"an administrator gives what none owns": {"root", order(own, "raft", "ann"), ""},
		"who is first owns it":                  {"ann", order(own, "ferry", "ann"), ""},
		"an owner who may not delete":           {"joe", order(remove, "boat", ""), "may not delete"},
		"an administrator who may delete":       {"root", order(remove, "boat", ""), ""},
	} {
		err := s.checkOwners(Request{Repository: s.repo, User: c.user, Rights: Rights{
			Delete: func([]string) error {
				if c.user == "root" {
					return nil
				}
				return denied
			},
			Administer: func(string) bool { return c.user == "root" },
			Exists:     func(user string) bool { return user == "joe" || user == "ann" },
		}}, []*pb.Operation{c.does})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if failure := (*cache.Failure)(nil); err != nil && !errors.Is(err, denied) && !errors.As(err, &failure) {
			t.Errorf("%s: %v is no failure for the client", name, err)
		}
	}
}
