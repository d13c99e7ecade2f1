package guard

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// corridorZone is an edit that puts a zone across the corridor, from x = 15 m to x = 18 m; the robot stands at x = 12 m.
func corridorZone(tb testing.TB, zoneType, terms string) func(string) string {
	return replaceIn(tb, "\n  # ---- upper floor ----", fmt.Sprintf(`
  - {zone_id: test-zone, zone_type: %s, floor: ground, vertices: [[15, 10], [18, 10], [18, 14], [15, 14]], %sreason: a test}

  # ---- upper floor ----`, zoneType, terms))
}

// zonedParams are those of a site with a zone of each kind that has a memory of its own.
func zonedParams(tb testing.TB) *Params {
	return demoParams(tb, replaceIn(tb, "\n  # ---- upper floor ----", `
  - {zone_id: gate, zone_type: RELEASE, floor: ground, vertices: [[4, 10], [6, 10], [6, 12], [4, 12]], release_loss: CONTINUE, within: 2s, reason: a test}
  - {zone_id: door, zone_type: DOOR, floor: ground, vertices: [[4, 12], [6, 12], [6, 14], [4, 14]], release_loss: EVACUATE, opened_by: [task], max_dwell: 1s, reason: a test}
  - {zone_id: wait, zone_type: DWELL_LIMIT, floor: ground, vertices: [[3, 10], [9, 10], [9, 14], [3, 14]], max_dwell: 500ms, reason: a test}
  - {zone_id: sill, zone_type: NO_STOP, floor: ground, vertices: [[4, 10], [5, 10], [5, 14], [4, 14]], within: 5s, reason: a test}
  - {zone_id: bath, zone_type: PRIVACY, floor: ground, vertices: [[7, 10], [9, 10], [9, 14], [7, 14]], reason: a test}

  # ---- upper floor ----`))
}

// drawLease draws an answer to a request for a zone.
func drawLease(rt *rapid.T, r *rig) Order {
	return Order{
		Kind: OrderLease, Zone: rapid.IntRange(-1, r.params.Set.Zones()).Draw(rt, "zone"),
		Expires: r.now + time.Duration(rapid.IntRange(-1, 3).Draw(rt, "lasts"))*time.Second,
		Lease: LeaseOrder{
			State:       geofence.LeaseState(rapid.IntRange(0, 7).Draw(rt, "state")), //nolint:gosec // small
			MaxSpeedMPS: rapid.SampledFrom([]float64{0, 0.2, 1, math.NaN(), math.Inf(1)}).Draw(rt, "speed"),
			Facts:       geofence.FactSet(rapid.IntRange(0, 9).Draw(rt, "facts")), //nolint:gosec // small
			Once:        rapid.Bool().Draw(rt, "once"),
		},
	}
}

// driving is a rig that drives east at 0.5 m/s with the edits in its policy.
func driving(t *testing.T, edits ...func(string) string) *rig {
	t.Helper()
	r := newRig(t, demoParams(t, edits...), Start{}).ready()
	r.drive = func() (float64, float64) { return 0.5, 0 }
	return r
}

// answer gives the robot an answer for the zone across the corridor, for a minute.
func (r *rig) answer(state geofence.LeaseState, change ...func(*Order)) bool {
	zone, ok := r.params.Set.ZoneIndex("test-zone")
	if !ok {
		r.tb.Fatal("no zone")
	}
	o := Order{
		Kind: OrderLease, Zone: zone, Expires: r.now + time.Minute,
		Lease: LeaseOrder{State: state, MaxSpeedMPS: 0.3, Facts: geofence.FactTask},
	}
	for _, f := range change {
		f(&o)
	}
	r.apply(Event{Kind: EventOrder, Order: o})
	return r.core.OrderResult().Applied
}

func (r *rig) leaseState() string {
	for _, l := range r.core.status().Leases {
		if l.Zone == "test-zone" {
			return l.State
		}
	}
	return ""
}

