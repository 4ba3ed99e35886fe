package plugintest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// patience bounds every question to a plugin. A host waits as long for a plan
// and longer for a rendering, but documents of scripts are small.
const patience = 8 * time.Second

// errSlow is an error that a plugin has not answered in time.
var errSlow = fmt.Errorf("it has not answered within %s: look for a loop that does not end, a sleep, or a lock that nobody opens", patience)

// errHangs is the error of a question that is not asked any more.
var errHangs = errors.New("it is not asked, because an earlier question has not been answered")

// patiently asks, and remembers if there is no answer: the next question would
// take as long.
func (h *host) patiently(ask func(context.Context) error) error {
	if h.hangs {
		return errHangs
	}
	err := patiently(ask)
	h.hangs = errors.Is(err, errSlow)
	return err
}

// patiently has a plugin asked, and says in words for its author if it does not
// answer.
func patiently(ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := ask(ctx)
	if errors.Is(err, context.DeadlineExceeded) || err != nil && ctx.Err() != nil {
		return errSlow
	}
	return err
}
