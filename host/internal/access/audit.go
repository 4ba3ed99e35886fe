package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Results of events.
const (
	// Done: it was allowed and worked.
	Done = "done"
	// Failed: it was allowed and did not work.
	Failed = "failed"
	// Unauthenticated: there was no token, or none that is right.
	Unauthenticated = "unauthenticated"
	// Refused: the token does not allow it.
	Refused = "denied"
)

// Event is a line of the audit log: who wanted to do what, from where, and what
// came of it.
type Event struct {
	Time time.Time `json:"time"`
	// ID of the request, as the access log has it.
	ID string `json:"id,omitempty"`
	// User and Token that asked; empty: nobody in particular. What was done with
	// the program entrepot has the token that it was done to.
	User  string `json:"user,omitempty"`
	Token string `json:"token,omitempty"`
	// Address of the client; empty: the program entrepot on this machine.
	Address string `json:"address,omitempty"`
	// Request is its method and target.
	Request    string   `json:"request,omitempty"`
	Action     string   `json:"action,omitempty"`
	Repository string   `json:"repository,omitempty"`
	Packages   []string `json:"packages,omitempty"`
	Result     string   `json:"result"`
	Status     int      `json:"status,omitempty"`
	// Detail is a reason, or what a token may do.
	Detail string `json:"detail,omitempty"`
}

// Audit is a log of events, a line of JSON each. Its file is opened with the
// first event, and again when it was moved away or removed.
type Audit struct {
	log  hclog.Logger
	mu   sync.Mutex
	path string
	file *os.File // nil: not open
}

// NewAudit begins a log; "-" is standard output, empty none.
func NewAudit(path string, log hclog.Logger) *Audit { return &Audit{path: path, log: log} }

// Reopen writes to a path from now on, and opens it.
func (a *Audit) Reopen(path string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.close()
	a.path = path
	return a.open()
}

// Write notes an event. One that cannot be written is told to the host's log.
func (a *Audit) Write(e Event) {
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	line, err := json.Marshal(e)
	if err != nil {
		a.log.Error("audit log", "error", err)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.path == "" {
		return
	}
	if a.moved() {
		a.close()
	}
	if err = a.open(); err == nil {
		_, err = a.file.Write(append(line, '\n'))
	}
	if err != nil {
		a.log.Error("the audit log cannot be written", "event", string(line), "error", err)
	}
}

// moved reports whether the file is no longer at its path.
func (a *Audit) moved() bool {
	if a.file == nil || a.file == os.Stdout {
		return false
	}
	there, err := os.Stat(a.path)
	if err != nil {
		return true
	}
	open, err := a.file.Stat()
	return err != nil || !os.SameFile(there, open)
}

func (a *Audit) open() (err error) {
	switch {
	case a.file != nil || a.path == "":
		return nil
	case a.path == "-":
		a.file = os.Stdout
		return nil
	}
	if a.file, err = os.OpenFile(a.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		a.file = nil
		return fmt.Errorf("audit log: %w", err)
	}
	return nil
}

func (a *Audit) close() {
	if a.file != nil && a.file != os.Stdout {
		if err := a.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			a.log.Error("audit log", "error", err)
		}
	}
	a.file = nil
}

// Close closes the file.
func (a *Audit) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.close()
}
