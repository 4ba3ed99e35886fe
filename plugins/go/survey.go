package main

import (
	"fmt"
	"time"

	"golang.org/x/mod/module"

	"github.com/entrepot-registry/entrepot/sdk"
)

// A list does not tell how old versions are; each version's .info does, with the
// time of its commit. Asking for all of them would cost thousands of requests
// for one list, so only those are asked for that clients would be led to: the
// newest of a minor line, and older ones of it while what is newer is held back.
// That is done for as many lines as projects commonly maintain. Anything else is
// listed as it stands: its .info judges it once it is wanted, and what appears on
// the list later is dated by the host, whatever its commit claims.
const (
	// maintained is how many minor lines are to have a version that is kept
	// before no more lines are looked at.
	maintained = 3
	// rounds of questions to upstream, each for twice as many versions of a
	// line as the one before: 63 at most, and with the list itself one round
	// less than the host allows.
	rounds = 6
	// maxAsked bounds the questions of all lines; the host allows a third more.
	maxAsked = 384
)

// line is a minor line: the releases that share a major and minor version.
type line struct {
	releases []*release // newest first
	// asked is how many of the releases were asked for.
	asked int
	// settled is whether the last one asked for is kept.
	settled bool
	// oldest is the time of the oldest one asked for; zero: none has one.
	oldest time.Time
}

// survey tells Keep of every version on a list, and returns those that are to be
// shown, in the list's order. False: documents are lacking.
func survey(in *sdk.Input, path string, list []listed) (shown []string, ok bool, err error) {
	known := map[string]*release{}
	if in.CoolsDown(path) {
		lines := linesOf(path, list)
		if ok, err := look(in, path, lines); !ok || err != nil {
			return nil, ok, err
		}
		for _, l := range lines {
			l.date()
			for _, r := range l.releases {
				for _, version := range r.builds {
					known[version] = r
				}
			}
		}
	}
	for _, l := range list {
		v := sdk.Version{Name: path, Version: l.version, Published: l.published, Claimed: true}
		r := known[l.version]
		if r != nil {
			v.Published = r.published
		}
		if in.Keep(v) && (r == nil || !r.gone) {
			shown = append(shown, l.version)
		}
	}
	return shown, true, nil
}

// look asks for the ages of the newest releases. False: documents are lacking.
func look(in *sdk.Input, path string, lines []*line) (ok bool, err error) {
	width, size, left := maintained, 1, maxAsked
	for range rounds {
		lacking := false
		for _, l := range lines[:min(width, len(lines))] {
			for n := 0; n < size && left > 0 && l.open(); n++ {
				left--
				known, err := l.next(in, path)
				if err != nil {
					return false, err
				}
				lacking = lacking || !known
			}
		}
		if lacking {
			return false, nil
		}
		if hopeful(lines[:min(width, len(lines))]) < maintained {
			width *= 2
		}
		size *= 2
	}
	return true, unanswered(path, lines)
}

// open reports whether older releases of a line are still to be looked at.
func (l *line) open() bool { return !l.settled && l.asked < len(l.releases) }

// next looks at one more release of a line. False: a document is lacking.
func (l *line) next(in *sdk.Input, path string) (known bool, err error) {
	r := l.releases[l.asked]
	l.asked++
	if r.published.IsZero() {
		doc, ok := in.Doc(infoSource(module.Version{Path: path, Version: r.ask}))
		if !ok {
			return false, nil
		}
		if r.gone = !doc.OK(); r.gone {
			return true, nil
		}
		i, err := readInfo(doc, r.ask)
		if err != nil {
			return false, err
		}
		r.published = i.published()
	}
	l.oldest = r.published
	l.settled = !in.Holds(sdk.Version{Name: path, Version: r.ask, Published: r.published})
	return true, nil
}

// date gives those releases an age that are older than all that were asked for
// and held back: they are at least as old as those.
func (l *line) date() {
	if l.settled {
		return
	}
	for _, r := range l.releases[l.asked:] {
		if r.published.IsZero() {
			r.published = l.oldest
		}
	}
}

// hopeful counts the lines that have, or may have, a release that is kept.
func hopeful(lines []*line) int {
	n := 0
	for _, l := range lines {
		if l.settled || l.open() {
			n++
		}
	}
	return n
}

// unanswered is the error where upstream had a list, but then answered no
// question about it.
func unanswered(path string, lines []*line) error {
	asked := false
	for _, l := range lines {
		for _, r := range l.releases[:l.asked] {
			if !r.gone {
				return nil
			}
			asked = true
		}
	}
	if asked {
		return fmt.Errorf("it does not say when any version of %s was published", path)
	}
	return nil
}
