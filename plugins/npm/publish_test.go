package main

import (
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// file is a member of a tarball.
func file(name, body string) wire.Member { return wire.Member{Name: name, Body: []byte(body)} }

func TestInspect(t *testing.T) {
	t.Parallel()
	client := connect(t)
	for _, c := range []struct {
		name    string
		members []wire.Member
		want    string // "name version path extra", or what the failure says
	}{
		{"usual", []wire.Member{file("package/package.json", `{"name":"tools","version":"1.0.0"}`)}, `tools 1.0.0 /tools/-/tools-1.0.0.tgz {"manifest":{"_id":"tools@1.0.0","name":"tools","version":"1.0.0"}}`},
		{"another folder, a scope, a v and a build", []wire.Member{file("tools-main/package.json", `{"name":"@acme/tools","version":" v1.0.0+7"}`)}, `@acme/tools 1.0.0 /@acme/tools/-/tools-1.0.0.tgz {"manifest":{"_id":"@acme/tools@1.0.0","name":"@acme/tools","version":"1.0.0"}}`},
		{"scripts", []wire.Member{file("package/package.json", `{"name":"tools","version":"1.0.0","scripts":{"postinstall":"./x"}}`)}, `tools 1.0.0 /tools/-/tools-1.0.0.tgz {"manifest":{"_id":"tools@1.0.0","hasInstallScript":true,"name":"tools","scripts":{"postinstall":"./x"},"version":"1.0.0"}}`},
		{"native", []wire.Member{file("package/package.json", "\ufeff"+`{"name":"tools","version":"1.0.0"}`), file("package/binding.gyp", "{}")}, `tools 1.0.0 /tools/-/tools-1.0.0.tgz {"manifest":{"_id":"tools@1.0.0","hasInstallScript":true,"name":"tools","version":"1.0.0"}}`},
		{"shrinkwrap", []wire.Member{file("package/npm-shrinkwrap.json", "{}"), file("package/package.json", `{"name":"tools","version":"1.0.0"}`)}, `tools 1.0.0 /tools/-/tools-1.0.0.tgz {"manifest":{"_hasShrinkwrap":true,"_id":"tools@1.0.0","name":"tools","version":"1.0.0"}}`},
		{"what a registry says itself", []wire.Member{file("package/package.json", `{"name":"@acme/tools","version":"1.0.0","bin":"./run.js","readme":"Read.","dist":{"tarball":"https://evil.example.com/x.tgz"},"dependencies":{"lamp":"^1"}}`)}, `@acme/tools 1.0.0 /@acme/tools/-/tools-1.0.0.tgz {"manifest":{"_id":"@acme/tools@1.0.0","bin":{"tools":"./run.js"},"dependencies":{"lamp":"^1"},"name":"@acme/tools","version":"1.0.0"},"readme":"Read."}`},
		{"keys in other cases", []wire.Member{file("package/package.json", `{"Name":"other","name":"tools","version":"1.0.0","VERSION":"9.0.0"}`)}, `tools 1.0.0 /tools/-/tools-1.0.0.tgz {"manifest":{"Name":"other","VERSION":"9.0.0","_id":"tools@1.0.0","name":"tools","version":"1.0.0"}}`},
		{"no string", []wire.Member{file("package/package.json", `{"name":"tools","version":1}`)}, "no version"},
		{"empty", nil, "it is no tarball"},
		{"two", []wire.Member{file("a/package.json", `{"name":"tools","version":"1.0.0"}`), file("b/package.json", `{"name":"tools","version":"2.0.0"}`)}, "two package.json"},
		{"no JSON", []wire.Member{file("package/package.json", `{"name":`)}, "no valid JSON"},
		{"no object", []wire.Member{file("package/package.json", `["tools"]`)}, "package.json in the tarball"},
		{"a name that leads elsewhere", []wire.Member{file("package/package.json", `{"name":"../tools","version":"1.0.0"}`)}, "no name of a package"},
		{"no version", []wire.Member{file("package/package.json", `{"name":"tools","version":"1.0"}`)}, "no version"},
		{"the largest numbers", []wire.Member{file("package/package.json", `{"name":"tools","version":"9007199254740991.0.0"}`)}, `tools 9007199254740991.0.0 /tools/-/tools-9007199254740991.0.0.tgz {"manifest":{"_id":"tools@9007199254740991.0.0","name":"tools","version":"9007199254740991.0.0"}}`},
		{"a major number beyond", []wire.Member{file("package/package.json", `{"name":"tools","version":"9007199254740992.0.0"}`)}, "no version"},
		{"a minor number beyond", []wire.Member{file("package/package.json", `{"name":"tools","version":"1.9007199254740992.0"}`)}, "no version"},
		{"a patch number beyond", []wire.Member{file("package/package.json", `{"name":"tools","version":"1.0.9007199254740992-a"}`)}, "no version"},
		{"a long version", []wire.Member{file("package/package.json", `{"name":"tools","version":"1.0.0-a+`+strings.Repeat("b", 249)+`"}`)}, "no version"},
		{"a version that leads elsewhere", []wire.Member{file("package/package.json", `{"name":"tools","version":"1.0.0-../../x"}`)}, "no version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			said, err := client.Inspect(t.Context(), &pb.PackageFile{Repository: &pb.Repository{Name: "npm"}}, c.members)
			if err != nil {
				t.Fatal(err)
			}
			if f := said.GetFailure(); f != nil {
				if !strings.Contains(f.GetMessage(), c.want) {
					t.Errorf("it is refused: %s", f.GetMessage())
				}
				return
			}
			e := said.GetEntry()
			if got := fmt.Sprintf("%s %s %s %s", e.GetVersion().GetName(), e.GetVersion().GetVersion(), e.GetPath(), e.GetExtra()); got != c.want {
				t.Errorf("it is %s", got)
			}
		})
	}
}

