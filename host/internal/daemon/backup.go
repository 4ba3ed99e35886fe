package daemon

import (
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/entrepot-registry/entrepot/host/internal/backup"
)

// backup answers with a backup. One that cannot be finished is cut off.
func (d *Daemon) backup(w http.ResponseWriter, r *http.Request) {
	answer := &begun{Writer: w}
	w.Header().Set("Content-Type", "application/x-tar")
	end, err := backup.Write(r.Context(), answer, d.dir, d.blobs, d.o.Version)
	if err != nil {
		d.log.Error("a backup was not finished", "error", err)
		answer.fail(w, err)
		return
	}
	d.log.Info("backup made", "bodies", end.Bodies, "bytes", end.Bytes, "missing", len(end.Missing), "damaged", len(end.Damaged))
}

// begun is an answer that knows whether it was begun.
type begun struct {
	io.Writer
	yes bool
}

func (b *begun) Write(p []byte) (int, error) {
	b.yes = true
	return b.Writer.Write(p)
}

// fail answers with an error, or cuts the answer off if it was begun.
func (b *begun) fail(w http.ResponseWriter, err error) {
	if b.yes || errors.Is(err, os.ErrClosed) {
		panic(http.ErrAbortHandler)
	}
	refuse(w, http.StatusUnprocessableEntity, err)
}
