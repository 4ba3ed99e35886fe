// Package sandbox takes from a plugin what it does not need: the network, other
// programs' sockets, files, and new privileges.
//
// A plugin is not started by itself but through the host's own program, which
// gives up its privileges in layers and then becomes the plugin:
//
//   - no_new_privs: nothing that it starts gains privileges;
//   - seccomp: no sockets but Unix stream sockets, no connect, no processes of
//     its own, no look into others, no signals to them and no change of their
//     limits and priorities, no change of what is known of files (mode, owner,
//     times);
//   - landlock: nothing is read but the binary and the system's libraries, and
//     nothing is made but the socket, in a directory that is this process's own;
//   - namespaces: a network without interfaces, and System V IPC of its own.
//
// Each layer is tried when the host starts; what this machine refuses is
// reported by [Sandbox.Missing] and left out. The layers overlap on purpose.
package sandbox

import (
	"slices"
	"strings"
)

// The layers.
const (
	NoNewPrivs = "no_new_privs"
	Seccomp    = "seccomp"
	Landlock   = "landlock"
	Namespaces = "namespaces"
)

// Layers are all layers, in the order in which they are applied.
var Layers = []string{Namespaces, NoNewPrivs, Landlock, Seccomp}

// Sandbox starts programs with fewer rights.
type Sandbox struct {
	self    []string // program and arguments that call Main
	layers  []string // that are enforced
	missing []string // sentences about those that are not
}

// Missing says which layers are not enforced and why; empty: all are.
func (s *Sandbox) Missing() []string { return s.missing }

// Enforced are the layers that are enforced.
func (s *Sandbox) Enforced() []string { return slices.Clone(s.layers) }

const layersFlag = "--layers="

// parse takes Main's arguments apart: layers and the program to become.
func parse(args []string) (layers []string, program []string) {
	if len(args) > 0 {
		if list, ok := strings.CutPrefix(args[0], layersFlag); ok {
			args = args[1:]
			if list != "" {
				layers = strings.Split(list, ",")
			}
		}
	}
	return layers, args
}
