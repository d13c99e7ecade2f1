package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/geofence"
)

// orders verifies signed orders, makes them durable and applies them, off the guard's path. Orders that can loosen
// something take effect one after another; a stop waits neither for them nor for the disk.
type orders struct {
	verifier atomic.Pointer[order.Verifier]
	ledger   *ledger
	guard    *guard.Guard
	zones    func() *geofence.Set
	// channel is the number of a channel of the topic mapping, -1 for a name that it does not have.
	channel func(name string) int
	now     func() (order.Times, time.Duration)
	// stage checks that a policy set or key list can be put into force; what it returns does it, once the order is used up.
	stage func(v *order.Verified, envelope []byte) (func() error, error)
	// halt ends the spreading of a release, and returns why that is not durable.
	halt  func(version, reason string) error
	inbox *inbox
	// used are stops that have taken effect and have yet to be recorded.
	used chan usedStop
	log  zerolog.Logger
	// turn makes the orders that loosen something wait for each other: sequence floors and used ids have one writer.
	turn    turn
	results results
	// ends are the orders that took something back; began is the boot clock's reading at which this run did.
	ends  ends
	began time.Duration
	// age knows whether the record of used orders is the newest, nil where nobody does. nonce is what the guard drew when it started:
	// what names it cannot have been used before. waiting is what names none, and has to wait for that knowledge.
	age     *ageKeeper
	nonce   string
	waiting waiting
}

// usedStop is a stop, or a verifier's refusal, that has taken effect.
type usedStop struct {
	times order.Times
	order *order.Verified
	done  chan error
}

// Bounds on what a stop waits for before its receipt is written.
const (
	maxUsedStops = 16
	usedStopWait = time.Second
)

// offer takes an order from the bus without blocking. Only stops are taken from there: whoever wants to loosen something
// talks to the control socket and hears the receipt.
func (o *orders) offer(peer uint32, envelope []byte) { o.inbox.put(peer, envelope) }

// run applies the bus's stop orders until ctx ends. Refusals are told once a second at most: anybody can cause them.
func (o *orders) run(ctx context.Context) error {
	const tellEvery = time.Second
	var told time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.inbox.wake:
		}
		for envelope := o.inbox.next(); envelope != nil && ctx.Err() == nil; envelope = o.inbox.next() {
			r := o.judge(envelope, order.KindStop)
			if !r.Accepted && time.Since(told) < tellEvery {
				continue
			}
			if !r.Accepted {
				told = time.Now()
			}
			o.note(&r)
			o.log.Info().Str(keyKind, r.Kind).Str(keyDigest, r.Digest).Str(keyReason, r.Reason).Bool("applied", r.Applied).Msg("order from the bus: " + r.Text)
		}
	}
}

// record makes used stops durable until ctx ends.
func (o *orders) record(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case u := <-o.used:
			err := o.ledger.Commit(u.times, u.order)
			if err != nil {
				o.log.Error().Err(err).Msg("a stop order took effect but could not be recorded as used")
			}
			u.done <- err
		}
	}
}

// apply verifies and applies one order, and notes the receipt in the journal.
func (o *orders) apply(envelope []byte) Receipt {
	r := o.judge(envelope)
	o.note(&r)
	return r
}

func (o *orders) note(r *Receipt) {
	if text, err := json.Marshal(r); err == nil {
		o.guard.Note(guard.RecordOrder, text)
	}
}

// judge verifies an order and lets it take effect. If only is not empty, orders of other kinds are refused.
func (o *orders) judge(envelope []byte, only ...order.Kind) Receipt {
	x := claimed(envelope)
	kind := x.Kind
	if len(only) > 0 && kind != "" && kind != only[0] {
		return Receipt{Kind: string(kind), Reason: "wrong-path", Text: fmt.Sprintf(
			"only %q orders are taken from the bus, found %q; use the control socket on the robot", only[0], kind)}
	}
	if r, done := o.tighten(kind, envelope); done {
		return r
	}
	// Before it waits for anything: whoever signed it has seen no more than what is so now.
	came := o.arrive(x)
	if !o.turn.enter() {
		r := busyReceipt("orders before this one wait for the disk; look at the journal's health and try again")
		r.Kind = string(kind)
		return r
	}
	defer o.turn.leave()
	times, boot := o.now()
	v, err := o.verifier.Load().Verify(times, envelope)
	if err != nil {
		return refusal(nil, err)
	}
	return o.loosen(v, envelope, times, boot, came, nil)
}

