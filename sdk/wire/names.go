package wire

import (
	"github.com/entrepot-registry/entrepot/sdk/names"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// NameRules are rules of names on the wire.
func NameRules(r names.Rules) *pb.NameRules {
	return &pb.NameRules{IgnoreCase: r.IgnoreCase, CaseApart: r.CaseApart, Alike: r.Alike, Runs: r.Runs, Prefix: r.Prefix, Home: r.Home, Loose: r.Loose}
}

// NamesOf takes rules of names off the wire; nil: each name is only itself.
func NamesOf(r *pb.NameRules) names.Rules {
	return names.Rules{IgnoreCase: r.GetIgnoreCase(), CaseApart: r.GetCaseApart(), Alike: r.GetAlike(), Runs: r.GetRuns(), Prefix: r.GetPrefix(), Home: r.GetHome(), Loose: r.GetLoose()}
}
