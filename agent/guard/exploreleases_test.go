package guard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/geofence"
)

// Answers to requests for RELEASE zones, and grants to leave one, are explored as sessions are: every order at every place in
// every state, breadth first, until there is no new state. It is the core's and the geofence's own code that runs; the rules
// have a memory of their own. All but a few places for answers are taken, so that whoever floods the robot with them is explored.

const leaseQuantum = 100 * time.Millisecond

// leaseZones are the zones that the robot can be in, by where it stands then, nearer to the edge behind it; it can also stand
// before the first, heading for it.
var leaseZones = [...]struct {
	id string
	x  float64
}{{"test-zone", 15.3}, {"other-zone", 21.3}}

const (
	beforeZones = -1
	noLeaseZone = -1
)

// leaseMemory is an answer, by for how many quanta it lasts.
type leaseMemory struct {
	zone          int // in leaseZones
	state         geofence.LeaseState
	left          int
	once, entered bool
}

// leaseRunState is what a state consists of: what the core holds in the places that are not taken, and the rules' memory of it.
type leaseRunState struct {
	slots [2]leaseMemory
	want  [len(leaseZones)]leaseMemory // NoLease for a zone that nobody answered, or whose answer may be forgotten
	at    int
	// leave is the zone that may be left, and for how long.
	leave, leaveLeft int
}

type leaseRun struct {
	r      *rig
	c      *Core
	places int // that are not taken
	zones  [len(leaseZones)]int
	before float64 // where the robot stands before the first zone
	in     geofence.Inputs
	s      leaseRunState
	wrong  struct{ ageless, reopened, again, displaced, swapped, unbound bool }
}

func newLeaseRun(t *testing.T, places int) *leaseRun {
	t.Helper()
	var others strings.Builder
	for i := range MaxSignedLeases {
		fmt.Fprintf(&others, "  - {zone_id: taken-%d, zone_type: RELEASE, floor: ground, vertices: [[%d, 11], [%d.5, 11], [%d.5, 12], [%d, 12]], reason: a test}\n", i, 60+i, 60+i, 60+i, 60+i)
	}
	r := newRig(t, demoParams(t, corridorZone(t, "RELEASE", ""), replaceIn(t, "\n  # ---- upper floor ----", `
  - {zone_id: other-zone, zone_type: RELEASE, floor: ground, vertices: [[21, 10], [24, 10], [24, 14], [21, 14]], reason: a test}
`+others.String()+`
  # ---- upper floor ----`)), Start{}).ready()
	run := &leaseRun{r: r, c: r.core, places: places, in: r.core.fenceInputs()}
	run.in.Pose.StampNS, run.in.Pose.VarX, run.in.Pose.VarY = r.core.now.Civil.UnixNano(), 1e-6, 1e-6
	run.in.Velocity.Velocity, run.in.Motion = geofence.Velocity{}, geofence.Motion{}
	for i, z := range leaseZones {
		n, ok := r.params.Set.ZoneIndex(z.id)
		if !ok {
			t.Fatalf("no zone %q", z.id)
		}
		run.zones[i] = n
	}
	// As near to the first zone as it may come.
	for run.before = 13; ; run.before += 0.01 {
		if run.look(run.before + 0.01); run.c.fence.Place(run.zones[0]) != geofence.Outside {
			break
		}
	}
	run.s = leaseRunState{at: beforeZones, leave: noLeaseZone}
	return run
}

// look lets a fence without a past see the robot at x, under what the core holds.
func (r *leaseRun) look(x float64) {
	c := r.c
	c.fence = geofence.New(c.params.Set)
	in := r.in
	now := c.fenceInputs()
	in.Leases, in.Egress = now.Leases, now.Egress
	if r.wrong.swapped {
		for i := range in.Leases {
			if l := &in.Leases[i]; l.State != geofence.NoLease && l.Zone == r.zones[0] {
				l.Zone = r.zones[1]
			}
		}
	}
	if r.wrong.unbound && in.Egress.Active && r.s.at >= 0 {
		in.Egress.Zone = r.zones[r.s.at]
	}
	in.Pose.X, in.Pose.Y, in.Pose.QZ, in.Pose.QW = x, 12, 0, 1
	in.Pose.Boot, in.Velocity.Boot, in.Pose.StampNS = c.now.Boot, c.now.Boot, c.now.Civil.UnixNano()
	c.fence.Step(c.now, &in, &c.verdict)
}

