package sdk

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

type everyOption struct {
	Text  string            `hcl:"text" default:"a \"b\"" help:"Text."`
	Flag  bool              `hcl:"flag" default:"true" help:"Flag."`
	Count int               `hcl:"count" default:"3" help:"Count."`
	Share float64           `hcl:"share" help:"Share."`
	List  []string          `hcl:"list" default:"[\"x\"]" help:"List."`
	Map   map[string]string `hcl:"map" help:"Map." required:"true"`
}

func TestOptionsAreReadFromTags(t *testing.T) {
	t.Parallel()
	options, err := optionsOf(reflect.TypeFor[everyOption]())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range options {
		got = append(got, o.GetName()+" "+o.GetType()+" "+o.GetDefaultJson())
	}
	want := `text string "a \"b\"", flag bool true, count number 3, share number , list list(string) ["x"], map map(string) `
	if strings.Join(got, ", ") != want {
		t.Errorf("options are\n%s, want\n%s", strings.Join(got, ", "), want)
	}
	if !options[5].GetRequired() || options[0].GetRequired() || options[0].GetHelp() != "Text." {
		t.Errorf("required or help are wrong: %v", options)
	}
}

func TestOptionsAreDecodedOverTheirDefaults(t *testing.T) {
	t.Parallel()
	options, err := optionsOf(reflect.TypeFor[everyOption]())
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]everyOption{
		"":   {Text: `a "b"`, Flag: true, Count: 3, List: []string{"x"}},
		"{}": {Text: `a "b"`, Flag: true, Count: 3, List: []string{"x"}},
		`{"text":"","flag":false,"count":0,"list":[],"map":{"k":"v"},"share":0.5}`: {List: []string{}, Map: map[string]string{"k": "v"}, Share: 0.5},
		`{"text":null,"unknown":1}`: {Text: `a "b"`, Flag: true, Count: 3, List: []string{"x"}},
	} {
		var got everyOption
		if err := decodeOptions(reflect.ValueOf(&got).Elem(), options, given); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v (%v), want %+v", given, got, err, want)
		}
	}
	for given, option := range map[string]string{`{"count":"three"}`: "count", `{"list":"x"}`: "list", `{"flag":1}`: "flag", `[]`: "", `{`: ""} {
		var into everyOption
		err := decodeOptions(reflect.ValueOf(&into).Elem(), options, given)
		var bad OptionError
		if err == nil || option != "" && (!errors.As(err, &bad) || bad.Option != option) {
			t.Errorf("%s: %v, want an error about %q", given, err, option)
		}
	}
}

func TestOptionsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]reflect.Type{
		"no struct": reflect.TypeFor[string](),
		"no tag":    reflect.TypeFor[struct{ A string }](),
		"no help": reflect.TypeFor[struct {
			A string `hcl:"a"`
		}](),
		"bad type": reflect.TypeFor[struct {
			A []int `hcl:"a" help:"A."`
		}](),
		"bad default": reflect.TypeFor[struct {
			A int `hcl:"a" help:"A." default:"x y"`
		}](),
	} {
		if options, err := optionsOf(of); err == nil {
			t.Errorf("%s: %v", name, options)
		}
	}
}
