package interlock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func proofWatch(tb interface {
	Helper()
	Fatal(args ...any)
},
) *ProofWatch {
	tb.Helper()
	w, err := NewProofWatch(ProofConfig{Subject: 3, Keys: 2, Period: time.Second, Lifetime: 4 * time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// proofStep is one command at one time, and what has to become of it.
type proofStep struct {
	at        time.Duration
	key       uint8
	challenge int
	seq       uint64
	want      ProofReason
}

func TestProofs(t *testing.T) {
	const s = time.Second
	for name, steps := range map[string][]proofStep{
		"in order, with losses": {{s, 1, 1, 1, ProofAccepted}, {s, 1, 1, 2, ProofAccepted}, {s, 1, 1, 90, ProofAccepted}},
		"replayed at once":      {{s, 1, 1, 1, ProofAccepted}, {s, 1, 1, 1, ProofReplayed}},
		"replayed long after":   {{s, 1, 1, 1, ProofAccepted}, {s, 1, 1, 100, ProofAccepted}, {s, 1, 1, 1, ProofReplayed}, {s, 1, 1, 37, ProofReordered}, {s, 1, 1, 36, ProofReplayed}},
		"overtaken, then again": {{s, 1, 1, 5, ProofAccepted}, {s, 1, 1, 4, ProofReordered}, {s, 1, 1, 4, ProofReplayed}, {s, 1, 1, 6, ProofAccepted}},
		"leaps":                 {{s, 1, 1, 1, ProofAccepted}, {s, 1, 1, MaxProofLeap + 2, ProofLeap}, {s, 1, 1, MaxProofLeap + 1, ProofAccepted}},
		"leaps at the start":    {{s, 1, 1, MaxProofLeap + 1, ProofLeap}, {s, 1, 1, 1, ProofAccepted}},
		"never issued":          {{s, 1, 99, 1, ProofUnknownChallenge}},
		"expired":               {{5 * s, 1, 1, 1, ProofExpired}, {5 * s, 1, 2, 1, ProofAccepted}},
		"superseded":            {{3 * s, 1, 3, 1, ProofAccepted}, {3 * s, 1, 2, 1, ProofSuperseded}},
		"a refused leap supersedes nothing": {
			{3 * s, 1, 2, 1, ProofAccepted}, {3 * s, 1, 3, MaxProofLeap + 1, ProofLeap}, {3 * s, 1, 2, 2, ProofAccepted},
		},
		"two keys count apart": {{s, 1, 1, 5, ProofAccepted}, {s, 2, 1, 1, ProofAccepted}, {s, 2, 1, 5, ProofAccepted}},
		"no such key":          {{s, 3, 1, 1, ProofUnknownKey}, {s, 0, 1, 1, ProofUnknownKey}},
		"the first numbers":    {{s, 1, 1, 0, ProofUnknownKey}},
	} {
		w := proofWatch(t)
		for i, st := range steps {
			for w.Due(st.at) && w.issued < uint64(st.at/s) { //nolint:gosec // a few seconds
				n := int(w.issued) + 1 //nolint:gosec // as above
				if err := w.Issue(time.Duration(n)*s-s/2, nonce(uint64(n))); err != nil {
					t.Fatal(err)
				}
			}
			p := Proof{Key: st.key, Challenge: nonce(uint64(st.challenge)), Seq: st.seq}
			if got := w.Check(st.at, &p); got != st.want {
				t.Errorf("%s, step %d: found %q, expected %q", name, i, got, st.want)
			}
		}
	}
}

// TestProofsFoundWrong passes on what the caller found, and uses nothing up for it.
func TestProofsFoundWrong(t *testing.T) {
	for r := ProofMissing; r <= ProofWrongContent; r++ {
		w := proofWatch(t)
		if err := w.Issue(0, nonce(1)); err != nil {
			t.Fatal(err)
		}
		p := Proof{Found: r, Key: 1, Challenge: nonce(1), Seq: 1}
		if got := w.Check(1, &p); got != r {
			t.Errorf("found %q, expected %q", got, r)
		}
		if c := w.Condition(1); c.State != Present || c.Cause == CauseNone || c.Subject != 3 {
			t.Errorf("%s: condition %+v", r, c)
		}
		if c := w.Condition(1 + proofHold); c.State != Clear {
			t.Errorf("%s: condition %+v after its hold", r, c)
		}
		p.Found = ProofAccepted
		if got := w.Check(2, &p); got != ProofAccepted {
			t.Errorf("%s: the rightful command after it: %q", r, got)
		}
	}
}

func TestProofChallenges(t *testing.T) {
	w := proofWatch(t)
	if !w.Due(0) || w.Issue(0, Nonce{}) == nil {
		t.Fatal("the first challenge is due, and never of zeros")
	}
	for i := 1; i <= 3*proofChallenges; i++ {
		if err := w.Issue(time.Duration(i)*time.Second, nonce(uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	if w.Issue(0, nonce(3*proofChallenges)) == nil {
		t.Error("a challenge was issued twice")
	}
	at := time.Duration(3*proofChallenges) * time.Second
	for i := 1; i <= 3*proofChallenges; i++ {
		want := ProofUnknownChallenge
		switch {
		case i >= 3*proofChallenges-4:
			want = ProofAccepted
		case i > 2*proofChallenges:
			want = ProofExpired
		}
		p := Proof{Key: 1, Challenge: nonce(uint64(i)), Seq: 1}
		if got := w.Check(at, &p); got != want {
			t.Errorf("challenge %d of %d: found %q, expected %q", i, 3*proofChallenges, got, want)
		}
	}
}

// TestProofsCountOnce is the property that all is about: whatever comes in whatever order, no command counts twice, none
// counts after a later one of its key, and none under a challenge that is too old. The model keeps every command ever.
func TestProofsCountOnce(t *testing.T) {
	type id struct {
		key       uint8
		challenge int
		seq       uint64
	}
	rapid.Check(t, func(t *rapid.T) {
		w := proofWatch(t)
		issued := map[int]time.Duration{}
		used := map[id]bool{}
		newest := map[uint8]id{}
		var now time.Duration
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 600).Draw(t, "ms")) * time.Millisecond
			if w.Due(now) {
				n := len(issued) + 1
				if err := w.Issue(now, nonce(uint64(n))); err != nil {
					t.Fatal(err)
				}
				issued[n] = now
			}
			c := id{uint8(rapid.IntRange(0, 3).Draw(t, "key")), rapid.IntRange(max(0, len(issued)-6), len(issued)+1).Draw(t, "challenge"), rapid.Uint64Range(0, 80).Draw(t, "seq")} //nolint:gosec // small
			p := Proof{Key: c.key, Challenge: nonce(uint64(c.challenge)), Seq: c.seq}
			if w.Check(now, &p) != ProofAccepted {
				continue
			}
			at, ok := issued[c.challenge]
			last := newest[c.key]
			switch {
			case used[c]:
				t.Fatalf("%+v counted twice", c)
			case !ok || now-at > 4*time.Second:
				t.Fatalf("%+v counted under a challenge of %v at %v", c, at, now)
			case c.challenge < last.challenge || c.challenge == last.challenge && c.seq < last.seq:
				t.Fatalf("%+v counted after %+v", c, last)
			}
			used[c], newest[c.key] = true, c
			if rapid.Bool().Draw(t, "restore") {
				v := proofWatch(t)
				if err := v.RestoreState(w.AppendState(nil)); err != nil {
					t.Fatal(err)
				}
				if *v != *w {
					t.Fatal("the state is not restored as it was")
				}
				w = v
			}
		}
	})
}

func TestProofConfig(t *testing.T) {
	good := ProofConfig{Subject: 1, Keys: 1, Period: time.Second, Lifetime: 2 * time.Second}
	for name, change := range map[string]func(*ProofConfig){
		"no channel": func(c *ProofConfig) { c.Subject = 0 }, "no key": func(c *ProofConfig) { c.Keys = 0 },
		"five keys": func(c *ProofConfig) { c.Keys = 5 }, "no period": func(c *ProofConfig) { c.Period = 0 },
		"short life": func(c *ProofConfig) { c.Lifetime = time.Second }, "long life": func(c *ProofConfig) { c.Lifetime = 9 * time.Second },
	} {
		c := good
		change(&c)
		if _, err := NewProofWatch(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestProofsDoNotAllocate(t *testing.T) {
	w := proofWatch(t)
	_ = w.Issue(0, nonce(1))
	p := Proof{Key: 1, Challenge: nonce(1)}
	if n := testing.AllocsPerRun(1000, func() { p.Seq++; w.Check(1, &p); w.Check(1, &p); _ = w.Condition(1) }); n != 0 {
		t.Fatalf("found %v allocations, expected none", n)
	}
}

func TestProofNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range NumProofReasons {
		if s := r.String(); s == "" || seen[s] {
			t.Errorf("reason %d: name %q", r, s)
		} else {
			seen[s] = true
		}
		if (r == ProofAccepted) != (proofTable[r].cause == CauseNone) {
			t.Errorf("%s: cause %s", r, proofTable[r].cause)
		}
	}
}
