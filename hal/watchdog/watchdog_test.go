package watchdog

import (
	"context"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robowarden/robowarden/hal/actuator"
	"github.com/robowarden/robowarden/hal/actuator/contract"
)

// kennel is a watchdog that behaves as the kernel's documentation says (Documentation/watchdog/watchdog-api.rst): opening
// starts it, only a "V" before closing stops it, and it bites when its time is over. Its seconds are short.
type kennel struct {
	mu      sync.Mutex
	second  time.Duration
	there   bool
	running bool
	open    bool
	magic   bool
	bitten  bool
	fed     time.Time
	timeout int
	// least is the shortest timeout that the hardware has; nowayout keeps it on for good.
	least    int
	nowayout bool
	// broken makes every command fail.
	broken bool
	wrote  []uint
}

func newKennel() *kennel {
	return &kennel{second: 300 * time.Millisecond, there: true, timeout: 60, least: 1}
}

func (k *kennel) Open(string) (dog, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case !k.there:
		return nil, os.ErrNotExist
	case k.open:
		return nil, syscall.EBUSY
	}
	k.open, k.running, k.magic, k.fed = true, true, false, time.Now()
	return k, nil
}

func (k *kennel) command(request uint, seconds int) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken {
		return 0, syscall.EIO
	}
	k.look()
	k.wrote = append(k.wrote, request)
	switch request {
	case keepAlive:
		k.fed = time.Now()
	case setTimeout:
		k.timeout = max(seconds, k.least)
		k.fed = time.Now()
		return k.timeout, nil
	case setPretimeout:
		return seconds, nil
	case timeLeft:
		return int((time.Duration(k.timeout)*k.second - time.Since(k.fed)) / k.second), nil
	}
	return 0, nil
}

func (k *kennel) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.magic = false
	for _, c := range b {
		k.magic = k.magic || c == 'V'
	}
	k.fed = time.Now()
	return len(b), nil
}

func (k *kennel) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open = false
	if k.magic && !k.nowayout {
		k.running = false
	}
	return nil
}

func (k *kennel) look() {
	if k.running && time.Since(k.fed) > time.Duration(k.timeout)*k.second {
		k.bitten = true
	}
}

// State is what becomes of the robot's computer.
func (k *kennel) State() actuator.State {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch k.look(); {
	case k.bitten:
		return actuator.Stop
	case k.running:
		return actuator.Run
	}
	return actuator.Unset
}

func (k *kennel) dog(c Config) *Dog {
	c.Device = "/dev/watchdog0"
	d := New(c)
	d.open = k.Open
	return d
}

func TestContract(t *testing.T) {
	contract.Run(t, func(*testing.T) *contract.Rig {
		k := newKennel()
		change := func(v *bool, to bool) func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			*v = to
			return func() {
				k.mu.Lock()
				defer k.mu.Unlock()
				*v = !to
			}
		}
		return &contract.Rig{
			Device: k.dog(Config{Timeout: time.Second}), State: k.State, Refresh: 10 * time.Millisecond, OneWay: true, Late: time.Second,
			Break: map[actuator.Fault]func() func(){actuator.Gone: func() func() { return change(&k.broken, true) }},
		}
	})
}

func apply(t *testing.T, d *Dog, s actuator.State) error {
	t.Helper()
	return d.Apply(context.Background(), s)
}

// TestOnlyAnOrderlyEndSwitchesItOff ends in every way.
func TestOnlyAnOrderlyEndSwitchesItOff(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(d *Dog, k *kennel) error
		bites bool
	}{
		"settled":                      {func(d *Dog, _ *kennel) error { return d.Close(true) }, false},
		"not settled":                  {func(d *Dog, _ *kennel) error { return d.Close(false) }, true},
		"the process dies":             {func(_ *Dog, k *kennel) error { return k.Close() }, true},
		"settled, but it has no V":     {func(d *Dog, k *kennel) error { k.nowayout = true; return d.Close(true) }, true},
		"starved and then not settled": {func(d *Dog, _ *kennel) error { _ = d.Apply(context.Background(), actuator.Stop); return d.Close(false) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKennel()
				d := k.dog(Config{Timeout: time.Second})
				if err := apply(t, d, actuator.Run); err != nil {
					t.Fatal(err)
				}
				if err := c.end(d, k); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * k.second)
				if bitten := k.State() == actuator.Stop; bitten != c.bites {
					t.Errorf("bitten %t, expected %t", bitten, c.bites)
				}
			})
		})
	}
}

func TestStopWakesNobody(t *testing.T) {
	k := newKennel()
	d := k.dog(Config{Timeout: time.Second})
	if err := apply(t, d, actuator.Stop); err != nil || k.State() != actuator.Unset {
		t.Errorf("%v, %v", err, k.State())
	}
}

// TestAWatchdogThatNeverWokeConfirmsNoStop: the ladder has to go on to a rung that works.
func TestAWatchdogThatNeverWokeConfirmsNoStop(t *testing.T) {
	k := newKennel()
	k.there = false
	d := k.dog(Config{Timeout: time.Second})
	_ = apply(t, d, actuator.Run)
	if f := actuator.FaultOf(apply(t, d, actuator.Stop)); f != actuator.Gone {
		t.Errorf("found %v, expected gone", f)
	}
	k.there = true
	if err := apply(t, d, actuator.Run); err != nil {
		t.Error(err)
	}
	if err := apply(t, d, actuator.Stop); err != nil {
		t.Error(err)
	}
}

// TestTimesThatItDoesNotHave: a watchdog that bites later than the ladder reckons with is refused, and not left running.
func TestTimesThatItDoesNotHave(t *testing.T) {
	k := newKennel()
	k.least = 30
	d := k.dog(Config{Timeout: 10 * time.Second})
	if f := actuator.FaultOf(apply(t, d, actuator.Run)); f != actuator.Mismatch {
		t.Errorf("found %v, expected a mismatch", f)
	}
	if k.State() != actuator.Unset {
		t.Errorf("it runs on: %v", k.State())
	}
	k = newKennel()
	d = k.dog(Config{Timeout: 10 * time.Second, Pretimeout: 2 * time.Second})
	if err := apply(t, d, actuator.Run); err != nil || len(k.wrote) != 3 || k.wrote[1] != setPretimeout {
		t.Errorf("%v after %#x", err, k.wrote)
	}
	k.there = false
	_ = d.Close(true)
	if f := actuator.FaultOf(apply(t, d, actuator.Run)); f != actuator.Gone {
		t.Errorf("found %v, expected gone", f)
	}
}
