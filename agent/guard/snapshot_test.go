package guard

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// disturb draws something that happens to a robot.
func disturb(rt *rapid.T, r *rig) {
	inputs := []string{"tick", "pose", "odometry", "joints", "imu", "graph", "floor", "battery"}
	names := []string{"/planner", "/operator_console", "/evil", nodeName}
	kind := rapid.IntRange(0, 21).Draw(rt, "disturbance")
	switch kind {
	case 0, 1:
		name := rapid.SampledFrom(inputs).Draw(rt, "input")
		r.off[name] = !r.off[name]
	case 2:
		r.operator = rapid.SampledFrom([]string{"run", "stop", "away"}).Draw(rt, "operator")
	case 3:
		topic := rapid.SampledFrom([]string{"/cmd_vel_raw", "/cmd_vel", "/robowarden/lock"}).Draw(rt, "topic")
		r.publishers[topic] = rapid.SliceOfN(rapid.SampledFrom(names), 0, 20).Draw(rt, "publishers")
	case 4:
		v, w := rapid.Float64Range(-2, 2).Draw(rt, "v"), rapid.Float64Range(-2, 2).Draw(rt, "w")
		r.drive = func() (float64, float64) { return v, w }
	case 5:
		r.apply(Event{Kind: EventPeer, Peer: PeerEvent{
			Change: PeerChange(rapid.IntRange(1, 5).Draw(rt, "change")), Input: rapid.IntRange(-1, 2).Draw(rt, "input"),
			ID: uint32(rapid.IntRange(1, 20).Draw(rt, "id")), Name: rapid.SampledFrom(names).Draw(rt, "name"), Strength: msg.SourceBound, //nolint:gosec // small
		}})
	case 6:
		r.apply(Event{Kind: EventAck, Ack: Ack{Rung: rapid.IntRange(0, 5).Draw(rt, "rung"), OK: rapid.Bool().Draw(rt, "ok")}})
	case 7:
		r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderStop, Category: 2, Zone: geofence.NoZone}})
	case 8:
		r.reset(interlock.RoleSupervisor, interlock.RoleOperator)
	case 9:
		zone := rapid.IntRange(-1, 5).Draw(rt, "zone")
		r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderGrant, Zone: zone, Expires: r.now + time.Minute}})
	case 10:
		r.skew += rapid.Int64Range(-int64(3*time.Second), int64(3*time.Second)).Draw(rt, "skew")
	case 18:
		r.apply(Event{Kind: EventActuator, Actuator: ActuatorReport{
			Actuator: rapid.IntRange(0, 9).Draw(rt, "actuator"), Fault: DeviceFault(rapid.IntRange(0, 7).Draw(rt, "fault")), //nolint:gosec // small
			Running: rapid.Bool().Draw(rt, "running"),
		}})
	case 19:
		r.lines[0] = InputState(rapid.IntRange(0, 5).Draw(rt, "state")) //nolint:gosec // small
		r.off["inputs"] = rapid.Bool().Draw(rt, "silent")
	case 21:
		r.apply(Event{Kind: EventAge, Age: Age{AgeState(rapid.IntRange(0, 4).Draw(rt, "age")), interlock.CauseBehind}}) //nolint:gosec // small
	case 17:
		r.apply(Event{Kind: EventOrder, Order: drawLease(rt, r)})
	case 20:
		r.apply(Event{Kind: EventFact, Fact: Fact{
			Source: rapid.IntRange(-1, MaxFacts).Draw(rt, "source"), Value: rapid.IntRange(-1, 3).Draw(rt, "value"), Peer: 3,
			Strength: msg.Strength(rapid.IntRange(0, 4).Draw(rt, "strength")), //nolint:gosec // small
		}})
	case 15:
		r.apply(drawUnsigned(rt, r))
	case 16:
		r.apply(Event{Kind: EventAttestation, Attestation: Attestation{
			Verdict: Verdict(rapid.IntRange(0, 3).Draw(rt, "verdict")), Tier: TierTPM, Until: r.now + time.Second, //nolint:gosec // small
		}})
	case 11:
		r.apply(Event{Kind: EventLock, Lock: &msg.Bool{Header: r.header("")}})
	case 12:
		r.plant.x, r.plant.y = rapid.Float64Range(0, 12).Draw(rt, "x"), rapid.Float64Range(9, 16).Draw(rt, "y")
	case 13:
		r.command(rapid.IntRange(-1, 4).Draw(rt, "channel"), rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(-1), 1e300}).Draw(rt, "speed"), 0)
	case 14:
		r.apply(Event{Kind: EventDevice, Device: &msg.Device{
			Header: r.header(""), Kind: msg.DeviceKind(rapid.IntRange(0, 4).Draw(rt, "device")), //nolint:gosec // small
			Index: rapid.IntRange(-1, 20).Draw(rt, "index"), Active: rapid.Bool().Draw(rt, "active"), ChargeRatio: rapid.Float64().Draw(rt, "charge"),
		}})
	}
}

// shadow applies every event to a second core, by way of its record, and compares all that comes of it.
type shadow struct {
	core  *Core
	store EventStore
	wire  []byte
	fx    Effects
}

