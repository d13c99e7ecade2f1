// Package contract is what every device that stops a robot has to do, as tests: on a fake that behaves, and on the real
// device where there is one. Nothing of the product imports it.
package contract

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/actuator"
)

// Rig is one device with its far side.
type Rig struct {
	// Device is what is tested.
	Device actuator.Device
	// State says what the robot sees of the device now.
	State func() actuator.State
	// Refresh is how often Run has to be confirmed.
	Refresh time.Duration
	// Break brings about a fault of the far side, and returns what heals it.
	Break map[actuator.Fault]func() (heal func())
	// Timeout bounds one exchange; 0 is 80 ms.
	Timeout time.Duration
	// OneWay is true for a watchdog: its stop is final.
	OneWay bool
	// Late is how long the robot may go on seeing Run after Stop was confirmed: a watchdog's timeout.
	Late time.Duration
}

// AckWithin is the ladder's demand on every rung.
const AckWithin = 200 * time.Millisecond

// slack is what a busy host may add to a deadline.
const slack = 2 * time.Second

func (r *Rig) timeout() time.Duration {
	if r.Timeout > 0 {
		return r.Timeout
	}
	return 80 * time.Millisecond
}

// apply asks once, within the rig's timeout.
func (r *Rig) apply(s actuator.State) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout())
	defer cancel()
	return r.Device.Apply(ctx, s)
}

// applied asks until it works, as a runner does.
func (r *Rig) applied(t testing.TB, s actuator.State) {
	t.Helper()
	var err error
	for end := time.Now().Add(slack + 8*r.timeout()); time.Now().Before(end); {
		if err = r.apply(s); err == nil {
			return
		}
	}
	t.Fatalf("%v: %v", s, err)
}

// sees waits for what the robot sees; confirmed again and again meanwhile, as a runner does.
func (r *Rig) sees(t testing.TB, want actuator.State) {
	t.Helper()
	r.await(t, want, func() {
		if want == actuator.Run {
			_ = r.apply(want)
		}
	})
}

// await waits for what the robot sees.
func (r *Rig) await(t testing.TB, want actuator.State, meanwhile func()) {
	t.Helper()
	for end := time.Now().Add(slack + r.Late); time.Now().Before(end); time.Sleep(2 * time.Millisecond) { // The pause of a poll.
		if r.State() == want {
			return
		}
		meanwhile()
	}
	t.Fatalf("the robot sees %v, expected %v", r.State(), want)
}

// Run runs the contract. open makes a fresh rig each time.
func Run(t *testing.T, open func(t *testing.T) *Rig) {
	t.Helper()
	t.Run("stops, runs and stops", func(t *testing.T) { obeys(t, open(t)) })
	t.Run("confirms as often as asked", func(t *testing.T) { repeats(t, open(t)) })
	if !open(t).OneWay { // whose stop is final
		t.Run("goes on after it was closed", func(t *testing.T) { reopens(t, open(t)) })
	}
	t.Run("behind a runner", func(t *testing.T) { runs(t, open(t)) })
	for fault := range open(t).Break {
		t.Run("fault "+fault.String(), func(t *testing.T) { breaks(t, open(t), fault) })
	}
}

func obeys(t *testing.T, r *Rig) {
	r.applied(t, actuator.Stop)
	if s := r.State(); s == actuator.Run {
		t.Fatalf("begins at %v", s)
	}
	r.applied(t, actuator.Run)
	r.sees(t, actuator.Run)
	begun := time.Now()
	r.applied(t, actuator.Stop)
	if took := time.Since(begun); took > AckWithin+slack {
		t.Errorf("confirmed stop after %v", took)
	}
	r.sees(t, actuator.Stop)
	if r.OneWay {
		return
	}
	r.applied(t, actuator.Run)
	r.sees(t, actuator.Run)
}

func repeats(t *testing.T, r *Rig) {
	states := []actuator.State{actuator.Stop, actuator.Run}
	if r.OneWay {
		states = states[1:]
	}
	for _, s := range states {
		r.applied(t, s)
		for range 20 {
			if err := r.apply(s); err != nil {
				t.Fatalf("%v again: %v", s, err)
			}
			if s == actuator.Stop && r.State() == actuator.Run {
				t.Fatal("the robot sees run")
			}
		}
	}
}

func reopens(t *testing.T, r *Rig) {
	r.applied(t, actuator.Run)
	r.applied(t, actuator.Stop)
	if err := errors.Join(r.Device.Close(false), r.Device.Close(false)); err != nil {
		t.Fatal(err)
	}
	r.applied(t, actuator.Run)
	r.sees(t, actuator.Run)
	r.applied(t, actuator.Stop)
	r.sees(t, actuator.Stop)
}

// runs has the device driven as the agent drives it: by wishes that never wait.
func runs(t *testing.T, r *Rig) {
	acks := make(chan bool, 16)
	var faults sync.Map
	runner := actuator.NewRunner(r.Device, actuator.Config{
		Timeout: r.timeout(), Refresh: r.Refresh, Stall: time.Minute,
		Ack:    func(ok bool, _ uint8) { acks <- ok },
		Health: func(f actuator.Fault, s actuator.State) { faults.Store(s, f) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx, func() bool { return true }) }()
	runner.Set(1, false, 0)
	r.await(t, actuator.Run, func() {})
	// Health tells the newest alone: on a busy computer what comes next would take its place.
	for end := time.Now().Add(slack); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, told := faults.Load(actuator.Run); told {
			break
		}
	}
	begun := time.Now()
	runner.Set(2, true, 0)
	if waited := time.Since(begun); waited > 50*time.Millisecond {
		t.Errorf("a wish waited %v", waited)
	}
	select {
	case ok := <-acks:
		took := time.Since(begun)
		t.Logf("acknowledged after %v", took)
		if !ok || took > AckWithin+slack {
			t.Errorf("acknowledged %t after %v", ok, took)
		}
	case <-time.After(slack + AckWithin):
		t.Error("not acknowledged")
	}
	r.await(t, actuator.Stop, func() {})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if f, ok := faults.Load(actuator.Run); !ok || f != actuator.None {
		t.Errorf("told the fault %v while running", f)
	}
}

// breaks brings about a fault, expects its name in time, and that it ends.
func breaks(t *testing.T, r *Rig, fault actuator.Fault) {
	r.applied(t, actuator.Run)
	heal := r.Break[fault]()
	begun := time.Now()
	found := actuator.None
	for time.Since(begun) < slack && found != fault {
		one := time.Now()
		err := r.apply(actuator.Run)
		if took := time.Since(one); took > r.timeout()+slack {
			t.Fatalf("one exchange took %v", took)
		}
		found = actuator.FaultOf(err)
	}
	if found != fault {
		t.Fatalf("found the fault %v, expected %v", found, fault)
	}
	heal()
	if r.OneWay {
		return
	}
	r.applied(t, actuator.Stop)
	r.sees(t, actuator.Stop)
	r.applied(t, actuator.Run)
	r.sees(t, actuator.Run)
}
