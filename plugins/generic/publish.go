package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// inspect takes any file, by where it lies in a directory.
func inspect(m *sdk.Members) (sdk.Entry, error) {
	f := named(escaped(m.Path))
	return sdk.Entry{Version: sdk.Version{Name: f.name()}, Path: f.address()}, nil
}

// planPut publishes a file under its address.
func planPut(r sdk.Request) sdk.Plan {
	f, err := ours(r)
	if err != nil {
		return sdk.BadRequest(err.Error())
	}
	want, err := promised(r, f)
	if err != nil {
		return sdk.BadRequest(err.Error())
	}
	f.sha256 = nil
	return sdk.Upload{Body: "raw", Names: []string{f.name()}, Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		return acceptPut(p, f, want)
	}}
}

// ours is the file that a request changes.
func ours(r sdk.Request) (file, error) {
	f, err := requested(r)
	if err == nil && (f.folder() || strings.Contains(r.Path, "//")) {
		err = errors.New("name a file: its address has no slash at its end, nor two together")
	}
	return f, err
}

// promised are the sha256 sums that a request says its body has: in the query,
// in X-Checksum-Sha256, or in Content-Digest (RFC 9530).
func promised(r sdk.Request, f file) ([][]byte, error) {
	var all [][]byte
	if f.sha256 != nil {
		all = append(all, f.sha256)
	}
	if text := r.Header("X-Checksum-Sha256"); text != "" {
		sum, err := hex.DecodeString(strings.TrimSpace(text))
		if err != nil || len(sum) != 32 {
			return nil, errors.New("X-Checksum-Sha256 is not 64 hexadecimal digits")
		}
		all = append(all, sum)
	}
	for item := range strings.SplitSeq(r.Header("Content-Digest"), ",") {
		text, ok := strings.CutPrefix(strings.TrimSpace(item), "sha-256=:")
		if !ok {
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, ":"))
		if err != nil || len(sum) != 32 {
			return nil, errors.New("Content-Digest has no sha-256 between colons")
		}
		all = append(all, sum)
	}
	return all, nil
}

func acceptPut(p *sdk.Publication, f file, want [][]byte) (sdk.Reply, error) {
	if len(p.Files) != 1 {
		return sdk.Reply{}, sdk.BadRequest("send the file as the body")
	}
	body := p.Files[0]
	sum := sha256Of(body.Digests)
	for _, w := range want {
		if !bytes.Equal(w, sum) {
			return sdk.Reply{}, sdk.BadRequest(fmt.Sprintf("the body that arrived has the SHA-256 %x, not %x", sum, w))
		}
	}
	reply := sdk.JSON(map[string]any{"url": p.Request().URL(f.address()), "size": body.Size, "sha256": hex.EncodeToString(sum)})
	if known := p.Package(f.name()); len(known.Files) > 0 && bytes.Equal(sha256Of(known.Files[0].File.Digests), sum) {
		return reply, nil // as when a client that got no answer sends it again
	}
	p.Store(body, sdk.Entry{Version: sdk.Version{Name: f.name()}, Path: f.address()}, false)
	reply.Status = http.StatusCreated
	reply.Header["Location"] = p.Request().URL(f.address())
	return reply, nil
}

// planDelete deletes a file.
func planDelete(r sdk.Request) sdk.Plan {
	f, err := ours(r)
	if err == nil && f.sha256 != nil {
		err = errors.New("a file is deleted by its address alone")
	}
	if err != nil {
		return sdk.BadRequest(err.Error())
	}
	return sdk.Upload{Action: sdk.ActionDelete, Names: []string{f.name()}, Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		if len(p.Package(f.name()).Files) == 0 {
			return sdk.Reply{}, sdk.NotFound(f.name() + " is not published here")
		}
		p.Delete(f.name(), "", true)
		return sdk.Reply{Status: http.StatusNoContent}, nil
	}}
}
