package plugintest

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Report is told of every check: the script's file, or empty where there is
// none; what was checked, as a request or a law; and what is wrong, which is
// nothing where the check holds.
type Report func(script, check string, problems []string)

// Check tests a plugin's binary, of which no source is needed: it is started as
// the host starts it, and each script's expectations and the laws are held
// against its answers. Without scripts, the laws are held against what is asked
// of its routes. An error says that there was nothing to test: the plugin does
// not start, or a script cannot be read. What is wrong with its answers is no
// error: report, which is required, is told of it.
func Check(binary wire.Options, scripts []string, report Report) error {
	start := started(binary)
	about, err := describe(start)
	if err != nil {
		return err
	}
	in := func(file string) func(string, func(reporter)) {
		return func(name string, check func(reporter)) {
			var found problems
			check(&found)
			report(file, name, found)
		}
	}
	in("")("name of the file", func(r reporter) {
		if file := filepath.Base(binary.Path); file != about.GetName() {
			r.Errorf("the file is called %q and the plugin %q: the host looks for a plugin by its name", file, about.GetName())
		}
	})
	if len(scripts) == 0 {
		s := routesScript(about)
		if err := s.answers(start, in("")); err != nil {
			return err
		}
		s.laws(start, in(""))
		return nil
	}
	for _, file := range scripts {
		s, err := readScript(file)
		if err != nil {
			return err
		}
		if err := s.expectations(start, in(file)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		s.laws(start, in(file))
	}
	return nil
}

// reporter is the part of testing.T that checks report to.
type reporter interface {
	Errorf(format string, args ...any)
}

// problems is a reporter that keeps what it is told.
type problems []string

// Errorf adds a problem.
func (p *problems) Errorf(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// expectations checks the answers to a script's requests. An error says that
// nothing could be asked.
func (s *script) expectations(start starter, run func(name string, check func(reporter))) error {
	h, err := newHost(s, start)
	if err != nil {
		return err
	}
	defer h.close()
	for _, e := range s.exchanges {
		run(e.title, func(r reporter) { h.expect(r, e) })
	}
	return nil
}

// answers checks that there is an answer to each request, whichever it is. An
// error says that nothing could be asked.
func (s *script) answers(start starter, run func(name string, check func(reporter))) error {
	h, err := newHost(s, start)
	if err != nil {
		return err
	}
	defer h.close()
	for _, e := range s.exchanges {
		run(e.title, func(r reporter) {
			if _, err := h.ask(e); err != nil {
				s.broken = true
				r.Errorf("%v", err)
			}
		})
	}
	return nil
}

// expect asks one request and checks, or rewrites, what is expected.
func (h *host) expect(r reporter, e *exchange) {
	got, err := h.ask(e)
	if err != nil {
		h.script.broken = true
		r.Errorf("%v", err)
		return
	}
	wrong := e.want.check(got)
	if len(wrong) > 0 && h.script.rewrite {
		text, err := e.want.rewrite(got)
		if err != nil {
			r.Errorf("%v", err)
			return
		}
		h.script.archive.Files[e.section].Data = []byte(text)
		h.script.rewritten = true
		return
	}
	for _, w := range wrong {
		r.Errorf("%s", w)
	}
}

// laws checks the laws on a script. Where a question has no answer that could be
// carried out, which is reported, every law would only say so again.
func (s *script) laws(start starter, run func(name string, check func(reporter))) {
	if s.broken {
		return
	}
	for _, l := range laws() {
		run(l.name, func(r reporter) { l.check(r, s, start) })
	}
}

func describe(start starter) (*pb.DescribeResponse, error) {
	client, stop, err := start()
	if err != nil {
		return nil, err
	}
	defer stop()
	var about *pb.DescribeResponse
	err = patiently(func(ctx context.Context) (err error) {
		about, err = client.Describe(ctx, "plugintest")
		return err
	})
	return about, err
}

var captured = regexp.MustCompile(`\{[^}]*\}`)

// example is a request that a route matches.
func example(route string) (method, path string) {
	method, path, _ = strings.Cut(captured.ReplaceAllString(route, "a"), " ")
	return method, path
}

// routesScript asks each of a plugin's routes once, of an upstream that has
// nothing.
func routesScript(about *pb.DescribeResponse) *script {
	s := &script{policy: defaultPolicy()}
	for _, route := range about.GetRoutes() {
		method, path := example(route)
		s.exchanges = append(s.exchanges, &exchange{title: route, method: method, path: path})
	}
	if len(s.exchanges) == 0 {
		s.exchanges = append(s.exchanges, &exchange{title: "GET /", method: "GET", path: "/"})
	}
	return s
}
