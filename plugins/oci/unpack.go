package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk"
)

// unpack serves the images of an archive as "docker save" writes it, or of an
// OCI image layout in a tar (image specification, "Image Layout").
func (x registry) unpack(u *sdk.Unpacking) error {
	if index, ok := u.First("index.json"); ok {
		return x.unpackLayout(u, index)
	}
	if list, ok := u.First("manifest.json"); ok {
		return x.unpackSaved(u, list)
	}
	return fmt.Errorf("it has neither an index.json nor a manifest.json, so it is no image")
}

// named is what an image is called here: by a reference that the archive has,
// as docker.io/acme/app:1.0, 1.0 or nothing, and by the path of the file.
func (x registry) named(reference, file string) (im image, tag string, err error) {
	name := repositoryOf(file)
	tag = reference
	if at := strings.LastIndexByte(reference, ':'); at > strings.LastIndexByte(reference, '/') {
		name, tag = reference[:at], reference[at+1:]
	} else if strings.Contains(reference, "/") {
		name, tag = reference, ""
	}
	if tag == "" {
		tag = "latest"
	}
	// What is of a registry whose images are had here is asked for by its name; of
	// all others only the rest counts.
	if first, rest, ok := strings.Cut(name, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") && !slices.Contains(x.upstreams, x.registryCalled(first, rest)) {
		name = rest
	}
	im, failure := x.image(name, "")
	switch {
	case failure != nil:
		return im, "", failure
	case !tagName.MatchString(tag):
		return im, "", fmt.Errorf("%q is no tag", tag)
	}
	return im, tag, nil
}

// unfit are characters that names of repositories do not have.
var unfit = regexp.MustCompile(`[^a-z0-9._-]+`)

// repositoryOf is the repository of a file's path: folders are parts of its name.
func repositoryOf(file string) string {
	var parts []string
	for part := range strings.SplitSeq(strings.ToLower(base(file)), "/") {
		if part = strings.Trim(unfit.ReplaceAllString(part, "-"), "._-"); part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) > 1 { // a dot would make it a registry's
		parts[0] = strings.ReplaceAll(parts[0], ".", "-")
	}
	return strings.Join(parts, "/")
}

// base is a file's name without what says of which kind it is.
func base(file string) string {
	for _, suffix := range []string{".tar.gz", ".tgz", ".tar"} {
		if name, ok := strings.CutSuffix(file, suffix); ok {
			return name
		}
	}
	return file
}

// unpackLayout serves what an image layout's index names.
func (x registry) unpackLayout(u *sdk.Unpacking, index []byte) error {
	var top struct{ Manifests []descriptor }
	if err := json.Unmarshal(index, &top); err != nil {
		return fmt.Errorf("its index.json cannot be read: %w", err)
	}
	parts := map[string]bool{} // of the indexes that it names
	for _, d := range top.Manifests {
		for _, child := range children(u, d.Digest) {
			parts[child.Digest] = true
		}
	}
	for _, d := range top.Manifests {
		reference := cmp.Or(d.Annotations["io.containerd.image.name"], d.Annotations["org.opencontainers.image.ref.name"])
		if reference == "" && parts[d.Digest] {
			continue
		}
		im, tag, err := x.named(reference, u.Path)
		if err != nil {
			return err
		}
		w := walked{im: im, u: u, sparse: x.Sparse, seen: map[string]bool{}}
		if err := w.manifest(d.Digest); err != nil {
			return err
		}
		u.Tag(im.name, tag, d.Digest)
	}
	if len(top.Manifests) == 0 {
		return fmt.Errorf("its index.json names no image")
	}
	return nil
}

// children are those of an image index in an archive; nil: it is none, or is not
// there yet.
func children(u *sdk.Unpacking, digest string) []descriptor {
	d, failure := parseDigest(digest)
	if failure != nil {
		return nil
	}
	body, _ := u.Body(member(d))
	m, failure := readStored(body)
	if failure != nil {
		return nil
	}
	return m.Manifests
}

