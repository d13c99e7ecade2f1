package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/geofence"
)

// gates is an edit that adds a RELEASE zone and a DOOR zone.
func gates(policy string) string {
	return strings.Replace(policy, "\n  # ---- upper floor ----", `
  - {zone_id: gate, zone_type: RELEASE, floor: ground, vertices: [[30, 11], [31, 11], [31, 12], [30, 12]], reason: a test}
  - {zone_id: door, zone_type: DOOR, floor: ground, vertices: [[32, 11], [33, 11], [33, 12], [32, 12]], opened_by: [badge], max_dwell: 1m, reason: a test}

  # ---- upper floor ----`, 1)
}

func (o *office) leases() map[string]guard.LeaseStatus {
	out := map[string]guard.LeaseStatus{}
	for _, l := range o.guard.Status().Leases {
		out[l.Zone] = l
	}
	return out
}

// zoneGrant is a grant of scope zone for ten minutes.
func (o *office) zoneGrant(zone string, change ...func(*order.Order)) *order.Order {
	d := o.order(order.KindGrant)
	d.Grant.Scope, d.Grant.Zone, d.Grant.MaxSpeedMPS = order.ScopeZone, zone, 0.4
	for _, f := range change {
		f(d)
	}
	return d
}

func TestZonesOpenBySignedGrantsOnly(t *testing.T) {
	badge := func(d *order.Order) { d.Grant.Facts = []order.Fact{order.FactBadge} }
	for name, c := range map[string]struct {
		zone, signer string
		change       func(*order.Order)
		reason       string // "": it opens
	}{
		"the fleet manager":         {"gate", "finn", func(*order.Order) {}, ""},
		"the safety engineer":       {"gate", "sven", func(*order.Order) {}, ""},
		"a badge at the door":       {"door", "finn", badge, ""},
		"a door without a fact":     {"door", "finn", func(*order.Order) {}, "wrong-fact"},
		"a door by another fact":    {"door", "finn", func(d *order.Order) { d.Grant.Facts = []order.Fact{order.FactTask} }, "wrong-fact"},
		"the operator":              {"gate", "olga", func(*order.Order) {}, "wrong-role"},
		"another robot":             {"gate", "finn", func(d *order.Order) { d.Audience = []string{"somebody/else"} }, "wrong-audience"},
		"another boot":              {"gate", "finn", func(d *order.Order) { d.Binding = order.Binding{BootID: "00000000-0000-0000-0000-000000000000"} }, "boot-mismatch"},
		"a zone that is not there":  {"gate-2", "finn", func(*order.Order) {}, "unknown-zone"},
		"a zone that does not open": {"pharmacy", "finn", func(*order.Order) {}, "wrong-zone"},
		"after its end":             {"gate", "finn", func(d *order.Order) { d.Grant.Expires = noon.Add(-time.Second) }, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, gates)
			o.serve()
			o.guard.SetTrust(2)
			o.tick(5)
			r := o.orders.apply(o.sign(o.zoneGrant(c.zone, c.change), c.signer))
			l := o.leases()[c.zone]
			if opens := c.reason == ""; r.Applied != opens || r.Accepted != opens || r.Reason != c.reason || (l.State == "GRANTED") != opens {
				t.Errorf("%+v, lease %+v, expected %q", r, l, c.reason)
			}
			if l.State == "GRANTED" && (l.LeftS < 590 || l.LeftS > 600 || l.MaxSpeedMPS != 0.4) {
				t.Errorf("lease %+v, expected about ten minutes at 0.4 m/s", l)
			}
		})
	}
}

// TestAnswersThatGrantNothing end a lease at once, without a clock and while the disk fails; a used grant opens nothing again.
func TestAnswersThatGrantNothing(t *testing.T) {
	for answer, state := range map[order.Answer]string{
		order.AnswerRevoked: "REVOKED", order.AnswerRejected: "REVOKED", order.AnswerQueued: "REVOKED",
	} {
		t.Run(string(answer), func(t *testing.T) {
			o := newOffice(t, gates)
			o.serve()
			o.guard.SetTrust(2)
			o.tick(5)
			grant := o.sign(o.zoneGrant("gate"), "finn")
			if r := o.orders.apply(grant); !r.Applied {
				t.Fatalf("%+v", r)
			}
			o.times = order.Times{}
			no := o.zoneGrant("gate", func(d *order.Order) { d.Grant.Answer = answer })
			if r := o.orders.apply(o.sign(no, "finn")); !r.Applied || o.leases()["gate"].State != state {
				t.Errorf("%+v, lease %+v", r, o.leases()["gate"])
			}
			o.times = order.Times{Civil: noon, Uncertainty: time.Second, Trust: order.Trusted}
			if r := o.orders.apply(grant); r.Accepted || o.leases()["gate"].State != state {
				t.Errorf("the used grant: %+v, lease %+v", r, o.leases()["gate"])
			}
			door := o.zoneGrant("door", func(d *order.Order) { d.Grant.Answer = answer })
			if r := o.orders.apply(o.sign(door, "finn")); !r.Applied || !strings.EqualFold(o.leases()["door"].State, string(answer)) {
				t.Errorf("without a lease: %+v, lease %+v", r, o.leases()["door"])
			}
			if r := o.orders.apply(o.sign(o.zoneGrant("gate"), "olga")); r.Applied {
				t.Error("an operator's grant was taken")
			}
		})
	}
}

// TestFactsHaveOneVocabulary: what a grant can vouch for is what a DOOR can ask for.
func TestFactsHaveOneVocabulary(t *testing.T) {
	facts := []order.Fact{order.FactBadge, order.FactDoor, order.FactTask}
	var all geofence.FactSet
	for _, f := range facts {
		bit, ok := geofence.ParseFact(string(f))
		if !ok || all&bit != 0 || bit.String() != string(f) {
			t.Errorf("fact %q: %v, %t", f, bit, ok)
		}
		all |= bit
	}
	if names := strings.Split(all.String(), "+"); len(names) != len(facts) || !slices.Contains(names, "badge") {
		t.Errorf("%q", names)
	}
}
