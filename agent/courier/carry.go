package courier

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// carrying is the part of the loop's state that lies between network and guard.
type carrying struct {
	head        contract.Head
	signedHead  contract.Head // of the last checkpoint
	signedAt    time.Duration
	wanted      uint64 // evidence that waits for a checkpoint
	signing     bool
	orders      []arrival
	acks        []arrival // the newest of each log and boot
	ackedAt     time.Duration
	pauseUntil  time.Duration // the guard is busy
	claimAt     time.Duration
	claimed     contract.Session
	receiptsOut []*parcel // receipts that the broker has not taken
	unsigned    []unsigned

	proof         *proof // the worker's
	attester      *evidence.Attester
	docs          *order.Verifier
	docsFault     error
	lists         [][]byte // the key lists that the guard has told
	lastChallenge string   // why the last one was refused
}

// pending is a frame that the guard has not answered.
type pending struct {
	arrival
	what  byte // the frame's type
	since time.Duration
}

// Bounds of what waits for the guard.
const (
	maxOrders     = 8
	maxAcks       = 32
	maxAtOnce     = 2 // the guard takes four; tools and the bus need room as well
	maxAckBytes   = 32 << 10
	ackEvery      = 220 * time.Millisecond // the guard looks at five signatures a second
	statusEvery   = time.Second
	busyPause     = time.Second
	checkEvery    = time.Second
	checkAtLeast  = time.Minute
	maxOrderBytes = contract.MaxDocument
)

// newGuardSide prepares the connection to the guard.
func (l *loop) newGuardSide() *guardSide {
	return &guardSide{
		clock: l.clock, socket: l.c.dep.Paths.ControlSocket, program: "robowarden courier " + l.c.o.Version,
		pause:  backoff{first: 500 * time.Millisecond, most: 10 * time.Second, random: l.session.pause.random},
		events: l.guardEvents, frames: l.frames,
	}
}

// onGuard takes what the connection to the guard says.
func (l *loop) onGuard(ctx context.Context, e guardEvent) error {
	switch {
	case e.welcome != nil:
		return l.welcomed(ctx, e.welcome)
	case e.frame != nil:
		l.onFrame(e.frame)
	case l.welcome != nil || l.guardFault != e.down.Error():
		l.guardFault = e.down.Error()
		l.note(KindGuard, Change{State: "down", Detail: clip(e.down.Error())})
		l.log.Warn().Err(e.down).Msg("no connection to the guard")
		l.welcome, l.status, l.stateDue = nil, nil, true
		l.reportsUnattested = false
		l.c.clock.told("")
		for _, p := range l.waiting {
			l.unanswered(p)
		}
		clear(l.waiting)
	}
	return nil
}

func (l *loop) welcomed(ctx context.Context, w *contract.Welcome) error {
	if l.writer.robot != "" && l.writer.robot != w.Robot {
		l.c.cursor.Robot, l.dirty = w.Robot, true
		return fmt.Errorf("%w: expected %s as before, the guard says %s", errRobot, l.writer.robot, w.Robot)
	}
	if l.nonce != w.Nonce {
		l.session.reset()
		l.noKey()
		l.nonce, l.head = w.Nonce, contract.Head{}
		l.signedHead, l.wanted = contract.Head{}, 0
	}
	l.welcome, l.guardFault, l.claimAt = w, "", 0
	l.attesterFor(w)
	l.note(KindGuard, Change{State: "up", Detail: w.Nonce})
	if l.c.cursor.Robot != w.Robot {
		l.c.cursor.Robot, l.dirty = w.Robot, true
	}
	l.log.Info().Str("robot", w.Robot).Msg("connected to the guard")
	return l.connect(ctx, w.Robot)
}

// onFrame takes one frame of the guard. What cannot be read is dropped: the guard is not believed blindly either.
func (l *loop) onFrame(f *contract.Frame) {
	switch f.Type {
	case contract.FrameHead:
		var h contract.Head
		if f.Into(&h) == nil {
			l.head = h
		}
	case contract.FrameKeys:
		var k contract.Keys
		if f.Into(&k) == nil && l.welcome != nil {
			l.newKeys(l.welcome, k.Lists)
		}
	case contract.FrameCounterRequest:
		var q contract.CounterRequest
		if f.Into(&q) == nil {
			l.askCounter(&q)
		}
	case contract.FrameStatus:
		if json.Valid(f.Body) {
			l.gotStatus(f.Body)
		}
	case contract.FrameReceipt:
		p, ok := l.waiting[f.ID]
		delete(l.waiting, f.ID)
		var r contract.Receipt
		if ok && f.Into(&r) == nil {
			l.answered(p, f.Body, &r)
		}
	case contract.FrameError:
		p, ok := l.waiting[f.ID]
		delete(l.waiting, f.ID)
		l.pauseUntil = l.clock.Boot() + busyPause
		if ok {
			l.unanswered(p)
		}
	}
}

