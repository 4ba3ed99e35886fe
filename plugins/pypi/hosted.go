package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/entrepot-registry/entrepot/sdk"
)

// hostedFile is a file that is published here, as a page has it.
type hostedFile struct {
	file
	version string
	path    string
	info    info
	// metadata is the raw core-metadata; empty: there is none beside it.
	metadata string
	// text is the core metadata where no file beside it has it; nil: one has, or
	// there is none.
	text []byte
	// provenance is the path of its provenance; empty: there is none.
	provenance string
}

// hostedFiles are the wheels and source distributions of a project of ours; nil:
// there are none.
func hostedFiles(p *sdk.HostedPackage) ([]hostedFile, error) {
	if p == nil {
		return nil, nil
	}
	sums := map[string]string{}
	for _, f := range p.Files {
		sums[f.File.Path] = hashesOf(f.File)
	}
	var files []hostedFile
	for _, f := range p.Files {
		if !isDist(f.File.Path) {
			continue
		}
		var r record
		if err := json.Unmarshal(f.File.Extra, &r); err != nil {
			return nil, fmt.Errorf("what is kept of %s: %w", f.File.Path, err)
		}
		h := hostedFile{version: f.Version.Version, path: f.File.Path, info: r.Info, metadata: sums[f.File.Path+".metadata"]}
		h.name, h.hashes, h.size, h.published = r.File, hashesOf(f.File), strconv.FormatInt(f.File.Size, 10), f.Version.Published
		if r.Metadata != nil {
			sum := sha256.Sum256(r.Metadata)
			h.metadata, h.text = hashesOf(sdk.File{Digests: []sdk.Digest{{Algorithm: "sha256", Sum: sum[:]}}}), r.Metadata
		}
		h.uploaded = quote(f.Version.Published.UTC().Format("2006-01-02T15:04:05.000000Z"))
		if r.Info.RequiresPython != "" {
			h.requires = quote(r.Info.RequiresPython)
		}
		if at := provenancePath(f.Version, r.File); sums[at] != "" {
			h.provenance = at
		}
		if sums[f.File.Path+".asc"] != "" {
			h.signature = "true"
		}
		h.yanked = "false"
		if f.Version.Yanked {
			h.info.Yanked, h.yanked = true, "true"
		}
		if f.Version.Yanked && f.Message != "" {
			h.info.YankedReason, h.yanked = &f.Message, quote(f.Message)
		}
		files = append(files, h)
	}
	return files, nil
}

// hashesOf is a raw object of a file's sha256.
func hashesOf(f sdk.File) string {
	for _, d := range f.Digests {
		if d.Algorithm == "sha256" {
			return `{"sha256":"` + hex.EncodeToString(d.Sum) + `"}`
		}
	}
	return "{}"
}

func quote(s string) string { return string(gjson.AppendJSONString(nil, s)) }

// entry is the file as pages list it.
func (h *hostedFile) entry(in *sdk.Input) entry {
	e := entry{file: &h.file, path: h.path, metadata: h.metadata}
	if h.provenance != "" {
		e.provenance = in.URL(h.provenance)
	}
	return e
}

// hostedVersions are the versions of files in the order in which they were
// published first.
func hostedVersions(files []hostedFile) []string {
	var all []string
	seen := map[string]bool{}
	for i := range files {
		if v := files[i].version; !seen[v] {
			seen[v] = true
			all = append(all, v)
		}
	}
	return all
}

// apiFile is a file as the JSON API has it.
type apiFile struct {
	Filename       string          `json:"filename"`
	URL            string          `json:"url"`
	Digests        json.RawMessage `json:"digests"`
	Size           json.RawMessage `json:"size"`
	PackageType    string          `json:"packagetype"`
	PythonVersion  string          `json:"python_version"`
	RequiresPython *string         `json:"requires_python"`
	HasSignature   bool            `json:"has_sig"`
	UploadTime     string          `json:"upload_time"`
	UploadTimeISO  json.RawMessage `json:"upload_time_iso_8601"`
	Yanked         bool            `json:"yanked"`
	YankedReason   *string         `json:"yanked_reason"`
}

func (h *hostedFile) api(in *sdk.Input) apiFile {
	f := apiFile{
		Filename:      h.name,
		URL:           in.URL(h.path),
		Digests:       json.RawMessage(h.hashes),
		Size:          json.RawMessage(h.size),
		PackageType:   "sdist",
		PythonVersion: "source",
		HasSignature:  h.signature != "",
		UploadTime:    h.published.UTC().Format(time.DateOnly + "T" + time.TimeOnly),
		UploadTimeISO: json.RawMessage(h.uploaded),
		Yanked:        h.info.Yanked,
		YankedReason:  h.info.YankedReason,
	}
	if parts := strings.Split(strings.TrimSuffix(h.name, ".whl"), "-"); !isSource(h.name) {
		f.PackageType, f.PythonVersion = "bdist_wheel", parts[len(parts)-3]
	}
	if h.info.RequiresPython != "" {
		f.RequiresPython = &h.info.RequiresPython
	}
	return f
}

// apiRelease is what the JSON API says of a version.
type apiRelease struct {
	Info            info      `json:"info"`
	LastSerial      int       `json:"last_serial"`
	URLs            []apiFile `json:"urls"`
	Vulnerabilities []string  `json:"vulnerabilities"`
}

// release is the JSON API's document about a version of ours; false: it is
// none.
func release(in *sdk.Input, files []hostedFile, version string) (apiRelease, bool) {
	r := apiRelease{Vulnerabilities: []string{}}
	version = same(versions{}.normal(version))
	for i := range files {
		if same(files[i].version) == version {
			r.Info = files[i].info
			r.URLs = append(r.URLs, files[i].api(in))
		}
	}
	return r, len(r.URLs) > 0
}
