// Package plugintest tests ecosystem plugins with scripts: text files that hold
// what upstream answers, what clients ask, and what they are to get.
//
//	func TestScripts(t *testing.T) {
//		plugintest.Run(t, open, "testdata/*.txtar")
//	}
//
// where open is the function that the plugin hands to [sdk.Serve]. No server,
// network or host is needed: the plugin is asked over its real wire, in memory,
// and its plans are carried out as the host does. Where the package under test
// is a main package, it is also built, and the binary must answer the same over
// a socket.
//
// [Check], which "entrepot plugin test" calls, does the same to a binary whose
// source nobody has.
//
// # Scripts
//
// A script is a txtar file. It begins with sentences that say what it shows.
// Directives may follow after an empty line, then the sections:
//
//	A version younger than the cool-down is not listed, and its archive is refused.
//
//	now 2025-06-10
//	cooldown 7d
//	-- upstream /api/packages/retry --
//	{"name":"retry","versions":[…]}
//	-- upstream /api/archives/retry-3.1.0.tar.gz --
//	old bytes
//	-- GET /api/packages/retry --
//	{"versions":[{"archive_url":"http://entrepot/pub/api/archives/retry-3.1.0.tar.gz"}]}
//	-- GET /api/archives/retry-3.2.0.tar.gz --
//	403 retry 3.2.0 is held back until 2025-06-15
//
// Paragraphs before the sections that begin with an upper-case letter are
// prose; every line of the others is a directive:
//
//	now 2025-06-10                      the instant judged at (or RFC 3339)
//	cooldown 7d                         for all packages (d, h or m)
//	cooldown @acme/* 0                  for names that match; the first match counts, then the line without a name
//	exempt lodash 4.17.22               always served
//	floor lodash 4.17.22 PATH 2025-06-09  not there before (PATH "-": none)
//	options {"upstream": "…"}           the repository's options, as JSON
//
//	tag lodash latest 4.17.21           of a hosted package
//	yanked lodash 4.17.20 it is broken  a hosted version, with the reason
//	ours @acme/*                        names that upstream is not asked for
//	merge left-*                        names that both have; else ours hide upstream's
//
// Without now it is 2025-01-01; without cooldown nothing is held back.
//
// # Hosted packages
//
//	-- hosted NAME VERSION [PATH] --
//
// is a file of a package of ours, in the order in which they were published.
// The text is both the extra that its entry has and the bytes of the file.
//
// # Uploads
//
//	-- file NAME --
//	-- file NAME MEMBER --
//	-- PUT /path < NAME [Header: value] --
//	-- POST /path < version=NAME @content=NAME --
//
// sends a file: one that stands there, or an archive of members, whose kind its
// name tells (.tar, .tar.gz, .tgz or .zip; a slash at its end: a folder that
// stands for one). A body of several parts ("form",
// "json:", "u32le:") is written as the host takes it apart: fields as
// FIELD=NAME, files as @FIELD=NAME. Without any the body is empty.
//
// What Accept orders is done, and the requests below find it so. The steps of an
// upload in several requests work as well; {session} is 1 for the first upload
// that a script opens, 2 for the second, and so on.
//
//	-- directory NAME --
//
// has a directory of the repository hold the file NAME, which may have folders
// before it: [sdk.Package] says what it is, by Unpack if there is one or else by
// Inspect, and that is served from then on. The text is what is stored, a line
// each, as "store NAME VERSION PATH" and "tag NAME VERSION TAG", or the 400 of a
// file that is no package.
//
// # Upstream
//
//	-- upstream [ROLE] PATH [STATUS] [Header: value; Header: value] --
//
// is an upstream's answer, byte for byte, the last newline included. The role
// is main where it is left out. The base of the upstream ROLE is always
// https://ROLE.example.com, whatever the plugin's default; PATH is relative to
// it, with its query and spelt as the plugin asks it, or is an absolute
// address. A document that names https://main.example.com/a.tgz is thus met by
// "-- upstream /a.tgz --". What has no section is answered with 404; the status
// 0 stands for an upstream that cannot be reached.
//
// # Expectations
//
//	-- GET /path?query [Header: value; Header: value] --
//
// asks the plugin, at the base address http://entrepot/NAME. Only headers that
// the plugin varies by can be sent. The text below is the body to get with
// status 200: JSON is compared by its values, everything else byte for byte but
// for one newline at the end, and … stands for any run of characters (also in
// JSON, which is then compared as text).
//
// A first line of a status, with or without text, asks for that status, and for
// the text within the error's message. Header lines may follow it, and after an
// empty line the whole body:
//
//	-- GET /old --
//	301
//	Location: http://entrepot/pub/new
//	-- GET /missing --
//	404 no such package
//
// go test -update rewrites expectations that do not hold.
//
// # Laws
//
// Beyond what a script expects, each is held against what is true of every
// plugin:
//
//   - the same question has the same answer and the same facts, and an address
//     of each route, also of those that the script does not ask, one plan;
//   - canonical addresses lead to their own documents, facts documents and the
//     documents of About included;
//   - links of ours in documents lead somewhere, those to files to files of
//     packages in the document, which policy lets through and of which facts or
//     plan say where upstream has them;
//   - no document has the address at which upstream has a file that is served
//     here;
//   - a document about one package whose address has its name says so by its
//     Document.Name, and Keep is told of versions of that package and of no
//     other;
//   - the name of a held file stands nowhere in a document, nor, in JSON,
//     a held version as a member's name or where a version stands, as in "latest"
//     and "dist-tags": as the script has it, and if everything were held back;
//   - mutilated addresses, queries and headers are planned without an error, also
//     those of routes that the script does not ask, and nothing is asked of
//     upstream above its base;
//   - upstream documents that are cut off do no harm: no panic, no endless
//     loop, and nothing appears that was held. A listing that was made of JSON
//     which ends too early fails as upstream's failure does, rather than list
//     less.
//
// A question that is not answered within 8 seconds is an error. After one, or
// where a request of the script has no answer that could be carried out, the
// laws are left out.
//
// Fuzz tests and benchmarks, which look at single renderings themselves, use
// [Renderer].
package plugintest
