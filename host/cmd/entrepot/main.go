// Command entrepot is a self-hosted package registry and caching proxy.
package main

import (
	"os"

	"github.com/entrepot-registry/entrepot/host/internal/cli"
)

func main() {
	os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr))
}
