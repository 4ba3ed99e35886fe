package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Options say how a plugin is started.
type Options struct {
	// Path of the binary.
	Path string
	// SocketDir is where a directory for its socket is made, which is this
	// process's alone and removed with it; it must exist. Empty: among the
	// system's temporary files.
	SocketDir string
	// SHA256 is the checksum that the binary must have, in hex; empty: any.
	SHA256 string
	// Sum is the checksum that the binary has, in hex; empty: it is read.
	Sum string
	// Memory is what the plugin's garbage collector keeps within, in bytes
	// (GOMEMLIMIT); 0: no bound.
	Memory int64
	// Logger gets the plugin's log lines; nil: they are dropped.
	Logger hclog.Logger
	// Wrap changes the command before it is started, to sandbox it; nil: it runs
	// as it is.
	Wrap func(*exec.Cmd)
	// StartTimeout bounds the start; 0: 20 seconds.
	StartTimeout time.Duration
}

// Process is a running plugin.
type Process struct {
	*Client
	// SHA256 is the checksum of the binary that runs, in hex.
	SHA256 string

	plugin *plugin.Client
	own    string // its socket's directory; empty: it is somebody else's
	stop   sync.Once
}

// Start starts a plugin and shakes hands with it. An error says what the
// plugin did wrong, in words for the person who installed it.
func Start(o Options) (*Process, error) {
	name := filepath.Base(o.Path)
	sum, err := o.Sum, error(nil)
	if sum == "" {
		sum, err = Checksum(o.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", name, err)
	}
	if o.SHA256 != "" && !strings.EqualFold(o.SHA256, sum) {
		return nil, fmt.Errorf("plugin %s: its sha256 is %s, but the configuration pins %s", name, sum, strings.ToLower(o.SHA256))
	}
	if info, err := os.Stat(o.Path); err == nil && runtime.GOOS != "windows" && info.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("plugin %s cannot be started: make the file executable (chmod +x %s): %w", name, o.Path, os.ErrPermission)
	}
	p := &Process{SHA256: sum}
	prefix := "p" // short: socket paths are
	if o.SocketDir == "" {
		prefix = "entrepot-"
	}
	if p.own, err = os.MkdirTemp(o.SocketDir, prefix); err != nil {
		return nil, fmt.Errorf("plugin %s: %w", name, err)
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = 20 * time.Second
	}
	early := &earlyOutput{}
	log, laterOut, laterErr := io.Writer(early), io.Discard, io.Discard
	if o.Logger != nil {
		log = io.MultiWriter(early, &logWriter{logger: o.Logger})
		laterOut, laterErr = &logWriter{logger: o.Logger}, &logWriter{logger: o.Logger}
	}
	cmd := exec.Command(o.Path)
	// go-plugin tells a plugin of the directory only when a runner of one's own
	// starts it.
	cmd.Env = []string{plugin.EnvUnixSocketDir + "=" + p.own}
	if o.Memory > 0 {
		cmd.Env = append(cmd.Env, "GOMEMLIMIT="+strconv.FormatInt(o.Memory, 10))
	}
	dieWithParent(cmd)
	if o.Wrap != nil {
		o.Wrap(cmd)
	}
	p.plugin = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{ProtocolVersion: {PluginName: &Plugin{}}},
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SkipHostEnv:      true,
		StartTimeout:     o.StartTimeout,
		// go-plugin's own parser of log lines panics on a malformed one; with
		// its logger off it does not parse, and logWriter does.
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}),
		Stderr: log,
		// Once it serves, go-plugin in the plugin sends what is printed over the
		// wire. Only what the runtime prints at its end still comes by Stderr.
		SyncStdout: laterOut,
		SyncStderr: laterErr,
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(4<<20), grpc.MaxCallSendMsgSize(4<<20)),
		},
	})
	if err := p.dispense(); err != nil {
		return nil, startError(name, err, early.String())
	}
	return p, nil
}

// dispense connects to the process and gets its service.
func (p *Process) dispense() error {
	rpc, err := p.plugin.Client()
	if err != nil {
		p.Kill()
		return err
	}
	raw, err := rpc.Dispense(PluginName)
	if err != nil {
		p.Kill()
		return err
	}
	p.Client = raw.(*Client)
	return nil
}

