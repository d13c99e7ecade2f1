package ros2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

const (
	// goalFresh is how long a goal that passed may wait until there is a navigator to hand it on to: later, it is not what its
	// client asked for.
	goalFresh = time.Second
	// goalPatience is for how many times Limits.ServiceTimeout the navigator may think about a goal: it looks for a way there.
	goalPatience = 3
	// cancelEvery is how often the navigator is asked to cancel, as long as it does not answer.
	cancelEvery = 500 * time.Millisecond
	// meetWithin is how long a client's reader may take to be found; both implementations of ROS 2 wait 100 ms.
	meetWithin = 500 * time.Millisecond
	// meetStep is how often that is looked at.
	meetStep = 5 * time.Millisecond
)

// replyTo is whom an answer is for, in the way of either implementation of ROS 2: see client.
type replyTo struct {
	flavour     flavour
	participant *rtps.RemoteParticipant
	// of is what the reply names in its inline QoS: the client's reader, or the writer of its request, and the number of that.
	of     wire.GUID
	seq    int64
	reader bool // of is a reader
	// id is the request's header; client is the client's number as its endpoints' user data say it.
	id     cdr.RequestID
	client string
}

// relate implements asker.
func (a *goalAsker) relate(to wire.GUID) {
	a.to.of, a.to.reader = to, true
	if to == (wire.GUID{}) {
		a.to.of, a.to.reader = a.w.GUID, false
	}
}

// replyReader is a client's reader of replies.
type replyReader struct {
	r      *rtps.RemoteReader
	client string
}

// meet is told of readers of our replies.
func (g *GoalGate) meet(r *rtps.RemoteReader, matched bool) {
	g.out.Lock()
	defer g.out.Unlock()
	if matched {
		g.readers = append(g.readers, replyReader{r, userField(r.UserData, "clientid")})
		return
	}
	for i := range g.readers {
		if g.readers[i].r == r {
			g.readers = append(g.readers[:i:i], g.readers[i+1:]...)
			return
		}
	}
}

// met tells whether the reader that an answer is for would hear it. The caller holds out.
func (g *GoalGate) met(to *replyTo) bool {
	for i := range g.readers {
		x := &g.readers[i]
		switch {
		case x.r.Participant != to.participant:
		case to.flavour == related && to.reader:
			if x.r.GUID == to.of {
				return true
			}
		case to.flavour == related || to.client == "" || x.client == to.client:
			return true
		}
	}
	return false
}

// answer writes a reply's payload, if its reader would hear it; it waits for nothing. id is where a header goes, nil for none.
func (g *GoalGate) answer(to *replyTo, enc func(b []byte, id *cdr.RequestID) []byte) bool {
	g.out.Lock()
	defer g.out.Unlock()
	if !g.met(to) {
		return false
	}
	g.seq++
	var err error
	if to.flavour == prefixed {
		g.buf = enc(g.buf[:0], &to.id)
		_, err = g.reply.Write(g.seq, g.buf)
	} else {
		g.buf = enc(g.buf[:0], nil)
		_, err = g.reply.WriteRelated(g.seq, g.buf, to.of, wire.SeqNum(to.seq))
	}
	return err == nil
}

// noGoal is the answer to a goal that is not accepted.
func noGoal(b []byte, id *cdr.RequestID) []byte { return cdr.AppendAccepted(b, id, false, 0) }

// refuse answers that a goal is not accepted: at once, or as soon as its client's reader is found. A gate that looks on
// answers nobody. Refusals that wait leave half of the places to goals that may pass.
func (g *GoalGate) refuse(to *replyTo) {
	if g.send == nil {
		return
	}
	g.count.refused.Add(1)
	if g.answer(to, noGoal) {
		return
	}
	if len(g.free) <= maxGoalRequests/2 {
		g.count.lost.Add(1)
		return
	}
	select {
	case r := <-g.free:
		r.put(&goalRequest{to: *to})
		g.queue <- r
	default:
		g.count.lost.Add(1)
	}
}

// forward hands goals on, one after another in the order in which they passed, so that the newest is the one that the
// navigator ends up with. It waits for each answer elsewhere.
func (g *GoalGate) forward(ctx context.Context) {
	var told uint64
	for {
		if n := g.count.busy.Load(); n != told {
			g.n.cfg.Log.Warn().Uint64("goals", n-told).Str("action", g.cfg.Topic).Msg("goals that may pass were refused: too many requests wait for the navigator")
			told = n
		}
		select {
		case <-ctx.Done():
			return
		case r := <-g.queue:
			if r.seq == 0 {
				g.n.wg.Go(func() { g.tell(ctx, r, noGoal) })
				continue
			}
			if err := g.hand(ctx, r); err != nil {
				g.n.cfg.Log.Warn().Err(err).Str("action", g.cfg.Topic).Msg("a goal that may pass was not handed on")
				g.count.refused.Add(1)
				g.decided(r, false)
				g.n.wg.Go(func() { g.tell(ctx, r, noGoal) })
			}
		}
	}
}

// tell answers a request once its client's reader is found, and gives its place back.
func (g *GoalGate) tell(ctx context.Context, r *goalRequest, enc func([]byte, *cdr.RequestID) []byte) {
	defer func() { g.free <- r }()
	step := time.NewTicker(meetStep)
	defer step.Stop()
	for end := g.n.cfg.Clock() + meetWithin; !g.answer(&r.to, enc); {
		select {
		case <-ctx.Done():
			return
		case <-step.C:
		}
		if g.n.cfg.Clock() > end {
			g.count.lost.Add(1)
			return
		}
	}
}