// TestZonesRestrictTheOtherAxes drives through a zone and back out of it, and loses the pose before it.
func TestZonesRestrictTheOtherAxes(t *testing.T) {
	rest := interlock.Unrestricted()
	rest.Manipulators = interlock.ManipulatorsDisabled
	private := interlock.Unrestricted()
	private.Perception, private.Remote = interlock.PerceptionPrivate, interlock.RemoteBlocked
	for zoneType, c := range map[string]struct {
		terms   string
		want    interlock.Axes
		trigger interlock.Trigger
	}{
		"NO_MANIPULATION": {"", rest, interlock.ZoneNoManipulation},
		"PRIVACY":         {"", private, interlock.ZonePrivacy},
		"NO_STOP":         {"within: 5s, ", interlock.Unrestricted(), interlock.NumTriggers}, // off
	} {
		t.Run(zoneType, func(t *testing.T) {
			r := driving(t, corridorZone(t, zoneType, c.terms))
			others := func() interlock.Axes {
				a := r.core.decision.Axes
				a.Motion, a.MaxSpeedMPS = interlock.MotionFree, math.Inf(1)
				return a
			}
			check := func(when string, want interlock.Axes) {
				t.Helper()
				if got := others(); got != want {
					t.Errorf("%s: %v, expected %v; %s", when, got, want, r.state())
				}
			}
			r.run(time.Second)
			check("before it", interlock.Unrestricted())
			r.off["pose"] = true
			r.until("holds", 2*time.Second, func() bool { return r.motion() == interlock.MotionHold })
			unknown := c.want
			unknown.Manipulators = min(unknown.Manipulators, interlock.ManipulatorsHold)
			check("without a pose", unknown)
			r.off["pose"] = false
			r.drive = func() (float64, float64) { return 0, 0 }
			r.run(4 * time.Second)
			r.drive = func() (float64, float64) { return 0.5, 0 }
			check("found again", interlock.Unrestricted())
			r.until("is in it", 20*time.Second, func() bool { return r.plant.x > 15.5 })
			check("in it", c.want)
			if c.trigger != interlock.NumTriggers && !r.active(c.trigger) {
				t.Errorf("%v is not active: %s", c.trigger, r.state())
			}
			r.until("has left it", 20*time.Second, func() bool { return r.plant.x > 21 })
			r.run(3 * time.Second)
			check("behind it", interlock.Unrestricted())
		})
	}
}

func TestStayingTooLong(t *testing.T) {
	for name, c := range map[string]struct {
		zoneType, terms string
		trigger         interlock.Trigger
		lost            bool // the pose
	}{
		"in a zone":                 {"DWELL_LIMIT", "max_dwell: 5s, ", interlock.ZoneDwell, false},
		"in a door":                 {"DOOR", "max_dwell: 5s, opened_by: [task], ", interlock.ZoneDoorHeld, false},
		"in a zone, without a pose": {"DWELL_LIMIT", "max_dwell: 5s, ", interlock.ZoneDwell, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := driving(t, corridorZone(t, c.zoneType, c.terms))
			r.answer(geofence.Granted)
			r.until("is in it", 30*time.Second, func() bool { return r.plant.x > 15.2 })
			r.drive = func() (float64, float64) { return 0, 0 }
			r.off["pose"] = c.lost
			r.until("is told", 5*time.Second, func() bool { return r.active(c.trigger) })
			r.off["pose"] = false
			r.run(4 * time.Second)
			r.drive = func() (float64, float64) { return 0.5, 0 }
			r.until("has left it", 30*time.Second, func() bool { return r.plant.x > 21 })
			r.run(5 * time.Second)
			if r.active(c.trigger) {
				t.Errorf("has left: %s", r.state())
			}
		})
	}
}