// tarballBody is what the tests publish.
const tarballBody = "bytes of a tarball"

// uploaded is the tarball as the host hands it on.
func uploaded(name, version string) *pb.UploadedFile {
	long, short := sha512.Sum512([]byte(tarballBody)), sha1.Sum([]byte(tarballBody))
	return &pb.UploadedFile{
		Name: name + "-" + version + ".tgz", Filename: name + "-" + version + ".tgz", Size: int64(len(tarballBody)),
		Digests: []*pb.Digest{{Algorithm: "sha1", Sum: short[:]}, {Algorithm: "sha512", Sum: long[:]}},
		Entry: &pb.Entry{
			Version: &pb.Version{Name: name, Version: version},
			Path:    filePath(name, fileName(name, version)), Extra: []byte(`{"manifest":{"hasInstallScript":true}}`),
		},
	}
}

// accepts asks for a decision about a request on a package, and writes it in
// one line an operation, or as what the failure says.
func accepts(t *testing.T, request, body string, files []*pb.UploadedFile, state *pb.HostedPackage) []string {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	said, err := connect(t).Accept(t.Context(), wire.Publication{
		Start:    &pb.AcceptStart{Repository: &pb.Repository{Name: "npm", BaseUrl: "http://entrepot/npm"}, Request: &pb.Request{Method: method, Path: path}, User: "joe", NowMs: time.Date(2025, 6, 10, 0, 0, 0, 0, time.UTC).UnixMilli()},
		Fields:   map[string][]byte{"json": []byte(body)},
		Files:    files,
		Packages: []*pb.HostedPackage{state},
	})
	if err != nil {
		t.Fatal(err)
	}
	if f := said.GetFailure(); f != nil {
		return []string{f.GetKind().String(), f.GetMessage()}
	}
	var lines []string
	for _, o := range said.GetOperations() {
		kind := strings.ToLower(strings.TrimPrefix(o.GetKind().String(), "KIND_"))
		switch o.GetKind() {
		case pb.Operation_KIND_EXTRA:
			lines = append(lines, kind+" "+string(o.GetExtra()))
		case pb.Operation_KIND_STORE:
			lines = append(lines, fmt.Sprintf("%s %d %s %s", kind, o.GetFile(), o.GetPath(), o.GetExtra()))
		default:
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", kind, o.GetVersion().GetVersion(), o.GetValue())))
		}
	}
	return lines
}

