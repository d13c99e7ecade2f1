package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Bounds of what is kept in memory for one robot beside its file.
const (
	maxPending      = 4096
	maxPendingBytes = 8 << 20
	maxRecent       = 1024
	maxLosses       = 256
	maxChecks       = 256
)

// streamKey names one log within one boot.
type streamKey struct {
	log  string
	boot BootID
}

// point is a place of an evidence chain: a record that was taken, or the chain's beginning with number 0.
type point struct {
	seq    uint64
	digest Digest
	bridge bool // what came before the record is lost, and the robot said so
}

// place of a number among the records that were taken: the last one up to it, and whether the number lies in an
// announced loss behind that.
type found struct {
	point
	lost bool
}

// stream is what is known of one log within one boot. It decides about records and holds those that came too early.
type stream struct {
	key    streamKey
	last   uint64 // number of the newest record that was taken, 0 before the first
	digest Digest // chain value there
	recent []point
	count  uint64 // records taken

	pending map[uint64]*Record // came before their predecessors, by number
	budget  *budget            // bounds what waits, over all logs of the robot
	losses  []loss
	since   time.Time // when the oldest hole was first seen
	beyond  uint64    // a number behind it, whether its record is kept or not
	told    bool      // its alarm was rung

	blind    bool      // behind a loss after which the robot could not know its own chain value
	proven   uint64    // a verified checkpoint vouches up to here
	unproven time.Time // when the first record behind it came
	checks   []checkpoint

	grew   bool      // records were taken since the last acknowledgement
	resent bool      // duplicates came: the robot has not got the acknowledgement
	acked  time.Time // when the last one was made
}

// budget counts the records that wait.
type budget struct{ records, bytes int }

func (b *budget) full(more int) bool {
	return b.records >= maxPending || b.bytes+more > maxPendingBytes
}

func newStream(key streamKey, b *budget) *stream {
	return &stream{key: key, digest: Start(key.log, key.boot), pending: map[uint64]*Record{}, budget: b}
}

// verdict says what became of a record.
type verdict uint8

const (
	taken verdict = iota + 1
	duplicate
	waiting
	forked
)

// lookup finds a number among the records that were taken; false when the disk does not answer.
type lookup func(seq uint64) (found, bool)

// judge says what a record whose own digest is right means for the stream.
func (s *stream) judge(r *Record, earlier lookup) verdict {
	if r.Seq > s.last {
		switch p, ok := s.pending[r.Seq]; {
		case r.Prev == s.digest:
			return taken
		case s.holds(r.Prev), ok && p.Digest != r.Digest:
			return forked // a second successor of a record that has one, or two records of one number
		case ok:
			return duplicate
		}
		return waiting
	}
	p, ok := earlier(r.Seq)
	if ok && !p.lost && (p.seq != r.Seq || p.digest != r.Digest) {
		return forked
	}
	return duplicate // or came after the robot had given it up for lost
}

// lately looks a number up among the newest records; false when it lies further back.
func (s *stream) lately(seq uint64) (found, bool) {
	i, exact := slices.BinarySearchFunc(s.recent, seq, func(p point, seq uint64) int { return cmp.Compare(p.seq, seq) })
	switch {
	case exact:
		return found{point: s.recent[i]}, true
	case i > 0:
		return found{s.recent[i-1], i < len(s.recent) && s.recent[i].bridge}, true
	case s.count == uint64(len(s.recent)):
		return found{point{digest: Start(s.key.log, s.key.boot)}, i < len(s.recent) && s.recent[i].bridge}, true
	}
	return found{}, false
}

// holds says whether a value is one that the chain has passed lately, the newest not counted.
func (s *stream) holds(d Digest) bool {
	for i := len(s.recent) - 2; i >= 0; i-- {
		if s.recent[i].digest == d {
			return true
		}
	}
	return len(s.recent) > 0 && d == Start(s.key.log, s.key.boot)
}

