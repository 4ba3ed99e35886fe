package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/entrepot-registry/entrepot/sdk"
)

// parseProxies reads a GOPROXY list (go.dev/ref/mod, "GOPROXY protocol"). What
// stands behind "direct" or "off" is never reached, as in the go command; a
// version control system is not asked here. A list without an address leaves
// the upstream to be configured.
func parseProxies(list string) ([]sdk.Upstream, error) {
	var proxies []sdk.Upstream
	seen := map[string]bool{}
	for list != "" {
		entry, rest, failover := list, "", false
		if i := strings.IndexAny(list, ",|"); i >= 0 {
			entry, rest, failover = list[:i], list[i+1:], list[i] == '|'
		}
		list, entry = rest, strings.TrimSpace(entry)
		if entry == "direct" || entry == "off" {
			break
		}
		if entry == "" {
			continue
		}
		address, err := parseAddress(entry)
		if err != nil {
			return nil, err
		}
		if !seen[address] {
			seen[address] = true
			proxies = append(proxies, sdk.Upstream{Role: roleMain, URL: address, Failover: failover})
		}
	}
	if len(proxies) == 0 {
		return []sdk.Upstream{{Role: roleMain}}, nil
	}
	return proxies, nil
}

// parseAddress checks an upstream's address; without a scheme it is https.
func parseAddress(text string) (string, error) {
	if !strings.Contains(text, ":/") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", errors.New("write addresses as https://goproxy.example.com")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("%s is not an address that can be asked here: write one that begins with https:// or http://", u.Redacted())
	case u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%s is no address of a server: write it as https://goproxy.example.com", u.Redacted())
	}
	return u.String(), nil
}

// parseSumDB reads GOSUMDB: the name of a checksum database, or its key, which
// has the name, and perhaps its address, which else follows from the name. A
// database without a name: there is none.
func parseSumDB(text string) (db database, address string, err error) {
	fields := strings.Fields(text)
	if len(fields) == 0 || fields[0] == "off" {
		return database{}, "", nil
	}
	if len(fields) > 2 {
		return database{}, "", errors.New("write the name or key of one checksum database, and at most its address after it")
	}
	name := fields[0]
	if strings.Contains(name, "+") {
		key, err := note.NewVerifier(name)
		if err != nil {
			return database{}, "", errors.New("the key cannot be read: write it as the database gives it, name+hash+key")
		}
		name = key.Name()
	}
	// As the go command has it, a name is a host, perhaps with a path.
	if u, err := url.Parse("https://" + name); err != nil || u.Host == "" || strings.HasSuffix(name, "/") || strings.Contains(name, "//") || u.String() != "https://"+u.Host+u.Path {
		return database{}, "", fmt.Errorf("%q is no name of a checksum database: write a host, as sumdb.example.com", name)
	}
	if len(fields) == 1 {
		return database{name: name, proxied: true}, "https://" + name, nil
	}
	address, err = parseAddress(fields[1])
	return database{name: name}, address, err
}
