package order_test

import (
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/order"
)

func TestAnswersAndFactsOfAGrant(t *testing.T) {
	s := newSite(t, nil)
	grant := func(change func(*order.Grant)) *order.Order {
		o := sample(order.KindGrant)
		change(o.Grant)
		return o
	}
	for name, c := range map[string]struct {
		change func(*order.Grant)
		fault  string
		effect string
	}{
		"granted":            {func(*order.Grant) {}, "", "inside zone pharmacy"},
		"granted by facts":   {func(g *order.Grant) { g.Facts = []order.Fact{order.FactTask, order.FactBadge} }, "", "vouching for the task, vouching for the badge"},
		"queued":             {func(g *order.Grant) { g.Answer = order.AnswerQueued }, "", "it is queued: the robot may not enter"},
		"rejected":           {func(g *order.Grant) { g.Answer = order.AnswerRejected }, "", "it is rejected: the robot may not enter"},
		"revoked":            {func(g *order.Grant) { g.Answer = order.AnswerRevoked }, "", "it is revoked: the robot may not enter"},
		"another answer":     {func(g *order.Grant) { g.Answer = "granted" }, "body.answer", ""},
		"an egress is asked": {func(g *order.Grant) { g.Scope, g.Answer = order.ScopeEgress, order.AnswerQueued }, "body.answer", ""},
		"facts of an egress": {func(g *order.Grant) { g.Scope, g.Facts = order.ScopeEgress, []order.Fact{order.FactDoor} }, "body.facts", ""},
		"facts of a no":      {func(g *order.Grant) { g.Answer, g.Facts = order.AnswerRejected, []order.Fact{order.FactDoor} }, "body.facts", ""},
		"another fact":       {func(g *order.Grant) { g.Facts = []order.Fact{"key"} }, "body.facts[0]", ""},
		"a fact twice":       {func(g *order.Grant) { g.Facts = []order.Fact{order.FactDoor, order.FactDoor} }, "body.facts[1]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := grant(c.change)
			err := o.Validate()
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("found %v, expected a fault of %s", err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			text := order.Show(sign(t, o, s.signerOf(o.Kind)), s.list.KeyList, at(noon))
			if !strings.Contains(text, c.effect) {
				t.Errorf("%q is missing in\n%s", c.effect, text)
			}
		})
	}
}

// TestOnlyWhatTightensNeedsNoClock: a lease that is taken back ends whatever the clock says; one that is given does not begin.
func TestOnlyWhatTightensNeedsNoClock(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	for _, answer := range []order.Answer{order.AnswerGranted, order.AnswerQueued, order.AnswerRejected, order.AnswerRevoked} {
		o := sample(order.KindGrant)
		o.Grant.Answer = answer
		_, err := v.Verify(order.Times{}, sign(t, o, s.signerOf(o.Kind)))
		if tightens := answer != order.AnswerGranted; (err == nil) != tightens {
			t.Errorf("answer %q without a clock: %v", answer, err)
		}
		if answer == order.AnswerGranted && order.ReasonOf(err) != order.ClockUntrusted {
			t.Errorf("refused for %v, expected the clock", err)
		}
	}
}
