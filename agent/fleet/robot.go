package fleet

import (
	"crypto"
	"fmt"
	"slices"
	"time"
)

// maxStreams bounds how many logs and boots of one robot are kept apart.
const maxStreams = 8192

// robot is what the consumer knows of one enrolled robot.
type robot struct {
	id      string
	device  crypto.PublicKey
	store   *store
	streams map[streamKey]*stream
	latest  map[string]*stream // the stream of each log that grew last
	touched map[*stream]bool   // may have to be acknowledged
	budget  budget
	fresh   []Record  // taken since the last commit, for whoever watches
	failed  time.Time // when the disk refused; zero while it works
	state   string    // of the connection
}

// open reads the robot's file and builds the streams from it.
func (c *Consumer) open(now time.Time, id string, device crypto.PublicKey) (*robot, error) {
	r := &robot{id: id, device: device, streams: map[streamKey]*stream{}, latest: map[string]*stream{}, touched: map[*stream]bool{}}
	s, damaged, err := openStore(c.o.Dir, id, c.o.MaxBytes, func(rec *stored) error {
		key := streamKey{rec.Log, rec.Boot}
		st := r.streams[key]
		if st == nil {
			st = newStream(key, &r.budget)
			r.streams[key] = st
		}
		if !rec.follows() || rec.Seq <= st.last || !rec.bridge && rec.Prev != st.digest {
			return fmt.Errorf("record %s/%s/%d does not follow from the one before: the file was changed; restore it, or move it away",
				rec.Log, rec.Boot, rec.Seq)
		}
		st.advance(now, &rec.Record, rec.bridge)
		st.grew, st.unproven = false, time.Time{}
		r.newest(st)
		if rec.Log == courierLog {
			c.heed(now, r, &rec.Record)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.store = s
	for _, st := range r.streams {
		c.prove(now, r, st)
	}
	if damaged > 0 {
		c.bell.ring(now, Alarm{Code: StoreRepaired, Robot: id, Text: fmt.Sprintf("%d bytes at the end of %s were not whole", damaged, s.path)})
	}
	return r, nil
}

// lookup finds numbers of a stream in memory, or else in the file.
func (r *robot) lookup(s *stream) lookup {
	return func(seq uint64) (found, bool) {
		if p, ok := s.lately(seq); ok {
			return p, true
		}
		if r.store == nil {
			return found{}, false // while the file is being read
		}
		return r.store.find(s.key, seq)
	}
}

// stream returns a stream of the robot, nil when there are too many.
func (r *robot) stream(key streamKey) *stream {
	s := r.streams[key]
	if s == nil && len(r.streams) >= maxStreams {
		r.weed()
	}
	if s == nil && len(r.streams) < maxStreams {
		s = newStream(key, &r.budget)
		r.streams[key] = s
	}
	return s
}

// weed forgets streams of which nothing was ever taken: anybody can make up boots.
func (r *robot) weed() {
	for key, s := range r.streams {
		if s.count == 0 {
			for seq := range s.pending {
				s.drop(seq)
			}
			delete(r.touched, s)
			delete(r.streams, key)
		}
	}
}

// newest notes that the stream grew. Of earlier boots nothing but the position is kept in memory.
func (r *robot) newest(s *stream) {
	if before := r.latest[s.key.log]; before != nil && before != s {
		before.recent = nil
	}
	r.latest[s.key.log] = s
}

// take decides about one record.
func (c *Consumer) take(now time.Time, r *robot, rec *Record) {
	alarm := func(code Code, format string, args ...any) {
		c.bell.ring(now, Alarm{Code: code, Robot: r.id, Log: rec.Log, Boot: rec.Boot, Seq: rec.Seq, Text: fmt.Sprintf(format, args...)})
	}
	if !rec.follows() {
		alarm(Altered, "the digest does not follow from kind, number, boot clock and payload")
		return
	}
	s := r.stream(streamKey{rec.Log, rec.Boot})
	if s == nil {
		alarm(TooManyBoots, "more than %d logs and boots", maxStreams)
		return
	}
	r.touched[s] = true
	switch s.judge(rec, r.lookup(s)) {
	case duplicate:
		s.resent = true
	case forked:
		alarm(Fork, "a record %s behind %s: the log already goes another way", rec.Digest, rec.Prev)
	case waiting:
		s.hold(now, rec)
		// The robot may be beyond what it may forget: tell it again where this end is.
		s.resent = true
		c.settle(now, r, s)
	case taken:
		if c.store(now, r, s, rec, false) {
			c.settle(now, r, s)
		}
	}
}

// settle takes the waiting records that have become due.
func (c *Consumer) settle(now time.Time, r *robot, s *stream) {
	for {
		rec, bridge := s.next(), false
		if rec == nil {
			if rec = s.bridged(); rec == nil {
				return
			}
			bridge = true
		}
		if !c.store(now, r, s, rec, bridge) {
			return
		}
	}
}

// store takes a record for good, unless there is no room.
func (c *Consumer) store(now time.Time, r *robot, s *stream, rec *Record, bridge bool) bool {
	if !r.store.room(rec) {
		c.bell.ring(now, Alarm{
			Code: StoreFull, Robot: r.id, Log: rec.Log, Boot: rec.Boot, Seq: rec.Seq,
			Text: fmt.Sprintf("%s has reached %d bytes", r.store.path, c.o.MaxBytes),
		})
		return false
	}
	r.store.add(rec, bridge, now)
	s.advance(now, rec, bridge)
	r.newest(s)
	r.fresh = append(r.fresh, *rec)
	c.prove(now, r, s)
	if rec.Log == courierLog {
		c.heed(now, r, rec)
	}
	return true
}

// prove holds the stream against the checkpoints that wait for it, and tells when there are none for too long.
func (c *Consumer) prove(now time.Time, r *robot, s *stream) {
	s.checks = slices.DeleteFunc(s.checks, func(cp checkpoint) bool {
		settled, right := s.check(&cp, r.lookup(s))
		if !right {
			c.mismatch(now, r, &cp)
		}
		return settled
	})
	if s.key.log == guardLog && !s.unproven.IsZero() && now.Sub(s.unproven) > c.o.CheckpointWithin {
		s.unproven = now
		c.bell.ring(now, Alarm{
			Code: CheckpointMissing, Robot: r.id, Log: s.key.log, Boot: s.key.boot, Seq: s.last,
			Text: fmt.Sprintf("records behind %d are proven by no checkpoint for %v", s.proven, c.o.CheckpointWithin),
		})
	}
}

func (c *Consumer) mismatch(now time.Time, r *robot, cp *checkpoint) {
	c.bell.ring(now, Alarm{
		Code: CheckpointMismatch, Robot: r.id, Log: cp.key.log, Boot: cp.key.boot, Seq: cp.seq,
		Text: fmt.Sprintf("the device key signed the chain value %s, which is not the one of the records that arrived", cp.evidence),
	})
}

// heed acts on what the courier's own log says about other logs.
func (c *Consumer) heed(now time.Time, r *robot, rec *Record) {
	loud := r.store != nil // what the file holds was told when it came
	tell := func(code Code, format string, args ...any) {
		if loud {
			c.bell.ring(now, Alarm{Code: code, Robot: r.id, Log: rec.Log, Boot: rec.Boot, Seq: rec.Seq, Text: fmt.Sprintf(format, args...)})
		}
	}
	switch rec.Kind {
	case KindCheckpoint:
		cp, err := readCheckpoint(rec.Payload)
		if err == nil {
			err = cp.verify(r.device)
		}
		if err != nil {
			tell(CheckpointForged, "%v", err)
			return
		}
		s := r.stream(cp.key)
		if s == nil {
			return
		}
		if !loud {
			s.await(cp) // the records that it vouches for may come later in the file, or lie further back than memory reaches
			return
		}
		switch settled, right := s.check(&cp, r.lookup(s)); {
		case !settled:
			s.await(cp)
		case !right:
			c.mismatch(now, r, &cp)
		}
	case KindLoss:
		l, err := readLoss(rec.Payload)
		if err != nil {
			tell(Malformed, "%v", err)
			return
		}
		tell(LossAnnounced, "records %d to %d of log %s, boot %s, are lost", l.first, l.last, l.key.log, l.key.boot)
		if s := r.stream(l.key); s != nil {
			s.announce(l)
			if loud {
				r.touched[s] = true
				c.settle(now, r, s)
			}
		}
	}
}
