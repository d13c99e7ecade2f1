package agent

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// service is a vendor's service that answers when the test says so.
type service struct {
	calls  chan struct{}
	answer chan error
}

func runRung(t *testing.T, limit time.Duration) (*rung, *service, chan bool) {
	t.Helper()
	s := &service{calls: make(chan struct{}, 8), answer: make(chan error, 8)}
	acks := make(chan bool, 8)
	r := &rung{
		name: "stop", limit: limit, wake: make(chan struct{}, 1), ack: func(ok bool, _ uint8) { acks <- ok },
		call: func(ctx context.Context) error {
			s.calls <- struct{}{}
			select {
			case err := <-s.answer:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = r.run(ctx, zerolog.Nop()) })
	t.Cleanup(func() { cancel(); wait.Wait() })
	return r, s, acks
}

func within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(5 * time.Second):
		t.Fatalf("%s: not within 5 s", what)
	}
	panic("unreachable")
}

func quiet[T any](t *testing.T, what string, c <-chan T) {
	t.Helper()
	select {
	case <-c:
		t.Errorf("%s", what)
	case <-time.After(30 * time.Millisecond):
	}
}

func TestRungCallsOncePerAssertion(t *testing.T) {
	r, s, acks := runRung(t, time.Minute)
	r.set(1, true, 0)
	within(t, "the call", s.calls)
	s.answer <- nil
	if !within(t, "the answer", acks) {
		t.Error("a success was told as a failure")
	}
	r.set(2, true, 0) // still asserted
	quiet(t, "called again without a new assertion", s.calls)
	r.set(4, false, 0)
	r.set(3, true, 0) // late, from another goroutine
	quiet(t, "called for a wish that is older than its withdrawal", s.calls)
	r.set(5, true, 0)
	within(t, "the second call", s.calls)
	s.answer <- errors.New("refused")
	if within(t, "the answer", acks) {
		t.Error("a refusal was told as a success")
	}
}

// TestRungIsCalledAnew: a request that is made while the rung is asserted calls the service once more, and the answer to the one
// before says nothing about it.
func TestRungIsCalledAnew(t *testing.T) {
	r, s, acks := runRung(t, time.Minute)
	r.set(1, true, 0)
	within(t, "the call", s.calls)
	r.set(2, true, 1)
	s.answer <- nil
	within(t, "the second call", s.calls)
	quiet(t, "the first answer counted for the second call", acks)
	s.answer <- errors.New("refused")
	if within(t, "the second answer", acks) {
		t.Error("the second call was refused and told as a success")
	}
	r.set(3, true, 1)
	quiet(t, "called again without a new request", s.calls)
}

func TestRungThatHangsIsGivenUp(t *testing.T) {
	r, s, acks := runRung(t, 20*time.Millisecond)
	r.set(1, true, 0)
	within(t, "the call", s.calls)
	if within(t, "the failure", acks) {
		t.Error("a call that hung was told as a success")
	}
}

// TestAnswerToAWithdrawnWish: the service answers the first call when it has been withdrawn and asked for again. That
// answer says nothing about the second.
func TestAnswerToAWithdrawnWish(t *testing.T) {
	r, s, acks := runRung(t, time.Minute)
	r.set(1, true, 0)
	within(t, "the call", s.calls)
	r.set(2, false, 0)
	r.set(3, true, 0)
	s.answer <- nil
	within(t, "the second call", s.calls)
	quiet(t, "the first answer counted for the second call", acks)
	s.answer <- errors.New("refused")
	if within(t, "the second answer", acks) {
		t.Error("the second call was refused and told as a success")
	}
}

func TestWithdrawnWishIsNotCalled(t *testing.T) {
	r := &rung{wake: make(chan struct{}, 1), limit: time.Second, ack: func(bool, uint8) {}}
	called := make(chan struct{}, 1)
	r.call = func(context.Context) error { called <- struct{}{}; return nil }
	r.set(1, true, 0)
	r.set(2, false, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = r.run(ctx, zerolog.Nop()) }()
	quiet(t, "a withdrawn wish was called", called)
}

// notePublisher remembers the last command.
type notePublisher struct {
	publisher
	seq   uint64
	twist msg.Twist
}

func (p *notePublisher) PublishTwist(seq uint64, t *msg.Twist) (bus.Sent, error) {
	p.seq, p.twist = seq, *t
	return bus.Sent{Delivered: 1}, nil
}

// TestCommandMakesNothingOnTheHeap: whichever bus the profile names.
func TestCommandMakesNothingOnTheHeap(t *testing.T) {
	p := &notePublisher{}
	s := &busSink{command: p}
	var seq uint64
	if n := testing.AllocsPerRun(100, func() { seq++; s.Command(seq, msg.Twist{Linear: msg.Vec3{X: float64(seq)}}) }); n != 0 {
		t.Errorf("%v allocations for a command", n)
	}
	if p.seq != seq || p.twist.Linear.X != float64(seq) {
		t.Errorf("command %d at %v m/s went out, want %d", p.seq, p.twist.Linear.X, seq)
	}
}
