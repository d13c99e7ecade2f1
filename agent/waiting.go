package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
)

// A disk that was set back has forgotten which orders were used up, and lets each of them count once more. So an order that can loosen
// something counts at once only if it cannot have been used before this run: a TPM has proven in this run that the record is the newest,
// or the order names the nonce that the guard drew when it started. Any other one waits here, in memory, until the record is proven, the
// order runs out, something takes back what it was signed for, or the guard ends. What tightens never comes here.

// Bounds of what waits.
const (
	maxWaiting      = 8
	maxWaitingBytes = 8 << 20 // one policy of the largest size, and others
)

// Reasons of receipts for orders that may have been used before, or that something later has taken the place of.
const (
	// ReasonWaits: it counts later, if the record is proven in time.
	ReasonWaits = "waits"
	// reasonUnproven: it does not wait, since there is no room or the disk was set back.
	reasonUnproven  = "state-unproven"
	reasonOvertaken = "overtaken"
)

// setBackText comes before the nonce.
const setBackText = "the disk was set back, so it may have been used before; sign it again with --nonce "

// waitingOrder is an order that waits, as it was when it came.
type waitingOrder struct {
	envelope []byte
	digest   [sha256.Size]byte
	kind     order.Kind
	signers  []string
	// about are the things that it is for, empty for everything of its kind; until is when it runs out.
	about []string
	until time.Time
	// sequence and issued say which of two is the newer one.
	sequence uint64
	issued   time.Time
	came     *arrival
	// told is true once somebody has said what became of it.
	told atomic.Bool
}

// waiting are the orders that wait. The lock is never held over anything that may block. The zero value is ready to use.
type waiting struct {
	mu    sync.Mutex
	list  []*waitingOrder
	bytes int
}

// add takes an order, and says which entry waits now, nil if there is no room. Of two envelopes with the same order the one with more
// signatures waits, as of when the first one came.
func (q *waiting) add(w *waitingOrder) (kept *waitingOrder) {
	q.mu.Lock()
	defer q.mu.Unlock()
	place, bytesLeft := len(q.list), maxWaitingBytes-q.bytes
	if i := slices.IndexFunc(q.list, func(x *waitingOrder) bool { return x.digest == w.digest }); i >= 0 {
		was := q.list[i]
		if bytesLeft += len(was.envelope); len(w.signers) <= len(was.signers) || len(w.envelope) > bytesLeft {
			return was
		}
		w.came, place = was.came, i
	}
	if place == maxWaiting || len(w.envelope) > bytesLeft {
		return nil
	}
	w.envelope = bytes.Clone(w.envelope)
	if q.bytes = maxWaitingBytes - bytesLeft + len(w.envelope); place == len(q.list) {
		q.list = append(q.list, w)
	}
	q.list[place] = w
	return w
}

// remove takes one out, false if it was gone.
func (q *waiting) remove(w *waitingOrder) bool {
	return len(q.drop(func(x *waitingOrder) bool { return x == w })) > 0
}

// drop takes out those that match.
func (q *waiting) drop(match func(*waitingOrder) bool) (out []*waitingOrder) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = slices.DeleteFunc(q.list, func(x *waitingOrder) bool {
		if !match(x) {
			return false
		}
		out, q.bytes = append(out, x), q.bytes-len(x.envelope)
		return true
	})
	return out
}

func (q *waiting) has(w *waitingOrder) bool { return slices.Contains(q.all(), w) }

func (q *waiting) all() []*waitingOrder {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.list)
}

// about names what an order is for, nothing if that is everything of its kind.
func about(x *order.Order) []string {
	switch {
	case x.Reset != nil:
		return x.Reset.Triggers
	case x.Grant != nil && x.Grant.Scope == order.ScopeEgress:
		return []string{"egress " + x.Grant.Zone}
	}
	return subjects(x)
}

// runsOut is when an order surely has no effect any more.
func runsOut(x *order.Order) time.Time {
	end := x.NotAfter
	for _, body := range []time.Time{grantEnd(x), overrideEnd(x), sessionEnd(x)} {
		if !body.IsZero() && body.Before(end) {
			end = body
		}
	}
	return end
}

func grantEnd(x *order.Order) (t time.Time) {
	if x.Grant != nil {
		t = x.Grant.Expires
	}
	return t
}

func overrideEnd(x *order.Order) (t time.Time) {
	if x.Override != nil {
		t = x.Override.Expires
	}
	return t
}

func sessionEnd(x *order.Order) (t time.Time) {
	if x.Session != nil {
		t = x.Session.Expires
	}
	return t
}

// proven says whether the record of used orders is the newest, and why nobody knows.
func (o *orders) proven() (state guard.AgeState, why string) {
	if o.age == nil {
		return guard.AgeUnsaid, "nobody has said how old the state on disk is"
	}
	return o.age.finding()
}

// mayBeOld keeps an order that may have been used up before this run, and says what becomes of it. One that is bound to this run of the
// guard cannot have been.
func (o *orders) mayBeOld(v *order.Verified, envelope []byte, came *arrival) (r Receipt, old bool) {
	state, why := o.proven()
	if v.Order.Binding.Nonce != "" || state == guard.AgeProven {
		return Receipt{}, false
	}
	r = accepted(v)
	r.Accepted, r.Reason = false, reasonUnproven
	doubt := fmt.Sprintf("nobody can tell whether this %s was used up before the guard started (%s)", v.Order.Kind, why)
	again := fmt.Sprintf("sign it again with --nonce %s, which `robowarden status` shows", o.nonce)
	if state == guard.AgeSetBack {
		r.Text = fmt.Sprintf("%s, and the disk was set back; %s", doubt, again)
		return r, true
	}
	w := &waitingOrder{
		envelope: envelope, digest: v.Digest, kind: v.Order.Kind, signers: r.Signers, about: about(v.Order), until: runsOut(v.Order),
		sequence: v.Order.Sequence, issued: v.Order.NotBefore, came: came,
	}
	kept := o.waiting.add(w)
	if kept == nil {
		r.Text = fmt.Sprintf("%s, and there is no room for another one that waits; %s", doubt, again)
		return r, true
	}
	r.Reason = ReasonWaits
	r.Text = fmt.Sprintf("%s: it waits, signed by %s. To have it count now, %s. Otherwise it counts if a TPM proves the record before %s, and is forgotten when the guard ends",
		doubt, strings.Join(kept.signers, ", "), again, w.until.Format(time.RFC3339))
	return r, true
}

// WaitingStatus is an order that waits until the record of used orders is proven to be the newest.
type WaitingStatus struct {
	Kind    string   `json:"kind"`
	Digest  string   `json:"digest"`
	Signers []string `json:"signers"`
	// Until is when it runs out, UTC.
	Until string `json:"until"`
}

func (o *orders) waitingStatus() (out []WaitingStatus) {
	for _, w := range o.waiting.all() {
		out = append(out, WaitingStatus{Kind: string(w.kind), Digest: hex.EncodeToString(w.digest[:]), Signers: w.signers, Until: w.until.Format(time.RFC3339)})
	}
	return out
}
