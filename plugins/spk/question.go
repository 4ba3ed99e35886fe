package main

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// question is what a device asks a package source.
type question struct {
	// arch is its platform: "apollolake".
	arch string
	// major, minor and build are those of its DSM.
	major, minor, build int
	// language is Synology's name of it: "enu", "ger".
	language string
	// beta is whether packages that are in beta are wanted, too.
	beta bool
	// unique is the kind of device, as "synology_apollolake_918+"; empty: it was
	// not said.
	unique string
}

// What parts of DSM's builds tell it apart (Synology package source API).
const (
	firstWithKeyrings = 5004  // DSM 5.1; before it the answer is a list
	firstOfSeven      = 40000 // DSM 7, whose packages no other takes
)

var (
	archPattern     = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)
	languagePattern = regexp.MustCompile(`^[a-z]{3}$`)
	uniquePattern   = regexp.MustCompile(`^synology_([a-z0-9]+)_[A-Za-z0-9+_-]{1,60}$`)
)

// parseQuestion reads a question. The text says what is wrong with it; empty:
// nothing.
func parseQuestion(query string) (question, string) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return question{}, "the question cannot be read"
	}
	q := question{arch: values.Get("arch"), language: values.Get("language"), beta: values.Get("package_update_channel") == "beta"}
	if m := uniquePattern.FindStringSubmatch(values.Get("unique")); m != nil {
		q.unique = m[0]
		if q.arch == "" {
			q.arch = m[1]
		}
	}
	if !archPattern.MatchString(q.arch) {
		return q, "this is a package source for Package Center, which says the arch of the device that asks"
	}
	for name, n := range map[string]*int{"major": &q.major, "minor": &q.minor, "build": &q.build} {
		text := values.Get(name)
		if *n, err = strconv.Atoi(text); (err != nil || *n < 0 || *n > 1e7) && (text != "" || name == "build") {
			return q, "this is a package source for Package Center, which says the build of DSM in numbers"
		}
	}
	if !languagePattern.MatchString(q.language) {
		q.language = "enu"
	}
	return q, ""
}

// path is the question's canonical address, here and upstream.
func (q question) path() string {
	values := url.Values{}
	values.Set("arch", q.arch)
	values.Set("build", strconv.Itoa(q.build))
	values.Set("language", q.language)
	values.Set("major", strconv.Itoa(q.major))
	values.Set("minor", strconv.Itoa(q.minor))
	channel := "stable"
	if q.beta {
		channel = "beta"
	}
	values.Set("package_update_channel", channel)
	if q.unique != "" {
		values.Set("unique", q.unique)
	}
	return "/?" + values.Encode()
}

// families are platforms by the family that packages may be built for.
var families = func() map[string]string {
	all := map[string]string{}
	for family, platforms := range map[string]string{
		"x86_64":  "apollolake avoton braswell broadwell broadwellnk broadwellnkv2 broadwellntb broadwellntbap bromolow cedarview denverton dockerx64 epyc7002 epyc7003 epyc7003ntb geminilake geminilakenk grantley icelaked kvmcloud kvmx64 purley r1000 r1000nk skylaked v1000 v1000nk x64 x86",
		"i686":    "evansport",
		"armv8":   "aarch64 armada37xx rtd1296 rtd1619 rtd1619b",
		"armv7":   "alpine alpine4k armada370 armada375 armada38x armadaxp comcerto2k hi3535 ipq806x monaco northstarplus",
		"armv5":   "628x 88f628x 88f5281 88f6180 88f6281 88f6282",
		"powerpc": "ppc824x ppc853x ppc854x qoriq",
	} {
		for platform := range strings.FieldsSeq(platforms) {
			all[platform] = family
		}
	}
	return all
}()

// runs reports whether the device runs what is built for some platforms.
func (q question) runs(platforms []string) bool {
	for _, p := range platforms {
		if p == "noarch" || p == q.arch || p == families[q.arch] || families[p] == families[q.arch] && (p == "aarch64" || p == "x64" || p == "628x" || p == "88f628x") && families[p] != "" {
			return true
		}
	}
	return false
}

// takes reports whether the device's DSM takes a package by the first and the
// last DSM that it is for, as "7.0-40000"; empty: any.
func (q question) takes(first, last string) bool {
	low := parseOS(first)
	if (q.build >= firstOfSeven) != (low[2] >= firstOfSeven || low[0] >= 7) {
		return false
	}
	own := [3]int{q.major, q.minor, q.build}
	if q.major == 0 {
		own[0], own[1], low[0], low[1] = 0, 0, 0, 0
	}
	return !before(own, low) && (last == "" || !before(parseOS(last), own))
}

// before compares versions of DSM: where both have a build by that alone.
func before(a, b [3]int) bool {
	if a[2] > 0 && b[2] > 0 {
		return a[2] < b[2]
	}
	if a[0] != b[0] {
		return a[0] < b[0]
	}
	return a[1] < b[1]
}

var osPattern = regexp.MustCompile(`^([0-9]{1,4})\.([0-9]{1,4})(?:\.[0-9]+)*(?:-([0-9]{1,7}))?`)

// parseOS reads a version of DSM: major, minor and build; 0: it does not say.
func parseOS(text string) [3]int {
	var v [3]int
	m := osPattern.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return v
	}
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1]) // an empty build stays 0
	}
	return v
}

// planIndex answers a device with the packages that it can install.
func (o options) planIndex(r sdk.Request) sdk.Plan {
	q, wrong := parseQuestion(r.Query)
	if wrong != "" {
		return sdk.Document{Path: "/", Query: true, Render: func(*sdk.Input) error { return sdk.BadRequest(wrong) }}
	}
	return sdk.Document{
		Path:    q.path(),
		From:    []sdk.Source{{URL: q.path(), Accept: "application/json"}},
		Hosted:  "*",
		History: true,
		Render:  func(in *sdk.Input) error { return o.render(in, q) },
	}
}
