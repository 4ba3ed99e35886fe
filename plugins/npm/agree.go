package main

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
)

// manifestParts are those of a manifest by which clients decide what to install,
// besides the ones that agree treats by themselves.
var manifestParts = []string{"peerDependencies", "peerDependenciesMeta", "engines", "os", "cpu", "libc"}

// agree has a manifest say of what is installed and run nothing else than
// package.json in the tarball does, which is what people read. Where both mean
// the same it stays as the client wrote it, as clients bring some of it to
// another form; where they differ, the tarball's counts.
func agree(sent, packed map[string]json.RawMessage) {
	take := func(parts ...string) {
		for _, part := range parts {
			if value, ok := packed[part]; ok {
				sent[part] = value
			} else {
				delete(sent, part)
			}
		}
	}
	for _, part := range manifestParts {
		if !sameJSON(sent[part], packed[part]) {
			take(part)
		}
	}
	for _, part := range []string{"dependencies", "optionalDependencies", "scripts"} {
		if odd(sent[part]) {
			take(part) // clients may make something of it
		}
	}
	if !maps.Equal(dependenciesOf(sent), dependenciesOf(packed)) {
		take("dependencies", "optionalDependencies")
	}
	if bundled := bundledIn(packed); !sameJSON(bundledIn(sent), bundled) && string(bundled) != "true" {
		take("bundleDependencies", "bundledDependencies")
	}
	_, one := text(sent["bin"])
	if !one && odd(sent["bin"]) || !maps.Equal(programs(sent), programs(packed)) && !hasProgramFolder(packed) {
		take("bin")
	}
	if !maps.Equal(installScripts(sent, packed), installScripts(packed, packed)) {
		take("scripts")
	}
}

// sameJSON reports whether two values are the same; one that is missing is the
// same as null.
func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if len(a) > 0 && json.Unmarshal(a, &x) != nil || len(b) > 0 && json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// odd reports whether a value is neither missing nor an object of strings.
func odd(value json.RawMessage) bool {
	var plain map[string]string
	return len(value) > 0 && json.Unmarshal(value, &plain) != nil
}

// texts are the members of an object that are strings.
func texts(object json.RawMessage) map[string]string {
	all := map[string]string{}
	for m := range members(object) {
		if value, ok := text(m.value); ok {
			all[string(m.key)] = value
		}
	}
	return all
}

// dependenciesOf are all that are installed along; some clients write the optional
// ones among the others, too.
func dependenciesOf(manifest map[string]json.RawMessage) map[string]string {
	all := texts(manifest["dependencies"])
	maps.Copy(all, texts(manifest["optionalDependencies"]))
	return all
}

// bundledIn are the dependencies that the tarball has in it, by either spelling.
func bundledIn(manifest map[string]json.RawMessage) json.RawMessage {
	if bundled, ok := manifest["bundleDependencies"]; ok {
		return bundled
	}
	return manifest["bundledDependencies"]
}

// programs are the paths of those that are linked, by name.
func programs(manifest map[string]json.RawMessage) map[string]string {
	all := map[string]string{}
	for name, path := range texts(manifest["bin"]) {
		all[baseName(name)] = strings.TrimPrefix(path, "./")
	}
	if path, ok := text(manifest["bin"]); ok {
		name, _ := text(manifest["name"])
		all[baseName(name)] = strings.TrimPrefix(path, "./")
	}
	return all
}

// hasProgramFolder reports whether all files of a folder are linked, which
// clients list.
func hasProgramFolder(manifest map[string]json.RawMessage) bool {
	_, listed := manifest["bin"]
	return !listed && texts(manifest["directories"])["bin"] != ""
}

// installScripts are those that run when a package is installed. The one that
// builds what is native is added by clients where there is no other.
func installScripts(manifest, packed map[string]json.RawMessage) map[string]string {
	all := map[string]string{}
	scripts := texts(manifest["scripts"])
	for _, name := range []string{"preinstall", "install", "postinstall"} {
		if script, ok := scripts[name]; ok {
			all[name] = script
		}
	}
	native := string(packed["hasInstallScript"]) == "true" && !hasInstallScript(packed["scripts"])
	if native && all["install"] == "node-gyp rebuild" {
		delete(all, "install")
	}
	return all
}
