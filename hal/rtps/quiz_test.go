package rtps

import (
	"net/netip"
	"testing"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// TestQuiz: who hears the questions is proven by three answers; who guesses is not, and does not drive the numbers far.
func TestQuiz(t *testing.T) {
	rnd := seeded(t)
	q := &quiz{}
	q.asked = 1 + q.step()
	for i := range quizRights {
		proven, again := q.answer(q.asked)
		if proven != (i == quizRights-1) || again == proven {
			t.Fatalf("answer %d: proven %t, again %t", i, proven, again)
		}
	}
	for range 1000 {
		q := &quiz{}
		q.asked = 1 + q.step()
		for range 200_000 {
			// The best that a blind one can do: count upwards.
			if proven, _ := q.answer(q.known + 1 + wire.SeqNum(rnd.IntN(2<<quizBits))); proven {
				t.Fatal("guessed")
			}
			if q.deaf {
				break
			}
		}
		if !q.deaf || q.asked > (quizWrongs+quizRights+40)<<quizBits {
			t.Fatalf("%+v", q)
		}
	}
	q = &quiz{}
	q.asked = 1 + q.step()
	for _, n := range []wire.SeqNum{0, 0, 0} {
		if proven, again := q.answer(n); proven || again || q.wrongs != 0 {
			t.Error("an acknowledgement from before the question counts")
		}
	}
}

// TestProof: our participants prove themselves to each other; a forged one that acknowledges blindly does not.
func TestProof(t *testing.T) {
	d := freeDomain(t)
	a, b := start(t, d), start(t, d)
	eventually(t, "both proofs", func() bool {
		p, q := a.Participants(), b.Participants()
		return len(p) == 1 && len(q) == 1 && p[0].Proven() && q[0].Proven()
	})
	f, p := newForger(t), prefix(1)
	f.known(b, p)
	for n := range 2000 {
		set := wire.SeqSet{Base: wire.SeqNum(n + 1)}
		f.send(wire.AppendAckNack(wire.AppendHeader(nil, p), wire.EntityLivelinessReader, wire.EntityLivelinessWriter, &set, int32(n), true), b.Local())
	}
	for _, r := range b.Participants() {
		if r.GUID.Prefix == p && r.Proven() {
			t.Error("proven by guesses")
		}
	}
}

// TestReclaim: a participant that speaks by unicast from another socket than by multicast gets its way back from a forger who
// was first, by its answer to the question that the forger did not see.
func TestReclaim(t *testing.T) {
	p := quiet(t)
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(localhost, port) }
	genuine, forged, who := at(5001), at(6000), prefix(1)
	hear := func(b []byte, from netip.AddrPort, path int) {
		e := &ear{p: p, now: p.cfg.Clock(), from: from, path: path}
		e.hear(b)
	}
	answer := func(n wire.SeqNum) []byte {
		set := wire.SeqSet{Base: n}
		return wire.AppendAckNack(wire.AppendHeader(nil, who), wire.EntityLivelinessReader, wire.EntityLivelinessWriter, &set, 1, true)
	}
	hear(hello(who, at(5002)), at(5000), pathGroup)
	r := p.remotes[who]
	hear(answer(1), forged, pathUnicast)
	if r.DataSource() != forged {
		t.Fatal("the forger is not first; the test could not fail")
	}
	hear(answer(1), genuine, pathUnicast)
	if r.DataSource() != forged || r.Conflicts() != 1 {
		t.Fatal("a way changes hands without an answer")
	}
	for range quizRights {
		hear(answer(r.asked), genuine, pathUnicast)
	}
	if r.DataSource() != genuine || !r.Proven() {
		t.Errorf("its source is %v, proven %t", r.DataSource(), r.Proven())
	}
	hear(answer(r.asked), forged, pathUnicast)
	if r.DataSource() != genuine || r.Conflicts() != 3 {
		t.Errorf("its source is %v, %d conflicts", r.DataSource(), r.Conflicts())
	}
}
