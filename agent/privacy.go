package agent

import (
	"context"
	"sync"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
)

// privacy asks the driver of cameras and microphones to close them. Whether they are closed is never taken from its answer:
// the guard looks at what the devices do and asks again, and in the end the robot stops.
type privacy struct {
	call func(ctx context.Context, private bool) error

	mu      sync.Mutex
	seq     uint64
	private bool
	fresh   bool
	wake    chan struct{}
}

// newPrivacy prepares the calls of the mapping's service; nil where it has none.
func newPrivacy(node caller, s *config.Service) *privacy {
	if s == nil {
		return nil
	}
	return &privacy{wake: make(chan struct{}, 1), call: func(ctx context.Context, private bool) error {
		if s.Type != config.TypeSetBool {
			if !private {
				return nil // It can only be asked to close them.
			}
			return serviceCall(node, *s)(ctx)
		}
		res, err := node.CallSetBool(ctx, s.Name, private)
		if err == nil && !res.Success {
			err = refusedError{service: s.Name, message: res.Message}
		}
		return err
	}}
}

// set stores the newest wish; an older one that arrives late changes nothing.
func (p *privacy) set(seq uint64, private bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq <= p.seq {
		return
	}
	p.seq, p.private, p.fresh = seq, private, true
	select {
	case p.wake <- struct{}{}:
	default: // It is awake already and will look again.
	}
}

// run calls the service for each wish, the newest one only, until ctx ends.
func (p *privacy) run(ctx context.Context, log zerolog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		}
		p.mu.Lock()
		due, private := p.fresh, p.private
		p.fresh = false
		p.mu.Unlock()
		if !due {
			continue
		}
		call, cancel := context.WithTimeout(ctx, serviceLimit)
		err := p.call(call, private)
		cancel()
		if err != nil {
			log.Warn().Bool("private", private).Err(err).Msg("the service that closes cameras and microphones failed")
		}
	}
}
