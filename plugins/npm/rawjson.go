package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxDepth bounds how deeply values are nested: the check for validity recurses.
const maxDepth = 1000

// checkJSON checks that a document is one JSON value in UTF-8 (RFC 8259), which
// everything else in this file relies on.
func checkJSON(doc []byte) error {
	if !utf8.Valid(doc) {
		return errors.New("it is not UTF-8")
	}
	if nesting(doc) > maxDepth {
		return fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	if !gjson.ValidBytes(doc) {
		return errors.New("it is no valid JSON")
	}
	return nil
}

// nesting is how deep the arrays and objects of any bytes are nested.
func nesting(doc []byte) int {
	depth, deepest := 0, 0
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			i = stringEnd(doc, i) - 1
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

// member is a member of an object; its slices are parts of the document.
type member struct {
	key    []byte // without quotes and escapes
	quoted []byte // as it stands
	value  []byte
}

// is reports whether the member has a key.
func (m member) is(key string) bool { return string(m.key) == key }

// members are those of a valid object, in order, duplicates included. There are
// none in a value of another kind.
func members(object []byte) iter.Seq[member] {
	return func(yield func(member) bool) {
		if !isObject(object) {
			return
		}
		i := 1
		for {
			if i = skipSpace(object, i); object[i] == '}' {
				return
			}
			var m member
			end := stringEnd(object, i)
			m.quoted = object[i:end]
			m.key = m.quoted[1 : len(m.quoted)-1]
			if bytes.IndexByte(m.key, '\\') >= 0 {
				m.key = []byte(unquote(m.quoted))
			}
			i = skipSpace(object, skipSpace(object, end)+1) // over the colon
			end = valueEnd(object, i)
			m.value = object[i:end]
			if !yield(m) {
				return
			}
			if i = skipSpace(object, end); object[i] == ',' {
				i++
			}
		}
	}
}

// elements are those of a valid array, in order; none in a value of another
// kind.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if len(array) == 0 || array[0] != '[' {
			return
		}
		i := 1
		for {
			if i = skipSpace(array, i); array[i] == ']' {
				return
			}
			end := valueEnd(array, i)
			if !yield(array[i:end]) {
				return
			}
			if i = skipSpace(array, end); array[i] == ',' {
				i++
			}
		}
	}
}

func isNull(value []byte) bool { return string(value) == "null" }

func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }

// text returns a string's value; false: the value is no string.
func text(value []byte) (string, bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') >= 0 {
		return unquote(value), true
	}
	return string(value[1 : len(value)-1]), true
}

func unquote(quoted []byte) string {
	var s string
	json.Unmarshal(quoted, &s) // valid, as checkJSON found
	return s
}

// quote writes a string as JSON.
func quote(s string) []byte {
	quoted, _ := json.Marshal(s) // a string always can be
	return quoted
}

func skipSpace(doc []byte, i int) int {
	for i < len(doc) && (doc[i] == ' ' || doc[i] == '\n' || doc[i] == '\t' || doc[i] == '\r') {
		i++
	}
	return i
}

// stringEnd is where the string that begins at i ends, after its closing quote.
func stringEnd(doc []byte, i int) int {
	for i++; ; i++ {
		n := bytes.IndexByte(doc[i:], '"')
		if n < 0 {
			return len(doc)
		}
		end := i + n
		backslashes := 0
		for doc[end-1-backslashes] == '\\' {
			backslashes++ // at the latest the opening quote ends them
		}
		if i = end; backslashes%2 == 0 {
			return end + 1
		}
	}
}

// valueEnd is where the valid value that begins at i ends.
func valueEnd(doc []byte, i int) int {
	depth := 0
	for ; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			i = stringEnd(doc, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // of what the value stands in
			}
			depth--
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}
