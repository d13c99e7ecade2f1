package courier

import (
	"context"
	"errors"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
)

// guardEvent is what the connection to the guard tells the loop.
type guardEvent struct {
	welcome *contract.Welcome // a new connection
	frame   *contract.Frame
	down    error
}

// guardSide keeps one connection to the guard and makes another when it is lost.
type guardSide struct {
	clock   Clock
	socket  string
	program string
	pause   backoff
	events  chan<- guardEvent
	frames  <-chan contract.Frame
}

// dialTimeout bounds how long the guard may take for a welcome.
const dialTimeout = 5 * time.Second

// run connects again and again until ctx ends.
func (g *guardSide) run(ctx context.Context) {
	for {
		err := g.session(ctx)
		if ctx.Err() != nil || !g.tell(ctx, guardEvent{down: err}) {
			return
		}
		wake, stop := g.clock.After(g.pause.wait())
		select {
		case <-ctx.Done():
			stop()
			return
		case <-wake:
		}
	}
}

func (g *guardSide) tell(ctx context.Context, e guardEvent) bool {
	select {
	case g.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// session is the life of one connection.
func (g *guardSide) session(ctx context.Context) error {
	dial, cancel := context.WithTimeout(ctx, dialTimeout)
	conn, welcome, err := contract.Dial(dial, g.socket, contract.Hello{
		Role: contract.Courier, Min: contract.OldestVersion, Max: contract.Version, Program: g.program,
	})
	cancel()
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	g.drain()
	if !g.tell(ctx, guardEvent{welcome: &welcome}) {
		return context.Cause(ctx)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		end(g.write(ctx, conn))
	}()
	end(g.read(ctx, conn))
	<-written
	return context.Cause(ctx)
}

// drain forgets what was meant for an earlier connection.
func (g *guardSide) drain() {
	for {
		select {
		case <-g.frames:
		default:
			return
		}
	}
}

func (g *guardSide) write(ctx context.Context, conn *contract.Conn) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-g.frames:
			if err := conn.Send(f); err != nil {
				return err
			}
		}
	}
}

func (g *guardSide) read(ctx context.Context, conn *contract.Conn) error {
	for first := true; ; first = false {
		f, err := conn.Receive()
		if err != nil {
			return err
		}
		if f.Type == contract.FrameError {
			var failure contract.Failure
			if err := f.Into(&failure); err != nil {
				return err
			}
			if failure.Code != contract.FailureBusy {
				return &failure
			}
		}
		if first {
			g.pause.reset() // the guard talks to us, so this is no loop of refusals
		}
		if !g.tell(ctx, guardEvent{frame: &f}) {
			return errors.New("ended")
		}
	}
}
