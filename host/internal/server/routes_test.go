package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestRoutesAreBoundedByWhatTheyTake remembers routes of long requests.
func TestRoutesAreBoundedByWhatTheyTake(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	const n = 2 * maxRoutes / maxQuery
	for i := range n {
		target := fmt.Sprint("/p?", i, strings.Repeat("x", maxQuery))
		s.routes.Set(routeKey{target: target}, &route{plan: &pb.PlanResponse{}, request: cache.PlanRequest{Target: target}})
	}
	s.routes.CleanUp()
	if kept := s.routes.EstimatedSize(); kept == 0 || kept > n/4 {
		t.Errorf("%d of %d are remembered", kept, n)
	}
}
