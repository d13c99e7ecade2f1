package rtps

import (
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
