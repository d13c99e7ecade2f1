package agent

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// Receipt answers a signed order: what became of it and why. It carries no authority.
type Receipt struct {
	// Digest names the order: the SHA-256 of its payload, empty if it could not be read.
	Digest string `json:"digest,omitempty"`
	// Kind is the order's kind.
	Kind string `json:"kind,omitempty"`
	// Accepted is true if signature, role, audience, validity and sequence were right.
	Accepted bool `json:"accepted"`
	// Applied is true if the order changed anything.
	Applied bool `json:"applied"`
	// Reason is the stable code of a refusal.
	Reason string `json:"reason,omitempty"`
	// Text tells a person what happened and what to do.
	Text string `json:"text"`
	// Triggers says for each trigger that a reset named what became of it.
	Triggers map[string]string `json:"triggers,omitempty"`
	// Signers are the persons whose signatures counted.
	Signers []string `json:"signers,omitempty"`
}

// orders verifies signed orders, makes them durable and applies them, one after another and off the guard's path.
type orders struct {
	verifier atomic.Pointer[order.Verifier]
	store    *order.Store
	guard    *guard.Guard
	zones    func() *geofence.Set
	now      func() (order.Times, time.Duration)
	// load puts a policy set or key list into force; it calls commit once nothing but the disk can refuse it any more.
	load  func(v *order.Verified, envelope []byte, commit func() error) error
	queue chan []byte
	used  chan usedStop
	log   zerolog.Logger
	allow chan struct{}
}

// maxQueuedOrders bounds the orders that wait; a flood on the bus loses its own orders, not the robot's memory.
const maxQueuedOrders = 8

// offer takes an order from the bus without blocking. Only stops are taken from there: whoever wants to loosen something
// talks to the control socket and hears the receipt.
func (o *orders) offer(envelope []byte) {
	select {
	case o.queue <- append([]byte(nil), envelope...):
	default: // Full: the sender repeats, and the queue empties within milliseconds.
	}
}

// run applies the bus's stop orders until ctx ends.
func (o *orders) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case envelope := <-o.queue:
			r := o.apply(envelope, order.KindStop)
			o.log.Info().Str(keyKind, r.Kind).Str(keyDigest, r.Digest).Str(keyReason, r.Reason).Bool("applied", r.Applied).Msg("order from the bus: " + r.Text)
		}
	}
}

// maxOrderWait bounds how long an order waits for the one before it, whose disk may hang.
const maxOrderWait = 2 * time.Second

// apply verifies and applies one order. If only is not empty, orders of other kinds are refused.
func (o *orders) apply(envelope []byte, only ...order.Kind) Receipt {
	r, stopped := o.stop(envelope)
	if !stopped {
		r = o.alone(func() Receipt { return o.judge(envelope, only) })
	}
	if text, err := json.Marshal(r); err == nil {
		o.guard.Note(guard.RecordOrder, text)
	}
	return r
}

// alone calls f while no other order is judged: sequence floors and used ids have one writer.
func (o *orders) alone(f func() Receipt) Receipt {
	wait := time.NewTimer(maxOrderWait)
	defer wait.Stop()
	select {
	case o.allow <- struct{}{}:
	case <-wait.C:
		return Receipt{Reason: "busy", Text: "an order before this one is still being recorded; look at the disk of the state directory, then send it again"}
	}
	defer func() { <-o.allow }()
	return f()
}

// stop applies the order if it is a stop. A stop acts first and is made durable afterwards, and it waits for no other
// order: that one's disk may hang for ever.
func (o *orders) stop(envelope []byte) (r Receipt, stopped bool) {
	times, _ := o.now()
	v, err := o.verifier.Load().Verify(times, envelope)
	if err != nil || v.Order.Kind != order.KindStop {
		return r, false
	}
	o.guard.Order(guard.Order{Kind: guard.OrderStop, Category: uint8(v.Order.Stop.Category), Zone: geofence.NoZone}) //nolint:gosec // 1 or 2
	r = accepted(v)
	r.Applied, r.Text = true, "the robot stops and stays stopped until an authorised reset"
	select {
	case o.used <- usedStop{times, v}:
	default:
		o.log.Error().Str(keyDigest, r.Digest).Msg("a stop order took effect but could not be recorded as used: the disk is too slow")
	}
	return r, true
}

// usedStop is a stop that took effect and is not yet recorded as used.
type usedStop struct {
	times order.Times
	v     *order.Verified
}

// record makes stops durable as used until ctx ends, so that a recording of one counts for nothing once it has run out.
func (o *orders) record(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-o.used:
			if err := o.store.Commit(s.times, s.v); err != nil {
				o.log.Error().Err(err).Msg("a stop order took effect but could not be recorded as used")
			}
		}
	}
}

