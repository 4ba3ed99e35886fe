package sdk

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// longestPanic bounds what is told of a panic's value.
const longestPanic = 1000

// recovered turns a panic in a plugin's function into an error of one call.
func (s *server) recovered(err *error) {
	p := recover()
	if p == nil {
		return
	}
	value, stack := fmt.Sprint(p), panicStack()
	if len(value) > longestPanic {
		value = value[:longestPanic] + "…"
	}
	if s.log != nil {
		s.log.Error("panic: "+value, "stack", stack)
	}
	*err = status.Errorf(codes.Internal, "panic: %s, in %s", value, stack)
}

// panicStack is the plugin's part of a panicking stack in one line, innermost
// function first. It must be called by a deferred function.
func panicStack() string {
	pcs := make([]uintptr, 128)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	var calls []string
	for panicking, more := false, true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case strings.HasPrefix(f.Function, "runtime."):
			panicking = panicking || f.Function == "runtime.gopanic"
		case strings.Contains(f.Function, "/sdk.(*server)."), strings.Contains(f.Function, "/sdk.(*router)."):
			if panicking {
				more = false // from here on it is ours
			}
		case panicking:
			calls = append(calls, fmt.Sprintf("%s (%s:%d)", f.Function, filepath.Base(f.File), f.Line))
		}
	}
	return strings.Join(calls, " < ")
}
