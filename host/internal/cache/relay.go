package cache

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// maxUnzipped bounds a relayed body that names are taken out of, in bytes.
const maxUnzipped = 64 << 20

// withoutOurs is a relayed body in which nothing stands that is called like a
// package that upstream must not hear of. It changes the header with it.
func (c *Cache) withoutOurs(repo *Repository, pointers []string, body io.Reader, header http.Header) ([]byte, error) {
	tree, err := readTree(body, header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	t := trimming{}
	t.ours = func(name string) bool {
		asked, err := c.upstreamHas(repo, name)
		if plain, bad := url.PathUnescape(name); asked && err == nil && bad == nil && plain != name {
			asked, err = c.upstreamHas(repo, plain) // it is written as in an address
		}
		t.failed = errors.Join(t.failed, err)
		return !asked
	}
	tree, _ = t.trim(tree, "", pointersOf(pointers))
	if t.failed != nil {
		return nil, t.failed
	}
	left, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	header.Del("Content-Encoding")
	return left, nil
}

// pointersOf splits pointers (RFC 6901).
func pointersOf(pointers []string) [][]string {
	var all [][]string
	for _, p := range pointers {
		parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
		for i, part := range parts {
			parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		}
		all = append(all, parts)
	}
	return all
}

// readTree reads JSON, which may be compressed.
func readTree(body io.Reader, encoding string) (tree any, err error) {
	switch encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		if body, err = gzip.NewReader(body); err != nil {
			return nil, unreadable(err)
		}
	default:
		return nil, unreadable(fmt.Errorf("its encoding %q is not known here", encoding))
	}
	bounded := &io.LimitedReader{R: body, N: maxUnzipped + 1}
	in := json.NewDecoder(bounded)
	in.UseNumber()
	if err := in.Decode(&tree); err != nil {
		if bounded.N == 0 {
			err = fmt.Errorf("it has more than %d bytes", maxUnzipped)
		}
		return nil, unreadable(err)
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, unreadable(errors.New("it goes on after its JSON"))
	}
	return tree, nil
}

func unreadable(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return &Failure{Kind: pb.ErrorKind_ERROR_KIND_BAD_REQUEST,
		Message: fmt.Sprintf("the request cannot be passed on: names that upstream must not hear of are taken out of it, but it cannot be read: %s", err)}
}

// trimming takes names out of JSON.
type trimming struct {
	ours   func(name string) bool
	failed error
}

// trim takes out of a value what is called like a package of ours, at what is
// left of the pointers that led to it; false: the value goes, itself or for its
// key.
func (t *trimming) trim(value any, key string, pointers [][]string) (any, bool) {
	text, isText := value.(string)
	var further [][]string
	for _, p := range pointers {
		if len(p) > 0 {
			further = append(further, p)
		} else if t.ours(key) || isText && t.ours(text) {
			return nil, false
		}
	}
	if len(further) == 0 {
		return value, true
	}
	switch inside := value.(type) {
	case map[string]any:
		for k, v := range inside {
			if left, stays := t.trim(v, k, below(further, k)); stays {
				inside[k] = left
			} else {
				delete(inside, k)
			}
		}
	case []any:
		left := inside[:0]
		for i, v := range inside {
			if v, stays := t.trim(v, "", below(further, fmt.Sprint(i))); stays {
				left = append(left, v)
			}
		}
		return left, true
	}
	return value, true
}

// below is what is left of pointers for a member. One with ** is met with that
// standing for nothing, and goes on with it standing for more.
func below(pointers [][]string, key string) [][]string {
	var left [][]string
	for _, p := range pointers {
		if p[0] == "**" {
			left = append(left, p)
			if len(p) > 1 {
				left = append(left, below([][]string{p[1:]}, key)...)
			}
		} else if p[0] == "*" || p[0] == key {
			left = append(left, p[1:])
		}
	}
	return left
}
