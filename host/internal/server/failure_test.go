package server

import (
	"testing"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func TestFailuresFillTemplates(t *testing.T) {
	held := &cache.Failure{
		Kind: pb.ErrorKind_ERROR_KIND_HELD, Name: "a<b", Version: "1.0.0", Message: "{name} is \"held\"",
		Until: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	for _, test := range []struct{ name, typ, template, want string }{
		{"JSON", "application/json", `{"error":{message},"of":{"name":{name},"version":{version}}}`, `{"error":"{name} is \"held\"","of":{"name":"a\u003cb","version":"1.0.0"}}` + "\n"},
		{"HTML", "text/html", "<p>{name}: {message}</p>\n", "<p>a&lt;b: {name} is &#34;held&#34;</p>\n"},
		{"plain", "text/plain", "{kind} until {until}", "held until 2026-01-02T03:04:05Z\n"},
		{"an own code", "text/plain", "{code}", "DENIED\n"},
		{"other braces stay", "text/plain", "{ {unknown} {message {version} }{", "{ {unknown} {message 1.0.0 }{\n"},
		{"nothing to fill", "text/plain", "no", "no\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			format := &pb.ErrorFormat{ContentType: test.typ, Body: test.template, Codes: map[string]string{"held": "DENIED"}}
			if got := fill(format, held); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
