package guard

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// plenty is a report of a program that lacks nothing.
func plenty() Host {
	return Host{DescriptorsKnown: true, Descriptors: 40, DescriptorLimit: 4096, MemoryKnown: true, MemoryLeft: 1 << 30, Pause: 100 * time.Microsecond}
}

// reporting makes the program report every second, with what edit changes.
func (r *rig) reporting(edit func(h *Host)) {
	next := time.Duration(0)
	r.each = func(ev *Event, _ *Effects) {
		if ev.Kind == EventTick && ev.Boot >= next {
			next = ev.Boot + time.Second
			h := plenty()
			edit(&h)
			r.apply(Event{Kind: EventHost, Host: h})
		}
	}
}

func TestTheGuardsOwnMeans(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(h *Host)
		code interlock.Trigger
	}{
		"plenty":              {func(*Host) {}, interlock.NumTriggers},
		"memory low":          {func(h *Host) { h.MemoryLeft = 1 << 20 }, interlock.GuardMemory},
		"memory unknown":      {func(h *Host) { h.MemoryKnown = false }, interlock.GuardMemory},
		"descriptors low":     {func(h *Host) { h.Descriptors = 4090 }, interlock.GuardDescriptors},
		"more than the limit": {func(h *Host) { h.DescriptorLimit = 20 }, interlock.GuardDescriptors},
		"descriptors unknown": {func(h *Host) { h.DescriptorsKnown = false }, interlock.GuardDescriptors},
		"a long pause":        {func(h *Host) { h.Pause = 40 * time.Millisecond }, interlock.LoopOverrun},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, demoParams(t), Start{}).ready()
			r.reporting(c.edit)
			r.run(4 * time.Second)
			for _, code := range []interlock.Trigger{interlock.GuardMemory, interlock.GuardDescriptors, interlock.LoopOverrun} {
				if r.active(code) != (code == c.code) {
					t.Errorf("%v active: %t; %s", code, r.active(code), r.state())
				}
			}
			if want := c.code == interlock.NumTriggers; r.open() != want {
				t.Errorf("open %t, expected %t: %s", r.open(), want, r.state())
			}
			r.reporting(func(*Host) {})
			r.run(15 * time.Second)
			if !r.open() {
				t.Errorf("not open again with plenty: %s", r.state())
			}
		})
	}
}

// TestAProgramThatStopsReporting: the report is a sign of life of its own goroutine; its silence is a fault of both means.
func TestAProgramThatStopsReporting(t *testing.T) {
	r := newRig(t, demoParams(t), Start{}).ready()
	r.reporting(func(*Host) {})
	r.run(2 * time.Second)
	r.each = nil
	r.run(hostMaxAge + 3*time.Second)
	if !r.active(interlock.GuardMemory) || !r.active(interlock.GuardDescriptors) {
		t.Errorf("silence is fine: %s", r.state())
	}
}

// privateRig is a robot that stands in a zone in which it has to be private.
func privateRig(t *testing.T, edit func(p *Params)) *rig {
	t.Helper()
	p := demoParams(t, replaceIn(t, "\n  # ---- upper floor ----", `
  - {zone_id: bath, zone_type: PRIVACY, floor: ground, vertices: [[10, 10], [14, 10], [14, 14], [10, 14]], reason: a test}

  # ---- upper floor ----`))
	if edit != nil {
		edit(p)
	}
	r := newRig(t, p, Start{})
	r.off["devices"] = true
	r.run(500 * time.Millisecond)
	return r
}

// device is what a driver says on its topic.
func (r *rig) device(kind msg.DeviceKind, index int, active bool) {
	r.apply(Event{Kind: EventDevice, Device: &msg.Device{Kind: kind, Index: index, Active: active}})
}

func TestPrivateMeansThatNothingRecords(t *testing.T) {
	const camera = msg.Camera
	recorders := func(p *Params) { p.Recorders = true }
	stream := func(p *Params) { p.Devices[0] = DeviceSet{N: 1, Streams: 1} }
	closed := func(r *rig) {
		r.device(msg.Camera, 0, false)
		r.device(msg.Microphone, 0, false)
	}
	fact := func(r *rig, open uint16, complete bool) {
		r.apply(Event{Kind: EventRecorders, Recorders: Recorders{Open: open, Complete: complete, Until: r.now + time.Second}})
	}
	for name, c := range map[string]struct {
		edit func(p *Params)
		each func(r *rig)
		open bool
	}{
		"all closed":                        {nil, closed, false},
		"nobody says anything":              {nil, func(*rig) {}, true},
		"a camera says that it records":     {nil, func(r *rig) { closed(r); r.device(camera, 0, true) }, true},
		"a microphone says so":              {nil, func(r *rig) { closed(r); r.device(msg.Microphone, 0, true) }, true},
		"no stream":                         {stream, func(r *rig) { r.device(msg.Microphone, 0, false) }, false},
		"a stream":                          {stream, func(r *rig) { closed(r); r.device(camera, 0, true) }, true},
		"no process has a device open":      {recorders, func(r *rig) { closed(r); fact(r, 0, true) }, false},
		"one has":                           {recorders, func(r *rig) { closed(r); fact(r, 1, true) }, true},
		"not every process was looked at":   {recorders, func(r *rig) { closed(r); fact(r, 0, false) }, true},
		"the steward says nothing":          {recorders, closed, true},
		"off: its word is not asked for":    {nil, func(r *rig) { closed(r); fact(r, 3, false) }, false},
		"a claim does not clear what shows": {recorders, func(r *rig) { closed(r); fact(r, 2, true) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := privateRig(t, c.edit)
			if r.core.decision.Axes.Perception != interlock.PerceptionPrivate {
				t.Fatalf("not private: %s", r.state())
			}
			for range 40 {
				c.each(r)
				r.run(100 * time.Millisecond)
			}
			if got := r.active(interlock.PerceptionOpen); got != c.open {
				t.Errorf("perception.open is active: %t, expected %t; %s", got, c.open, r.state())
			}
		})
	}
}

