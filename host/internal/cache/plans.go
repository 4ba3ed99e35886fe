package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// PlanKey is the prefix of kept plans.
const PlanKey = "p/"

const (
	// planPlaces is how many plans are kept, in each repository, of what may be
	// asked without end: one and the same address with ever new queries, and
	// headerPlaces of one address with ever new headers. A new one takes the place of
	// an older one.
	planPlaces   = 1 << 16
	headerPlaces = 1 << 4
	// longestKept is how long a request is whose plan is kept, in bytes.
	longestKept = 2 << 10
)

// PlanRequest is all that a plan depends on besides the repository's plugin and
// options, and the names that we are asked by.
type PlanRequest struct {
	// Method, Target below the mount and Base, the external address.
	Method, Target, Base string
	// Vary is the part of the headers that plans may depend on.
	Vary string
}

// Size is about how many bytes it takes.
func (r PlanRequest) Size() int { return len(r.Method) + len(r.Target) + len(r.Base) + len(r.Vary) }

func (r PlanRequest) key() string { return key(r.Method, r.Target, r.Vary, r.Base) }

// planName is where the plan of a request is kept, and what marks it as that one.
func planName(repo *Repository, r PlanRequest) (name string, mark [sha256.Size]byte) {
	mark = sha256.Sum256([]byte(key(repo.generation(), strings.Join(repo.Hosts, " "), strings.Join(repo.Upstreams.Roles(), " "), r.key())))
	if strings.Contains(r.Target, "?") {
		h := shortHash(r.key())
		return fmt.Sprintf("%s?%04x", key(PlanKey+repo.Name, ""), binary.BigEndian.Uint32(h[:])%planPlaces), mark
	}
	if r.Vary != "" {
		h := shortHash(r.Vary)
		r.Vary = fmt.Sprintf("?%x", binary.BigEndian.Uint32(h[:])%headerPlaces)
	}
	return key(PlanKey+repo.Name, r.key()), mark
}

// KnownPlan returns a plan that was kept; nil: none.
func (c *Cache) KnownPlan(repo *Repository, r PlanRequest) *pb.PlanResponse {
	name, mark := planName(repo, r)
	value, err := c.dir.Cache.Get(name)
	if err != nil || len(value) < len(mark) || [sha256.Size]byte(value[:len(mark)]) != mark {
		return nil
	}
	plan := &pb.PlanResponse{}
	if proto.Unmarshal(value[len(mark):], plan) != nil {
		return nil
	}
	return plan
}

// KeepPlan keeps the plan of a request that could be answered, so that it is
// answered also while the plugin is down. Others are without end, and so are
// long ones.
func (c *Cache) KeepPlan(repo *Repository, r PlanRequest, plan *pb.PlanResponse) {
	if r.Size() > longestKept {
		return
	}
	name, mark := planName(repo, r)
	value, err := proto.MarshalOptions{}.MarshalAppend(mark[:], plan)
	if err == nil {
		err = c.dir.Cache.Apply(store.Change{name: value})
	}
	if err != nil {
		c.log.Warn("plan cannot be kept", "repository", repo.Name, "error", err)
	}
}
