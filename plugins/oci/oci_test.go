package main

import (
	"testing"

	"github.com/entrepot-registry/entrepot/sdk/plugintest"
)

func TestScripts(t *testing.T) {
	plugintest.Run(t, open, "testdata/*.txtar")
}