// publication is a document that publishes a version.
func publication(name, version, manifest, more string) string {
	return fmt.Sprintf(`{"_id":%q,"name":%q,"dist-tags":{"latest":%q},"versions":{%q:%s},"_attachments":{%q:{"data":""}%s}}`,
		name, name, version, version, manifest, name+"-"+version+".tgz", more)
}

func manifestOf(name, version, more string) string {
	return fmt.Sprintf(`{"name":%q,"version":%q%s}`, name, version, more)
}

// bundle is provenance about tarballs of packages, each by a name and a digest.
func bundle(names string, digest string) string {
	var subjects []string
	for name := range strings.SplitSeq(names, " ") {
		subjects = append(subjects, fmt.Sprintf(`{"name":%q,"digest":{"sha512":%q}}`, name, digest))
	}
	statement := fmt.Sprintf(`{"subject":[%s],"predicateType":"https://slsa.dev/provenance/v1"}`, strings.Join(subjects, ","))
	return fmt.Sprintf(`{"dsseEnvelope":{"payload":%q}}`, base64.StdEncoding.EncodeToString([]byte(statement)))
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func TestPublish(t *testing.T) {
	t.Parallel()
	long := sha512.Sum512([]byte(tarballBody))
	sum := hex.EncodeToString(long[:])
	const purl = "pkg:npm/%40acme/tools@1.0.0"
	good := bundle(purl, sum)
	one := []*pb.UploadedFile{uploaded("@acme/tools", "1.0.0")}
	broken := uploaded("@acme/tools", "1.0.0")
	broken.Entry, broken.Failure = nil, &pb.Failure{Kind: pb.ErrorKind_ERROR_KIND_BAD_REQUEST, Message: "it is no tarball"}
	const touched = `extra {"created":"2025-06-10T00:00:00Z","modified":"2025-06-10T00:00:00Z"}`
	const store = `store 0 /@acme/tools/-/tools-1.0.0.tgz `
	for _, c := range []struct {
		name, body string
		files      []*pb.UploadedFile
		want       []string // operations, or a failure and what it says
	}{
		{
			"a version", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", `,"bin":{"a":"b"},"deprecated":"x","dist":{"tarball":"http://elsewhere.example.com/","integrity":"sha512-`+base64.StdEncoding.EncodeToString(long[:])+`"}`), ""), one,
			[]string{store + `{"manifest":{"_npmUser":{"name":"joe","email":""},"hasInstallScript":true,"name":"@acme/tools","version":"1.0.0"}}`, "tag 1.0.0 latest", "own  joe", touched},
		},
		{
			"provenance", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), `,"@acme/tools-1.0.0.sigstore":{"data":`+quoted(good)+`}`), one,
			[]string{store + `{"manifest":{"_npmUser":{"name":"joe","email":""},"hasInstallScript":true,"name":"@acme/tools","version":"1.0.0"},"provenance":` + good + `}`, "tag 1.0.0 latest", "own  joe", touched},
		},
		{"provenance of another tarball", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), `,"@acme/tools-1.0.0.sigstore":{"data":`+quoted(bundle(purl, "ab"))+`}`), one, []string{"ERROR_KIND_BAD_REQUEST", "about another tarball"}},
		{"provenance of another package", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), `,"@acme/tools-1.0.0.sigstore":{"data":`+quoted(bundle("pkg:npm/tools@1.0.0", sum))+`}`), one, []string{"ERROR_KIND_BAD_REQUEST", `is about "pkg:npm/tools@1.0.0", but pkg:npm/%40acme/tools@1.0.0 is published`}},
		{"provenance of another version", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), `,"@acme/tools-1.0.0.sigstore":{"data":`+quoted(bundle("pkg:npm/%40acme/tools@1.0.1", sum))+`}`), one, []string{"ERROR_KIND_BAD_REQUEST", "1.0.1"}},
		{"provenance of several packages", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), `,"@acme/tools-1.0.0.sigstore":{"data":`+quoted(bundle(purl+" pkg:npm/evil@1.0.0", sum))+`}`), one, []string{"ERROR_KIND_BAD_REQUEST", "about 2 packages"}},
		{"provenance that is none", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), `,"@acme/tools-1.0.0.sigstore":{"data":"{}"}`), one, []string{"ERROR_KIND_BAD_REQUEST", "no Sigstore bundle"}},
		{"another package", publication("@acme/other", "1.0.0", manifestOf("@acme/other", "1.0.0", ""), ""), one, []string{"ERROR_KIND_BAD_REQUEST", "is about @acme/other, but its address about @acme/tools"}},
		{"another package's tarball", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), ""), []*pb.UploadedFile{uploaded("lodash", "1.0.0")}, []string{"ERROR_KIND_BAD_REQUEST", `has the name "@acme/tools", but package.json in the tarball "lodash"`}},
		{"another version's tarball", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), ""), []*pb.UploadedFile{uploaded("@acme/tools", "1.0.1")}, []string{"ERROR_KIND_BAD_REQUEST", `has the version "1.0.0", but package.json in the tarball "1.0.1"`}},
		{"another version's manifest", publication("@acme/tools", "1.0.1", manifestOf("@acme/tools", "1.0.0", ""), ""), one, []string{"ERROR_KIND_BAD_REQUEST", "is about @acme/tools 1.0.1, but the tarball is @acme/tools 1.0.0"}},
		{"another digest", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", `,"dist":{"shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}`), ""), one, []string{"ERROR_KIND_BAD_REQUEST", "does not have the sha1"}},
		{"no package", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), ""), []*pb.UploadedFile{broken}, []string{"ERROR_KIND_BAD_REQUEST", "it is no tarball"}},
		{"two files", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), ""), slices.Concat(one, one), []string{"ERROR_KIND_BAD_REQUEST", "one version with one tarball, and this one 1 with 2"}},
		{"no file", publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), ""), nil, []string{"ERROR_KIND_BAD_REQUEST", "one version with one tarball, and this one 1 with 0"}},
		{"a tag like a version", strings.Replace(publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), ""), "latest", "v1", 1), one, []string{"ERROR_KIND_BAD_REQUEST", `"v1" cannot be a tag`}},
		{"a tag elsewhere", strings.Replace(publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), ""), `"latest":"1.0.0"`, `"latest":"2.0.0"`, 1), one, []string{"ERROR_KIND_BAD_REQUEST", "the tag latest is to be on 2.0.0"}},
		{"another length", strings.Replace(publication("@acme/tools", "1.0.0", manifestOf("@acme/tools", "1.0.0", ""), ""), `{"data":""}`, `{"data":"","length":5}`, 1), one, []string{"ERROR_KIND_BAD_REQUEST", "has 18 bytes, but the document says 5"}},
		{"no JSON", "{", one, []string{"ERROR_KIND_BAD_REQUEST", "cannot be read"}},
		{"no object", "[]", one, []string{"ERROR_KIND_BAD_REQUEST", "cannot be read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			compare(t, accepts(t, "PUT /@acme%2ftools", c.body, c.files, &pb.HostedPackage{Name: "@acme/tools"}), c.want)
		})
	}
}

// compare compares operations, or looks for what a failure is to say.
func compare(t *testing.T, got, want []string) {
	t.Helper()
	if len(want) == 2 && strings.HasPrefix(want[0], "ERROR_") {
		if len(got) != 2 || got[0] != want[0] || !strings.Contains(got[1], want[1]) {
			t.Errorf("the decision is %q", got)
		}
		return
	}
	if !slices.Equal(got, want) {
		t.Errorf("the decision is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// hostedState is @acme/tools with four versions.
const hostedState = `
	name: "@acme/tools" revision: 7 owners: "joe" owners: "jane" tags { key: "latest" value: "2.0.0" } tags { key: "old" value: "1.0.0" }
	extra: '{"created":"2025-01-01T00:00:00Z","modified":"2025-01-01T00:00:00Z"}'
	entries { version { name: "@acme/tools" version: "1.0.0" } path: "/@acme/tools/-/tools-1.0.0.tgz" message: "old" }
	entries { version { name: "@acme/tools" version: "1.1.0" } path: "/@acme/tools/-/tools-1.1.0.tgz" }
	entries { version { name: "@acme/tools" version: "2.0.0" } path: "/@acme/tools/-/tools-2.0.0.tgz" }
	entries { version { name: "@acme/tools" version: "3.0.0-rc.1" } path: "/@acme/tools/-/tools-3.0.0-rc.1.tgz" }