// unanswered puts a frame back that the guard did not take.
func (l *loop) unanswered(p pending) {
	switch {
	case p.what == contract.FrameOrder && len(l.orders) < 2*maxOrders:
		l.orders = append([]arrival{p.arrival}, l.orders...)
	case p.what == contract.FrameAcknowledged && len(l.acks) < maxAcks:
		for _, a := range l.acks {
			if a.topic == p.topic {
				return // a newer one waits
			}
		}
		l.acks = append([]arrival{p.arrival}, l.acks...)
	}
}

// onArrival sorts what came from the network.
func (l *loop) onArrival(a arrival) {
	l.net.held.Add(-int64(len(a.payload)))
	now := l.clock.Boot()
	switch topic := strings.TrimPrefix(a.topic, l.net.base); {
	case topic == TopicChallenge:
		l.challenge(now, a.payload)
	case (topic == TopicOrder || topic == TopicResult) && len(a.payload) <= maxOrderBytes && len(l.orders) < maxOrders:
		a.topic = topic
		l.orders = append(l.orders, a)
	case topic == TopicApproval && l.c.cfg.BoundKey != nil:
		l.approval(a.payload)
	case topic == TopicAcknowledgement && !l.recovering() && len(a.payload) <= maxAckBytes:
		l.queueAck(a)
	default:
		l.note(KindCarried, Carried{Topic: clip(topic), Digest: fingerprint(a.payload), Reason: "not-carried"})
	}
}

// readAck reads what an acknowledgement says. It is believed only after the guard has verified the envelope, and that it
// can be read in one way only.
func readAck(envelope []byte) (*order.Acknowledgement, error) {
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     []byte `json:"payload"`
	}
	if err := json.Unmarshal(envelope, &e); err != nil {
		return nil, err
	}
	if e.PayloadType != order.AcknowledgementType {
		return nil, fmt.Errorf("expected a document of type %s, found %q", order.AcknowledgementType, clip(e.PayloadType))
	}
	return order.DecodeAcknowledgement(e.Payload)
}

// ackKey says what an acknowledgement is about, as far as it can be read.
func ackKey(envelope []byte) string {
	a, err := readAck(envelope)
	if err != nil {
		return ""
	}
	return a.Log + " " + a.BootID
}

// queueAck keeps the newest acknowledgement of each log and boot: it covers the ones before. Somebody who forges can push a
// good one aside that way, which he could as well by holding it back; the consumer acknowledges again.
func (l *loop) queueAck(a arrival) {
	a.topic = ackKey(a.payload)
	for i := range l.acks {
		if l.acks[i].topic == a.topic {
			l.acks[i] = a
			return
		}
	}
	if len(l.acks) == maxAcks {
		l.acks = l.acks[1:]
	}
	l.acks = append(l.acks, a)
}

// frame hands one frame over, never waiting.
func (l *loop) frame(f contract.Frame) bool {
	select {
	case l.frames <- f:
		return true
	default:
		return false
	}
}

// ask hands over a frame that the guard answers.
func (l *loop) ask(now time.Duration, f contract.Frame, a arrival) bool {
	for l.lastID++; l.lastID == 0; l.lastID++ {
	}
	f.ID = l.lastID
	if !l.frame(f) {
		return false
	}
	l.waiting[f.ID] = pending{arrival: a, what: f.Type, since: now}
	return true
}

// toGuard carries what waits, as fast as the guard likes it.
func (l *loop) toGuard(now time.Duration) {
	count := map[byte]int{}
	for id, p := range l.waiting {
		if now-p.since >= answerWait {
			delete(l.waiting, id)
			l.unanswered(p)
			continue
		}
		count[p.what]++
	}
	if l.welcome == nil || now < l.pauseUntil {
		return
	}
	for len(l.orders) > 0 && count[contract.FrameOrder] < maxAtOnce {
		a := l.orders[0]
		if l.withheld(a) {
			l.orders = l.orders[1:]
			continue
		}
		if !l.ask(now, contract.Frame{Type: contract.FrameOrder, Body: a.payload}, a) {
			return
		}
		l.orders = l.orders[1:]
		count[contract.FrameOrder]++
	}
	if len(l.acks) > 0 && count[contract.FrameAcknowledged] == 0 && now-l.ackedAt >= ackEvery {
		a := l.acks[0]
		l.ackedAt = now
		l.acks = l.acks[1:]
		if f, err := contract.New(0, &contract.Acknowledged{Envelope: a.payload}); err == nil {
			l.ask(now, f, a)
		}
	}
	if now-l.statusAt >= statusEvery {
		l.statusAt = now
		l.frame(contract.Frame{Type: contract.FrameStatusRequest, ID: 1})
	}
	l.claim(now)
}

// withheld says whether a result stays here: in recovery none that accepts goes to the guard. A verifier signs none for a recovery that it knows;
// one that has the robot's record of before would, since what is the recovery's key now was the robot's own then.
func (l *loop) withheld(a arrival) bool {
	if a.topic != TopicResult || !l.recovering() || refuses(a.payload) {
		return false
	}
	l.note(KindCarried, Carried{Topic: a.topic, Digest: fingerprint(a.payload), Reason: "in-recovery"})
	if p := l.session.phase; p == phaseResult || p == phasePiece {
		l.session.detail = "in recovery no result accepts: the verifier has an older record of the robot"
		l.session.rest(l.clock.Boot())
	}
	return true
}

