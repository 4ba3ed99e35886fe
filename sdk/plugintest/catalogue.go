package plugintest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// catalogue is what is hosted.
type catalogue struct {
	packages map[string]*pb.HostedPackage
	files    map[string]hostedFile // by path
	ours     []string              // patterns of names that upstream is not asked for
	merge    []string              // patterns of names that both have
	gone     map[string][]byte     // files that were deleted for good, by path
}

// hostedFile is a file of ours.
type hostedFile struct {
	body        []byte
	contentType string // empty: as the artifact's plan says
}

// of is a package, which is made if there is none.
func (c *catalogue) of(name string) *pb.HostedPackage {
	if c.packages[name] == nil {
		c.packages[name] = &pb.HostedPackage{Name: name, Revision: 1, Tags: map[string]string{}}
	}
	return c.packages[name]
}

// clone is a catalogue of its own for one host.
func (c *catalogue) clone() catalogue {
	own := catalogue{packages: map[string]*pb.HostedPackage{}, files: maps.Clone(c.files), ours: c.ours, merge: c.merge, gone: map[string][]byte{}}
	maps.Copy(own.gone, c.gone)
	for name, p := range c.packages {
		own.packages[name] = proto.CloneOf(p)
		own.packages[name].Tags = maps.Clone(p.GetTags()) // which of none makes no nil
	}
	return own
}

// change is an operation with the bytes of the file that it stores, if any.
type change struct {
	*pb.Operation
	file []byte
	has  bool
}

// apply does what a plugin ordered, all or nothing.
func (c *catalogue) apply(changes []change, nowMs int64) error {
	own := c.clone()
	for _, o := range changes {
		if o.GetVersion().GetName() == "" {
			return fmt.Errorf("the plugin orders %s without the name of a package", o.GetKind())
		}
		p := own.of(o.GetVersion().GetName())
		p.Revision++
		if err := own.do(p, o, nowMs); err != nil {
			return err
		}
	}
	for name, p := range own.packages {
		if len(p.GetEntries()) == 0 && len(p.GetOwners()) == 0 && p.GetExtra() == nil && c.packages[name] != nil {
			delete(own.packages, name)
		}
	}
	*c = own
	return nil
}

func (c *catalogue) do(p *pb.HostedPackage, o change, nowMs int64) error {
	name, version := o.GetVersion().GetName(), o.GetVersion().GetVersion()
	each := func(f func(*pb.Entry)) error {
		found := false
		for _, e := range p.Entries {
			if e.GetVersion().GetVersion() == version {
				f(e)
				found = true
			}
		}
		if !found {
			return &failure{kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, message: fmt.Sprintf("there is no %s %s here", name, version)}
		}
		return nil
	}
	switch o.GetKind() {
	case pb.Operation_KIND_STORE:
		return c.store(p, o, nowMs)
	case pb.Operation_KIND_TAG:
		if err := each(func(*pb.Entry) {}); err != nil {
			return err
		}
		p.Tags[o.GetValue()] = version
	case pb.Operation_KIND_UNTAG:
		delete(p.Tags, o.GetValue())
	case pb.Operation_KIND_YANK:
		return each(func(e *pb.Entry) { e.Yanked, e.Message = true, o.GetValue() })
	case pb.Operation_KIND_UNYANK:
		return each(func(e *pb.Entry) { e.Yanked, e.Message = false, "" })
	case pb.Operation_KIND_DEPRECATE:
		return each(func(e *pb.Entry) { e.Message = o.GetValue() })
	case pb.Operation_KIND_DELETE:
		c.remove(p, version, o)
	case pb.Operation_KIND_OWN:
		if !slices.Contains(p.Owners, o.GetValue()) {
			p.Owners = append(p.Owners, o.GetValue())
		}
	case pb.Operation_KIND_DISOWN:
		p.Owners = slices.DeleteFunc(p.Owners, func(user string) bool { return user == o.GetValue() })
	case pb.Operation_KIND_EXTRA:
		p.Extra = o.GetExtra()
	default:
		return fmt.Errorf("the plugin orders %s, which is none that plugintest can carry out", o.GetKind())
	}
	return nil
}