// TestAZoneOpensByALease: closed, opened at the lease's speed, and closed again.
func TestAZoneOpensByALease(t *testing.T) {
	for name, c := range map[string]struct {
		zoneType, terms string
		change          func(*Order)
		opens           bool
	}{
		"a lease":                        {"RELEASE", "", func(*Order) {}, true},
		"a lease for the door":           {"DOOR", "max_dwell: 1m, opened_by: [badge, task], ", func(*Order) {}, true},
		"no lease (off)":                 {"RELEASE", "", func(o *Order) { o.Lease.State = geofence.Queued }, false},
		"rejected":                       {"RELEASE", "", func(o *Order) { o.Lease.State = geofence.Rejected }, false},
		"an old lease":                   {"RELEASE", "", func(o *Order) { o.Expires = time.Second }, false},
		"another fact":                   {"DOOR", "max_dwell: 1m, opened_by: [badge], ", func(*Order) {}, false},
		"another zone":                   {"RELEASE", "", func(o *Order) { o.Zone-- }, false},
		"no zone":                        {"RELEASE", "", func(o *Order) { o.Zone = -1 }, false},
		"a lease for what does not open": {"BLOCKED", "", func(*Order) {}, false},
		"a lease without a speed":        {"RELEASE", "", func(o *Order) { o.Lease.MaxSpeedMPS = math.NaN() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := driving(t, corridorZone(t, c.zoneType, c.terms))
			r.run(10 * time.Second)
			if r.plant.v != 0 || r.plant.x > 15 {
				t.Fatalf("does not wait before it: %+v, %s", r.plant, r.state())
			}
			if leased := c.zoneType != "BLOCKED"; (r.leaseState() == "REQUESTED") != leased {
				t.Errorf("lease %q while it waits", r.leaseState())
			}
			r.answer(geofence.Granted, c.change)
			fastest := 0.0
			r.each = func(*Event, *Effects) {
				if r.plant.x > 15 && r.plant.x < 18 {
					fastest = max(fastest, r.plant.v)
				}
			}
			r.run(15 * time.Second)
			if in := r.plant.x > 15; in != c.opens {
				t.Errorf("x = %v m, opens: %t; %s", r.plant.x, c.opens, r.state())
			}
			if fastest > 0.3+0.01 {
				t.Errorf("%v m/s in the zone, the lease allows 0.3", fastest)
			}
		})
	}
}

// TestALeaseIsLostInside: what the zone says happens, and nothing looser.
func TestALeaseIsLostInside(t *testing.T) {
	lose := map[string]func(*rig){
		"revoked":  func(r *rig) { r.answer(geofence.Revoked) },
		"rejected": func(r *rig) { r.answer(geofence.Rejected) },
		"expired":  func(r *rig) { r.answer(geofence.Granted, func(o *Order) { o.Expires = r.now + 20*time.Millisecond }) },
	}
	for name, c := range map[string]struct {
		terms            string
		holds            bool
		forward, back    bool
		trigger, instead interlock.Trigger
	}{
		"STOP":     {"", true, false, false, interlock.ZoneInside, interlock.ZoneLeaseLost},
		"CONTINUE": {"release_loss: CONTINUE, within: 60s, ", false, true, true, interlock.ZoneLeaseLost, interlock.ZoneInside},
		"EVACUATE": {"release_loss: EVACUATE, ", false, false, true, interlock.ZoneLeaseLost, interlock.ZoneInside},
	} {
		for how, end := range lose {
			t.Run(name+" "+how, func(t *testing.T) {
				r := driving(t, corridorZone(t, "RELEASE", c.terms))
				r.answer(geofence.Granted)
				r.until("is in it", 30*time.Second, func() bool { return r.plant.x > 15.2 })
				r.drive = func() (float64, float64) { return 0, 0 }
				r.run(3 * time.Second)
				end(r)
				r.run(time.Second)
				if r.active(c.trigger) == r.active(c.instead) || !r.active(c.trigger) || (r.motion() == interlock.MotionHold) != c.holds {
					t.Errorf("%v expected; %s", c.trigger, r.state())
				}
				if got := r.leaseState(); got != "REVOKED" && got != "EXPIRED" {
					t.Errorf("lease %q", got)
				}
				for _, way := range []struct {
					v     float64
					moves bool
				}{{0.5, c.forward}, {-0.5, c.back}} {
					r.drive = func() (float64, float64) { return 0, 0 }
					r.run(2 * time.Second)
					from := r.plant.x
					r.drive = func() (float64, float64) { return way.v, 0 }
					r.run(2 * time.Second)
					if moved := r.plant.x - from; math.Abs(moved) > 0.03 != way.moves || math.Abs(r.plant.v) > r.params.CreepMPS+0.01 {
						t.Errorf("told %v m/s: moved %v m at %v m/s, want it to move at creep speed: %t; %s", way.v, moved, r.plant.v, way.moves, r.state())
					}
				}
			})
		}
	}
}

