package main

import (
	"bytes"
	"path"
	"regexp"

	"github.com/entrepot-registry/entrepot/sdk"
)

// keyFile are the names that archives give to the keys by which their indexes are
// signed: Release.key, KEY.gpg, archive-keyring.asc, or gpg alone.
var keyFile = regexp.MustCompile(`^(?:[A-Za-z0-9][^/]*\.(?:key|asc|gpg|pgp|pub)|gpg|gpgkey|KEY)$`)

// isKey reports whether a file may hold keys. The signatures of package files,
// and of indexes, do not.
func isKey(file string) bool {
	base := path.Base(file)
	return keyFile.MatchString(base) && !isPackage(file) && base != "Release.gpg"
}

// planKey serves a file of keys as upstream has it now. Whoever is to believe
// them has to know them from elsewhere, here as there.
func planKey(archive, file string) sdk.Plan {
	return sdk.Document{
		Path:  "/" + escape(archive+"/"+file),
		Name:  archive + "/" + path.Base(file),
		From:  []sdk.Source{{URL: "/" + escape(file), Role: archive}},
		Query: true,
		Render: func(in *sdk.Input) error {
			body := in.Docs()[0].Body
			if !holdsKeys(body) {
				return sdk.NotFound("what upstream has there is no OpenPGP key")
			}
			kind := "application/octet-stream"
			if bytes.HasPrefix(bytes.TrimSpace(body), []byte(armoredKey)) {
				kind = "application/pgp-keys"
			}
			_, err := in.Output("", kind).Write(body)
			return err
		},
	}
}

// armoredKey is how a key in ASCII armor begins (RFC 9580, section 6.2).
const armoredKey = "-----BEGIN PGP PUBLIC KEY BLOCK-----"

// holdsKeys reports whether a file is armored keys, or begins with the packet of
// a public key (RFC 9580, section 4.2).
func holdsKeys(body []byte) bool {
	if bytes.Contains(body[:min(len(body), 4<<10)], []byte(armoredKey)) {
		return true
	}
	const publicKey = 6
	switch {
	case len(body) == 0 || body[0]&0x80 == 0:
		return false
	case body[0]&0x40 != 0:
		return body[0]&0x3f == publicKey
	}
	return body[0]&0x3c>>2 == publicKey
}
