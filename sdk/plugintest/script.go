package plugintest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// script is a parsed script.
type script struct {
	archive   *txtar.Archive
	policy    *pb.Policy
	fallback  *pb.CooldownRule        // for all packages; the policy's last rule
	options   string                  // JSON; empty: none
	upstream  map[string]*upstreamDoc // by absolute address
	exchanges []*exchange
	files     map[string]*scriptFile
	catalogue catalogue
	yanked    [][]string // arguments of the directives

	rewrite   bool // expectations that do not hold are rewritten in archive
	rewritten bool // some were
	broken    bool // a question was not answered, or not with what can be carried out
}

// upstreamDoc is what upstream answers.
type upstreamDoc struct {
	status int
	header map[string]string // names in lower case
	body   []byte
}

// exchange is a question of a client with the answer expected.
type exchange struct {
	section             int // in the archive
	title               string
	method, path, query string
	header              map[string]string // names in lower case
	body                []bodyPart        // what is sent; nil: nothing
	found               string            // the file that a directory has instead of a request; empty: it is one
	want                expectation
}

// base is the address of an upstream in scripts.
func base(role string) string { return "https://" + role + ".example.com" }

// absolute resolves an address as a source names it.
func absolute(role, address string) string {
	if strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://") {
		address, _, _ = strings.Cut(address, "#")
		return address
	}
	if role == "" {
		role = "main"
	}
	return base(role) + "/" + strings.TrimPrefix(address, "/")
}

// defaultPolicy is what is judged by where a script says nothing.
func defaultPolicy() *pb.Policy {
	return &pb.Policy{NowMs: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()}
}

