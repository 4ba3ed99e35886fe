package plugintest

import (
	"encoding/json"
	"strings"

	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// statuses are what kinds of failure usually answer.
var statuses = map[pb.ErrorKind]int{
	pb.ErrorKind_ERROR_KIND_NOT_FOUND:    404,
	pb.ErrorKind_ERROR_KIND_HELD:         403,
	pb.ErrorKind_ERROR_KIND_REFUSED:      403,
	pb.ErrorKind_ERROR_KIND_UNAUTHORIZED: 401,
	pb.ErrorKind_ERROR_KIND_UPSTREAM:     502,
	pb.ErrorKind_ERROR_KIND_BAD_REQUEST:  400,
	pb.ErrorKind_ERROR_KIND_METHOD:       405,
	pb.ErrorKind_ERROR_KIND_RATE_LIMITED: 429,
	pb.ErrorKind_ERROR_KIND_UNAVAILABLE:  503,
	pb.ErrorKind_ERROR_KIND_CONFLICT:     409,
	pb.ErrorKind_ERROR_KIND_TOO_LARGE:    413,
	pb.ErrorKind_ERROR_KIND_RANGE:        416,
}

// refuse writes a failure in the plugin's form.
func (h *host) refuse(f *failure) *answer {
	format := h.about.GetErrors()
	kind := wire.KindName(f.kind)
	status, ok := statuses[f.kind]
	if !ok {
		status = 500
	}
	if s, ok := format.GetStatus()[kind]; ok {
		status = int(s)
	}
	var pairs []string
	for _, p := range [][2]string{
		{"{message}", f.message}, {"{name}", f.name}, {"{version}", f.version}, {"{until}", f.until}, {"{kind}", kind},
		{"{code}", or(f.code, format.GetCodes()[kind])},
	} {
		value := p[1]
		if strings.Contains(format.GetContentType(), "json") {
			quoted, _ := json.Marshal(value) // a string always can be
			value = string(quoted)
		}
		pairs = append(pairs, p[0], value)
	}
	return &answer{
		status:  status,
		header:  map[string]string{"content-type": format.GetContentType()},
		message: f.message,
		body:    []byte(strings.NewReplacer(pairs...).Replace(format.GetBody())),
	}
}
