package host

import (
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// batch is SCHED_BATCH: a class that anybody may enter, and that is not the ordinary one.
const batch = 3

// inBatch runs f on a thread that has left the ordinary class, as every thread of a real-time guard has.
func inBatch(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends here
		err := setThreadClass(0, batch, 0)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestAsideIsOrdinary: the work has a thread of its own in the ordinary class, which is gone afterwards, and nobody else's
// class changes. Work that is done in place, the "off" run, stays in the caller's class.
func TestAsideIsOrdinary(t *testing.T) {
	want := ordinary
	if c, err := class(0); err == nil && c == idle {
		want = idle // as somebody began these tests
	}
	inBatch(t, func() {
		self, place := unix.Gettid(), func() error { return nil }
		var tid, in int
		look := func() error {
			var err error
			tid = unix.Gettid()
			in, err = class(0)
			return errors.Join(err, place())
		}
		if err := look(); err != nil || in != batch || tid != self {
			t.Errorf("in place: class %d on thread %d of %d: %v", in, tid, self, err)
		}
		fault := errors.New("no policy")
		place = func() error { return fault }
		if err := Aside(look); !errors.Is(err, fault) || in != want || tid == self {
			t.Errorf("aside: class %d on thread %d, caller %d, want class %d: %v", in, tid, self, want, err)
		}
		if in, err := class(0); in != batch || err != nil {
			t.Errorf("the caller came back in class %d: %v", in, err)
		}
		if tid != os.Getpid() { // the first thread cannot end; it is parked for good
			gone(t, tid)
		}
	})
}

// gone waits for a thread to end.
func gone(t *testing.T, tid int) {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		if _, err := os.Stat("/proc/self/task/" + strconv.Itoa(tid)); os.IsNotExist(err) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("thread %d is still there: its class would come back with other work", tid)
		}
	}
}

// TestTheCollectorIsHeldOffAside: while works go on, what they allocate is collected now and then, though not by the runtime
// itself; once the last has ended, the runtime does it as before.
func TestTheCollectorIsHeldOffAside(t *testing.T) {
	before := debug.SetGCPercent(50)
	defer debug.SetGCPercent(before)
	percent := func() int {
		p := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(p)
		return int(int64(p[0].Value.Uint64())) //nolint:gosec // -1 is off
	}
	collections := func() (automatic, forced uint64) {
		c := []metrics.Sample{{Name: "/gc/cycles/automatic:gc-cycles"}, {Name: "/gc/cycles/forced:gc-cycles"}}
		metrics.Read(c)
		return c[0].Value.Uint64(), c[1].Value.Uint64()
	}
	var h heap
	h.hold()
	h.hold()
	automatic, forced := collections()
	for limit := time.Now().Add(time.Minute); ; allocate(time.Millisecond) {
		if _, now := collections(); now >= forced+3 {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("what was allocated within a minute was not collected")
		}
	}
	if now, _ := collections(); now != automatic {
		t.Errorf("the runtime collected %d times by itself", now-automatic)
	}
	h.release()
	if now := percent(); now >= 0 {
		t.Errorf("one of two works has ended, and the collector runs at %d %%", now)
	}
	h.release()
	if now := percent(); now != 50 {
		t.Errorf("after the last work the collector runs at %d %%, expected 50", now)
	}
	select {
	case <-h.ended:
	default:
		t.Error("somebody still looks what was allocated")
	}
}

// TestNothingInheritsTheOrdinaryClass: threads that begin while work goes on aside have the class of the others.
func TestNothingInheritsTheOrdinaryClass(t *testing.T) {
	said := play(t, asideEnv+"=1")
	if said != "all in one class" {
		t.Errorf("said %q", said)
	}
}

// threads plays a process whose threads are all in one class, and that has work done aside. It says whether another thread
// is in the ordinary class while the work goes on.
func threads() string {
	if os.Getenv(realtimeMark) == "" {
		err := setThreadClass(0, batch, 0)
		if err == nil {
			err = unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), realtimeMark+"=1"))
		}
		return err.Error()
	}
	said := "all in one class"
	err := Aside(func() error {
		hold, ready := make(chan struct{}), make(chan struct{}, 16)
		defer close(hold)
		for range cap(ready) { // each needs a thread: begun from here
			go func() {
				runtime.LockOSThread()
				ready <- struct{}{}
				<-hold
			}()
		}
		for range cap(ready) {
			<-ready
		}
		own := strconv.Itoa(unix.Gettid())
		list, err := os.ReadDir("/proc/self/task")
		for _, e := range list {
			tid, _ := strconv.Atoi(e.Name())
			if in, err := class(tid); err == nil && (in == ordinary) != (e.Name() == own) {
				said = "thread " + e.Name() + " is in class " + strconv.Itoa(in) + ", the work is on " + own
			}
		}
		if len(list) < cap(ready) {
			said = "only " + strconv.Itoa(len(list)) + " threads"
		}
		return err
	})
	if err != nil {
		return err.Error()
	}
	return said
}

// TestAsideIsNoBetter: the work of a program of the idle class does not get before the rest of it.
func TestAsideIsNoBetter(t *testing.T) {
	said := play(t, asideEnv+"=idle")
	if said != "class 5" {
		t.Errorf("aside in a program of the idle class: %s", said)
	}
}

// idler plays a program of the idle class and says in which class its work aside is.
func idler() string {
	if os.Getenv(realtimeMark) == "" {
		err := setThreadClass(0, idle, 0)
		if err == nil {
			err = unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), realtimeMark+"=1"))
		}
		return err.Error()
	}
	in := -1
	err := Aside(func() (err error) {
		in, err = class(0)
		return err
	})
	if err != nil {
		return err.Error()
	}
	return "class " + strconv.Itoa(in)
}
