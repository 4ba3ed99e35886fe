package intake

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
)

// ErrNoSession says that there is no such upload, or that it has ended.
var ErrNoSession = errors.New("there is no such upload; it may have ended")

// ErrBusy says that another request writes to the same upload.
var ErrBusy = errors.New("another request is writing to this upload")

// ErrFull says that no more uploads can begin now.
var ErrFull = errors.New("too many uploads are under way; try again later")

// ErrRange says that a part does not follow what is there.
var ErrRange = errors.New("the part does not begin where the upload ends")

// SessionIdle is how long an upload is kept to which nothing is added.
const SessionIdle = 24 * time.Hour

// roomIdle is how long it is kept where others of its repository lack room for it.
const roomIdle = 10 * time.Minute

// maxSessions bounds the uploads under way.
const maxSessions = 10_000

// Sessions are uploads that take several requests. Their files lie in a folder
// of their own, so that they survive a restart: what was hashed of one is hashed
// again when it is gone on with.
type Sessions struct {
	dir   string
	blobs *blobs.Store

	mu    sync.Mutex
	open  map[string]*Session
	bytes map[string]int64 // bytes of those that are open, by repository
}

// Session is one upload. Between Take and Release it belongs to one request.
type Session struct {
	// ID is what clients call it.
	ID string
	// About is what was told when it began.
	About About

	all     *Sessions
	counted int64 // bytes that count among those taken, guarded by all.mu

	busy   chan struct{} // holds one while a request has the upload
	writer *blobs.Writer // nil: not looked at since the start
	hashes hashes
	ended  bool

	// added is how many bytes are there, for those who only ask.
	added atomic.Int64

	reading   sync.Mutex // guards interrupt, also while it is called
	interrupt func()     // of the request that has the upload; nil: it does not read
}

func (s *Sessions) session(id string, about About) *Session {
	return &Session{ID: id, About: about, all: s, busy: make(chan struct{}, 1)}
}

