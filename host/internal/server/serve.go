package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/entrepot-registry/entrepot/host/internal/access"
	"github.com/entrepot-registry/entrepot/host/internal/blobs"
	"github.com/entrepot-registry/entrepot/host/internal/cache"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// Values of the Cache-Status header (RFC 9211).
var (
	statusHit   = []string{"entrepot; hit"}
	statusMiss  = []string{"entrepot; fwd=miss; stored"}
	statusPass  = []string{"entrepot; fwd=miss"}
	statusCut   = []string{`entrepot; fwd=miss; detail="cut off"`} // for the access log
	statusStale = []string{`entrepot; hit; ttl=-1; detail="stale"`}
)

// staleWarning is the Warning header (RFC 7234, section 5.5) of what upstream
// could not confirm, with the code and the agent that the OCI distribution
// specification ("Warnings") has them all have.
var staleWarning = []string{`299 - "Response is Stale"`}

// partialWarning is the Warning header of a list without upstream's part.
var partialWarning = []string{`299 - "Upstream failed: only what is published here is listed"`}

// Bounds of relayed bodies, in bytes, and of the time that a client may take to
// send one.
const (
	maxRelayed       = 16 << 20
	maxRelayedAnswer = 64 << 20
	relayTime        = time.Minute
)

func (s *Server) serveDocument(w *recorder, r *http.Request, repo *cache.Repository, rt *route, d *pb.Document) error {
	var answer *cache.Answer
	var content *cache.Content
	var encoding string
	for try := 0; ; try++ {
		var err error
		switch {
		case w.readable != nil:
			answer, err = s.cache.Listed(r.Context(), repo, d, rt.base, w.readable, w.below)
		case len(d.GetNames()) == 1 && s.probes(w, r, repo, d, d.GetNames()[0]):
			answer, err = s.probed(r.Context(), repo, d, rt.base)
		default:
			answer, err = s.cache.Document(r.Context(), repo, d, rt.base)
		}
		if err != nil {
			return err
		}
		if answer.Instead != nil {
			return s.serveInstead(w, r, repo, rt, d, answer)
		}
		content, encoding, err = s.cache.OpenOutput(repo, d, rt.base, answer, acceptedEncoding(r))
		if errors.Is(err, fs.ErrNotExist) && try < 2 {
			continue // evicted: it is made again
		}
		if err != nil {
			return err
		}
		break
	}
	defer content.Close()
	h := w.Header()
	for _, headers := range []map[string]string{answer.Output.Header, d.GetHeaders()} {
		for name, value := range headers {
			h.Set(name, value)
		}
	}
	head := rt.headOf(repo, shown{answer.Output.Plain.Digest, content.Size, encoding, answer.Output.Type, answer.Modified})
	h["Content-Type"] = head.field(headType)
	h["Cache-Control"] = w.control(documentLifetime(d))
	h["Vary"] = head.field(headVary)
	w.cached = statusOf(answer)
	h["Cache-Status"] = w.cached
	switch {
	case answer.Partial:
		h["Warning"] = partialWarning
	case answer.Stale:
		h["Warning"] = staleWarning
	}
	if !answer.Modified.IsZero() {
		h["Last-Modified"] = head.field(headModified)
	}
	if encoding != "" {
		h["Content-Encoding"] = head.field(headEncoding)
	}
	send(w, r, content, head)
	return nil
}

// serveInstead carries out the plan that a rendering ended in.
func (s *Server) serveInstead(w *recorder, r *http.Request, repo *cache.Repository, rt *route, d *pb.Document, answer *cache.Answer) error {
	plan := answer.Instead
	for name, value := range d.GetHeaders() {
		w.Header().Set(name, value)
	}
	if a := plan.GetArtifact(); a != nil {
		if err := s.may(w, repo, access.Read, needsOf(plan).packages); err != nil {
			return err
		}
		a, former, err := s.cache.Reachable(r.Context(), repo, d, rt.base, answer)
		if err != nil {
			return err
		}
		hit := statusHit
		if answer.Stale || former {
			hit = statusStale
			w.Header()["Warning"] = staleWarning
		}
		return s.serveArtifact(w, r, repo, rt, a, documentLifetime(d), hit)
	}
	return s.serveReply(w, r, repo, rt, plan.GetReply())
}

