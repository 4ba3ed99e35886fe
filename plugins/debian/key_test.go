package main

import "testing"

func TestHoldsKeys(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		"":                            false,
		"key":                         false,
		"\x99\x01\x0d\x04":            true,  // old format, two octets of length
		"\x98\x33\x04":                true,  // old format, one octet
		"\xc6\x33\x04":                true,  // new format
		"\xc2\x33\x04":                false, // a signature
		"\x89\x01\x0d\x04":            false, // a signature in the old format
		armoredKey + "\n\nxjM=":       true,
		"-----BEGIN PGP MESSAGE-----": false,
	} {
		if got := holdsKeys([]byte(body)); got != want {
			t.Errorf("%q holds keys: %t, want %t", body, got, want)
		}
	}
}
