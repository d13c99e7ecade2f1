package ros2

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/ros2/cdr"
)

// TestGoalGateEnds: an end cancels whatever is under way, also a goal whose acceptance comes after it; none that passes later.
func TestGoalGateEnds(t *testing.T) {
	d := freeDomain(t)
	x := startGated(t, d, related)
	server := serveNavigatorAs(startProcess(t, d, true), related, testServer)
	goal, err := x.client.SendGoal(t.Context(), at(1))
	if err != nil {
		t.Fatal(err)
	}
	x.End(x.seq.Add(1))
	if s, err := goal.Result(t.Context()); err != nil || s != NavCanceled {
		t.Errorf("%v, %v; expected canceled", s, err)
	}
	server.mu.Lock()
	if len(server.asked) != 1 || server.asked[0] != string(make([]byte, 24)) {
		t.Errorf("asked to cancel %x; expected every goal once", server.asked)
	}
	slow := make(chan struct{})
	server.status, server.ended, server.slow, server.asked = 0, make(chan struct{}), slow, nil
	server.mu.Unlock()
	type sent struct {
		g   *Goal
		err error
	}
	answer := make(chan sent, 1)
	go func() { g, err := x.client.SendGoal(t.Context(), at(1)); answer <- sent{g, err} }()
	eventually(t, "the goal at the navigator", func() bool { return x.Stats().Handed == 2 })
	x.End(x.seq.Add(1))
	eventually(t, "the word to cancel", func() bool { server.mu.Lock(); defer server.mu.Unlock(); return len(server.asked) == 1 })
	close(slow)
	late := <-answer
	if late.err != nil {
		t.Fatal(late.err)
	}
	if s, err := late.g.Result(t.Context()); err != nil || s != NavCanceled {
		t.Errorf("accepted after the end: %v, %v; expected canceled", s, err)
	}
	// A decision that was made before the end does not pass after it.
	x.seq.Store(0)
	if _, err := x.client.SendGoal(t.Context(), at(1)); !errors.Is(err, ErrGoalRejected) {
		t.Errorf("overtaken by the end: %v", err)
	}
}

// TestGoalGateWithoutAnswer: a navigator that says nothing keeps nobody waiting, and is told to forget the goal.
func TestGoalGateWithoutAnswer(t *testing.T) {
	d := freeDomain(t)
	x := startGated(t, d, related)
	x.node.cfg.Limits.ServiceTimeout = 200 * time.Millisecond
	server := serveNavigatorAs(startProcess(t, d, true), related, testServer)
	slow := make(chan struct{})
	defer close(slow)
	server.mu.Lock()
	server.slow = slow
	server.mu.Unlock()
	eventually(t, "a navigator", func() bool { return len(known(x.send)) == 1 && len(known(x.cancel)) == 1 })
	if _, err := x.client.SendGoal(t.Context(), at(1)); !errors.Is(err, ErrGoalRejected) {
		t.Errorf("no answer: %v", err)
	}
	eventually(t, "the word to cancel", func() bool { server.mu.Lock(); defer server.mu.Unlock(); return len(server.asked) > 0 })
	server.mu.Lock()
	defer server.mu.Unlock()
	if all := x.judged.all(); len(all) != 1 || server.asked[0][:16] != string(all[0].Raw[cdr.HeaderBytes:][:16]) {
		t.Errorf("asked to cancel %x", server.asked)
	}
}

