package verifier

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// group is three verifiers that serve one folder, each with a store of its own as processes have.
func group(tb testing.TB, shared bool) (*service, [3]*Verifier) {
	tb.Helper()
	s := newService(tb)
	var out [3]*Verifier
	for i := range out {
		store, err := OpenDir(s.dir)
		if err != nil {
			tb.Fatal(err)
		}
		out[i], err = New(Config{
			Key: s.key, ResultLife: time.Hour, ChallengeLife: time.Minute, Random: rand.Reader, NonceKey: bytes.Repeat([]byte{7}, NonceKeyBytes), Shared: shared,
		}, store)
		if err != nil {
			tb.Fatal(err)
		}
	}
	return s, out
}

// TestAGroupDividesOneRobotsMessages has hello, logs and evidence come to different verifiers, the evidence first. Without
// Shared the logs are nobody's, and the evidence waits.
func TestAGroupDividesOneRobotsMessages(t *testing.T) {
	for _, shared := range []bool{true, false} {
		s, v := group(t, shared)
		s.v = v[0]
		c := s.ask(noon)
		answer := s.answer(c)
		out, err := v[1].Evidence(noon, robot, answer)
		if err != nil || len(out.Waiting) != 2 {
			t.Fatalf("%+v, %v", out, err)
		}
		if ready, err := v[1].Ready(noon); err != nil || len(ready) != 0 {
			t.Fatalf("judged without logs: %v, %v", ready, err)
		}
		for _, name := range c.Logs {
			log := s.i.logs()[name]
			_, err := v[2].Log(noon, robot, &evidence.LogPart{Name: name, SHA256: digest(log), Log: log})
			if (err == nil) != shared {
				t.Fatalf("shared %t: a log that another verifier has asked for: %v", shared, err)
			}
		}
		ready, err := v[1].Ready(noon)
		if err != nil || (ready[robot] != nil) != shared {
			t.Fatalf("shared %t: %v, %v", shared, ready, err)
		}
		if !shared {
			continue
		}
		if o := s.result(noon, ready[robot].Result); o.AttestationResult.Verdict != order.VerdictAccepted {
			t.Errorf("%+v", o)
		}
		// Once is enough, wherever the answer comes again.
		for i, w := range v {
			if ready, err := w.Ready(noon); err != nil || len(ready) != 0 {
				t.Errorf("verifier %d judges again: %v, %v", i, ready, err)
			}
			if out, err := w.Evidence(noon, robot, answer); err != nil || out.Result != nil || !out.Appraisal.Has(Replayed) {
				t.Errorf("verifier %d, the same answer: %+v, %v", i, out, err)
			}
		}
	}
}

// TestWhatWaitsForTooLongIsForgotten sends no logs.
func TestWhatWaitsForTooLongIsForgotten(t *testing.T) {
	s, v := group(t, true)
	s.v = v[0]
	answer := s.answer(s.ask(noon))
	if out, err := v[1].Evidence(noon, robot, answer); err != nil || len(out.Waiting) != 2 || len(v[1].waiting) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	if ready, err := v[1].Ready(noon.Add(time.Minute)); err != nil || len(ready) != 0 || len(v[1].waiting) != 0 {
		t.Errorf("%v, %v; %d wait", ready, err, len(v[1].waiting))
	}
}

// counting counts judgements, and has those fail that come to their end.
type counting struct {
	Store
	judged int
}

func (c *counting) Advance(string, State, State) error {
	c.judged++
	return errors.New("the disk is full")
}

// TestWhatCannotBeConcludedIsNotTriedAllTheTime: once a second at most.
func TestWhatCannotBeConcludedIsNotTriedAllTheTime(t *testing.T) {
	s, v := group(t, true)
	s.v = v[0]
	c := s.ask(noon)
	if out, err := v[1].Evidence(noon, robot, s.answer(c)); err != nil || len(out.Waiting) != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	s.sendLogs(noon, c)
	full := &counting{Store: v[1].store}
	v[1].store = full
	for _, x := range []struct {
		after time.Duration
		fails bool
		want  int
	}{{0, true, 1}, {100 * time.Millisecond, false, 1}, {999 * time.Millisecond, false, 1}, {time.Second, true, 2}, {1100 * time.Millisecond, false, 2}, {-time.Minute, true, 3}} {
		if ready, err := v[1].Ready(noon.Add(x.after)); (err != nil) != x.fails || len(ready) != 0 || full.judged != x.want {
			t.Errorf("after %s: %v, %v; judged %d times, expected %d", x.after, ready, err, full.judged, x.want)
		}
	}
	v[1].store = full.Store
	if ready, err := v[1].Ready(noon.Add(5 * time.Second)); err != nil || ready[robot] == nil {
		t.Errorf("%v, %v", ready, err)
	}
}

