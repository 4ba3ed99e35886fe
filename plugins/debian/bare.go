package main

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// contents is the output of a flat archive without a Release that says what its
// state is. No client asks for it.
const contents = "contents"

// renderBare names the indexes of a flat archive that has no Release, as apt
// takes one that is said to be trusted. What they are now is its state.
func (s suite) renderBare(in *sdk.Input) error {
	var r release
	whole := true
	for _, name := range []string{"Packages", "Sources"} {
		for _, ending := range []string{"", ".gz", ".bz2", ".xz", ".lzma", ".zst"} {
			doc, ok := in.Doc(sdk.Source{URL: s.upstream(name + ending), Role: s.archive, Optional: true})
			switch {
			case !ok:
				whole = false
			case doc.OK():
				long := sha512.Sum512(doc.Body)
				r.files = append(r.files, listed{
					path: name + ending, size: int64(len(doc.Body)), sha256: sha256Hex(doc.Body), sha512: hex.EncodeToString(long[:]),
				})
			case !missing(doc):
				return errors.New("upstream's " + name + ending + " cannot be had")
			}
		}
	}
	switch {
	case !whole:
		return nil
	case len(r.files) == 0:
		return sdk.NotFound("upstream has no " + strings.TrimPrefix(s.root(), "/"))
	}
	var text strings.Builder
	for _, f := range r.files {
		fmt.Fprintf(&text, "%s %d %s\n", f.sha256, f.size, f.path)
	}
	if err := write(in, contents, []byte(text.String())); err != nil {
		return err
	}
	in.State(r.version([]byte(text.String())), r.date, r.validUntil)
	s.tell(in, r)
	return nil
}
