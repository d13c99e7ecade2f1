package agent

import (
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
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
