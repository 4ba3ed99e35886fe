package wire

import (
	"strings"
	"testing"
)

// TestOnlyPlainFilesHaveChecksums is about what lies in a plugin directory and
// is no binary; opening a pipe would wait for ever.
func TestOnlyPlainFilesHaveChecksums(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Checksum(dir); err == nil || !strings.Contains(err.Error(), dir+" is no plain file: build or copy the plugin's binary there") {
		t.Errorf("the error is %v", err)
	}
}
