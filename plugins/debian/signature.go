package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/entrepot-registry/entrepot/sdk"
)

// keyring is the keys of one archive; nil: none are configured, and signatures
// are left to clients.
type keyring openpgp.EntityList

// keyrings are by archive.
type keyrings map[string]keyring

// readKeys reads the option.
func readKeys(armored map[string]string) (keyrings, error) {
	all := keyrings{}
	for archive, text := range armored {
		keys, err := openpgp.ReadArmoredKeyRing(strings.NewReader(text))
		if err == nil && len(keys) == 0 {
			err = errors.New("there is no key")
		}
		if err != nil {
			return nil, sdk.OptionError{Option: "keys", Message: fmt.Sprintf("those of %s cannot be read: %s; write them as \"gpg --armor --export\" does", archive, err)}
		}
		all[archive] = keyring(keys)
	}
	return all, nil
}

const (
	signedBegin = "-----BEGIN PGP SIGNED MESSAGE-----"
	signedEnd   = "-----END PGP SIGNATURE-----"
)

// clearText is the text of a message that is signed in itself (RFC 9580,
// section 7), nothing of which stands outside of the signature. With keys, one
// of them must have signed it.
func clearText(message []byte, keys keyring) ([]byte, error) {
	message = bytes.TrimSpace(message)
	if !bytes.HasPrefix(message, []byte(signedBegin)) || !bytes.HasSuffix(message, []byte(signedEnd)) {
		return nil, errors.New("it is no signed message, or has been cut off")
	}
	block, rest := clearsign.Decode(message)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("it is not one signed message")
	}
	if keys != nil {
		signature, err := io.ReadAll(block.ArmoredSignature.Body)
		if err != nil {
			return nil, err
		}
		if err := keys.check(block.Bytes, signature); err != nil {
			return nil, err
		}
	}
	return block.Plaintext, nil
}

// verify checks an armored signature of a text.
func (k keyring) verify(text, armored []byte) error {
	block, err := armor.Decode(bytes.NewReader(armored))
	if err != nil {
		return fmt.Errorf("its signature cannot be read: %w", err)
	}
	signature, err := io.ReadAll(block.Body)
	if err != nil {
		return fmt.Errorf("its signature cannot be read: %w", err)
	}
	return k.check(text, signature)
}

// check verifies a signature at the instant that it says it was made: there is
// no clock here, and what is too old is told by the suite's Valid-Until.
func (k keyring) check(text, signature []byte) error {
	at := signedAt(signature)
	config := &packet.Config{Time: func() time.Time { return at }}
	_, err := openpgp.CheckDetachedSignature(openpgp.EntityList(k), bytes.NewReader(text), bytes.NewReader(signature), config)
	if err != nil {
		return fmt.Errorf("it is not signed by a key that is configured for its archive: %w", err)
	}
	return nil
}

// signedAt is when the last of the signatures was made.
func signedAt(signatures []byte) time.Time {
	var last time.Time
	for packets := packet.NewReader(bytes.NewReader(signatures)); ; {
		p, err := packets.Next()
		if err != nil {
			return last
		}
		if s, ok := p.(*packet.Signature); ok && s.CreationTime.After(last) {
			last = s.CreationTime
		}
	}
}