// put brings the core into a state.
func (r *leaseRun) put(s leaseRunState) {
	r.s = s
	now := r.c.now.Boot
	for i := range r.c.leases {
		slot := leaseSlot{}
		switch {
		case i >= r.places: // as if given for an hour, for a zone that is far
			zone, _ := r.c.params.Set.ZoneIndex(fmt.Sprintf("taken-%d", i))
			slot.Lease = geofence.Lease{State: geofence.Granted, Zone: zone, Until: now + time.Hour, MaxSpeedMPS: 0.3}
		case s.slots[i].state != geofence.NoLease:
			m := &s.slots[i]
			slot = leaseSlot{
				Lease: geofence.Lease{State: m.state, Zone: r.zones[m.zone], Until: now + time.Duration(m.left)*leaseQuantum, MaxSpeedMPS: 0.3},
				once:  m.once, entered: m.entered,
			}
		}
		r.c.leases[i] = slot
	}
	r.c.grant = grant{zone: geofence.NoZone}
	if s.leave != noLeaseZone {
		r.c.grant = grant{zone: r.zones[s.leave], expires: now + time.Duration(s.leaveLeft)*leaseQuantum}
	}
	r.stand(s.at)
}

// stand puts the robot somewhere: before the zones, or in one of them.
func (r *leaseRun) stand(at int) {
	r.s.at = at
	x := r.before
	if at >= 0 {
		x = leaseZones[at].x
	}
	r.look(x)
}

// forgettable says whether an answer may be forgotten for another: it says no more than none would.
func (r *leaseRun) forgettable(w *leaseMemory) bool {
	return w.state != geofence.NoLease && (w.state != geofence.Granted || w.left <= 0) && r.s.at != w.zone
}

// answer gives an answer and holds what becomes of it against the rules.
func (r *leaseRun) answer(zone int, state geofence.LeaseState, lasts int, once bool) error {
	w := &r.s.want[zone]
	kept, free := r.places, false
	for i := range r.s.want {
		if o := &r.s.want[i]; o.state != geofence.NoLease {
			kept--
			free = free || i != zone && r.forgettable(o)
		}
	}
	want := w.state != geofence.NoLease || kept > 0 || free
	if state == geofence.Granted && lasts <= 0 {
		want = false
	}
	if r.wrong.reopened && r.slotOf(zone) != nil {
		*r.slotOf(zone) = leaseSlot{}
	}
	if r.wrong.displaced && !want {
		r.c.leases[0] = leaseSlot{}
	}
	o := Order{
		Kind: OrderLease, Zone: r.zones[zone], Expires: r.c.now.Boot + time.Duration(lasts)*leaseQuantum,
		Lease: LeaseOrder{State: state, MaxSpeedMPS: 0.3, Once: once},
	}
	if got := r.c.takeLease(r.c.now.Boot, &o); got != want {
		return fmt.Errorf("%v for %s: taken %t, expected %t", state, leaseZones[zone].id, got, want)
	}
	// What had to make room is gone, and must have said no more than nothing.
	for i := range r.s.want {
		if other := &r.s.want[i]; i != zone && other.state != geofence.NoLease && r.slotOf(i) == nil {
			if !r.forgettable(other) {
				return fmt.Errorf("an answer for %s made another for %s be forgotten: %+v", leaseZones[zone].id, leaseZones[i].id, *other)
			}
			*other = leaseMemory{}
		}
	}
	switch {
	case !want:
	case state == geofence.Granted:
		*w = leaseMemory{zone: zone, state: state, left: lasts, once: once}
	case w.state == geofence.Granted:
		w.state, w.left = geofence.Revoked, min(w.left, 0)
	case w.state == geofence.Revoked, w.state == geofence.Expired: // lost is lost
	default:
		*w = leaseMemory{zone: zone, state: state, once: once}
	}
	return nil
}