// tighten judges an order of a kind of which some take nothing away, and applies it if it is one of those; done is false where it may
// loosen something. What tightens waits for nobody: neither for another order nor for the disk.
func (o *orders) tighten(kind order.Kind, envelope []byte) (r Receipt, done bool) {
	switch kind {
	case order.KindStop, order.KindAttestationResult, order.KindGrant, order.KindOverride, order.KindSession, order.KindHalt, "":
	default:
		return Receipt{}, false
	}
	times, _ := o.now()
	v, err := o.verifier.Load().Verify(times, envelope)
	switch {
	case err != nil:
		return refusal(nil, err), true
	case v.Order.Kind == order.KindStop:
		return o.stop(v, times), true
	case v.Order.Kind == order.KindAttestationResult && v.Order.AttestationResult.Verdict != order.VerdictAccepted:
		return o.refused(v, times), true
	case v.Order.Kind == order.KindHalt:
		return o.halted(v, times), true
	case v.Order.Kind == order.KindGrant && v.Order.Grant.Answer != order.AnswerGranted:
		return o.answered(v, times), true
	case v.Order.Tightens():
		r = accepted(v)
		o.ends.end(v.Order, func() bool { o.authority(v, times, 0, &r); return r.Accepted })
		o.takenBack(v.Order)
		o.recordUsed(v, times, &r)
		return r, true
	}
	return Receipt{}, false
}

// claimed is the order as it says it is, unverified, an empty one for what is no order.
func claimed(envelope []byte) *order.Order {
	e, err := order.ParseEnvelope(envelope)
	if err != nil {
		return &order.Order{}
	}
	o, err := order.Decode(e.Payload)
	if err != nil {
		return &order.Order{}
	}
	return o
}

// arrival is what was so when an order came: it was signed for that, and for nothing later.
type arrival struct {
	// ends is how many orders had taken back what it is for, marks what was latched, at the boot clock's reading.
	ends  int
	marks guard.Marks
	at    time.Duration
}

func (o *orders) arrive(x *order.Order) *arrival {
	_, boot := o.now()
	return &arrival{ends: o.ends.count(x), marks: o.guard.Marks(), at: boot}
}

// stop acts first and is made durable afterwards.
func (o *orders) stop(v *order.Verified, times order.Times) Receipt {
	o.guard.Order(guard.Order{Kind: guard.OrderStop, Category: uint8(v.Order.Stop.Category), Zone: geofence.NoZone}) //nolint:gosec // 1 or 2
	o.forgetWaiting()
	r := accepted(v)
	r.Applied, r.Text = true, "the robot stops and stays stopped until an authorised reset"
	if r.Repeat = v.Repeat; v.Repeat {
		// Whoever holds a copy can send it again: a reset since holds no longer than until then.
		r.Text = fmt.Sprintf("this very order stopped the robot before, and does so whenever it comes until %s; %s", v.Order.NotAfter.Format(time.RFC3339), r.Text)
	}
	o.recordUsed(v, times, &r)
	return r
}

// recordUsed makes durable that an order is used up which has taken effect already.
func (o *orders) recordUsed(v *order.Verified, times order.Times, r *Receipt) {
	u := usedStop{times, v, make(chan error, 1)}
	late := time.NewTimer(usedStopWait)
	defer late.Stop()
	select {
	case o.used <- u:
	default:
		r.Text += "; that this order is used up could not be recorded"
		return
	}
	select {
	case err := <-u.done:
		if err != nil {
			r.Text += "; that this order is used up could not be recorded: " + err.Error()
		}
	case <-late.C:
		r.Text += "; the disk has yet to record that this order is used up"
	}
}

// loosen uses up an order, durably, and only then lets it take effect. waited is the entry of one that waited.
func (o *orders) loosen(v *order.Verified, envelope []byte, times order.Times, boot time.Duration, came *arrival, waited *waitingOrder) Receipt {
	if stale(v.Order, times, boot-o.began) {
		r := accepted(v)
		r.Accepted, r.Reason = false, "before-start"
		r.Text = "it was issued before this run of the guard and is bound to the boot alone, so it may have been taken back in the run before; " +
			"sign it again with --nonce " + o.nonce
		return r
	}
	if waited == nil {
		if r, old := o.mayBeOld(v, envelope, came); old {
			return r
		}
	}
	inForce := func() error { return nil }
	if k := v.Order.Kind; k == order.KindPolicySet || k == order.KindKeyList || k == order.KindRelease {
		var err error
		if inForce, err = o.stage(v, envelope); err != nil {
			return refusal(v, err)
		}
	}
	if err := o.ledger.Commit(times, v); err != nil {
		return refusal(v, err)
	}
	if waited != nil && !o.waiting.remove(waited) && !waited.kind.Sequenced() { // What is used up in a sequence is in force at the next start.
		r := accepted(v)
		r.Accepted, r.Reason, r.Text = false, reasonOvertaken, "something that came later has taken its place"
		return r
	}
	r := o.effect(v, times, boot, came, inForce)
	o.made(v.Order, &r)
	return r
}

