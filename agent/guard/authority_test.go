package guard

import (
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

const operatorStated = "{channel: operator, authenticity: none, strength: claimed, reason: the demonstration's desk is simulated in this process}"

// operatorChannel is the number of the demonstration's remote channel.
const operatorChannel = 1

func remoteRig(tb testing.TB) *rig {
	tb.Helper()
	p := demoParams(tb, replaceIn(tb, operatorStated, "{channel: operator, authenticity: none, strength: claimed, session: required, reason: the desk's link is a wire}"))
	r := newRig(tb, p, Start{})
	r.publishers["/operator/cmd_vel"] = []string{"/operator_console"}
	r.ready()
	return r
}

func (r *rig) session(id uint64, level SessionLevel, lasts time.Duration) SessionOutcome {
	r.apply(Event{Kind: EventOrder, Order: Order{
		Kind: OrderSession, Zone: geofence.NoZone, ID: id, Expires: r.now + lasts,
		Session: SessionOrder{Channel: operatorChannel, Level: level, Who: "Olga", Role: "operator", From: "control room"},
	}})
	return r.core.OrderResult().Session
}

// driven runs while the operator commands, and says whether the robot follows.
func (r *rig) driven(d time.Duration) bool {
	for end := r.now + d; r.now < end; {
		r.step()
		if r.stepCount%10 == 0 {
			r.command(operatorChannel, 0.3, 0)
		}
	}
	return r.plant.v > 0.2
}

func TestRemoteControlNeedsASession(t *testing.T) {
	r := remoteRig(t)
	if r.driven(3*time.Second) || r.core.gate.Counts()[interlock.GateNoSession] == 0 {
		t.Fatalf("the robot is driven without a session: %.2f m/s", r.plant.v)
	}
	if got := r.session(1, SessionView, time.Minute); got != SessionOpened || r.driven(3*time.Second) {
		t.Fatalf("the robot is driven by who may look: %v, %.2f m/s", got, r.plant.v)
	}
	if got := r.session(2, SessionControl, time.Minute); got != SessionBusy {
		t.Errorf("a second session for the channel: %v", got)
	}
	if got := r.session(3, SessionNone, 0); got != SessionEnded {
		t.Errorf("the end of a session: %v", got)
	}
	if got := r.session(2, SessionControl, 20*time.Second); got != SessionOpened || !r.driven(3*time.Second) {
		t.Fatalf("a session of control does not let the robot be driven: %v, %.2f m/s", got, r.plant.v)
	}
	_, s := r.core.authorityStatus()
	if len(s) != 1 || s[0].Channel != "operator" || s[0].Level != "control" || s[0].Who != "Olga" || s[0].From != "control room" || s[0].LeftS < 16 || s[0].SinceS < 2.9 {
		t.Errorf("status: %+v", s)
	}
}

// TestSessionsEnd by each way at once, in the middle of driving: the command that passes is withdrawn with it.
func TestSessionsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(r *rig)
		want AuthorityChange
	}{
		"its time is over": {func(r *rig) {
			r.until("over", 10*time.Second, func() bool { return r.core.authority.sessions[operatorChannel].ID == 0 })
		}, AuthorityExpires},
		"revoked": {func(r *rig) { r.session(9, SessionNone, 0) }, AuthorityRevoked},
		"a stop": {func(r *rig) {
			r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderStop, Category: 2, Zone: geofence.NoZone}})
		}, AuthorityStopped},
	} {
		t.Run(name, func(t *testing.T) {
			r := remoteRig(t)
			var seen []Authority
			r.each = func(*Event, *Effects) { seen = append(seen, r.core.Authority()...) }
			r.session(1, SessionControl, 6*time.Second)
			if !r.driven(3 * time.Second) {
				t.Fatalf("not driven: %s", r.state())
			}
			r.command(operatorChannel, 0.3, 0)
			c.end(r)
			if r.last.v != 0 {
				t.Errorf("the last command out is %.2f m/s", r.last.v)
			}
			want := []Authority{
				{Change: AuthorityBegins, Session: true, Channel: operatorChannel, Level: SessionControl, ID: 1},
				{Change: c.want, Session: true, Channel: operatorChannel, Level: SessionControl, ID: 1},
			}
			if len(seen) != 2 || seen[0] != want[0] || seen[1] != want[1] {
				t.Errorf("the journal has %+v, expected %+v", seen, want)
			}
			if r.driven(2 * time.Second) {
				t.Error("driven after its end")
			}
			if _, s := r.core.authorityStatus(); len(s) != 0 {
				t.Errorf("status: %+v", s)
			}
		})
	}
}

