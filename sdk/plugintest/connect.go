package plugintest

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// starter starts a plugin anew and connects to it; stop ends it.
type starter func() (client *wire.Client, stop func(), err error)

// plugin makes a starter of what a plugin hands to sdk.Serve. Requests travel
// over gRPC, so that the true wire code runs.
func plugin[C any](open func(C) (sdk.Ecosystem, error)) starter {
	return func() (*wire.Client, func(), error) {
		service, err := sdk.NewServer(open)
		if err != nil {
			return nil, nil, err
		}
		listener := bufconn.Listen(1 << 20)
		server := grpc.NewServer()
		pb.RegisterEcosystemServiceServer(server, service)
		go server.Serve(listener)
		connection, err := grpc.NewClient("passthrough:///plugin",
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return listener.DialContext(ctx)
			}))
		if err != nil {
			server.Stop()
			return nil, nil, err
		}
		stop := func() {
			connection.Close()
			server.Stop()
		}
		return wire.NewClient(connection), stop, nil
	}
}