// TestAStreamThatEndsInTimeIsClosed: a stream may go on for as long as the rule gives devices to close, and no longer; where the
// rule gives no time, whatever comes counts.
func TestAStreamThatEndsInTimeIsClosed(t *testing.T) {
	const never = time.Hour
	for name, c := range map[string]struct {
		delay, ends time.Duration
		open        bool
		within      time.Duration
	}{
		"ends at once":             {time.Second, 0, false, 0},
		"ends in time":             {time.Second, 900 * time.Millisecond, false, 0},
		"ends too late":            {time.Second, 1100 * time.Millisecond, true, 1150 * time.Millisecond},
		"goes on":                  {time.Second, never, true, 1150 * time.Millisecond},
		"no time, goes on":         {0, never, true, 150 * time.Millisecond},
		"more time, ends in time":  {3 * time.Second, 2900 * time.Millisecond, false, 0},
		"more time, ends too late": {3 * time.Second, 3100 * time.Millisecond, true, 3150 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			r := privateRig(t, func(p *Params) {
				p.Devices = [2]DeviceSet{{N: 1, Streams: 1}, {}}
				p.Rules.Rules[interlock.PerceptionOpen].StartDelay = c.delay
			})
			// It has streamed all the time before; here the time to be private begins anew.
			r.device(msg.Camera, 0, true)
			r.core.privacy.since = r.now
			began, fired := r.now, time.Duration(-1)
			for r.now-began < 5*time.Second {
				if r.now-began < c.ends && r.now > began {
					r.device(msg.Camera, 0, true)
				}
				r.run(50 * time.Millisecond)
				if fired < 0 && r.active(interlock.PerceptionOpen) {
					fired = r.now - began
				}
			}
			if got := fired >= 0; got != c.open || fired > c.within {
				t.Errorf("perception.open fired after %v; expected it: %t, within %v", fired, c.open, c.within)
			}
		})
	}
}

// TestASlowStreamIsSeenSoonAfter: one that goes on shows by its first message after the time to close, and what the start delay
// lost in the gap before it is a quarter of that gap.
func TestASlowStreamIsSeenSoonAfter(t *testing.T) {
	const step = 10 * time.Millisecond
	for _, period := range []time.Duration{33 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, 700 * time.Millisecond, 980 * time.Millisecond} {
		for third := range 3 {
			t.Run(fmt.Sprintf("%v, %d thirds later", period, third), func(t *testing.T) {
				r := privateRig(t, func(p *Params) {
					p.Devices = [2]DeviceSet{{N: 1, Streams: 1}, {}}
					p.Rules.Rules[interlock.PerceptionOpen].StartDelay = time.Second
				})
				r.device(msg.Camera, 0, true)
				r.core.privacy.since = r.now
				began, next := r.now, r.now+time.Duration(third)*(period/3)
				most := time.Second + period*5/4 + 3*step
				for !r.active(interlock.PerceptionOpen) && r.now-began <= most {
					if r.now >= next {
						r.device(msg.Camera, 0, true)
						next += period
					}
					r.run(step)
				}
				if took := r.now - began; took > most || took < time.Second {
					t.Errorf("perception.open after %v, expected it from 1s on, within %v", took, most)
				}
			})
		}
	}
}

// TestWhatWasSeenBeforeDoesNotCount: a fact from before the robot had to be private shows nothing about now.
func TestWhatWasSeenBeforeDoesNotCount(t *testing.T) {
	p := privacy{since: never}
	p.follow(10*time.Second, interlock.PerceptionPrivate)
	c := &Core{params: &Params{Recorders: true}}
	c.privacy = p
	c.privacy.fact, c.privacy.told = Recorders{Complete: true, Until: time.Hour}, 9*time.Second
	if got := c.privacyCondition(11 * time.Second); got.State != interlock.Unknown {
		t.Errorf("the condition is %+v, expected unknown", got)
	}
	c.privacy.told = 10 * time.Second
	if got := c.privacyCondition(11 * time.Second); got.State != interlock.Clear {
		t.Errorf("off: with a new fact it is %+v", got)
	}
}

