package daemon

import "context"

// RunningPlugin is what a running host knows of a plugin.
type RunningPlugin struct {
	Name string `json:"name"`
	// Running is whether a process answers now.
	Running bool `json:"running"`
	// SHA256 of the binary that answers, or did last, in hex.
	SHA256 string `json:"sha256"`
	// PID is the process's id; 0: none runs.
	PID int `json:"pid,omitempty"`
	// Restarts is how often it was started again.
	Restarts int64 `json:"restarts,omitempty"`
}

// runningPlugins are the plugins that the configuration in force uses.
func (d *Daemon) runningPlugins(context.Context, struct{}) ([]RunningPlugin, error) {
	var all []RunningPlugin
	for name, p := range d.state.Load().plugins {
		all = append(all, RunningPlugin{Name: name, Running: p.Running(), SHA256: p.Sum(), PID: p.PID(), Restarts: p.Restarts()})
	}
	return all, nil
}
