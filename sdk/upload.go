package sdk

import pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"

// Action is what a request does, for permissions.
type Action string

// The actions. What is no [Upload] reads.
const (
	ActionRead    Action = "read"
	ActionPublish Action = "publish"
	ActionDelete  Action = "delete"
	ActionAdmin   Action = "admin"
)

// Upload takes a request's body and asks Accept what to do with it: it plans
// everything that changes hosted packages.
type Upload struct {
	// Body is how the body comes apart: "none" has none; "raw" is one file
	// without a name; "form" is multipart form data (RFC 7578), whose parts with
	// a file name are files; "json:POINTER" is JSON with base64 (RFC 4648) at an
	// RFC 6901 pointer in which * stands for any run of characters of a member's
	// name, each such member being a file of that name, and the rest being the
	// field "json";
	// "u32le:NAME,@NAME" is parts with their length before them as 32 bits,
	// little endian, those with @ being files; "bytes:MAX" is one file without a
	// name, of up to MAX bytes, which is also the field "body". Empty: "none".
	Body string
	// Action is what permission is needed for; empty: ActionPublish. ActionRead is
	// refused. Whatever it is, who orders a deletion needs that of ActionDelete too.
	Action Action
	// Names are the packages concerned, in canonical form, as far as the request
	// tells; nil: Accept finds out.
	Names []string
	// Within are patterns, in which * stands for any run of characters, of the names
	// of packages that the request may be about where it does not tell which: who
	// may publish none that has such a name is refused. Nil, without Names: who may
	// publish any package may send it.
	Within []string
	// Accept decides; it is required. It must be a pure function of the
	// publication. It returns the answer that the client gets once what it
	// ordered is done. A [Failure] is the answer instead, and nothing is done;
	// any other error is one of the request.
	Accept func(*Publication) (Reply, error)
	// Step makes it one request of several that upload a file; zero: it is the
	// only one. Accept is asked at [StepCommit], and at [StepOpen] when there is
	// what Mount names.
	Step Step
	// Session is the upload that the other steps are of: what {session} stood for
	// in the Reply of StepOpen.
	Session string
	// Range is where in the file the body of StepAppend or StepCommit stands: its
	// first and its last byte, counted from 0, with a dash between. A body that
	// does not follow what is there is refused ([KindRange]). Empty: it goes on
	// at the end.
	Range string
	// Mount is a file of ours that makes the upload unnecessary; zero: none.
	Mount Mount
	// Reply answers StepOpen, StepAppend, StepStatus and StepAbort; zero: 200
	// without a body. Otherwise it is not used: Accept returns the answer. In its
	// header {session}, {size} (how many bytes there are) and {last} (the number of
	// the last one, or 0) are replaced.
	Reply Reply
	// Digests are the algorithms that Accept needs besides sha256, of sha512, sha384,
	// sha1, md5 and blake2b-256; nil: sha512, sha1 and md5.
	Digests []string
	// Blind says that Accept does not look at packages, so that publications at
	// the same time do not wait for each other, or looks at parts of them only.
	Blind bool
	// Unread says that files are not inspected: [UploadedFile.Entry] is nil.
	Unread bool
	// Missing is what the client is told where there is no upload called Session;
	// zero: the host says so in its own words.
	Missing Failure
}

// Step is a request of an upload in several requests.
type Step int

// The steps. What is uploaded survives a restart of the host, and is dropped
// when nothing was added to it for a day.
const (
	StepOpen   = Step(pb.Step_STEP_OPEN)   // begins an upload
	StepAppend = Step(pb.Step_STEP_APPEND) // adds the body to its file
	StepStatus = Step(pb.Step_STEP_STATUS) // asks how far it is
	StepCommit = Step(pb.Step_STEP_COMMIT) // adds the body, if there is one, and has Accept decide
	StepAbort  = Step(pb.Step_STEP_ABORT)  // gives it up
)

// Mount names a file of ours that the one who uploads may read.
type Mount struct {
	// Path of the file; empty: any with the Digest.
	Path string
	// Digest of the file; zero: there is no Mount.
	Digest Digest
}

func (u Upload) response(r Request) *pb.PlanResponse {
	out := &pb.Upload{
		Body: or(u.Body, "none"), Action: or(string(u.Action), string(ActionPublish)), Names: u.Names,
		Within: u.Within, Step: pb.Step(u.Step), Session: u.Session, Range: u.Range, Digests: u.Digests, Blind: u.Blind, Unread: u.Unread,
	}
	if len(u.Mount.Digest.Sum) > 0 {
		out.Mount = &pb.Mount{Path: u.Mount.Path, Digest: u.Mount.Digest.wire()}
	}
	if u.Missing != (Failure{}) {
		out.Missing = u.Missing.wire()
	}
	if u.Step != 0 && u.Step != StepCommit {
		out.Reply = u.Reply.response(r).GetReply()
	}
	return &pb.PlanResponse{Plan: &pb.PlanResponse_Upload{Upload: out}}
}
