package host

import (
	"errors"
	"os"
	"runtime"
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
		err := setThreadClass(batch, 0)
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
		err := setThreadClass(batch, 0)
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
		err := setThreadClass(idle, 0)
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
