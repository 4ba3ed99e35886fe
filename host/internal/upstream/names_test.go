package upstream

import (
	"errors"
	"net/netip"
	"testing"
)

func TestNamesThatMayStandForAddressesInsideAreBlocked(t *testing.T) {
	t.Parallel()
	g := newGuard([]string{"localhost", "named.localhost", "10.0.0.1"})
	for host, blocked := range map[string]bool{
		"a.example": false, "a.example.": false, "registry": false, "a1": false, "1.example": false, "0xyz": false, "a.b2": false,
		"localhost": false, "LOCALHOST.": false, "named.localhost": false, "other.localhost": true, "other.localhost.": true,
		"10.0.0.1": false, "10.0.0.2": true, "2130706433": true, "127.1": true, "127.1.": true, "0177.0.0.1": true, "0x7f.1": true, "0X7F000001": true,
		"1.2.3.0x": true, "99999999999999999999999": true, "": true, ".": true, "fe80::1%eth0": true,
	} {
		if err := g.checkName(host); errors.Is(err, ErrBlocked) != blocked {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestAddressesThatStandForOthersAreTakenForThem(t *testing.T) {
	t.Parallel()
	g := newGuard(nil)
	for ip, blocked := range map[string]bool{
		"64:ff9b::a00:1": true, "64:ff9b::a9fe:a9fe": true, "2002:7f00:1::": true, "2002:0a00:0001::1": true, "192.0.0.192": true,
		"198.18.0.1": true, "240.0.0.1": true, "fd00:ec2::254%eth0": true,
		"64:ff9b::808:808": false, "2002:808:808::1": false, "8.8.8.8": false, "2001:4860:4860::8888": false,
	} {
		if err := g.check("a.example", netip.MustParseAddr(ip)); errors.Is(err, ErrBlocked) != blocked {
			t.Errorf("%s: %v", ip, err)
		}
	}
}
