package access

import (
	"net/netip"
	"testing"
	"time"
)

func TestFailuresAreBoundedByAddress(t *testing.T) {
	t.Parallel()
	l := NewLimiter()
	now := time.Now()
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i := range maxFailures {
		if again := l.Failed(here, now.Add(time.Duration(i)*time.Second)); !again.IsZero() {
			t.Fatalf("failure %d is too many", i+1)
		}
	}
	if again := l.Failed(here, now.Add(30*time.Second)); !again.Equal(now.Add(time.Minute)) {
		t.Errorf("it may fail again at %s, want a minute after %s", again, now)
	}
	if again := l.Failed(there, now.Add(30*time.Second)); !again.IsZero() {
		t.Error("another address is refused")
	}
	if again := l.Failed(here, now.Add(time.Minute)); !again.IsZero() {
		t.Error("it is refused after a minute")
	}
}

func TestAddressesOfOneNetworkShareTheirFailures(t *testing.T) {
	t.Parallel()
	l := NewLimiter()
	now := time.Now()
	addr := netip.MustParseAddr("2001:db8:0:1::1")
	for range maxFailures {
		l.Failed(addr, now)
		addr = addr.Next()
	}
	if l.Failed(addr, now).IsZero() {
		t.Error("an address of the same network may fail")
	}
	if !l.Failed(netip.MustParseAddr("2001:db8:0:2::1"), now).IsZero() {
		t.Error("an address of another network is refused")
	}
	for range maxFailures {
		l.Failed(netip.Addr{}, now)
	}
	if l.Failed(netip.Addr{}, now).IsZero() {
		t.Error("an unknown address may fail forever")
	}
}
