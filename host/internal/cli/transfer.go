package cli

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/dustin/go-humanize"

	"github.com/entrepot-registry/entrepot/host/internal/daemon"
	"github.com/entrepot-registry/entrepot/host/internal/publish"
	"github.com/entrepot-registry/entrepot/host/internal/transfer"
)

type exportCommand struct {
	To         string   `arg:"" help:"Directory to write: empty, new, or with an earlier export, which is brought up to date." name:"dir"`
	PURLs      []string `arg:"" optional:"" help:"Packages, as pkg:npm/@acme/* or pkg:npm/boat@1.2.0; all that are hosted otherwise." name:"purl"`
	Repository string   `help:"Only of this repository." placeholder:"NAME"`
}

// Run writes packages that are hosted as plain files, with a list beside them.
func (x *exportCommand) Run(e *env) (err error) {
	ctx, stop := untilInterrupted()
	defer stop()
	c, err := e.connect()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	question, err := json.Marshal(daemon.Exporting{Repository: x.Repository, PURLs: x.PURLs})
	if err != nil {
		return err
	}
	from, err := c.post(ctx, "export", "application/json", bytes.NewReader(question))
	if err != nil {
		return err
	}
	defer from.Close()
	end, err := transfer.Unpack(ctx, from, x.To)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the host broke it off; its log says why")
	}
	if err != nil {
		return fmt.Errorf("the export is not whole: %w", err)
	}
	if end.Packages == 0 && len(end.Problems) == 0 {
		return errors.New("nothing that is hosted here fits: versions are named as they are published, not by their tags")
	}
	fmt.Fprintf(e.out, "%s: %d packages, %d files (%s)\n", x.To, end.Packages, end.Files, humanize.IBytes(uint64(end.Bytes)))
	return problems(e.err, end.Problems, "could not be read and are not in the export")
}

// problems prints what is the matter with files.
func problems(w io.Writer, all []string, what string) error {
	for _, p := range all {
		fmt.Fprintln(w, p)
	}
	if len(all) > 0 {
		return fmt.Errorf("%d files %s", len(all), what)
	}
	return nil
}

type importCommand struct {
	From       string `arg:"" help:"Directory that entrepot export wrote." name:"dir"`
	Repository string `help:"Repository that the packages of its plugin are published in; otherwise each goes into that of the name which it was exported from." placeholder:"NAME"`
	Of         string `help:"Only what was in this repository when it was exported." placeholder:"NAME"`
}

// Run publishes what an export has. What is there already stays.
func (x *importCommand) Run(e *env) (err error) {
	ctx, stop := untilInterrupted()
	defer stop()
	if _, err := os.Stat(filepath.Join(x.From, transfer.ListName)); err != nil {
		return fmt.Errorf("%w: it is no export, or one that was not finished; files of elsewhere are served by a directory block, or published with their own client", err)
	}
	c, err := e.connect()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	var all publish.Imported
	var there []daemon.RepositoryInfo
	if err := c.ask("repositories", struct{}{}, &there); err != nil {
		return err
	}
	packages, left := 0, map[string]int{}
	_, err = transfer.Read(x.From, func(p *transfer.Package, files []*transfer.File) error {
		if x.Of != "" && p.Repository != x.Of {
			return nil
		}
		into := cmp.Or(x.Repository, p.Repository)
		i := slices.IndexFunc(there, func(r daemon.RepositoryInfo) bool { return r.Name == into })
		switch {
		case i < 0 && x.Repository != "":
			return fmt.Errorf("the host has no repository %q", into)
		case i < 0:
			left[fmt.Sprintf("of repository %q, which the host does not have", into)]++
			return nil
		case there[i].Plugin != p.Plugin:
			left[fmt.Sprintf("of plugin %s, which are none for repository %q", p.Plugin, into)]++
			return nil
		}
		packages++
		files, missing := x.readable(files)
		for _, problem := range missing {
			all.Problems = append(all.Problems, p.Name+": "+problem)
		}
		done, err := x.send(ctx, c, into, p, files)
		all.Added += done.Added
		all.Present += done.Present
		for _, problem := range done.Problems {
			all.Problems = append(all.Problems, p.Name+": "+problem)
		}
		if refused := (daemon.AdminError{}); errors.As(err, &refused) && ctx.Err() == nil {
			all.Problems = append(all.Problems, p.Name+": "+refused.Message)
			return nil
		}
		return err
	})
	fmt.Fprintf(e.out, "%d packages: %d files and versions added, %d were there\n", packages, all.Added, all.Present)
	for _, why := range slices.Sorted(maps.Keys(left)) {
		fmt.Fprintf(e.out, "left out: %d packages %s\n", left[why], why)
	}
	if err != nil {
		return err
	}
	return problems(e.err, all.Problems, "or packages were not taken")
}

// readable are the files that can be opened, and why others cannot.
func (x *importCommand) readable(files []*transfer.File) (all []*transfer.File, problems []string) {
	for _, f := range files {
		if f.Path != "" {
			body, err := f.Open(x.From)
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s cannot be read: %v", f.Path, err))
				continue
			}
			body.Close()
		}
		all = append(all, f)
	}
	return all, problems
}

// send has the host take a package.
func (x *importCommand) send(ctx context.Context, c *connection, into string, p *transfer.Package, files []*transfer.File) (done publish.Imported, err error) {
	r, w := io.Pipe()
	defer r.Close()
	go func() { w.CloseWithError(x.write(w, into, p, files)) }()
	answer, err := c.post(ctx, "import", "application/x-tar", r)
	if err != nil {
		return done, err
	}
	defer answer.Close()
	return done, json.NewDecoder(answer).Decode(&done)
}

func (x *importCommand) write(w io.Writer, into string, p *transfer.Package, files []*transfer.File) error {
	about, err := json.Marshal(daemon.Importing{Repository: into, Package: p, Files: files})
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	member := func(name string, size int64, from io.Reader) error {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err := io.CopyN(archive, from, size)
		return err
	}
	if err := member("package.json", int64(len(about)), bytes.NewReader(about)); err != nil {
		return err
	}
	for _, f := range files {
		if f.Path == "" {
			continue
		}
		body, err := f.Open(x.From)
		if err != nil {
			return err
		}
		err = member("file", f.Size, body)
		body.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", f.File, err)
		}
	}
	return archive.Close()
}
