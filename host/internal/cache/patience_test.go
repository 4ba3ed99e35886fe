package cache

import (
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// TestPatienceIsAsLongAsUpstreamUsuallyTakes has upstreams of two roles answer in
// time, late, and not at all.
func TestPatienceIsAsLongAsUpstreamUsuallyTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		p := &patience{}
		d := &pb.Document{Sources: []*pb.Source{{Role: "docker.io"}}}
		other := &pb.Document{Sources: []*pb.Source{{Role: "quay.io"}}}
		is := func(when string, d *pb.Document, want time.Duration) {
			t.Helper()
			if got := p.wait(d); got != want {
				t.Errorf("%s clients wait %s, want %s", when, got, want)
			}
		}
		is("at first", d, revalidateWait)
		p.answered(d, 20*ms)
		is("of a quick one", d, revalidateWait)
		p.answered(d, 800*ms)
		is("of one that takes 0.8 seconds", d, 1600*ms)
		is("of another", other, revalidateWait)
		is("of no upstream", &pb.Document{}, revalidateWait)
		is("for a snapshot", &pb.Document{Snapshot: true}, snapshotWait)
		p.answered(d, 3*time.Second)
		is("of one that takes three seconds", d, revalidateWait)
		for range 10 {
			p.answered(d, 20*ms)
		}
		is("of one that is quick again", d, revalidateWait)

		p.ranOut(d, revalidateWait)
		is("after one waited in vain", d, laggingWait)
		is("of another meanwhile", other, revalidateWait)
		for range 9 { // which does not begin anew by waiting
			time.Sleep(lagging / 10)
			p.ranOut(d, laggingWait)
		}
		is("until then", d, laggingWait)
		time.Sleep(lagging / 10)
		is("later", d, revalidateWait)
		p.ranOut(d, revalidateWait)
		p.answered(d, 20*ms)
		is("once it answered", d, revalidateWait)
	})
}
