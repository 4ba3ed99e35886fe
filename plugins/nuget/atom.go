package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/sdk"
)

// Namespaces of OData version 2 in Atom.
const namespaces = ` xmlns="http://www.w3.org/2005/Atom"` +
	` xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices"` +
	` xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"`

// planService answers with the service document, which only has packages.
func planService(r sdk.Request) sdk.Plan {
	return sdk.Reply{
		Header: map[string]string{"Content-Type": "application/xml; charset=utf-8"},
		Body: []byte(xml.Header + `<service xml:base="` + escape(r.URL("/v2/")) + `" xmlns="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom">` +
			`<workspace><atom:title>Default</atom:title><collection href="Packages"><atom:title>Packages</atom:title></collection></workspace></service>`),
	}
}

// planSchema answers with the types of the answers, by which clients know what
// they may ask.
func planSchema(sdk.Request) sdk.Plan {
	return sdk.Reply{Header: map[string]string{"Content-Type": "application/xml; charset=utf-8"}, Body: []byte(schema)}
}

// properties are those of an entry, in the order of the schema, with their
// types; empty: a string.
var properties = []struct{ name, kind string }{
	{"Id", ""}, {"Version", ""}, {"NormalizedVersion", ""}, {"Title", ""}, {"Authors", ""}, {"Owners", ""},
	{"Copyright", ""}, {"Created", "Edm.DateTime"}, {"Dependencies", ""}, {"Description", ""},
	{"DownloadCount", "Edm.Int32"}, {"VersionDownloadCount", "Edm.Int32"}, {"GalleryDetailsUrl", ""}, {"IconUrl", ""}, {"LicenseUrl", ""},
	{"IsLatestVersion", "Edm.Boolean"}, {"IsAbsoluteLatestVersion", "Edm.Boolean"}, {"IsPrerelease", "Edm.Boolean"},
	{"Language", ""}, {"LastUpdated", "Edm.DateTime"}, {"Published", "Edm.DateTime"},
	{"PackageHash", ""}, {"PackageHashAlgorithm", ""}, {"PackageSize", "Edm.Int64"},
	{"ProjectUrl", ""}, {"ReportAbuseUrl", ""}, {"ReleaseNotes", ""}, {"RequireLicenseAcceptance", "Edm.Boolean"},
	{"Summary", ""}, {"Tags", ""}, {"MinClientVersion", ""}, {"Listed", "Edm.Boolean"},
}

var schema = func() string {
	var b strings.Builder
	b.WriteString(xml.Header + `<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">` +
		`<edmx:DataServices m:DataServiceVersion="2.0" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">` +
		`<Schema Namespace="NuGetGallery" xmlns="http://schemas.microsoft.com/ado/2006/04/edm">` +
		`<EntityType Name="V2FeedPackage" m:HasStream="true"><Key><PropertyRef Name="Id"/><PropertyRef Name="Version"/></Key>`)
	for _, p := range properties {
		kind := p.kind
		if kind == "" {
			kind = "Edm.String"
		}
		fmt.Fprintf(&b, `<Property Name="%s" Type="%s" Nullable="%t"/>`, p.name, kind, p.kind == "" && p.name != "Id" && p.name != "Version")
	}
	b.WriteString(`</EntityType><EntityContainer Name="V2FeedContext" m:IsDefaultEntityContainer="true">` +
		`<EntitySet Name="Packages" EntityType="NuGetGallery.V2FeedPackage"/>`)
	for _, f := range []struct{ name, params string }{
		{"Search", "searchTerm targetFramework includePrerelease semVerLevel"},
		{"FindPackagesById", "id semVerLevel"},
		{"GetUpdates", "packageIds versions includePrerelease includeAllVersions targetFrameworks versionConstraints semVerLevel"},
	} {
		fmt.Fprintf(&b, `<FunctionImport Name="%s" EntitySet="Packages" ReturnType="Collection(NuGetGallery.V2FeedPackage)" m:HttpMethod="GET">`, f.name)
		for _, p := range strings.Fields(f.params) {
			kind := "Edm.String"
			if strings.HasPrefix(p, "include") {
				kind = "Edm.Boolean"
			}
			fmt.Fprintf(&b, `<Parameter Name="%s" Type="%s" Mode="In"/>`, p, kind)
		}
		b.WriteString(`</FunctionImport>`)
	}
	b.WriteString(`</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>`)
	return b.String()
}()

