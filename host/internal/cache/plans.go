package cache

import (
	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// PlanKey is the prefix of kept plans.
const PlanKey = "p/"

func planName(repo *Repository, request string) string {
	return key(PlanKey+repo.Name, repo.generation(), request)
}

// KnownPlan returns a plan that was kept; nil: none. Request is all that a plan
// depends on besides the repository's plugin and options.
func (c *Cache) KnownPlan(repo *Repository, request string) *pb.PlanResponse {
	value, err := c.dir.Cache.Get(planName(repo, request))
	if err != nil {
		return nil
	}
	plan := &pb.PlanResponse{}
	if proto.Unmarshal(value, plan) != nil {
		return nil
	}
	return plan
}

// KeepPlan keeps the plan of a request that could be answered, so that it is
// answered also while the plugin is down. Others are without end.
func (c *Cache) KeepPlan(repo *Repository, request string, plan *pb.PlanResponse) {
	value, err := proto.Marshal(plan)
	if err == nil {
		err = c.dir.Cache.Apply(store.Change{planName(repo, request): value})
	}
	if err != nil {
		c.log.Warn("plan cannot be kept", "repository", repo.Name, "error", err)
	}
}
