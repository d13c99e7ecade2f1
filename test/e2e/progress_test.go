package e2e

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/test/internal/proc"
)

// progressEnv makes the test's program an ordinary process that computes on one processor, which it names, and says how far it got.
const progressEnv = "ROBOWARDEN_TEST_PROGRESS"

// progressEvery is how much time passes at least between two of its lines.
const progressEvery = 10 * time.Millisecond

// progress computes on a processor for ever, and writes "at <CLOCK_BOOTTIME> used <processor time>", both in ns.
func progress(cpu string) error {
	n, err := strconv.Atoi(cpu)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	var only unix.CPUSet
	only.Set(n)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return err
	}
	for last := time.Duration(0); ; {
		now := boottime()
		if now-last < progressEvery {
			continue
		}
		var used unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used); err != nil {
			return err
		}
		if _, err := fmt.Printf("at %d used %d\n", now, used.Nano()); err != nil {
			return err
		}
		last = now
	}
}

// ordinary are processes of the ordinary class, one on each processor, that compute all the time.
type ordinary []*proc.Process

func startOrdinary(t testing.TB) ordinary {
	t.Helper()
	var out ordinary
	for cpu := range runtime.NumCPU() {
		out = append(out, proc.StartT(t, proc.Spec{
			Name: fmt.Sprintf("work on processor %d", cpu), Argv: []string{must(os.Executable())(t)}, Env: []string{fmt.Sprintf("%s=%d", progressEnv, cpu)},
		}))
	}
	until(t, 10*time.Second, "work on every processor", func() bool {
		for _, p := range out {
			if !strings.Contains(p.Output(), "at ") {
				return false
			}
		}
		return true
	})
	return out
}

// progressed says how much processor time a process had between two moments, for how long at most it had none, and whether it has told
// of what came after them. It has to be asked soon: of a long output only the end is kept.
func progressed(p *proc.Process, from, to time.Duration) (had, longest time.Duration, past bool) {
	first, last, before := time.Duration(-1), time.Duration(-1), from
	for line := range strings.Lines(p.Output()) {
		var at, used time.Duration
		if n, err := fmt.Sscanf(line, "at %d used %d", &at, &used); err != nil || n != 2 || at < from {
			continue
		}
		longest = max(longest, min(at, to)-before)
		if past = at > to; past {
			break
		}
		if first < 0 {
			first = used
		}
		last, before = used, at
	}
	return last - first, longest, past
}
