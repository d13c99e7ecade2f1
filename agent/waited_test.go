package agent

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// TestTheNewestOfWhatWaitsCounts: in whatever order they came, and nothing is used up that has no effect.
func TestTheNewestOfWhatWaitsCounts(t *testing.T) {
	lease := func(o *office, mps float64, at time.Duration) {
		d := bind(o.zoneGrant("gate", func(d *order.Order) { d.Grant.MaxSpeedMPS = mps }), "")
		d.NotBefore = d.NotBefore.Add(at)
		if r := o.orders.apply(o.sign(d, "sven")); r.Reason != ReasonWaits {
			t.Fatalf("%+v", r)
		}
	}
	for name, c := range map[string]struct {
		send func(o *office)
		want float64
	}{
		"one (off)":                  {func(o *office) { lease(o, 0.8, 0) }, 0.8},
		"its correction":             {func(o *office) { lease(o, 0.8, 0); lease(o, 0.2, time.Second) }, 0.2},
		"its correction comes first": {func(o *office) { lease(o, 0.2, time.Second); lease(o, 0.8, 0) }, 0.2},
		"both of the same second":    {func(o *office) { lease(o, 0.8, 0); lease(o, 0.2, 0) }, 0.2},
		"an older one is signed for this run": {func(o *office) {
			lease(o, 0.2, time.Second)
			d := bind(o.zoneGrant("gate", func(d *order.Order) { d.Grant.MaxSpeedMPS = 0.8 }), testNonce)
			if r := o.orders.apply(o.sign(d, "sven")); !r.Applied {
				t.Errorf("%+v", r)
			}
		}, 0.2},
	} {
		o := lateOffice(t)
		o.orders.age = diskUnproven()
		c.send(o)
		o.orders.age = diskProven()
		o.orders.goOn()
		leases := o.guard.Status().Leases
		if len(leases) == 0 || leases[len(leases)-1].MaxSpeedMPS != c.want || len(o.orders.waitingStatus()) != 0 {
			t.Errorf("%s: %+v, expected %v m/s", name, leases, c.want)
		}
	}
}

// TestTheNewestSequenceCounts: of policies and key lists that wait, the newest is in force with the proof and after a start, and what it
// has taken the place of is not used up. One that names this run takes only the place of older ones.
func TestTheNewestSequenceCounts(t *testing.T) {
	for name, c := range map[string]struct {
		waits []uint64
		now   uint64 // comes with the nonce
		want  uint64
	}{
		"one (off)":                {[]uint64{2}, 0, 2},
		"two":                      {[]uint64{2, 3}, 0, 3},
		"two, the newer one first": {[]uint64{3, 2}, 0, 3},
		"an older one with nonce":  {[]uint64{3}, 2, 3},
		"a newer one with nonce":   {[]uint64{2}, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			a := s.running()
			a.orders.age = diskUnproven()
			for _, sign := range []func(n uint64) []byte{func(n uint64) []byte { return s.set(n) }, s.keyList} {
				for _, n := range c.waits {
					if r := a.orders.apply(s.delivered(func() []byte { return sign(n) })); r.Reason != ReasonWaits {
						t.Fatalf("%+v", r)
					}
				}
				if c.now > 0 {
					if r := a.orders.apply(sign(c.now)); !r.Applied {
						t.Fatalf("%+v", r)
					}
				}
			}
			check := func(when string) {
				t.Helper()
				policy, _ := a.ledger.Floor(order.KindPolicySet)
				list, _ := a.ledger.Floor(order.KindKeyList)
				got := []uint64{uint64(a.cfg.Policy.Revision), policy.Sequence, a.orders.verifier.Load().InForce().Order.Sequence, list.Sequence} //nolint:gosec // small
				if slices.ContainsFunc(got, func(n uint64) bool { return n != c.want }) || len(a.orders.waitingStatus()) != 0 {
					t.Errorf("%s: policy, its record, key list, its record: %v, expected %d", when, got, c.want)
				}
			}
			a.orders.age = diskProven()
			a.orders.goOn()
			check("with the proof")
			s.must(a.state.flush())
			s.kill(a)
			a = s.running()
			check("after a start")
			s.kill(a)
		})
	}
}

