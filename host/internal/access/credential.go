package access

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"
)

// MaxCredential bounds what is read of a credential, in bytes.
const MaxCredential = 1024

// Credential takes what may be a token out of request headers: Authorization
// as Basic (the password, or the user name), as Bearer or as it stands, or a
// header of a client's own for keys. Given is whether there was any credential,
// be it one or not. The text lies in buf, of twice [MaxCredential] bytes.
//
// Addresses are never looked at, because logs have them.
func Credential(h http.Header, buf []byte) (text []byte, given bool) {
	key := ownHeader(h)
	// A client that reads with a log-in and publishes with a key sends both; a
	// key that cannot be a token is a word that fills a field.
	if text = put(buf, key); WellFormed(text) {
		return text, true
	}
	if v := h["Authorization"]; len(v) > 0 {
		if text, given = authorization(v[0], buf); given {
			return text, true
		}
	}
	return put(buf, key), key != ""
}

// put copies a credential, unless it is too long to be one.
func put(buf []byte, s string) []byte {
	if len(s) > MaxCredential {
		return nil
	}
	return append(buf[:0], s...)
}

// ownHeader is what a header like X-Api-Key has.
func ownHeader(h http.Header) string {
	for name, values := range h {
		if len(name) > 8 && strings.HasPrefix(name, "X-") && len(values) > 0 &&
			(strings.HasSuffix(name, "-Apikey") || strings.HasSuffix(name, "-Api-Key")) {
			return values[0]
		}
	}
	return ""
}

func authorization(value string, buf []byte) (text []byte, given bool) {
	scheme, rest, several := strings.Cut(value, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Basic"):
		return basic(rest, buf)
	case strings.EqualFold(scheme, "Bearer"):
		return put(buf, rest), rest != ""
	case several:
		return nil, true // a scheme that we do not know
	}
	return put(buf, scheme), scheme != ""
}

// basic takes the token out of Basic credentials (RFC 7617). The user name
// may be any; with some clients it is the token.
func basic(rest string, buf []byte) (text []byte, given bool) {
	encoded := put(buf[MaxCredential:], rest)
	decoded, err := base64.StdEncoding.AppendDecode(buf[:0], encoded)
	if err != nil {
		return nil, true
	}
	user, password, _ := bytes.Cut(decoded, []byte{':'})
	if !WellFormed(password) && WellFormed(user) {
		return user, true
	}
	return password, len(decoded) > 1
}
