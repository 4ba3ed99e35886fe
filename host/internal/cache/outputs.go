package cache

import (
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
}

// maxFacts of one rendering, which are held in memory.
const maxFacts = 2_000_000

// maxOutputs of one rendering.
const maxOutputs = 1024

type pending struct {
	writer *blobs.Writer
	header *pb.OutputHeader
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
	if err != nil {
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
	_, err := o.current.writer.Write(p)
	return err
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
		p.writer.Abort()
	}
}

func (o *outputs) commit() (map[string]*Output, error) {
	defer o.abort()
	out := map[string]*Output{}
	for name, p := range o.open {
		size := p.writer.Size()
		digest, err := p.writer.Commit(nil, false)
		if err != nil {
			return nil, err
		}
		out[name] = &Output{
			Type:   p.header.GetContentType(),
			Header: p.header.GetHeaders(),
			Plain:  Body{Digest: digest, Size: size},
		}
	}
	return out, nil
}
