package reliable

import (
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// Bytes that submessages need at most, beside a payload.
const (
	stampBytes     = 12
	dataBytes      = 24 + 3               // and padding
	relatedBytes   = 56 + 4               // two identities and the sentinel
	disposeBytes   = 24 + 20 + 8 + 4 + 28 // inline QoS and the serialised key
	fragBytes      = 36 + 3
	gapBytes       = 32
	heartbeatBytes = 32
	beatFragBytes  = 28
)

// beatFragEvery is after how many fragments of a sample that is under way the reader is told: half of what it can ask for
// in one NACK_FRAG.
const beatFragEvery = 128

// packer fills one datagram.
type packer struct {
	b              []byte
	empty          int // the length of b before anything was appended
	max            int
	reader, writer wire.EntityID
	stamp          wire.Time
}

// room tells whether n more bytes fit, with a heartbeat and a HEARTBEAT_FRAG behind them. The first submessage always does:
// a caller whose datagrams are too small would else wait forever.
func (p *packer) room(n int) bool {
	return len(p.b) == p.empty || len(p.b)+n+heartbeatBytes+beatFragBytes <= p.max
}

// stamped appends the time of a sample, if it is not what the datagram said last.
func (p *packer) stamped(t wire.Time) {
	if t != p.stamp {
		p.b, p.stamp = wire.AppendInfoTS(p.b, t), t
	}
}

// whole appends a sample as DATA; false if it does not fit.
func (p *packer) whole(s *slot) bool {
	n := stampBytes + dataBytes + len(s.buf)
	switch {
	case s.dispose:
		n += disposeBytes
	case s.hasRelated:
		n += relatedBytes
	}
	if !p.room(n) {
		return false
	}
	p.stamped(s.stamp)
	switch {
	case s.dispose:
		p.b = wire.AppendDispose(p.b, p.reader, p.writer, s.seq, s.key, s.status)
	case s.hasRelated:
		p.b = wire.AppendDataRelated(p.b, p.reader, p.writer, s.seq, s.related, s.relatedSeq, s.buf)
	default:
		p.b = wire.AppendData(p.b, p.reader, p.writer, s.seq, s.buf)
	}
	return true
}

// fragment appends one fragment, counted from 0; false if it does not fit.
func (p *packer) fragment(s *slot, k uint32, size int) bool {
	from := int(k) * size
	to := min(from+size, len(s.buf))
	if !p.room(stampBytes + fragBytes + to - from) {
		return false
	}
	p.stamped(s.stamp)
	p.b = wire.AppendDataFrag(p.b, p.reader, p.writer, s.seq, k+1, 1, uint16(size), uint32(len(s.buf)), s.buf[from:to])
	return true
}

// Next appends to b what is due for a reader now, for one datagram of at most max bytes in all; b holds the message's
// header and INFO_DST. It appends nothing if nothing is due. The datagram must have room for Overhead and
// OutboxConfig.FragmentSize.
func (o *Outbox) Next(now time.Duration, id int, b []byte, max int, reader, writer wire.EntityID) []byte {
	r := o.reader(id)
	if r == nil {
		return b
	}
	o.stall(now, r)
	p := packer{b: b, empty: len(b), max: max, reader: reader, writer: writer}
	// What is new and small comes first, for it is what the reader waits for; a large sample comes last, for there is
	// always more of it.
	fresh := o.fresh(r, &p)
	if now >= r.serveAt && r.wants() {
		o.serve(now, r, &p)
	}
	if o.fragments(r, &p) {
		fresh = true
	}
	if r.reliable {
		o.heartbeat(now, r, &p, fresh)
	}
	return p.b
}

// fresh appends new samples that go out whole; it tells whether the reader has all of them now.
func (o *Outbox) fresh(r *reader, p *packer) (all bool) {
	any := false
	for {
		s := o.pending(r)
		if s == nil {
			return any
		}
		if len(s.buf) > o.cfg.FragmentSize || !p.whole(s) {
			return false
		}
		r.sent, any = s.seq, true
	}
}

// pending is the next sample that has not gone out to a reader yet; nil if there is none.
func (o *Outbox) pending(r *reader) *slot {
	n := o.history.from(r.sent + 1)
	if n > r.sent+1 {
		// What there was in between is gone; so is a sample of which some fragments were sent. If nothing else comes, a
		// heartbeat has to tell.
		r.sent, r.frag = n-1, 0
		if r.reliable && !r.stalled {
			r.beat(0)
		}
	}
	return o.history.find(n)
}

// fragments appends fragments of a new large sample; it tells whether they were the last.
func (o *Outbox) fragments(r *reader, p *packer) (all bool) {
	s := o.pending(r)
	if s == nil || len(s.buf) <= o.cfg.FragmentSize {
		return false
	}
	for n := s.frags(o.cfg.FragmentSize); r.frag < n; {
		if !p.fragment(s, r.frag, o.cfg.FragmentSize) {
			return false
		}
		r.frag++
		if r.reliable && !r.stalled && r.frag%beatFragEvery == 0 && r.frag < n {
			o.beats++
			p.b = wire.AppendHeartbeatFrag(p.b, p.reader, p.writer, s.seq, r.frag, o.beats)
			return false
		}
	}
	r.sent, r.frag = s.seq, 0
	return o.pending(r) == nil
}

// serve repeats what a reader asked for, or tells it that it is gone.
func (o *Outbox) serve(now time.Duration, r *reader, p *packer) {
	if !o.serveFrags(r, p) || !o.serveWhole(r, p) {
		return
	}
	wait := o.cfg.ResendAfter << min(max(0, r.rounds-freeRounds), 20)
	r.serveAt = now + min(wait, o.cfg.HeartbeatMax)
	r.rounds++
	r.beat(now)
}

// serveFrags repeats fragments; false if the datagram is full before all are done.
func (o *Outbox) serveFrags(r *reader, p *packer) bool {
	for k := range r.frags {
		w := &r.frags[k]
		if w.seq == 0 {
			continue
		}
		s := o.history.find(w.seq)
		if s == nil {
			r.wantWhole(w.seq)
			*w = fragWant{}
			continue
		}
		for bit, ok := lowest(&w.set.Map); ok; bit, ok = lowest(&w.set.Map) {
			if !p.fragment(s, w.set.Base+uint32(bit)-1, o.cfg.FragmentSize) {
				return false
			}
			o.stats.Resent++
			clearBit(&w.set.Map, uint32(bit))
		}
		*w = fragWant{}
	}
	return true
}

// serveWhole repeats samples; false if the datagram is full before all are done.
func (o *Outbox) serveWhole(r *reader, p *packer) bool {
	for bit, ok := lowest(&r.want.Map); ok; bit, ok = lowest(&r.want.Map) {
		n := r.want.Base + wire.SeqNum(bit)
		s := o.history.find(n)
		if n < r.start || s == nil {
			if !o.gap(r, p, n) {
				return false
			}
			continue
		}
		if !o.repeat(r, p, s) {
			return false
		}
		o.stats.Resent++
		clearBit(&r.want.Map, uint32(bit))
		r.wantFrag = 0
	}
	return true
}

// repeat appends a sample, or what is left of its fragments; false if it does not fit.
func (o *Outbox) repeat(r *reader, p *packer, s *slot) bool {
	n := s.frags(o.cfg.FragmentSize)
	if n == 1 {
		return p.whole(s)
	}
	for ; r.wantFrag < n; r.wantFrag++ {
		if !p.fragment(s, r.wantFrag, o.cfg.FragmentSize) {
			return false
		}
	}
	return true
}

// gap tells that the samples from n up to the next one there will not come; false if it does not fit.
func (o *Outbox) gap(r *reader, p *packer, n wire.SeqNum) bool {
	if !p.room(gapBytes) {
		return false
	}
	to := r.start
	if n >= r.start {
		to = min(o.history.from(n), r.sent+1)
	}
	if n < to {
		o.stats.Gaps++
		p.b = wire.AppendGap(p.b, p.reader, p.writer, n, &wire.SeqSet{Base: to})
	}
	// Whatever was told, n is done with.
	for k := n; k < max(to, n+1) && k-r.want.Base < wire.MaxSetBits; k++ {
		clearBit(&r.want.Map, uint32(k-r.want.Base))
	}
	return true
}

// heartbeat appends one if it is due, or if the reader has been sent all that is new.
func (o *Outbox) heartbeat(now time.Duration, r *reader, p *packer, fresh bool) {
	periodic := r.beatDue && now >= r.beatAt
	if !fresh && !periodic {
		return
	}
	if !r.heard && r.start > 1 && p.room(gapBytes) {
		// A latecomer takes what was before as none of its business, rather than as lost.
		p.b = wire.AppendGap(p.b, p.reader, p.writer, 1, &wire.SeqSet{Base: r.start})
		o.stats.Gaps++
	}
	first := min(o.history.from(r.start), r.sent+1)
	o.beats++
	o.stats.Heartbeats++
	p.b = wire.AppendHeartbeat(p.b, p.reader, p.writer, first, r.sent, o.beats, false, false)
	r.beatDue, r.beatLast = false, now
	if fresh {
		r.beatWait = o.cfg.HeartbeatEvery
	}
	if r.owes() && !r.stalled {
		r.beat(now + r.beatWait)
		if periodic && !fresh {
			r.beatWait = min(2*r.beatWait, o.cfg.HeartbeatMax)
		}
	}
}

// Due is the time at which Next wants to be called for a reader, in the past if at once; ok is false if never, until
// something happens.
func (o *Outbox) Due(id int) (at time.Duration, ok bool) {
	r := o.reader(id)
	if r == nil {
		return 0, false
	}
	if r.sent < o.history.last {
		return 0, true
	}
	at, ok = r.beatAt, r.beatDue
	if r.wants() && (!ok || r.serveAt < at) {
		at, ok = r.serveAt, true
	}
	return at, ok
}
