package courier

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// volume is how many records TestVolume sends; the qualification gives more.
var volume = flag.Int("volume", 6000, "records that TestVolume sends")

// resident is a process's resident memory in KiB, now and at most.
func resident(t testing.TB, pid int) (now, most int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		_, _ = fmt.Sscanf(line, "VmRSS: %d", &now)
		_, _ = fmt.Sscanf(line, "VmHWM: %d", &most)
	}
	return now, most
}

// TestVolume sends many records through every kind of outage: the broker killed with its store, stopped, the courier
// killed. Every record arrives once, and the courier's memory stays bounded.
func TestVolume(t *testing.T) {
	w := newWorld(t)
	w.guard.record(*volume / 4)
	cmd := w.spawn()
	began := time.Now()
	half := func() bool { return w.taken("guard") > evidenceCount(*volume)/8 }
	until(t, "the first part", half)
	w.broker.stop()
	w.guard.record(*volume / 4)
	w.broker.start()
	until(t, "more after the broker came back", func() bool { return w.taken("guard") > evidenceCount(*volume)/4 })
	_ = w.broker.cmd.Process.Signal(syscall.SIGSTOP)
	w.guard.record(*volume / 4)
	_ = w.broker.cmd.Process.Signal(syscall.SIGCONT)
	now, most := resident(t, cmd.Process.Pid)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	w.guard.record(*volume / 4)
	cmd = w.spawn()
	w.settled(4 * evidenceCount(*volume/4))
	now2, most2 := resident(t, cmd.Process.Pid)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	t.Logf("%d event messages", w.on(TopicEvent))
	t.Logf("%d records of evidence in %v; courier's memory %d and %d KiB, at most %d and %d KiB",
		4*evidenceCount(*volume/4), time.Since(began).Round(time.Millisecond), now, now2, most, most2)
	if m := max(most, most2); m > 64<<10 {
		t.Errorf("the courier took %d KiB", m)
	}
}
