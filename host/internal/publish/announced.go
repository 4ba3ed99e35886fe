package publish

import (
	"fmt"
	"strings"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// maxAround is what a body may have besides its files, in bytes, when its size
// alone is to tell whether there is room for them.
const maxAround = 16 << 20

// announced refuses a body that is too large by what the request says of it, so
// that a client that waits to be asked for it need not send it.
func (p *Publisher) announced(r Request) error {
	size := r.HTTP.ContentLength
	if size <= 0 {
		return nil
	}
	most, files := MaxBody(r.Repository), size-maxAround // in it, at least
	kind, _, _ := strings.Cut(r.Plan.GetBody(), ":")
	switch kind {
	case "raw":
		most, files = r.Repository.MaxArtifact, size
	case "json":
		files = size/4*3 - maxAround // base64
	}
	if size > most {
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_TOO_LARGE,
			Message: fmt.Sprintf("the body has %d bytes, but may have %d (max_artifact)", size, most)}
	}
	h := r.Repository.Hosted
	if h.Quota <= 0 || files <= 0 || h.Overwrite && len(r.Plan.GetNames()) == 0 {
		return nil
	}
	used, err := p.cache.Catalog().Size(r.Repository.Name)
	if err != nil {
		return err
	}
	left := h.Quota - used
	for _, name := range r.Plan.GetNames() { // what is replaced makes room
		known, err := p.cache.Catalog().Package(r.Repository.Name, name)
		if err != nil {
			return err
		}
		left += known.Room()
	}
	if files <= left && files > left-p.sessions.Underway(r.Repository.Name) {
		p.sessions.MakeRoom(r.Repository.Name)
	}
	if underway := p.sessions.Underway(r.Repository.Name); files > left-underway {
		full := &catalog.QuotaError{Repository: r.Repository.Name, Used: used + underway, Added: files, Quota: h.Quota}
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_TOO_LARGE, Message: full.Error()}
	}
	return nil
}

// MaxBody is how many bytes a body may have: files and fields, in base64.
func MaxBody(repo *cache.Repository) int64 { return 2 * repo.MaxArtifact }
