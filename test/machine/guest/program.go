//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/test/machine/wire"
)

// outputLimit is how much of the end of a program's output is kept.
const outputLimit = 64 << 10

// program is one that the test started.
type program struct {
	mu   sync.Mutex
	text []byte
	exit string
	done chan struct{}
}

// Write keeps the end of what the program writes.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = append(p.text, b...)
	if over := len(p.text) - outputLimit; over > 0 {
		p.text = append(p.text[:0], p.text[over:]...)
	}
	return len(b), nil
}

// start starts a program, in a session of its own.
func (s *server) start(r *http.Request) (wire.Running, error) {
	req, err := decode[wire.Start](r)
	if err != nil {
		return wire.Running{}, err
	}
	if len(req.Argv) == 0 {
		return wire.Running{}, errors.New("nothing to start")
	}
	p := &program{done: make(chan struct{})}
	cmd := exec.Command(req.Argv[0], req.Argv[1:]...)
	cmd.Env = append([]string{"PATH=/usr/bin", "HOME=" + wire.Data}, req.Env...)
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return wire.Running{}, err
	}
	s.mu.Lock()
	s.programs[req.Name] = p
	s.mu.Unlock()
	go func() {
		_ = cmd.Wait() // The state says all that the error does.
		p.mu.Lock()
		p.exit = cmd.ProcessState.String()
		p.mu.Unlock()
		close(p.done)
	}()
	return wire.Running{PID: cmd.Process.Pid, Argv: req.Argv}, nil
}

// output says what a started program wrote last; with wait=1 it waits for its end.
func (s *server) output(r *http.Request) (wire.Output, error) {
	name := r.URL.Query().Get("name")
	s.mu.Lock()
	p := s.programs[name]
	s.mu.Unlock()
	if p == nil {
		return wire.Output{}, fmt.Errorf("no program %q was started", name)
	}
	if r.URL.Query().Get("wait") != "" {
		select {
		case <-p.done:
		case <-r.Context().Done():
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return wire.Output{Running: p.exit == "", Exit: p.exit, Text: string(p.text)}, nil
}

// running lists the processes of the product.
func (s *server) running(*http.Request) ([]wire.Running, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var out []wire.Running
	for _, dir := range dirs {
		// A process may end at any moment; then it is just not in the list.
		if exe, err := os.Readlink(dir + "/exe"); err != nil || exe != wire.Program {
			continue
		}
		line, err := os.ReadFile(dir + "/cmdline")
		if err != nil {
			continue
		}
		status, err := os.ReadFile(dir + "/status")
		if err != nil {
			continue
		}
		rollup, err := os.ReadFile(dir + "/smaps_rollup")
		if err != nil {
			continue
		}
		files, err := os.ReadDir(dir + "/fd")
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		policy, _, errno := unix.Syscall(unix.SYS_SCHED_GETSCHEDULER, uintptr(pid), 0, 0)
		if errno != 0 {
			continue
		}
		out = append(out, wire.Running{
			PID: pid, Argv: strings.Split(strings.TrimRight(string(line), "\x00"), "\x00"),
			RSSKiB: field(status, "VmRSS"), HWMKiB: field(status, "VmHWM"), PSSKiB: field(rollup, "Pss"),
			Threads: int(field(status, "Threads")), Files: len(files), Policy: int(policy), CPU: cpu(stat),
		})
	}
	return out, nil
}

// cpu is user and system time as a process's stat file has it. The name in brackets may hold anything; what follows the
// last bracket is regular, and counted in ticks of 10 ms.
func cpu(stat []byte) time.Duration {
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// signal sends a signal to one process of the product.
func (s *server) signal(r *http.Request) (wire.Signal, error) {
	req, err := decode[wire.Signal](r)
	if err != nil {
		return req, err
	}
	if req.PID <= 1 {
		return req, fmt.Errorf("expected the id of a process of the product, found %d", req.PID)
	}
	return req, unix.Kill(req.PID, unix.Signal(req.Signal))
}
