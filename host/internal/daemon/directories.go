package daemon

import "context"

// watchDirectories has what lies in directories served.
func (d *Daemon) watchDirectories(ctx context.Context) {
	d.scanner.Follow(ctx, d.repositories, d.rescan)
}