// walked is an image whose manifests are gone through.
type walked struct {
	im     image
	u      *sdk.Unpacking
	sparse bool // whether blobs may be missing
	seen   map[string]bool
}

// maxManifests bounds how many manifests an image has.
const maxManifests = 1000

// manifest stores a manifest, and what it names as far as that is there.
func (w walked) manifest(digest string) error {
	d, failure := parseDigest(digest)
	if failure != nil {
		return failure
	}
	if w.seen[digest] || len(w.seen) > maxManifests {
		return nil
	}
	w.seen[digest] = true
	body, ok := w.u.Body(member(d))
	if !ok {
		return nil // run again with it
	}
	m, failure := readStored(body)
	if failure != nil {
		return failure
	}
	extra, err := json.Marshal(m.note())
	if err != nil {
		return err
	}
	entry := sdk.Entry{
		Version: sdk.Version{Name: w.im.name, Version: digest}, Path: w.im.manifestPath(digest), Extra: extra, Type: m.MediaType,
	}
	for _, b := range m.blobs() {
		if err := w.blob(b); err != nil {
			return err
		}
	}
	if err := w.fits(m); err != nil {
		return err
	}
	for _, child := range m.Manifests {
		if c, failure := parseDigest(child.Digest); failure == nil {
			if _, digests, ok := w.u.Measure(member(c), ""); ok && digests == nil {
				continue // of a platform that was not put into the archive
			}
		}
		if err := w.manifest(child.Digest); err != nil {
			return err
		}
	}
	w.u.Store(member(d), "", entry)
	return w.check(d)
}

// fits says what of an image's layers is not what its configuration names; nil:
// nothing. Other artifacts have neither.
func (w walked) fits(m *manifest) error {
	if m.Config == nil || m.Config.MediaType != mediaConfig && m.Config.MediaType != mediaDockerConfig {
		return nil
	}
	d, failure := parseDigest(m.Config.Digest)
	if failure != nil {
		return failure
	}
	config, ok := w.u.Body(member(d))
	if !ok {
		return nil // run again with it
	}
	var layers [][]sdk.Digest
	for _, l := range m.Layers {
		d, failure := parseDigest(l.Digest)
		if failure != nil {
			return failure
		}
		if !strings.HasPrefix(l.MediaType, "application/vnd.oci.image.layer.") && !strings.HasPrefix(l.MediaType, "application/vnd.docker.image.rootfs.") {
			return nil
		}
		layers = append(layers, w.u.Content(member(d), ""))
	}
	return fit(config, layers)
}

// fit says which layers, by the digests of their content, are not those that an
// image's configuration names (image specification, "Image Configuration"); nil:
// none. Of one without digests nothing is known, as of one that was compressed
// before: clients unpack it, and would be told.
func fit(config []byte, layers [][]sdk.Digest) error {
	var c struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if json.Unmarshal(config, &c) != nil || c.RootFS.DiffIDs == nil {
		return nil // it says nothing
	}
	if len(layers) != len(c.RootFS.DiffIDs) {
		return fmt.Errorf("its configuration names %d layers, and it has %d", len(c.RootFS.DiffIDs), len(layers))
	}
	for i, want := range c.RootFS.DiffIDs {
		algorithm, _, _ := strings.Cut(want, ":")
		if got := digestOf(layers[i], algorithm); got != "" && got != want {
			return fmt.Errorf("its layer %d is %s, and its configuration names %s", i+1, got, want)
		}
	}
	return nil
}

// readStored reads a manifest that came without its type, which it need not say.
func readStored(body []byte) (*manifest, *sdk.Failure) {
	m, failure := readManifest(body, "")
	if failure != nil {
		return readManifest(body, guess(body))
	}
	return m, nil
}

// guess is the type of a manifest that does not say it.
func guess(body []byte) string {
	if strings.Contains(string(body), `"manifests"`) {
		return mediaIndex
	}
	return mediaManifest
}

