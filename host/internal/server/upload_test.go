package server

import (
	"io/fs"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/entrepot-registry/entrepot/host/internal/access"
)

// TestPublishersHearOfFailuresOfTheHost has something fail that is no fault of
// upstream's, as writing to a full disk does.
func TestPublishersHearOfFailuresOfTheHost(t *testing.T) {
	t.Parallel()
	s, repo, _, _ := guarded(t)
	w := borrow(deadlines{httptest.NewRecorder()})
	defer w.giveBack()
	failed := &fs.PathError{Op: "open", Path: "/data/uploads/x", Err: syscall.ENOSPC}
	if err := s.toPublishers(w, repo, &route{needs: needs{access.Read, []string{"a"}}}, failed); err != failed {
		t.Errorf("the failure became %v", err)
	}
}