// TestWhatHasLostItsPlaceIsNotUsedUp: whoever goes on with an order that is gone meanwhile leaves it alone, and nobody hears of it twice.
func TestWhatHasLostItsPlaceIsNotUsedUp(t *testing.T) {
	for _, gone := range []bool{false, true} {
		o := lateOffice(t)
		o.orders.age = diskUnproven()
		envelope := o.sign(bind(o.order(order.KindOverride), ""), "sven")
		o.orders.apply(envelope)
		o.orders.age = diskProven()
		w := o.orders.waiting.all()[0]
		if gone {
			o.orders.giveUp(w, reasonOvertaken, "gone")
		}
		notes := o.journal.notes
		o.orders.proceed(w)
		o.orders.proceed(w)
		used := o.orders.apply(envelope).Reason == string(order.Replayed)
		if used != !gone || (o.journal.notes == notes+1) != gone || len(o.orders.waitingStatus()) != 0 {
			t.Errorf("gone %t: used up %t, %d more notes", gone, used, o.journal.notes-notes)
		}
	}
}

// TestTheEnvelopeWithMoreSignaturesWaits: the second person's signature is not lost, and what fired before it came counts all the same.
func TestTheEnvelopeWithMoreSignaturesWaits(t *testing.T) {
	one, both := []string{"olga"}, []string{"olga", "sven"}
	for name, c := range map[string]struct {
		first, second, waits []string
	}{
		"the same again (off)":       {one, one, one},
		"with a second person":       {one, both, both},
		"without the second person":  {both, one, both},
		"somebody else's, by itself": {one, []string{"sven"}, one},
	} {
		o := lateOffice(t)
		o.orders.age = diskUnproven()
		d := bind(o.order(order.KindReset), "")
		o.orders.apply(o.sign(d, c.first...))
		came := o.orders.waiting.all()[0].came
		r := o.orders.apply(o.sign(d, c.second...))
		all := o.orders.waiting.all()
		if len(all) != 1 || all[0].came != came || !slices.Equal(all[0].signers, c.waits) || o.orders.waiting.bytes != len(all[0].envelope) {
			t.Fatalf("%s: %+v", name, o.orders.waitingStatus())
		}
		if r.Reason != ReasonWaits || !strings.Contains(r.Text, "signed by "+strings.Join(c.waits, ", ")+".") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestAPassingFaultOfTheClockEndsNothing: what cannot be judged for a moment is judged later. Off, the clock is right.
func TestAPassingFaultOfTheClockEndsNothing(t *testing.T) {
	for _, trust := range []order.Trust{order.Trusted, order.Untrusted} {
		o := lateOffice(t)
		o.orders.age = diskUnproven()
		r := o.orders.apply(o.sign(bind(o.order(order.KindOverride), ""), "sven"))
		o.orders.age = diskProven()
		o.times.Trust = trust
		o.orders.goOn()
		if waits := len(o.orders.waitingStatus()) == 1; waits != (trust == order.Untrusted) {
			t.Errorf("clock %v: waits %t, %+v", trust, waits, o.journal.receipts[r.Digest])
		}
		o.times.Trust = order.Trusted
		o.orders.goOn()
		if r = o.journal.receipts[r.Digest]; !r.Applied {
			t.Errorf("clock %v, then right: %+v", trust, r)
		}
	}
}

// TestWhatStopsTheRobotGoesBeforeWhatWaits, whether it is a signed order or a button: whoever signed what waits had not seen it.
func TestWhatStopsTheRobotGoesBeforeWhatWaits(t *testing.T) {
	for kind, k := range kindsOfOrders {
		if k.tightens || k.order(lateOffice(t)).Kind.Sequenced() {
			continue
		}
		reset := kind == "reset"
		for _, fired := range []bool{false, true} {
			o := lateOffice(t)
			o.orders.age = diskUnproven()
			if reset {
				o.orders.apply(o.sign(o.order(order.KindStop), "button"))
			}
			o.tick(5)
			r := o.orders.apply(o.sign(bind(k.order(o), ""), k.by))
			if fired { // past the orders, which would hear of a signed one
				o.guard.Order(guard.Order{Kind: guard.OrderStop, Category: 2, Zone: geofence.NoZone})
			}
			o.tick(5)
			o.orders.age = diskProven()
			o.orders.goOn()
			want := ""
			if fired && !reset {
				want = reasonOvertaken
			}
			if r = o.journal.receipts[r.Digest]; r.Reason != want || r.Applied == fired || o.stopped() != fired {
				t.Errorf("%s, fired %t: %+v, stopped %t", kind, fired, r, o.stopped())
			}
		}
	}
}

// TestWhatWaitsIsToldAtOnce: who takes something back, or ends the guard, leaves nothing that still seems to wait.
func TestWhatWaitsIsToldAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		waits, end string
		reason     string
	}{
		"an override": {"override", "override ended", reasonOvertaken}, "a session": {"session", "session ended", reasonOvertaken},
		"a lease": {"lease", "grant taken back", reasonOvertaken}, "another one's end (off)": {"override", "session ended", ""},
		"the guard's end": {"policy set", "", reasonUnproven},
	} {
		o := lateOffice(t)
		o.orders.age = diskUnproven()
		k := kindsOfOrders[c.waits]
		digest := o.orders.apply(o.sign(bind(k.order(o), ""), k.by)).Digest
		if c.end != "" {
			k = kindsOfOrders[c.end]
			o.orders.apply(o.sign(k.order(o), k.by))
		} else {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_ = o.orders.lookAfterWaiting(ctx)
		}
		if r := o.journal.receipts[digest]; (len(o.orders.waitingStatus()) == 1) != (c.reason == "") || c.reason != "" && r.Reason != c.reason {
			t.Errorf("%s: %+v, %+v wait", name, r, o.orders.waitingStatus())
		}
	}
}

