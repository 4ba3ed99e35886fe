package intake

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/store"
)

// bodies is a store of bodies, and a folder for uploads.
func bodies(t *testing.T) (*blobs.Store, string) {
	t.Helper()
	dir, err := store.Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	b, err := blobs.Open(dir, blobs.Options{Limit: 1 << 30}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	return b, filepath.Join(dir.Path, "uploads")
}

func openSessions(t *testing.T, b *blobs.Store, dir string) *Sessions {
	t.Helper()
	s, err := OpenSessions(dir, b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func begin(t *testing.T, s *Sessions, about About) *Session {
	t.Helper()
	up, err := s.Begin(about)
	if err != nil {
		t.Fatal(err)
	}
	return up
}

// alone bounds an upload that shares what is left with no other.
func alone(n int64) Bounds { return Bounds{File: n, All: n} }

// broken is a body that ends too early.
type broken struct{ io.Reader }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// TestUploadsGoOnAfterARestart uploads in parts, of which one breaks off.
func TestUploadsGoOnAfterARestart(t *testing.T) {
	t.Parallel()
	b, dir := bodies(t)
	s := openSessions(t, b, dir)
	up := begin(t, s, About{Repository: "r", Names: []string{"boat"}, User: "joe", Digests: []string{"sha512"}})
	if err := up.Append(strings.NewReader("one "), "0-3", -1, alone(100), nil); err != nil {
		t.Fatal(err)
	}
	if err := up.Append(broken{strings.NewReader("two ")}, "", -1, alone(100), nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("a body that breaks off: %v", err)
	}
	up.Release()

	s = openSessions(t, b, dir)
	again, err := s.Take(up.ID)
	if err != nil {
		t.Fatal(err)
	}
	if again.Size() != 8 || again.About.User != "joe" || again.About.Names[0] != "boat" {
		t.Fatalf("after a restart there are %d bytes of %+v", again.Size(), again.About)
	}
	if _, err := s.Take(up.ID); !errors.Is(err, ErrBusy) {
		t.Errorf("two have it at once: %v", err)
	}
	if err := again.Append(strings.NewReader("three"), "8-12", -1, alone(100), nil); err != nil {
		t.Fatal(err)
	}
	body, err := again.Body(b, []string{"sha256", "sha512", "sha1"})
	if err != nil {
		t.Fatal(err)
	}
	whole := []byte("one two three")
	short, long := sha256.Sum256(whole), sha512.Sum512(whole)
	got := body.Files[0].Digests()
	if string(got["sha256"]) != string(short[:]) || string(got["sha512"]) != string(long[:]) || len(got["sha1"]) != 20 {
		t.Errorf("its digests are %x", got)
	}
	if _, err := body.Files[0].Writer.Commit(nil, true); err != nil {
		t.Fatal(err)
	}
	s.End(again)
	again.Release()
	if kept, err := b.Read(blobs.Digest(short), int64(len(whole))); err != nil || string(kept) != string(whole) {
		t.Errorf("kept is %q (%v)", kept, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("an upload that ended leaves %v", left)
	}
	if _, err := s.Take(up.ID); !errors.Is(err, ErrNoSession) {
		t.Errorf("it can be taken again: %v", err)
	}
}

func TestPartsMustFollow(t *testing.T) {
	t.Parallel()
	b, dir := bodies(t)
	s := openSessions(t, b, dir)
	up := begin(t, s, About{})
	defer up.Release()
	if err := up.Append(strings.NewReader("12345"), "0-4", -1, alone(100), nil); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]error{
		"0-4": ErrRange, "6-9": ErrRange, "5-": ErrMalformed, "9-5": ErrMalformed, "a-b": ErrMalformed, "-1-2": ErrMalformed,
		"99999999999999999999-1": ErrMalformed,
	} {
		if err := up.Append(strings.NewReader("67890"), at, -1, alone(100), nil); !errors.Is(err, want) || up.Size() != 5 {
			t.Errorf("%s: %v, and %d bytes are there", at, err, up.Size())
		}
	}
	if err := up.Append(strings.NewReader("6789012"), "5-9", 7, alone(100), nil); !errors.Is(err, ErrMalformed) || up.Size() != 5 {
		t.Errorf("a body that says that it is not its range: %v, and %d bytes are there", err, up.Size())
	}
	if err := up.Append(strings.NewReader("6789012"), "5-9", -1, alone(100), nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("more than its range: %v", err)
	}
	if err := up.Append(strings.NewReader(strings.Repeat("x", 200)), "", -1, alone(100), nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than may be: %v", err)
	}
}

func TestUploadsThatWereGivenUpAreSwept(t *testing.T) {
	t.Parallel()
	b, dir := bodies(t)
	s := openSessions(t, b, dir)
	old := begin(t, s, About{})
	old.Release()
	held := begin(t, s, About{})
	s.Sweep(time.Now().Add(SessionIdle - time.Minute))
	if _, err := os.Stat(filepath.Join(dir, old.ID)); err != nil {
		t.Errorf("an upload went before its time: %v", err)
	}
	s.Sweep(time.Now().Add(SessionIdle + time.Minute))
	if _, err := s.Take(old.ID); !errors.Is(err, ErrNoSession) {
		t.Errorf("an upload that was given up is there: %v", err)
	}
	held.Release()
	if _, err := s.Take(held.ID); err != nil {
		t.Errorf("one that is being written to was swept: %v", err)
	}
	// What nobody says anything about goes at the start.
	if err := os.WriteFile(filepath.Join(dir, strings.Repeat("A", 26)), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	openSessions(t, b, dir)
	if _, err := os.Stat(filepath.Join(dir, strings.Repeat("A", 26))); err == nil {
		t.Error("a file without an upload stays")
	}
}

// TestUploadsAreTakenFromRequestsThatStall has the connection of a client die in
// the middle of a part: the client may ask how far it is, and go on.
func TestUploadsAreTakenFromRequestsThatStall(t *testing.T) {
	t.Parallel()
	b, dir := bodies(t)
	s := openSessions(t, b, dir)
	up := begin(t, s, About{User: "joe"})
	body, client := io.Pipe()
	done := make(chan error)
	go func() {
		err := up.Append(body, "", -1, alone(100), func() { body.CloseWithError(errors.New("interrupted")) })
		up.Release()
		done <- err
	}()
	if _, err := client.Write([]byte("one ")); err != nil {
		t.Fatal(err)
	}
	for size := int64(0); size != 4; {
		var about About
		var err error
		if about, size, err = s.Status(up.ID); err != nil || about.User != "joe" {
			t.Fatalf("the status of an upload that another request has is %+v (%v)", about, err)
		}
	}
	again, err := s.Take(up.ID)
	if err != nil {
		t.Fatalf("an upload for which nothing arrives cannot be taken: %v", err)
	}
	if err := <-done; !errors.Is(err, ErrMalformed) {
		t.Errorf("who had it is told %v", err)
	}
	if err := again.Append(strings.NewReader("two"), "4-6", 3, alone(100), nil); err != nil || again.Size() != 7 {
		t.Errorf("it cannot be gone on with: %v, %d bytes", err, again.Size())
	}
	again.Release()
	if _, size, err := s.Status(up.ID); err != nil || size != 7 {
		t.Errorf("the status is %d bytes (%v)", size, err)
	}
	if _, _, err := s.Status("nothing"); !errors.Is(err, ErrNoSession) {
		t.Errorf("the status of no upload: %v", err)
	}
}

// TestUploadsThatGetOnAreNotTaken has another request want an upload that is being
// added to all the time.
func TestUploadsThatGetOnAreNotTaken(t *testing.T) {
	t.Parallel()
	b, dir := bodies(t)
	s := openSessions(t, b, dir)
	up := begin(t, s, About{})
	body, client := io.Pipe()
	done := make(chan error)
	go func() {
		done <- up.Append(body, "", -1, alone(1<<30), func() { body.CloseWithError(errors.New("interrupted")) })
	}()
	taken := make(chan error)
	go func() {
		_, err := s.Take(up.ID)
		taken <- err
	}()
	for busy := true; busy; {
		select {
		case err := <-taken:
			if !errors.Is(err, ErrBusy) {
				t.Errorf("it can be taken: %v", err)
			}
			busy = false
		default:
			if _, err := client.Write([]byte("x")); err != nil {
				t.Fatalf("it was interrupted: %v", err)
			}
		}
	}
	client.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	up.Release()
}

// TestUploadsShareWhatIsLeft has several uploads of a repository under way, of
// which none is ended.
func TestUploadsShareWhatIsLeft(t *testing.T) {
	t.Parallel()
	b, dir := bodies(t)
	s := openSessions(t, b, dir)
	bounds := Bounds{File: 100, All: 10}
	begin := func(repository string) *Session {
		up, err := s.Begin(About{Repository: repository})
		if err != nil {
			t.Fatal(err)
		}
		return up
	}
	adds := func(up *Session, body string, want error) {
		t.Helper()
		if err := up.Append(strings.NewReader(body), "", -1, bounds, nil); !errors.Is(err, want) {
			t.Errorf("adding %q: %v, want %v", body, err, want)
		}
	}
	one, two, other := begin("r"), begin("r"), begin("q")
	adds(one, "123456", nil)
	adds(two, "12345", ErrTooLarge)
	adds(two, "1234", nil)
	adds(one, "7", ErrTooLarge)
	adds(other, "1234567890", nil)
	one.Release()
	two.Release()
	other.Release()

	s = openSessions(t, b, dir) // a restart forgets nothing
	two, err := s.Take(two.ID)
	if err != nil {
		t.Fatal(err)
	}
	adds(two, "5", ErrTooLarge)
	if one, err = s.Take(one.ID); err != nil {
		t.Fatal(err)
	}
	s.End(one)
	one.Release()
	adds(two, "567890", nil)
	adds(two, "1", ErrTooLarge)
	two.Settle()
	adds(two, "1234567890", nil)
	s.End(two)
	two.Release()
	if len(s.bytes) != 1 {
		t.Errorf("what is left is %v", s.bytes)
	}
}

// TestUploadsThatSayHowLargeTheyAreTakeTheirRoomAtOnce adds bodies whose size is
// known: one that does not fit is not read, and what does not come is given back.
func TestUploadsThatSayHowLargeTheyAreTakeTheirRoomAtOnce(t *testing.T) {
	t.Parallel()
	b, dir := bodies(t)
	s := openSessions(t, b, dir)
	bounds := Bounds{File: 100, All: 10}
	one, two := begin(t, s, About{Repository: "r"}), begin(t, s, About{Repository: "r"})
	defer one.Release()
	defer two.Release()
	unread := iotest.ErrReader(errors.New("it is read"))
	if err := one.Append(unread, "", 11, bounds, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than there is room for: %v", err)
	}
	body, client := io.Pipe()
	done := make(chan error)
	go func() { done <- one.Append(body, "", 8, bounds, nil) }()
	if _, err := client.Write([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	if err := two.Append(unread, "", 3, bounds, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("what another has room for: %v", err)
	}
	client.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-done; !errors.Is(err, ErrMalformed) {
		t.Errorf("a body that breaks off: %v", err)
	}
	if err := two.Append(strings.NewReader("123456"), "", 6, bounds, nil); err != nil {
		t.Errorf("in the room of what did not come: %v", err)
	}
	if err := two.Append(unread, "", 1, bounds, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
}

// TestUploadsOfClientsThatAreGoneMakePlace has an upload need the room of one that
// nothing was added to for a while, and of one that is only slow.
func TestUploadsOfClientsThatAreGoneMakePlace(t *testing.T) {
	t.Parallel()
	b, dir := bodies(t)
	s := openSessions(t, b, dir)
	add := func(up *Session, body string) error {
		t.Helper()
		return up.Append(strings.NewReader(body), "", -1, Bounds{File: 100, All: 10}, nil)
	}
	idle := func(up *Session, since time.Duration) {
		t.Helper()
		up.Release()
		then := time.Now().Add(-since)
		if err := os.Chtimes(s.path(up.ID), then, then); err != nil {
			t.Fatal(err)
		}
	}
	gone, slow, elsewhere := begin(t, s, About{Repository: "r"}), begin(t, s, About{Repository: "r"}), begin(t, s, About{Repository: "q"})
	for _, up := range []*Session{gone, slow, elsewhere} {
		if err := add(up, "1234"); err != nil {
			t.Fatal(err)
		}
	}
	idle(gone, roomIdle+time.Minute)
	idle(slow, roomIdle-time.Minute)
	idle(elsewhere, roomIdle+time.Minute)
	up := begin(t, s, About{Repository: "r"})
	defer up.Release()
	if err := add(up, "123456"); err != nil {
		t.Errorf("an upload of a client that is gone makes no place: %v", err)
	}
	if err := add(up, "7"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than there is room for: %v", err)
	}
	if _, err := s.Take(gone.ID); !errors.Is(err, ErrNoSession) {
		t.Errorf("an upload that made place is there: %v", err)
	}
	for _, stays := range []*Session{slow, elsewhere} {
		if _, err := s.Take(stays.ID); err != nil {
			t.Errorf("an upload went that need not: %v", err)
		}
	}
}