// entryPath returns the canonical address here of a version's entry.
func entryPath(id, version string) string {
	return "/v2/Packages(Id='" + url.PathEscape(id) + "',Version='" + url.PathEscape(version) + "')"
}

// atom is a feed of packages that is being written.
type atom struct {
	in *sdk.Input
	// title is the question's function.
	title   string
	query   query
	entries []written
	// total is how many entries there are, with those on other pages; 0: those
	// added.
	total int
	// next is where the next page begins; 0: there is none.
	next int
}

// written is an entry as it is written, and what it says.
type written struct {
	text []byte
	says row
}

func newAtom(in *sdk.Input, q query) *atom { return &atom{in: in, title: q.function, query: q} }

// add adds a version if the question's filter wants it, and reports whether it
// does; details is its document in the catalog, or nil.
func (a *atom) add(r *registration, e *entry, details object) bool {
	values := e.properties(r, details)
	if !a.query.filter.wants(values) {
		return false
	}
	name := values["Id"]
	var b bytes.Buffer
	fmt.Fprintf(&b, `<id>%s</id>`, escape(a.in.URL(entryPath(r.id, e.version))))
	b.WriteString(`<category term="NuGetGallery.V2FeedPackage" scheme="http://schemas.microsoft.com/ado/2007/08/dataservices/scheme"/>`)
	fmt.Fprintf(&b, `<title type="text">%s</title><updated>%s</updated>`, escape(name), moment(e.published)+"Z")
	fmt.Fprintf(&b, `<author><name>%s</name></author>`, escape(strings.Join(e.catalog.texts("authors"), ", ")))
	fmt.Fprintf(&b, `<content type="application/zip" src="%s"/>`, escape(a.in.URL("/v2/package/"+url.PathEscape(r.id)+"/"+url.PathEscape(e.version))))
	b.WriteString(`<m:properties>`)
	for _, p := range properties {
		value := values[p.name]
		switch {
		case value == "" && p.kind == "":
			fmt.Fprintf(&b, `<d:%s m:null="true"/>`, p.name)
		case p.kind == "":
			fmt.Fprintf(&b, `<d:%s>%s</d:%[1]s>`, p.name, escape(value))
		default:
			fmt.Fprintf(&b, `<d:%s m:type="%s">%s</d:%[1]s>`, p.name, p.kind, escape(value))
		}
	}
	b.WriteString(`</m:properties>`)
	a.entries = append(a.entries, written{b.Bytes(), values})
	return true
}

