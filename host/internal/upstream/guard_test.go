package upstream

import (
	"errors"
	"net/netip"
	"net/url"
	"testing"
)

func TestGuardChecksAddresses(t *testing.T) {
	t.Parallel()
	g := newGuard([]string{"Registry.Internal", "10.0.0.5"})
	for _, test := range []struct {
		host, ip string
		allowed  bool
	}{
		{"example.org", "93.184.216.34", true},
		{"example.org", "2606:2800:220:1::1", true},
		{"example.org", "10.1.2.3", false},
		{"example.org", "172.16.0.1", false},
		{"example.org", "192.168.0.1", false},
		{"example.org", "127.0.0.1", false},
		{"example.org", "127.255.0.1", false},
		{"example.org", "::1", false},
		{"example.org", "fd12::1", false},
		{"example.org", "100.64.0.1", false},
		{"example.org", "0.0.0.0", false},
		{"example.org", "::", false},
		{"example.org", "169.254.169.254", false},
		{"example.org", "169.254.1.1", false},
		{"example.org", "fe80::1", false},
		{"example.org", "224.0.0.1", false},
		{"example.org", "100.100.100.200", false},
		{"example.org", "168.63.129.16", false},
		{"example.org", "::ffff:127.0.0.1", false},
		{"example.org", "::ffff:169.254.169.254", false},
		{"registry.internal", "10.1.2.3", true},
		{"REGISTRY.internal", "127.0.0.1", true},
		{"10.0.0.5", "10.0.0.5", true},
		{"10.0.0.6", "10.0.0.6", false},
		{"registry.internal", "169.254.169.254", false},
		{"registry.internal", "::ffff:169.254.169.254", false},
		{"registry.internal", "fd00:ec2::254", false},
		{"registry.internal", "0.0.0.0", false},
		{"registry.internal.example.org", "10.1.2.3", false},
	} {
		err := g.check(test.host, netip.MustParseAddr(test.ip))
		if (err == nil) != test.allowed || err != nil && !errors.Is(err, ErrBlocked) {
			t.Errorf("%s at %s: %v, want allowed %t", test.host, test.ip, err, test.allowed)
		}
	}
}

func address(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestBelow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		base, address string
		want          bool
	}{
		{"https://a.example", "https://a.example/x", true},
		{"https://a.example", "https://A.EXAMPLE/x", true},
		{"https://a.example/", "https://a.example", true},
		{"https://a.example/npm", "https://a.example/npm", true},
		{"https://a.example/npm/", "https://a.example/npm/x", true},
		{"https://a.example/npm", "https://a.example/npmx", false},
		{"https://a.example/npm", "https://a.example/", false},
		{"https://a.example/npm", "https://a.example/npm/../other", false},
		{"https://a.example/npm", "https://a.example/npm/%2e%2e/other", false},
		{"https://a.example", "http://a.example/x", false},
		{"https://a.example", "https://a.example:8443/x", false},
		{"http://a.example:80", "http://a.example:8080/x", false},
		{"https://a.example", "https://a.example.evil/x", false},
		{"https://a.example", "https://b.a.example/x", false},
		{"https://a.example", "https://a.example@evil.example/x", false},
	} {
		if got := below(address(t, test.base), address(t, test.address)); got != test.want {
			t.Errorf("%s below %s: %t", test.address, test.base, got)
		}
	}
}

func TestJoinKeepsEscapesAndQuery(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ base, source, want string }{
		{"https://a.example", "lodash", "https://a.example/lodash"},
		{"https://a.example/", "/lodash", "https://a.example/lodash"},
		{"https://a.example/npm", "@a%2fb", "https://a.example/npm/@a%2fb"},
		{"https://a.example/npm/", "@a%2Fb", "https://a.example/npm/@a%2Fb"},
		{"https://a.example/x%2fy", "z", "https://a.example/x%2fy/z"},
		{"https://a.example", "-/v1/search?text=a%20b&from=0", "https://a.example/-/v1/search?text=a%20b&from=0"},
		{"https://a.example", "a%20b", "https://a.example/a%20b"},
		{"https://a.example", "//evil.example/x", "https://a.example/evil.example/x"},
		{"https://a.example", "", "https://a.example/"},
	} {
		u := join(address(t, test.base), test.source)
		if got := u.String(); got != test.want {
			t.Errorf("%q below %s is %s, want %s", test.source, test.base, got, test.want)
		}
	}
}
