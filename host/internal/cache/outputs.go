package cache

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// outputs takes what a plugin renders.
type outputs struct {
	c       *Cache
	open    map[string]*pending
	current *pending
	facts   []*pb.Fact
	written int64
	limit   int64 // of written
	tooMany bool  // facts
	kept    bool  // that it fails where the disk has no room for it
}

// maxFacts of one rendering, which are held in memory.
const maxFacts = 2_000_000

// maxOutputs of one rendering.
const maxOutputs = 1024

// maxUnkept is how many bytes of a rendering are held in memory where the disk has
// no room for it.
const maxUnkept = 16 << 20

type pending struct {
	writer *blobs.Writer // nil: there is no room on the disk
	unkept bytes.Buffer
	header *pb.OutputHeader
}

func (p *pending) write(b []byte) error {
	if p.writer == nil {
		p.unkept.Write(b)
		return nil
	}
	_, err := p.writer.Write(b)
	return err
}

func (p *pending) abort() {
	if p.writer != nil {
		p.writer.Abort()
	}
}

// commit keeps the output, as far as there is room for it.
func (p *pending) commit() (*Output, error) {
	out := &Output{Type: p.header.GetContentType(), Header: p.header.GetHeaders()}
	if p.writer == nil {
		out.unkept = append([]byte{}, p.unkept.Bytes()...)
		out.Plain = Body{Digest: sha256.Sum256(out.unkept), Size: int64(len(out.unkept))}
		return out, nil
	}
	size := p.writer.Size()
	digest, err := p.writer.Commit(nil, false)
	out.Plain = Body{Digest: digest, Size: size}
	return out, err
}

// Output begins an output or goes on with it.
func (o *outputs) Output(h *pb.OutputHeader) error {
	if o.open == nil {
		o.open = map[string]*pending{}
	}
	if o.current = o.open[h.GetName()]; o.current != nil {
		return nil
	}
	if len(o.open) >= maxOutputs {
		return fmt.Errorf("plugin renders more than %d outputs", maxOutputs)
	}
	w, err := o.c.blobs.Create()
	if err != nil && (o.kept || !errors.Is(err, blobs.ErrNoSpace)) {
		return err
	}
	o.current = &pending{writer: w, header: h}
	o.open[h.GetName()] = o.current
	return nil
}

// Piece appends to the output begun last.
func (o *outputs) Piece(p []byte) error {
	if o.current == nil {
		return errors.New("plugin sends a piece of no output")
	}
	if o.written += int64(len(p)); o.written > o.limit {
		return errors.New("plugin renders more than four times max_document")
	}
	if o.current.writer == nil && o.written > maxUnkept {
		return fmt.Errorf("%w: a rendering has more than the %d bytes that need none", blobs.ErrNoSpace, maxUnkept)
	}
	return o.current.write(p)
}

// Facts collects facts.
func (o *outputs) Facts(facts []*pb.Fact) {
	if o.tooMany = o.tooMany || len(o.facts)+len(facts) > maxFacts; !o.tooMany {
		o.facts = append(o.facts, facts...)
	}
}

// Reset drops everything so far.
func (o *outputs) Reset() error {
	o.abort()
	o.open, o.current, o.facts, o.written, o.tooMany = nil, nil, nil, 0, false
	return nil
}

func (o *outputs) abort() {
	for _, p := range o.open {
		p.abort()
	}
}

func (o *outputs) commit() (map[string]*Output, error) {
	defer o.abort()
	out := map[string]*Output{}
	for name, p := range o.open {
		var err error
		if out[name], err = p.commit(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