// properties are what an entry says of its version.
func (e *entry) properties(r *registration, details object) row {
	name := e.catalog.text("id")
	if !strings.EqualFold(name, r.id) {
		name = r.id
	}
	published := e.published
	if !e.listed {
		published = time.Date(unlistedYear, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	c := e.catalog
	return row{
		"Id":                       name,
		"Version":                  e.original,
		"NormalizedVersion":        e.version,
		"Title":                    c.text("title"),
		"Authors":                  strings.Join(c.texts("authors"), ", "),
		"Copyright":                c.text("copyright"),
		"Created":                  moment(e.published),
		"Dependencies":             dependencies(c),
		"Description":              c.text("description"),
		"DownloadCount":            "0",
		"VersionDownloadCount":     "0",
		"IconUrl":                  c.text("iconUrl"),
		"LicenseUrl":               c.text("licenseUrl"),
		"IsLatestVersion":          strconv.FormatBool(e == r.stable),
		"IsAbsoluteLatestVersion":  strconv.FormatBool(e == r.absolute),
		"IsPrerelease":             strconv.FormatBool(prerelease(e.version)),
		"Language":                 c.text("language"),
		"LastUpdated":              moment(e.published),
		"Published":                moment(published),
		"PackageHash":              details.text("packageHash"),
		"PackageHashAlgorithm":     details.text("packageHashAlgorithm"),
		"PackageSize":              strconv.FormatInt(size(details), 10),
		"ProjectUrl":               c.text("projectUrl"),
		"ReleaseNotes":             c.text("releaseNotes"),
		"RequireLicenseAcceptance": strconv.FormatBool(string(c["requireLicenseAcceptance"]) == "true"),
		"Summary":                  c.text("summary"),
		"Tags":                     strings.Join(c.texts("tags"), " "),
		"MinClientVersion":         c.text("minClientVersion"),
		"Listed":                   strconv.FormatBool(e.listed),
	}
}

// dependencies writes what a version needs as v2 does: "id:range:framework",
// with bars between.
func dependencies(catalog object) string {
	var all []string
	for _, g := range catalog.groups() {
		framework := shortFramework(g.text("targetFramework"))
		needed := g.dependencies()
		if len(needed) == 0 && framework != "" {
			all = append(all, "::"+framework)
		}
		for _, d := range needed {
			one := d.text("id") + ":" + d.text("range")
			if framework != "" {
				one += ":" + framework
			}
			all = append(all, one)
		}
	}
	return strings.Join(all, "|")
}

var longFramework = regexp.MustCompile(`^\.NET(Framework|Standard|CoreApp)([0-9.]+)$`)

// shortFramework is a target framework as clients of v2 know it.
func shortFramework(name string) string {
	m := longFramework.FindStringSubmatch(name)
	switch {
	case m == nil:
		return name
	case m[1] == "Framework":
		return "net" + strings.ReplaceAll(m[2], ".", "")
	}
	return "net" + strings.ToLower(m[1]) + m[2]
}

// write writes the feed, in the order that is asked for, of the entries from
// skip on so many as top says (-1: all), and their number.
func (a *atom) write(skip, top int) error {
	slices.SortStableFunc(a.entries, func(x, y written) int { return a.query.order.compare(x.says, y.says) })
	count := max(a.total, len(a.entries))
	shown := a.entries[min(skip, len(a.entries)):]
	if top >= 0 {
		shown = shown[:min(top, len(shown))]
	}
	out := a.in.Output("", "application/atom+xml;type=feed;charset=utf-8")
	var b bytes.Buffer
	fmt.Fprintf(&b, `%s<feed xml:base="%s"%s><m:count>%d</m:count><id>%s</id><title type="text">%s</title><updated>%s</updated>`,
		xml.Header, escape(a.in.URL("/v2/")), namespaces, count, escape(a.in.URL(a.query.path())), escape(a.title), "1970-01-01T00:00:00Z")
	for _, e := range shown {
		b.WriteString(`<entry>`)
		b.Write(e.text)
		b.WriteString(`</entry>`)
	}
	if a.next > 0 {
		next := query{function: a.query.function, params: maps.Clone(a.query.params)}
		next.params.Set("$skip", strconv.Itoa(a.next))
		fmt.Fprintf(&b, `<link rel="next" href="%s"/>`, escape(a.in.URL(next.path())))
	}
	b.WriteString(`</feed>`)
	if _, err := out.Write(b.Bytes()); err != nil {
		return err
	}
	_, err := fmt.Fprint(a.in.Output(countOutput, "text/plain"), count)
	return err
}

// writeEntry writes the one entry there is.
func (a *atom) writeEntry() error {
	out := a.in.Output("", "application/atom+xml;type=entry;charset=utf-8")
	_, err := fmt.Fprintf(out, `%s<entry xml:base="%s"%s>%s</entry>`, xml.Header, escape(a.in.URL("/v2/")), namespaces, a.entries[0].text)
	return err
}

// moment writes a time as OData does, without a zone.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000") }

// escape writes text for XML.
func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes all
	return b.String()
}
