package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
)

// writer writes JSON piece by piece. Its errors come with Flush.
type writer struct{ *bufio.Writer }

func newWriter(out io.Writer) writer { return writer{bufio.NewWriterSize(out, 64<<10)} }

// object is an object being written.
type object struct {
	w    writer
	next byte // what stands before the next member
}

func (w writer) object() *object { return &object{w, '{'} }

// key writes the key of a member, whose value is written next.
func (o *object) key(quoted []byte) {
	o.w.WriteByte(o.next)
	o.next = ','
	o.w.Write(quoted)
	o.w.WriteByte(':')
}

func (o *object) member(quoted, value []byte) {
	o.key(quoted)
	o.w.Write(value)
}

func (o *object) end() {
	if o.next == '{' {
		o.w.WriteByte('{')
	}
	o.w.WriteByte('}')
}

// value writes a value of ours, which always can be written.
func (w writer) value(v any) {
	encoded, _ := json.Marshal(v)
	w.Write(encoded)
}

// array writes an array of values.
func (w writer) array(values [][]byte) {
	w.WriteByte('[')
	w.Write(bytes.Join(values, []byte{','}))
	w.WriteByte(']')
}

// rewrite returns an object with other values.
func rewrite(value []byte, change func(member) []byte) []byte {
	var out bytes.Buffer
	w := writer{bufio.NewWriterSize(&out, len(value)+256)}
	o := w.object()
	for m := range members(value) {
		o.member(m.quoted, change(m))
	}
	o.end()
	w.Flush() // a buffer takes all
	return out.Bytes()
}