// TestAResetOfNothingSaysSo: each trigger that was asked for has its outcome.
func TestAResetOfNothingSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		reset *order.Reset
		want  string
	}{
		"all": {&order.Reset{All: true}, "nothing is latched"}, "one": {&order.Reset{Triggers: []string{"order.stop"}}, "each trigger says why"},
	} {
		for _, waits := range []bool{false, true} {
			o := lateOffice(t)
			o.orders.age = diskUnproven()
			d := bind(o.order(order.KindReset), map[bool]string{false: testNonce}[waits])
			d.Reset = c.reset
			digest := o.orders.apply(o.sign(d, "olga")).Digest
			o.orders.age = diskProven()
			o.orders.goOn()
			r := o.journal.receipts[digest]
			if !strings.HasSuffix(r.Text, c.want) || len(r.Triggers) != len(c.reset.Triggers) || !c.reset.All && r.Triggers["order.stop"] != "not latched" {
				t.Errorf("%s, waits %t: %+v", name, waits, r)
			}
		}
	}
}

// TestTwoPersonsWhoseResetsWait: they count together if they came soon after one another, however long both waited; and one of them that
// counts in part does not take the place of the other.
func TestTwoPersonsWhoseResetsWait(t *testing.T) {
	two := func(policy string) string {
		return strings.Replace(policy, "\ntriggers:\n", "\ntriggers:\n  - {code: order.stop, clear: two-persons}\n", 1)
	}
	for name, c := range map[string]struct {
		between, after time.Duration // the two, and the proof
		persons        []string
		reset          bool
	}{
		"one after the other":             {time.Minute, time.Second, []string{"olga", "otto"}, true},
		"one after the other, long ago":   {time.Minute, time.Hour / 2, []string{"olga", "otto"}, true},
		"too far apart":                   {11 * time.Minute, time.Second, []string{"olga", "otto"}, false},
		"one person, twice (off)":         {time.Minute, time.Second, []string{"olga", "olga"}, false},
		"one person's of the two persons": {time.Minute, time.Second, []string{"olga"}, false},
	} {
		o := lateOffice(t, two)
		later := func(d time.Duration) {
			o.clock.mu.Lock()
			o.clock.boot += d
			o.clock.mu.Unlock()
			o.times.Civil = o.times.Civil.Add(d)
			o.tick(50)
		}
		o.orders.age = diskUnproven()
		o.orders.apply(o.sign(o.order(order.KindStop), "button"))
		later(0)
		for i, who := range c.persons {
			if i > 0 {
				later(c.between)
			}
			d := bind(o.order(order.KindReset), "")
			d.NotAfter = noon.Add(time.Hour)
			d.Reset = &order.Reset{Triggers: []string{"order.stop"}}
			if r := o.orders.apply(o.sign(d, who)); r.Reason != ReasonWaits {
				t.Fatalf("%s: %+v", name, r)
			}
		}
		later(c.after)
		o.orders.age = diskProven()
		o.orders.goOn()
		if o.tick(5); o.stopped() == c.reset {
			t.Errorf("%s: stopped %t, %+v", name, o.stopped(), o.journal.last)
		}
	}
}

// TestAResetThatCountsInPartLeavesTheSecondPersons: who asked for it has to be heard still. Off, it counts as a whole.
func TestAResetThatCountsInPartLeavesTheSecondPersons(t *testing.T) {
	for outcome, left := range map[interlock.ResetOutcome]int{interlock.ResetDone: 0, interlock.ResetSecondPerson: 1, interlock.ResetCausePresent: 0} {
		r := Receipt{Applied: true, Triggers: map[string]string{"restart.unclean": interlock.ResetDone.String(), "order.stop": outcome.String()}}
		o := lateOffice(t)
		o.orders.age = diskUnproven()
		o.orders.apply(o.sign(bind(o.order(order.KindReset), ""), "otto"))
		o.orders.made(bind(o.order(order.KindReset), testNonce), &r)
		if got := len(o.orders.waitingStatus()); got != left {
			t.Errorf("%v: %d wait, expected %d", outcome, got, left)
		}
	}
}
