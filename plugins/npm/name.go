package main

import (
	"net/url"
	"strings"
	"unicode"
)

// validName reports whether a name can be one of a package, in the lenient form
// that old packages need: at most 214 bytes, "name" or "@scope/name", without
// anything that means something in an address.
func validName(name string) bool {
	if len(name) > 214 {
		return false
	}
	if scoped, ok := strings.CutPrefix(name, "@"); ok {
		scope, rest, ok := strings.Cut(scoped, "/")
		return ok && validPart(scope) && validPart(rest)
	}
	return validPart(name) && name[0] != '_'
}

func validPart(part string) bool {
	return part != "" && part[0] != '.' && !strings.ContainsFunc(part, func(c rune) bool {
		return strings.ContainsRune(`/\%?#@:&="<>|`, c) || unicode.IsSpace(c) || unicode.IsControl(c)
	})
}

// newNameProblem says why no new package may have a name that old ones may have,
// as clients would (validate-npm-package-name); empty: it may. Upper-case letters
// it may have, as clients publish them: names that differ only by them are the
// same here. So may it begin with a dash, which only some clients refuse.
func newNameProblem(name string) string {
	scope, base, scoped := strings.Cut(name, "/")
	if !scoped {
		scope, base = "", name
	}
	switch {
	case strings.ContainsAny(base, "~'!()*"):
		return "it has one of ~'!()*"
	case url.PathEscape(strings.TrimPrefix(scope, "@")) != strings.TrimPrefix(scope, "@"), url.PathEscape(base) != base:
		return "it has characters that addresses have only escaped"
	case base == "node_modules", base == "favicon.ico":
		return "it means something else to clients"
	case !scoped && coreModule(name):
		return "it is one of Node's own modules, which programs get in its place"
	}
	return ""
}

// coreModule reports whether Node has a module of a name built in.
func coreModule(name string) bool {
	switch name {
	case "assert", "async_hooks", "buffer", "child_process", "cluster", "console", "constants", "crypto",
		"dgram", "diagnostics_channel", "dns", "domain", "events", "fs", "http", "http2", "https", "inspector",
		"module", "net", "os", "path", "perf_hooks", "process", "punycode", "querystring", "readline", "repl",
		"stream", "string_decoder", "sys", "timers", "tls", "trace_events", "tty", "url", "util", "v8", "vm",
		"wasi", "worker_threads", "zlib":
		return true
	}
	return false
}

// escapeName writes a name as one segment of an address, as clients do:
// "@scope%2fname".
func escapeName(name string) string {
	scope, rest, ok := strings.Cut(name, "/")
	if !ok {
		return url.PathEscape(name)
	}
	return url.PathEscape(scope) + "%2f" + url.PathEscape(rest)
}

// packumentPath is the canonical address of a package's packument.
func packumentPath(name string) string { return "/" + escapeName(name) }

// filePath is the canonical address of a tarball: the scope stands in a segment
// of its own, as in upstream's addresses.
func filePath(name, file string) string {
	scope, rest, ok := strings.Cut(name, "/")
	if !ok {
		return "/" + url.PathEscape(name) + "/-/" + url.PathEscape(file)
	}
	return "/" + url.PathEscape(scope) + "/" + url.PathEscape(rest) + "/-/" + url.PathEscape(file)
}

// attestationsPath is the canonical address of a version's attestations.
func attestationsPath(name, version string) string {
	return "/-/npm/v1/attestations/" + escapeName(name) + "@" + url.PathEscape(version)
}

// baseName is a name without its scope, as file names begin.
func baseName(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// fileName is how a version's tarball is usually called.
func fileName(name, version string) string { return baseName(name) + "-" + version + ".tgz" }

// fileVersion reads the version out of a tarball's name; empty when it is called
// unusually, so that only its packument can tell.
func fileVersion(name, file string) string {
	version, ok := strings.CutPrefix(file, baseName(name)+"-")
	if !ok {
		return ""
	}
	if version, ok = strings.CutSuffix(version, ".tgz"); !ok {
		return ""
	}
	return version
}