// effect lets an order take effect that is used up, unless something has taken back what it is for since it came.
func (o *orders) effect(v *order.Verified, times order.Times, boot time.Duration, came *arrival, inForce func() error) Receipt {
	r := accepted(v)
	switch v.Order.Kind {
	case order.KindReset:
		o.reset(v, came, &r)
	case order.KindGrant, order.KindOverride, order.KindSession:
		permit := o.authority
		if v.Order.Kind == order.KindGrant {
			permit = o.grant
		}
		if why := o.ends.begin(v.Order, came.ends, func() { permit(v, times, boot, &r) }); why != "" {
			r.Accepted, r.Reason, r.Text = false, reasonOvertaken, why
		}
	case order.KindPolicySet, order.KindKeyList, order.KindRelease:
		if err := inForce(); err != nil {
			return refusal(v, err)
		}
		r.Applied, r.Text = true, "in force; what it loosens waits for standstill"
		if v.Order.Kind == order.KindRelease {
			r.Text = "in force; `robowarden artifact install` brings its artifacts into their slots"
		}
	case order.KindAttestationResult:
		o.attested(v, times, boot, &r)
	case order.KindStop, order.KindHalt: // Acted on before.
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

// grant lets the robot leave one zone until the grant expires, measured on the boot clock from here.
func (o *orders) grant(v *order.Verified, times order.Times, boot time.Duration, r *Receipt) {
	g := v.Order.Grant
	zone, ok := o.zones().ZoneIndex(g.Zone)
	if !ok {
		r.Accepted, r.Reason = false, "unknown-zone"
		r.Text = fmt.Sprintf("the policy in force has no zone %q", g.Zone)
		return
	}
	if k := o.zones().Zone(zone).Kind; g.Scope == order.ScopeZone && k != geofence.Release && k != geofence.Door {
		r.Accepted, r.Reason = false, "wrong-zone"
		r.Text = fmt.Sprintf("zone %q is %v: only RELEASE and DOOR zones open by a grant; scope \"egress\" lets a robot leave any", g.Zone, k)
		return
	}
	left := g.Expires.Sub(times.Civil) - times.Uncertainty
	if left <= 0 {
		r.Accepted, r.Reason, r.Text = false, string(order.Expired), "the grant has expired"
		return
	}
	if g.Scope == order.ScopeZone {
		o.lease(g, zone, boot+left, r)
		r.Text = fmt.Sprintf("%s, for %v", r.Text, left.Round(time.Second))
		return
	}
	res := o.guard.Order(guard.Order{Kind: guard.OrderGrant, Zone: zone, Expires: boot + left})
	r.Applied, r.Text = res.Applied, fmt.Sprintf("the robot may leave zone %q at creep speed for %v", g.Zone, left.Round(time.Second))
}

// lease opens a zone until the boot clock's until.
func (o *orders) lease(g *order.Grant, zone int, until time.Duration, r *Receipt) {
	l := guard.LeaseOrder{State: geofence.Granted, MaxSpeedMPS: g.MaxSpeedMPS, Once: g.SingleUse}
	for _, f := range g.Facts {
		fact, _ := geofence.ParseFact(string(f)) // the order knows the same ones, a test compares the two
		l.Facts |= fact
	}
	if info := o.zones().Zone(zone); info.Kind == geofence.Door && l.Facts&info.Facts == 0 {
		r.Accepted, r.Reason = false, "wrong-fact"
		r.Text = fmt.Sprintf("zone %q opens for %v, the grant vouches for %q", g.Zone, info.Facts, l.Facts)
		return
	}
	res := o.guard.Order(guard.Order{Kind: guard.OrderLease, Zone: zone, Expires: until, Lease: l})
	if r.Applied = res.Applied; !r.Applied {
		r.Text = fmt.Sprintf("the robot has %d leases already, or this one is over", guard.MaxSignedLeases)
		return
	}
	r.Text = fmt.Sprintf("the robot may be in zone %q at up to %v m/s", g.Zone, g.MaxSpeedMPS)
}

// answered applies an answer that grants nothing. It acts first and is made durable afterwards, as a stop does.
func (o *orders) answered(v *order.Verified, times order.Times) Receipt {
	g := v.Order.Grant
	r := accepted(v)
	zone, ok := o.zones().ZoneIndex(g.Zone)
	if !ok {
		r.Accepted, r.Reason = false, "unknown-zone"
		r.Text = fmt.Sprintf("the policy in force has no zone %q", g.Zone)
		return r
	}
	state := map[order.Answer]geofence.LeaseState{
		order.AnswerQueued: geofence.Queued, order.AnswerRejected: geofence.Rejected, order.AnswerRevoked: geofence.Revoked,
	}[g.Answer]
	o.ends.end(v.Order, func() bool {
		res := o.guard.Order(guard.Order{Kind: guard.OrderLease, Zone: zone, Lease: guard.LeaseOrder{State: state}})
		r.Applied, r.Text = res.Applied, fmt.Sprintf("zone %q is %s: the robot may not enter", g.Zone, g.Answer)
		return true
	})
	o.takenBack(v.Order)
	o.recordUsed(v, times, &r)
	return r
}

// errNoRoots is the start-up error of a robot that nobody can command.
var errNoRoots = errors.New("no root key: put the PEM public keys that the robot was enrolled with into the keys folder as roots.pem")