func (r *leaseRun) slotOf(zone int) *leaseSlot {
	for i := range r.c.leases {
		if s := &r.c.leases[i]; s.State != geofence.NoLease && s.Zone == r.zones[zone] {
			return s
		}
	}
	return nil
}

// step does what the core does around each event, and holds the outcome against the rules.
func (r *leaseRun) step(passed int, act func() error) (leaseRunState, error) {
	c := r.c
	c.now.Boot += time.Duration(passed) * leaseQuantum
	c.now.Civil = c.now.Civil.Add(time.Duration(passed) * leaseQuantum)
	for i := range r.s.want {
		r.s.want[i].left -= passed
	}
	r.s.leaveLeft -= passed
	if r.wrong.ageless {
		for i := range c.leases {
			c.leases[i].Until += time.Duration(passed) * leaseQuantum
		}
	}
	if err := act(); err != nil {
		return r.s, err
	}
	r.stand(r.s.at)
	if err := r.moves(); err != nil {
		return r.s, err
	}
	c.moveLeases(c.now.Boot)
	for i := range r.s.want {
		w := &r.s.want[i]
		w.entered = w.entered || w.state == geofence.Granted && w.left > 0 && r.s.at == i
		if w.state == geofence.Granted && (w.left <= 0 || w.once && w.entered && r.s.at != i && !r.wrong.again) {
			w.state = geofence.Expired
		}
		if w.left = max(w.left, 0); w.state != geofence.Granted {
			w.left = 0
		}
	}
	return r.s, r.compare()
}

// moves asks the geofence what the robot may do where it stands: drive on where a lease is in force, creep out where it may
// leave, and come no closer else.
func (r *leaseRun) moves() error {
	on, out := r.c.fence.Limit(r.c.now, geofence.Velocity{VX: 0.25}), r.c.fence.Limit(r.c.now, geofence.Velocity{VX: -0.05})
	if r.s.at < 0 {
		if on.AllowedMPS > 0.2 && (r.s.want[0].state != geofence.Granted || r.s.want[0].left <= 0) {
			return fmt.Errorf("before a zone without a lease it drives at %v m/s", on.AllowedMPS)
		}
		return nil
	}
	w := &r.s.want[r.s.at]
	granted := w.state == geofence.Granted && w.left > 0
	leaves := r.s.leave == r.s.at && r.s.leaveLeft > 0
	if (on.Ratio > 0) != granted || (out.Ratio > 0) != (granted || leaves) {
		return fmt.Errorf("in a zone, lease in force %t, may leave %t: on %+v, out %+v", granted, leaves, on, out)
	}
	return nil
}

// compare holds what the core keeps against the rules' memory, and reads it back from a snapshot.
func (r *leaseRun) compare() error {
	c := r.c
	e := encoder{}
	e.leases(&c.leases)
	d := decoder{b: e.b}
	var back [MaxSignedLeases]leaseSlot
	if d.leases(&back, c.params.Set.Zones()); d.err != nil {
		return fmt.Errorf("a snapshot of the leases: %w", d.err)
	}
	if back != c.leases {
		return fmt.Errorf("a snapshot holds other leases: %v", back)
	}
	for i := range r.s.want {
		w, s := &r.s.want[i], r.slotOf(i)
		got := leaseMemory{}
		if s != nil {
			got = leaseMemory{zone: i, state: s.State, once: s.once, entered: s.entered}
			if s.State == geofence.Granted {
				got.left = int((s.Until - c.now.Boot) / leaseQuantum)
			}
		}
		if w.state == geofence.NoLease {
			*w = leaseMemory{}
		}
		if got != *w {
			return fmt.Errorf("%s: it holds %+v, expected %+v", leaseZones[i].id, got, *w)
		}
	}
	r.s.slots = [2]leaseMemory{}
	for i := range r.places {
		for k := range r.s.want {
			if s := &c.leases[i]; s.State != geofence.NoLease && s.Zone == r.zones[k] {
				r.s.slots[i] = r.s.want[k]
			}
		}
	}
	if r.s.leaveLeft <= 0 {
		r.s.leave, r.s.leaveLeft = noLeaseZone, 0
	}
	return nil
}

