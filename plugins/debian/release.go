package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// release is what a suite's Release file says (Debian repository format,
// "Release" files).
type release struct {
	// date is when it was made; zero: it does not say.
	date time.Time
	// validUntil is when clients stop believing it; zero: never.
	validUntil time.Time
	// byHash is whether upstream has indexes by their content.
	byHash bool
	// files are what it lists, by path below the suite.
	files []listed
}

// listed is a file that a Release lists.
type listed struct {
	path string
	size int64
	// sha256 in lower-case hexadecimal.
	sha256 string
	// sha512 likewise; empty: none is given.
	sha512 string
}

// parseRelease reads a Release file. One without SHA256 is an error: what only
// weaker digests vouch for is not passed on, and apt would not take it either.
func parseRelease(text []byte) (release, error) {
	var all []stanza
	fields := []string{"date", "valid-until", "acquire-by-hash", "sha256", "sha512"}
	err := readStanzas(bytes.NewReader(text), fields, true, func(s stanza) error {
		all = append(all, copyOf(s))
		return nil
	})
	switch {
	case err != nil:
		return release{}, fmt.Errorf("the Release file: %w", err)
	case len(all) != 1:
		return release{}, fmt.Errorf("the Release file has %d paragraphs, not one", len(all))
	}
	return all[0].release()
}

func copyOf(s stanza) stanza {
	out := stanza{}
	for k, v := range s {
		out[k] = v
	}
	return out
}

func (s stanza) release() (release, error) {
	r := release{byHash: strings.EqualFold(s["acquire-by-hash"], "yes")}
	var err error
	if r.date, err = instant(s["date"]); err != nil {
		return r, fmt.Errorf("the Release file's Date: %w", err)
	}
	if r.validUntil, err = instant(s["valid-until"]); err != nil {
		return r, fmt.Errorf("the Release file's Valid-Until: %w", err)
	}
	if _, ok := s["sha256"]; !ok {
		return r, errors.New("the Release file gives no SHA256 of what it lists, and weaker digests do not count")
	}
	if r.files, err = parseListed(s["sha256"], 64); err != nil {
		return r, fmt.Errorf("the Release file's SHA256: %w", err)
	}
	longer, err := parseListed(s["sha512"], 128)
	if err != nil {
		return r, fmt.Errorf("the Release file's SHA512: %w", err)
	}
	sums := map[string]string{}
	for _, f := range longer {
		sums[f.path] = f.sha256
	}
	for i := range r.files {
		r.files[i].sha512 = sums[r.files[i].path]
	}
	return r, nil
}

// instant reads a date (RFC 1123, in UTC however it is called); empty: zero.
func instant(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	zoneless := text
	for _, zone := range []string{" UTC", " GMT", " Z", " +0000"} {
		zoneless = strings.TrimSuffix(zoneless, zone)
	}
	t, err := time.Parse("Mon, 2 Jan 2006 15:04:05", zoneless)
	if err != nil || zoneless == text {
		return time.Time{}, fmt.Errorf("%q is no date in UTC", text)
	}
	return t, nil
}

// parseListed reads lines of digest, size and path. A path that stands twice
// with different content is an error; one that could not be an address is left
// out.
func parseListed(lines string, digits int) ([]listed, error) {
	var files []listed
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 {
			return nil, fmt.Errorf("%.200q is no digest, size and path", line)
		}
		sum := strings.ToLower(words[0])
		if _, err := hex.DecodeString(sum); err != nil || len(sum) != digits {
			return nil, fmt.Errorf("%.200q is no such digest", words[0])
		}
		size, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil || size < 0 {
			return nil, fmt.Errorf("%.200q is no size", words[1])
		}
		if file := strings.TrimPrefix(words[2], "./"); clean(file) && !strings.HasSuffix(file, "/") {
			files = append(files, listed{path: file, size: size, sha256: sum})
		}
	}
	slices.SortStableFunc(files, func(a, b listed) int { return strings.Compare(a.path, b.path) })
	for i := 1; i < len(files); i++ {
		if files[i].path == files[i-1].path && files[i] != files[i-1] {
			return nil, fmt.Errorf("%s stands there twice", files[i].path)
		}
	}
	return slices.Compact(files), nil
}

// version is what the state that a Release file describes is called.
func (r release) version(text []byte) string {
	if r.date.IsZero() {
		return "sha256:" + sha256Hex(text)[:16]
	}
	return r.date.Format("20060102T150405Z")
}

// digests of a listed file.
func (f listed) digests() []sdk.Digest {
	all := []sdk.Digest{sdk.HexDigest("sha256", f.sha256)}
	if f.sha512 != "" {
		all = append(all, sdk.HexDigest("sha512", f.sha512))
	}
	return all
}