// advance moves the stream behind a record.
func (s *stream) advance(now time.Time, r *Record, bridge bool) {
	s.last, s.digest = r.Seq, r.Digest
	s.blind = s.blind || bridge && r.Prev == (Digest{})
	s.count++
	if len(s.recent) >= 2*maxRecent {
		s.recent = append(s.recent[:0], s.recent[len(s.recent)-maxRecent:]...)
	}
	s.recent = append(s.recent, point{r.Seq, r.Digest, bridge})
	if s.unproven.IsZero() {
		s.unproven = now
	}
	s.grew = true
	s.drop(r.Seq)
	if s.told = false; s.beyond > s.last {
		s.since = now // another hole
	} else {
		s.since, s.beyond = time.Time{}, 0
	}
}

// hold keeps a record that came too early. Of too many the one furthest ahead goes; the robot will send it again.
func (s *stream) hold(now time.Time, r *Record) {
	if s.since.IsZero() {
		s.since = now
	}
	s.beyond = max(s.beyond, r.Seq) // even if there is no room for it: nothing is missing in silence
	for s.budget.full(len(r.Payload)) {
		furthest := r.Seq
		for seq := range s.pending {
			furthest = max(furthest, seq)
		}
		if furthest == r.Seq {
			return
		}
		s.drop(furthest)
	}
	s.pending[r.Seq] = r
	s.budget.records++
	s.budget.bytes += len(r.Payload)
}

func (s *stream) drop(seq uint64) {
	if r, ok := s.pending[seq]; ok {
		s.budget.records--
		s.budget.bytes -= len(r.Payload)
		delete(s.pending, seq)
	}
}

// next returns the waiting record that goes on where the stream is, if there is one.
func (s *stream) next() *Record {
	if len(s.pending) == 0 {
		return nil
	}
	first := s.first()
	if first.Prev == s.digest {
		return first
	}
	return nil
}

// first returns the waiting record with the lowest number. What the stream has passed by now is dropped on the way.
func (s *stream) first() *Record {
	var best *Record
	for seq, r := range s.pending {
		switch {
		case seq <= s.last:
			s.drop(seq)
		case best == nil || seq < best.Seq:
			best = r
		}
	}
	return best
}

// bridged returns the waiting record behind a hole that the robot has announced, if there is one.
func (s *stream) bridged() *Record {
	if len(s.losses) == 0 || len(s.pending) == 0 {
		return nil
	}
	r := s.first()
	if r == nil {
		return nil
	}
	covers := func(l loss) bool { return max(l.first, s.last+1) <= min(l.last, r.Seq-1) }
	if slices.ContainsFunc(s.losses, covers) {
		return r
	}
	return nil
}

// announce notes that the robot says that it lost records.
func (s *stream) announce(l loss) {
	if len(s.losses) >= maxLosses {
		s.losses = s.losses[1:]
	}
	s.losses = append(s.losses, l)
}

// overdue returns the alarm for a hole that has been waited for long enough, once.
func (s *stream) overdue(now time.Time, patience time.Duration) (Alarm, bool) {
	if s.told || s.since.IsZero() || now.Sub(s.since) < patience {
		return Alarm{}, false
	}
	behind := s.beyond
	if r := s.first(); r != nil {
		behind = r.Seq
	}
	s.told = true
	return Alarm{
		Code: Gap, Log: s.key.log, Boot: s.key.boot, Seq: s.last + 1,
		Text: fmt.Sprintf("records between %d and %d are missing for %v, and the robot announces no loss", s.last, behind, patience),
	}, true
}

// check holds the stream against a verified checkpoint. settled is false while records up to it may still be on their
// way; right is false when the robot signed another log. Of a blind stream nothing can be said: the guard's own chain
// went on where the courier's began anew.
func (s *stream) check(c *checkpoint, earlier lookup) (settled, right bool) {
	if s.digest == c.evidence && s.last <= c.seq {
		s.proven, s.unproven = max(s.proven, c.seq), time.Time{}
		return true, true
	}
	if s.last < c.seq {
		return false, true
	}
	p, ok := earlier(c.seq)
	if !ok || p.lost || s.blind {
		return true, true // nothing can be said
	}
	if p.digest != c.evidence {
		return true, false
	}
	s.proven = max(s.proven, c.seq)
	return true, true
}

// await keeps a checkpoint until the records that it vouches for have come.
func (s *stream) await(c checkpoint) {
	if len(s.checks) >= maxChecks {
		s.checks = slices.Delete(s.checks, 0, 1)
	}
	s.checks = append(s.checks, c)
}
