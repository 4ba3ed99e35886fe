package access

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

func TestCredentialIsFoundInEveryForm(t *testing.T) {
	t.Parallel()
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	token, other := newText(""), newText("")
	for name, test := range map[string]struct {
		headers []string
		want    string
		given   bool
	}{
		"none":                                {nil, "", false},
		"basic, any user":                     {[]string{"Authorization", basic("joe:" + token)}, token, true},
		"basic, no user":                      {[]string{"Authorization", basic(":" + token)}, token, true},
		"basic, as the user":                  {[]string{"Authorization", basic(token + ":")}, token, true},
		"basic, as the user without a colon":  {[]string{"Authorization", basic(token)}, token, true},
		"basic, as the user with a word":      {[]string{"Authorization", basic(token + ":x-oauth-basic")}, token, true},
		"basic, both":                         {[]string{"Authorization", basic(other + ":" + token)}, token, true},
		"basic, a password with colons":       {[]string{"Authorization", basic("joe:a:b")}, "a:b", true},
		"basic, lower case":                   {[]string{"Authorization", "basic " + basic("joe:" + token)[6:]}, token, true},
		"basic, wrong password":               {[]string{"Authorization", basic("joe:secret")}, "secret", true},
		"basic, a user only":                  {[]string{"Authorization", basic("joe:")}, "", true},
		"basic, nothing":                      {[]string{"Authorization", basic(":")}, "", false},
		"basic, no base64":                    {[]string{"Authorization", "Basic !"}, "", true},
		"basic, a long one":                   {[]string{"Authorization", basic(strings.Repeat("x", 2000) + ":" + token)}, "", false},
		"bearer":                              {[]string{"Authorization", "Bearer " + token}, token, true},
		"bearer, upper case":                  {[]string{"Authorization", "BEARER  " + token}, token, true},
		"bearer, empty":                       {[]string{"Authorization", "Bearer"}, "", false},
		"bearer, a long one":                  {[]string{"Authorization", "Bearer " + strings.Repeat("x", 5000)}, "", true},
		"as it stands":                        {[]string{"Authorization", token}, token, true},
		"unknown scheme":                      {[]string{"Authorization", "Negotiate " + token}, "", true},
		"a header for keys":                   {[]string{"X-Acme-ApiKey", token}, token, true},
		"a header for keys, with a dash":      {[]string{"X-Api-Key", token}, token, true},
		"a wrong key":                         {[]string{"X-Acme-ApiKey", "k"}, "k", true},
		"a key besides a log-in":              {[]string{"X-Acme-ApiKey", token, "Authorization", basic("joe:" + other)}, token, true},
		"a key that is none besides a log-in": {[]string{"X-Acme-ApiKey", "any", "Authorization", basic("joe:" + token)}, token, true},
		"another header":                      {[]string{"X-Token", token, "Cookie", "token=" + token}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			for i := 0; i < len(test.headers); i += 2 {
				h.Set(test.headers[i], test.headers[i+1])
			}
			text, given := Credential(h, make([]byte, 2*MaxCredential))
			if string(text) != test.want || given != test.given {
				t.Errorf("got %q, %t; want %q, %t", text, given, test.want, test.given)
			}
		})
	}
}