// hand sends a goal to the navigator.
func (g *GoalGate) hand(ctx context.Context, r *goalRequest) error {
	find, cancel := context.WithTimeout(ctx, goalFresh)
	defer cancel()
	if _, err := g.send.ready(find); err != nil {
		return err
	}
	if g.ended.Load() > r.seq {
		return errEnded
	}
	if waited := g.n.cfg.Clock() - r.at; waited > goalFresh {
		return fmt.Errorf("it waited for %v; expected at most %v", waited, goalFresh)
	}
	had := r.to.flavour == prefixed
	k, keys, err := g.send.begin(find, func(b []byte, id *cdr.RequestID) []byte {
		b, _ = cdr.AppendReheaded(b, r.payload, had, id) // it was read before
		return b
	}, false)
	if err != nil {
		return err
	}
	g.count.passed.Add(1)
	g.n.wg.Go(func() {
		defer g.send.forget(keys)
		g.await(ctx, r, k)
	})
	return nil
}

// await waits for the navigator's answer and hands it back. Without one the goal counts as refused, and the navigator is told
// to forget it, in case it has it. A goal that was answered after everything was ended is ended as well: it may have come to
// the navigator after the word to cancel.
func (g *GoalGate) await(ctx context.Context, r *goalRequest, k *call) {
	wait, cancel := context.WithTimeout(ctx, goalPatience*g.n.cfg.Limits.ServiceTimeout)
	defer cancel()
	a, err := g.send.await(wait, k, 1, func(answer) bool { return true })
	goal, accepted := r.goal, false
	if err == nil {
		accepted, _, err = cdr.ParseAccepted(a.payload, a.id)
	}
	g.decided(r, accepted)
	if err != nil {
		g.n.cfg.Log.Warn().Err(err).Str("action", g.cfg.Topic).Msg("the navigator does not say whether it accepts a goal: refused, and cancelled")
		g.count.refused.Add(1)
		g.n.wg.Go(func() { g.forget(ctx, goal) })
		g.tell(ctx, r, noGoal)
		return
	}
	if g.ended.Load() > r.seq { // whatever the answer: somebody else may have given it, and to cancel an unknown goal costs nothing
		g.n.wg.Go(func() { g.forget(ctx, goal) })
	}
	g.tell(ctx, r, func(b []byte, id *cdr.RequestID) []byte {
		b, _ = cdr.AppendReheaded(b, a.payload, a.id != nil, id)
		return b
	})
}

// forget has the navigator cancel one goal.
func (g *GoalGate) forget(ctx context.Context, goal cdr.GoalID) {
	ctx, cancel := context.WithTimeout(ctx, goalPatience*g.n.cfg.Limits.ServiceTimeout)
	defer cancel()
	if _, err := g.canceled(ctx, cdr.GoalInfo{ID: goal}); err != nil {
		g.n.cfg.Log.Warn().Err(err).Str("action", g.cfg.Topic).Msg("a goal was not cancelled; what it sends to the base is gated")
	}
}

// endAll has the navigator cancel every goal whenever that is asked for.
func (g *GoalGate) endAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.wake:
		}
		for told := false; ; told = true {
			end, yes := g.due()
			if !yes {
				break
			}
			try, cancel := context.WithTimeout(ctx, g.n.cfg.Limits.ServiceTimeout)
			r, err := g.canceled(try, cdr.GoalInfo{})
			cancel()
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				raise(&g.answered, end)
				g.n.cfg.Log.Info().Str("action", g.cfg.Topic).Int8("code", r.Code).Int("goals", len(r.Goals)).Msg("the navigator was told to cancel its goals")
				break
			}
			if !told && !errors.Is(err, ErrNoServer) {
				g.n.cfg.Log.Warn().Err(err).Str("action", g.cfg.Topic).Msg("the navigator does not cancel its goals; it is told again, and what it sends to the base is gated")
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(cancelEvery):
			}
		}
	}
}

// cancelRejected is the code of a navigator that goes on with its goals.
const cancelRejected = 1

// canceled asks the navigator to cancel and returns what it says. Each of several may be asked. Whoever answers without taking
// the goals that are handed on is not the navigator: what he says is an error, as a rejection is.
func (g *GoalGate) canceled(ctx context.Context, goal cdr.GoalInfo) (r cdr.CancelResult, err error) {
	var bad error // of the answer that came last
	_, err = g.cancel.do(ctx, func(b []byte, id *cdr.RequestID) []byte { return cdr.AppendCancel(b, id, goal) }, true, func(a answer) bool {
		r, bad = cdr.ParseCancel(a.payload, a.id)
		switch {
		case bad != nil:
		case !g.takesGoals(a.from):
			bad = fmt.Errorf("%s answers, and does not take goals as %s; expected the navigator", g.n.nameOfParticipant(a.from), g.cfg.Server)
		case r.Code == cancelRejected:
			bad = ErrCancelRejected
		}
		return bad == nil
	})
	if err == nil {
		err = bad
	}
	return r, err
}

// takesGoals tells whether a participant offers what goals are handed on to.
func (g *GoalGate) takesGoals(p *rtps.RemoteParticipant) bool {
	servers, _ := g.send.servers()
	return slices.ContainsFunc(servers, func(s server) bool { return s.answers.Participant == p })
}

// userField is the value of a key in an endpoint's user data, "key=value;…", empty without one.
func userField(data []byte, key string) string {
	for part := range bytes.SplitSeq(data, []byte{';'}) {
		if k, v, ok := bytes.Cut(part, []byte{'='}); ok && string(k) == key {
			return string(v)
		}
	}
	return ""
}