// TestContinueEnds: going on without a lease is bounded in time.
func TestContinueEnds(t *testing.T) {
	r := driving(t, corridorZone(t, "RELEASE", "release_loss: CONTINUE, within: 4s, "))
	r.answer(geofence.Granted)
	r.until("is in it", 30*time.Second, func() bool { return r.plant.x > 15.2 })
	r.answer(geofence.Revoked)
	from := r.plant.x
	r.until("holds", 5*time.Second, func() bool { return r.motion() == interlock.MotionHold })
	if !r.latched(interlock.ZoneInside) || r.plant.x-from > 5*0.3 || r.plant.x-from < 0.1 {
		t.Errorf("went on for %v m; %s", r.plant.x-from, r.state())
	}
}

func TestALeaseForOneVisit(t *testing.T) {
	for name, once := range map[string]bool{"once": true, "again and again (off)": false} {
		t.Run(name, func(t *testing.T) {
			r := driving(t, corridorZone(t, "RELEASE", ""))
			r.answer(geofence.Granted, func(o *Order) { o.Lease.Once, o.Expires = once, r.now+5*time.Minute })
			r.until("has left it", time.Minute, func() bool { return r.plant.x > 19.5 })
			r.run(5 * time.Second)
			if ended := r.leaseState() == "EXPIRED"; ended != once {
				t.Errorf("lease %q after one visit", r.leaseState())
			}
		})
	}
}

// TestLeasesAreBounded: more answers than there is room for change nothing, and those that say nothing make room.
func TestLeasesAreBounded(t *testing.T) {
	var zones strings.Builder
	for i := range MaxSignedLeases + 4 {
		fmt.Fprintf(&zones, "  - {zone_id: gate-%d, zone_type: RELEASE, floor: ground, vertices: [[%d, 11], [%d.5, 11], [%d.5, 12], [%d, 12]], reason: a test}\n", i, 16+i, 16+i, 16+i, 16+i)
	}
	r := newRig(t, demoParams(t, replaceIn(t, "\n  # ---- upper floor ----", "\n"+zones.String()+"\n  # ---- upper floor ----")), Start{}).ready()
	give := func(i int, state geofence.LeaseState) bool {
		zone, _ := r.params.Set.ZoneIndex(fmt.Sprintf("gate-%d", i))
		r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderLease, Zone: zone, Expires: r.now + time.Minute, Lease: LeaseOrder{State: state, MaxSpeedMPS: 0.3}}})
		return r.core.OrderResult().Applied
	}
	for i := range MaxSignedLeases + 2 {
		if got, want := give(i, geofence.Granted), i < MaxSignedLeases; got != want {
			t.Errorf("lease %d: applied %t", i, got)
		}
	}
	give(3, geofence.Revoked)
	if !give(MaxSignedLeases, geofence.Granted) || give(geofence.MaxLeases+1, geofence.Granted) {
		t.Error("the place of a revoked lease is not given to the next one, and to that alone")
	}
}

