package guard

import (
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// obey applies a verified order. It runs before the decision of the same event, so that a stop acts at once and a reset
// is judged by the conditions of the last step, which are at most a tick old.
func (c *Core) obey(ev *Event) {
	o := &ev.Order
	c.order.result = OrderResult{}
	switch o.Kind {
	case OrderStop:
		c.order.stop = true
		c.order.result.Applied = true
	case OrderReset:
		c.reset(ev)
	case OrderGrant:
		c.grant = grant{zone: o.Zone, expires: o.Expires}
		c.order.result.Applied = o.Zone != geofence.NoZone && o.Expires > ev.Boot
	case OrderOverride:
		c.order.result.Override = c.override(ev.Boot, o)
		c.order.result.Applied = c.order.result.Override.Applied
	case OrderSession:
		c.order.result.Session = c.takeSession(ev.Boot, o)
		c.order.result.Applied = c.order.result.Session == SessionOpened || c.order.result.Session == SessionEnded
	case OrderLease:
		c.order.result.Applied = c.takeLease(ev.Boot, o)
	}
}

func (c *Core) reset(ev *Event) {
	o := &ev.Order
	req := interlock.ResetRequest{Triggers: o.Triggers, Asked: o.Expires}
	if o.All {
		req.Triggers = c.decision.LatchedSet
	}
	for _, s := range o.Signers {
		if s.Person != 0 {
			c.persons[len(req.Persons)] = interlock.Person{ID: s.Person, Role: s.Role}
			req.Persons = c.persons[:len(req.Persons)+1]
		}
	}
	res := c.machine.Reset(ev.Boot, req)
	c.order.result = OrderResult{Applied: !res.Done.Empty(), Reset: res}
}

// OrderResult says what became of the last order.
func (c *Core) OrderResult() OrderResult { return c.order.result }
