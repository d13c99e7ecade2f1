package verifier

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// send has the verifier judge an answer that was made for a challenge.
func (s *imaService) send(message []byte, parts []evidence.LogPart) *Outcome {
	s.tb.Helper()
	for i := range parts {
		if _, err := s.v.Log(s.now, robot, &parts[i]); err != nil {
			s.tb.Fatal(err)
		}
	}
	out, err := s.v.Evidence(s.now, robot, message)
	if err != nil || out.Appraisal == nil {
		s.tb.Fatalf("%+v, %v", out, err)
	}
	return out
}

// TestAnswersUnderWay: each open challenge has asked for the log from where it was then, and counts although others were judged since.
func TestAnswersUnderWay(t *testing.T) {
	s := newIMAService(t)
	s.others(nil)
	s.want("at first", 0)
	var open []*order.Challenge
	ask := func() {
		s.now = s.now.Add(11 * time.Second)
		open = append(open, s.ask(s.now))
	}
	ask()
	ask()
	for i := range 6 { // Each answer leaves a challenge behind that was made before it, and one asks from where it has led.
		s.k.read(fmt.Sprintf("/tmp/%d", i), "x")
		if out := s.send(s.evidence(open[0])); out.Result == nil || out.Appraisal.Verdict != order.VerdictAccepted {
			t.Errorf("answer %d: result %t, %s", i, out.Result != nil, out.Appraisal.Text())
		}
		open = open[1:]
		ask()
	}
	state, err := s.store.State(robot)
	if err != nil || len(state.IMA.Points) != MaxOpen+1 {
		t.Errorf("%+v, %v", state.IMA, err)
	}
	s.want("and on", int64(len(s.k.data)))
}

// TestAResetIsRefusedWhateverTheOffset: a TPM that was reset under the kernel is refused by a signature, and not taken for late.
func TestAResetIsRefusedWhateverTheOffset(t *testing.T) {
	s := newIMAService(t)
	s.want("at first", 0)
	before, err := s.store.State(robot)
	if err != nil {
		t.Fatal(err)
	}
	now := before
	now.ResetCount--
	points := *before.IMA
	points.Of = imaReferences(t).imaOf(s.now, bootID, now.ResetCount)
	now.IMA = &points
	if err := s.store.Advance(robot, before, now); err != nil {
		t.Fatal(err)
	}
	s.want("reset within its boot", int64(len(s.k.data)), EventlogMissing, ResetWithinBoot)
}

// TestAnOffsetOfBeforeIsNotHeldAgainstTheRobot: rules that have changed, or a value that has left, since the verifier asked.
func TestAnOffsetOfBeforeIsNotHeldAgainstTheRobot(t *testing.T) {
	s := newIMAService(t)
	s.want("at first", 0)
	s.now = s.now.Add(time.Minute)
	c := s.ask(s.now)
	msg, parts := s.evidence(c)
	r := imaReferences(t)
	r.IMA.Files[1].Set = Set{Allowed: []string{sum("new")}, Leaving: []Leaving{{sum("old"), s.now.Add(70 * time.Second)}}}
	s.rules(r)
	if out := s.send(msg, parts); out.Result != nil || !out.Appraisal.Overtaken || !slices.Equal(codes(out.Appraisal), []Code{Replayed}) {
		t.Errorf("other rules: result %t, %s", out.Result != nil, out.Appraisal.Text())
	}
	s.want("asked again", 0)
	s.now = s.now.Add(5 * time.Second)
	c = s.ask(s.now)
	msg, parts = s.evidence(c)
	s.now = s.now.Add(10 * time.Second)
	if out := s.send(msg, parts); out.Result != nil || !out.Appraisal.Overtaken {
		t.Errorf("a value has left: result %t, %s", out.Result != nil, out.Appraisal.Text())
	}
	s.want("asked again", 0)
	s.want("and on", int64(len(s.k.data)))
}

// TestLongLogComesInPieces: more than one message's worth.
func TestLongLogComesInPieces(t *testing.T) {
	s := newIMAService(t)
	s.k.long(12)
	s.want("two pieces", 0)
	s.want("nothing new", int64(len(s.k.data)))
}

