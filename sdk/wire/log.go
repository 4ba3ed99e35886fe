package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
)

// maxLine bounds one log line of a plugin.
const maxLine = 64 << 10

// logWriter turns a plugin's standard error into log lines of the host. A line
// can hold anything: hclog's JSON keeps its level and fields, everything else
// is logged as text.
type logWriter struct {
	logger hclog.Logger
	line   []byte
	cut    bool
}

// Write is called by one goroutine. It never returns an error.
func (w *logWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		piece := p
		if i >= 0 {
			piece = p[:i]
		}
		if room := maxLine - len(w.line); len(piece) > room {
			piece, w.cut = piece[:room], true
		}
		w.line = append(w.line, piece...)
		if i < 0 {
			return n, nil
		}
		w.emit()
		p = p[i+1:]
	}
}

func (w *logWriter) emit() {
	defer func() { w.line, w.cut = w.line[:0], false }()
	line := bytes.TrimSpace(w.line)
	if len(line) == 0 {
		return
	}
	var fields map[string]any
	if w.cut || json.Unmarshal(line, &fields) != nil {
		w.logger.Info(printable(string(line)))
		return
	}
	message, _ := fields["@message"].(string)
	level, _ := fields["@level"].(string)
	for _, key := range []string{"@message", "@level", "@timestamp", "@module", "@caller"} {
		delete(fields, key)
	}
	keys := make([]string, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, printable(k), printable(fmt.Sprint(fields[k])))
	}
	l := hclog.LevelFromString(level)
	if l == hclog.NoLevel || l == hclog.Off {
		l = hclog.Info
	}
	w.logger.Log(l, printable(message), args...)
}

// printable makes text safe to log: valid UTF-8 without control characters.
func printable(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
