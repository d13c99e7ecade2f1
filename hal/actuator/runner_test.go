package actuator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const ms = time.Millisecond

// device is a device that takes its time and does as it is told.
type device struct {
	mu      sync.Mutex
	applied []State
	took    time.Duration
	err     error
	hangs   bool
	closed  []bool
}

func (d *device) Apply(ctx context.Context, s State) error {
	d.mu.Lock()
	took, err, hangs := d.took, d.err, d.hangs
	d.applied = append(d.applied, s)
	d.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return Fail("device", Silent, ctx.Err())
	}
	time.Sleep(took)
	return err
}

func (d *device) Close(settled bool) error {
	d.closed = append(d.closed, settled)
	return nil
}

func (d *device) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *device) tries() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.applied)
}

func (d *device) last() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.applied) == 0 {
		return Unset
	}
	return d.applied[len(d.applied)-1]
}

// bench is a runner in a bubble of virtual time.
type bench struct {
	dev      *device
	r        *Runner
	acks     []bool
	faults   []Fault
	progress uint64
	mu       sync.Mutex
	stop     func()
}

func newBench(t *testing.T, loop bool) *bench {
	t.Helper()
	b := &bench{dev: &device{took: 5 * ms}}
	b.r = NewRunner(b.dev, Config{
		Timeout: 80 * ms, Refresh: 100 * ms, Stall: 250 * ms,
		Progress: func() uint64 {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.progress
		},
		Ack:    func(ok bool, _ uint8) { b.acks = append(b.acks, ok) },
		Health: func(f Fault, _ State) { b.faults = append(b.faults, f) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.r.Run(ctx, func() bool { return true }) }()
	var loops sync.WaitGroup
	if loop {
		loops.Go(func() { b.beat(ctx) })
	}
	b.stop = func() {
		cancel()
		loops.Wait()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return b
}

// beat is the enforcing loop's progress.
func (b *bench) beat(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(20 * ms)
		b.mu.Lock()
		b.progress++
		b.mu.Unlock()
	}
}

// pause lets virtual time pass, and everybody come to rest.
func pause(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestRunnerStopsAndAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, true)
		defer b.stop()
		pause(10 * ms)
		if b.dev.last() != Stop {
			t.Fatalf("begins at %v, expected stop", b.dev.last())
		}
		b.r.Set(1, false, 0)
		pause(200 * ms)
		if b.dev.last() != Run || len(b.acks) != 0 {
			t.Fatalf("at %v with acknowledgements %v", b.dev.last(), b.acks)
		}
		b.r.Set(3, true, 0)
		b.r.Set(2, false, 0) // older, and late
		pause(20 * ms)
		if b.dev.last() != Stop || !slices.Equal(b.acks, []bool{true}) {
			t.Errorf("at %v with acknowledgements %v", b.dev.last(), b.acks)
		}
		pause(time.Second)
		if len(b.acks) != 1 {
			t.Errorf("acknowledged again: %v", b.acks)
		}
	})
}

// TestRunnerFaults lets a device fail in every way.
func TestRunnerFaults(t *testing.T) {
	for name, c := range map[string]struct {
		change func(d *device)
		acks   []bool
		fault  Fault
	}{
		"works (off)": {func(*device) {}, []bool{true}, None},
		"refuses":     {func(d *device) { d.err = &Error{Fault: Refused, Err: errors.New("no")} }, []bool{false}, Refused},
		"lies":        {func(d *device) { d.err = &Error{Fault: Mismatch, Err: errors.New("on")} }, []bool{false}, Mismatch},
		"hangs":       {func(d *device) { d.hangs = true }, []bool{false}, Silent},
		"is slow":     {func(d *device) { d.took = 60 * ms }, []bool{true}, None},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, true)
				defer b.stop()
				b.r.Set(1, false, 0)
				pause(300 * ms)
				b.dev.change(func() { c.change(b.dev) })
				b.r.Set(2, true, 0)
				pause(200 * ms)
				if !slices.Equal(b.acks, c.acks) || b.faults[len(b.faults)-1] != c.fault {
					t.Errorf("acknowledged %v with faults %v, expected %v and %v", b.acks, b.faults, c.acks, c.fault)
				}
				// It goes on trying, and recovers by itself, at a bounded rate.
				before := b.dev.tries()
				pause(10 * time.Second)
				if n := b.dev.tries() - before; c.fault != None && n > 25 {
					t.Errorf("%d tries in 10 s", n)
				}
				b.dev.change(func() { b.dev.err, b.dev.hangs, b.dev.took = nil, false, 0 })
				pause(2 * time.Second)
				if b.faults[len(b.faults)-1] != None || b.dev.last() != Stop {
					t.Errorf("did not recover: %v at %v", b.faults[len(b.faults)-1], b.dev.last())
				}
			})
		})
	}
}

// TestRunnerTakesThePermitFromALoopThatStandsStill is what is left when the guard hangs.
func TestRunnerTakesThePermitFromALoopThatStandsStill(t *testing.T) {
	for name, loop := range map[string]bool{"hangs": false, "goes on (off)": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, loop)
				defer b.stop()
				b.r.Set(1, false, 0)
				pause(100 * ms)
				if b.dev.last() != Run {
					t.Fatalf("at %v before the loop stalls", b.dev.last())
				}
				pause(400 * ms)
				if stopped := b.dev.last() == Stop; stopped == loop {
					t.Errorf("stopped %t", stopped)
				}
				if len(b.acks) != 0 {
					t.Error("nobody asked for this stop, and it was acknowledged")
				}
			})
		})
	}
}