// meanwhile has something happen before the first state is written.
type meanwhile struct {
	Store
	what func()
}

func (m *meanwhile) Advance(robot string, from, to State) error {
	if f := m.what; f != nil {
		m.what = nil
		f()
	}
	return m.Store.Advance(robot, from, to)
}

// TestTwoJudgeAtOnce has another verifier judge between reading and writing: the second judgement rests on the first, and
// counts by it. Both have a result if both answers are the robot's own and new, and one if they are the same.
func TestTwoJudgeAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		same    bool
		results int
	}{"the same answer": {true, 1}, "a newer answer": {false, 2}} {
		s, v := group(t, true)
		s.v = v[0]
		first := s.ask(noon)
		s.sendLogs(noon, first)
		one := s.answer(first)
		two := one
		if !c.same {
			two = s.answer(s.ask(noon.Add(time.Second)))
		}
		results := 0
		judge := func(v *Verifier, message []byte) {
			t.Helper()
			out, err := v.Evidence(noon.Add(2*time.Second), robot, message)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if out.Result != nil {
				results++
			}
		}
		v[2].store = &meanwhile{v[2].store, func() { judge(v[1], one) }}
		judge(v[2], two)
		if state, err := s.store.State(robot); err != nil || results != c.results || state.Results != uint64(c.results) {
			t.Errorf("%s: %d results were signed, %+v, %v", name, results, state, err)
		}
	}
}

// TestAVerifierThatWasStoppedWhileItWrote holds a lock: nobody concludes anything by halves, and nobody waits for ever.
func TestAVerifierThatWasStoppedWhileItWrote(t *testing.T) {
	s, v := group(t, true)
	s.v = v[0]
	c := s.ask(noon)
	s.sendLogs(noon, c)
	answer := s.answer(c)
	unlock, err := s.store.lock(robot)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := v[1].Evidence(noon, robot, answer); !errors.Is(err, syscall.EWOULDBLOCK) || out.Result != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	unlock()
	if out, err := v[1].Evidence(noon, robot, answer); err != nil || out.Result == nil {
		t.Errorf("afterwards: %+v, %v", out, err)
	}
}

// TestNonceKeysOverlap changes the key in one verifier after the other: answers count at each as long as it knows the key.
func TestNonceKeysOverlap(t *testing.T) {
	s, v := group(t, true)
	old, next, later := bytes.Repeat([]byte{7}, NonceKeyBytes), bytes.Repeat([]byte{8}, NonceKeyBytes), bytes.Repeat([]byte{9}, NonceKeyBytes)
	set := func(w *Verifier, keys ...[]byte) {
		t.Helper()
		if err := w.SetNonceKeys(keys...); err != nil {
			t.Fatal(err)
		}
	}
	now := noon
	judged := func(asks, answers *Verifier) bool {
		t.Helper()
		now = now.Add(20 * time.Second)
		s.v = asks
		c := s.ask(now)
		s.sendLogs(now, c)
		out, err := answers.Evidence(now, robot, s.answer(c))
		if err != nil {
			t.Fatal(err)
		}
		return out.Result != nil
	}
	set(v[0], next, old)
	if !judged(v[1], v[0]) {
		t.Error("an answer to a challenge by the key before does not count")
	}
	if judged(v[0], v[1]) {
		t.Error("an answer to a challenge by a key that it does not know counts")
	}
	set(v[1], next, old)
	if !judged(v[0], v[1]) || !judged(v[1], v[0]) {
		t.Error("both have the new key, and answers do not count")
	}
	set(v[0], later, next)
	if judged(v[2], v[0]) {
		t.Error("a key that was taken away counts")
	}
	for name, keys := range map[string][][]byte{"none": nil, "short": {old[1:]}, "too many": {old, next, later, old}} {
		if v[0].SetNonceKeys(keys...) == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestReferencesThatChange has somebody put others in force while the verifier runs.
func TestReferencesThatChange(t *testing.T) {
	s := newService(t)
	var told []string
	s.store.OnReferences(func(name, sum string) { told = append(told, name+" "+sum) })
	read := func() *References {
		t.Helper()
		r, err := s.store.References("g1")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	read()
	if r := read(); len(r.Reject) != 0 || len(told) > 1 {
		t.Fatalf("%v, told %q", r.Reject, told)
	}
	told = nil
	r := references(t)
	r.Reject = []string{sum("bad")}
	if err := s.store.SaveReferences(r); err != nil {
		t.Fatal(err)
	}
	if got := read(); len(got.Reject) != 1 || len(told) != 1 {
		t.Errorf("%v, told %q", got.Reject, told)
	}
	if err := os.WriteFile(filepath.Join(s.dir, dirReferences, "g1.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.References("g1"); err == nil {
		t.Error("reference values that were damaged are those of before")
	}
}
