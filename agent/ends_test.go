package agent

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/interlock"
)

// TestAGrantDoesNotOutliveItsRevocation: what was signed before it was taken back does not count, whoever carries the two in
// which order.
func TestAGrantDoesNotOutliveItsRevocation(t *testing.T) {
	at := func(s int) func(*order.Order) {
		return func(d *order.Order) { d.NotBefore = noon.Add(-time.Minute + time.Duration(s)*time.Second) }
	}
	kinds := map[string]struct {
		grant, end func(o *office) *order.Order
		open       func(o *office) bool
	}{
		"zone": {
			func(o *office) *order.Order { return o.zoneGrant("gate") },
			func(o *office) *order.Order {
				return o.zoneGrant("gate", func(d *order.Order) { d.Grant.Answer = order.AnswerRevoked })
			},
			func(o *office) bool { return o.leases()["gate"].State == "GRANTED" },
		},
		"override": {
			func(o *office) *order.Order { return o.order(order.KindOverride) },
			func(o *office) *order.Order {
				d := o.order(order.KindOverride)
				d.Override = &order.Override{Triggers: []string{"pose.covariance"}, End: true}
				return d
			},
			func(o *office) bool { return o.overridden() > 0 },
		},
		"session": {
			func(o *office) *order.Order { return o.order(order.KindSession) },
			func(o *office) *order.Order {
				d := o.order(order.KindSession)
				d.Session = &order.Session{Channel: "operator", Level: order.LevelEnd}
				return d
			},
			func(o *office) bool { return o.remote() > 0 },
		},
	}
	for kind, k := range kinds {
		for name, c := range map[string]struct {
			send string // "g3" is the grant of second 3, "e4" its end of second 4; a repeated word is the very same order
			open bool
		}{
			"granted":                        {"g1", true},
			"granted and taken back":         {"g1 e2", false},
			"taken back, the grant later":    {"e2 g1", false},
			"of one second":                  {"e2 g2", false},
			"granted anew":                   {"e2 g3", true},
			"an old one after the new":       {"e2 g3 e4 g1", false},
			"an older end after a newer one": {"e4 e2 g3", false},
			"an old end ends what is newer":  {"g3 e2", false},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				o := newOffice(t, gates)
				o.serve()
				o.guard.SetTrust(2)
				o.tick(5)
				word := c.send
				for ; word != ""; word = word[min(3, len(word)):] {
					d := k.grant(o)
					if word[0] == 'e' {
						d = k.end(o)
					}
					at(int(word[1] - '0'))(d)
					r := o.orders.apply(o.sign(d, "sven"))
					if word[0] == 'g' && !r.Applied && r.Reason != "overtaken" {
						t.Errorf("%s: %+v", word[:2], r)
					}
				}
				if got := k.open(o); got != c.open {
					t.Errorf("open %v, expected %v", got, c.open)
				}
			})
		}
		// The end came in a run before this one of the same boot: nobody here remembers it.
		for name, c := range map[string]struct {
			change func(*order.Order)
			reason string
		}{
			"bound to the boot alone":             {func(d *order.Order) { d.Binding.Nonce = "" }, "before-start"},
			"bound to the boot alone, but later":  {func(d *order.Order) { d.Binding.Nonce, d.NotBefore = "", noon.Add(-25*time.Second) }, ""},
			"bound to the guard's nonce":          {func(*order.Order) {}, ""},
			"within the clock's error of a start": {func(d *order.Order) { d.Binding.Nonce, d.NotBefore = "", noon.Add(-29*time.Second) }, "before-start"},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				o := newOffice(t, gates)
				o.serve()
				o.guard.SetTrust(2)
				o.tick(5)
				o.orders.began, o.orders.age = o.clock.Boot()-29*time.Second, aged(guard.AgeProven, interlock.CauseNone)
				d := k.grant(o)
				c.change(d)
				if r := o.orders.apply(o.sign(d, "sven")); r.Reason != c.reason || k.open(o) != (c.reason == "") {
					t.Errorf("%+v, expected %q", r, c.reason)
				}
			})
		}
	}
}