type leaseEvent struct {
	name   string
	passed int
	act    func() error
}

func (r *leaseRun) events() []leaseEvent {
	events := []leaseEvent{{"a quantum passes", 1, func() error { return nil }}}
	add := func(act func() error, name string, args ...any) {
		events = append(events, leaseEvent{fmt.Sprintf(name, args...), 0, act})
	}
	for at := beforeZones; at < len(leaseZones); at++ {
		add(func() error { r.stand(at); return nil }, "goes to %d", at)
	}
	for zone, z := range leaseZones {
		for _, lasts := range []int{0, 2} {
			add(func() error { return r.answer(zone, geofence.Granted, lasts, false) }, "granted %s for %d", z.id, lasts)
		}
		add(func() error { return r.answer(zone, geofence.Granted, 1, true) }, "granted %s once", z.id)
		for _, no := range []geofence.LeaseState{geofence.Queued, geofence.Rejected, geofence.Revoked} {
			add(func() error { return r.answer(zone, no, 1, false) }, "%s %v", z.id, no)
		}
		add(func() error {
			r.c.obey(&Event{Boot: r.c.now.Boot, Order: Order{Kind: OrderGrant, Zone: r.zones[zone], Expires: r.c.now.Boot + leaseQuantum}})
			r.s.leave, r.s.leaveLeft = zone, 1
			return nil
		}, "may leave %s", z.id)
	}
	return events
}

func (r *leaseRun) explore() (states, transitions int, err error) {
	events := r.events()
	known, rest, transitions, err := explore(r.s, 50_000, len(events), func(from leaseRunState, i int) (leaseRunState, error) {
		r.put(from)
		return r.step(events[i].passed, events[i].act)
	}, func(i int) string { return events[i].name })
	if err != nil {
		return len(known), transitions, err
	}
	for s := range known {
		for range 3 {
			s = rest[s]
		}
		for _, w := range s.want {
			if w.state == geofence.Granted || s.leave != noLeaseZone || rest[s] != s {
				return len(known), transitions, fmt.Errorf("by time alone %+v does not come to rest without a lease", s)
			}
		}
	}
	return len(known), transitions, nil
}

func exploreLeases(t *testing.T, places int) {
	t.Helper()
	states, transitions, err := newLeaseRun(t, places).explore()
	t.Logf("leases in %d places: %d states, %d transitions, fixpoint %v", places, states, transitions, err == nil)
	if err != nil {
		t.Error(err)
	}
}

// TestExploreLeases has one place for the answers for two zones.
func TestExploreLeases(t *testing.T) { exploreLeases(t, 1) }

// TestExplorationFindsWrongLeases is its off run.
func TestExplorationFindsWrongLeases(t *testing.T) {
	for name, wrong := range map[string]func(r *leaseRun){
		"a lease does not end":             func(r *leaseRun) { r.wrong.ageless = true },
		"what was lost is answered anew":   func(r *leaseRun) { r.wrong.reopened = true },
		"a single visit may be repeated":   func(r *leaseRun) { r.wrong.again = true },
		"a flood displaces what is in use": func(r *leaseRun) { r.wrong.displaced = true },
		"a lease opens another zone":       func(r *leaseRun) { r.wrong.swapped = true },
		"a grant lets out of every zone":   func(r *leaseRun) { r.wrong.unbound = true },
	} {
		r := newLeaseRun(t, 1)
		wrong(r)
		if _, _, err := r.explore(); err == nil {
			t.Errorf("%s: nothing was found", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}
