package agent

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// busSink carries the guard's effects to the robot's bus. Publishing writes without blocking; services are called by one
// goroutine per rung, since a vendor's service may hang for as long as it likes.
type busSink struct {
	command    publisher
	lock       publisher
	challenges []publisher
	// commanders tell the challenges for commanders, by channel; nil where none have to prove themselves.
	commanders []publisher
	rungs      []*rung
	devices    devices
	estop      *estopTopic
	private    *privacy // nil where no service closes cameras and microphones
	// onPrivate is told when the robot has to be private, or need not any more; it does not block.
	onPrivate func()
	gates     []gateOut
	seq       atomic.Uint64
	log       zerolog.Logger

	// sending guards twist, which is what the publisher is given the address of: one of its own for each command would be
	// made on the heap, since the publisher is not known before the profile is. It is held while nothing waits.
	sending sync.Mutex
	twist   msg.Twist
}

// Command publishes a velocity command unless a newer one went out.
func (s *busSink) Command(seq uint64, t msg.Twist) {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.twist = t
	_, _ = s.command.PublishTwist(seq, &s.twist)
}

// Lock publishes the lock's value unless a newer one went out.
func (s *busSink) Lock(seq uint64, locked bool) {
	if s.lock != nil {
		_, _ = s.lock.PublishBool(seq, locked)
	}
}

// Challenge publishes a challenge line.
func (s *busSink) Challenge(endpoint int, line []byte) {
	_, _ = s.challenges[endpoint].PublishString(s.seq.Add(1), line)
}

// CommandChallenge publishes a challenge line for a channel's commanders.
func (s *busSink) CommandChallenge(channel int, line []byte) {
	_, _ = s.commanders[channel].PublishString(s.seq.Add(1), line)
}

// Rungs wakes the callers of services whose rung is newly asserted or asked anew, and the drivers of devices. Zero velocity and
// the lock need no caller: the gate and the lock's own timer send them.
func (s *busSink) Rungs(seq uint64, asserted uint32, calls guard.Calls) {
	for i, r := range s.rungs {
		if r != nil {
			r.set(seq, asserted&(1<<i) != 0, calls[i])
		}
		if i < guard.PostureRung {
			s.devices.set(i, seq, asserted&(1<<i) != 0, calls[i])
		}
	}
}

// Private wakes the caller of the service that closes cameras and microphones.
func (s *busSink) Private(seq uint64, private bool) {
	if s.private != nil {
		s.private.set(seq, private)
	}
	if s.onPrivate != nil {
		s.onPrivate()
	}
}

// rung calls one vendor service whenever it becomes asserted, and whenever it is asked anew while it is.
type rung struct {
	name  string
	call  func(context.Context) error
	limit time.Duration
	ack   func(ok bool, number uint8)

	mu    sync.Mutex
	seq   uint64
	asked uint8
	on    bool
	fresh bool
	wake  chan struct{}
}

// set stores the newest wish, and which request it is; an older one that arrives late changes nothing.
func (r *rung) set(seq uint64, on bool, asked uint8) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq <= r.seq {
		return
	}
	r.seq = seq
	r.fresh = on && (r.fresh || !r.on || asked != r.asked)
	r.on, r.asked = on, asked
	if r.fresh {
		select {
		case r.wake <- struct{}{}:
		default: // It is awake already and will look again.
		}
	}
}

// run calls the service once for each request until ctx ends. A wish that was withdrawn before the call is dropped.
func (r *rung) run(ctx context.Context, log zerolog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
		r.mu.Lock()
		due, number := r.fresh, r.asked
		r.fresh = false
		r.mu.Unlock()
		if !due {
			continue
		}
		call, cancel := context.WithTimeout(ctx, r.limit)
		err := r.call(call)
		cancel()
		if err != nil {
			log.Warn().Str("rung", r.name).Err(err).Msg("the rung's service failed")
		}
		r.mu.Lock()
		current := r.on && !r.fresh
		r.mu.Unlock()
		if current {
			// The answer to a wish that was withdrawn meanwhile must not count for the next one.
			r.ack(err == nil, number)
		}
	}
}

// newRungs prepares the callers for the profile's service rungs, and behind them for its way down; other rungs have none.
func newRungs(node caller, cfg *config.Config, ack func(rung int, ok bool, number uint8)) []*rung {
	out := make([]*rung, guard.PostureRung+interlock.MaxPostures)
	add := func(i int, name string, s *config.Service) {
		out[i] = &rung{
			name: name, limit: serviceLimit, wake: make(chan struct{}, 1), call: serviceCall(node, *s), ack: func(ok bool, number uint8) { ack(i, ok, number) },
		}
	}
	for i, r := range cfg.Profile.Ladder {
		service := cfg.Topics.Services.Stop
		if r.Kind == config.RungDockService {
			service = cfg.Topics.Services.Dock
		}
		if service == nil || r.Kind != config.RungService && r.Kind != config.RungDockService {
			continue
		}
		add(i, r.Name, service)
	}
	if cfg.Profile.Posture == nil {
		return out
	}
	for i, step := range cfg.Profile.Posture.Steps {
		if s := cfg.Topics.Services.Posture(step.Posture); s != nil && step.Rung == "" {
			add(guard.PostureRung+i, "posture "+step.Posture, s)
		}
	}
	return out
}

// serviceLimit ends a call that hangs; the ladder has long gone on by then.
const serviceLimit = 5 * time.Second

// serviceCall returns the call of one std_srvs service that asks for the robot's own stop or docking.
func serviceCall(node caller, s config.Service) func(context.Context) error {
	return func(ctx context.Context) error {
		var res bus.ServiceResult
		var err error
		switch s.Type {
		case config.TypeSetBool:
			res, err = node.CallSetBool(ctx, s.Name, true)
		case config.TypeEmpty:
			return node.CallEmpty(ctx, s.Name)
		default:
			res, err = node.CallTrigger(ctx, s.Name)
		}
		if err == nil && !res.Success {
			err = refusedError{service: s.Name, message: res.Message}
		}
		return err
	}
}

// refusedError says that a service answered, and that the answer was no.
type refusedError struct{ service, message string }

func (e refusedError) Error() string {
	return "service " + e.service + " refused: expected success, found failure with message \"" + e.message + "\""
}
