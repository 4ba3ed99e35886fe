package access

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/store"
	"github.com/entrepot-registry/entrepot/sdk/names"
)

// Grant is what an issued token is good for.
type Grant struct {
	// Action that is allowed.
	Action Action
	// Package is its canonical name; [Everything]: what is about all of them.
	Package string
}

// limit is what an issued token is good for: grants at an address and below it.
type limit struct {
	root   string // address without a slash at its end
	grants []Grant
}

// covers reports whether a grant is for an action on a package of what is mounted
// at an address; nil: on any. The rules say which of its names are the same.
func (l *limit) covers(action Action, mounted string, name *string, rules names.Rules) bool {
	rest, ok := strings.CutPrefix(mounted, l.root)
	if !ok || rest != "" && rest[0] != '/' {
		return false
	}
	rules = rules.Exact()
	longer := strings.TrimPrefix(rest+"/", "/") // names below the address are, by what it is below
	return slices.ContainsFunc(l.grants, func(g Grant) bool {
		if g.Action != action || name == nil {
			return g.Action == action
		}
		granted, ok := strings.CutPrefix(g.Package, longer)
		return ok && rules.Fold(granted) == rules.Fold(*name)
	})
}

// An issued token's text is its prefix and, in base64, what it stands for with
// a code that only this entrepot can make: when it ends, in seconds; the id of the
// token that it was issued for and some of that one's hash, so that it ends with
// it; and its limit.
const (
	issuedPrefix = "ents_"
	proofLength  = 8
	issuedFixed  = 8 + idLength + proofLength
	codeLength   = sha256.Size
)

// issuedText is how it is written. Strict: there is one way only.
var issuedText = base64.RawURLEncoding.Strict()

const issuingKey = "issuing" // key of the codes

// issuing reads the key of the codes, or makes one.
func issuing(keep *store.DB) ([]byte, error) {
	secret, err := keep.Get(issuingKey)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	secret = make([]byte, sha256.Size)
	rand.Read(secret)
	return secret, keep.Apply(store.Change{issuingKey: secret})
}

func (k *Keeper) code(payload []byte) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write(payload)
	return h.Sum(nil)
}

// Issue makes a token that stands for another for a while, within grants at an
// address and below it. The other is given by its text, which must be that of a
// token with which somebody was identified. Grants that do not fit a credential
// are left out.
func (k *Keeper) Issue(text []byte, root string, grants []Grant, until time.Time) (string, error) {
	if !WellFormed(text) {
		return "", &Denied{LogIn: true, Reason: "a token that was issued for a while gets no other: log in with your own"}
	}
	sum := sha256.Sum256(text)
	payload := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	payload = append(payload, idOf(text)...)
	payload = append(payload, sum[:proofLength]...)
	payload = appendText(payload, root)
	for _, g := range grants {
		more := appendText(append(payload, byte(slices.Index(Actions, g.Action))), g.Package)
		if len(issuedPrefix)+issuedText.EncodedLen(len(more)+codeLength) > MaxCredential {
			break
		}
		payload = more
	}
	return issuedPrefix + issuedText.EncodeToString(append(payload, k.code(payload)...)), nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// identifyIssued is [Keeper.Identify] of a token that was issued.
func (k *Keeper) identifyIssued(text []byte, from netip.Addr, now time.Time) (*Identity, error) {
	wrong := &Denied{LogIn: true, Reason: "this is no token that this entrepot issued"}
	raw, err := issuedText.AppendDecode(nil, text[len(issuedPrefix):])
	if err != nil || len(raw) < issuedFixed+codeLength {
		return nil, wrong
	}
	payload, code := raw[:len(raw)-codeLength], raw[len(raw)-codeLength:]
	if !hmac.Equal(code, k.code(payload)) {
		return nil, wrong
	}
	if until := time.Unix(int64(binary.BigEndian.Uint64(payload)), 0); !now.Before(until) {
		return nil, &Denied{LogIn: true, Lapsed: true, Reason: "the token was issued for a while that is over: log in again"}
	}
	id, proof := payload[8:8+idLength], payload[8+idLength:issuedFixed]
	t := (*k.known.Load())[string(id)]
	if t == nil || !t.proves(proof, now) {
		return nil, &Denied{LogIn: true, Lapsed: true, Reason: "the token that it was issued for was revoked or rotated: log in again"}
	}
	if err := t.usable(from, now); err != nil {
		return nil, err
	}
	l := &limit{}
	if l.root, payload, err = cutText(payload[issuedFixed:]); err != nil {
		return nil, err
	}
	for len(payload) > 0 {
		if int(payload[0]) >= len(Actions) {
			return nil, errIssued
		}
		g := Grant{Action: Actions[payload[0]]}
		if g.Package, payload, err = cutText(payload[1:]); err != nil {
			return nil, err
		}
		l.grants = append(l.grants, g)
	}
	limited := t.identity
	limited.limit = l
	return &limited, nil
}

var errIssued = &Denied{LogIn: true, Lapsed: true, Reason: "the token was issued by another version: log in again"}

func cutText(b []byte) (s string, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || uint64(len(b)-size) < n {
		return "", nil, errIssued
	}
	return string(b[size : size+int(n)]), b[size+int(n):], nil
}

// proves reports whether a part of a hash is of the token's text.
func (t *known) proves(proof []byte, now time.Time) bool {
	return bytes.HasPrefix(t.Hash, proof) || now.Before(t.OldUntil) && bytes.HasPrefix(t.Old, proof)
}

// usable says why the token cannot be used from an address now; nil: it can.
func (t *known) usable(from netip.Addr, now time.Time) error {
	if t.expired(now) {
		return &Denied{LogIn: true, Lapsed: true, Reason: fmt.Sprintf("token %s (%s) has expired; it can be rotated", t.Name, t.ID)}
	}
	if !t.mayComeFrom(from) {
		return &Denied{LogIn: true, Lapsed: true, Reason: fmt.Sprintf("token %s (%s) may not be used from address %s", t.Name, t.ID, from)}
	}
	if second := now.Unix(); t.used.Load() != second {
		t.used.Store(second)
	}
	return nil
}