// tryLock reports whether nobody had the upload, which the caller has now.
func (s *Session) tryLock() bool {
	select {
	case s.busy <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *Session) unlock() { <-s.busy }

// stalled is how long nothing arrives for an upload before another request may
// have it: of a connection that is gone nobody may hear for minutes.
const stalled = time.Second

// lock takes the upload from a request that only waits for more of it.
func (s *Session) lock() error {
	if s.tryLock() {
		return nil
	}
	before := s.added.Load()
	for range 2 {
		wait := time.NewTimer(stalled)
		select {
		case s.busy <- struct{}{}:
			wait.Stop()
			return nil
		case <-wait.C:
		}
		if s.added.Load() != before || !s.interrupted() {
			break
		}
	}
	return ErrBusy
}

// interrupted has the request that has the upload stop reading; false: it does not
// read.
func (s *Session) interrupted() bool {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.interrupt == nil {
		return false
	}
	s.interrupt()
	return true
}

// reads notes how reading is interrupted; nil: it has ended.
func (s *Session) reads(interrupt func()) {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.interrupt = interrupt
}

// About is what an upload is for.
type About struct {
	// Repository and Names of packages that it is for.
	Repository string
	Names      []string
	// User who began it.
	User string
	// Digests are the algorithms that it is hashed with, besides sha256.
	Digests []string
}

var sessionID = regexp.MustCompile(`^[A-Z2-7]{20,40}$`) // as rand.Text makes it

// OpenSessions finds the uploads in a folder, which is made if need be.
func OpenSessions(dir string, store *blobs.Store) (*Sessions, error) {
	s := &Sessions{dir: dir, blobs: store, open: map[string]*Session{}, bytes: map[string]int64{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		id, isAbout := strings.CutSuffix(e.Name(), aboutSuffix)
		if !isAbout || !sessionID.MatchString(id) {
			continue
		}
		session := s.session(id, About{})
		if raw, err := os.ReadFile(s.path(id) + aboutSuffix); err == nil && json.Unmarshal(raw, &session.About) == nil {
			s.open[id] = session
			if info, err := os.Stat(s.path(id)); err == nil {
				session.counted = info.Size()
				s.bytes[session.About.Repository] += session.counted
			}
			continue
		}
		s.remove(id)
	}
	for _, e := range entries { // a file that nobody says anything about
		if id := e.Name(); sessionID.MatchString(id) && s.open[id] == nil {
			s.remove(id)
		}
	}
	return s, nil
}

const aboutSuffix = ".json"

func (s *Sessions) path(id string) string { return filepath.Join(s.dir, id) }

func (s *Sessions) remove(id string) {
	os.Remove(s.path(id) + aboutSuffix)
	os.Remove(s.path(id))
}

// Begin begins an upload, which belongs to the caller until it releases it.
func (s *Sessions) Begin(about About) (*Session, error) {
	session := s.session(rand.Text(), about)
	s.mu.Lock()
	full := len(s.open) >= maxSessions
	if !full {
		s.open[session.ID] = session
	}
	s.mu.Unlock()
	if full {
		return nil, ErrFull
	}
	session.tryLock()      // nobody knows of it
	err := s.load(session) // first: it looks for room on the disk
	if err == nil {
		var raw []byte
		if raw, err = json.Marshal(about); err == nil {
			err = os.WriteFile(s.path(session.ID)+aboutSuffix, raw, 0o600)
		}
	}
	if err != nil {
		s.End(session)
		session.unlock()
		return nil, err
	}
	return session, nil
}

// Take gives an upload to one request, which must Release it. It is taken from
// another for which nothing arrives.
func (s *Sessions) Take(id string) (*Session, error) {
	session, err := s.find(id)
	if err != nil {
		return nil, err
	}
	if err := session.lock(); err != nil {
		return nil, err
	}
	return s.taken(session)
}

// Status is an upload with how many bytes there are, which changes while another
// request adds to it.
func (s *Sessions) Status(id string) (about About, size int64, err error) {
	session, err := s.find(id)
	if err != nil {
		return About{}, 0, err
	}
	if !session.tryLock() {
		return session.About, session.added.Load(), nil
	}
	if session, err = s.taken(session); err != nil {
		return About{}, 0, err
	}
	defer session.Release()
	return session.About, session.Size(), nil
}

func (s *Sessions) find(id string) (*Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session := s.open[id]; session != nil {
		return session, nil
	}
	return nil, ErrNoSession
}

// taken loads an upload that is locked.
func (s *Sessions) taken(session *Session) (*Session, error) {
	err := error(ErrNoSession)
	if !session.ended {
		err = s.load(session)
	}
	if err != nil {
		session.unlock()
		return nil, err
	}
	return session, nil
}

// Release ends a request's hold of an upload.
func (s *Session) Release() {
	if s.writer != nil {
		s.writer.Rest()
	}
	s.unlock()
}

// load opens the file of an upload and hashes what is there.
func (s *Sessions) load(session *Session) error {
	if session.writer != nil {
		return session.writer.Wake()
	}
	hashes := newHashes(slices.Concat([]string{}, session.About.Digests))
	w, err := s.blobs.Resume(s.path(session.ID), func(p []byte) { hashes.write(p) })
	if err != nil {
		return err
	}
	session.writer, session.hashes = w, hashes
	session.added.Store(w.Size())
	return nil
}

func (h hashes) write(p []byte) {
	for _, one := range h {
		one.Write(p)
	}
}

// Size is how many bytes there are.
func (s *Session) Size() int64 { return s.writer.Size() }

// Append adds a body that stands at a range of the file, "FIRST-LAST", or, with
// an empty one, at its end. Size is what the body has, or less when it breaks off,
// and is not read unless there is room for all of it; -1: nobody says. What came of
// a body that breaks off stays. Interrupt has the body break off, when another
// request wants the upload and nothing arrives; nil: it cannot.
func (s *Session) Append(body io.Reader, at string, size int64, bounds Bounds, interrupt func()) error {
	length := int64(-1)
	if at != "" {
		first, last, err := parseRange(at)
		if err != nil {
			return err
		}
		if first != s.Size() {
			return fmt.Errorf("%w: it is at %d, and %d bytes are there", ErrRange, first, s.Size())
		}
		length = last - first + 1
		if size >= 0 && size != length {
			return fmt.Errorf("%w: the body has %d bytes, its range %d", ErrMalformed, size, length)
		}
		body = io.LimitReader(body, length+1)
	}
	s.reads(interrupt)
	defer s.reads(nil)
	before := s.Size()
	if size > 0 {
		if err := s.grow(size, bounds); err != nil {
			return err
		}
		defer func() { _ = s.count(s.Size()-before-size, bounds) }() // what did not come
	}
	buf := blobs.Buffer()
	defer blobs.GiveBack(buf)
	for {
		n, err := body.Read(buf[:])
		if length >= 0 && s.Size()-before+int64(n) > length {
			return fmt.Errorf("%w: the body has more than the %d bytes of its range", ErrMalformed, length)
		}
		if size < 0 {
			if err := s.grow(int64(n), bounds); err != nil {
				return err
			}
		}
		s.hashes.write(buf[:n])
		if _, err := s.writer.Write(buf[:n]); err != nil {
			return err
		}
		s.added.Store(s.Size())
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: it broke off: %w", ErrMalformed, err)
		}
	}
	if got := s.Size() - before; length >= 0 && got != length {
		return fmt.Errorf("%w: the body has %d bytes, its range %d", ErrMalformed, got, length)
	}
	return nil
}

var rangePattern = regexp.MustCompile(`^(?:bytes )?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]+|\*))?$`)

func parseRange(s string) (first, last int64, err error) {
	m := rangePattern.FindStringSubmatch(s)
	if m == nil {
		return 0, 0, fmt.Errorf("%w: %q is no range of bytes", ErrMalformed, s)
	}
	first, _ = strconv.ParseInt(m[1], 10, 64)
	last, _ = strconv.ParseInt(m[2], 10, 64)
	if last < first {
		return 0, 0, fmt.Errorf("%w: the range %q ends before it begins", ErrMalformed, s)
	}
	return first, last, nil
}

// Body is the upload as a body of one file, with the digests asked for. It ends
// with the body: what is not committed is dropped.
func (s *Session) Body(store *blobs.Store, digests []string) (*Body, error) {
	f := &File{Writer: s.writer, hashes: s.hashes}
	for _, name := range digests {
		if f.hashes[name] != nil || algorithms[name] == nil {
			continue
		}
		more := newHashes([]string{name}) // it was not known before
		file, err := os.Open(s.writer.Path())
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(more[name], file)
		file.Close()
		if err != nil {
			return nil, err
		}
		f.hashes[name] = more[name]
	}
	return &Body{Fields: map[string][]byte{}, Files: []*File{f}, blobs: store}, nil
}

// End ends an upload, whose file goes unless it was committed.
func (s *Sessions) End(session *Session) {
	session.ended = true
	if session.writer != nil {
		session.writer.Abort()
	}
	s.mu.Lock()
	delete(s.open, session.ID)
	session.settle()
	s.mu.Unlock()
	s.remove(session.ID)
}

// Open are the packages of a repository that uploads under way are for, with when
// the first of those began. One that nothing was added to since an instant is
// not under way.
func (s *Sessions) Open(repository string, since time.Time) map[string]time.Time {
	s.mu.Lock()
	var all []*Session
	for _, session := range s.open {
		if session.About.Repository == repository {
			all = append(all, session)
		}
	}
	s.mu.Unlock()
	open := map[string]time.Time{}
	for _, session := range all {
		began, err := os.Stat(s.path(session.ID) + aboutSuffix)
		added, err2 := os.Stat(s.path(session.ID))
		if errors.Join(err, err2) != nil || added.ModTime().Before(since) {
			continue // it has ended, or was given up
		}
		for _, name := range session.About.Names {
			if first, there := open[name]; !there || began.ModTime().Before(first) {
				open[name] = began.ModTime()
			}
		}
	}
	return open
}

// Sweep ends uploads to which nothing was added for a while.
func (s *Sessions) Sweep(now time.Time) {
	s.sweep(now, SessionIdle, func(*Session) bool { return true })
}

// sweep ends those of some uploads to which nothing was added for a time, and
// tells how many.
func (s *Sessions) sweep(now time.Time, idle time.Duration, of func(*Session) bool) (ended int) {
	s.mu.Lock()
	all := make([]*Session, 0, len(s.open))
	for _, session := range s.open {
		if of(session) {
			all = append(all, session)
		}
	}
	s.mu.Unlock()
	for _, session := range all {
		if !session.tryLock() {
			continue
		}
		info, err := os.Stat(s.path(session.ID))
		if errors.Is(err, fs.ErrNotExist) || err == nil && now.Sub(info.ModTime()) > idle {
			s.End(session)
			ended++
		}
		session.unlock()
	}
	return ended
}