// refuses says whether this reads as a result that refuses. Whether it is one, the guard judges.
func refuses(envelope []byte) bool {
	e, err := order.ParseEnvelope(envelope)
	if err != nil {
		return false
	}
	o, err := order.Decode(e.Payload)
	return err == nil && o.AttestationResult != nil && o.AttestationResult.Verdict == order.VerdictRefused
}

// claim tells the guard how the session stands. The claim is unsigned, so it can only make things stricter.
func (l *loop) claim(now time.Duration) {
	state, detail := l.session.claim(now)
	c := contract.Session{State: state, Detail: clip(detail), Connected: l.up, LeaseMS: claimLease.Milliseconds()}
	if c == l.claimed && now-l.claimAt < claimEvery {
		return
	}
	if f, err := contract.New(0, &c); err == nil && l.frame(f) {
		l.claimed, l.claimAt = c, now
	}
}

// answered takes the guard's answer to an order, a result or an acknowledgement.
func (l *loop) answered(p pending, raw []byte, r *contract.Receipt) {
	switch {
	case !r.Accepted && r.Reason == contract.FailureBusy:
		l.pauseUntil = l.clock.Boot() + busyPause
		l.unanswered(p)
	case p.what == contract.FrameAcknowledged:
		if !r.Accepted {
			l.badAcks++
			l.refusedAck(p, r)
			return
		}
		l.acknowledge(p.payload)
	case p.topic == TopicResult:
		l.note(KindCarried, Carried{Topic: p.topic, Digest: fingerprint(p.payload), Accepted: r.Accepted, Reason: r.Reason})
		l.judged(p.payload, r)
	default:
		l.note(KindCarried, Carried{Topic: p.topic, Digest: fingerprint(p.payload), Accepted: r.Accepted, Reason: r.Reason})
		l.receipt(raw, r)
	}
}

// refusedAck notes a refusal of acknowledgements, once for each reason in a row: somebody may send many.
func (l *loop) refusedAck(p pending, r *contract.Receipt) {
	if r.Reason == l.ackFault {
		return
	}
	l.ackFault = r.Reason
	l.note(KindCarried, Carried{Topic: TopicAcknowledgement, Digest: fingerprint(p.payload), Reason: r.Reason})
	l.log.Warn().Str("reason", r.Reason).Str("text", r.Text).Msg("the guard does not accept an acknowledgement")
}

// acknowledge moves a stream. The guard has verified the envelope, and that it can be read in one way only.
func (l *loop) acknowledge(envelope []byte) {
	a, err := readAck(envelope)
	if err != nil || a.Robot != l.writer.robot {
		return
	}
	p := evidencelog.Position{Seq: a.Seq}
	if p.BootID, err = evidencelog.ParseBoot(a.BootID); err != nil {
		return
	}
	if n, err := hex.Decode(p.Digest[:], []byte(a.Digest)); err != nil || n != len(p.Digest) {
		return
	}
	l.ackFault = ""
	for _, s := range l.streams {
		if s != nil && s.log == a.Log {
			to, err := s.ack(l.clock.Boot(), p)
			l.moved(s, to, err)
		}
	}
}

// receipt signs the guard's answer and sends it up.
//
// An order may come before the device key is open, since the broker keeps it for a courier that starts anew: its receipt
// waits for the key.
func (l *loop) receipt(raw []byte, r *contract.Receipt) {
	id, robot, boot := l.identity.Load(), l.writer.robot, l.c.boot // Guard and courier run in the same boot.
	sign := func() func() {
		signature, err := id.sign(ReceiptSigned(robot, boot, raw))
		return func() {
			if err != nil {
				l.log.Error().Err(err).Msg("a receipt could not be signed")
				return
			}
			m := &ReceiptMessage{BootID: evidencelog.FormatBoot(boot), Receipt: raw, Outcome: *r, KeyID: id.keyID, Signature: signature}
			if p := l.parcel(TopicReceipt, "", m, tag{receipt: true}); p != nil && len(l.receipts) < maxReceipts {
				l.receipts = append(l.receipts, p)
			}
		}
	}
	if id != nil && id.recovery == "" && l.try(sign) || len(l.unsigned) >= maxReceipts {
		return // What finds no room is in the guard's journal.
	}
	l.unsigned = append(l.unsigned, unsigned{raw, r})
}

// unsigned is a receipt that waits for the device key, or for its turn.
type unsigned struct {
	raw     []byte
	receipt *contract.Receipt
}

// signReceipts tries the receipts that wait once more.
func (l *loop) signReceipts() {
	if id := l.identity.Load(); id == nil || id.recovery != "" {
		return
	}
	waiting := l.unsigned
	l.unsigned = nil
	for _, u := range waiting {
		l.receipt(u.raw, u.receipt)
	}
}
