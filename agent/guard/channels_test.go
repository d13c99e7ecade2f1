package guard

import (
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// stamped gives the rig's planner commands with stamps and numbers, as TwistStamped has them, and keeps what it sent.
func stamped(r *rig) *[]msg.Command {
	sent := &[]msg.Command{}
	seq := uint32(0)
	r.edit = func(ev *Event) bool {
		if ev.Kind == EventCommand && ev.Command.Stamp == 0 {
			seq++
			ev.Command.Stamp, ev.Command.Seq, ev.Command.Frame = ev.Civil-int64(4*time.Millisecond), seq, "base_link"
			*sent = append(*sent, *ev.Command)
		}
		return true
	}
	return sent
}

func drive(v float64) func() (float64, float64) { return func() (float64, float64) { return v, 0 } }

// TestRecordedCommandsDoNotPass sends recorded commands again in their commander's name: beside him, and to a guard that was
// started anew. None passes; and with stamps and numbers taken off, they do, since nothing tells them from new ones.
func TestRecordedCommandsDoNotPass(t *testing.T) {
	r := newRig(t, demoParams(t), Start{})
	sent := stamped(r)
	r.drive = drive(0.3)
	r.ready()
	recorded := append([]msg.Command(nil), (*sent)[len(*sent)-20:]...)
	r.drive = drive(0)
	r.run(3 * time.Second)
	for i := range recorded {
		r.run(2 * rigStep)
		c := recorded[i]
		r.apply(Event{Kind: EventCommand, Command: &c})
		if g := r.core.gated; g.Reason != interlock.GateRepeated || !g.Dropped {
			t.Fatalf("recorded command %d: %v", i, g.Reason)
		}
	}
	if !r.active(interlock.ChannelHostile) || r.motion() != interlock.MotionHold {
		t.Errorf("twenty recorded commands restrict nothing: %s", r.state())
	}
	if d := r.core.decision.LatchedSet; d.Has(interlock.ChannelHostile) {
		t.Error("who replays commands stops the robot until somebody resets it")
	}
	h := &r.params.Health[0]
	r.run(time.Duration(h.Signs)*h.Forgive + h.Dwell + r.params.Rules.Rules[interlock.ChannelHostile].Dwell + time.Second)
	if r.active(interlock.ChannelHostile) {
		t.Errorf("it does not end: %s", r.state())
	}

	again := newRig(t, demoParams(t), Start{Boot: rigStart})
	again.skew = int64(time.Hour)
	stamped(again)
	again.ready()
	for i := range recorded {
		c := recorded[i]
		again.apply(Event{Kind: EventCommand, Command: &c})
		if g := again.core.gated; g.Reason != interlock.GateStale {
			t.Fatalf("after a reboot, recorded command %d: %v", i, g.Reason)
		}
	}

	off := newRig(t, demoParams(t), Start{})
	off.ready()
	c := recorded[0]
	c.Stamp, c.Seq = 0, 0
	off.apply(Event{Kind: EventCommand, Command: &c})
	if g := off.core.gated; g.Dropped {
		t.Errorf("off: without stamp and number it is dropped as well: %v", g.Reason)
	}
}

// TestChannelsOfARobot brings about what makes a channel or the base suspicious, in the demonstration; each has an edit of
// the parameters under which it is not seen.
func TestChannelsOfARobot(t *testing.T) {
	for name, x := range map[string]struct {
		do      func(r *rig)
		trigger interlock.Trigger
		subject string
		motion  interlock.Motion
		off     func(p *Params)
	}{
		"commands at 100 Hz": {func(r *rig) {
			r.period = rigStep
			r.run(2 * time.Second)
		}, interlock.ChannelHostile, "planner", interlock.MotionHold, func(p *Params) { p.Health[0].MinPeriod = time.Millisecond }},
		"senders of another type": {func(r *rig) {
			for range 6 {
				r.peerEvent(PeerMismatch, 0, 77, "/planner")
				r.run(100 * time.Millisecond)
			}
		}, interlock.ChannelHostile, "planner", interlock.MotionHold, func(p *Params) { p.Health[0].Signs = 1000; p.Health[0].Forgive = time.Millisecond }},
		"bytes that are no command": {func(r *rig) {
			for range 6 {
				r.peerEvent(PeerMalformed, 1, 78, "/operator_console")
				r.run(100 * time.Millisecond)
			}
		}, interlock.ChannelHostile, "operator", interlock.MotionHold, func(p *Params) { p.Health[1].Signs = 1000; p.Health[1].Forgive = time.Millisecond }},
		"a planner that stutters": {func(r *rig) {
			for range 7 {
				r.run(500 * time.Millisecond)
				drive := r.drive
				r.drive = nil
				r.run(400 * time.Millisecond)
				r.drive = drive
			}
		}, interlock.ChannelDegraded, "planner", interlock.MotionLimited, func(p *Params) { p.Health[0].Signs = 1000 }},
		"a base that moves by itself": {func(r *rig) {
			r.drive = drive(0)
			r.run(3 * time.Second)
			inner := r.edit
			r.edit = func(ev *Event) bool {
				if ev.Kind == EventOdometry {
					ev.Pose.Twist.Linear.X = 0.4
				}
				return inner(ev)
			}
			r.run(time.Second)
		}, interlock.MotionExcess, "", interlock.MotionHold, func(p *Params) { p.Follow.SlackMPS = 9 }},
		"a base that does not follow": {func(r *rig) {
			r.plant.lag = time.Hour
			r.plant.v, r.plant.queue, r.plant.want = 0, nil, plantCommand{}
			r.run(6 * time.Second)
		}, interlock.MotionUnfollowed, "", interlock.MotionLimited, func(p *Params) { p.Follow.After = time.Hour }},
	} {
		t.Run(name, func(t *testing.T) {
			see := func(p *Params) (bool, *rig) {
				r := newRig(t, p, Start{})
				seen := false
				r.edit = func(*Event) bool { return true }
				r.each = func(*Event, *Effects) { seen = seen || r.active(x.trigger) && r.motion() <= x.motion }
				r.drive = drive(0.3)
				r.ready()
				if seen {
					t.Fatalf("before anything is wrong: %s", r.state())
				}
				x.do(r)
				return seen, r
			}
			seen, r := see(demoParams(t))
			if !seen {
				t.Errorf("%v does not restrict to %v: %s", x.trigger, x.motion, r.state())
			}
			for i := range r.core.decision.N {
				if a := &r.core.decision.Active[i]; a.Trigger == x.trigger && r.core.subject(a) != x.subject {
					t.Errorf("it is about %q, expected %q", r.core.subject(a), x.subject)
				}
			}
			if r.core.decision.LatchedSet.Has(x.trigger) {
				t.Error("what anybody can forge latches")
			}
			p := demoParams(t)
			x.off(p)
			if seen, _ := see(p); seen {
				t.Error("with its detector off it is still seen, so the test is about something else")
			}
		})
	}
}

// TestNeededChannel waits for a channel that the task needs, and holds while it is silent; one that is not needed may be.
func TestNeededChannel(t *testing.T) {
	p := demoParams(t)
	p.Health[0].Needed = true
	r := newRig(t, p, Start{})
	r.run(6 * time.Second)
	if r.open() {
		t.Errorf("it opens before the planner was heard: %s", r.state())
	}
	r.drive = drive(0)
	r.ready()
	r.drive = nil
	r.run(p.Health[0].LostAfter + 200*time.Millisecond)
	if !r.active(interlock.ChannelLost) || r.motion() != interlock.MotionHold {
		t.Errorf("it is silent: %s", r.state())
	}
	r.drive = drive(0)
	r.until("the hold's end", 5*time.Second, r.open)

	off := newRig(t, demoParams(t), Start{})
	off.ready()
	off.run(5 * time.Second)
	if off.active(interlock.ChannelLost) || !off.open() {
		t.Errorf("off: a channel that nobody needs: %s", off.state())
	}
}

// TestStatusNamesChannels shows rate, delay, skew and losses of stamped commands.
func TestStatusNamesChannels(t *testing.T) {
	r := newRig(t, demoParams(t), Start{})
	stamped(r)
	r.drive = drive(0.2)
	r.ready()
	s := r.core.status().Commands
	if len(s) != 3 || s[0].Name != "planner" || s[0].Kind != "autonomy" || s[0].Health != "good" || math.Abs(s[0].RateHz-10) > 0.5 {
		t.Fatalf("%+v", s)
	}
	if s[0].SkewMS == nil || math.Abs(*s[0].SkewMS-4) > 1 || *s[0].LatencyMS > 1 || s[0].LossRatio != 0 {
		t.Errorf("skew %v, latency %v, losses %v", *s[0].SkewMS, *s[0].LatencyMS, s[0].LossRatio)
	}
	if s[1].Health != "idle" || s[1].SilentS != -1 {
		t.Errorf("%+v", s[1])
	}
}
