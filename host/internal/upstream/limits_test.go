package upstream

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

func TestARetryAfterOfOneAddressLeavesOthersOpen(t *testing.T) {
	t.Parallel()
	set, asked := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/search" {
			w.Header().Set("Retry-After", "100000")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	get := func(path string) error {
		resp, err := set.Get(t.Context(), Request{Source: &pb.Source{Url: path}})
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	for _, path := range []string{"/search?q=a", "/search?q=b"} {
		var failed *Error
		if err := get(path); !errors.As(err, &failed) || !failed.RateLimited() {
			t.Errorf("%s is answered with %v", path, err)
		}
		if left := time.Until(failed.RetryAfter); left > longestPause {
			t.Errorf("%s is to be left alone for %s", path, left)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the limited address was asked %d times, want once", n)
	}
	for _, path := range []string{"/a", "/b"} {
		if err := get(path); err != nil {
			t.Errorf("%s cannot be had: %v", path, err)
		}
	}
}

func TestLimitsOfOneAddressLeaveOthersOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limits
		closed := func(what, address string, want time.Duration) {
			t.Helper()
			until, is := l.left(limitedBy{address: address})
			if is != (want > 0) || is && time.Until(until) != want {
				t.Errorf("%s: %s is left alone for %s (%t), want %s", what, address, time.Until(until), is, want)
			}
		}
		l.add(limitedBy{address: "/a"}, "100000")
		closed("one address", "/a", longestPause)
		closed("one address", "/c", 0)
		l.add(limitedBy{address: "/b"}, "60")
		closed("two in a row", "/a", longestPause)
		closed("two in a row", "/b", time.Minute)
		closed("two in a row", "/c", time.Minute)
		time.Sleep(time.Minute)
		closed("once one of them is over", "/b", 0)
		closed("once one of them is over", "/c", 0)
		closed("once one of them is over", "/a", longestPause-time.Minute)

		l.answered()
		l.add(limitedBy{address: "/b"}, "100000")
		closed("with an answer in between", "/b", longestPause)
		closed("with an answer in between", "/c", 0)
		time.Sleep(longestPause)
		closed("at the end", "/a", 0)
		closed("at the end", "/b", 0)
		if len(l.at) != 0 {
			t.Errorf("%d addresses are still remembered", len(l.at))
		}
	})
}