`

func TestChange(t *testing.T) {
	t.Parallel()
	state := &pb.HostedPackage{}
	if err := prototext.Unmarshal([]byte(hostedState), state); err != nil {
		t.Fatal(err)
	}
	const touched = `extra {"created":"2025-01-01T00:00:00Z","modified":"2025-06-10T00:00:00Z"}`
	const all = `"1.0.0":{"deprecated":"old"},"1.1.0":{},"2.0.0":{},"3.0.0-rc.1":{}`
	for _, c := range []struct {
		name, request, body string
		want                []string
	}{
		{"deprecate", "PUT /@acme%2ftools", `{"_rev":"7","versions":{"1.0.0":{"deprecated":""},"1.1.0":{"deprecated":"use 2"},"2.0.0":{}}}`, []string{"deprecate 1.0.0", "deprecate 1.1.0 use 2", touched}},
		{"deprecate again", "PUT /@acme%2ftools", `{"versions":{` + all + `}}`, []string{touched}},
		{"deprecate upstream's", "PUT /@acme%2ftools", `{"versions":{` + all + `,"0.1.0":{"deprecated":"theirs"}}}`, []string{"ERROR_KIND_REFUSED", "upstream's cannot be changed"}},
		{"deprecate what changed", "PUT /@acme%2ftools", `{"_rev":"6","versions":{}}`, []string{"ERROR_KIND_CONFLICT", "try again"}},
		{"a plain document deletes nothing", "PUT /@acme%2ftools", `{"versions":{}}`, []string{touched}},
		{"unpublish one", "PUT /@acme%2ftools/-rev/7", `{"dist-tags":{"latest":"2.0.0"},"versions":{"1.1.0":{},"2.0.0":{},"3.0.0-rc.1":{}}}`, []string{"delete 1.0.0", touched}},
		{"unpublish the latest", "PUT /@acme%2ftools/-rev/7", `{"dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"deprecated":"old"},"1.1.0":{},"3.0.0-rc.1":{}}}`, []string{"delete 2.0.0", "tag 1.0.0 latest", touched}},
		{"unpublish the latest without another", "PUT /@acme%2ftools/-rev/7", `{"versions":{"1.0.0":{"deprecated":"old"},"1.1.0":{},"3.0.0-rc.1":{}}}`, []string{"delete 2.0.0", "tag 1.1.0 latest", touched}},
		{"unpublish all stable ones", "PUT /@acme%2ftools/-rev/7", `{"versions":{"3.0.0-rc.1":{}}}`, []string{"delete 1.0.0", "delete 1.1.0", "delete 2.0.0", "tag 3.0.0-rc.1 latest", touched}},
		{"unpublish all", "PUT /@acme%2ftools/-rev/7", `{"versions":{}}`, []string{"delete"}},
		{"unpublish at another revision", "PUT /@acme%2ftools/-rev/6", `{"versions":{}}`, []string{"ERROR_KIND_CONFLICT", "try again"}},
		{"owners", "PUT /@acme%2ftools/-rev/7", `{"maintainers":[{"name":"joe"},{"name":"ann"}]}`, []string{"own  ann", "disown  jane", touched}},
		{"another package", "PUT /@acme%2ftools/-rev/7", `{"_id":"lodash","versions":{}}`, []string{"ERROR_KIND_BAD_REQUEST", "but its address about @acme/tools"}},
		{"unpublish the package", "DELETE /@acme%2ftools/-rev/7", ``, []string{"delete"}},
		{"unpublish the package at another revision", "DELETE /@acme/tools/-rev/6", ``, []string{"ERROR_KIND_CONFLICT", "try again"}},
		{"delete a file", "DELETE /@acme/tools/-/tools-2.0.0.tgz/-rev/7", ``, []string{"delete 2.0.0", "tag 1.1.0 latest", touched}},
		{"delete a file that went", "DELETE /@acme/tools/-/tools-9.0.0.tgz/-rev/7", ``, nil},
		{"tag", "PUT /-/package/@acme%2ftools/dist-tags/next", `"3.0.0-rc.1"`, []string{"tag 3.0.0-rc.1 next", touched}},
		{"tag nothing", "PUT /-/package/@acme%2ftools/dist-tags/next", `"9.0.0"`, []string{"ERROR_KIND_NOT_FOUND", "no version 9.0.0"}},
		{"tag with no text", "PUT /-/package/@acme%2ftools/dist-tags/next", `{}`, []string{"ERROR_KIND_BAD_REQUEST", "as a string"}},
		{"tag like a version", "PUT /-/package/@acme%2ftools/dist-tags/1.x", `"1.0.0"`, []string{"ERROR_KIND_BAD_REQUEST", "cannot be a tag"}},
		{"untag", "DELETE /-/package/@acme%2ftools/dist-tags/old", ``, []string{"untag  old", touched}},
		{"untag nothing", "DELETE /-/package/@acme%2ftools/dist-tags/new", ``, []string{"ERROR_KIND_NOT_FOUND", "no tag new"}},
		{"untag the latest", "DELETE /-/package/@acme%2ftools/dist-tags/latest", ``, []string{"ERROR_KIND_REFUSED", "latest cannot be removed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			compare(t, accepts(t, c.request, c.body, nil, state), c.want)
		})
	}
	t.Run("a package that is not here", func(t *testing.T) {
		t.Parallel()
		for _, request := range []string{"PUT /lodash", "PUT /lodash/-rev/1", "DELETE /lodash/-rev/1", "PUT /-/package/lodash/dist-tags/a"} {
			compare(t, accepts(t, request, `{}`, nil, &pb.HostedPackage{Name: "lodash"}), []string{"ERROR_KIND_NOT_FOUND", "lodash is not published here"})
		}
	})
}

// TestCheckTag has the answers of semver.validRange, which is what clients ask.
func TestCheckTag(t *testing.T) {
	t.Parallel()
	for _, tag := range strings.Fields("latest next v12-lts 18-lts v1-alpha 1-beta v3-compat x-ray lts-7 release-1.0 1.x-lts 1.2-beta ~1.2-beta ^1-lts v 01.2.3 1.2.3.4 1.02 1.2.3-01 1.0.0- -1 1-2 1--2 1,2 1.2.3beta canary-1.2.3 X11 xnext 7.1-patch") {
		if err := checkTag(tag); err != nil {
			t.Errorf("%s: %v", tag, err)
		}
	}
	for _, tag := range strings.Fields("x X * 1 v1 vx 1.2 1.x 1.2.* 1.2.3 v1.2.3-beta.1 1.2.3+b 1+build 1.2+build 1.2.x-beta 1.x.x-beta 1.2.*-a ^1 ~1.2 2.0.0-canary v18 3.0 a/b a:b @a .a") {
		if checkTag(tag) == nil {
			t.Errorf("%s is accepted as a tag", tag)
		}
	}
	if checkTag("") == nil || checkTag("a b") == nil {
		t.Error("what cannot stand in an address is accepted as a tag")
	}
}