func statusOf(a *cache.Answer) []string {
	switch {
	case a.Stale:
		return statusStale
	case a.Hit:
		return statusHit
	}
	return statusMiss
}

// etagOf is the entity tag of a body in an encoding; empty: none.
func etagOf(d blobs.Digest, encoding string) string {
	tag := `"` + hex.EncodeToString(d[:16])
	if encoding != "" {
		tag += "-" + encoding
	}
	return tag + `"`
}

// send sends a kept body. net/http's own does ranges, and files with sendfile;
// it would send encoded bodies without their length, and small ones through a
// copy.
func send(w *recorder, r *http.Request, content *cache.Content, head *head) {
	h := w.Header()
	h["Etag"] = head.field(headEtag)
	if unchanged(r, h, head.fields[headEtag]) {
		h.Del("Content-Type")
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if head.encoding == "" {
		h["Accept-Ranges"] = acceptRanges
		// Unknown range units are ignored (RFC 9110, section 14.2).
		if ranges := r.Header.Get("Range"); strings.HasPrefix(ranges, "bytes=") || r.Header["If-Match"] != nil {
			if ranges == "bytes=-0" { // it would be answered with 206
				r.Header.Set("Range", "bytes="+head.fields[headLength]+"-")
			}
			http.ServeContent(w, r, "", time.Time{}, content.Reader())
			whole(content)
			return
		}
	}
	small := content.Small()
	if small != nil && len(small) <= lengthSaid && r.Method != http.MethodHead {
		_, _ = w.Write(small) // the client left: nothing to do
		return
	}
	h["Content-Length"] = head.field(headLength)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	if small != nil {
		writeJoined(w, r, small)
		return
	}
	_, _ = io.CopyN(w, content.Reader(), content.Size) // likewise
	whole(content)
}

// lengthSaid is up to which size net/http tells the length of a body by itself.
// A header with another field for it would have more than fit a small map.
const lengthSaid = 2048

// whole breaks the connection off where a body could not be read to its end: a
// cut answer must not look whole.
func whole(content *cache.Content) {
	if content.Err() != nil {
		panic(http.ErrAbortHandler)
	}
}

var acceptRanges = []string{"bytes"}

// unchanged reports whether a client has what it asks for. A date must be the
// very same: what is served may be older than what the client has.
func unchanged(r *http.Request, h http.Header, etag string) bool {
	if match := r.Header["If-None-Match"]; len(match) > 0 {
		return slices.ContainsFunc(match, func(line string) bool { return etagMatches(line, etag) })
	}
	since, modified := r.Header["If-Modified-Since"], h["Last-Modified"]
	return len(since) > 0 && len(modified) > 0 && since[0] == modified[0]
}

// etagMatches compares as If-None-Match does (RFC 9110, section 13.1.2). Who has
// the same content in another encoding has it.
func etagMatches(header, etag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == "*" || contentOf(candidate) == contentOf(etag) {
			return true
		}
	}
	return false
}

// contentOf is an entity tag without the encoding that it ends with.
func contentOf(etag string) string {
	for _, encoding := range []string{cache.Gzip, cache.Zstd} {
		if tag, ok := strings.CutSuffix(etag, "-"+encoding+`"`); ok {
			return tag + `"`
		}
	}
	return etag
}