// Attach connects to a plugin that somebody else runs, in a debugger for one: to
// what its "debug" printed, a process id, a colon and the path of a socket. That
// process is not ended by Kill.
func Attach(name, to string) (*Process, error) {
	id, socket, _ := strings.Cut(to, ":")
	pid, err := strconv.Atoi(id)
	if err != nil || socket == "" {
		return nil, fmt.Errorf("plugin %s cannot be attached to at %q: write what its \"debug\" prints, a process id, a colon and a path", name, to)
	}
	sum := sha256.Sum256([]byte(to)) // nobody knows what it was built from
	p := &Process{SHA256: hex.EncodeToString(sum[:])}
	p.plugin = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  Handshake,
		Plugins:          plugin.PluginSet{PluginName: &Plugin{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}),
		Reattach: &plugin.ReattachConfig{
			Protocol: plugin.ProtocolGRPC, ProtocolVersion: ProtocolVersion, Pid: pid, Test: true,
			Addr: &net.UnixAddr{Name: socket, Net: "unix"},
		},
	})
	if err := p.dispense(); err != nil {
		return nil, fmt.Errorf("plugin %s cannot be attached to at %s: %w", name, to, err)
	}
	return p, nil
}

// PID is the process's id; 0 when it is not known.
func (p *Process) PID() int {
	if r := p.plugin.ReattachConfig(); r != nil {
		return r.Pid
	}
	return 0
}

// Exited reports whether the process has ended.
func (p *Process) Exited() bool { return p.plugin.Exited() }

// killTime bounds the wait for a process to be gone. One that has itself traced
// by nobody stays for as long as its parent does.
const killTime = 10 * time.Second

// Kill ends the process, gracefully where it answers, and waits for it to be gone.
func (p *Process) Kill() {
	p.stop.Do(func() {
		gone := make(chan struct{})
		go func() { p.plugin.Kill(); close(gone) }()
		select {
		case <-gone:
		case <-time.After(killTime):
		}
		if p.own != "" {
			os.RemoveAll(p.own)
		}
	})
}

// Checksum returns the sha256 of a file in hex. What is no plain file, as a
// directory or a pipe, is an error.
func Checksum(path string) (string, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // opening a pipe would wait
		return "", fmt.Errorf("%s is no plain file: build or copy the plugin's binary there", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

var skew = regexp.MustCompile(`(?i)incompatible API version with plugin\. Plugin version: (\d+), Client versions: \[(\d+)\]`)

func startError(name string, err error, output string) error {
	text := err.Error()
	if m := skew.FindStringSubmatch(text); m != nil {
		side := "the plugin: build it against a newer SDK"
		if len(m[1]) > len(m[2]) || len(m[1]) == len(m[2]) && m[1] > m[2] {
			side = "entrepot: the plugin needs a newer one"
		}
		return fmt.Errorf("plugin %s speaks version %s of the plugin protocol and this entrepot version %s; update %s", name, m[1], m[2], side)
	}
	if strings.Contains(text, "Failed to read any lines from plugin's stdout") {
		text = "it ended before it shook hands"
	}
	if strings.Contains(text, "Unrecognized remote plugin message") {
		return fmt.Errorf("plugin %s printed something else than the handshake on its standard output; it must print nothing there (log to standard error) and be built with this SDK: %s", name, firstLine(afterColon(text)))
	}
	if output != "" {
		return fmt.Errorf("plugin %s did not start: %s (it printed: %s)", name, firstLine(text), firstLine(output))
	}
	return fmt.Errorf("plugin %s did not start: %s", name, firstLine(text))
}

func afterColon(s string) string {
	if _, rest, ok := strings.Cut(s, ":"); ok {
		return rest
	}
	return s
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}

// earlyOutput keeps the beginning of what a plugin prints, for the message when
// it does not start.
type earlyOutput struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (e *earlyOutput) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if room := 2048 - e.buf.Len(); room > 0 {
		e.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (e *earlyOutput) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.buf.String()
}
