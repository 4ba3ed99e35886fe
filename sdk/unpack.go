package sdk

import (
	"slices"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Gzip is the encoding of a part that is compressed (RFC 1952), by the host
// unless it is so already.
const Gzip = "gzip"

// Unpacking is a file in a directory that holds several to be served. What
// Unpack asks for that is not there yet is got, and Unpack is run again from its
// beginning; what it stored is dropped then.
type Unpacking struct {
	// Members are those that [Package.Peek] chose.
	*Members

	measured map[string]*pb.Measured
	asked    *pb.InspectResponse
}

// Body is the content of a member, within the bounds of what Peek may choose.
// False: it is not there yet.
func (u *Unpacking) Body(name string) ([]byte, bool) {
	for _, m := range u.members {
		if m.Name == name {
			return m.Body, true
		}
	}
	if !slices.Contains(u.asked.Members, name) {
		u.asked.Members = append(u.asked.Members, name)
	}
	return nil, false
}

// Measure tells the size in bytes and the digests of a member, as it is (an
// empty encoding) or in one, [Gzip]. Nil digests: the file has no such member.
// False: it is not known yet.
func (u *Unpacking) Measure(name, encoding string) (size int64, digests []Digest, ok bool) {
	if m := u.measured[encoding+" "+name]; m != nil {
		return m.GetSize(), digestsFromWire(m.GetDigests()), true
	}
	part := &pb.Part{Name: name, Encoding: encoding}
	if !slices.ContainsFunc(u.asked.Parts, func(p *pb.Part) bool { return p.GetName() == name && p.GetEncoding() == encoding }) {
		u.asked.Parts = append(u.asked.Parts, part)
	}
	return 0, nil, false
}

// Content tells the digests of what a part that was measured holds, which one in an
// encoding has before the host compresses it. Nil: it was compressed before, which
// is not undone to tell, or is not measured yet; some algorithms may be missing.
func (u *Unpacking) Content(name, encoding string) []Digest {
	return digestsFromWire(u.measured[encoding+" "+name].GetContent())
}

// StoreFile stores the file itself as an entry. What lies in a directory by
// itself comes before the same of another file.
func (u *Unpacking) StoreFile(e Entry) {
	o := e.operation()
	o.Part, o.Replace = &pb.Part{}, false
	u.asked.Operations = append(u.asked.Operations, o)
}

// Store stores a member, as it is (an empty encoding) or in one, [Gzip], as an
// entry.
func (u *Unpacking) Store(name, encoding string, e Entry) {
	o := e.operation()
	o.Part = &pb.Part{Name: name, Encoding: encoding}
	u.asked.Operations = append(u.asked.Operations, o)
}

// StoreBytes stores a file that does not stand in the archive as such, or is a
// member that Peek chose, of up to a MiB.
func (u *Unpacking) StoreBytes(body []byte, e Entry) {
	o := e.operation()
	o.Body = body
	u.asked.Operations = append(u.asked.Operations, o)
}

// Tag points a tag at a version, which must be stored by then.
func (u *Unpacking) Tag(name, tag, version string) {
	u.asked.Operations = append(u.asked.Operations, &pb.Operation{
		Kind: pb.Operation_KIND_TAG, Version: &pb.Version{Name: name, Version: version}, Value: tag,
	})
}

// operation stores an entry.
func (e Entry) operation() *pb.Operation {
	return &pb.Operation{
		Kind: pb.Operation_KIND_STORE, Version: e.Version.wire(), Path: e.Path, Extra: e.Extra, File: -1, Replace: true,
		ContentType: e.Type, Needs: e.Needs, Loose: e.Loose,
	}
}

// unpack has a plugin say what is in a file.
func unpack(p *Package, members *Members, measured []*pb.Measured) *pb.InspectResponse {
	u := &Unpacking{Members: members, measured: map[string]*pb.Measured{}, asked: &pb.InspectResponse{}}
	for _, m := range measured {
		u.measured[m.GetPart().GetEncoding()+" "+m.GetPart().GetName()] = m
	}
	err := p.Unpack(u)
	if len(u.asked.Members)+len(u.asked.Parts) > 0 {
		return &pb.InspectResponse{Members: u.asked.Members, Parts: u.asked.Parts}
	}
	if err != nil {
		return &pb.InspectResponse{Failure: refusal(err).wire()}
	}
	p.name(u.asked.Operations)
	return u.asked
}
