// Package wire is the host's end of the plugin contract: it starts a plugin
// binary as a process of its own and asks it questions.
//
// [Start] hides go-plugin and its traps: the child gets an environment of
// go-plugin's own variables only and no standard input, its output can never
// take the host down, its socket lives in a private directory, and it dies
// with the host. [Client] is the six calls of entrepot.ecosystem.v1.
package wire
