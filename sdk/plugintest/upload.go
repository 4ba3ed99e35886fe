package plugintest

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// bodyPart is a part of a request's body, as the host takes it apart.
type bodyPart struct {
	name   string // empty: the part is the whole body
	isFile bool
	file   string // of the script
}

// parseBody reads what stands behind < in a request: NAME, or parts as
// FIELD=NAME and @FIELD=NAME.
func parseBody(text string) []bodyPart {
	var parts []bodyPart
	for word := range strings.FieldsSeq(text) {
		name, file, named := strings.Cut(word, "=")
		if !named {
			parts = append(parts, bodyPart{isFile: true, file: word})
			continue
		}
		field, isFile := strings.CutPrefix(name, "@")
		parts = append(parts, bodyPart{field, isFile, file})
	}
	return parts
}

// whole is a body that is one file, which is empty where nothing is sent.
func (h *host) whole(e *exchange) (*sentFile, error) {
	if len(e.body) == 0 {
		return &sentFile{scriptFile: &scriptFile{}}, nil
	}
	if len(e.body) > 1 || e.body[0].name != "" {
		return nil, fmt.Errorf("%s: the whole body of this route is one file: send it as < NAME", e.title)
	}
	return &sentFile{scriptFile: h.script.files[e.body[0].file]}, nil
}

// upload carries an upload or a change out.
func (h *host) upload(u *pb.Upload, e *exchange) (*answer, error) {
	if u.GetStep() == pb.Step_STEP_UNSPECIFIED {
		return h.publish(u, e)
	}
	sent, err := h.whole(e)
	if err != nil {
		return nil, err
	}
	if u.GetStep() == pb.Step_STEP_OPEN {
		if file, ok := h.mounted(u.GetMount()); ok {
			return h.decide(u, e, h.publication(e), []*sentFile{{scriptFile: &scriptFile{body: file}}})
		}
		h.begun++
		session := strconv.Itoa(h.begun)
		h.sessions[session] = nil
		return h.progress(u, session), nil
	}
	session := u.GetSession()
	have, ok := h.sessions[session]
	if !ok {
		return nil, &failure{kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, message: "there is no such upload; it may have ended"}
	}
	switch u.GetStep() {
	case pb.Step_STEP_APPEND, pb.Step_STEP_COMMIT:
		if err := follows(u.GetRange(), len(have), len(sent.body)); err != nil {
			return nil, err
		}
		h.sessions[session] = append(have, sent.body...)
	}
	got := h.progress(u, session)
	switch u.GetStep() {
	case pb.Step_STEP_ABORT:
		delete(h.sessions, session)
	case pb.Step_STEP_COMMIT:
		file := &sentFile{scriptFile: &scriptFile{body: h.sessions[session]}}
		delete(h.sessions, session) // also when it is refused
		return h.decide(u, e, h.publication(e), []*sentFile{file})
	}
	return got, nil
}

// contentRange is where a part stands, as the host reads it.
var contentRange = regexp.MustCompile(`^(?:bytes )?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]+|\*))?$`)

// follows checks that a part of an upload stands where that ends.
func follows(at string, have, length int) error {
	if at == "" {
		return nil
	}
	m := contentRange.FindStringSubmatch(at)
	if m == nil {
		return &failure{kind: pb.ErrorKind_ERROR_KIND_BAD_REQUEST, message: fmt.Sprintf("the range %q is none", at)}
	}
	first, _ := strconv.Atoi(m[1]) // digits
	last, _ := strconv.Atoi(m[2])
	switch {
	case first != have:
		return &failure{kind: pb.ErrorKind_ERROR_KIND_RANGE, message: fmt.Sprintf("the part does not begin where the upload ends: it is at %d, and %d bytes are there", first, have)}
	case last-first+1 != length:
		return &failure{kind: pb.ErrorKind_ERROR_KIND_BAD_REQUEST, message: fmt.Sprintf("the body has %d bytes, its range %d", length, last-first+1)}
	}
	return nil
}

// progress is the answer of a step.
func (h *host) progress(u *pb.Upload, session string) *answer {
	size := len(h.sessions[session])
	fill := strings.NewReplacer("{session}", session, "{size}", strconv.Itoa(size), "{last}", strconv.Itoa(max(size-1, 0)))
	got := reply(u.GetReply())
	for name, value := range got.header {
		got.header[name] = fill.Replace(value)
	}
	return got
}

// mounted is the file of ours that makes an upload unnecessary, if there is one.
func (h *host) mounted(m *pb.Mount) ([]byte, bool) {
	if m == nil {
		return nil, false
	}
	for _, path := range sortedKeys(h.catalogue.files) {
		f := h.catalogue.files[path]
		if m.GetPath() == path || m.GetPath() == "" && verify(f.body, []*pb.Digest{m.GetDigest()}, path) == nil {
			return f.body, true
		}
	}
	return nil, false
}

