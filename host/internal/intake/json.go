package intake

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk/cooldown"
)

// json reads JSON in which the strings that a pointer (RFC 6901, with * for any
// run of characters) leads to are files in base64. They are decoded to disk as
// they arrive and replaced by "", and what is left is the field "json".
func (b *Body) json(r io.Reader, pointer string) error {
	s := &jsonScanner{body: b, in: bufio.NewReaderSize(r, 64<<10)}
	if pointer != "" {
		for _, name := range strings.Split(pointer, "/")[1:] {
			s.pointer = append(s.pointer, strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
		}
	}
	if err := s.value(nil); err != nil {
		return err
	}
	if c, err := s.next(); err != io.EOF {
		return fmt.Errorf("%w: %q follows the JSON value", ErrMalformed, c)
	}
	if !json.Valid(s.rest.Bytes()) {
		return fmt.Errorf("%w: it is no JSON", ErrMalformed)
	}
	return b.setField("json", s.rest.Bytes())
}

// maxDepth bounds how deeply JSON is nested.
const maxDepth = 200

// jsonScanner splits JSON without holding what it puts aside. It knows just
// enough of the syntax to follow paths; what is left is validated as a whole.
type jsonScanner struct {
	body    *Body
	in      *bufio.Reader
	rest    bytes.Buffer
	pointer []string
}

// next returns the next byte that is no white space.
func (s *jsonScanner) next() (byte, error) {
	for {
		c, err := s.in.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c, nil
		}
	}
}

func (s *jsonScanner) must() (byte, error) {
	c, err := s.next()
	if err != nil {
		return 0, fmt.Errorf("%w: it breaks off", ErrMalformed)
	}
	return c, nil
}

func (s *jsonScanner) keep(c byte) error {
	if int64(s.rest.Len()) >= s.body.limits.Fields {
		return fmt.Errorf("%w: it has more than %d bytes besides its files", ErrTooLarge, s.body.limits.Fields)
	}
	s.rest.WriteByte(c)
	return nil
}

// value reads a value at a path.
func (s *jsonScanner) value(path []string) error {
	c, err := s.must()
	if err != nil {
		return err
	}
	if len(path) > maxDepth {
		return fmt.Errorf("%w: it is nested more than %d deep", ErrMalformed, maxDepth)
	}
	switch {
	case c == '{':
		return s.object(path)
	case c == '[':
		return s.array(path)
	case c == '"' && s.matches(path):
		s.rest.WriteString(`""`)
		return s.file(path)
	case c == '"':
		_, err := s.text()
		return err
	}
	return s.literal(c)
}

func (s *jsonScanner) matches(path []string) bool {
	if len(s.pointer) == 0 || len(path) != len(s.pointer) {
		return false
	}
	for i, want := range s.pointer {
		if !cooldown.Match(want, path[i]) {
			return false
		}
	}
	return true
}

// fileName is the part of a path that a pointer leaves open.
func (s *jsonScanner) fileName(path []string) string {
	for i, want := range s.pointer {
		if strings.Contains(want, "*") {
			return path[i]
		}
	}
	return path[len(path)-1]
}

func (s *jsonScanner) object(path []string) error {
	if err := s.keep('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := s.must()
		if err != nil {
			return err
		}
		switch {
		case c == '}':
			return s.keep(c)
		case c == ',' && !first:
			if err := s.keep(c); err != nil {
				return err
			}
			if c, err = s.must(); err != nil {
				return err
			}
		}
		if c != '"' {
			return fmt.Errorf("%w: %q stands where a member should", ErrMalformed, c)
		}
		name, err := s.text()
		if err != nil {
			return err
		}
		if c, err = s.must(); err != nil || c != ':' {
			return fmt.Errorf("%w: a member without a value", ErrMalformed)
		}
		if err := s.keep(c); err != nil {
			return err
		}
		if err := s.value(append(path, name)); err != nil {
			return err
		}
	}
}

func (s *jsonScanner) array(path []string) error {
	if err := s.keep('['); err != nil {
		return err
	}
	for i := 0; ; i++ {
		c, err := s.must()
		if err != nil {
			return err
		}
		switch {
		case c == ']':
			return s.keep(c)
		case c == ',' && i > 0:
			if err := s.keep(c); err != nil {
				return err
			}
		case i == 0:
			if err := s.in.UnreadByte(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: %q stands between the items of a list", ErrMalformed, c)
		}
		if err := s.value(append(path, fmt.Sprint(i))); err != nil {
			return err
		}
	}
}

// text keeps a string whose quote was read, and returns it decoded.
func (s *jsonScanner) text() (string, error) {
	from := s.rest.Len()
	if err := s.keep('"'); err != nil {
		return "", err
	}
	for escaped := false; ; {
		c, err := s.in.ReadByte()
		if err != nil {
			return "", fmt.Errorf("%w: it breaks off", ErrMalformed)
		}
		if err := s.keep(c); err != nil {
			return "", err
		}
		if c == '"' && !escaped {
			break
		}
		escaped = c == '\\' && !escaped
	}
	var decoded string
	if err := json.Unmarshal(s.rest.Bytes()[from:], &decoded); err != nil {
		return "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return decoded, nil
}

// literal keeps a number, true, false or null.
func (s *jsonScanner) literal(c byte) error {
	for {
		if err := s.keep(c); err != nil {
			return err
		}
		var err error
		if c, err = s.in.ReadByte(); err != nil {
			return nil // the end of the body, or a break that comes up again
		}
		if strings.IndexByte(" \t\n\r,]}", c) >= 0 {
			return s.in.UnreadByte()
		}
	}
}

// file decodes a string in base64 whose quote was read.
func (s *jsonScanner) file(path []string) error {
	f, err := s.body.create(s.fileName(path), s.fileName(path))
	if err != nil {
		return err
	}
	in := &untilQuote{in: s.in}
	decoder := base64.NewDecoder(base64.StdEncoding, in)
	buf := make([]byte, 48<<10)
	for {
		n, err := decoder.Read(buf)
		if err := s.body.write(f, buf[:n]); err != nil {
			return err
		}
		if err == io.EOF && in.closed {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: the base64 of %q is broken or breaks off", ErrMalformed, f.Name)
		}
	}
}

// untilQuote reads a string that is base64, and that may have been escaped more
// than it needs.
type untilQuote struct {
	in     *bufio.Reader
	closed bool
}

func (u *untilQuote) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && !u.closed {
		c, err := u.in.ReadByte()
		if err == nil && c == '\\' {
			c, err = u.escape()
		} else if c == '"' {
			u.closed = true
			break
		}
		if err != nil {
			return n, io.ErrUnexpectedEOF
		}
		p[n] = c
		n++
	}
	if n == 0 && u.closed {
		return 0, io.EOF
	}
	return n, nil
}

// escape reads what follows a backslash (RFC 8259, section 7).
func (u *untilQuote) escape() (byte, error) {
	c, err := u.in.ReadByte()
	if err != nil {
		return 0, err
	}
	switch c {
	case '/':
		return c, nil
	case 'n', 'r':
		return '\n', nil // which base64 may be broken by
	case 'u':
		var hex [4]byte
		if _, err := io.ReadFull(u.in, hex[:]); err != nil {
			return 0, err
		}
		r, err := strconv.ParseUint(string(hex[:]), 16, 7)
		return byte(r), err
	}
	return 0, ErrMalformed
}
