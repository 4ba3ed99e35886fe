package e2e

import (
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// ociConformance runs the conformance suite of the distribution specification
// (its folder "conformance", built as "oci-conformance") against a host, and
// returns how many cases there were and what it prints. It is no Go module that
// can be installed, so that it is not everywhere, CI included.
func ociConformance(t *testing.T, h *Host, settings ...string) (cases, failures int, out string) {
	t.Helper()
	program, err := exec.LookPath("oci-conformance")
	if err != nil {
		t.Skip("SKIPPED: oci-conformance is not installed: build the folder conformance of the distribution specification under that name")
	}
	results := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Dir = results
	cmd.Env = append([]string{
		"HOME=" + results, "PATH=" + os.Getenv("PATH"), "OCI_REGISTRY=" + registryOf(h.URL), "OCI_TLS=disabled",
		"OCI_REPO1=conformance/one", "OCI_REPO2=conformance/two", "OCI_RESULTS_DIR=" + results,
	}, settings...)
	text, err := cmd.CombinedOutput()
	out = string(text)
	report, missing := os.ReadFile(filepath.Join(results, "junit.xml"))
	if missing != nil { // its read-only mode panics after its summary
		passed := regexp.MustCompile(`(?m): Pass$`).FindAllString(out, -1)
		failed := regexp.MustCompile(`(?m): (FAIL|Error)$`).FindAllString(out, -1)
		if len(passed) == 0 {
			t.Fatalf("it reports nothing: %v\n%s", err, out[max(0, len(out)-4000):])
		}
		return len(passed) + len(failed), len(failed), out
	}
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
	}
	if err := xml.Unmarshal(report, &suites); err != nil {
		t.Fatal(err)
	}
	return suites.Tests, suites.Failures + suites.Errors, out
}

// ociFailed are the lines of the suite that tell of failures.
func ociFailed(out string) string {
	var failed strings.Builder
	for line := range strings.Lines(out) {
		if regexp.MustCompile(`(?i)fail|error`).MatchString(line) {
			failed.WriteString(line)
		}
	}
	return failed.String()[:min(failed.Len(), 8000)]
}

func TestOCIConformance(t *testing.T) {
	t.Parallel()
	for version, settings := range map[string][]string{
		"1.1": nil,
		"dev": {"OCI_API_BLOBS_UPLOAD_CANCEL=true", "OCI_API_MANIFESTS_TAG_PARAM=true", "OCI_DATA_SPARSE=true"},
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, ociConfig("3d", ociOurs, "options {\n  sparse = true\n}", private))
			token := h.token(t, "joe", "--allow", "read,publish,delete")
			cases, failures, out := ociConformance(t, h, append(settings, "OCI_VERSION="+version, "OCI_USERNAME=joe", "OCI_PASSWORD="+token)...)
			t.Logf("%d cases", cases)
			if failures > 0 || cases < 600 {
				t.Errorf("%d of %d cases fail:\n%s", failures, cases, ociFailed(out))
			}
		})
	}
}

// TestOCIConformanceOfTheCache runs the suite's read-only mode against a host
// that pulls through from another.
func TestOCIConformanceOfTheCache(t *testing.T) {
	t.Parallel()
	origin, token := ociHosting(t)
	image := ociImage(t, "tide", "amd64", 1000)
	repository := origin.URL + "/v2/conformance/one"
	ociStore(t, repository, token, image, "v1")
	ociStore(t, repository, token, image, "v2")
	signature := ociArtifact(t, "application/vnd.example.signature", "signed", image)
	ociStore(t, repository, token, signature, signature.digest)
	h := startHost(t, ociConfig("3d", ociFrom("sea.example.com", origin.URL)))
	cases, failures, out := ociConformance(t, h, "OCI_VERSION=1.1",
		"OCI_API_PUSH=false", "OCI_API_BLOBS_DELETE=false", "OCI_API_MANIFESTS_DELETE=false", "OCI_API_TAGS_DELETE=false",
		"OCI_RO_DATA_TAGS=v1 v2", "OCI_RO_DATA_MANIFESTS="+image.digest,
		fmt.Sprintf("OCI_RO_DATA_BLOBS=%s %s", image.blobs[0].digest, image.blobs[1].digest), "OCI_RO_DATA_REFERRERS="+image.digest)
	t.Logf("%d cases", cases)
	if failures > 0 || cases < 10 {
		t.Errorf("%d of %d cases fail:\n%s", failures, cases, ociFailed(out))
	}
}