// acceptedEncoding picks the encoding that a client likes best, zstd before
// gzip; empty: none. An asterisk stands for gzip alone, which every client that
// writes one can read.
func acceptedEncoding(r *http.Request) string {
	values := r.Header["Accept-Encoding"]
	if len(values) == 0 || r.Header["Range"] != nil {
		return ""
	}
	header := values[0]
	if len(values) > 1 {
		header = strings.Join(values, ",")
	}
	if header == cache.Gzip {
		return cache.Gzip
	}
	const unsaid = -1
	zstd, gzip, identity, other := 0.0, float64(unsaid), 0.0, 0.0
	for item := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(params, " ", "")), "q="); ok {
			if v, err := strconv.ParseFloat(q, 64); err == nil {
				weight = v
			}
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "zstd":
			zstd = weight
		case "gzip", "x-gzip":
			gzip = weight
		case "identity":
			identity = weight
		case "*":
			other = weight
		}
	}
	if gzip == unsaid {
		gzip = other
	}
	switch {
	case zstd > 0 && zstd >= gzip && zstd >= identity:
		return cache.Zstd
	case gzip > 0 && gzip >= identity:
		return cache.Gzip
	}
	return ""
}

// Values of Cache-Control for what an address stands for.
var (
	immutable = []string{"public, max-age=31536000, immutable"}
	mutable   = []string{"no-cache"}

	privateImmutable = []string{"private, max-age=31536000, immutable"}
	privateMutable   = []string{"private, no-cache"}
)

// control is a Cache-Control, for a client alone where the answer is private. It
// is put in place at once: a header of eight fields would grow by one that is
// replaced.
func (w *recorder) control(value []string) []string {
	switch {
	case !w.private:
		return value
	case value[0] == immutable[0]:
		return privateImmutable
	}
	return privateMutable
}

// lifetime is the Cache-Control of an artifact: the path of a snapshot's part
// stands for other bytes in another state.
func lifetime(a *pb.Artifact) []string {
	if a.GetSnapshot() != "" && len(a.GetDigest().GetSum()) == 0 {
		return mutable
	}
	return immutable
}

// documentLifetime is the Cache-Control of a document, or of what its rendering
// ended in: its address may stand for something else tomorrow, unless the plugin
// says that it does not.
func documentLifetime(d *pb.Document) []string {
	if d.GetImmutable() {
		return immutable
	}
	return mutable
}