func newShadow(rt *rapid.T, p *Params, state []byte) *shadow {
	core, err := NewCore(p, Start{})
	if err != nil {
		rt.Fatal(err)
	}
	if err := core.RestoreState(state); err != nil {
		rt.Fatal(err)
	}
	if again := core.AppendState(nil); !bytes.Equal(again, state) {
		rt.Fatalf("a restored core writes another state: %s", firstByte(again, state))
	}
	return &shadow{core: core}
}

func firstByte(a, b []byte) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("byte %d of %d and %d", i, len(a), len(b))
		}
	}
	return fmt.Sprintf("lengths %d and %d", len(a), len(b))
}

func (s *shadow) follow(rt *rapid.T, ev *Event, fx *Effects) {
	s.wire = AppendEvent(s.wire[:0], ev)
	copied, err := s.store.Decode(s.wire)
	if err != nil {
		rt.Fatal(err)
	}
	s.core.Apply(copied, &s.fx)
	if s.fx != *fx {
		rt.Fatalf("%s: %+v live, %+v from the snapshot", ev, *fx, s.fx)
	}
}

// TestRestoredCoreGoesOnAlike takes snapshots at random moments of random days, and lets cores that were restored from
// them follow.
func TestRestoredCoreGoesOnAlike(t *testing.T) {
	buses := []*Params{demandPlanner(t), ddsParams(t), zonedParams(t), deviceParams(t), factParams(t, "source-bound")}
	rapid.Check(t, func(rt *rapid.T) {
		p := rapid.SampledFrom(buses).Draw(rt, "bus")
		r := newRig(t, p, Start{Unclean: rapid.Bool().Draw(rt, "unclean")})
		r.plant.x = 4.2
		r.drive = func() (float64, float64) { return 0.3, 0 }
		var shadows []*shadow
		r.each = func(ev *Event, fx *Effects) {
			for _, s := range shadows {
				s.follow(rt, ev, fx)
			}
		}
		for range rapid.IntRange(2, 12).Draw(rt, "rounds") {
			r.run(time.Duration(rapid.IntRange(0, 60).Draw(rt, "steps")) * rigStep)
			if rapid.Bool().Draw(rt, "snapshot") {
				shadows = append(shadows, newShadow(rt, p, r.core.AppendState(nil)))
			}
			disturb(rt, r)
		}
		r.run(200 * time.Millisecond)
		live := r.core.AppendState(nil)
		for _, s := range shadows {
			if got := s.core.AppendState(nil); !bytes.Equal(got, live) {
				rt.Fatalf("the states differ in the end: %s", firstByte(got, live))
			}
			if a, b := s.core.AppendLatches(nil), r.core.AppendLatches(nil); !bytes.Equal(a, b) {
				rt.Fatalf("the latches differ in the end: %s", firstByte(a, b))
			}
		}
	})
}

// TestSnapshotsOfOtherVersionsAreRefused: their fields would be taken for others.
func TestSnapshotsOfOtherVersionsAreRefused(t *testing.T) {
	p := demoParams(t)
	state := newRig(t, p, Start{}).ready().core.AppendState(nil)
	core, err := NewCore(p, Start{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []byte{0, snapshotVersion - 1, snapshotVersion + 1, 255} {
		state[0] = v
		if err := core.RestoreState(state); err == nil || !strings.Contains(err.Error(), "version") {
			t.Errorf("version %d: %v", v, err)
		}
	}
}

// TestDamagedSnapshotsAreRefused cuts and flips.
func TestDamagedSnapshotsAreRefused(t *testing.T) {
	p := demoParams(t)
	state := newRig(t, p, Start{}).ready().core.AppendState(nil)
	core, err := NewCore(p, Start{})
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(state); n += 3 {
		if err := core.RestoreState(state[:n]); err == nil {
			t.Fatalf("a snapshot cut at byte %d of %d was taken", n, len(state))
		}
		if n%21 == 0 {
			flipped := bytes.Clone(state)
			flipped[n] ^= 0x40
			_ = core.RestoreState(flipped) // Whatever it says, it must not panic.
			if n%63 == 0 {
				var fx Effects
				core.Apply(&Event{Kind: EventTick, Boot: time.Hour, Tick: Tick{Trust: 2, Journal: JournalOK}}, &fx)
				_ = core.status()
			}
		}
	}
}

// TestLatchesSurviveARestart ends a run at random moments and starts the next with what was stored last.
func TestLatchesSurviveARestart(t *testing.T) {
	p := demoParams(t)
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, p, Start{})
		r.plant.x = 4.2
		for range rapid.IntRange(1, 6).Draw(rt, "rounds") {
			r.run(time.Duration(rapid.IntRange(1, 80).Draw(rt, "steps")) * rigStep)
			disturb(rt, r)
		}
		was, axes := r.core.decision.LatchedSet, r.core.decision.Axes
		if was.Empty() {
			return
		}
		next := newRig(t, p, Start{Latches: r.latches, Boot: time.Second})
		next.run(50 * time.Millisecond)
		for trigger := range interlock.NumTriggers {
			if was.Has(trigger) && !next.latched(trigger) {
				rt.Fatalf("%s was latched at %s and is not after the restart", trigger, axes)
			}
		}
	})
}
