// Package sdk is what an entrepot ecosystem plugin is written against.
//
// A plugin is one value, an [Ecosystem], handed to [Serve]. Its routes turn a
// request of its protocol into a [Plan]; the host carries the plan out:
//
//   - an [Artifact] is a package file: the host judges its version, fetches it
//     once, verifies its digest, keeps it and streams it;
//   - a [Document] is rendered from upstream documents by the plugin's Render
//     function and kept until something it depends on changes;
//   - a [Reply] answers at once, a [Relay] passes a question on to upstream,
//     and a [Failure] answers with an error.
//
// In Render, [Input.Keep] tells the host of each version and file found (the
// facts) and answers whether policy lets it be shown: that is all an author
// does for cool-down. [Input.Doc] asks for one more upstream document; when it
// is not there yet, Render returns and is run again with it.
//
// A plugin opens no connection, reads no file, keeps no state and reads no
// clock: the same question always has the same answer. The host repeats
// questions after a crash and keeps answers, so that requests for what is
// cached make no call to the plugin at all.
package sdk
