package directory

import (
	"encoding/json"
	"errors"
	"hash/maphash"
	"io/fs"
	"strings"
	"time"
)

// seen is what is remembered of a file.
type seen struct {
	stamp
	// Again has it looked into at the next scan, however it looks.
	Again bool `json:",omitempty"`
	// Problem is why it is not served; empty: it is.
	Problem string `json:",omitempty"`
	// Name, Version and Path are those of its entry.
	Name, Version, Path string `json:",omitempty"`
	// Parts are those of an archive that holds several files.
	Parts []part `json:",omitempty"`
	// Tags are those that an archive gives, Untagged those that it would give if
	// another file did not.
	Tags, Untagged []tagged `json:",omitempty"`
	// Upstreams are the roles of those that there were when an archive was looked
	// into, by which its parts may be named.
	Upstreams string `json:",omitempty"`
}

// stamp is by what a file is known to be as it was.
type stamp struct {
	Size     int64
	Modified time.Time
	// Changed is when anything of it was changed, also who may read it; zero: it
	// is not known.
	Changed time.Time `json:",omitzero"`
}

func (s stamp) same(o stamp) bool {
	return s.Size == o.Size && s.Modified.Equal(o.Modified) && s.Changed.Equal(o.Changed)
}

const seenKey = "directory/" // repository, file → seen

func seenName(repository, file string) string { return seenKey + repository + "\x00" + file }

// index is what is remembered of all files of a repository, as hashes of 64
// bits: that two of a million files have the same is less likely than that the
// disk lies.
type index struct {
	seed  maphash.Seed
	files map[uint64]uint64 // by their names, with size and time
	tags  map[string]tagHolder
}

func (x *index) name(file string) uint64 { return maphash.String(x.seed, file) }

func (x *index) stamp(s stamp) uint64 {
	return maphash.Comparable(x.seed, [3]int64{s.Size, s.Modified.UnixNano(), s.Changed.UnixNano()})
}

// met takes a file out of the index and says whether it is as it was.
func (x *index) met(file string, now stamp) (known, unchanged bool) {
	name := x.name(file)
	stamp, known := x.files[name]
	delete(x.files, name)
	return known, known && stamp == x.stamp(now)
}

// known reads what is remembered of a repository's files. Archives that were looked
// into beside other upstreams are to be looked into again.
func (s *Scanner) known(repository, upstreams string) (*index, error) {
	x := &index{seed: maphash.MakeSeed(), files: map[uint64]uint64{}, tags: map[string]tagHolder{}}
	prefix := seenName(repository, "")
	var broken error
	err := s.keep.Each(prefix, false, func(k string, value []byte) bool {
		var f seen
		broken = json.Unmarshal(value, &f)
		if f.Again || len(f.Parts) > 0 && f.Upstreams != upstreams {
			f.stamp = stamp{}
		}
		file := strings.TrimPrefix(k, prefix)
		x.files[x.name(file)] = x.stamp(f.stamp)
		for _, t := range f.Tags {
			x.tags[t.key()] = tagHolder{strings.Clone(file), t.Version}
		}
		return broken == nil
	})
	return x, errors.Join(err, broken)
}

// seen is what is remembered of a file; false: nothing.
func (s *Scanner) seen(repository, file string) (was seen, ok bool, err error) {
	value, err := s.keep.Get(seenName(repository, file))
	if errors.Is(err, fs.ErrNotExist) {
		return was, false, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &was)
	}
	return was, err == nil, err
}

// left are the files that are still in the index.
func (s *Scanner) left(repository string, x *index) ([]string, error) {
	if len(x.files) == 0 {
		return nil, nil
	}
	var files []string
	prefix := seenName(repository, "")
	err := s.keep.Each(prefix, true, func(k string, _ []byte) bool {
		file := strings.TrimPrefix(k, prefix)
		if _, ok := x.files[x.name(file)]; ok {
			files = append(files, file)
		}
		return true
	})
	return files, err
}