func TestSessionsThatCannotBe(t *testing.T) {
	r := remoteRig(t)
	ask := func(channel int, id uint64, lasts time.Duration) SessionOutcome {
		r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderSession, Zone: geofence.NoZone, ID: id, Expires: r.now + lasts, Session: SessionOrder{Channel: channel, Level: SessionControl}}})
		return r.core.OrderResult().Session
	}
	for name, c := range map[string]struct{ got, want SessionOutcome }{
		"an autonomy channel": {ask(0, 1, time.Minute), SessionLocal},
		"no such channel":     {ask(40, 1, time.Minute), SessionLocal},
		"a negative one":      {ask(-1, 1, time.Minute), SessionLocal},
		"over already":        {ask(operatorChannel, 1, 0), SessionOver},
		"without an id":       {ask(operatorChannel, 0, time.Minute), SessionOver},
		"nothing to end":      {r.session(1, SessionNone, 0), SessionNotOpen},
	} {
		if c.got != c.want {
			t.Errorf("%s: found %v, expected %v", name, c.got, c.want)
		}
	}
	r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderStop, Category: 2, Zone: geofence.NoZone}})
	if got := ask(operatorChannel, 1, time.Minute); got != SessionStopped {
		t.Errorf("while stopped: %v", got)
	}
}

// TestBlockedCountsInsideASession: an axis that blocks remote control is not opened by a session.
func TestBlockedCountsInsideASession(t *testing.T) {
	r := remoteRig(t)
	r.session(1, SessionControl, time.Hour)
	r.apply(Event{Kind: EventAttestation, Attestation: Attestation{Verdict: VerdictAccepted, Tier: TierTPM, Until: r.now}})
	if r.driven(2 * time.Second); r.core.decision.Axes.Remote == interlock.RemoteFree {
		t.Fatalf("an attestation that ran out does not restrict remote control: %s", r.state())
	}
	if r.plant.v > 0.05 || r.core.gate.Counts()[interlock.GateRemote] == 0 {
		t.Errorf("driven at %.2f m/s under %v", r.plant.v, r.core.decision.Axes.Remote)
	}
}

// TestBootEndsEverything: a guard that starts has neither sessions nor overrides, whatever was in force before.
func TestBootEndsEverything(t *testing.T) {
	r := remoteRig(t)
	r.session(1, SessionControl, time.Hour)
	r.override(2, interlock.PoseCovariance, time.Minute, 0.2, interlock.RoleSafetyEngineer)
	next, err := NewCore(r.params, Start{Boot: r.now, Latches: r.latches})
	if err != nil {
		t.Fatal(err)
	}
	if o, s := next.authorityStatus(); len(o)+len(s) != 0 {
		t.Errorf("after a start: %+v, %+v", o, s)
	}
	if o, s := r.core.authorityStatus(); len(o) != 1 || len(s) != 1 {
		t.Errorf("before it: %+v, %+v", o, s)
	}
}

func (r *rig) override(id uint64, trigger interlock.Trigger, lasts time.Duration, mps float64, roles ...interlock.Role) OrderResult {
	o := Order{Kind: OrderOverride, Zone: geofence.NoZone, ID: id, Triggers: interlock.Set(trigger), Expires: r.now + lasts, MaxSpeedMPS: mps}
	for i, role := range roles {
		o.Signers[i] = Signer{Person: uint64(i + 1), Role: role} //nolint:gosec // a small count
	}
	r.apply(Event{Kind: EventOrder, Order: o})
	return r.core.OrderResult()
}

// TestOverrideSuspendsAndRestores drives under a trigger that demands a return to the dock: not before the override, at
// its speed while it lasts, and not from the moment at which it ends.
func TestOverrideSuspendsAndRestores(t *testing.T) {
	r := newRig(t, demoParams(t), Start{}).ready()
	r.drive = func() (float64, float64) { return 0.8, 0 }
	r.journal = JournalFailing
	r.until("held", 10*time.Second, func() bool { return r.motion() <= interlock.MotionDockOnly })
	r.run(3 * time.Second)
	if got := r.override(1, interlock.JournalUnwritable, time.Minute, 0.4, interlock.RoleSafetyEngineer); got.Applied || got.Override.Outcomes[interlock.JournalUnwritable] != interlock.OverrideSecondPerson {
		t.Fatalf("one person was enough: %v", got.Override.Outcomes[interlock.JournalUnwritable])
	}
	if r.motion() > interlock.MotionDockOnly {
		t.Fatal("it took effect all the same")
	}
	var seen []Authority
	r.each = func(*Event, *Effects) { seen = append(seen, r.core.Authority()...) }
	began := r.now
	if got := r.override(2, interlock.JournalUnwritable, 6*time.Second, 0.4, interlock.RoleSafetyEngineer, interlock.RoleSupervisor); !got.Applied {
		t.Fatalf("refused: %v", got.Override.Outcomes[interlock.JournalUnwritable])
	}
	if r.motion() != interlock.MotionLimited || !r.active(interlock.JournalUnwritable) {
		t.Fatalf("at once: %s", r.state())
	}
	o, _ := r.core.authorityStatus()
	if len(o) != 1 || o[0].Persons != 2 || o[0].MaxSpeedMPS != 0.4 || o[0].Triggers[0] != "journal.unwritable" || o[0].LeftS < 5.9 {
		t.Errorf("status: %+v", o)
	}
	for r.now < began+6*time.Second-rigStep {
		if r.step(); r.plant.v > 0.41 {
			t.Fatalf("%.2f m/s under an override of at most 0.4", r.plant.v)
		}
	}
	if r.plant.v < 0.3 {
		t.Errorf("%.2f m/s under the override", r.plant.v)
	}
	r.step()
	r.step()
	if r.motion() > interlock.MotionDockOnly || r.last.v != 0 {
		t.Errorf("it does not end: %s, the last command out %.2f m/s", r.state(), r.last.v)
	}
	if len(seen) != 2 || seen[0] != (Authority{Change: AuthorityBegins, ID: 2}) || seen[1] != (Authority{Change: AuthorityExpires, ID: 2}) {
		t.Errorf("the journal has %+v", seen)
	}
}

