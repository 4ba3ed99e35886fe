package main

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// buildCache is Gradle's build cache over HTTP (Gradle user manual, "Build
// Cache", HttpBuildCache): results of tasks by keys, which may be replaced.
type buildCache struct {
	// max is how large an entry may be, in bytes; 0: there is no build cache.
	max int64
}

var (
	sizePattern = regexp.MustCompile(`^([0-9]+)(B|KB|KiB|MB|MiB|GB|GiB)$`)
	sizeUnits   = map[string]int64{"B": 1, "KB": 1e3, "KiB": 1 << 10, "MB": 1e6, "MiB": 1 << 20, "GB": 1e9, "GiB": 1 << 30}
	cacheKey    = regexp.MustCompile(`^[0-9a-f]{16,128}$`)
)

func newBuildCache(size string) (buildCache, error) {
	if size == "" {
		return buildCache{}, nil
	}
	if m := sizePattern.FindStringSubmatch(strings.ReplaceAll(size, " ", "")); m != nil {
		if n, err := strconv.ParseInt(m[1], 10, 32); err == nil && n > 0 {
			return buildCache{max: n * sizeUnits[m[2]]}, nil
		}
	}
	return buildCache{}, sdk.OptionError{Option: "build_cache", Message: "write a size, as \"100MiB\""}
}

// artifactType is the content type of entries.
const artifactType = "application/vnd.gradle.build-cache-artifact.v1"

// entry is the package of a request's key, and its path. A failure says why
// there can be none.
func (c buildCache) entry(r sdk.Request) (name, path string, failed *sdk.Failure) {
	key := r.Raw("key")
	switch {
	case c.max == 0:
		return "", "", &sdk.Failure{Kind: sdk.KindNotFound, Message: "there is no build cache here: options { build_cache = \"100MiB\" } in the configuration makes one"}
	case !cacheKey.MatchString(key):
		return "", "", &sdk.Failure{Kind: sdk.KindBadRequest, Message: "a key of the build cache is hexadecimal digits"}
	}
	return "build-cache/" + key, "/cache/" + key, nil
}

// planGet serves an entry. Upstream has none.
func (c buildCache) planGet(r sdk.Request) sdk.Plan {
	name, path, failed := c.entry(r)
	if failed != nil {
		return *failed
	}
	return sdk.Document{Path: path, Name: name, Query: true, Render: func(in *sdk.Input) error {
		ours := in.Hosted(name)
		if ours == nil {
			return sdk.NotFound("the build cache has no such entry")
		}
		return in.Answer(sdk.Artifact{Version: ours.Files[0].Version, Path: ours.Files[0].File.Path, Type: artifactType})
	}}
}

// planPut keeps an entry, in the place of the one that was there.
func (c buildCache) planPut(r sdk.Request) sdk.Plan {
	name, path, failed := c.entry(r)
	if failed != nil {
		return *failed
	}
	return sdk.Upload{Body: "raw", Names: []string{name}, Accept: func(p *sdk.Publication) (sdk.Reply, error) {
		if len(p.Files) != 1 {
			return sdk.Reply{}, sdk.BadRequest("send the entry as the body")
		}
		body := p.Files[0]
		if body.Size > c.max {
			return sdk.Reply{}, sdk.Failure{Kind: sdk.KindTooLarge, Message: fmt.Sprintf("the entry has %d bytes, and those of this build cache may have %d", body.Size, c.max)}
		}
		if known := p.Package(name); len(known.Files) == 0 || !bytes.Equal(digest(known.Files[0].File.Digests, "sha256"), digest(body.Digests, "sha256")) {
			p.Store(body, sdk.Entry{Version: sdk.Version{Name: name}, Path: path}, true)
		}
		return sdk.Reply{Status: http.StatusCreated}, nil
	}}
}
