// Package proc starts the programs that a test needs, watches them and takes them down again; it never signals a
// process that it did not start.
//
// Every process gets its own process group and dies with the test (PR_SET_PDEATHSIG), so that a crashed test leaves
// nothing behind. Both output streams are kept, up to a limit, and are printed when the test fails.
package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Spec says what to start and under which limits. Zero limits mean: inherit the test's own.
type Spec struct {
	// Name appears in messages; default: the program's name.
	Name string
	// Argv is the program and its arguments.
	Argv []string
	// Env is added to the test's own environment.
	Env []string
	// Dir is the working directory.
	Dir string
	// Stdin is what the program reads; default: nothing.
	Stdin *os.File
	// NoFile bounds open descriptors (RLIMIT_NOFILE).
	NoFile uint64
	// AddressSpace bounds virtual memory in bytes (RLIMIT_AS). A Go program reserves much more than it uses.
	AddressSpace uint64
	// FileSize bounds the size of files it writes, in bytes (RLIMIT_FSIZE).
	FileSize uint64
	// FIFO, if not 0, is the process's SCHED_FIFO priority; without the right to give it, it stays an ordinary process.
	FIFO int
	// Cgroup, if not nil, holds the process from its first instruction on.
	Cgroup *Cgroup
}

// Exit says how a process ended.
type Exit struct {
	// Code is the exit code, -1 after a signal.
	Code int
	// Signal is the signal that ended it, 0 after a normal exit.
	Signal syscall.Signal
	// At is when the end was seen, on the monotonic clock.
	At time.Time
}

// String reads like "exit 0" or "signal killed".
func (e Exit) String() string {
	if e.Signal != 0 {
		return "signal " + e.Signal.String()
	}
	return "exit " + strconv.Itoa(e.Code)
}

// Process is one running program.
type Process struct {
	name string
	argv []string
	cmd  *exec.Cmd
	out  *capture
	done chan struct{}
	mu   sync.Mutex
	exit Exit
}

// Start starts the program. The caller ends it with Stop or Kill; StartT does so by itself.
func Start(spec Spec) (*Process, error) {
	if len(spec.Argv) == 0 {
		return nil, errors.New("proc: nothing to start: Argv is empty")
	}
	argv := limited(spec)
	p := &Process{name: spec.Name, argv: spec.Argv, out: newCapture(), done: make(chan struct{})}
	if p.name == "" {
		p.name = spec.Argv[0]
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(os.Environ(), spec.Env...)
	p.cmd.Dir = spec.Dir
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if spec.Stdin != nil { // An interface with a nil pointer in it would not be nil.
		p.cmd.Stdin = spec.Stdin
	}
	// A grandchild that keeps our pipe open must not hold up the end of the test.
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go p.run(spec.Cgroup, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("proc: start %s: %w", p.name, err)
	}
	return p, nil
}

// limited puts prlimit before the program: it sets the limits and then becomes the program, with the same pid.
func limited(spec Spec) []string {
	var pre []string
	add := func(flag string, v uint64) {
		if v > 0 {
			pre = append(pre, fmt.Sprintf("--%s=%d", flag, v))
		}
	}
	add("nofile", spec.NoFile)
	add("as", spec.AddressSpace)
	add("fsize", spec.FileSize)
	argv := spec.Argv
	if spec.FIFO > 0 && os.Geteuid() == 0 {
		argv = append([]string{"chrt", "--fifo", strconv.Itoa(spec.FIFO)}, argv...)
	}
	if pre == nil {
		return argv
	}
	return append(append(append([]string{"prlimit"}, pre...), "--"), argv...)
}

// run starts the program and waits for its end on one thread: the kernel sends the death signal when the *thread* that
// started the child ends, so that thread has to live as long as the child.
func (p *Process) run(cg *Cgroup, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cg.start(p.cmd); err != nil {
		started <- err
		return
	}
	started <- nil
	_ = p.cmd.Wait() // the state below says all that the error does
	ws, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	p.mu.Lock()
	p.exit = Exit{Code: p.cmd.ProcessState.ExitCode(), At: time.Now()}
	if ws.Signaled() {
		p.exit.Signal = ws.Signal()
	}
	p.mu.Unlock()
	close(p.done)
}

// StartT starts the program, ends it with the test, and prints its output if the test failed.
func StartT(t testing.TB, spec Spec) *Process {
	t.Helper()
	p, err := Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exit := p.Stop(3 * time.Second)
		if t.Failed() {
			t.Logf("%s (%s) wrote:\n%s", p.name, exit, p.Output())
		}
	})
	return p
}