// TestALogThatOneEvidenceCannotTakeAlong comes with several; nothing is signed before its end leads to the register, unless it shows what
// is not allowed.
func TestALogThatOneEvidenceCannotTakeAlong(t *testing.T) {
	partial := func(s *imaService, from int64) {
		s.tb.Helper()
		out, at := s.attest()
		if out.Result != nil || out.Appraisal == nil || !out.Appraisal.Partial() || at != from {
			s.tb.Fatalf("from %d: %+v", at, out)
		}
		state, err := s.store.State(robot)
		if err != nil || state.IMA.Ahead == nil || state.Verdict != order.VerdictRefused {
			s.tb.Fatalf("%+v, %v", state, err)
		}
	}
	ahead := func(s *imaService) int64 {
		state, err := s.store.State(robot)
		if err != nil {
			s.tb.Fatal(err)
		}
		return state.IMA.Ahead.Offset
	}
	s := newIMAService(t)
	s.k.long(110)
	partial(s, 0)
	first := ahead(s)
	s.restart()
	partial(s, first)
	second := ahead(s)
	if out := s.want("the rest", second); out.Appraisal.Verdict != order.VerdictAccepted {
		t.Error(out.Appraisal.Text())
	}
	s.want("nothing new", int64(len(s.k.data)))
	r := imaReferences(t)
	r.Reject = []string{sum("x")}
	s.rules(r)
	s.want("what it shows is refused at once", 0, EventlogPartial, Rejected)

	s = newIMAService(t)
	s.k.entry("/usr/bin/planner", "a back door", false, true)
	s.k.long(53)
	partial(s, 0)
	s.want("it hides something", ahead(s), PCRMismatch)
	partial(s, 0) // Nothing of it is believed.
}

// looks counts how often a robot's evidence is judged: each time its state is read.
type looks struct {
	Store
	n int
}

func (l *looks) State(robot string) (State, error) {
	l.n++
	return l.Store.State(robot)
}

// TestAPieceFarInTheLogIsWaitedFor: pieces are kept in a few places, and looked for there, not judged without.
func TestAPieceFarInTheLogIsWaitedFor(t *testing.T) {
	s := newIMAService(t)
	s.k.long(55)
	s.attest()
	s.now = s.now.Add(time.Minute)
	msg, parts := s.evidence(s.ask(s.now))
	if out, err := s.v.Evidence(s.now, robot, msg); err != nil || len(out.Waiting) != 1 || len(parts) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	count := &looks{Store: s.v.store}
	s.v.store = count
	for range 3 {
		s.now = s.now.Add(2 * time.Second)
		if ready, err := s.v.Ready(s.now); err != nil || len(ready) != 0 || count.n != 0 {
			t.Fatalf("judged %d times without the piece: %v, %v", count.n, ready, err)
		}
	}
	if err := s.store.SaveLog(robot, storedAs(parts[0].Name), parts[0].Log); err != nil { // another verifier has taken it
		t.Fatal(err)
	}
	if ready, err := s.v.Ready(s.now); err != nil || ready[robot] == nil || ready[robot].Result == nil {
		t.Errorf("%v, %v", ready, err)
	}
}

// TestPiecesOfStrangersChangeNothing: whoever sends a piece in the robot's name makes the evidence wait, and has nobody restricted.
func TestPiecesOfStrangersChangeNothing(t *testing.T) {
	s := newIMAService(t)
	s.want("at first", 0)
	s.k.read("/var/log/x", "more")
	s.now = s.now.Add(time.Minute)
	c := s.ask(s.now)
	msg, parts := s.evidence(c)
	forged := evidence.LogPart{Name: parts[0].Name, Log: []byte("forged")}
	if _, err := s.v.Log(s.now, robot, &forged); err != nil {
		t.Fatal(err)
	}
	out, err := s.v.Evidence(s.now, robot, msg)
	if err != nil || out.Result != nil || len(out.Waiting) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, name := range []string{"ima.x", "ima.-1", "ima.01", "ima", evidence.IMAPart(1 << 39)} {
		if _, err := s.v.Log(s.now, robot, &evidence.LogPart{Name: name}); err == nil {
			t.Errorf("a piece %q is taken", name)
		}
	}
	if out, err = s.v.Log(s.now, robot, &parts[0]); err != nil || out.Appraisal == nil || out.Appraisal.Verdict != order.VerdictAccepted {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestViolationsAreToldAsLongAsTheyHold: what the rules let pass once stays true until the machine starts anew, though its entries are not
// judged again. Off, no entry is a violation.
func TestViolationsAreToldAsLongAsTheyHold(t *testing.T) {
	for _, violation := range []bool{true, false} {
		s := newIMAService(t)
		s.others(func(r *References) { r.IMA.Violations = &Set{Any: true, Why: "a test"} })
		s.k.raw("ima-ng", imaEmpty("/var/log/x"), violation, true, true)
		tell := func(when string, from int64) {
			t.Helper()
			if out := s.want(when, from); slices.Contains(out.Appraisal.Notes, "ima-violations") != violation {
				t.Errorf("%s, violation %t: notes %v", when, violation, out.Appraisal.Notes)
			}
		}
		tell("with its entry", 0)
		end := int64(len(s.k.data))
		s.restart()
		tell("nothing new", end)
		s.k.long(60)
		if out, _ := s.attest(); out.Appraisal == nil || !out.Appraisal.Partial() {
			t.Fatalf("expected more to come, found %+v", out)
		}
		state, err := s.store.State(robot)
		if err != nil {
			t.Fatal(err)
		}
		tell("behind what was read ahead", state.IMA.Ahead.Offset)
	}
}
