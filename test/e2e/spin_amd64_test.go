package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/plant"
)

// A guard that spins, without a word of that in the product: one of its threads that waits in the kernel is led, by ptrace(2), to two
// bytes of the program that are a jump to themselves. Nothing of the program is changed.

// jumpToItself is that instruction.
var jumpToItself = []byte{0xeb, 0xfe}

const (
	// futex is the system call in which threads of Go wait for work.
	futex = 202
	// schedRR is the guard's class, leastPriority one below that of every robot and guard of another test.
	schedRR, leastPriority = 2, 1
	// spinLimit bounds how long any thread spins here, whatever the kernel does.
	spinLimit = 6 * time.Second
)

// spinner is a process one of whose threads spins.
type spinner struct {
	pid, tid, fd int
	began        time.Duration
}

// makeSpin has one thread of a process spin, at the given real-time priority, or at its own if that is 0. It ends with the test.
func makeSpin(t testing.TB, pid, priority int) *spinner {
	t.Helper()
	at := findJump(t, pid)
	s := &spinner{pid: pid, fd: must(unix.PidfdOpen(pid, 0))(t)}
	// By a descriptor: a number may be another's by then.
	t.Cleanup(func() { s.kill(); _ = unix.Close(s.fd) })
	for _, task := range must(filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid)))(t) {
		s.tid = must(strconv.Atoi(filepath.Base(task)))(t)
		call, _ := os.ReadFile(task + "/syscall")
		attr, err := unix.SchedGetAttr(s.tid, 0)
		if err != nil || s.tid == pid || attr.Policy != schedRR || !strings.HasPrefix(string(call), strconv.Itoa(futex)+" ") {
			continue
		}
		if priority > 0 {
			attr.Priority = uint32(priority)
			if err := unix.SchedSetAttr(s.tid, attr, 0); err != nil {
				t.Fatal(err)
			}
		}
		s.began = boottime()
		if led, err := lead(s.tid, at); err != nil {
			t.Fatalf("lead thread %d astray: %v", s.tid, err)
		} else if led {
			return s
		}
	}
	t.Fatal("no real-time thread of the guard waits")
	return nil
}

// findJump finds the instruction in the program of a process.
func findJump(t testing.TB, pid int) uint64 {
	t.Helper()
	for line := range strings.Lines(string(must(os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid)))(t))) {
		var from, to uint64
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n != 3 || mode != "r-xp" || strings.HasSuffix(line, "]\n") {
			continue
		}
		text := make([]byte, to-from)
		mem := must(os.Open(fmt.Sprintf("/proc/%d/mem", pid)))(t)
		_, err := mem.ReadAt(text, int64(from)) //nolint:gosec // an address of a program
		_ = mem.Close()
		if i := bytes.Index(text, jumpToItself); err == nil && i >= 0 {
			return from + uint64(i) //nolint:gosec // not negative
		}
	}
	t.Fatal("no jump to itself in the guard's program")
	return 0
}

// lead sends a thread that waits in the kernel to an address, and says whether it did wait. It is stopped for a moment only.
func lead(tid int, to uint64) (led bool, err error) {
	runtime.LockOSThread() // Who traces is a thread.
	defer runtime.UnlockOSThread()
	if err := unix.PtraceSeize(tid); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unix.PtraceDetach(tid)) }()
	if err := unix.PtraceInterrupt(tid); err != nil {
		return false, err
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(tid, &ws, unix.WALL, nil); err != nil {
		return false, err
	}
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil || regs.Orig_rax != futex {
		return false, err
	}
	// Not in a system call any more, or the kernel would make it again from two bytes before.
	regs.Rip, regs.Orig_rax = to, ^uint64(0)
	return true, unix.PtraceSetRegs(tid, &regs)
}

// kill ends the process, if it is still there.
func (s *spinner) kill() { _ = unix.PidfdSendSignal(s.fd, unix.SIGKILL, nil, 0) }

// gone waits for the end of the process and says when that was.
func (s *spinner) gone(limit time.Duration) (at time.Duration, ok bool) {
	for deadline := boottime() + limit; ; {
		wait := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}} //nolint:gosec // a descriptor
		n, err := unix.Poll(wait, int(max(deadline-boottime(), 0).Milliseconds()))
		if at = boottime(); n > 0 || err != nil && !errors.Is(err, unix.EINTR) || at >= deadline {
			return at, n > 0
		}
	}
}

// used is the processor time of the thread that spins.
func (s *spinner) used(t testing.TB) time.Duration {
	t.Helper()
	var ns int64
	raw := must(os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/schedstat", s.pid, s.tid)))(t)
	if _, err := fmt.Sscan(string(raw), &ns); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ns)
}

// realTime is a robot at cruise speed whose guard is in real time, below a supervisor.
func realTime(t *testing.T, b bus.Bus) (r *robot, pid int) {
	t.Helper()
	need.Root(t)
	r = driving(t, b, siteConfig{lock: true, role: "run"}, plant.Config{})
	if st := r.g.run(t); st.Scheduling != "real-time" {
		need.Missing(t, "no real-time scheduling here: %s", st.Scheduling)
	}
	return r, r.g.child(t, "guard")
}

// setLimit is the limit of spinning of a process, in µs.
func setLimit(t testing.TB, pid int, soft, hard uint64) {
	t.Helper()
	if err := unix.Prlimit(pid, unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: soft, Max: hard}, nil); err != nil {
		t.Fatal(err)
	}
}

// endsAndComesBack waits until the kernel has ended a guard that spins, the robot rests and the supervisor has another guard, which
// holds. It says when the end was.
func (r *robot) endsAndComesBack(t *testing.T, s *spinner, first agent.Status) (ended time.Duration) {
	t.Helper()
	ended, ok := s.gone(spinLimit)
	if !ok {
		s.kill()
		t.Fatalf("a guard that spins is still there after %v", spinLimit)
	}
	until(t, 5*time.Second, "a supervisor that tells of a guard that was killed", func() bool {
		return strings.Contains(r.g.Output(), `"end":"signal: killed"`)
	})
	back := r.g.await(t, "another guard that holds after an unclean end", 20*time.Second, func(st agent.Status) bool {
		return st.Nonce != first.Nonce && has(st, "restart.unclean") && !has(st, "startup")
	})
	t.Logf("figures: the guard gone %v after it began to spin, another one holds %v later", ended-s.began, boottime()-ended)
	r.restsWithin(t, ended, silence+stopTime())
	if back.Axes.Motion != "hold" {
		t.Errorf("motion %q after a guard that was killed: expected a hold", back.Axes.Motion)
	}
	return ended
}

// TestSpinningGuardIsEnded: the kernel ends a guard one of whose threads spins, the robot rests, and the supervisor starts another.
// So that no other test's programs wait for it, the thread spins at the lowest priority there is, and the test makes the limit a fifth
// of the guard's own, which TestSpinningGuardStarvesNobody waits for.
func TestSpinningGuardIsEnded(t *testing.T) {
	r, pid := realTime(t, meet(t, bus.ROS))
	first := r.g.run(t)
	setLimit(t, pid, 100_000, 200_000)
	s := makeSpin(t, pid, leastPriority)
	if took := r.endsAndComesBack(t, s, first) - s.began; took < 150*time.Millisecond {
		t.Errorf("the guard was gone after %v: expected that the limit of 200 ms ended it", took)
	}
}