// sentFile is a file of a body.
type sentFile struct {
	*scriptFile
	field, name string
}

// publish carries an upload in one request out.
func (h *host) publish(u *pb.Upload, e *exchange) (*answer, error) {
	p := h.publication(e)
	kind, _, _ := strings.Cut(u.GetBody(), ":")
	switch kind {
	case "none":
		if len(e.body) > 0 {
			return nil, fmt.Errorf("%s: a body is sent, of which the plan says nothing: its Body is none", e.title)
		}
		return h.decide(u, e, p, nil)
	case "raw", "bytes":
		file, err := h.whole(e)
		if err != nil {
			return nil, err
		}
		if kind == "bytes" {
			p.Fields = map[string][]byte{"body": file.body}
		}
		return h.decide(u, e, p, []*sentFile{file})
	}
	p.Fields = map[string][]byte{}
	var files []*sentFile
	for _, part := range e.body {
		switch f := h.script.files[part.file]; {
		case part.name == "":
			return nil, fmt.Errorf("%s: the body of this route is %q, which has parts: send them as FIELD=NAME, and files as @FIELD=NAME", e.title, u.GetBody())
		case part.isFile:
			files = append(files, &sentFile{f, part.name, part.file})
		default:
			p.Fields[part.name] = f.body
		}
	}
	return h.decide(u, e, p, files)
}

func (h *host) publication(e *exchange) wire.Publication {
	return wire.Publication{Start: &pb.AcceptStart{
		Repository: h.repository,
		Request:    &pb.Request{Method: e.method, Path: escapeBytes(e.path), Query: escapeBytes(e.query), Headers: e.header},
		NowMs:      h.script.policy.GetNowMs(),
	}}
}

// decide asks for a decision about files, with the packages that are hosted, and
// does what is ordered.
func (h *host) decide(u *pb.Upload, e *exchange, p wire.Publication, files []*sentFile) (*answer, error) {
	for _, file := range files {
		f := &pb.UploadedFile{Name: file.field, Filename: file.name, Size: int64(len(file.body)), Digests: digestsOf(file.body)}
		if !u.GetUnread() && h.about.GetCapabilities().GetHost() {
			said, err := h.inspect(file.scriptFile, or(file.name, file.field), false)
			if err != nil {
				return nil, err
			}
			f.Entry, f.Failure = said.GetEntry(), said.GetFailure()
		}
		p.Files = append(p.Files, f)
	}
	needed := u.GetNames()
	if u.GetBlind() {
		needed = nil
	}
	var excerpts []*pb.Excerpt
	for range 4 {
		for _, name := range needed {
			state := h.catalogue.packages[name]
			if state == nil {
				state = &pb.HostedPackage{Name: name}
			}
			some := false
			for _, asked := range excerpts {
				if asked.GetName() == name {
					p.Packages, some = append(p.Packages, excerpt(state, asked)), true
				}
			}
			if !some {
				p.Packages = append(p.Packages, state)
			}
		}
		var said *pb.AcceptResponse
		err := h.patiently(func(ctx context.Context) (err error) {
			said, err = h.client.Accept(ctx, p)
			return err
		})
		if err != nil {
			return nil, err
		}
		if f := said.GetFailure(); f != nil {
			return nil, failed(f)
		}
		if needed, excerpts = said.GetNeeded(), said.GetExcerpts(); len(needed) > 0 {
			continue
		}
		if err := h.change(ordered(said.GetOperations(), files)); err != nil {
			return nil, err
		}
		return reply(said.GetReply()), nil
	}
	return nil, fmt.Errorf("%s %s: Accept asks for packages again and again", e.method, e.path)
}

// excerpt is some of a package.
func excerpt(whole *pb.HostedPackage, asked *pb.Excerpt) *pb.HostedPackage {
	some := proto.CloneOf(whole)
	some.Excerpt = asked
	some.Entries = slices.DeleteFunc(some.Entries, func(e *pb.Entry) bool { return !slices.Contains(asked.GetPaths(), e.GetPath()) })
	maps.DeleteFunc(some.Tags, func(tag, _ string) bool { return !slices.Contains(asked.GetTags(), tag) })
	return some
}

// ordered are operations with the files that they store.
func ordered(operations []*pb.Operation, files []*sentFile) []change {
	var all []change
	for _, o := range operations {
		c := change{Operation: o}
		if i := int(o.GetFile()); o.GetKind() == pb.Operation_KIND_STORE && len(o.GetBody()) == 0 && i >= 0 && i < len(files) {
			c.file, c.has = files[i].body, true
		} else if len(o.GetBody()) > 0 {
			c.file, c.has = o.GetBody(), true
		}
		all = append(all, c)
	}
	return all
}
