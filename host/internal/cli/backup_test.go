package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hashicorp/go-hclog"

	"github.com/entrepot-registry/entrepot/host/internal/backup"
	"github.com/entrepot-registry/entrepot/host/internal/config"
)

// TestBackupIsCheckedWhileItIsCopied breaks a backup in the ways that a host
// that ends, and a wire, do.
func TestBackupIsCheckedWhileItIsCopied(t *testing.T) {
	t.Parallel()
	d, b, err := openData(&config.Config{DataDir: t.TempDir(), CacheSize: 1 << 30}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var whole bytes.Buffer
	if _, err := backup.Write(context.Background(), &whole, d, b, "test"); err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	if _, err := copyBackup(t.Context(), &copied, bytes.NewReader(whole.Bytes())); err != nil || !bytes.Equal(copied.Bytes(), whole.Bytes()) {
		t.Errorf("%d of %d bytes are copied (%v)", copied.Len(), whole.Len(), err)
	}
	half := whole.Bytes()[:whole.Len()/2]
	for name, row := range map[string]struct {
		from io.Reader
		says string
	}{
		"a host that ends": {io.MultiReader(bytes.NewReader(half), iotest.ErrReader(io.ErrUnexpectedEOF)), "the host broke it off"},
		"an early end":     {bytes.NewReader(half), "cut off"},
		"nothing":          {strings.NewReader(""), "does not begin"},
	} {
		if _, err := copyBackup(t.Context(), io.Discard, row.from); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v, want %q", name, err, row.says)
		}
	}
}
