package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is what an entry says of its version, by property.
type row map[string]string

// A filter is a condition on an entry, in the language of OData (version 2, URI
// conventions, section 4.5) as far as clients of NuGet use it.
type filter struct {
	// text is how it was written.
	text string
	// root is nil where everything is wanted.
	root *expression
}

// expression is a part of a filter.
type expression struct {
	kind  kind
	value func(row) value
	// property is the name of one, where the expression is that or its lower or
	// upper case; empty: it is none.
	property string
	// literal is whether it is the same for every entry.
	literal bool
	// ids are the packages that all entries for which it is true are of; nil: of
	// any. latest is whether they are of the highest versions, pre-releases among
	// them, stable whether they are no pre-releases.
	ids            []string
	latest, stable bool
	// hint is a text that a search for such entries may look for.
	hint string
}

// kind is the type of an expression.
type kind int

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindText
	kindTime
)

// value is what an expression is for an entry.
type value struct {
	null   bool
	flag   bool
	number float64
	text   string
	time   time.Time
}

// parseFilter reads a condition; an empty one is always true.
func parseFilter(text string) (filter, error) {
	f := filter{text: strings.TrimSpace(text)}
	if f.text == "" {
		return f, nil
	}
	if len(f.text) > maxFilter {
		return f, fmt.Errorf("it has more than %d bytes", maxFilter)
	}
	tokens, err := tokenize(f.text)
	if err != nil {
		return f, err
	}
	p := &filterParser{tokens: tokens}
	f.root, err = p.or(0)
	switch {
	case err != nil:
		return f, err
	case p.at < len(p.tokens):
		return f, fmt.Errorf("%q is not expected there", p.tokens[p.at])
	case f.root.kind != kindBool:
		return f, fmt.Errorf("%q is no condition", f.text)
	}
	return f, nil
}

// wants reports whether the condition is true of an entry.
func (f filter) wants(r row) bool {
	if f.root == nil {
		return true
	}
	return f.root.value(r).flag
}

// about is what can be known of all entries that the filter wants.
func (f filter) about() expression {
	if f.root == nil {
		return expression{}
	}
	return *f.root
}

// tokenize takes a condition apart: words, numbers, texts in quotes, brackets
// and commas.
func tokenize(text string) ([]string, error) {
	var tokens []string
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t':
			i++
		case c == '(' || c == ')' || c == ',':
			tokens = append(tokens, string(c))
			i++
		case c == '\'':
			end := quoteEnd(text, i)
			if end < 0 {
				return nil, fmt.Errorf("the text that begins with %s is not closed", text[i:])
			}
			tokens = append(tokens, text[i:end])
			i = end
		default:
			end := i
			for end < len(text) && !strings.ContainsRune(" \t(),'", rune(text[end])) {
				end++
			}
			if strings.EqualFold(text[i:end], "datetime") && end < len(text) && text[end] == '\'' {
				if end = quoteEnd(text, end); end < 0 {
					return nil, fmt.Errorf("the time that begins with %s is not closed", text[i:])
				}
			}
			tokens = append(tokens, text[i:end])
			i = end
		}
	}
	return tokens, nil
}

// quoteEnd is where the text whose quote is at a place ends, after its closing
// quote; two quotes are one within it. Negative: it does not end.
func quoteEnd(text string, at int) int {
	for i := at + 1; i < len(text); i++ {
		if text[i] != '\'' {
			continue
		}
		if i+1 == len(text) || text[i+1] != '\'' {
			return i + 1
		}
		i++
	}
	return -1
}

// Bounds of conditions: their bytes, and how deeply they are nested.
const (
	maxFilter      = 16 << 10
	maxFilterDepth = 100
)

// filterParser reads tokens, the operators that bind least first.
type filterParser struct {
	tokens []string
	at     int
}

// next returns the next token in lower case; empty: there is none.
func (p *filterParser) next() string {
	if p.at == len(p.tokens) {
		return ""
	}
	return strings.ToLower(p.tokens[p.at])
}

// take goes past the next token if it is the one given.
func (p *filterParser) take(token string) bool {
	if p.next() != token {
		return false
	}
	p.at++
	return true
}

func (p *filterParser) or(depth int) (*expression, error) {
	left, err := p.and(depth)
	for err == nil && p.take("or") {
		var right *expression
		if right, err = p.and(depth); err == nil {
			left, err = either(left, right)
		}
	}
	return left, err
}

func (p *filterParser) and(depth int) (*expression, error) {
	left, err := p.comparison(depth)
	for err == nil && p.take("and") {
		var right *expression
		if right, err = p.comparison(depth); err == nil {
			left, err = both(left, right)
		}
	}
	return left, err
}

