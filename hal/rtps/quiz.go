package rtps

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// quiz is how a participant proves that it hears at the address that it speaks from. Our liveliness writer, which never
// writes anything, tells it by a heartbeat that its first sample will be the one with a number that only this participant is
// told, and the acknowledgement repeats the number. A forged source does not see the question. One step is small, for
// implementations exist that count through all numbers up to the first, and a step too far would keep them busy for ever; so
// it takes several in a row, and one wrong answer starts anew.
type quiz struct {
	deaf   bool        // it has no reader for questions
	known  wire.SeqNum // the last that it answered rightly
	asked  wire.SeqNum // what it has to answer now, 0 before the first question
	rights int         // in a row
	wrongs int
	sent   int32
	next   time.Duration // when it is asked again
}

const (
	quizBits   = 12 // of one step
	quizRights = 3  // in a row: a guess is right once in 2^36
	quizWrongs = 8  // then it is not asked again
	quizSent   = 64 // likewise
	quizEvery  = 250 * time.Millisecond

	// quizPatience is how long an answer is waited for, before asking for our announcements counts as a sign of life.
	quizPatience = 2 * time.Second
)

func (q *quiz) step() wire.SeqNum {
	var b [2]byte
	_, _ = rand.Read(b[:]) // it does not fail: it ends the process
	return 1 + wire.SeqNum(binary.LittleEndian.Uint16(b[:])>>(16-quizBits))
}

// answer takes an answer: again says that there is another question to send.
func (q *quiz) answer(n wire.SeqNum) (proven, again bool) {
	switch {
	case q.asked == 0 || n <= q.known:
		return false, false // from before
	case n == q.asked:
		q.known = n
		if q.rights++; q.rights >= quizRights {
			return true, false
		}
	default:
		q.rights = 0
		if q.wrongs++; q.wrongs > quizWrongs {
			q.deaf = true
			return false, false
		}
	}
	q.asked += q.step()
	return false, true
}

// open tells that it is still to be asked.
func (r *remote) open() bool { return !r.proven.Load() && !r.deaf && r.sent < quizSent }

// question asks a participant that has not proven itself.
func (p *Participant) question(r *remote, now time.Duration) {
	q := &r.quiz
	if !r.open() {
		return
	}
	if q.asked == 0 {
		q.asked = 1 + q.step()
	}
	q.sent++
	q.next = now + quizEvery
	b := wire.AppendHeartbeat(p.mouth.begin(r.GUID.Prefix), wire.EntityLivelinessReader, wire.EntityLivelinessWriter,
		q.asked, q.asked-1, q.sent, false, false)
	p.mouth.send(b, r.meta)
}

// answered takes an acknowledgement of our liveliness writer.
func (p *Participant) answered(r *remote, s *wire.Submessage, now time.Duration) {
	if s.Kind != wire.AckNack || s.Reader != wire.EntityLivelinessReader || r.proven.Load() {
		return
	}
	proven, again := r.quiz.answer(s.Set.Base)
	if proven {
		r.proven.Store(true)
	}
	if r.rights > 0 {
		p.admit(r, now)
	}
	if again {
		p.question(r, now)
	}
}

// reclaims tells whether a participant, whose unicast somebody else of its computer was first to forge, answers our question:
// then that way is its own. Guesses are bounded by the budget of strangers.
func (p *Participant) reclaims(r *remote, e *ear) bool {
	s := &e.sub
	way := r.ways[pathUnicast].Load()
	if e.path != pathUnicast || r.proven.Load() || way == nil || *way == r.Source || !p.sameComputer(e.from.Addr(), r.Source.Addr()) {
		return false
	}
	if s.Kind != wire.AckNack || s.Writer != wire.EntityLivelinessWriter || r.asked == 0 || s.Set.Base != r.asked {
		return false
	}
	from := e.from
	r.ways[pathUnicast].Store(&from)
	p.answered(r, s, e.now)
	return true
}
