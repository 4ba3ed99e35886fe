package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
)

// follow sends a file while it is on its way. Nothing is sent before there is
// something to send, so that a failure until then can still be told; later the
// connection is cut, so that no client takes a part for the whole.
func follow(w *recorder, r *http.Request, f *cache.File) error {
	h := w.Header()
	from, to, ranged := int64(0), f.Size, false
	if f.Size >= 0 {
		h["Accept-Ranges"] = []string{"bytes"}
		var ok bool
		if from, to, ranged, ok = rangeOf(r, f.Size); !ok {
			h.Set("Content-Range", fmt.Sprintf("bytes */%d", f.Size))
			h.Del("Cache-Control")
			http.Error(w, "the range lies outside of the file", http.StatusRequestedRangeNotSatisfiable)
			return nil
		}
	}
	shown, err := f.Flight.Available(r.Context(), from)
	if err != nil && !errors.Is(err, io.EOF) {
		for _, name := range []string{"Accept-Ranges", "Cache-Control", "Content-Type"} {
			h.Del(name)
		}
		return err
	}
	status := http.StatusOK
	if ranged {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, f.Size))
	}
	if to >= 0 {
		h["Content-Length"] = []string{strconv.FormatInt(to-from, 10)}
	}
	w.WriteHeader(status)
	file := f.Flight.File()
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		panic(http.ErrAbortHandler)
	}
	for at := from; to < 0 || at < to; {
		if shown <= at {
			if shown, err = f.Flight.Available(r.Context(), at); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				if r.Context().Err() == nil {
					w.cached = statusCut
				}
				panic(http.ErrAbortHandler)
			}
			continue
		}
		end := shown
		if to >= 0 {
			end = min(end, to)
		}
		n, err := io.CopyN(w, file, end-at)
		at += n
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if to < 0 {
			w.Flush()
		}
	}
	return nil
}

// rangeOf reads a single byte range (RFC 9110, section 14.2). Several, or
// anything that cannot be read, is the whole file; not ok: outside of it.
func rangeOf(r *http.Request, size int64) (from, to int64, ranged, ok bool) {
	spec, is := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !is || strings.Contains(spec, ",") || r.Header.Get("If-Range") != "" {
		return 0, size, false, true
	}
	first, last, is := strings.Cut(strings.TrimSpace(spec), "-")
	if !is {
		return 0, size, false, true
	}
	if first == "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 0 {
			return 0, size, false, true
		}
		if n == 0 {
			return 0, 0, false, false
		}
		return max(size-n, 0), size, true, true
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 {
		return 0, size, false, true
	}
	if from >= size {
		return 0, 0, false, false
	}
	to = size
	if last != "" {
		end, err := strconv.ParseInt(last, 10, 64)
		if err != nil || end < from {
			return 0, size, false, true
		}
		to = min(end+1, size)
	}
	return from, to, true, true
}
