package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// What a breaker tolerates.
const (
	faultsToTrip    = 5  // in a row, of a host that does not work
	addressesToTrip = 20 // in a row, at which a host that is there fails
	breakerPause    = 10 * time.Second
)

// outcome is what the end of a question says of the host that was asked.
type outcome int

const (
	// fine: it answered.
	fine outcome = iota
	// ours: the question ended for a reason of ours, or upstream was busy.
	ours
	// stumbled: it failed at this address, as with 500.
	stumbled
	// down: it says that it does not work (502, 503, 504), or a connection that it
	// took ended without an answer.
	down
	// unreachable: there was no connection.
	unreachable
)

// breaker stops questions to a host that fails, and lets one try again after a
// while. A host that cannot be reached trips it after some faults in a row. One
// that answers may be in order but for what is asked: that it says it is down
// trips the breaker only when said at more than one address, and other errors
// only when there are many such addresses in a row. One success ends the row.
type breaker struct {
	circuit *gobreaker.TwoStepCircuitBreaker[any]

	mu sync.Mutex
	// Of the faults since the last success:
	lost   int             // without a connection
	faults int             // by which the host does not work, lost included
	failed map[string]bool // addresses that a connection did not help
	reason error           // of the last
}

func newBreaker(name string) *breaker {
	b := &breaker{failed: map[string]bool{}}
	b.circuit = gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Name:        name,
		Timeout:     breakerPause,
		ReadyToTrip: func(gobreaker.Counts) bool { return b.tripped() },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNotCounted) },
	})
	return b
}

// errNotCounted is what is neither a success nor a failure of the host.
var errNotCounted = errors.New("not counted")

// allow asks whether a question may be put; done must be called with how it
// ended, and for a fault why.
func (b *breaker) allow(address string) (done func(outcome, error), err error) {
	report, err := b.circuit.Allow()
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		return nil, fmt.Errorf("it failed several times in a row and is left alone for a moment; last: %w", b.reason)
	}
	return func(o outcome, err error) { report(b.count(address, o, err)) }, nil
}

// count notes a question's end and returns what it counts for.
func (b *breaker) count(address string, o outcome, err error) error {
	if o == ours {
		return errNotCounted
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if o == fine {
		b.lost, b.faults = 0, 0
		clear(b.failed)
		return nil
	}
	b.reason = err
	if o == unreachable {
		b.lost++
	} else if len(b.failed) < addressesToTrip {
		b.failed[address] = true
	}
	if o != stumbled {
		b.faults++
	} else if len(b.failed) < addressesToTrip {
		return errNotCounted
	}
	return err
}

func (b *breaker) tripped() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost >= faultsToTrip || b.faults >= faultsToTrip && (b.lost > 0 || len(b.failed) > 1) || len(b.failed) >= addressesToTrip
}

// outcomeOf is what an answer's status says of the host.
func outcomeOf(status int) outcome {
	switch {
	case status == http.StatusTooManyRequests:
		return ours
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		return down
	case isFault(status):
		return stumbled
	}
	return fine
}

// isFault reports whether a status is a failure of who answers. That a method is
// not known there is none.
func isFault(status int) bool {
	return status >= 500 && status != http.StatusNotImplemented || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}
