package plugintest

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// unpackRounds bounds how often a plugin asks for more of an archive.
const unpackRounds = 32

// directory has a plugin say what a file in a directory is, stores that, and
// answers with a line for each operation.
func (h *host) directory(name string) (*answer, error) {
	if !h.about.GetCapabilities().GetHost() {
		return nil, fmt.Errorf("directory %s: the plugin has no Package, so that no repository has a directory", name)
	}
	f := h.script.files[name]
	peek := h.about.GetCapabilities().GetPeek()
	if f.kind == "folder" && !slices.ContainsFunc(f.members, func(m wire.Member) bool { return slices.Contains(peek, "folder:"+m.Name) }) {
		return nil, fmt.Errorf("directory %s: Package.Peek has the name of no file in this folder, as \"folder:NAME\"", name)
	}
	said, err := h.inspect(f, name, h.about.GetCapabilities().GetUnpack())
	if err != nil {
		return nil, err
	}
	if refused := said.GetFailure(); refused != nil {
		return nil, failed(refused)
	}
	var changes []change
	for _, o := range said.GetOperations() {
		c := change{Operation: o, file: o.GetBody(), has: o.GetKind() == pb.Operation_KIND_STORE}
		if p := o.GetPart(); p != nil && p.GetName() == "" {
			c.file, o.Replace = f.body, true // it is looked into again
		} else if p != nil {
			if c.file, c.has = f.part(p); !c.has {
				return nil, fmt.Errorf("directory %s: Unpack stores the member %q, which the archive does not have", name, p.GetName())
			}
		}
		changes = append(changes, c)
	}
	if e := said.GetEntry(); e != nil {
		changes = []change{{&pb.Operation{
			Kind: pb.Operation_KIND_STORE, Version: e.GetVersion(), Path: e.GetPath(), Extra: e.GetExtra(), ContentType: e.GetContentType(), Replace: true,
		}, f.body, true}}
	}
	if err := h.change(changes); err != nil {
		return nil, err
	}
	var lines strings.Builder
	for _, c := range changes {
		fmt.Fprintln(&lines, c)
	}
	return &answer{status: 200, header: map[string]string{}, body: []byte(lines.String())}, nil
}

// inspect asks what a file is, with what the plugin asks for on the way.
func (h *host) inspect(f *scriptFile, name string, unpack bool) (said *pb.InspectResponse, err error) {
	file := &pb.PackageFile{Repository: h.repository, Name: strings.TrimSuffix(name, "/"), Size: f.size(), Digests: f.digests(), Unpack: unpack}
	members := f.peek(h.about.GetCapabilities().GetPeek())
	var measured []*pb.Measured
	for range unpackRounds {
		err := h.patiently(func(ctx context.Context) (err error) {
			said, err = h.client.Inspect(ctx, file, members, measured...)
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(said.GetMembers())+len(said.GetParts()) == 0 {
			return said, nil
		}
		for _, wanted := range said.GetMembers() {
			m := wire.Member{Name: wanted}
			if known := f.member(wanted); known != nil {
				m = *known
			}
			members = append(members, m)
		}
		for _, p := range said.GetParts() {
			m := &pb.Measured{Part: p}
			if body, ok := f.part(p); ok {
				m.Size, m.Digests = int64(len(body)), digestsOf(body)
				if member := f.member(path.Clean(p.GetName())); !bytes.HasPrefix(member.Body, []byte{0x1f, 0x8b}) {
					m.Content = digestsOf(member.Body)
				}
			}
			measured = append(measured, m)
		}
	}
	return nil, fmt.Errorf("%s: Unpack asks for more of the archive again and again", name)
}

// change applies what a plugin ordered.
func (h *host) change(changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	h.kept = map[string]*rendering{} // they may list it
	return h.catalogue.apply(changes, h.script.policy.GetNowMs())
}

// toldOf is what is stored of a file in a directory, or why nothing is.
func (h *host) toldOf(r reporter, e *exchange) string {
	got, err := h.ask(e)
	if err != nil {
		r.Errorf("%s: %v", e.title, err)
		return ""
	}
	return got.message + string(got.body)
}