// Name is the name given in Spec.
func (p *Process) Name() string { return p.name }

// Argv is the program and its arguments as given in Spec.
func (p *Process) Argv() []string { return p.argv }

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is what the program wrote so far on both streams; of long output only the start and the end.
func (p *Process) Output() string { return p.out.String() }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running says whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Wait waits for the end of the process, or of the context.
func (p *Process) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-p.done:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.exit, nil
	case <-ctx.Done():
		return Exit{}, fmt.Errorf("proc: %s (pid %d) still runs: %w", p.name, p.PID(), ctx.Err())
	}
}

// Signal sends a signal to the process alone, not to its children. After the end it returns os.ErrProcessDone.
func (p *Process) Signal(sig syscall.Signal) error {
	if !p.Running() {
		return os.ErrProcessDone
	}
	return p.cmd.Process.Signal(sig)
}

// Pause stops the process where it stands (SIGSTOP); Resume lets it go on.
func (p *Process) Pause() error { return p.Signal(syscall.SIGSTOP) }

// Resume continues a paused process (SIGCONT).
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }

// Kill ends the process and its group at once (SIGKILL) and waits until it is gone.
func (p *Process) Kill() Exit {
	p.group(syscall.SIGKILL)
	<-p.done
	return p.exit
}

// Stop asks the group to end (SIGTERM), and kills it when grace is over.
func (p *Process) Stop(grace time.Duration) Exit {
	p.group(syscall.SIGTERM)
	p.group(syscall.SIGCONT) // a paused process would never see the SIGTERM
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
	return p.Kill()
}

// group signals the process group unless its leader is known to have ended: after that the id may be another's.
func (p *Process) group(sig syscall.Signal) {
	if p.Running() {
		_ = syscall.Kill(-p.PID(), sig)
	}
}

// WaitOutput waits until the output matches the pattern and returns the match with its groups.
func (p *Process) WaitOutput(ctx context.Context, pattern string) ([]string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("proc: pattern %q: %w", pattern, err)
	}
	for {
		changed := p.out.changed()
		if m := re.FindStringSubmatch(p.Output()); m != nil {
			return m, nil
		}
		select {
		case <-changed:
		case <-p.done:
			if m := re.FindStringSubmatch(p.Output()); m != nil {
				return m, nil
			}
			return nil, fmt.Errorf("proc: %s ended (%s) without writing %q; it wrote:\n%s", p.name, p.exit, pattern, p.Output())
		case <-ctx.Done():
			return nil, fmt.Errorf("proc: %s did not write %q: %w; it wrote:\n%s", p.name, pattern, ctx.Err(), p.Output())
		}
	}
}

// Usage is what a process uses right now.
type Usage struct {
	// RSSBytes is resident memory, HWMBytes its peak so far. AnonBytes is the part of it that belongs to this process
	// alone, PSSBytes what remains when everybody who shares a page bears an equal part of it.
	RSSBytes, HWMBytes, AnonBytes, PSSBytes int64
	// CPU is user and system time so far, in steps of 10 ms.
	CPU time.Duration
	// Threads and Files count threads and open descriptors.
	Threads, Files int
}

// Usage reads what the process uses from /proc.
func (p *Process) Usage() (Usage, error) { return UsageOf(p.PID()) }

// UsageOf reads what a process uses from /proc.
func UsageOf(pid int) (Usage, error) {
	var u Usage
	dir := "/proc/" + strconv.Itoa(pid)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return u, fmt.Errorf("proc: usage of pid %d: %w", pid, err)
	}
	// Of other users' processes the shares cannot be read; everything else can.
	rollup, _ := os.ReadFile(dir + "/smaps_rollup")
	for line := range strings.Lines(string(status) + string(rollup)) {
		key, rest, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch key {
		case "VmRSS":
			u.RSSBytes = n << 10
		case "VmHWM":
			u.HWMBytes = n << 10
		case "RssAnon":
			u.AnonBytes = n << 10
		case "Pss":
			u.PSSBytes = n << 10
		case "Threads":
			u.Threads = int(n)
		}
	}
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return u, fmt.Errorf("proc: usage of pid %d: %w", pid, err)
	}
	// The second field is the name in brackets and may hold anything; what follows the last bracket is regular.
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(f) > 12 {
		user, _ := strconv.ParseInt(f[11], 10, 64)
		system, _ := strconv.ParseInt(f[12], 10, 64)
		u.CPU = time.Duration(user+system) * 10 * time.Millisecond
	}
	fds, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return u, fmt.Errorf("proc: descriptors of pid %d: %w", pid, err)
	}
	u.Files = len(fds)
	return u, nil
}
