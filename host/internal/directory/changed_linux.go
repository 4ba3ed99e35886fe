package directory

import (
	"io/fs"
	"syscall"
	"time"
)

// changed is when a file or its properties were changed last, which nobody can
// set; zero: the system does not say.
func changed(info fs.FileInfo) time.Time {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(s.Ctim.Unix())
	}
	return time.Time{}
}