func (p *filterParser) comparison(depth int) (*expression, error) {
	left, err := p.unary(depth)
	if err != nil {
		return nil, err
	}
	switch operator := p.next(); operator {
	case "eq", "ne", "gt", "ge", "lt", "le":
		p.at++
		right, err := p.unary(depth)
		if err != nil {
			return nil, err
		}
		return compared(operator, left, right)
	}
	return left, nil
}

func (p *filterParser) unary(depth int) (*expression, error) {
	if depth > maxFilterDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", maxFilterDepth)
	}
	if p.take("not") {
		of, err := p.unary(depth + 1)
		if err != nil {
			return nil, err
		}
		if of.kind != kindBool {
			return nil, fmt.Errorf("what follows %q is no condition", "not")
		}
		return &expression{kind: kindBool, stable: of.property == "IsPrerelease", value: func(r row) value {
			return value{flag: !of.value(r).flag}
		}}, nil
	}
	return p.primary(depth + 1)
}

func (p *filterParser) primary(depth int) (*expression, error) {
	if p.at == len(p.tokens) {
		return nil, errors.New("it ends too early")
	}
	if p.take("(") {
		e, err := p.or(depth)
		if err == nil && !p.take(")") {
			err = errors.New("a bracket is not closed")
		}
		return e, err
	}
	token := p.tokens[p.at]
	p.at++
	if p.next() == "(" && token[0] != '\'' {
		return p.function(token, depth)
	}
	if e := literal(token); e != nil {
		return e, nil
	}
	return propertyOf(token)
}

// function reads the arguments of a function.
func (p *filterParser) function(name string, depth int) (*expression, error) {
	var arguments []*expression
	p.at++ // over the bracket
	for !p.take(")") {
		if len(arguments) > 0 && !p.take(",") {
			return nil, fmt.Errorf("the arguments of %s are not closed", name)
		}
		e, err := p.or(depth)
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, e)
	}
	return called(strings.ToLower(name), arguments)
}

// literal is a value that stands in the filter; nil: it is none.
func literal(token string) *expression {
	e := expression{literal: true}
	var v value
	switch lower := strings.ToLower(token); {
	case lower == "true" || lower == "false":
		e.kind, v.flag = kindBool, lower == "true"
	case lower == "null":
		v.null = true
	case token[0] == '\'':
		e.kind, v.text = kindText, strings.ReplaceAll(token[1:len(token)-1], "''", "'")
	case strings.HasPrefix(lower, "datetime'"):
		e.kind, v.time = kindTime, instant(token[len("datetime'"):len(token)-1])
		if v.time.IsZero() {
			return nil
		}
	default:
		n, err := strconv.ParseFloat(strings.TrimRight(lower, "lmdf"), 64)
		if err != nil || lower[0] > '9' {
			return nil
		}
		e.kind, v.number = kindNumber, n
	}
	e.value = func(row) value { return v }
	return &e
}

// propertyOf is a property of entries.
func propertyOf(token string) (*expression, error) {
	i := slices.IndexFunc(properties, func(p struct{ name, kind string }) bool { return strings.EqualFold(p.name, token) })
	if i < 0 {
		return nil, fmt.Errorf("%q is no property of a package", token)
	}
	name := properties[i].name
	e := &expression{property: name}
	switch properties[i].kind {
	case "":
		e.kind, e.value = kindText, func(r row) value { return value{text: r[name], null: r[name] == ""} }
	case "Edm.Boolean":
		e.kind, e.value = kindBool, func(r row) value { return value{flag: r[name] == "true"} }
		e.latest, e.stable = name == "IsAbsoluteLatestVersion", name == "IsLatestVersion"
	case "Edm.DateTime":
		e.kind, e.value = kindTime, func(r row) value { return value{time: instant(r[name])} }
	default:
		e.kind, e.value = kindNumber, func(r row) value {
			n, _ := strconv.ParseFloat(r[name], 64) // we wrote it
			return value{number: n}
		}
	}
	return e, nil
}