// TestGoalGateEndsWhatWasNotReplaced: a goal that passed after an end and was not accepted took no older goal's place, so the
// navigator is told of that end still.
func TestGoalGateEndsWhatWasNotReplaced(t *testing.T) {
	for name, rejects := range map[string]bool{"nobody takes the goal": false, "the goal is rejected": true} {
		t.Run(name, func(t *testing.T) {
			d := freeDomain(t)
			x := startGated(t, d, related)
			x.node.cfg.Limits.ServiceTimeout = 200 * time.Millisecond
			from := boot()
			x.End(x.seq.Add(1))
			p := startProcess(t, d, true)
			takes := func() {
				p.serve(action(testServer, navSend.part), navSend.typ, related, func([]byte) []byte { return make([]byte, 12) })
				eventually(t, "a navigator", func() bool { return len(known(x.send)) == 1 })
			}
			if rejects {
				takes()
			}
			if _, err := x.client.SendGoal(t.Context(), at(1)); !errors.Is(err, ErrGoalRejected) {
				t.Errorf("%v; expected a rejection", err)
			}
			eventually(t, "the next try to cancel", func() bool { return boot()-from > x.node.cfg.Limits.ServiceTimeout+2*cancelEvery })
			if !rejects {
				takes()
			}
			cancel := p.serve(action(testAction, navCancel.part), navCancel.typ, related, func([]byte) []byte { return make([]byte, 8) })
			eventually(t, "the word to cancel every goal", func() bool { return slices.Contains(cancel.requests(), string(make([]byte, 24))) })
		})
	}
}

// TestGoalGateBelievesTheNavigatorAlone: who takes no goals has none to cancel, whatever he says, and a navigator that rejects
// the word is told again.
func TestGoalGateBelievesTheNavigatorAlone(t *testing.T) {
	d := freeDomain(t)
	x := startGated(t, d, related)
	x.node.cfg.Limits.ServiceTimeout = 200 * time.Millisecond
	liar := startProcess(t, d, true)
	lies := liar.serve(action(testAction, navCancel.part), navCancel.typ, related, func([]byte) []byte { return make([]byte, 8) })
	eventually(t, "somebody who says that he cancels", func() bool { return len(known(x.cancel)) == 1 })
	x.End(x.seq.Add(1))
	eventually(t, "a second try", func() bool { return len(lies.requests()) >= 2 })
	liar.stop()
	eventually(t, "nobody", func() bool { return len(known(x.cancel)) == 0 })
	p := startProcess(t, d, true)
	server := serveNavigatorAs(p, related, testServer)
	server.mu.Lock()
	server.goesOn = 1
	server.mu.Unlock()
	eventually(t, "the word to cancel, and again", func() bool {
		server.mu.Lock()
		defer server.mu.Unlock()
		return len(server.asked) >= 2 && server.goesOn < 0
	})
	eventually(t, "the gate to believe it", func() bool { _, due := x.due(); return !due })
}

// TestGoalGateEndsWhatSeemsRejected: a goal that was under way at an end is cancelled by its id, also after a "no": who says it
// need not be the navigator.
func TestGoalGateEndsWhatSeemsRejected(t *testing.T) {
	d := freeDomain(t)
	x := startGated(t, d, related)
	server := serveNavigatorAs(startProcess(t, d, true), related, testServer)
	slow := make(chan struct{})
	server.mu.Lock()
	server.slow, server.reject = slow, true
	server.mu.Unlock()
	eventually(t, "a navigator", func() bool { return len(known(x.send)) == 1 && len(known(x.cancel)) == 1 })
	answer := make(chan error, 1)
	go func() { _, err := x.client.SendGoal(t.Context(), at(1)); answer <- err }()
	eventually(t, "the goal at the navigator", func() bool { return x.Stats().Handed == 1 })
	x.End(x.seq.Add(1))
	eventually(t, "the word to cancel", func() bool { server.mu.Lock(); defer server.mu.Unlock(); return len(server.asked) == 1 })
	close(slow)
	if err := <-answer; !errors.Is(err, ErrGoalRejected) {
		t.Errorf("%v; expected a rejection", err)
	}
	eventually(t, "the word to cancel this goal", func() bool {
		server.mu.Lock()
		defer server.mu.Unlock()
		return len(server.asked) == 2 && server.asked[1][:16] == string(x.judged.all()[0].Raw[cdr.HeaderBytes:][:16])
	})
}
