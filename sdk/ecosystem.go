package sdk

import (
	"encoding/hex"
	"time"

	"github.com/entrepot-registry/entrepot/sdk/names"
)

// Ecosystem is a plugin: which requests it understands and what it makes of
// them. Fields left at zero are capabilities it lacks.
type Ecosystem struct {
	// Name is required: lower-case letters, digits and dashes, a letter first.
	// It is the plugin's default mount ("npm" is served at /npm).
	Name string
	// Title is the name for people; empty: Name.
	Title string
	// Version of the plugin; empty: the one in the binary's build information.
	Version string
	// PURL is the package URL type; empty: Name.
	PURL string
	// OtherPURLs are further types of package URLs of the same packages; nil:
	// none.
	OtherPURLs []string
	// PURLRegistry says that a package's name begins with that of its registry,
	// which a package URL has as its repository_url.
	PURLRegistry bool
	// Upstreams are used where the configuration names none. The first is what
	// a [Source] without a role asks; several of one role, with addresses of
	// their own, are tried in order. Nil: nothing is asked of upstream.
	Upstreams []Upstream
	// Among makes it the ecosystem of a repository that has upstreams in these roles,
	// in the order of the configuration, of which there is one at least; without it
	// called, it is not known which. Nil: they make no difference.
	Among func(roles []string) Ecosystem
	// Mounts are absolute paths besides /Name, as "/v2/"; nil: none.
	Mounts []string
	// Routes are tried in order, of which one at least is required; the first that
	// matches plans the request. What none matches is answered with 404, or with
	// 405 where only the method differs.
	Routes []Route
	// Vary names the request headers that plans may look at. No other header
	// reaches the plugin; nil: none does.
	Vary []string
	// Learns names headers of upstream's answers that renderings find in
	// [Doc.Header] besides those that are always there; nil: none.
	Learns []string
	// About names the document that tells about a version (its Version field
	// may be empty). Nil: the host cannot explain versions that nobody asked
	// for yet.
	About func(Version) Document
	// Package is how package files are read; nil: the plugin cannot host any.
	Package *Package
	// Challenge is the WWW-Authenticate header of a 401, in which {url} stands
	// for the repository's address, and {scope} for ,scope="…" with the Scopes
	// that the request takes, and ,error="…" where a token was given that has
	// others, or for nothing; empty: Basic.
	Challenge string
	// Scopes are those (RFC 6749, section 3.3) of a token that something takes
	// which is done to a package, by action, with {package} for the package's
	// name; nil: tokens have none.
	Scopes map[Action]string
	// ListScope is the scope of a token that a list of all packages takes; empty:
	// none.
	ListScope string
	// Setup says how clients are pointed at a repository; nil: nothing is said.
	Setup []Snippet
	// Errors is how errors that the host makes look to clients; zero: plain
	// text.
	Errors ErrorFormat
	// IncompleteListings says that upstream's documents do not list all that
	// there is, so that a version's absence does not mean it was removed.
	IncompleteListings bool
	// Names say which spellings of a package's name are the same, wherever
	// somebody writes one, or a pattern of them: in the configuration, in
	// permissions of tokens, in what a client asks. Of what is called almost like a
	// package of ours upstream is not asked then. Zero: each name is only itself.
	Names names.Rules
	// Urgent are patterns of names, as in the configuration's rules for packages,
	// of what is not to wait, such as security updates: only such a rule holds it
	// back, no cool-down by default. Nil: none.
	Urgent []string
	// Watch are paths of documents that the host looks at from time to time also
	// while nobody asks for them: those that tell [Input.Log]. Nil: none.
	Watch []string
	// Ungated lists routes whose answers policy cannot judge, for people to
	// know; nil: it judges all.
	Ungated []Ungated
}

// Upstream is a registry that documents and artifacts come from.
type Upstream struct {
	// Role is what sources call it; empty: "main". "*", without an URL: the
	// configuration may have upstreams of any name, which is their role.
	Role string
	// URL is the default address; empty: it must be configured.
	URL string
	// Variables are environment variables of the host that hold the address
	// where the configuration names none; nil: none do.
	Variables []string
	// Failover asks the next upstream of the role also where this one fails, not
	// only where it has nothing.
	Failover bool
	// Below is the path that the addresses of all its sources begin with, as "/v2":
	// an address that is configured with it is refused, and what to write is said.
	// Empty: there is no such path.
	Below string
}

