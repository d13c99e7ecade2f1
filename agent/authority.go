package agent

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// authority hands a verified override or session to the core and reports what became of it. Whatever loosens was made
// durable as used before; whatever ends something acts first.
func (o *orders) authority(v *order.Verified, times order.Times, boot time.Duration, r *Receipt) {
	if v.Order.Kind == order.KindSession {
		o.session(v, times, boot, r)
		return
	}
	o.override(v, times, boot, r)
}

// orderID is how the core is told of an order: the beginning of its id. The kind's form lets nothing but digits pass.
func orderID(v *order.Verified) uint64 {
	b, err := hex.DecodeString(v.Order.ID[:16])
	if err != nil {
		return 0 // The core takes no order without an id.
	}
	return binary.BigEndian.Uint64(b)
}

// left is for how long an order's permission lasts, by the latest that it may be now.
func left(expires time.Time, times order.Times) time.Duration {
	return expires.Sub(times.Civil) - times.Uncertainty
}

func (o *orders) override(v *order.Verified, times order.Times, boot time.Duration, r *Receipt) {
	q := v.Order.Override
	req := guard.Order{Kind: guard.OrderOverride, Zone: geofence.NoZone, ID: orderID(v), End: q.End, MaxSpeedMPS: q.MaxSpeedMPS, Signers: signers(v)}
	for _, code := range q.Triggers {
		t, ok := interlock.ParseTrigger(code)
		if !ok {
			r.Accepted, r.Reason = false, "unknown-trigger"
			r.Text = fmt.Sprintf("no trigger has the code %q; `robowarden status` lists those that are active", code)
			return
		}
		req.Triggers.Add(t)
	}
	if q.End {
		if r.Applied = o.guard.Order(req).Applied; r.Applied {
			r.Text = "ended; what the triggers demand counts again"
			return
		}
		r.Text = "none of the triggers was overridden"
		return
	}
	lasts := left(q.Expires, times)
	req.Expires = boot + lasts
	res := o.guard.Order(req)
	r.Applied, r.Triggers = res.Applied, map[string]string{}
	for t := range interlock.NumTriggers {
		if out := res.Override.Outcomes[t]; out != interlock.OverrideNotAsked {
			r.Triggers[t.String()] = out.String()
		}
	}
	r.Text = "nothing is overridden; each trigger says why"
	if r.Applied {
		r.Text = fmt.Sprintf("%s suspended at up to %v m/s for %v at most; it ends by itself", strings.Join(q.Triggers, ", "), q.MaxSpeedMPS, lasts.Round(time.Second))
	}
}

func (o *orders) session(v *order.Verified, times order.Times, boot time.Duration, r *Receipt) {
	q := v.Order.Session
	channel := o.channel(q.Channel)
	if channel < 0 {
		r.Accepted, r.Reason = false, "unknown-channel"
		r.Text = fmt.Sprintf("the topic mapping has no channel %q among its commands", q.Channel)
		return
	}
	level := map[order.Level]guard.SessionLevel{
		order.LevelView: guard.SessionView, order.LevelControl: guard.SessionControl, order.LevelEnd: guard.SessionNone,
	}[q.Level]
	req := guard.Order{Kind: guard.OrderSession, Zone: geofence.NoZone, ID: orderID(v), Session: guard.SessionOrder{
		Channel: channel, Level: level, Who: q.Who, Role: q.Role, From: q.From,
	}}
	if level != guard.SessionNone {
		req.Expires = boot + left(q.Expires, times)
	}
	res := o.guard.Order(req)
	r.Applied, r.Text = res.Applied, res.Session.String()
	if res.Session == guard.SessionOpened {
		r.Text = fmt.Sprintf("%s until %s at the latest: %s for %s (%s) from %s", r.Text, q.Expires.Format(time.RFC3339), q.Level, q.Who, q.Role, q.From)
	}
}

// reset hands a verified reset to the core and reports what became of each trigger. It resets nothing that fired after it came.
func (o *orders) reset(v *order.Verified, came *arrival, r *Receipt) {
	req := guard.Order{Kind: guard.OrderReset, All: v.Order.Reset.All, Zone: geofence.NoZone, Expires: came.at}
	for _, code := range v.Order.Reset.Triggers {
		t, ok := interlock.ParseTrigger(code)
		if !ok {
			r.Accepted, r.Reason = false, "unknown-trigger"
			r.Text = fmt.Sprintf("no trigger has the code %q; `robowarden status` lists those that are latched", code)
			return
		}
		req.Triggers.Add(t)
	}
	req.Signers = signers(v)
	res, again := o.guard.Reset(req, &came.marks)
	r.Applied = res.Applied
	r.Triggers = map[string]string{}
	for t, ok := again.Next(0); ok; t, ok = again.Next(t + 1) {
		r.Triggers[t.String()] = "refused: it has fired since the order came"
	}
	for t := range interlock.NumTriggers {
		if out := res.Reset.Outcomes[t]; out != interlock.ResetNotAsked && (out != interlock.ResetNotLatched || !req.All) {
			r.Triggers[t.String()] = out.String()
		}
	}
	if r.Text = "nothing was reset; each trigger says why"; len(r.Triggers) == 0 {
		r.Text = "nothing was reset: nothing is latched"
	}
	if o.age != nil && res.Reset.Outcomes[interlock.StateRolledBack] == interlock.ResetDone {
		for _, w := range o.waiting.all() {
			o.giveUp(w, reasonUnproven, setBackText+o.nonce)
		}
		o.age.accept() // somebody has answered for it
	}
	if r.Applied {
		r.Text = "reset; the robot does not start by itself, it waits for a fresh command"
	}
}
