package wire

import (
	"context"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// older is a plugin built before there were Inspect and Accept, which says
// nothing in fields that it does not know.
type older struct {
	pb.UnimplementedEcosystemServiceServer
}

func (older) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	return &pb.DescribeResponse{Name: "older", CompleteListings: true}, nil
}

func (older) Configure(context.Context, *pb.ConfigureRequest) (*pb.ConfigureResponse, error) {
	return &pb.ConfigureResponse{}, nil
}

func (older) Plan(context.Context, *pb.PlanRequest) (*pb.PlanResponse, error) {
	return &pb.PlanResponse{Plan: &pb.PlanResponse_Document{Document: &pb.Document{Path: "/a"}}}, nil
}

// Render leaves packages of ours out, which it has never heard of.
func (older) Render(stream grpc.BidiStreamingServer[pb.RenderRequest, pb.RenderResponse]) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if m.GetRun() != nil {
			return stream.Send(&pb.RenderResponse{Message: &pb.RenderResponse_Done{Done: &pb.RenderDone{}}})
		}
	}
}

type nothing struct{}

func (nothing) Output(*pb.OutputHeader) error { return nil }
func (nothing) Piece([]byte) error            { return nil }
func (nothing) Facts([]*pb.Fact)              {}
func (nothing) Reset() error                  { return nil }

// TestPluginOfAnOlderMinorVersionWorks has one answer what it knows, and say of
// what it does not know that it lacks it.
func TestPluginOfAnOlderMinorVersionWorks(t *testing.T) {
	t.Parallel()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	pb.RegisterEcosystemServiceServer(server, older{})
	go server.Serve(listener)
	defer server.Stop()
	connection, err := grpc.NewClient("passthrough:///older", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	c, ctx := NewClient(connection), t.Context()

	if d, err := c.Describe(ctx, "test"); err != nil || d.GetCapabilities().GetHost() {
		t.Errorf("it describes itself as %v (%v)", d, err)
	}
	if _, err := c.Plan(ctx, &pb.PlanRequest{}); err != nil {
		t.Error(err)
	}
	fetch := func(context.Context, []*pb.Source) ([]Document, error) { return nil, nil }
	ours := []*pb.HostedPackage{{Name: "a", Entries: []*pb.Entry{{Path: "/a-1"}}}}
	if _, err := c.Render(ctx, &pb.RenderStart{Path: "/a"}, ours, nil, fetch, nothing{}); err != nil {
		t.Error(err)
	}
	if _, err := c.Inspect(ctx, &pb.PackageFile{}, []Member{{Name: "m", Body: []byte("text")}}); err == nil || !strings.Contains(err.Error(), "lacks a call") {
		t.Errorf("what it does not know is answered with %v", err)
	}
	if _, err := c.Accept(ctx, Publication{Start: &pb.AcceptStart{}}); err == nil || !strings.Contains(err.Error(), "lacks a call") {
		t.Errorf("what it does not know is answered with %v", err)
	}
}
