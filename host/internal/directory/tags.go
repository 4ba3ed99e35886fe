package directory

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// A tag stands for what one archive has. Where several have it, the one that was
// there first keeps it, and the next gets it when that one goes.

// tagged is a tag that an archive gives to a version.
type tagged struct {
	Name, Tag, Version string
	// Instead is the file that has the tag for another version; empty: none has.
	Instead string `json:",omitempty"`
}

// tagKey is how a tag is called among those that files have, and among what went.
func (t tagged) key() string { return "tag " + t.Name + "\x00" + t.Tag }

// tagHolder is a file that has a tag, and for what.
type tagHolder struct{ file, version string }

// claim notes which tags of an archive it gets and which other files have, and
// takes the latter out of what is to be done. False: another has one for another
// version.
func (w *walk) claim(f *found) (free bool) {
	free = true
	f.unpacked.operations = slices.DeleteFunc(f.unpacked.operations, func(o *pb.Operation) bool {
		if o.GetKind() != pb.Operation_KIND_TAG {
			return false
		}
		t := tagged{Name: o.GetVersion().GetName(), Tag: o.GetValue(), Version: o.GetVersion().GetVersion()}
		holder, held := w.known.tags[t.key()]
		if !held || holder.file == f.file || holder.version == t.Version && isGone(holder.file) { // it was moved
			f.seen.Tags = append(f.seen.Tags, t)
			return false
		}
		if holder.version != t.Version {
			t.Instead, free = holder.file, false
		}
		f.seen.Untagged = append(f.seen.Untagged, t)
		return true
	})
	return free
}

// tag notes which tags an archive has that was just put in the place of what it was,
// and tells of those that others have.
func (w *walk) tag(file string, was, now seen) {
	w.untag(file, slices.DeleteFunc(slices.Clone(was.Tags), func(t tagged) bool { return slices.Contains(now.Tags, t) }))
	for _, t := range now.Tags {
		w.known.tags[t.key()] = tagHolder{file, t.Version}
	}
	for _, t := range now.Untagged {
		if t.Instead != "" && !slices.Contains(was.Untagged, t) {
			w.log.Warn("a tag of an image in a directory stays that of another file", "repository", w.repo.Name, "file", file,
				"package", t.Name, "tag", t.Tag, "reason", t.Instead+" was there first, and has another image by it")
		}
	}
}

// untag notes tags of a file that others may have now.
func (w *walk) untag(file string, tags []tagged) {
	for _, t := range tags {
		if w.has(file, t) {
			delete(w.known.tags, t.key())
			w.lost[t.key()] = true
		}
	}
}

// has reports whether a file has a tag, which another may have got since.
func (w *walk) has(file string, t tagged) bool { return w.known.tags[t.key()].file == file }

func isGone(file string) bool {
	_, err := os.Lstat(file)
	return errors.Is(err, fs.ErrNotExist)
}