func readScript(file string) (*script, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s, err := parseScript(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

func parseScript(data []byte) (*script, error) {
	s := &script{
		archive:   txtar.Parse(data),
		policy:    defaultPolicy(),
		upstream:  map[string]*upstreamDoc{},
		files:     map[string]*scriptFile{},
		catalogue: catalogue{packages: map[string]*pb.HostedPackage{}, files: map[string]hostedFile{}},
	}
	if err := s.parseComment(string(s.archive.Comment)); err != nil {
		return nil, err
	}
	for i, f := range s.archive.Files {
		var err error
		if title, ok := strings.CutPrefix(f.Name, "upstream "); ok {
			err = s.parseUpstream(title, f.Data)
		} else if title, ok := strings.CutPrefix(f.Name, "hosted "); ok {
			err = s.parseHosted(title, f)
		} else if title, ok := strings.CutPrefix(f.Name, "file "); ok {
			err = s.parseFile(title, f.Data)
		} else {
			err = s.parseExchange(i, f)
		}
		if err != nil {
			return nil, fmt.Errorf("section %q: %w", f.Name, err)
		}
	}
	s.yank()
	if err := s.pack(); err != nil {
		return nil, err
	}
	for _, e := range s.exchanges {
		for _, p := range append(e.body, bodyPart{file: e.found}) {
			if p.file != "" && s.files[p.file] == nil {
				return nil, fmt.Errorf("section %q: there is no section -- file %s --", e.title, p.file)
			}
		}
	}
	if len(s.exchanges) == 0 {
		return nil, errors.New("the script asks nothing: add a section as -- GET /path --")
	}
	return s, nil
}

// parseComment tells prose from directives, so that no misspelt directive is
// taken for prose.
func (s *script) parseComment(comment string) error {
	prose := false
	for paragraph := range strings.SplitSeq(comment, "\n\n") {
		paragraph = strings.TrimSpace(paragraph)
		if first, _ := utf8.DecodeRuneInString(paragraph); unicode.IsUpper(first) {
			prose = true
			for line := range strings.Lines(paragraph) {
				if known, err := (&script{policy: &pb.Policy{}, catalogue: catalogue{packages: map[string]*pb.HostedPackage{}}}).directive(strings.TrimSpace(line)); known && err == nil {
					return fmt.Errorf("put an empty line before the directive %q", strings.TrimSpace(line))
				}
			}
			continue
		}
		for line := range strings.Lines(paragraph) {
			line = strings.TrimSpace(line)
			if known, err := s.directive(line); err != nil {
				return fmt.Errorf("directive %q: %w", line, err)
			} else if !known {
				return fmt.Errorf("unknown directive %q: there are now, cooldown, exempt, floor, options, tag, yanked, ours and merge, and a paragraph of prose begins with an upper-case letter", line)
			}
		}
	}
	if s.fallback != nil {
		s.policy.Rules = append(s.policy.Rules, s.fallback)
	}
	if !prose {
		return errors.New("begin with a sentence that says what the script shows")
	}
	return nil
}

// judgeUrgent adds a plugin's urgent names to the policy, after the rules for
// packages.
func (s *script) judgeUrgent(patterns []string) {
	packages := s.policy.Rules
	if s.fallback == nil || slices.ContainsFunc(packages, func(r *pb.CooldownRule) bool { return strings.HasPrefix(r.GetLabel(), "urgent ") }) {
		return // nothing is held back, or another host did it
	}
	packages = packages[:len(packages)-1]
	for _, p := range patterns {
		packages = append(packages, &pb.CooldownRule{Name: p, Label: "urgent " + p})
	}
	s.policy.Rules = append(packages, s.fallback)
}

// directive reads one directive; false: it is none.
func (s *script) directive(line string) (bool, error) {
	if line == "" {
		return true, errors.New("it is empty")
	}
	words := strings.Fields(line)
	args := words[1:]
	wrong := func(usage string) (bool, error) { return true, fmt.Errorf("write it as %q", usage) }
	switch words[0] {
	case "now":
		if len(args) != 1 {
			return wrong("now 2025-06-10")
		}
		at, err := parseInstant(args[0])
		s.policy.NowMs = at.UnixMilli()
		return true, err
	case "cooldown":
		if len(args) != 1 && len(args) != 2 {
			return wrong("cooldown PATTERN 7d")
		}
		window, err := parseWindow(args[len(args)-1])
		if len(args) == 1 {
			s.fallback = &pb.CooldownRule{Name: "*", WindowMs: window.Milliseconds(), Label: "default"}
		} else {
			s.policy.Rules = append(s.policy.Rules, &pb.CooldownRule{Name: args[0], WindowMs: window.Milliseconds(), Label: "package " + args[0]})
		}
		return true, err
	case "exempt":
		if len(args) != 2 {
			return wrong("exempt NAME VERSION")
		}
		s.policy.Exempt = append(s.policy.Exempt, &pb.Version{Name: args[0], Version: args[1]})
		return true, nil
	case "floor":
		if len(args) != 4 {
			return wrong("floor NAME VERSION PATH 2025-06-10")
		}
		at, err := parseInstant(args[3])
		path := args[2]
		if path == "-" {
			path = ""
		}
		s.policy.Floors = append(s.policy.Floors, &pb.Floor{Name: args[0], Version: args[1], Path: path, AtMs: at.UnixMilli()})
		return true, err
	case "options":
		s.options = strings.TrimSpace(strings.TrimPrefix(line, "options"))
		if !json.Valid([]byte(s.options)) {
			return wrong(`options {"name": "value"}`)
		}
		return true, nil
	}
	return s.hostedDirective(words)
}

func (s *script) parseUpstream(title string, body []byte) error {
	title, header, err := cutHeader(title)
	if err != nil {
		return err
	}
	doc := &upstreamDoc{status: 200, header: header, body: body}
	words := strings.Fields(title)
	if n := len(words); n > 1 {
		if status, err := strconv.Atoi(words[n-1]); err == nil {
			doc.status = status
			words = words[:n-1]
		}
	}
	role := "main"
	if len(words) == 2 {
		role, words = words[0], words[1:]
	}
	if len(words) != 1 {
		return errors.New("write it as -- upstream [ROLE] PATH [STATUS] [Header: value] --")
	}
	address := absolute(role, words[0])
	if s.upstream[address] != nil {
		return fmt.Errorf("%s is answered twice", address)
	}
	s.upstream[address] = doc
	return nil
}

var question = regexp.MustCompile(`^([A-Z]+) (/\S*)(?: < (\S.*))?$`)

func (s *script) parseExchange(i int, f txtar.File) error {
	title, header, err := cutHeader(f.Name)
	if err != nil {
		return err
	}
	e := &exchange{section: i, title: f.Name, header: header}
	if name, ok := strings.CutPrefix(title, "directory "); ok {
		e.found = name
	} else if m := question.FindStringSubmatch(title); m != nil {
		e.method, e.body = m[1], parseBody(m[3])
		e.path, e.query, _ = strings.Cut(m[2], "?")
	} else {
		return errors.New("write it as -- upstream PATH -- or as -- GET /path?query [Header: value] --, or what sends a file as -- PUT /path < NAME --")
	}
	if e.want, err = parseExpectation(string(f.Data)); err != nil {
		return err
	}
	s.exchanges = append(s.exchanges, e)
	return nil
}

// format writes the script back.
func (s *script) format() []byte { return txtar.Format(s.archive) }

// headerStart finds where one header ends and the next begins; values may have
// semicolons.
var headerStart = regexp.MustCompile(`;\s*([A-Za-z][A-Za-z0-9-]*:)`)

// cutHeader splits "title [Name: value; Name: value]".
func cutHeader(title string) (string, map[string]string, error) {
	title = strings.TrimSpace(title)
	before, block, ok := strings.Cut(title, " [")
	if !ok {
		return title, nil, nil
	}
	block, ok = strings.CutSuffix(block, "]")
	if !ok {
		return "", nil, errors.New("headers are written as [Name: value; Name: value]")
	}
	header := map[string]string{}
	for line := range strings.SplitSeq(headerStart.ReplaceAllString(block, "\n$1"), "\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return "", nil, fmt.Errorf("header %q has no colon", line)
		}
		header[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return before, header, nil
}

func parseInstant(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("write an instant as 2025-06-10 or 2025-06-10T12:00:00Z, not %s", s)
	}
	return t, nil
}

func parseWindow(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	units := map[byte]time.Duration{'d': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute}
	n, err := strconv.Atoi(s[:len(s)-1])
	unit, ok := units[s[len(s)-1]]
	if err != nil || !ok || n < 0 {
		return 0, fmt.Errorf("write a cool-down as 7d, 12h, 30m or 0, not %s", s)
	}
	return time.Duration(n) * unit, nil
}
