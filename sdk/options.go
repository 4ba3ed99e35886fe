package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

var optionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// exampleDefault is a default of each type.
var exampleDefault = map[string]string{
	"string": "text", "bool": "true", "number": "5", "list(string)": `["a", "b"]`, "map(string)": `{"a": "b"}`,
}

// optionsOf reads the schema of a plugin's options out of the tags of a
// struct: hcl:"name", help:"…", default:"…" (as JSON, or a bare string) and
// required:"true"; env:"NAME" for a string that a variable of the host may hold.
func optionsOf(t reflect.Type) ([]*pb.Option, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("options must be a struct, not %s", t)
	}
	var options []*pb.Option
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("hcl")
		if name == "" {
			return nil, fmt.Errorf(`option field %s has no tag: write hcl:"%s"`, f.Name, strings.ToLower(f.Name))
		}
		if !f.IsExported() {
			return nil, fmt.Errorf("option field %s cannot be set: begin its name with an upper-case letter", f.Name)
		}
		if !optionName.MatchString(name) {
			return nil, fmt.Errorf("option %q cannot be written in a configuration: write letters, digits, _ and -, beginning with a letter", name)
		}
		if slices.ContainsFunc(options, func(o *pb.Option) bool { return o.GetName() == name }) {
			return nil, fmt.Errorf("option %s is two fields, the second being %s: give one of them another hcl tag", name, f.Name)
		}
		if r, ok := f.Tag.Lookup("required"); ok && r != "true" {
			return nil, fmt.Errorf(`option %s has required:"%s": write required:"true", or leave it out`, name, r)
		}
		o := &pb.Option{Name: name, Help: f.Tag.Get("help"), Required: f.Tag.Get("required") == "true", Variable: f.Tag.Get("env")}
		if o.Help == "" {
			return nil, fmt.Errorf(`option %s has no help text: write help:"…"`, name)
		}
		switch {
		case f.Type.Kind() == reflect.String:
			o.Type = "string"
		case f.Type.Kind() == reflect.Bool:
			o.Type = "bool"
		case f.Type.Kind() >= reflect.Int && f.Type.Kind() <= reflect.Float64:
			o.Type = "number"
		case f.Type == reflect.TypeFor[[]string]():
			o.Type = "list(string)"
		case f.Type == reflect.TypeFor[map[string]string]():
			o.Type = "map(string)"
		default:
			return nil, fmt.Errorf("option %s is a %s: use string, bool, a number, []string or map[string]string", name, f.Type)
		}
		if d, ok := f.Tag.Lookup("default"); ok {
			if o.Required {
				return nil, fmt.Errorf("option %s is required and has a default, which is never used: drop one of the two", name)
			}
			if o.Type == "string" {
				d = strconv.Quote(d)
			}
			if json.Unmarshal([]byte(d), reflect.New(f.Type).Interface()) != nil {
				return nil, fmt.Errorf("option %s is a %s, which its default %s is not: write JSON, as default:%s", name, o.Type, d, strconv.Quote(exampleDefault[o.Type]))
			}
			o.DefaultJson = d
		}
		if o.Variable != "" && o.Type != "string" {
			return nil, fmt.Errorf("option %s is a %s, but only a string can come from a variable", name, f.Type)
		}
		options = append(options, o)
	}
	return options, nil
}

// decodeOptions fills a struct from a JSON object of options, defaults first.
func decodeOptions(into reflect.Value, options []*pb.Option, given string) error {
	values := map[string]json.RawMessage{}
	if given != "" {
		if err := json.NewDecoder(bytes.NewReader([]byte(given))).Decode(&values); err != nil {
			return fmt.Errorf("options are no JSON object: %w", err)
		}
	}
	for i, o := range options {
		value, ok := values[o.Name]
		if !ok || string(value) == "null" {
			if o.DefaultJson == "" {
				continue
			}
			value = json.RawMessage(o.DefaultJson)
		}
		if err := json.Unmarshal(value, into.Field(i).Addr().Interface()); err != nil {
			return OptionError{o.Name, err.Error()}
		}
	}
	return nil
}

// OptionError is an error about one option; the host points at its line in the
// configuration. Return it from the function handed to [Serve].
type OptionError struct {
	// Option is its name, as its hcl tag has it; it is required.
	Option string
	// Message says what is wrong and what to write instead.
	Message string
}

// Error names the option and what is wrong with it.
func (e OptionError) Error() string { return e.Option + ": " + e.Message }