// TestTheDriverIsAsked: once when it begins, again every second while anything records, and told once that it is over.
func TestTheDriverIsAsked(t *testing.T) {
	p := privacy{since: never}
	asked := 0
	for at := time.Duration(0); at < 10*time.Second; at += 20 * time.Millisecond {
		axis := interlock.PerceptionFree
		if at >= time.Second && at < 8*time.Second {
			axis = interlock.PerceptionPrivate
		}
		p.open = at < 5*time.Second
		p.follow(at, axis)
		if p.ask(at) {
			asked++
		}
	}
	if asked != 5 { // at 1, 2, 3 and 4 s, and the end at 8 s
		t.Errorf("asked %d times, expected 5", asked)
	}
}

// TestMoreOpenNeverLoosens: whatever else is known, a device that is open, a look that is incomplete or a fact that ran out never
// makes the condition better.
func TestMoreOpenNeverLoosens(t *testing.T) {
	restricts := func(c interlock.Condition) bool { return c.State != interlock.Clear } // unknown restricts as its presence does
	rapid.Check(t, func(rt *rapid.T) {
		boot := 100 * time.Second
		draw := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(90_000, 110_000).Draw(rt, name)) * time.Millisecond
		}
		c := &Core{params: &Params{Recorders: rapid.Bool().Draw(rt, "recorders")}}
		for kind := range c.params.Devices {
			c.params.Devices[kind] = DeviceSet{N: rapid.IntRange(0, 3).Draw(rt, "n"), Streams: uint32(rapid.IntRange(0, 7).Draw(rt, "streams"))}
			for i := range 3 {
				c.privacy.devices[kind][i] = deviceState{
					boot: min(boot, draw("heard")), seen: rapid.Bool().Draw(rt, "seen"), active: rapid.Bool().Draw(rt, "active"),
				}
			}
		}
		c.privacy.since = min(boot, draw("since"))
		c.privacy.told = min(boot, draw("told"))
		c.privacy.fact = Recorders{
			Open: uint16(rapid.IntRange(0, 2).Draw(rt, "open")), Complete: rapid.Bool().Draw(rt, "complete"), Until: draw("until"),
		}
		before := c.privacyCondition(boot)
		worse := *c
		switch rapid.IntRange(0, 3).Draw(rt, "what") {
		case 0:
			worse.privacy.fact.Open++
		case 1:
			worse.privacy.fact.Complete = false
		case 2:
			worse.privacy.fact.Until = boot
		case 3:
			d := &worse.privacy.devices[rapid.IntRange(0, 1).Draw(rt, "kind")][rapid.IntRange(0, 2).Draw(rt, "index")]
			*d = deviceState{boot: boot, seen: true, active: true}
		}
		after := worse.privacyCondition(boot)
		if restricts(before) && !restricts(after) {
			rt.Fatalf("%+v became %+v", before, after)
		}
	})
}

// TestWhatRecordsIsNamed: cameras and microphones have numbers of their own, and the status names the topic.
func TestWhatRecordsIsNamed(t *testing.T) {
	names := map[string]bool{}
	for kind, k := range []msg.DeviceKind{msg.Camera, msg.Microphone} {
		r := privateRig(t, nil)
		r.device(msg.Camera, 0, k == msg.Camera)
		r.device(msg.Microphone, 0, k == msg.Microphone)
		r.run(1500 * time.Millisecond)
		want := r.params.Devices[kind].Names[0]
		got := ""
		for _, s := range r.core.Status().Triggers {
			if s.Code == "perception.open" {
				got = s.Subject
			}
		}
		if got != want || want == "" {
			t.Errorf("device kind %v: named %q, expected %q", k, got, want)
		}
		names[got] = true
	}
	if len(names) != 2 {
		t.Errorf("a camera and a microphone have one name: %v", names)
	}
}

func TestJournalStatesNameTheirCause(t *testing.T) {
	for state, want := range map[JournalState]interlock.Condition{
		JournalOK:           interlock.OK(),
		JournalFailing:      interlock.Fault(interlock.CauseWriteFailed, 0),
		JournalOverflows:    interlock.Fault(interlock.CauseQueueOverflow, 0),
		JournalFull:         interlock.Fault(interlock.CauseDiskFull, 0),
		JournalReadOnly:     interlock.Fault(interlock.CauseReadOnly, 0),
		JournalReadOnly + 1: interlock.Fault(interlock.CauseWriteFailed, 0),
		255:                 interlock.Fault(interlock.CauseWriteFailed, 0),
	} {
		if got := state.condition(); got != want {
			t.Errorf("state %d: got %v, expected %v", state, got, want)
		}
	}
}