// blob stores a blob, without which the image could not be pulled; one that the
// manifest has an address for is elsewhere.
func (w walked) blob(b descriptor) error {
	if w.seen[b.Digest] {
		return nil
	}
	w.seen[b.Digest] = true
	d, failure := parseDigest(b.Digest)
	if failure != nil {
		return failure
	}
	_, digests, ok := w.u.Measure(member(d), "")
	switch {
	case ok && digests == nil && (w.sparse || len(b.URLs) > 0):
		return nil
	case ok && digests == nil:
		return fmt.Errorf("its blob %s is missing", text(d))
	case ok && digestOf(digests, d.Algorithm) != text(d):
		return fmt.Errorf("its blob %s has other bytes", text(d))
	}
	w.u.Store(member(d), "", sdk.Entry{
		Version: sdk.Version{Name: w.im.name, Version: b.Digest}, Path: w.im.blobPath(b.Digest),
	})
	return nil
}

func (w walked) check(d sdk.Digest) error {
	if _, digests, ok := w.u.Measure(member(d), ""); ok && digestOf(digests, d.Algorithm) != text(d) {
		return fmt.Errorf("its manifest %s has other bytes", text(d))
	}
	return nil
}

// member is where an image layout has content.
func member(d sdk.Digest) string { return "blobs/" + strings.Replace(text(d), ":", "/", 1) }

// saved is an image as "docker save" lists it in manifest.json.
type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// unpackSaved serves the images of an archive of "docker save", whose layers
// are compressed as a registry has them.
func (x registry) unpackSaved(u *sdk.Unpacking, list []byte) error {
	var images []saved
	if err := json.Unmarshal(list, &images); err != nil {
		return fmt.Errorf("its manifest.json cannot be read: %w", err)
	}
	if len(images) == 0 {
		return fmt.Errorf("its manifest.json names no image")
	}
	for _, one := range images {
		references := one.RepoTags
		if len(references) == 0 {
			references = []string{""}
		}
		for _, reference := range references {
			im, tag, err := x.named(reference, u.Path)
			if err != nil {
				return err
			}
			digest, err := im.storeSaved(u, one)
			if err != nil {
				return err
			}
			u.Tag(im.name, tag, digest)
		}
	}
	return nil
}

// part is a member of an archive as a descriptor's content.
func (im image) part(u *sdk.Unpacking, name, encoding, mediaType string) (descriptor, error) {
	name = path.Clean(name)
	size, digests, ok := u.Measure(name, encoding)
	if !ok {
		return descriptor{}, nil // run again with it
	}
	if digests == nil {
		return descriptor{}, fmt.Errorf("its member %s is missing", name)
	}
	d := descriptor{MediaType: mediaType, Digest: digestOf(digests, "sha256"), Size: size}
	u.Store(name, encoding, sdk.Entry{
		Version: sdk.Version{Name: im.name, Version: d.Digest}, Path: im.blobPath(d.Digest),
	})
	return d, nil
}

// storeSaved makes the manifest of an image (Docker image manifest version 2,
// schema 2).
func (im image) storeSaved(u *sdk.Unpacking, s saved) (digest string, err error) {
	m := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}{SchemaVersion: 2, MediaType: mediaDocker, Layers: []descriptor{}}
	if m.Config, err = im.part(u, s.Config, "", mediaDockerConfig); err != nil {
		return "", err
	}
	config, known := u.Body(path.Clean(s.Config))
	var layers [][]sdk.Digest
	for _, layer := range s.Layers {
		d, err := im.part(u, layer, sdk.Gzip, "application/vnd.docker.image.rootfs.diff.tar.gzip")
		if err != nil {
			return "", err
		}
		m.Layers = append(m.Layers, d)
		layers = append(layers, u.Content(path.Clean(layer), sdk.Gzip))
	}
	if known {
		if err := fit(config, layers); err != nil {
			return "", err
		}
	}
	body, err := json.MarshalIndent(m, "", "   ")
	if err != nil {
		return "", err
	}
	digest = sha256Of(body)
	extra, err := json.Marshal(note{Type: mediaDocker})
	u.StoreBytes(body, sdk.Entry{
		Version: sdk.Version{Name: im.name, Version: digest}, Path: im.manifestPath(digest), Extra: extra, Type: mediaDocker,
	})
	return digest, err
}
