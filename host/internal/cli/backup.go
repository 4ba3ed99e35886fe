package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/backup"
	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/config"
	"github.com/entrepot-registry/entrepot/host/internal/daemon"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// untilInterrupted is a context that an interrupt ends, so that what is half
// done is cleaned up.
func untilInterrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
}

type backupCommand struct {
	To string `arg:"" help:"File to write, which a whole backup replaces; a directory gets one named by the time; - is standard output." name:"file"`
}

// Run writes a backup, checking it on the way.
func (x *backupCommand) Run(e *env) error {
	ctx, stop := untilInterrupted()
	defer stop()
	from, err := e.openBackup(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	name, end := x.To, backup.End{}
	if name == "-" {
		end, err = copyBackup(ctx, e.out, from)
	} else {
		if info, err := os.Stat(name); err == nil && info.IsDir() || strings.HasSuffix(name, "/") {
			name = filepath.Join(name, "entrepot-"+time.Now().UTC().Format("20060102T150405Z")+".tar")
		}
		err = store.WriteFile(name, func(f *os.File) (err error) {
			end, err = copyBackup(ctx, f, from)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("no backup was made: %w", err)
	}
	fmt.Fprintf(e.err, "%s: all records and %d bodies (%s)\n", name, end.Bodies, humanize.IBytes(uint64(end.Bytes)))
	return incomplete(e.err, end)
}

// incomplete says which bodies a backup lacks.
func incomplete(w io.Writer, end backup.End) error {
	for _, d := range end.Missing {
		fmt.Fprintf(w, "missing: sha256 %s\n", d)
	}
	for _, d := range end.Damaged {
		fmt.Fprintf(w, "damaged: sha256 %s\n", d)
	}
	if n := len(end.Missing) + len(end.Damaged); n > 0 {
		return fmt.Errorf("%d bodies that packages need are missing or damaged in the data directory; all else is in the backup", n)
	}
	return nil
}

// copyBackup copies a backup and reads it through at the same time.
func copyBackup(ctx context.Context, to io.Writer, from io.Reader) (backup.End, error) {
	type result struct {
		end backup.End
		err error
	}
	r, w := io.Pipe()
	done := make(chan result, 1)
	go func() {
		_, end, err := backup.Check(ctx, r)
		r.CloseWithError(err)
		done <- result{end, err}
	}()
	_, err := io.Copy(io.MultiWriter(to, w), from)
	w.CloseWithError(err) // nil is the end of the file
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the host broke it off; its log says why")
	}
	checked := <-done
	if err == nil {
		err = checked.err
	}
	return checked.end, err
}

// openBackup has the host that runs on the data directory make a backup, or
// makes one of the directory when none runs.
func (e *env) openBackup(ctx context.Context) (io.ReadCloser, error) {
	c, diags := e.load()
	if diags.HasErrors() {
		return nil, daemon.Diagnostics{Diagnostics: diags}
	}
	if running := connectRunning(c); running != nil {
		return running.post(ctx, "backup", "application/json", nil)
	}
	if _, err := os.Stat(c.DataDir); err != nil {
		return nil, fmt.Errorf("there is nothing to copy: %w", err)
	}
	log := hclog.New(&hclog.LoggerOptions{Name: "entrepot", Level: hclog.Warn, Output: e.err})
	d, b, err := openData(c, log)
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := backup.Write(ctx, w, d, b, Version())
		w.CloseWithError(errors.Join(err, d.Close()))
	}()
	return closing{r, func() error { r.Close(); <-done; return nil }}, nil
}

// openData opens a data directory that no host runs on.
func openData(c *config.Config, log hclog.Logger) (*store.Dir, *blobs.Store, error) {
	d, err := store.Open(c.DataDir, log)
	if err != nil {
		return nil, nil, err
	}
	b, err := blobs.Open(d, blobs.Options{Limit: c.CacheSize, Reserve: c.ReserveSpace}, log)
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	return d, b, nil
}

// closing is a reader that is closed otherwise.
type closing struct {
	io.Reader
	close func() error
}

// Close ends it.
func (c closing) Close() error { return c.close() }

type restoreCommand struct {
	From string `arg:"" help:"Backup to read; - is standard input." name:"file"`
}

// Run makes the data directory of the configuration of a backup.
func (x *restoreCommand) Run(e *env) error {
	ctx, stop := untilInterrupted()
	defer stop()
	c, diags := e.load()
	if diags.HasErrors() {
		return daemon.Diagnostics{Diagnostics: diags}
	}
	from := os.Stdin
	if x.From != "-" {
		f, err := os.Open(x.From)
		if err != nil {
			return err
		}
		defer f.Close()
		from = f
	}
	log := hclog.New(&hclog.LoggerOptions{Name: "entrepot", Level: hclog.Warn, Output: e.err})
	head, end, err := backup.Restore(ctx, c.DataDir, from, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%s is as it was at %s: all records and %d bodies (%s)\n",
		c.DataDir, head.Created.Format(time.RFC3339), end.Bodies, humanize.IBytes(uint64(end.Bytes)))
	return incomplete(e.err, end)
}