func (s *Server) serveArtifact(w *recorder, r *http.Request, repo *cache.Repository, rt *route, a *pb.Artifact, control, hit []string) error {
	ask := s.cache.Artifact
	if r.Method == http.MethodHead {
		ask = s.cache.Head
	}
	if s.probes(w, r, repo, a, a.GetVersion().GetName()) {
		ask = s.cache.Ours
	}
	f, err := ask(r.Context(), repo, a, rt.base)
	if err != nil {
		return missing(a, err)
	}
	h := w.Header()
	for name, value := range a.GetHeaders() {
		h.Set(name, value)
	}
	h["Cache-Control"] = w.control(control)
	stale := hit[0] == statusStale[0]
	if f.Content != nil {
		defer f.Content.Close()
		w.cached = hit
		if f.Landed && !stale {
			w.cached = statusMiss
		}
		h["Cache-Status"] = w.cached
		head := rt.headOf(repo, shown{digest: f.Digest, size: f.Content.Size, typ: f.Type})
		h["Content-Type"] = head.field(headType)
		send(w, r, f.Content, head)
		return nil
	}
	h["Content-Type"] = []string{f.Type}
	switch {
	case stale:
		w.cached = hit
	case f.Flight == nil:
		w.cached = statusPass
	default:
		w.cached = statusMiss
	}
	h["Cache-Status"] = w.cached
	if f.Flight == nil { // a HEAD of what is not kept
		h["Accept-Ranges"] = acceptRanges
		if f.Size >= 0 {
			h["Content-Length"] = []string{strconv.FormatInt(f.Size, 10)}
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
	defer f.Flight.Close()
	err = follow(w, r, f)
	if err != nil { // which the headers of the file are not about
		for name := range a.GetHeaders() {
			h.Del(name)
		}
	}
	return err
}

// probable is a plan of what may be asked for before an upload.
type probable interface {
	GetProbe() bool
	GetLookedUp() bool
}

// probes reports whether a request asks what of a plan need not be uploaded. Of
// what is looked up before downloads too, a right to publish tells nothing: who
// may do both would not get what upstream has.
func (s *Server) probes(w *recorder, r *http.Request, repo *cache.Repository, plan probable, name string) bool {
	if !plan.GetProbe() || r.Method != http.MethodHead || repo.MayPublish(name) != nil {
		return false
	}
	if plan.GetLookedUp() && !w.identity.Issued(access.Publish, w.prefix, name, repo.Names) {
		return false
	}
	return w.identity.May(access.Publish, repo.Name, w.prefix, []string{name}, repo.Anonymous, repo.Names) == nil
}

// probed is the document that a probe asks for. Upstream is not asked before
// anything of the package is ours, and where it cannot be, nothing is there.
func (s *Server) probed(ctx context.Context, repo *cache.Repository, d *pb.Document, base string) (*cache.Answer, error) {
	name := d.GetNames()[0]
	hosted, err := s.cache.Hosts(repo, name)
	if err != nil {
		return nil, err
	}
	absent := &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_NOT_FOUND, Name: name, Message: name + " is not published here"}
	if !hosted {
		return nil, absent
	}
	answer, err := s.cache.Document(ctx, repo, d, base)
	if err != nil {
		return nil, absent
	}
	return answer, nil
}

// missing puts what a plan has clients told where there is no such file in the
// place of what the host would say.
func missing(a *pb.Artifact, err error) error {
	var f *cache.Failure
	own := a.GetMissing()
	if own == nil || !errors.As(err, &f) || f.Kind != pb.ErrorKind_ERROR_KIND_NOT_FOUND {
		return err
	}
	told := *f
	told.Kind, told.Message, told.Code = own.GetKind(), own.GetMessage(), own.GetCode()
	return &told
}

func (s *Server) serveReply(w *recorder, r *http.Request, repo *cache.Repository, rt *route, reply *pb.Reply) error {
	if code := reply.GetStatus(); code < 200 || code > 599 {
		return fmt.Errorf("plugin %s answers with %d, which is no status", repo.Plugin, code)
	}
	h := w.Header()
	for name, value := range reply.GetHeaders() {
		h.Set(name, value)
	}
	w.cached = statusHit
	if rt.etag != "" && reply.GetStatus() == http.StatusOK {
		if h.Get("Etag") == "" {
			h["Etag"] = []string{rt.etag}
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(reply.GetBody())))
		return nil
	}
	h["Content-Length"] = []string{strconv.Itoa(len(reply.GetBody()))}
	w.WriteHeader(int(reply.GetStatus()))
	if r.Method != http.MethodHead {
		_, _ = w.Write(reply.GetBody()) // the client left: nothing to do
	}
	return nil
}

func (s *Server) serveRelay(w *recorder, r *http.Request, repo *cache.Repository, relay *pb.Relay) error {
	bounded := r.WithContext(r.Context())
	bounded.Body = http.MaxBytesReader(w, r.Body, maxRelayed)
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(relayTime)); err != nil {
		return err
	}
	resp, err := s.cache.Relay(r.Context(), repo, relay, bounded)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_BAD_REQUEST, Message: "the request's body is larger than 16 MiB"}
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.Length > maxRelayedAnswer {
		return &cache.Failure{Kind: pb.ErrorKind_ERROR_KIND_UPSTREAM, Message: fmt.Sprintf("upstream's answer has %d bytes; more than %d are not passed on", resp.Length, maxRelayedAnswer)}
	}
	w.cached = statusPass
	if ct := resp.Header.Get("Content-Type"); ct != "" {
		w.Header().Set("Content-Type", ct)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(resp.Status)
	if n, err := io.Copy(w, io.LimitReader(resp.Body, maxRelayedAnswer+1)); err != nil || n > maxRelayedAnswer {
		panic(http.ErrAbortHandler) // a cut answer must not look whole
	}
	return nil
}