func TestOverrideIsEndedByOrderAndLeavesOthers(t *testing.T) {
	r := newRig(t, demoParams(t), Start{}).ready()
	r.journal = JournalFailing
	r.until("held", 10*time.Second, func() bool { return r.motion() <= interlock.MotionDockOnly })
	r.override(1, interlock.JournalUnwritable, time.Minute, 0.4, interlock.RoleSafetyEngineer, interlock.RoleSupervisor)
	if r.motion() != interlock.MotionLimited {
		t.Fatalf("not overridden: %s", r.state())
	}
	r.apply(Event{Kind: EventEnd}) // Another trigger, and nobody can override it.
	if r.motion() != interlock.MotionHold {
		t.Errorf("another trigger under the override: %s", r.state())
	}
	r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderOverride, End: true, Triggers: interlock.Set(interlock.JournalUnwritable), Zone: geofence.NoZone}})
	if o, _ := r.core.authorityStatus(); len(o) != 0 || !r.core.OrderResult().Applied {
		t.Errorf("not ended: %+v", o)
	}
	if got := r.core.Authority(); len(got) != 1 || got[0].Change != AuthorityRevoked {
		t.Errorf("the journal has %+v", got)
	}
}

// TestAuthorityRecords puts every change into words, and refuses what ends early.
func TestAuthorityRecords(t *testing.T) {
	seen := map[string]bool{}
	for change := AuthorityBegins; change <= AuthorityPolicy; change++ {
		for _, session := range []bool{false, true} {
			b := AppendAuthority(nil, &Authority{Change: change, Session: session, Channel: 1, Level: SessionControl, ID: 77})
			text, err := DescribeAuthority(b)
			if err != nil || seen[text] {
				t.Errorf("%v: %q, %v", change, text, err)
			}
			seen[text] = true
			for i := range b {
				if _, err := DescribeAuthority(b[:i]); err == nil {
					t.Errorf("cut at %d: taken", i)
				}
			}
		}
	}
}

// TestSnapshotKeepsAuthority restores in the middle: both go on, and end when they would have.
func TestSnapshotKeepsAuthority(t *testing.T) {
	r := remoteRig(t)
	r.session(1, SessionControl, 10*time.Second)
	r.override(2, interlock.PoseCovariance, 5*time.Second, 0.2, interlock.RoleSafetyEngineer)
	next, err := NewCore(r.params, Start{Boot: r.now})
	if err != nil {
		t.Fatal(err)
	}
	if err := next.RestoreState(r.core.AppendState(nil)); err != nil {
		t.Fatal(err)
	}
	r.core = next
	if o, s := r.core.authorityStatus(); len(o) != 1 || len(s) != 1 || s[0].From != "control room" {
		t.Fatalf("restored: %+v, %+v", o, s)
	}
	r.run(6 * time.Second)
	if o, s := r.core.authorityStatus(); len(o) != 0 || len(s) != 1 {
		t.Errorf("after the override's end: %+v, %+v", o, s)
	}
	r.run(5 * time.Second)
	if _, s := r.core.authorityStatus(); len(s) != 0 {
		t.Errorf("after the session's end: %+v", s)
	}
}

// TestDroppedCommandsSlowNobody floods a channel on which nobody may command now. Its commands are dropped, and what the
// geofence says of them must not cut the command of the planner, which passes.
func TestDroppedCommandsSlowNobody(t *testing.T) {
	for name, v := range map[string]float64{"far too fast": 1e6, "backwards": -1e6, "not a number": math.NaN()} {
		r := remoteRig(t)
		r.drive = func() (float64, float64) { return 0.4, 0 }
		r.run(3 * time.Second)
		before := r.plant.v
		for end := r.now + time.Second; r.now < end; {
			r.step()
			r.command(operatorChannel, v, 0)
			if r.last.v < 0.35 {
				t.Fatalf("%s: a command that is dropped (%s) lowers the one that passes to %.2f m/s; the robot drove %.2f m/s", name, r.core.gated.Reason, r.last.v, before)
			}
		}
		if before < 0.35 || r.core.gate.Counts()[interlock.GateNoSession] < 50 {
			t.Errorf("%s: drove at %.2f m/s, dropped %d", name, before, r.core.gate.Counts()[interlock.GateNoSession])
		}
	}
}