func (o *orders) judge(envelope []byte, only []order.Kind) Receipt {
	times, boot := o.now()
	v, err := o.verifier.Load().Verify(times, envelope)
	if err != nil {
		return refusal(nil, err)
	}
	r := accepted(v)
	if len(only) > 0 && v.Order.Kind != only[0] {
		r.Accepted, r.Reason = false, "wrong-path"
		r.Text = fmt.Sprintf("only %q orders are taken from the bus, found %q; use the control socket on the robot", only[0], v.Order.Kind)
		return r
	}
	commit := func() error { return o.store.Commit(times, v) }
	if k := v.Order.Kind; k == order.KindPolicySet || k == order.KindKeyList {
		// These have to be there at the next start, and only the newest one that was accepted counts then: so a set that
		// cannot come into force must not be used up.
		if err := o.load(v, envelope, commit); err != nil {
			return refusal(v, err)
		}
		r.Applied, r.Text = true, "in force; what it loosens waits for standstill"
		return r
	}
	if err := commit(); err != nil {
		return refusal(v, err)
	}
	switch v.Order.Kind {
	case order.KindReset:
		o.reset(v, &r)
	case order.KindGrant:
		o.grant(v, times, boot, &r)
	case order.KindStop, order.KindPolicySet, order.KindKeyList:
	}
	return r
}

func accepted(v *order.Verified) Receipt {
	r := Receipt{Digest: fmt.Sprintf("%x", v.Digest), Kind: string(v.Order.Kind), Accepted: true}
	for _, s := range v.Signers {
		r.Signers = append(r.Signers, s.Person)
	}
	return r
}

func refusal(v *order.Verified, err error) Receipt {
	r := Receipt{Reason: string(order.ReasonOf(err)), Text: err.Error()}
	if v != nil {
		r.Digest, r.Kind = fmt.Sprintf("%x", v.Digest), string(v.Order.Kind)
	}
	if r.Reason == "" {
		r.Reason = "failed"
	}
	return r
}

// reset hands a verified reset to the core and reports what became of each trigger.
func (o *orders) reset(v *order.Verified, r *Receipt) {
	req := guard.Order{Kind: guard.OrderReset, All: v.Order.Reset.All, Zone: geofence.NoZone}
	var set interlock.TriggerSet
	for _, code := range v.Order.Reset.Triggers {
		t, ok := interlock.ParseTrigger(code)
		if !ok {
			r.Accepted, r.Reason = false, "unknown-trigger"
			r.Text = fmt.Sprintf("no trigger has the code %q; `robowarden status` lists those that are latched", code)
			return
		}
		set.Add(t)
	}
	req.Triggers = set
	req.Signers = signers(v)
	res := o.guard.Order(req)
	r.Applied = res.Applied
	r.Triggers = map[string]string{}
	for t := range interlock.NumTriggers {
		if out := res.Reset.Outcomes[t]; out != interlock.ResetNotAsked && (out != interlock.ResetNotLatched || !req.All) {
			r.Triggers[t.String()] = out.String()
		}
	}
	r.Text = "nothing was reset; each trigger says why"
	if r.Applied {
		r.Text = "reset; the robot does not start by itself, it waits for a fresh command"
	}
}

// signers gives the core each person in the roles that count for resets. There is room for MaxPersons pairs, so everybody
// has a turn before anybody has a second: a person with many roles must not crowd out the second of two persons.
func signers(v *order.Verified) [guard.MaxPersons]guard.Signer {
	var out [guard.MaxPersons]guard.Signer
	n := 0
	for turn := 0; n < len(out); turn++ {
		more := false
		for _, s := range v.Signers {
			var roles []interlock.Role
			for _, role := range s.Roles {
				if r := resetRole(role); r < interlock.NumRoles {
					roles = append(roles, r)
				}
			}
			if turn < len(roles) && n < len(out) {
				sum := sha256.Sum256([]byte(s.Person))
				out[n] = guard.Signer{Person: binary.LittleEndian.Uint64(sum[:]), Role: roles[turn]}
				n++
			}
			more = more || turn+1 < len(roles)
		}
		if !more {
			break
		}
	}
	return out
}

// resetRole gives a key list's role its name in the trigger table.
func resetRole(r order.Role) interlock.Role {
	switch r {
	case order.RoleSafetyEngineer:
		return interlock.RoleSafetyEngineer
	case order.RoleFleetManager:
		return interlock.RoleSupervisor
	case order.RoleVendor:
		return interlock.RoleService
	case order.RoleOperator:
		return interlock.RoleOperator
	case order.RoleRoot, order.RoleStopOnly:
	}
	return interlock.NumRoles
}

// grant lets the robot leave one zone until the grant expires, measured on the boot clock from here.
func (o *orders) grant(v *order.Verified, times order.Times, boot time.Duration, r *Receipt) {
	g := v.Order.Grant
	if g.Scope != order.ScopeEgress {
		r.Accepted, r.Reason, r.Text = false, "unsupported", "only egress grants are taken: expected scope \"egress\""
		return
	}
	zone, ok := o.zones().ZoneIndex(g.Zone)
	if !ok {
		r.Accepted, r.Reason = false, "unknown-zone"
		r.Text = fmt.Sprintf("the policy in force has no zone %q", g.Zone)
		return
	}
	left := g.Expires.Sub(times.Civil) - times.Uncertainty
	if left <= 0 {
		r.Accepted, r.Reason, r.Text = false, string(order.Expired), "the grant has expired"
		return
	}
	res := o.guard.Order(guard.Order{Kind: guard.OrderGrant, Zone: zone, Expires: boot + left})
	r.Applied, r.Text = res.Applied, fmt.Sprintf("the robot may leave zone %q at creep speed for %v", g.Zone, left.Round(time.Second))
}

// errNoRoots is the start-up error of a robot that nobody can command.
var errNoRoots = errors.New("no root key: put the PEM public keys that the robot was enrolled with into the keys folder as roots.pem")
