package actuator

import (
	"context"
	"sync"
	"time"
)

// Config sets up a Runner. Every field but Progress and Ack is required.
type Config struct {
	// Timeout bounds one exchange with the device.
	Timeout time.Duration
	// Refresh is how often the state is confirmed anew: the period of a cyclic frame, half that of a toggled line, a part of
	// a watchdog's timeout.
	Refresh time.Duration
	// Stall is how long Progress may stand still before Run is no longer believed and the device is asked to stop.
	Stall time.Duration
	// Progress counts what the enforcing loop has really done; nil for a device that outlives the loop.
	Progress func() uint64
	// Passive is true for a device that takes power from a robot which needs it: it is left as it is until somebody asks for
	// a stop, whatever becomes of the loop or of the process.
	Passive bool
	// Ack answers one request to stop, by its number: whether the device has confirmed it. It is not told of an answer to a request that
	// was withdrawn meanwhile. Ack and Health may wait for as long as they like, as for a lock that a hanging loop holds:
	// the device is driven by another goroutine.
	Ack func(ok bool, number uint8)
	// Health is told the device's fault and the state that it was asked for, when either changes and at least every
	// HealthPeriod. A runner that hangs in a device tells nothing: silence is a fault too.
	Health func(f Fault, s State)
}

// HealthPeriod is how often an unchanged state is told again.
const HealthPeriod = 500 * time.Millisecond

// Retries are spaced by what doubles from the first to the second.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// farewell bounds what a runner does at its end.
const farewell = 300 * time.Millisecond

// Runner drives one device from a goroutine of its own. The latest wish wins; a wish that was replaced before its turn is
// never sent. It begins at Stop.
type Runner struct {
	cfg Config
	dev Device

	mu     sync.Mutex
	seq    uint64
	number uint8
	want   State
	// asked is true while a request to stop has not been answered.
	asked bool
	wake  chan struct{}
	// What the reporter has to tell: an answer to the present request, and the newest health. said wakes it.
	acked, ackOK bool
	news         bool
	newFault     Fault
	newState     State
	said         chan struct{}

	// What only Run's goroutine touches.
	told      Fault
	toldState State
	toldAt    time.Time
	count     uint64
	countAt   time.Time
	failures  int
}

// NewRunner returns a runner that does nothing until Run.
func NewRunner(dev Device, cfg Config) *Runner {
	want := Stop
	if cfg.Passive {
		want = Run
	}
	return &Runner{cfg: cfg, dev: dev, want: want, wake: make(chan struct{}, 1), said: make(chan struct{}, 1)}
}

// Set stores the newest wish and returns at once; an older one that arrives late changes nothing. Numbers begin at 1. A stop that
// is asked for under another number than before is confirmed anew.
func (r *Runner) Set(seq uint64, stop bool, number uint8) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq <= r.seq {
		return
	}
	first := r.seq == 0
	r.seq = seq
	want := Run
	if stop {
		want = Stop
	}
	again := stop && (first || number != r.number)
	r.number = number
	if want == r.want && !again {
		return
	}
	r.want, r.asked, r.acked = want, stop, false
	select {
	case r.wake <- struct{}{}:
	default: // It is awake already and will look again.
	}
}

// Run drives the device until ctx ends, then asks it to stop and closes it. settled says whether the robot has come to
// rest in an orderly end.
func (r *Runner) Run(ctx context.Context, settled func() bool) error {
	r.countAt = time.Now()
	over := make(chan struct{})
	defer close(over)
	go r.report(over)
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return r.end(settled())
		case <-r.wake:
		case <-due.C:
		}
		due.Reset(r.turn(ctx))
	}
}

// turn does one exchange and returns when the next is due.
func (r *Runner) turn(ctx context.Context) time.Duration {
	r.mu.Lock()
	want, asked, number := r.want, r.asked, r.number
	r.mu.Unlock()
	if want == Run && r.stalled() {
		want = Stop
	}
	err := r.apply(ctx, want)
	if err != nil && asked {
		// A single lost frame must not cost the ladder a rung.
		err = r.apply(ctx, want)
	}
	r.answer(asked, number, err == nil)
	r.tell(FaultOf(err), want)
	if err == nil {
		r.failures = 0
		return r.cfg.Refresh
	}
	r.failures = min(r.failures+1, 16)
	return min(firstRetry<<(r.failures-1), lastRetry)
}

func (r *Runner) apply(ctx context.Context, s State) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	return r.dev.Apply(ctx, s)
}

// stalled says whether the enforcing loop has stopped making progress.
func (r *Runner) stalled() bool {
	if r.cfg.Progress == nil || r.cfg.Passive {
		return false
	}
	now := time.Now()
	if n := r.cfg.Progress(); n != r.count {
		r.count, r.countAt = n, now
	}
	return now.Sub(r.countAt) > r.cfg.Stall
}

// answer acknowledges the request to stop with this number, if it still stands: what the device did before it was asked anew is no
// answer to that.
func (r *Runner) answer(asked bool, number uint8, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if asked && r.asked && number == r.number && r.want == Stop {
		r.asked, r.acked, r.ackOK = false, true, ok
		r.speak()
	}
}

func (r *Runner) tell(f Fault, s State) {
	now := time.Now()
	if !r.toldAt.IsZero() && f == r.told && s == r.toldState && now.Sub(r.toldAt) < HealthPeriod {
		return
	}
	r.told, r.toldState, r.toldAt = f, s, now
	r.mu.Lock()
	defer r.mu.Unlock()
	r.news, r.newFault, r.newState = true, f, s
	r.speak()
}

// speak wakes the reporter.
func (r *Runner) speak() {
	select {
	case r.said <- struct{}{}:
	default: // It is awake already and will look again.
	}
}

// report tells what there is to tell until over. It has a goroutine of its own: who is told may be the loop that stands still,
// and then the device still has to be stopped.
func (r *Runner) report(over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-r.said:
		}
		r.mu.Lock()
		acked, ok, number, news, f, s := r.acked, r.ackOK, r.number, r.news, r.newFault, r.newState
		r.acked, r.news = false, false
		r.mu.Unlock()
		if acked && r.cfg.Ack != nil {
			r.cfg.Ack(ok, number)
		}
		if news {
			r.cfg.Health(f, s)
		}
	}
}

// end leaves the device stopped. A device that cannot be reached any more keeps the process no longer than farewell.
func (r *Runner) end(settled bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if !r.cfg.Passive {
		_ = r.dev.Apply(ctx, Stop)
	}
	return r.dev.Close(settled)
}