// store adds an entry, or replaces the one at its path.
func (c *catalogue) store(p *pb.HostedPackage, o change, nowMs int64) error {
	e := &pb.Entry{Version: o.GetVersion(), Path: o.GetPath(), Extra: o.GetExtra(), PublishedMs: nowMs, ContentType: o.GetContentType()}
	same := func(x *pb.Entry) bool {
		return x.GetPath() == e.GetPath() && (e.GetPath() != "" || x.GetVersion().GetVersion() == e.GetVersion().GetVersion())
	}
	if at := slices.IndexFunc(p.Entries, same); at >= 0 {
		if !o.GetReplace() {
			return &failure{kind: pb.ErrorKind_ERROR_KIND_CONFLICT, message: fmt.Sprintf("%s %s is there already, and what is published does not change", p.GetName(), e.GetVersion().GetVersion())}
		}
		e.PublishedMs = p.Entries[at].GetPublishedMs()
		p.Entries = slices.Delete(p.Entries, at, at+1)
	}
	if other := spelledThere(p, e.GetVersion()); other != "" {
		return &failure{kind: pb.ErrorKind_ERROR_KIND_CONFLICT, message: fmt.Sprintf("%s %s is the same version as %s, which is here, and only spelled otherwise", p.GetName(), e.GetVersion().GetVersion(), other)}
	}
	if buried, ok := c.gone[e.GetPath()]; ok && !bytes.Equal(buried, o.file) {
		return &failure{kind: pb.ErrorKind_ERROR_KIND_CONFLICT, message: strings.TrimSpace(p.GetName()+" "+e.GetVersion().GetVersion()) + " was published with other bytes and deleted, and does not come back with these"}
	}
	if o.has {
		e.Size, e.Digests = int64(len(o.file)), digestsOf(o.file)
		c.files[e.GetPath()] = hostedFile{o.file, o.GetContentType()}
	}
	p.Entries = append(p.Entries, e)
	return nil
}

// spelledThere is a version that is the same as another but spelled otherwise; empty:
// there is none.
func spelledThere(p *pb.HostedPackage, v *pb.Version) string {
	for _, e := range p.GetEntries() {
		if e.GetVersion().GetVersion() != v.GetVersion() && canonicalOf(e.GetVersion()) == canonicalOf(v) {
			return e.GetVersion().GetVersion()
		}
	}
	return ""
}

// canonicalOf is what all spellings of a version have in common.
func canonicalOf(v *pb.Version) string { return or(v.GetCanonical(), v.GetVersion()) }

// remove deletes a file, a version or, of no version, a package.
func (c *catalogue) remove(p *pb.HostedPackage, version string, o change) {
	p.Entries = slices.DeleteFunc(p.Entries, func(e *pb.Entry) bool {
		goes := (version == "" || e.GetVersion().GetVersion() == version) && (o.GetPath() == "" || e.GetPath() == o.GetPath())
		if goes {
			if o.GetForGood() {
				c.gone[e.GetPath()] = c.files[e.GetPath()].body
			}
			delete(c.files, e.GetPath())
		}
		return goes
	})
	for tag, at := range p.Tags {
		if !slices.ContainsFunc(p.Entries, func(e *pb.Entry) bool { return e.GetVersion().GetVersion() == at }) {
			delete(p.Tags, tag)
		}
	}
}

// String says what is ordered in one line.
func (o change) String() string {
	words := []string{strings.ToLower(strings.TrimPrefix(o.GetKind().String(), "KIND_")), o.GetVersion().GetName(), o.GetVersion().GetVersion()}
	if o.GetPath() != "" {
		words = append(words, o.GetPath())
	}
	if o.GetValue() != "" {
		words = append(words, o.GetValue())
	}
	return strings.Join(words, " ")
}
