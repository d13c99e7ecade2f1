package reliable

import (
	"bytes"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// Frag takes a DATA_FRAG; stamp as with Data.
func (i *Inbox) Frag(now time.Duration, s *wire.Submessage, stamp wire.Time, d Deliver) Verdict {
	i.expire(now)
	v := i.read(s, stamp)
	v.Payload = nil
	if !wellFormed(s) || v.Seq < 1 || v.Seq > wire.MaxSeqNum {
		return i.count(Refused)
	}
	if int64(s.SampleSize) > int64(i.cfg.MaxSample) {
		i.unfit(now, v.Seq, d)
		return i.count(Refused)
	}
	var r Verdict
	if i.cfg.Reliable {
		i.giveUp(now, d)
		r = i.admit(now, v.Seq)
		if r == Delivered {
			return i.count(i.repeated(s))
		}
	} else if r = i.place(now, v.Seq, nil); r == Delivered {
		r = Held
	} else if r == Old || r == Duplicate {
		r = i.repeated(s)
	}
	if r != Held {
		return i.count(r)
	}
	return i.count(i.assemble(now, s, v, d))
}

// wellFormed tells whether the fragments lie within the sample and their bytes are all there. Package wire has looked
// already; here no index may depend on that.
func wellFormed(s *wire.Submessage) bool {
	if s.FirstFrag == 0 || s.Frags == 0 || s.FragSize == 0 || s.SampleSize == 0 {
		return false
	}
	from := uint64(s.FirstFrag-1) * uint64(s.FragSize)
	last := from + uint64(s.Frags-1)*uint64(s.FragSize)
	return last < uint64(s.SampleSize) &&
		uint64(len(s.Payload)) == min(last+uint64(s.FragSize), uint64(s.SampleSize))-from
}

// repeated compares fragments of a sample that was delivered with what is still known of it.
func (i *Inbox) repeated(s *wire.Submessage) Verdict {
	e := &i.store.done
	if e.status == vacant || e.sample.Seq != s.Seq || len(e.buf) != int(s.SampleSize) {
		return i.known.compareSize(s.Seq, int(s.SampleSize))
	}
	from := int(s.FirstFrag-1) * int(s.FragSize)
	if !bytes.Equal(e.buf[from:from+len(s.Payload)], s.Payload) {
		return Conflict
	}
	return Duplicate
}

// assemble puts fragments into their sample, and hands it on if it is whole and it is its turn.
func (i *Inbox) assemble(now time.Duration, s *wire.Submessage, v *Sample, d Deliver) Verdict {
	e := i.store.find(v.Seq)
	switch {
	case e == nil || e.status == absent:
		if e = i.store.open(v, s.SampleSize, uint32(s.FragSize)); e == nil {
			return Refused
		}
		e.at = now
		i.expires = min(i.expires, now+i.cfg.PartialTimeout)
	case e.status == whole:
		return e.compare(s)
	case len(e.buf) != int(s.SampleSize) || e.fragSize != uint32(s.FragSize):
		return Refused
	}
	if r := e.put(now, s.FirstFrag-1, uint32(s.Frags), s.Payload); r != Held {
		return r
	}
	i.stats.Fragments += uint64(s.Frags)
	e.adopt(v)
	if e.left > 0 {
		if v.Seq == i.next {
			i.since = now
		}
		i.waits(now)
		return Held
	}
	return i.complete(now, e, d)
}

// compare says what fragments of a sample are that is whole already and waits.
func (e *entry) compare(s *wire.Submessage) Verdict {
	from := int(s.FirstFrag-1) * int(s.FragSize)
	if len(e.buf) != int(s.SampleSize) || !bytes.Equal(e.buf[from:from+len(s.Payload)], s.Payload) {
		return Conflict
	}
	return Duplicate
}

// adopt takes over what a writer may say with any of the fragments.
func (e *entry) adopt(v *Sample) {
	e.sample.Dispose = e.sample.Dispose || v.Dispose
	e.sample.Unregister = e.sample.Unregister || v.Unregister
	if v.HasKeyHash {
		e.sample.KeyHash, e.sample.HasKeyHash = v.KeyHash, true
	}
	if v.HasRelated {
		e.sample.Related, e.sample.RelatedSeq, e.sample.HasRelated = v.Related, v.RelatedSeq, true
	}
	if e.sample.Stamp == (wire.Time{}) {
		e.sample.Stamp = v.Stamp
	}
}

// complete ends the assembly.
func (i *Inbox) complete(now time.Duration, e *entry, d Deliver) Verdict {
	i.store.close(e)
	if !i.cfg.Reliable {
		r := i.hand(&e.sample, d)
		seq := e.sample.Seq
		i.store.keep(e)
		i.passTo(seq)
		return r
	}
	if i.drain(now, d) {
		return Delivered
	}
	i.waits(now)
	return Held
}
