package agent

import (
	"cmp"
	"context"
	"encoding/hex"
	"math"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/interlock"
)

// waitLook is how often somebody looks whether what waits may count.
const waitLook = time.Second

// lookAfterWaiting lets what waits count once it may, until ctx ends. It may wait for the disk.
func (o *orders) lookAfterWaiting(ctx context.Context) error {
	t := time.NewTicker(waitLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			for _, w := range o.waiting.all() {
				o.giveUp(w, reasonUnproven, "the guard ended before a TPM had proven the record of used orders; sign it again")
			}
			return nil
		case <-t.C:
		}
		o.goOn()
	}
}

// goOn looks at everything that waits once, the newest first: it goes before an older one for the same.
func (o *orders) goOn() {
	list := o.waiting.all()
	slices.Reverse(list) // what came last is the newer of two of the same second
	slices.SortStableFunc(list, newestFirst)
	for _, w := range list {
		if reason, text := o.lapsed(w); reason != "" {
			o.giveUp(w, reason, text)
		} else if state, _ := o.proven(); state == guard.AgeProven {
			o.proceed(w)
		}
	}
}

// newestFirst compares orders that wait. Key lists come before all others: whose key is on it no more, that order counts no more.
func newestFirst(a, b *waitingOrder) int {
	rank := func(w *waitingOrder) int {
		if i := slices.Index([]order.Kind{order.KindKeyList, order.KindPolicySet, order.KindRelease}, w.kind); i >= 0 {
			return i
		}
		return math.MaxInt
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.sequence, a.sequence), b.issued.Compare(a.issued))
}

// lapsed says why an order that waits must not count any more, nothing if it still may.
func (o *orders) lapsed(w *waitingOrder) (reason, text string) {
	state, _ := o.proven()
	times, _ := o.now()
	switch {
	case state == guard.AgeSetBack:
		return reasonUnproven, setBackText + o.nonce
	case times.Trust != order.Untrusted && !times.Civil.Add(times.Uncertainty).Before(w.until):
		return string(order.Expired), "it ran out while it waited for a TPM to prove the record of used orders; sign it again with --nonce " + o.nonce
	case w.kind.Sequenced() || w.kind == order.KindReset: // No latch is in a policy's way, and a reset spares what has fired since.
	default:
		if now := o.guard.Marks(); w.came.marks.Fired(&now) {
			return reasonOvertaken, stopText
		}
	}
	return "", ""
}

// giveUp refuses an order that waited, unless it is gone.
func (o *orders) giveUp(w *waitingOrder, reason, text string) {
	if o.waiting.remove(w) {
		o.tell(w, Receipt{Reason: reason, Text: text})
	}
}

// proceed judges an order that waited once more, and lets it take effect. Where too many orders are being served it stays.
func (o *orders) proceed(w *waitingOrder) {
	if !o.turn.enter() {
		return
	}
	defer o.turn.leave()
	if !o.waiting.has(w) {
		return // Something took its place, and has said so; it must not be used up now.
	}
	if reason, text := o.lapsed(w); reason != "" {
		o.giveUp(w, reason, text)
		return
	}
	times, boot := o.now()
	v, err := o.verifier.Load().Verify(times, w.envelope)
	if order.ReasonOf(err) == order.ClockUntrusted {
		return // It can be judged once the clock is right again, and runs out in any case.
	}
	var r Receipt
	if err != nil {
		r = refusal(nil, err)
	} else {
		r = o.loosen(v, w.envelope, times, boot, w.came, w)
	}
	o.waiting.remove(w)
	o.tell(w, r)
}

// tell notes what became of an order that waited, once.
func (o *orders) tell(w *waitingOrder, r Receipt) {
	if w.told.Swap(true) {
		return
	}
	r.Digest, r.Kind, r.Signers = hex.EncodeToString(w.digest[:]), string(w.kind), w.signers
	o.note(&r)
	o.log.Warn().Str(keyKind, r.Kind).Str(keyDigest, r.Digest).Str(keyReason, r.Reason).Bool("applied", r.Applied).Msg("an order that waited: " + r.Text)
}

// stopText is for what somebody signed who had not seen what the robot has been stopped for since.
const stopText = "the robot was stopped while it waited; look at it and sign it again"

// forgetWaiting drops what somebody who stops the robot cannot have meant to happen afterwards. Policies, key lists and releases stay:
// they take no latch away.
func (o *orders) forgetWaiting() {
	for _, w := range o.waiting.drop(func(w *waitingOrder) bool { return !w.kind.Sequenced() }) {
		o.tell(w, Receipt{Reason: reasonOvertaken, Text: stopText})
	}
}

// takenBack drops what waits for something that an order has just taken back.
func (o *orders) takenBack(x *order.Order) {
	for _, w := range o.waiting.drop(func(w *waitingOrder) bool { return w.kind == x.Kind && overlap(w.about, subjects(x)) }) {
		o.tell(w, Receipt{Reason: reasonOvertaken, Text: "an order took the same back while it waited; sign it again"})
	}
}

// replaced drops what waits for the same as an order that has just taken effect, and is no newer: somebody has signed it again.
func (o *orders) replaced(x *order.Order) {
	for _, w := range o.waiting.drop(func(w *waitingOrder) bool { return w.same(x) && !w.newer(x) }) {
		o.tell(w, Receipt{Reason: reasonOvertaken, Text: "another order for the same has taken effect while it waited"})
	}
}

// made drops what an order has taken the place of, if it took effect. Where a second person has to ask for some of the same, that order
// may wait already, and stays.
func (o *orders) made(x *order.Order, r *Receipt) {
	for _, outcome := range r.Triggers {
		if outcome == interlock.ResetSecondPerson.String() {
			return
		}
	}
	if r.Applied {
		o.replaced(x)
	}
}

// same says whether w is about something that x is about.
func (w *waitingOrder) same(x *order.Order) bool {
	things := about(x)
	return w.kind == x.Kind && (len(things) == 0 || len(w.about) == 0 || overlap(w.about, things))
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// newer says whether w is to count after x.
func (w *waitingOrder) newer(x *order.Order) bool {
	if x.Kind.Sequenced() {
		return w.sequence > x.Sequence
	}
	return w.issued.After(x.NotBefore)
}