// Route turns requests that match a pattern into plans.
type Route struct {
	// Match is a method and a path: "GET /{name}/-/{file}". A name in braces
	// captures within a segment ("{name}-{version}.gem"), shortest first; one
	// with three dots captures across segments ("{module...}"). GET answers
	// HEAD too. Escapes in the path are kept while matching: %2f is no slash.
	Match string
	// Plan says what to do; it is required. It must be a pure function of the
	// request. Nil is a mistake, which is told at the start, or else fails that
	// one request with 503, as a panic does: [NotFound] says that there is nothing.
	Plan func(Request) Plan
}

// Snippet is one way to set a client up.
type Snippet struct {
	// Client is the program: "npm", "pip". It is required.
	Client string
	// File is what the text goes into; empty: the text is a shell command.
	File string
	// Text is required. It has {url} for the repository's address, {host} for its
	// host and port.
	Text string
}

// ErrorFormat is how an error that the host makes is written.
type ErrorFormat struct {
	// Type is the content type; empty: text/plain.
	Type string
	// Body has {message}, {name}, {version}, {until}, {kind} and {code}, which
	// the host replaces; for a JSON type they are replaced by JSON strings with their
	// quotes. Empty: {message}.
	Body string
	// Status overrides the usual HTTP status of a kind, with one from 400 to 599;
	// nil: none.
	Status map[Kind]int
	// Codes are what {code} stands for, by kind, where a [Failure] has none of
	// its own; nil: {code} is empty.
	Codes map[Kind]string
}

// Ungated is a route that policy cannot judge.
type Ungated struct {
	// Route is the pattern, as a [Route.Match] of the same Ecosystem has it.
	Route string
	// Reason is why; it is required.
	Reason string
}

// Version is a version of a package, with what a listing says of it.
type Version struct {
	// Name is the package's name in the ecosystem's canonical form; it is required
	// by [Input.Keep].
	Name string
	// Version is the version as the ecosystem writes it; empty: none in
	// particular.
	Version string
	// Published is when the registry says it was published; zero: unknown, so
	// that its age is counted from when the host last saw the listing without
	// it, and what was there at the first look is served.
	Published time.Time
	// Claimed is whether Published is only what the version's author says, as the
	// time of a commit: it counts as long as nothing is known that contradicts it,
	// and at the first look it does not where the configuration has unknown ages
	// held back.
	Claimed bool
	// Log is the name of an append-only log of upstream's that has the version,
	// see [Input.Log]; empty: none has, or it is not known. Entry is which of its
	// entries, from 0 on.
	Log   string
	Entry int64
	// Yanked is whether it is yanked, unlisted or deprecated.
	Yanked bool
	// License is an SPDX expression or the ecosystem's own words; empty: unknown.
	License string
}

// File is a file of a version.
type File struct {
	// Path is its canonical address here, relative to the mount, with escapes;
	// it is what [Artifact.Path] names. Empty: it is not served here.
	Path string
	// URL is its address upstream; empty: as the artifact's plan says. Relative:
	// to the upstream of the plan's first source.
	URL string
	// Digests are what upstream says of it; the strongest is verified. Nil: none
	// is known, and the host remembers the first bytes that it sees.
	Digests []Digest
	// Size in bytes; 0: unknown.
	Size int64
	// Published is when this file was published; zero: when its version was.
	Published time.Time
	// Extra is what [Input.Earlier] gives back of it in later renderings; nil:
	// nothing.
	Extra []byte
}

// Digest is a hash of a file.
type Digest struct {
	// Algorithm is "sha512", "sha384", "sha256", "sha224", "sha3-512", "sha3-384",
	// "sha3-256", "sha3-224", "blake2b-512", "blake2b-256", "blake2s-256", "sha1" or
	// "md5" of the bytes, or "shake256" or "shake128" with as many bytes as Sum has;
	// "h1" is the Hash1 of golang.org/x/mod/sumdb/dirhash of a zip archive's members,
	// "h1:NAME" that of one file called NAME. Any other is not verified.
	Algorithm string
	// Sum is the hash itself; empty: there is none.
	Sum []byte
}

// HexDigest is a digest of an algorithm as documents write it, in hexadecimal.
// An empty text is no digest; a malformed one is a digest that no file has, so
// that the file is refused rather than served unverified.
func HexDigest(algorithm, text string) Digest {
	sum, err := hex.DecodeString(text)
	if err != nil {
		sum = []byte(text)
	}
	return Digest{Algorithm: algorithm, Sum: sum}
}
