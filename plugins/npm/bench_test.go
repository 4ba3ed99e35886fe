package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/entrepot-registry/entrepot/sdk"
	"github.com/entrepot-registry/entrepot/sdk/wire"
	pb "github.com/entrepot-registry/entrepot/sdk/wire/entrepot/ecosystem/v1"
)

// largePackument is about 3 KB a version, like those of packages that are
// released every day: 3,000 versions are 9 MB.
func largePackument(versions int) []byte {
	var out bytes.Buffer
	now := time.Date(2025, 6, 10, 0, 0, 0, 0, time.UTC)
	fmt.Fprintf(&out, `{"_id":"large","_rev":"1-a","name":"large","dist-tags":{"latest":"1.%d.0"},"versions":{`, versions-1)
	for i := range versions {
		if i > 0 {
			out.WriteByte(',')
		}
		manifest := map[string]any{
			"name": "large", "version": fmt.Sprintf("1.%d.0", i), "description": "A large package with \"quotes\".", "license": "MIT",
			"keywords": []string{"large", "package", "benchmark"}, "homepage": "https://www.example.com/large",
			"scripts":    map[string]string{"build": "tsc -p . && node build.js", "test": "jest --ci", "lint": "eslint . --ext .ts"},
			"repository": map[string]string{"type": "git", "url": "git+https://git.example.com/large/large.git"},
			"maintainers": []map[string]string{
				{"name": "someone", "email": "someone@example.com"}, {"name": "another", "email": "another@example.com"},
			},
			"_npmUser": map[string]any{"name": "someone", "email": "someone@example.com", "approver": nil},
			"_id":      fmt.Sprintf("large@1.%d.0", i), "_nodeVersion": "22.1.0", "_npmVersion": "11.0.0", "gitHead": strings.Repeat("0123456789abcdef", 2),
			"engines": map[string]string{"node": ">=18"}, "bin": map[string]string{"large": "bin/large.js"},
			"dist": map[string]any{
				"integrity": "sha512-" + strings.Repeat("A", 86) + "==", "shasum": strings.Repeat("0123456789", 4), "fileCount": 100 + i, "unpackedSize": 1000000 + i,
				"tarball":    fmt.Sprintf("https://main.example.com/large/-/large-1.%d.0.tgz", i),
				"signatures": []map[string]string{{"keyid": "SHA256:" + strings.Repeat("k", 43), "sig": strings.Repeat("s", 96)}},
			},
			"dependencies": dependencies("dep", 20), "devDependencies": dependencies("dev", 30), "peerDependencies": dependencies("peer", 3),
			"_npmOperationalInternal": map[string]string{"host": "s3://packages", "tmp": fmt.Sprintf("tmp/large_1.%d.0_1700000000000_0.123", i)},
		}
		encoded, _ := json.Marshal(manifest) // maps of strings always can be
		fmt.Fprintf(&out, `"1.%d.0":%s`, i, encoded)
	}
	out.WriteString(`},"time":{"created":"2010-01-01T00:00:00.000Z","modified":"2025-06-09T12:00:00.000Z"`)
	for i := range versions {
		fmt.Fprintf(&out, `,"1.%d.0":"%s"`, i, now.Add(-time.Duration(versions-i)*24*time.Hour).Format("2006-01-02T15:04:05.000Z"))
	}
	out.WriteString(`},"readme":"# large"}`)
	return out.Bytes()
}

func dependencies(prefix string, n int) map[string]string {
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprintf("@%s/some-package-%d", prefix, i)] = fmt.Sprintf("^%d.2.3", i)
	}
	return all
}

// BenchmarkPackument compares the first rendering of a packument of 9 MB, both
// forms of it, with decoding it once: the target is at most twice as long.
func BenchmarkPackument(b *testing.B) {
	doc := largePackument(3000)
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			var v any
			if err := json.Unmarshal(doc, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("render", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			if _, err := renderBoth("large", doc, newKeeper().Keep, io.Discard, io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("render over the wire", func(b *testing.B) {
		client := connect(b)
		b.ReportAllocs()
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			renderOverWire(b, client, doc)
		}
	})
}

func connect(b testing.TB) *wire.Client {
	service, err := sdk.NewServer(npm)
	if err != nil {
		b.Fatal(err)
	}
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	pb.RegisterEcosystemServiceServer(server, service)
	go server.Serve(listener)
	b.Cleanup(server.Stop)
	connection, err := grpc.NewClient("passthrough:///npm",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { connection.Close() })
	return wire.NewClient(connection)
}

func renderOverWire(b *testing.B, client *wire.Client, doc []byte) {
	source := &pb.Source{Url: "large", Accept: jsonType}
	start := &pb.RenderStart{
		Repository: &pb.Repository{Name: "npm", BaseUrl: "http://entrepot/npm"},
		Path:       "/large",
		Policy: &pb.Policy{
			NowMs: time.Date(2025, 6, 10, 0, 0, 0, 0, time.UTC).UnixMilli(),
			Rules: []*pb.CooldownRule{{Name: "*", WindowMs: (7 * 24 * time.Hour).Milliseconds(), Label: "default"}},
		},
	}
	fetch := func(context.Context, []*pb.Source) ([]wire.Document, error) {
		header := &pb.DocumentHeader{Source: source, Status: 200, Size: int64(len(doc))}
		return []wire.Document{{Header: header, Body: io.NopCloser(bytes.NewReader(doc))}}, nil
	}
	sink := &counter{}
	failure, err := client.Render(b.Context(), start, nil, []*pb.Source{source}, fetch, sink)
	if err != nil || failure != nil {
		b.Fatal(err, failure)
	}
	if sink.facts != 3000 || sink.bytes < len(doc)/2 {
		b.Fatalf("%d facts and %d bytes came", sink.facts, sink.bytes)
	}
}

// counter takes a rendering and counts it.
type counter struct{ facts, bytes int }

// Output begins an output.
func (c *counter) Output(*pb.OutputHeader) error { return nil }

// Piece counts bytes.
func (c *counter) Piece(p []byte) error {
	c.bytes += len(p)
	return nil
}

// Facts counts facts.
func (c *counter) Facts(facts []*pb.Fact) { c.facts += len(facts) }

// Reset begins to count anew.
func (c *counter) Reset() error {
	*c = counter{}
	return nil
}
