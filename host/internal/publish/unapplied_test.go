package publish

import (
	"errors"
	"fmt"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func TestWhyChangesAreNotMade(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want pb.ErrorKind
	}{
		{&catalog.ExistsError{Name: "boat", Version: "1"}, pb.ErrorKind_ERROR_KIND_CONFLICT},
		{&catalog.SpelledError{Name: "boat", Version: "1", Other: "1.0"}, pb.ErrorKind_ERROR_KIND_CONFLICT},
		{&catalog.GoneError{Name: "boat", Version: "1"}, pb.ErrorKind_ERROR_KIND_CONFLICT},
		{&catalog.AlikeError{Name: "boat", Other: "Boat"}, pb.ErrorKind_ERROR_KIND_CONFLICT},
		{&catalog.TakenError{Path: "/1", Owner: "ship"}, pb.ErrorKind_ERROR_KIND_CONFLICT},
		{&catalog.MissingError{Name: "boat", Version: "1"}, pb.ErrorKind_ERROR_KIND_NOT_FOUND},
		{&catalog.DirectoryError{What: "boat 1", File: "/boat"}, pb.ErrorKind_ERROR_KIND_REFUSED},
		{&catalog.QuotaError{}, pb.ErrorKind_ERROR_KIND_TOO_LARGE},
	} {
		var f *cache.Failure
		if err := unapplied(fmt.Errorf("boat: %w", c.err)); !errors.As(err, &f) || f.Kind != c.want || f.Message == "" {
			t.Errorf("%T is told as %+v, want %s", c.err, err, c.want)
		}
	}
	for _, err := range []error{nil, errors.New("the disk is on fire"), catalog.ErrChanged} {
		if got := unapplied(err); !errors.Is(got, err) {
			t.Errorf("%v is told as %v", err, got)
		}
	}
}
