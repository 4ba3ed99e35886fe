package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/catalog"
	"github.com/entrepot-registry/entrepot/host/internal/store"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// bulk is how many bytes of a plugin's own data are written together: a
// transaction has its bounds.
const bulk = 256 << 10

// put puts files into the catalogue, in the place of what they were before:
// together, or, when there is something the matter with one, each by itself.
func (w *walk) put(all []*found) error {
	var single []*found
	for _, f := range all {
		if f.unpacked == nil {
			single = append(single, f)
			continue
		}
		if err := w.putUnpacked(f, false); err != nil {
			return err
		}
	}
	all = single
	for len(all) > 0 {
		n, size := 0, 0
		for n < len(all) && (n == 0 || size < bulk) {
			size += len(all[n].entry.GetExtra())
			n++
		}
		some := all[:n]
		all = all[n:]
		err := w.store(some)
		if reason(err) == "" {
			if err != nil {
				return err
			}
			continue
		}
		for _, f := range some {
			if err := w.putOne(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// putOne puts one file into the catalogue. One in whose place another is served
// waits until those that went are known: it may have been moved.
func (w *walk) putOne(f *found) error {
	err := w.store([]*found{f})
	if reason(err) == "" {
		return err
	}
	w.wait(f.file)
	return nil
}

// wait has a file looked into when those that went are known.
func (w *walk) wait(file string) {
	if !w.waits[file] {
		w.waits[file] = true
		w.taken = append(w.taken, file)
	}
}

// putTaken puts the files that waited into the catalogue, or notes why that
// cannot be, and those that others made place for.
func (w *walk) putTaken() error {
	for i := 0; ; i++ {
		if i == len(w.taken) {
			if err := w.succeed(); err != nil {
				return err
			}
			if i == len(w.taken) {
				break
			}
		}
		if err := w.putWaiting(w.taken[i]); err != nil {
			return err
		}
	}
	if len(w.taken) == 0 {
		return nil
	}
	return w.keep.Sync()
}

func (w *walk) putWaiting(file string) error {
	delete(w.waits, file)
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() {
		return nil //nolint:nilerr // it went meanwhile
	}
	f := w.foundAt(file)
	if f.seen.stamp, err = f.stat(); err != nil {
		return nil //nolint:nilerr // it went meanwhile
	}
	if err := w.look(w.ctx, f); err != nil {
		return err
	}
	if f.failed != nil {
		f.seen.Problem, f.seen.Again = fmt.Sprintf("the plugin cannot look into it: %v", f.failed), true
	}
	if f.unpacked != nil {
		return w.putUnpacked(f, true)
	}
	err = w.store([]*found{f})
	if problem := reason(err); problem != "" {
		f.seen.Problem = problem
		err = w.store([]*found{f})
	}
	return err
}

// reason is why a file is not served, of which it is the file's fault; empty:
// it is not.
func reason(err error) string {
	var exists *catalog.ExistsError
	var taken *catalog.TakenError
	var refused *catalog.ScanError
	var alike *catalog.AlikeError
	var spelled *catalog.SpelledError
	switch {
	case errors.As(err, &exists):
		return "another file is served as " + exists.Path
	case errors.As(err, &taken):
		return taken.Error()
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &alike):
		return alike.Error()
	case errors.As(err, &spelled):
		return spelled.Error()
	}
	return ""
}

// store makes one change of the catalogue, with what is remembered of the
// files.
func (w *walk) store(some []*found) error {
	change := w.change()
	result := w.result
	var gone []*pb.Operation  // first, because files may have changed places
	told := map[*found]bool{} // to be told of
	var lost []part
	untagged := map[string][]tagged{}
	for _, f := range some {
		if f.unsettled {
			result.Unsettled++
			continue
		}
		was, known, err := w.seen(w.repo.Name, f.file)
		if err != nil {
			return err
		}
		if known {
			gone = append(gone, w.gone(f.file, was)...)
		}
		now := f.seen
		if now.Problem == "" {
			result.Added++
			change.Operations = append(change.Operations, &pb.Operation{
				Kind: pb.Operation_KIND_STORE, Version: f.entry.GetVersion(), Path: f.entry.GetPath(), Extra: f.entry.GetExtra(),
				ContentType: f.entry.GetContentType(), File: int32(len(change.Bodies)),
			})
			change.Published = append(change.Published, now.Modified)
			change.Bodies = append(change.Bodies, f.body)
		} else {
			now.Parts, now.Tags, now.Untagged = nil, nil, nil
			if told[f] = was.Problem != now.Problem; told[f] {
				result.Bad++
			}
		}
		lost, untagged[f.file] = append(lost, was.lost(now)...), was.Tags
		record, err := json.Marshal(now)
		if err != nil {
			return err
		}
		change.Records[seenName(w.repo.Name, f.file)] = record
	}
	if len(change.Records) == 0 {
		w.result = result
		return nil
	}
	change.Operations = append(gone, change.Operations...)
	change.Published = append(make([]time.Time, len(gone)), change.Published...)
	if err := w.apply(change); err != nil {
		return err
	}
	w.result = result
	w.lose(lost)
	for file, tags := range untagged {
		w.untag(file, tags)
	}
	for _, f := range some {
		if told[f] {
			w.log.Warn("a file in a directory is not served", "repository", w.repo.Name, "file", f.file, "reason", f.seen.Problem)
		}
	}
	return nil
}

// apply makes a change, which may be one of what is remembered alone.
func (w *walk) apply(change catalog.Change) error {
	if len(change.Operations) == 0 {
		return w.keep.Apply(change.Records)
	}
	return w.catalog.Apply(change)
}

// change is a change of the catalogue that nothing is in yet.
func (w *walk) change() catalog.Change {
	return catalog.Change{
		Repository: w.repo.Name, Now: time.Now(), Records: store.Change{}, Rules: w.repo.Names, Blind: true, Unsynced: true, Scan: true,
		Tell: func(name, tag string) {
			w.log.Warn("a tag of an image in a directory stays that of one that is published", "repository", w.repo.Name, "package", name, "tag", tag)
		},
	}
}

// removeGone takes files that are no longer there out of the catalogue.
func (w *walk) removeGone() error {
	gone, err := w.left(w.repo.Name, w.known)
	if err != nil || len(gone) == 0 {
		return err
	}
	var names []string
	var lost []part
	untagged := map[string][]tagged{}
	for len(gone) > 0 {
		some := gone[:min(batch, len(gone))]
		gone = gone[len(some):]
		change := w.change()
		for _, file := range some {
			was, known, err := w.seen(w.repo.Name, file)
			if err != nil {
				return err
			}
			change.Records[seenName(w.repo.Name, file)] = nil
			if !known || was.Problem != "" {
				continue
			}
			change.Operations = append(change.Operations, w.gone(file, was)...)
			lost, untagged[file] = append(lost, was.lost(seen{})...), was.Tags
			w.result.Removed++
		}
		if err := w.apply(change); err != nil {
			return err
		}
		names = append(names, catalog.Names(change.Operations)...)
	}
	w.lose(lost)
	for file, tags := range untagged {
		w.untag(file, tags)
	}
	w.parted = names
	return w.keep.Sync()
}

// maxNamed is how many names a line of the log has.
const maxNamed = 10

// tellParted says which packages have no file any more.
func (w *walk) tellParted() error {
	slices.Sort(w.parted)
	var names []string
	for _, name := range slices.Compact(w.parted) {
		p, err := w.catalog.Package(w.repo.Name, name)
		if err != nil {
			return err
		}
		if p == nil {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		w.log.Warn("packages in directories have no file any more; upstream is not asked for them until their names are given up (entrepot purge --give-up)",
			"repository", w.repo.Name, "packages", len(names), "first", names[:min(maxNamed, len(names))])
	}
	return nil
}
