package e2e

import (
	"net/http"
	"testing"
	"time"
)

// settled has apt fetch the indexes until it can, as people do.
func (r *aptRoot) settled(t *testing.T) {
	t.Helper()
	eventually(t, "to have indexes that apt takes", func() bool {
		_, err := r.run(t, "update", "-o", "APT::Update::Error-Mode=any")
		return err == nil
	})
	r.updates(t)
}

// TestDebianFirstLookRaces has upstream change after the first look at a suite and
// before its indexes are asked for, which it does not keep.
func TestDebianFirstLookRaces(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"by hash": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, after := startStable(t, plain)
			a.changesAt(t, "binary-amd64", after)
			h := startHost(t, debianConfig(a, "3d"))
			r := newApt(t, h.URL, a, "stable")
			r.settled(t)
			r.downloads(t, "tide", tide11, wreck10)

			// From there on it lags behind.
			third := stable
			third.plain, third.age = plain, 0
			a.remove("/dists/")
			a.publish(t, third)
			a.Close()
			newApt(t, h.URL, a, "stable").installsTide(t, tide11)
		})
	}
}

// TestDebianLateArchitecture has a client of another architecture come while a
// lagged state is in force whose indexes for it nobody got, and upstream does not
// keep.
func TestDebianLateArchitecture(t *testing.T) {
	t.Parallel()
	for name, lagged := range map[string]bool{"after the first state": false, "after others": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startArchive(t)
			publish := func(s suiteState) {
				s.plain, s.also = true, []string{"arm64"}
				a.remove("/dists/")
				a.publish(t, s)
			}
			zeroth := stable
			zeroth.packages, zeroth.age = []debPackage{wreck10, kelp}, 20*day
			cooldown := "3d"
			if lagged {
				cooldown = "3s"
				publish(zeroth)
			} else {
				publish(stable)
			}
			h := startHost(t, debianConfig(a, cooldown, always, `negative_ttl = "1ms"`))
			first := newApt(t, h.URL, a, "stable")
			first.updates(t)
			if lagged {
				publish(stable)
				eventually(t, "to have the second state in force", func() bool {
					_, _, body := get(t, h.URL+"/debian/sea/dists/stable/InRelease")
					return string(body) == string(a.files["/dists/stable/InRelease"].body)
				})
			}
			first.installsTide(t, tide10)

			publish(newStable)
			root := h.URL + "/debian/sea/dists/stable/"
			late, upstreams := root+"main/binary-arm64/Packages.xz", "GET /dists/stable/main/binary-arm64/Packages.xz"
			newest := string(a.files["/dists/stable/main/binary-arm64/Packages.xz"].body)
			get(t, root+"InRelease")
			if status, _, body := get(t, late); status != http.StatusNotFound {
				t.Errorf("an index that upstream does not have any more is answered with %d: %.100q", status, body)
			}
			eventually(t, "to fetch of the newest state what was asked for in vain", func() bool { return a.Asked(upstreams) > 0 })
			eventually(t, "to serve the newest state with it", func() bool {
				get(t, root+"InRelease")
				status, _, body := get(t, late)
				return status == http.StatusOK && string(body) == newest
			})
		})
	}
}

// TestDebianVainRequestsFetchNothing asks for an index of a lagged state that
// upstream has another of by its name.
func TestDebianVainRequestsFetchNothing(t *testing.T) {
	t.Parallel()
	a := startArchive(t)
	before, after := stable, newStable
	before.plain, after.plain = true, true
	a.publish(t, before)
	h := startHost(t, debianConfig(a, "3d", always))
	newApt(t, h.URL, a, "stable").installsTide(t, tide10)
	a.publish(t, after)
	root := h.URL + "/debian/sea/dists/stable/"
	get(t, root+"InRelease")
	packed := "/dists/stable/main/binary-amd64/Packages.gz"
	had := a.askedFor(packed)
	for range 2 {
		if status, _, body := get(t, root+"main/binary-amd64/Packages.gz"); status != http.StatusNotFound {
			t.Errorf("an index that is gone upstream is answered with %d: %.100s", status, body)
		}
	}
	eventually(t, "to fetch it of the newest state", func() bool { return a.askedFor(packed) > had })
	if n := a.askedFor(packed) - had; n != 1 {
		t.Errorf("upstream was asked for the index %d times, want once", n)
	}
}

// TestDebianDetachedSignature has an archive whose suite is signed by a file of
// its own, and that changes between the two, or puts the second in place late.
func TestDebianDetachedSignature(t *testing.T) {
	t.Parallel()
	before, after := stable, newStable
	before.detached, after.detached = true, true
	t.Run("changes between them", func(t *testing.T) {
		t.Parallel()
		a := startArchive(t)
		a.publish(t, before)
		a.changesAt(t, "Release.gpg", after)
		h := startHost(t, debianConfig(a, "3d"))
		newApt(t, h.URL, a, "stable").installsTide(t, tide11)
	})
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		a := startArchive(t)
		a.publish(t, before)
		const file = "/dists/stable/Release.gpg"
		right := a.files[file]
		a.put(file, a.signature(t, "another text", time.Now()), right.modified.Add(-time.Hour))
		h := startHost(t, debianConfig(a, "3d", always))
		r := newApt(t, h.URL, a, "stable")
		if out, err := r.run(t, "update", "-o", "APT::Update::Error-Mode=any"); err == nil {
			t.Fatalf("apt took a suite with the signature of another:\n%s", out)
		}
		a.put(file, right.body, right.modified)
		r.installsTide(t, tide10)
	})
}
