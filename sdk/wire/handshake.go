package wire

import (
	"context"
	"errors"
	"strings"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// ProtocolVersion is the contract's major version, also in the proto package.
const ProtocolVersion = 1

// PieceSize is how much of a body travels in one message.
const PieceSize = 256 << 10

// Handshake tells a plugin that it was started by entrepot.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  ProtocolVersion,
	MagicCookieKey:   "ENTREPOT_PLUGIN",
	MagicCookieValue: "entrepot.ecosystem",
}

// PluginName is the name under which go-plugin dispenses the service.
const PluginName = "ecosystem"

// Plugin joins the service to go-plugin. Service is nil on the host's side.
type Plugin struct {
	plugin.NetRPCUnsupportedPlugin
	Service pb.EcosystemServiceServer
}

// GRPCServer registers the service in the plugin.
func (p *Plugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	if p.Service == nil {
		return errors.New("no server to register")
	}
	pb.RegisterEcosystemServiceServer(s, p.Service)
	return nil
}

// GRPCClient makes the host's side.
func (p *Plugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return NewClient(c), nil
}

// KindName is the name of an error kind in templates and status tables:
// "not_found".
func KindName(k pb.ErrorKind) string {
	return strings.ToLower(strings.TrimPrefix(k.String(), "ERROR_KIND_"))
}
