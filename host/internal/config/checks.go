package config

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/git-pkgs/purl"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"golang.org/x/net/http/httpguts"
)

var hostName = regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?)*\.?$`)

// isHost reports whether s is a host name or an IP address without brackets.
func isHost(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil || len(s) <= 254 && hostName.MatchString(s)
}

// listen reads an address to listen on; port 0 stands for any that is free.
func (r *reader) listen(a *hcl.Attribute, otherwise string) string {
	if a == nil {
		return otherwise
	}
	v, diags := a.Expr.Value(evaluation())
	if diags.HasErrors() {
		r.diags = append(r.diags, diags...)
		return otherwise
	}
	const write = `write host and port, as "127.0.0.1:8080", or ":8080" for all of this machine's addresses`
	if v.IsNull() || v.Type() != cty.String {
		r.fail(a.Expr.Range(), "Bad listen address", "Listen is no quoted string: "+write+".")
		return otherwise
	}
	s := v.AsString()
	host, port, err := net.SplitHostPort(s)
	if err != nil || host != "" && !isHost(host) {
		r.fail(a.Expr.Range(), "Bad listen address", fmt.Sprintf("%q: %s.", s, write))
		return otherwise
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		r.fail(a.Expr.Range(), "Bad listen address", fmt.Sprintf("%q: write a port from 1 to 65535 after the colon, or 0 for any that is free.", s))
		return otherwise
	}
	return s
}

// folder reads the name of a directory.
func (r *reader) folder(a *hcl.Attribute, otherwise string) string {
	if a == nil {
		return otherwise
	}
	s, ok := r.text(a)
	if ok && s == "" {
		r.fail(a.Expr.Range(), "Empty directory", fmt.Sprintf("%s is empty: write a directory, as %q, or leave it out.", a.Name, otherwise))
	}
	if s == "" {
		return otherwise
	}
	return s
}

// logFile reads the name of a file that will be written to.
func (r *reader) logFile(a *hcl.Attribute, otherwise string) string {
	if a == nil {
		return otherwise
	}
	s, ok := r.text(a)
	if !ok {
		return otherwise
	}
	if s == "" || s == "-" {
		return s
	}
	if info, err := os.Stat(filepath.Dir(s)); err != nil || !info.IsDir() {
		r.fail(a.Expr.Range(), "No directory for the log", fmt.Sprintf(`There is no directory %s: make it, or write "-" for standard output.`, filepath.Dir(s)))
	} else if info, err := os.Stat(s); err == nil && info.IsDir() {
		r.fail(a.Expr.Range(), "Log is a directory", fmt.Sprintf("%s is a directory: write a file in it, as %q.", s, filepath.Join(s, "access.log")))
	}
	return s
}

// hosts reads the host names that are answered, with a port or without, as a
// Host header has them.
func (r *reader) hosts(a *hcl.Attribute) []string {
	var out []string
	r.strings(a, func(s string, at hcl.Range) {
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			host, port = s, ""
			if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
				host = s[1 : len(s)-1]
			}
		} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			host = ""
		}
		if !isHost(host) {
			r.fail(at, "Bad host", fmt.Sprintf(`%q: write a host name, as "packages.example.com" or "packages.example.com:8080".`, s))
			return
		}
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		if port != "" {
			host += ":" + port
		}
		out = append(out, host)
	})
	return out
}

// allowHosts reads the names of hosts that may be asked.
func (r *reader) allowHosts(a *hcl.Attribute) []string {
	var out []string
	r.strings(a, func(s string, at hcl.Range) {
		if !isHost(s) {
			r.fail(at, "Bad host", fmt.Sprintf(`%q: write a host name without scheme, port or path, as "files.example.com".`, s))
			return
		}
		out = append(out, s)
	})
	return out
}

// ecosystem checks that a cool-down rule is for something: a plugin in use, or
// a type of package URLs. A misspelt one would be a rule for nothing.
func (r *reader) ecosystem(name string, at hcl.Range, plugins []string) {
	if slices.Contains(plugins, name) || purl.IsKnownType(name) {
		return
	}
	if typ := purl.EcosystemToPURLType(name); typ != name && purl.IsKnownType(typ) {
		r.fail(at, "Unknown ecosystem", fmt.Sprintf("%q is not in use here as a plugin, and no type of package URLs: write %q.", name, typ))
		return
	}
	known := "as in pkg:TYPE/name"
	if len(plugins) > 0 {
		known = "of which the repositories here use " + strings.Join(plugins, ", ")
	}
	r.fail(at, "Unknown ecosystem", fmt.Sprintf("%q is no ecosystem: write a plugin's name or a type of package URLs, %s.", name, known))
}

// headerName reads the name of a request header.
func (r *reader) headerName(a *hcl.Attribute) string {
	if a == nil {
		return ""
	}
	s, ok := r.text(a)
	if ok && !httpguts.ValidHeaderFieldName(s) {
		r.fail(a.Expr.Range(), "Bad header name", fmt.Sprintf(`%q: write letters, digits and dashes, as "X-Api-Key".`, s))
	}
	return s
}

// headerValue reads a secret that is sent in a header.
func (r *reader) headerValue(a *hcl.Attribute) string {
	s := r.secret(a)
	if !httpguts.ValidHeaderFieldValue(s) {
		r.fail(a.Expr.Range(), "Bad header value", fmt.Sprintf("%s holds a line break or another control character: write one line of text.", a.Name))
	}
	return s
}

// certificates reads the name of a file of PEM certificates.
func (r *reader) certificates(a *hcl.Attribute) string {
	if a == nil {
		return ""
	}
	s, ok := r.text(a)
	if !ok {
		return ""
	}
	pem, err := os.ReadFile(s)
	if err != nil {
		r.fail(a.Expr.Range(), "File cannot be read", err.Error()+": write the name of a file of PEM certificates.")
		return ""
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		r.fail(a.Expr.Range(), "No certificate", fmt.Sprintf("%s holds no PEM certificate: write a file with -----BEGIN CERTIFICATE----- in it.", s))
		return ""
	}
	return s
}
