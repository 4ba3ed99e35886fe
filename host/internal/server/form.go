package server

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxFormBytes bounds a form by which a document is asked for.
const maxFormBytes = 16 << 10

// formTarget is the target of the GET that a POST of a form stands for: the
// form's fields are its query. Some clients ask for documents so. False: there
// is no form.
func formTarget(w http.ResponseWriter, r *http.Request, target string) (string, bool) {
	if r.Method != http.MethodPost {
		return "", false
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", false
	}
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(relayTime)); err != nil {
		return "", false
	}
	form, err := io.ReadAll(io.LimitReader(r.Body, maxFormBytes+1))
	if err != nil || len(form) == 0 || len(form) > maxFormBytes {
		return "", false
	}
	fields, err := url.ParseQuery(string(form))
	if err != nil {
		return "", false
	}
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	return target + separator + fields.Encode(), true
}
