package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// startEnv makes the test's program play a guard's start; its value says how the limit is lowered. classEnv makes it collect
// garbage again and again in that class, asideEnv have work done aside, busyEnv do so beside a path on a busy computer, crowdEnv
// become a real-time process in a crowd.
const (
	busyEnv  = "ROBOWARDEN_TEST_BUSY"
	asideEnv = "ROBOWARDEN_TEST_ASIDE"
	crowdEnv = "ROBOWARDEN_TEST_CROWD"
	startEnv = "ROBOWARDEN_TEST_START"
	classEnv = "ROBOWARDEN_TEST_CLASS"
)

// lowest is a real-time priority below that of any guard and robot that another test may have on this machine.
const lowest = 1

func TestMain(m *testing.M) {
	if os.Getenv(crowdEnv) != "" {
		fmt.Println(crowdedStart())
		os.Exit(0)
	}
	if how := os.Getenv(busyEnv); how != "" {
		fmt.Println(besideWork(how))
		os.Exit(0)
	}
	if how := os.Getenv(startEnv); how != "" {
		fmt.Println(busyStart(how))
		os.Exit(0)
	}
	if how := os.Getenv(asideEnv); how == "idle" {
		fmt.Println(idler())
		os.Exit(0)
	} else if how != "" {
		fmt.Println(threads())
		os.Exit(0)
	}
	if class := os.Getenv(classEnv); class != "" {
		fmt.Println(collect(class))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// become makes this process one whose threads are all in the class, as [Realtime] does it, and returns nil once it is.
func become(class int) error {
	if os.Getenv(realtimeMark) != "" {
		return nil
	}
	// What stands still ends by itself.
	limit := unix.Rlimit{Cur: 2 * rtTimeSoft, Max: 2 * rtTimeHard}
	if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &limit); err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := setThreadClass(0, uintptr(class), lowest); err != nil { //nolint:gosec // a class
		return err
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, leastNice); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), realtimeMark+"=1"))
}

// collect makes and collects garbage in the class.
func collect(class string) string {
	n, err := strconv.Atoi(class)
	if err == nil {
		err = become(n)
	}
	if err != nil {
		return err.Error()
	}
	held := make([][]byte, 20_000)
	for round := range 40 {
		for i := range 3000 {
			held[(round*3000+i)%len(held)] = make([]byte, 300)
		}
		debug.FreeOSMemory()
		time.Sleep(time.Millisecond) // As between two messages: blocks, so that the limit of spinning begins anew.
	}
	return "alive"
}

// besideWork has work done aside that allocates, again and again, and says how often a goroutine that sleeps for 2 ms at a time
// was late by half a second meanwhile. How says whether the collector is held off as always.
func besideWork(how string) string {
	if err := become(roundRobin); err != nil {
		return err.Error()
	}
	garbage.off = how == "off"
	SpareProcessor()
	go func() {
		for {
			_ = Aside(func() error { allocate(200 * time.Millisecond); return nil })
			time.Sleep(50 * time.Millisecond) // As long as the others have to themselves.
		}
	}()
	const pause, late = 2 * time.Millisecond, 500 * time.Millisecond
	var times int
	var most time.Duration
	for last, end := time.Now(), time.Now().Add(12*time.Second); last.Before(end); {
		time.Sleep(pause)
		now := time.Now()
		if most = max(most, now.Sub(last)-pause); now.Sub(last) > late {
			times++
		}
		last = now
	}
	return fmt.Sprintf("late %d times, at most %v", times, most.Round(time.Millisecond))
}

var kept [][]byte

// allocate makes garbage for a while.
func allocate(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		for range 100 {
			kept = append(kept[:0], make([]byte, 64), make([]byte, 256))
		}
	}
}

// play runs this program in another part and returns what it said, with its end if that was none of its own.
func play(t *testing.T, env ...string) string {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	said := strings.TrimSpace(string(out))
	if err != nil {
		return strings.TrimSpace(said + " " + err.Error())
	}
	return said
}

// busyStart computes for longer than a running guard may, under the limit of a start, and goes on under that of a running
// one. It says what happened, if it still can.
func busyStart(how string) string {
	start := unix.Rlimit{Cur: startTimeSoft, Max: startHard}
	if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &start); err != nil {
		return err.Error()
	}
	if err := setThreadClass(0, roundRobin, Priority); err != nil {
		return err.Error()
	}
	compute(1300 * time.Millisecond)
	if how == "asleep" {
		if err := BoundSpinning(); err != nil {
			return err.Error()
		}
		compute(200 * time.Millisecond)
		return "alive"
	}
	if err := limitAwake(unix.Rlimit{Cur: rtTimeSoft, Max: rtTimeHard}); err != 0 {
		return err.Error()
	}
	// The kernel counts its own ticks, and a virtual machine that has to wait for its processor loses some. Nine tenths of
	// the limit alone would be survived, so what ends this is the start's time.
	compute(rtTimeHard * 9 / 10 * time.Microsecond)
	return "alive"
}

// limitAwake sets the limit of spinning by a call that the scheduler is not told of: a thread that gives its place up around
// an announced call may wait until it has one again, and whoever waits is counted anew.
func limitAwake(limit unix.Rlimit) unix.Errno {
	_, _, err := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_RTTIME, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	return err
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

// crowdedStart becomes a real-time process while other goroutines want its threads, and says of which class it is.
func crowdedStart() string {
	if os.Getenv(realtimeMark) == "" {
		for range 8 {
			go func() {
				for {
					time.Sleep(time.Nanosecond)
				}
			}()
		}
		runtime.Gosched()
	}
	if err := Realtime(); err != nil {
		return err.Error()
	}
	said := "real-time"
	if err := Aside(func() error {
		in, err := class(0)
		nice, _ := unix.Getpriority(unix.PRIO_PROCESS, 0) // the kernel says 20 less it
		said += fmt.Sprintf(", aside in class %d with niceness %d", in, 20-nice)
		return err
	}); err != nil {
		return err.Error()
	}
	return said
}

// TestACrowdedStartIsRealTime: whatever else wants to run while the process starts itself anew, it becomes the thread whose class
// was changed. Without that thread held, one start in a hundred is an ordinary process.
func TestACrowdedStartIsRealTime(t *testing.T) {
	for range 20 {
		said := play(t, crowdEnv+"=1")
		if strings.Contains(said, "operation not permitted") {
			t.Skip("no right to real-time scheduling")
		}
		if want := "real-time, aside in class 0 with niceness -20"; said != want {
			t.Fatalf("said %q, expected %q", said, want)
		}
	}
}