func TestRunnerDropsAnAnswerToAWithdrawnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, true)
		defer b.stop()
		b.r.Set(1, false, 0)
		pause(300 * ms)
		b.dev.change(func() { b.dev.took = 50 * ms })
		b.r.Set(2, true, 0)
		pause(20 * ms)
		b.r.Set(3, false, 0)
		pause(300 * ms)
		if len(b.acks) != 0 || b.dev.last() != Run {
			t.Errorf("acknowledged %v, at %v", b.acks, b.dev.last())
		}
	})
}

// TestRunnerConfirmsAnew: a stop that is asked for once more while it stands is answered once more.
func TestRunnerConfirmsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, true)
		defer b.stop()
		for i, number := range []uint8{0, 0, 1, 1, 2} {
			b.r.Set(uint64(i+1), true, number) //nolint:gosec // a count
			pause(300 * ms)
		}
		if len(b.acks) != 3 {
			t.Errorf("acknowledged %v, expected one for each request", b.acks)
		}
	})
}

// TestRunnerAnswersTheRequestThatStands: what the device makes of a request that was asked anew meanwhile is no answer to the new one.
func TestRunnerAnswersTheRequestThatStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, true)
		defer b.stop()
		b.r.Set(1, false, 0)
		pause(300 * ms)
		b.dev.change(func() { b.dev.took = 50 * ms })
		b.r.Set(2, true, 1)
		pause(20 * ms)
		b.dev.change(func() { b.dev.err = Fail("device", Silent, errors.New("off")) })
		b.r.Set(3, true, 2)
		pause(time.Second)
		if !slices.Equal(b.acks, []bool{false}) {
			t.Errorf("acknowledged %v, expected only that the second request failed", b.acks)
		}
	})
}

func TestRunnerEndsStoppedAndTellsWhetherSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, true)
		b.r.Set(1, false, 0)
		pause(300 * ms)
		b.dev.change(func() { b.dev.hangs = true })
		begun := time.Now()
		b.stop()
		if took := time.Since(begun); took > farewell+80*ms {
			t.Errorf("took %v to end", took)
		}
		if b.dev.last() != Stop || !slices.Equal(b.dev.closed, []bool{true}) {
			t.Errorf("ended at %v, closed %v", b.dev.last(), b.dev.closed)
		}
	})
}

// TestPassiveDeviceIsTouchedByTheLadderAlone: neither start, nor a loop that stalls, nor the end takes the robot's power.
func TestPassiveDeviceIsTouchedByTheLadderAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &device{}
		r := NewRunner(d, Config{
			Timeout: 80 * ms, Refresh: 100 * ms, Stall: 250 * ms, Passive: true, Progress: func() uint64 { return 0 },
			Ack: func(bool, uint8) {}, Health: func(Fault, State) {},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, func() bool { return false }) }()
		pause(2 * time.Second)
		r.Set(1, true, 0)
		pause(50 * ms)
		if d.last() != Stop {
			t.Errorf("at %v, and a stop was asked for", d.last())
		}
		r.Set(2, false, 0)
		pause(50 * ms)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		stops := 0
		for _, s := range d.applied {
			if s == Stop {
				stops++
			}
		}
		if stops != 1 || d.last() != Run {
			t.Errorf("%d stops, %v last: expected one, by the ladder", stops, d.last())
		}
	})
}

func TestRunnerTellsItsHealthAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, true)
		defer b.stop()
		pause(10 * time.Second)
		if n := len(b.faults); n < 15 || n > 30 {
			t.Errorf("told %d times in 10 s, expected about one each %v", n, HealthPeriod)
		}
	})
}

func TestSetDoesNotAllocate(t *testing.T) {
	r := NewRunner(&device{}, Config{})
	seq := uint64(0)
	if n := testing.AllocsPerRun(100, func() {
		seq++
		r.Set(seq, seq%2 == 0, 0)
	}); n != 0 {
		t.Errorf("%v objects", n)
	}
}

// TestRunnerStopsADeviceWhileTheLoopHoldsTheLock has a loop that hangs with the lock that reports wait for: the permit must
// fall all the same, both for the loop's silence and for a wish.
func TestRunnerStopsADeviceWhileTheLoopHoldsTheLock(t *testing.T) {
	for name, asked := range map[string]bool{"stalled": false, "asked": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dev, free := &device{took: ms}, make(chan struct{})
				r := NewRunner(dev, Config{
					Timeout: 80 * ms, Refresh: 100 * ms, Stall: 250 * ms, Progress: func() uint64 { return 7 },
					Ack: func(bool, uint8) { <-free }, Health: func(Fault, State) { <-free },
				})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				r.Set(1, false, 0)
				go func() { done <- r.Run(ctx, func() bool { return false }) }()
				pause(10 * ms)
				if got := dev.last(); got != Run {
					t.Fatalf("begins with %v", got)
				}
				if asked {
					r.Set(2, true, 0)
					pause(10 * ms)
				} else {
					pause(400 * ms)
				}
				if got := dev.last(); got != Stop {
					t.Errorf("%v while nobody takes reports, expected stop", got)
				}
				cancel()
				pause(10 * ms)
				select {
				case <-done:
				default:
					t.Error("the runner does not end while nobody takes reports")
				}
				close(free)
			})
		})
	}
}
