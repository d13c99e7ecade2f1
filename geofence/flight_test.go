package geofence

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// send issues a command every 10 ms, for a time that lies between two ages in
// milliseconds.
func (r *rig) send(from, until int, v Velocity) {
	for ms := from; ms > until; ms -= 10 {
		r.Issued(Instant{Boot: r.now.Boot - time.Duration(ms)*time.Millisecond}, v)
	}
}

// The rig's robot has 300 ms of reaction, 50 ms of them the command period: a
// command is in flight for up to 250 ms.

func TestFlight(t *testing.T) {
	for _, tc := range []struct {
		name     string
		measured Velocity
		before   Velocity // sent from 1 s to 125 ms ago
		last     Velocity // sent since then
		silent   bool     // nothing was ever sent
		way      float64  // mm, within a slot of 16 ms
		after    float64  // mm/s
		odd      bool
	}{
		{"standing", Velocity{}, Velocity{}, Velocity{}, false, 0, 0, false},
		{"driving as told", Velocity{VX: 1}, Velocity{VX: 1}, Velocity{VX: 1}, false, 250, 1000, false},
		{"nobody told us", Velocity{VX: 1}, Velocity{}, Velocity{}, true, 250, 1000, false},
		{"told to go, not yet moving", Velocity{}, Velocity{}, Velocity{VX: 1}, false, 125, 1000, false},
		{"told to stop, still driving", Velocity{VX: 1}, Velocity{VX: 1}, Velocity{}, false, 125 + 117, 750, false},
		{"told to go back, still standing", Velocity{}, Velocity{}, Velocity{VX: -1}, false, 125, 1000, false},
		{"slower than told", Velocity{VX: 0.5}, Velocity{VX: 1}, Velocity{VX: 1}, false, 250, 1000, false},
		{"rolls away", Velocity{VX: 0.8}, Velocity{}, Velocity{}, false, 168.75, 550, true},
		{"goes aside", Velocity{VY: 0.5}, Velocity{VX: 1}, Velocity{VX: 1}, false, 250, 1000, true},
		{"turns untold", Velocity{VX: 1, YawRate: 1}, Velocity{VX: 1}, Velocity{VX: 1}, false, 330, 0, true},
		{"faster than told", Velocity{VX: 1.4}, Velocity{VX: 1}, Velocity{VX: 1}, false, 320, 1150, true},
	} {
		r := newRig(t, site(wall(50_000)), wheels())
		r.in.Velocity.Velocity = tc.measured
		r.at(0, 0, 0)
		if !tc.silent {
			r.send(1000, 125, tc.before)
			r.send(125, 0, tc.last)
		}
		fl := r.flight(r.now.Boot, 0)
		if !(math.Abs(fl.way-tc.way) <= 20) || fl.odd != tc.odd || tc.after > 0 && !(math.Abs(r.tip(fl.after)-tc.after) <= 20) {
			t.Errorf("%s: way %.1f mm, after %.1f mm/s, odd %v, want %v %v %v", tc.name, fl.way, r.tip(fl.after), fl.odd, tc.way, tc.after, tc.odd)
		}
	}
}

// TestOnlyWhatWasRecordedExplainsBraking: of the time before the record began
// nobody knows, so that the robot is taken to have gone on.
func TestOnlyWhatWasRecordedExplainsBraking(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.in.Velocity.VX = 1
	r.at(0, 0, 0)
	r.Issued(r.now, Velocity{})
	if fl := r.flight(r.now.Boot, 0); fl.way < 245 || fl.way > 250.001 {
		t.Errorf("%.1f mm in flight, want nearly 250", fl.way)
	}
}

func TestCommandsInFlightCount(t *testing.T) {
	at := func(sent Velocity) Limit {
		r := newRig(t, site(wall(0)), wheels())
		r.at(-0.9, 0, 0)
		r.send(1000, 150, Velocity{})
		r.send(150, 0, sent)
		return r.limit(Velocity{VX: 1})
	}
	still, moving := at(Velocity{}), at(Velocity{VX: 1.5})
	if moving.Ratio >= still.Ratio-0.05 {
		t.Errorf("with 1.5 m/s in flight %v, with nothing %v", moving.Ratio, still.Ratio)
	}
	if away := at(Velocity{VX: -1}); away.Ratio < still.Ratio {
		t.Errorf("with a retreat in flight %v, with nothing %v", away.Ratio, still.Ratio)
	}
}

func TestARobotThatGoesItsOwnWayIsTakenToGoOn(t *testing.T) {
	// It is told to drive along the wall, and drifts towards it.
	r := newRig(t, site(wall(0)), wheels())
	r.in.Velocity.Velocity = Velocity{VX: 0.6}
	r.at(-0.4-0.35, 0, 0)
	r.send(1000, 0, Velocity{VY: 0.5})
	if l := r.limit(Velocity{VY: 0.5}); l.Ratio != 0 {
		t.Errorf("drifting: %+v", l)
	}
	r.in.Velocity.Velocity = Velocity{VY: 0.5}
	r.step()
	if l := r.limit(Velocity{VY: 0.5}); l.Ratio != 1 {
		t.Errorf("obeying: %+v", l)
	}
}

func TestIssuedForgetsNonsense(t *testing.T) {
	r := newRig(t, site(wall(50_000)), wheels())
	r.at(0, 0, 0)
	for name, bad := range map[string]func(){
		"NaN":            func() { r.Issued(r.now, Velocity{VX: math.NaN()}) },
		"beyond numbers": func() { r.Issued(r.now, Velocity{VY: math.MaxFloat64}) },
		"back in time":   func() { r.Issued(Instant{Boot: r.now.Boot - time.Hour}, Velocity{}) },
	} {
		r.send(1000, 0, Velocity{VX: 1})
		if !r.mem.issued.known {
			t.Fatal("a good record is not known")
		}
		if bad(); r.mem.issued.known {
			t.Errorf("%s is remembered", name)
		}
	}
	r.Issued(r.now, Velocity{VX: 40, YawRate: 10})
	if u := r.mem.issued.last; u.speed() > 1000*topSpeed(&r.set.robot)+1e-6 || math.Abs(u.w) > topYaw(&r.set.robot)+1e-9 {
		t.Errorf("more than the robot can do: %+v", u)
	}
}

func TestInForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := New(compile(t, site(wall(50_000)), wheels()))
		type entry struct {
			slot int64
			v    float64
		}
		var all []entry
		boot := time.Second
		for range rapid.IntRange(1, 40).Draw(t, "n") {
			boot += time.Duration(rapid.IntRange(0, 60).Draw(t, "gap")) * time.Millisecond
			v := rapid.Float64Range(0, 1).Draw(t, "v")
			f.Issued(Instant{Boot: boot}, Velocity{VX: v})
			all = append(all, entry{int64(boot / f.slotWidth()), v * 1000})
		}
		h := &f.mem.issued
		for slot := h.slot - ringSlots - 3; slot <= h.slot+3; slot++ {
			// By the definition: the fastest that was in force at any time of the slot.
			want, known := 0.0, false
			for i, e := range all {
				next := int64(math.MaxInt64)
				if i+1 < len(all) {
					next = all[i+1].slot
				}
				if e.slot <= slot && slot <= next {
					want, known = max(want, e.v), true
				}
			}
			got, ok := h.inForce(slot)
			if ok && (!known || !(math.Abs(got.vx-want) <= 1e-9)) || !ok && known && slot > h.slot-ringSlots {
				t.Fatalf("slot %d: %v %v, want %v %v", slot-h.slot, got.vx, ok, want, known)
			}
		}
	})
}
