package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// startEnv makes the test's program play a guard's start; its value says how the limit is lowered.
const startEnv = "ROBOWARDEN_TEST_START"

func TestMain(m *testing.M) {
	if how := os.Getenv(startEnv); how != "" {
		fmt.Println(busyStart(how))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// busyStart computes for longer than a running guard may, under the limit of a start, and goes on under that of a running
// one. It says what happened, if it still can.
func busyStart(how string) string {
	start := unix.Rlimit{Cur: startTimeSoft, Max: startHard}
	if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &start); err != nil {
		return err.Error()
	}
	if err := setFIFO(); err != nil {
		return err.Error()
	}
	compute(1300 * time.Millisecond)
	if how == "asleep" {
		if err := BoundSpinning(); err != nil {
			return err.Error()
		}
	} else if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: rtTimeSoft, Max: rtTimeHard}); err != nil {
		return err.Error()
	}
	compute(200 * time.Millisecond)
	return "alive"
}

// compute keeps this thread busy for so much of its own time. Nothing in it lets the runtime put another thread in its place.
func compute(d time.Duration) {
	used := func() int64 {
		var t unix.Timespec
		_, _, _ = unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_THREAD_CPUTIME_ID, uintptr(unsafe.Pointer(&t)), 0)
		return t.Nano()
	}
	for end := used() + int64(d); used() < end; {
		continue
	}
}

// TestABusyStartIsNotCounted: a start that computed for longer than a running guard may is no reason to be killed; without
// the sleep in between, the "off" run, the kernel does it.
func TestABusyStartIsNotCounted(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for how, alive := range map[string]bool{"asleep": true, "awake": false} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, self)
		cmd.Env = append(os.Environ(), startEnv+"="+how, "GODEBUG=asyncpreemptoff=1")
		out, err := cmd.CombinedOutput()
		said := strings.TrimSpace(string(out))
		if strings.Contains(said, "operation not permitted") {
			t.Skip("no right to real-time scheduling")
		}
		if got := err == nil && said == "alive"; got != alive {
			t.Errorf("%s: %v, said %q; expected it alive: %t", how, err, said, alive)
		}
	}
}