// called is a function of texts.
func called(name string, arguments []*expression) (*expression, error) {
	for _, a := range arguments {
		if a.kind != kindText {
			return nil, fmt.Errorf("%s takes texts", name)
		}
	}
	switch {
	case len(arguments) == 1 && (name == "tolower" || name == "toupper" || name == "trim"):
		change := map[string]func(string) string{"tolower": strings.ToLower, "toupper": strings.ToUpper, "trim": strings.TrimSpace}[name]
		of := *arguments[0]
		inner := of.value
		of.value = func(r row) value {
			v := inner(r)
			v.text = change(v.text)
			return v
		}
		return &of, nil
	case len(arguments) == 2 && (name == "startswith" || name == "endswith" || name == "substringof"):
		in, part := arguments[0], arguments[1]
		test := strings.HasPrefix
		switch name {
		case "endswith":
			test = strings.HasSuffix
		case "substringof":
			in, part, test = part, in, strings.Contains
		}
		e := &expression{kind: kindBool, value: func(r row) value {
			return value{flag: test(strings.ToLower(in.value(r).text), strings.ToLower(part.value(r).text))}
		}}
		if part.literal {
			e.hint = part.value(nil).text
		}
		return e, nil
	}
	return nil, fmt.Errorf("the function %s with %d arguments is not known here", name, len(arguments))
}

func both(a, b *expression) (*expression, error) {
	if a.kind != kindBool || b.kind != kindBool {
		return nil, fmt.Errorf("what stands beside %q is no condition", "and")
	}
	return &expression{
		kind: kindBool, ids: common(a.ids, b.ids), latest: a.latest || b.latest, stable: a.stable || b.stable, hint: cmp.Or(a.hint, b.hint),
		value: func(r row) value { return value{flag: a.value(r).flag && b.value(r).flag} },
	}, nil
}

func either(a, b *expression) (*expression, error) {
	if a.kind != kindBool || b.kind != kindBool {
		return nil, fmt.Errorf("what stands beside %q is no condition", "or")
	}
	e := &expression{
		kind: kindBool, latest: a.latest && b.latest, stable: a.stable && b.stable, hint: cmp.Or(a.hint, b.hint),
		value: func(r row) value { return value{flag: a.value(r).flag || b.value(r).flag} },
	}
	if a.ids != nil && b.ids != nil {
		e.ids = slices.Compact(slices.Sorted(slices.Values(slices.Concat(a.ids, b.ids))))
	}
	return e, nil
}

// common are the packages in both of two lists, of which one may be of any.
func common(a, b []string) []string {
	if a == nil || b == nil {
		return slices.Concat(a, b)
	}
	in := []string{}
	for _, id := range a {
		if slices.Contains(b, id) {
			in = append(in, id)
		}
	}
	return in
}

// compared is a comparison of two values of a kind. Texts are compared without
// regard to case, as servers of this protocol do, and versions in their order.
func compared(operator string, a, b *expression) (*expression, error) {
	if a.kind != b.kind && a.kind != kindNull && b.kind != kindNull {
		return nil, fmt.Errorf("what stands beside %q is not of one kind", operator)
	}
	kind := max(a.kind, b.kind)
	versions := isVersion(a.property) || isVersion(b.property)
	e := &expression{kind: kindBool, value: func(r row) value {
		x, y := a.value(r), b.value(r)
		if x.null || y.null {
			return value{flag: operator == "eq" && x.null == y.null || operator == "ne" && x.null != y.null}
		}
		return value{flag: holds(operator, order(kind, versions, x, y))}
	}}
	if operator != "eq" {
		return e, nil
	}
	for _, pair := range [][2]*expression{{a, b}, {b, a}} {
		if pair[1].literal && pair[0].property == "Id" {
			e.ids = []string{strings.ToLower(pair[1].value(nil).text)}
		}
		if pair[1].literal && kind == kindBool {
			is := pair[1].value(nil).flag
			e.latest = e.latest || pair[0].latest && is
			e.stable = e.stable || pair[0].stable && is || pair[0].property == "IsPrerelease" && !is
		}
	}
	return e, nil
}

func isVersion(property string) bool { return property == "Version" || property == "NormalizedVersion" }

func holds(operator string, c int) bool {
	switch operator {
	case "eq":
		return c == 0
	case "ne":
		return c != 0
	case "gt":
		return c > 0
	case "ge":
		return c >= 0
	case "lt":
		return c < 0
	}
	return c <= 0
}

// order compares two values that are not null.
func order(k kind, versions bool, x, y value) int {
	switch k {
	case kindBool:
		return cmp.Compare(strconv.FormatBool(x.flag), strconv.FormatBool(y.flag))
	case kindNumber:
		return cmp.Compare(x.number, y.number)
	case kindTime:
		return x.time.Compare(y.time)
	}
	if versions {
		v, ok1 := normalize(x.text)
		w, ok2 := normalize(y.text)
		if ok1 && ok2 {
			return compare(v, w)
		}
	}
	return strings.Compare(strings.ToLower(x.text), strings.ToLower(y.text))
}