// TestAHoldInANoStopZone: the robot creeps out, and holds there.
func TestAHoldInANoStopZone(t *testing.T) {
	for name, c := range map[string]struct {
		zoneType, terms string
		cause           func(*rig)
		leaves          bool
	}{
		"joints lost":          {"NO_STOP", "within: 60s, ", func(r *rig) { r.off["joints"] = true }, true},
		"joints lost, no time": {"NO_STOP", "within: 1s, ", func(r *rig) { r.off["joints"] = true }, false},
		"pose lost":            {"NO_STOP", "within: 60s, ", func(r *rig) { r.off["pose"] = true }, false},
		"a stop":               {"NO_STOP", "within: 60s, ", func(r *rig) { r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderStop, Category: 2}}) }, false},
		"another kind (off)":   {"NO_MANIPULATION", "", func(r *rig) { r.off["joints"] = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := driving(t, corridorZone(t, c.zoneType, c.terms))
			r.until("is in it", 30*time.Second, func() bool { return r.plant.x > 16.6 })
			c.cause(r)
			from := r.plant.x
			fastest, crept := 0.0, 0
			r.each = func(*Event, *Effects) {
				if r.core.decision.Refuge {
					crept++
				}
				if r.now > rigStart && crept > 2000 {
					fastest = max(fastest, r.plant.v)
				}
			}
			r.run(40 * time.Second)
			if left := r.plant.x > 18; left != c.leaves || r.motion() > interlock.MotionHold {
				t.Errorf("from x = %v m to %v m, want it to leave: %t and hold; crept %d; %s", from, r.plant.x, c.leaves, crept, r.state())
			}
			if fastest > r.params.CreepMPS+0.01 {
				t.Errorf("%v m/s", fastest)
			}
		})
	}
}

// TestLeasesSurviveALoad: a policy with the same zone keeps the lease, and one without it ends it.
func TestLeasesSurviveALoad(t *testing.T) {
	edit := corridorZone(t, "RELEASE", "")
	first := replaceIn(t, "  # ---- ground floor ----", "  - {zone_id: early, zone_type: RELEASE, floor: ground, vertices: [[30, 11], [31, 11], [31, 12], [30, 12]], reason: a test}\n  # ---- ground floor ----")
	r := driving(t, edit)
	r.answer(geofence.Granted, func(o *Order) { o.Expires = r.now + 10*time.Minute })
	r.until("is in it", 30*time.Second, func() bool { return r.plant.x > 16.2 })
	next := demoParams(t, first, edit) // every zone's number is another one now
	if err := r.core.Load(next); err != nil {
		t.Fatal(err)
	}
	r.params = next
	r.run(2 * time.Second)
	if r.active(interlock.ZoneInside) || r.leaseState() != "GRANTED" {
		t.Fatalf("lease %q after the load; %s", r.leaseState(), r.state())
	}
	r.drive = func() (float64, float64) { return 0, 0 }
	r.until("lets go of the old policy", 10*time.Second, func() bool { return r.core.pending == nil })
	if err := r.core.Load(demoParams(t)); err != nil {
		t.Fatal(err)
	}
	if got := len(r.core.status().Leases); got != 0 {
		t.Errorf("%d leases for zones that the policy does not have", got)
	}
}

// TestAZoneForRobotsThatAreNotAttested opens with a verifier's yes and closes with everything that ends it.
func TestAZoneForRobotsThatAreNotAttested(t *testing.T) {
	accept := func(r *rig) {
		r.apply(Event{Kind: EventAttestation, Attestation: Attestation{Verdict: VerdictAccepted, Tier: TierTPM, Until: r.now + 20*time.Second}})
	}
	for name, end := range map[string]func(*rig){
		"refused": func(r *rig) {
			r.apply(Event{Kind: EventAttestation, Attestation: Attestation{Verdict: VerdictRefused}})
		},
		"claimed failed": func(r *rig) {
			r.apply(Event{Kind: EventSession, Session: Session{State: SessionFailed, Until: r.now + time.Minute}})
		},
		"expired": func(r *rig) { r.run(20 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			r := driving(t, corridorZone(t, "SPEED_LIMIT", "max_speed_mps: 0.2, unless_attested: true, "))
			limited := func() bool {
				for _, z := range r.core.verdict.Near[:r.core.verdict.N] {
					if r.params.Set.Zone(z.Zone).ID == "test-zone" {
						return true
					}
				}
				return false
			}
			r.plant.x = 14
			r.core.fence = geofence.New(r.params.Set) // the robot was carried: no jump
			r.drive = nil
			r.run(5 * time.Second)
			if !limited() {
				t.Error("never attested, and the zone does not bind")
			}
			accept(r)
			r.run(time.Second)
			if limited() {
				t.Error("attested, and the zone binds")
			}
			end(r)
			r.run(time.Second)
			if !limited() {
				t.Error("not attested any more, and the zone does not bind")
			}
		})
	}
}
