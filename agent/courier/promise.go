package courier

import (
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/evidencelog"
)

// promise is a stream's dealing with an acknowledgement of a record further ahead than it has read. A cursor that was lost,
// or is old, leads the courier back further than its window reaches: whatever it sends again, the consumer has, and all that
// it hears is how far the consumer is. So it believes that for the time being, sends nothing, and reads on to the record
// that the acknowledgement names. The cursor moves only there, if the journal holds that very record.
type promise struct {
	following bool                 // nothing is sent; to is read for
	to        evidencelog.Position // the acknowledged record
	nearer    evidencelog.Position // an acknowledgement of less that came meanwhile
	movedAt   time.Duration        // when a record was read last
	astray    bool                 // records were passed over in vain: the caller rewinds
	// refused is the last acknowledgement that the journal contradicts. Until patience nothing is followed, after a promise
	// that came to nothing: whoever can sign acknowledgements could keep everything back with promises.
	refused  evidencelog.Position
	patience time.Duration
}

const (
	// readWait is how long a record may take to be read before the journal has been read to its end.
	readWait = time.Second
	// distrust is how long nothing is followed after a promise that came to nothing.
	distrust = 30 * time.Second
)

// foresee keeps an acknowledgement of what was not read yet, and follows it if what is being sent lies before it.
func (s *stream) foresee(now time.Duration, p evidencelog.Position) {
	here := p.BootID == s.read.BootID
	if s.following && here && p.Seq < s.to.Seq && p.Seq > s.nearer.Seq {
		s.nearer = p // should the promise come to nothing
		return
	}
	if p == s.refused || here && p.Seq <= s.read.Seq || p.Seq < s.future[p.BootID].Seq {
		return // contradicted, or old
	}
	if _, known := s.future[p.BootID]; !known && len(s.future) >= maxBootsAhead {
		if !here {
			return
		}
		for boot := range s.future { // what is read now goes before boots that may never come
			delete(s.future, boot)
			break
		}
	}
	s.future[p.BootID] = p
	switch {
	case s.following && here:
		s.to = p
	case len(s.items) > 0 && !slices.ContainsFunc(s.items, func(it item) bool { return it.pos.BootID != p.BootID }):
		s.follow(now, p)
	}
}

// follow passes over everything up to the record that p names, what is out included.
func (s *stream) follow(now time.Duration, p evidencelog.Position) bool {
	if now < s.patience {
		return false
	}
	s.items, s.sent, s.bytes, s.ahead, s.timeout = nil, 0, 0, 0, 0
	s.following, s.to, s.nearer, s.movedAt = true, p, evidencelog.Position{}, now
	return true
}

// pass takes a record that need not be sent. It returns where the cursor is to go, or nil, and false if the record has to be
// sent after all.
func (s *stream) pass(now time.Duration, e *entry) (to *evidencelog.Position, passed bool, err error) {
	if f, ok := s.future[e.pos.BootID]; !s.following && (!ok || len(s.items) > 0 || e.pos.Seq > f.Seq || !s.follow(now, f)) {
		return nil, false, nil
	}
	s.movedAt = now
	switch {
	case e.pos.BootID == s.to.BootID && e.pos.Seq < s.to.Seq:
		return nil, true, nil
	case e.pos == s.to:
		at := s.to
		s.following = false
		delete(s.future, at.BootID)
		s.progress(now)
		return &at, true, nil
	}
	err = fmt.Errorf("%w: record %d of log %s, chain value %x, the journal's record %d has %x",
		errFork, s.to.Seq, s.log, s.to.Digest[:6], e.pos.Seq, e.pos.Digest[:6])
	s.refused = s.to
	s.refuse(now)
	return nil, true, err
}

// refuse gives a promise up.
func (s *stream) refuse(now time.Duration) {
	delete(s.future, s.to.BootID)
	if s.nearer.Seq > 0 {
		s.future[s.to.BootID] = s.nearer
	}
	s.following, s.astray = false, true
	s.patience = now + distrust
}

// turn ends a boot of which the consumer has acknowledged more than the journal holds: a power cut took the end after it
// was sent. The consumer keeps what there is of it, and nothing of it is left to be sent.
func (s *stream) turn(now time.Duration, next [16]byte) *evidencelog.Position {
	last := s.read
	if _, ok := s.future[last.BootID]; !ok || last.BootID == next {
		return nil
	}
	delete(s.future, last.BootID)
	if s.following {
		s.following = false
		s.progress(now)
		return &last
	}
	s.acked[last.BootID] = last.Seq
	return s.release(now)
}

// stuck gives a promise up whose record does not come although the journal was read to its end.
func (s *stream) stuck(now time.Duration) {
	if s.following && now-s.movedAt >= readWait {
		s.refuse(now)
	}
}
