package sandbox

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsyscall "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// socketDirVariable is where go-plugin tells a plugin to put its socket.
const socketDirVariable = "PLUGIN_UNIX_SOCKET_DIR"

// New finds out which layers this machine enforces. Self is the program, with
// arguments, that calls [Main]; wanted says which layers are asked for.
func New(self []string, wanted func(layer string) bool) *Sandbox {
	s := &Sandbox{self: self}
	var asked []string
	for _, layer := range Layers {
		if wanted(layer) {
			asked = append(asked, layer)
		} else {
			s.missing = append(s.missing, layer+" is switched off")
		}
	}
	// Mostly all of them hold, which one process tells as well as four.
	if s.try(asked...) == nil {
		s.layers = asked
		return s
	}
	for _, layer := range asked {
		if err := s.try(layer); err != nil {
			s.missing = append(s.missing, fmt.Sprintf("%s cannot be enforced here: %v", layer, err))
			continue
		}
		s.layers = append(s.layers, layer)
	}
	return s
}

// try has a process apply layers to itself.
func (s *Sandbox) try(layers ...string) error {
	if slices.Contains(layers, Seccomp) && !slices.Contains(layers, NoNewPrivs) {
		layers = append([]string{NoNewPrivs}, layers...) // the kernel wants it so
	}
	probe := &Sandbox{self: s.self, layers: layers}
	cmd := exec.Command("probe")
	cmd.Env = []string{}
	probe.Wrap(cmd)
	cmd.Args = cmd.Args[:len(cmd.Args)-1]
	if out, err := cmd.CombinedOutput(); err != nil {
		if text := strings.TrimSpace(string(out)); text != "" {
			return errors.New(text)
		}
		return err
	}
	return nil
}

// Wrap changes a command that is not started yet so that it runs in the
// sandbox.
func (s *Sandbox) Wrap(cmd *exec.Cmd) {
	program := cmd.Path
	cmd.Args = slices.Concat(s.self, []string{layersFlag + strings.Join(s.layers, ","), program}, cmd.Args[1:])
	cmd.Path, cmd.Err = s.self[0], nil
	if !slices.Contains(s.layers, Namespaces) {
		return
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	a := cmd.SysProcAttr
	a.Cloneflags |= unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWIPC
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
}

// Main applies the layers named in its arguments and becomes the program named
// there. Without a program it only applies them. It returns only with an error
// or without a program.
func Main(args []string) error {
	layers, program := parse(args)
	path := ""
	if len(program) > 0 {
		var err error
		if path, err = filepath.EvalSymlinks(program[0]); err != nil {
			return fmt.Errorf("starting %s: %w", program[0], err)
		}
	}
	// Privileges are the thread's; this one becomes the program.
	runtime.LockOSThread()
	for _, layer := range layers {
		if err := apply(layer, path); err != nil {
			return fmt.Errorf("%s: %w", layer, err)
		}
	}
	if path == "" {
		return nil
	}
	err := syscall.Exec(path, program, os.Environ())
	if errors.Is(err, syscall.ENOEXEC) || errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("starting %s: %w: it has to be a program for this machine, as go build makes; a script is none", path, err)
	}
	return fmt.Errorf("starting %s: %w", path, err)
}

func apply(layer, program string) error {
	switch layer {
	case Namespaces: // by whoever started us
		return nil
	case NoNewPrivs:
		return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	case Landlock:
		return restrictFiles(program)
	case Seccomp:
		return filterCalls()
	}
	return errors.New("no such layer")
}

// libraries are what a dynamically linked program reads before it runs.
var libraries = []string{"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"}

// makeSocket is what it takes to listen on a socket in a directory. Before it
// does, go-plugin makes an empty file of the socket's name and removes it.
const makeSocket landlock.AccessFSSet = llsyscall.AccessFSMakeSock | llsyscall.AccessFSRemoveFile |
	llsyscall.AccessFSMakeReg | llsyscall.AccessFSReadFile | llsyscall.AccessFSWriteFile

// restrictFiles leaves the program's own file, the libraries it is linked with,
// and a socket in its directory. What is no socket stays empty there.
func restrictFiles(program string) error {
	if abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno != 0 || abi < 1 {
		return fmt.Errorf("the kernel has no Landlock: %w", errno)
	}
	var rules []landlock.Rule
	if program != "" {
		rules = append(rules, landlock.ROFiles(program))
		if dynamic(program) {
			rules = append(rules, landlock.RODirs(libraries[:len(libraries)-1]...).IgnoreIfMissing(), landlock.ROFiles(libraries[len(libraries)-1]).IgnoreIfMissing())
		}
	}
	if dir := os.Getenv(socketDirVariable); dir != "" {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{}); err != nil {
			return fmt.Errorf("no file is to have content: %w", err)
		}
		rules = append(rules, landlock.PathAccess(makeSocket, dir))
	}
	return landlock.V5.BestEffort().RestrictPaths(rules...)
}

// dynamic reports whether a program needs a loader.
func dynamic(program string) bool {
	f, err := elf.Open(program)
	if err != nil {
		return true // exec says what is wrong with it
	}
	defer f.Close()
	return slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}
