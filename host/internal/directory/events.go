package directory

import (
	"path/filepath"
	"runtime"
	"sync"

	"github.com/fsnotify/fsnotify"
	"github.com/hashicorp/go-hclog"
)

// maxWatches is how many folders are watched in all. A system has bounds of its
// own, which others need as well.
const maxWatches = 8192

// events tells of changes in folders at once, where the system can. What it
// cannot watch is seen at the next refresh.
type events struct {
	log hclog.Logger
	max int

	mu      sync.Mutex
	watcher *fsnotify.Watcher            // nil: nothing is told
	folders map[string]map[string]uint64 // by repository, with the scan that met them last
	scans   uint64
	off     map[string]bool     // repositories that are not watched
	changed map[string]struct{} // repositories in whose folders something happened
	wake    chan struct{}
}

func newEvents(max int, log hclog.Logger) *events {
	return &events{
		log: log, max: max, folders: map[string]map[string]uint64{}, off: map[string]bool{},
		changed: map[string]struct{}{}, wake: make(chan struct{}, 1),
	}
}

// open begins to watch nothing yet; close ends it.
func (e *events) open() {
	switch runtime.GOOS {
	case "linux", "windows":
	default:
		return // elsewhere each file of a folder would be held open
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		e.log.Warn("changes in directories are not told by the system; they are seen at the next refresh", "error", err)
		return
	}
	e.mu.Lock()
	e.watcher = watcher
	e.mu.Unlock()
	go e.listen(watcher)
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watcher != nil {
		e.watcher.Close()
		e.watcher = nil
	}
	clear(e.folders)
}

func (e *events) listen(watcher *fsnotify.Watcher) {
	for {
		select {
		case event, ok := <-watcher.Events:
			if !ok {
				return
			}
			if !hidden(event.Name) {
				e.happened(event.Name)
			}
		case err, ok := <-watcher.Errors:
			if !ok {
				return
			}
			// Some were lost, most likely.
			e.log.Debug("watching directories", "error", err)
			e.happened("")
		}
	}
}

// happened notes the repositories in one of whose folders something happened;
// without a name it may have been in any.
func (e *events) happened(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for repository, folders := range e.folders {
		_, within := folders[filepath.Dir(name)]
		_, itself := folders[name]
		if within || itself || name == "" {
			e.changed[repository] = struct{}{}
		}
	}
	e.rouse()
}

// tell notes that something happened that concerns the folders of a repository.
func (e *events) tell(repository string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changed[repository] = struct{}{}
	e.rouse()
}

// rouse wakes who follows, if something happened.
func (e *events) rouse() {
	if len(e.changed) > 0 {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
}

// take returns the repositories in whose folders something happened since.
func (e *events) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for repository := range e.changed {
		all = append(all, repository)
	}
	clear(e.changed)
	return all
}

// scan begins to meet the folders of a repository. At its end those that were
// not met are no longer watched.
func (e *events) scan(repository string) (end func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.scans++
	now := e.scans
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for folder, met := range e.folders[repository] {
			if met < now {
				e.leave(repository, folder)
			}
		}
	}
}

// watch has a folder of a repository watched, or none of it any more when there
// are too many.
func (e *events) watch(repository, folder string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watcher == nil || e.off[repository] {
		return
	}
	if _, ok := e.folders[repository][folder]; ok {
		e.folders[repository][folder] = e.scans
		// It may be another folder of the same name: that it is watched already
		// is no error.
		_ = e.watcher.Add(folder)
		return
	}
	watched := 0
	for _, folders := range e.folders {
		watched += len(folders)
	}
	if watched >= e.max {
		e.giveUp(repository, "folders", watched, "most", e.max)
		return
	}
	if err := e.watcher.Add(folder); err != nil {
		e.giveUp(repository, "folder", folder, "error", err)
		return
	}
	if e.folders[repository] == nil {
		e.folders[repository] = map[string]uint64{}
	}
	e.folders[repository][folder] = e.scans
}

// giveUp watches nothing of a repository any more.
func (e *events) giveUp(repository string, why ...any) {
	e.off[repository] = true
	for folder := range e.folders[repository] {
		e.leave(repository, folder)
	}
	e.log.Warn("not all folders of a repository can be watched; changes in its directories are seen at the next refresh",
		append([]any{"repository", repository}, why...)...)
}

func (e *events) leave(repository, folder string) {
	delete(e.folders[repository], folder)
	for _, others := range e.folders {
		if _, ok := others[folder]; ok {
			return
		}
	}
	_ = e.watcher.Remove(folder) // it may have gone
}

// tryAgain has repositories watched again that could not be.
func (e *events) tryAgain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.off)
}
