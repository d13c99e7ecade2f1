package reliable

import (
	"math/bits"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

const (
	// maxFragWants is how many NACK_FRAG of one reader are kept at once: 1024 fragments.
	maxFragWants = 4
	// freeRounds is how many repetitions without an acknowledgement come at the least pause; then it doubles. Under 60 %
	// loss a sample of 900 kB in frames needs about 14.
	freeRounds = 16
)

// reader is the state of one matched reader.
type reader struct {
	matched, reliable, stalled, heard bool

	start wire.SeqNum // what is below is not for it
	sent  wire.SeqNum // what is up to here has gone out once
	frag  uint32      // so many fragments of the one after sent have gone out
	acked wire.SeqNum // what is below has been acknowledged

	want     wire.SeqSet // samples to repeat
	wantFrag uint32      // so many fragments of the lowest of them have been repeated
	frags    [maxFragWants]fragWant
	serveAt  time.Duration // repetitions not before
	rounds   int           // repetitions since it last acknowledged something new

	alive    time.Duration // when it was last heard of, or began to owe an acknowledgement
	beatDue  bool
	beatAt   time.Duration
	beatWait time.Duration
	beatLast time.Duration

	acks, nacks counter
}

// fragWant is a set of fragments to repeat, of seq; 0 for none.
type fragWant struct {
	seq wire.SeqNum
	set wire.FragSet
}

// owes tells whether something that went out to a reliable reader is not acknowledged, or nothing was heard of it yet.
func (r *reader) owes() bool { return !r.heard || r.acked <= r.sent }

// beat makes a heartbeat due at t, if it is not due before.
func (r *reader) beat(t time.Duration) {
	if !r.beatDue || t < r.beatAt {
		r.beatDue, r.beatAt = true, t
	}
}

// life notes that a reader was heard of.
func (r *reader) life(now time.Duration) {
	r.alive, r.heard, r.stalled = now, true, false
}

// wants tells whether something is to be repeated.
func (r *reader) wants() bool {
	if !r.want.Empty() {
		return true
	}
	for k := range r.frags {
		if r.frags[k].seq != 0 {
			return true
		}
	}
	return false
}

// AckNack takes a reader's ACKNACK. What it says about samples that there never were is passed over.
func (o *Outbox) AckNack(now time.Duration, id int, s *wire.Submessage) {
	r := o.reader(id)
	if r == nil || !r.reliable {
		return
	}
	base := max(s.Set.Base, 1)
	if base > r.sent+1 {
		o.stats.BadAcks++
		return
	}
	if !r.acks.fresh(now, s.Count) {
		return
	}
	r.life(now)
	base = max(base, r.start)
	switch {
	case base > r.acked:
		r.acked, r.rounds, r.beatWait = base, 0, o.cfg.HeartbeatEvery
	case !s.Set.Empty():
		// It says that it lacks what it had acknowledged, or what somebody else acknowledged in its name.
		r.acked = base
	}
	o.ask(r, &s.Set)
	switch {
	case r.acked > r.sent && r.want.Empty() && s.Final:
		r.beatDue = false
	case !s.Final && r.want.Empty():
		r.beat(max(now, r.beatLast+o.cfg.ResendAfter))
	case r.owes():
		r.beat(now + r.beatWait)
	}
}

// ask takes the samples to repeat from an ACKNACK, in place of what was asked for before.
func (o *Outbox) ask(r *reader, set *wire.SeqSet) {
	before, ok := lowest(&r.want.Map)
	old := r.want.Base + wire.SeqNum(before)
	r.want = wire.SeqSet{Base: set.Base}
	for k := range r.frags {
		if r.frags[k].seq < set.Base {
			r.frags[k] = fragWant{}
		}
	}
	for n := range set.All() {
		if n >= 1 && n <= r.sent {
			r.want.Add(n)
		}
	}
	// A repetition that is under way goes on, rather than begin again and again.
	if after, still := lowest(&r.want.Map); !ok || !still || r.want.Base+wire.SeqNum(after) != old {
		r.wantFrag = 0
	}
}

// NackFrag takes a reader's NACK_FRAG.
func (o *Outbox) NackFrag(now time.Duration, id int, s *wire.Submessage) {
	r := o.reader(id)
	if r == nil || !r.reliable {
		return
	}
	under := s.Seq == r.sent+1 && r.frag > 0
	if s.Seq < 1 || s.Seq > r.sent && !under {
		o.stats.BadAcks++
		return
	}
	if !r.nacks.fresh(now, s.Count) {
		return
	}
	r.life(now)
	v := o.history.find(s.Seq)
	if s.Seq < r.start || v == nil || len(v.buf) <= o.cfg.FragmentSize {
		r.wantWhole(s.Seq)
		return
	}
	most := v.frags(o.cfg.FragmentSize)
	if under {
		most = r.frag
	}
	w := fragWant{seq: s.Seq, set: wire.FragSet{Base: s.FragSet.Base}}
	for n := range s.FragSet.All() {
		if n >= 1 && n <= most {
			w.set.Add(n)
		}
	}
	if w.set.Empty() {
		o.stats.BadAcks++
		return
	}
	r.wantFrags(w)
}

// wantWhole notes that a sample is to be repeated whole, or to be told gone, unless the set is elsewhere: then the reader
// will ask again.
func (r *reader) wantWhole(seq wire.SeqNum) {
	if r.want.Empty() {
		r.want, r.wantFrag = wire.SeqSet{Base: seq}, 0
	}
	r.want.Add(seq)
}

// wantFrags notes fragments to repeat, in place of what was asked for in the same place; what does not fit is asked for
// again.
func (r *reader) wantFrags(w fragWant) {
	free := -1
	for k := range r.frags {
		f := &r.frags[k]
		if f.seq == w.seq && f.set.Base == w.set.Base {
			*f = w
			return
		}
		if f.seq == 0 && free < 0 {
			free = k
		}
	}
	if free >= 0 {
		r.frags[free] = w
	}
}

// lowest is the first bit that is set.
func lowest(m *[8]uint32) (bit int, ok bool) {
	for k, w := range m {
		if w != 0 {
			return 32*k + bits.LeadingZeros32(w), true
		}
	}
	return 0, false
}

func clearBit(m *[8]uint32, bit uint32) { m[bit/32] &^= 1 << (31 - bit%32) }

// stall finds out whether a reader has been mute for too long, and spares it all but new samples.
func (o *Outbox) stall(now time.Duration, r *reader) {
	if !r.reliable || r.stalled || !r.owes() || now-r.alive < o.cfg.StallAfter {
		return
	}
	o.stats.Stalls++
	r.stalled, r.beatDue = true, false
	r.want, r.wantFrag, r.frags = wire.SeqSet{}, 0, [maxFragWants]fragWant{}
}
