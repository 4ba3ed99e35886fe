package main

import (
	"slices"
	"testing"

	"github.com/entrepot-registry/entrepot/sdk"
)

func TestGrants(t *testing.T) {
	t.Parallel()
	x := registry{}
	for query, want := range map[string][]sdk.Grant{
		"":                                  nil,
		"scope=":                            nil,
		"scope=repository":                  nil,
		"scope=repository:app":              nil,
		"scope=repository:App:pull":         nil,
		"scope=other:app:pull":              nil,
		"scope=repository:acme/app:pull":    {{Action: "read", Name: "acme/app", Text: "repository:acme/app:pull"}},
		"scope=repository:library/app:pull": {{Action: "read", Name: "app", Text: "repository:library/app:pull"}},
		"scope=repository:sea.example.com:5000/app:pull": {
			{Action: "read", Name: "sea.example.com:5000/app", Text: "repository:sea.example.com:5000/app:pull"},
		},
		"scope=repository:app:push,pull,fly": {
			{Action: "publish", Name: "app", Text: "repository:app:push"}, {Action: "read", Name: "app", Text: "repository:app:pull"},
		},
		"scope=repository:app:delete+repository:b:pull&scope=repository(plugin):c:pull": {
			{Action: "delete", Name: "app", Text: "repository:app:delete"}, {Action: "read", Name: "b", Text: "repository:b:pull"},
			{Action: "read", Name: "c", Text: "repository:c:pull"},
		},
		"scope=registry:catalog:*": {
			{Action: "read", Name: "*", Text: "registry:catalog:*"}, {Action: "publish", Name: "*", Text: "registry:catalog:*"},
			{Action: "delete", Name: "*", Text: "registry:catalog:*"},
		},
	} {
		if got := x.grants(sdk.Request{Query: query}); !slices.Equal(got, want) {
			t.Errorf("%s grants %v, want %v", query, got, want)
		}
	}
}
