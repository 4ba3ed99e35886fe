package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
)

// longestLine bounds a line of a control file.
const longestLine = 4 << 20

// stanza is a paragraph of a control file: values by field name in lower case,
// those of several lines with their line feeds (Debian Policy, section 5.1).
type stanza map[string]string

// readStanzas reads the paragraphs of a control file, of which only some fields
// are kept. A stanza is good until visit returns. Of a field that stands twice
// the first counts, unless once says that this is an error.
func readStanzas(r io.Reader, fields []string, once bool, visit func(stanza) error) error {
	wanted := map[string]bool{}
	for _, f := range fields {
		wanted[f] = true
	}
	p := &stanzas{wanted: wanted, once: once, stanza: stanza{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), longestLine)
	for lines.Scan() {
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\r"))
		if len(bytes.TrimSpace(line)) > 0 {
			if err := p.line(line); err != nil {
				return err
			}
			continue
		}
		if err := p.end(visit); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return p.end(visit)
}

// stanzas is a control file being read.
type stanzas struct {
	wanted map[string]bool
	once   bool
	stanza stanza
	begun  bool
	field  string // whose lines are being read; empty: one that is not wanted
	value  []byte
}

// line takes a line that is not blank.
func (p *stanzas) line(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		if !p.begun {
			return fmt.Errorf("a control file begins with the continuation line %.80q", line)
		}
		if p.field != "" {
			p.value = append(append(p.value, '\n'), line...)
		}
		return nil
	}
	p.flush()
	p.begun = true
	if line[0] == '#' {
		return nil
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return fmt.Errorf("%.80q is no line of a control file", line)
	}
	field := strings.ToLower(string(name))
	if !p.wanted[field] {
		return nil
	}
	if _, twice := p.stanza[field]; twice {
		if p.once {
			return fmt.Errorf("the field %s stands twice", name)
		}
		return nil
	}
	p.field, p.value = field, append(p.value[:0], bytes.TrimSpace(value)...)
	p.stanza[field] = ""
	return nil
}

// flush ends a field.
func (p *stanzas) flush() {
	if p.field != "" {
		p.stanza[p.field] = string(p.value)
	}
	p.field = ""
}

// end ends a paragraph, if there is one.
func (p *stanzas) end(visit func(stanza) error) error {
	p.flush()
	if !p.begun {
		return nil
	}
	p.begun = false
	err := visit(p.stanza)
	clear(p.stanza)
	return err
}
