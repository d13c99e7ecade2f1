package slots_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/agent/trial"
)

// onTrial is a disk with older content, good, and newer content on trial.
func onTrial(t *testing.T) *disk {
	t.Helper()
	d := newDisk()
	install(t, d, older, 1, 0)
	if _, err := open(t, d).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	install(t, d, newer, 5, 3)
	var s trial.State
	s.Begin(older.digest(), true)
	s.Begin(newer.digest(), false)
	if err := open(t, d).SaveTrial(&s); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestATrialIsCutAtEveryWrite cuts the power at every write of what ends a trial, or moves it on. Whatever is left is a trial
// that goes on, or its whole end: never good content that was not committed, never a floor above what has been committed,
// never content that was taken back and is not remembered.
func TestATrialIsCutAtEveryWrite(t *testing.T) {
	for name, c := range map[string]struct {
		do  func(s *slots.Store) error
		end func(t *testing.T, d *disk, done bool) (moved bool)
	}{
		"progress": {func(s *slots.Store) error {
			st, err := s.Trial()
			st.ElapsedNS, st.Resets = 77, 1
			return errors.Join(err, s.SaveTrial(&st))
		}, func(t *testing.T, d *disk, _ bool) bool {
			st, err := slots.View("grasp", d).Trial()
			if err != nil || st.Now.SHA256 != newer.digest() || (st.ElapsedNS != 0) != (st.Resets != 0) {
				t.Fatalf("%+v, %v", st, err)
			}
			return st.Resets == 1
		}},
		"commit": {func(s *slots.Store) error { _, err := s.Commit(t.Context()); return err }, func(t *testing.T, d *disk, _ bool) bool {
			st, err := slots.View("grasp", d).Status()
			// The other slot has svn 1: no more is stored, and what the release demands holds from its record on.
			if err != nil || st.Running() == nil || st.Floor > 1 || (st.Floor > 0 || st.Least > 0) && (st.Least != 3 || !st.Running().Good) {
				t.Fatalf("%+v, %v", st, err)
			}
			return st.Running().Good
		}},
		"rollback": {func(s *slots.Store) error { return s.Rollback(t.Context(), back()) }, func(t *testing.T, d *disk, _ bool) bool {
			st, err := slots.View("grasp", d).Status()
			if err != nil || st.Floor != 0 {
				t.Fatalf("%+v, %v", st, err)
			}
			tr, err := slots.View("grasp", d).Trial()
			_, taken := tr.WasTaken(newer.digest())
			back := running(t, d) == older.digest()
			if err != nil || back && !taken || !back && running(t, d) != newer.digest() {
				t.Fatalf("%+v, %v: %q is active", tr, err, running(t, d))
			}
			return back
		}},
	} {
		t.Run(name, func(t *testing.T) {
			whole := onTrial(t)
			start := whole.ops
			if err := c.do(open(t, whole)); err != nil {
				t.Fatal(err)
			}
			steps, kept, moved := whole.ops-start, 0, 0
			for cut := 1; cut <= steps; cut++ {
				for seed := range uint64(8) {
					d := onTrial(t)
					d.cut = d.ops + cut
					if err := c.do(open(t, d)); err == nil {
						t.Fatalf("cut at %d: no error", cut)
					}
					d = d.after(rand.New(rand.NewPCG(seed, uint64(cut))))
					open(t, d) // What a restart does.
					if c.end(t, d, false) {
						moved++
					} else {
						kept++
					}
					// It goes on from here as if nothing had been cut.
					if running(t, d) == newer.digest() {
						if err := c.do(open(t, d)); err != nil || !c.end(t, d, true) {
							t.Fatalf("cut at %d, seed %d, again: %v", cut, seed, err)
						}
					}
				}
			}
			t.Logf("%d writes: before %d times, after %d times", steps, kept, moved)
			if steps < 4 || kept == 0 || moved == 0 {
				t.Errorf("%d writes, %d before, %d after: this test proves nothing", steps, kept, moved)
			}
		})
	}
}

func TestRollbackRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*disk, *slots.Back)
		is   error
		text string
	}{
		"content that no release in force names": {func(_ *disk, b *slots.Back) {
			b.Counts = func(digest string) error {
				if digest != older.digest() {
					return nil
				}
				return errors.New("not in it")
			}
		}, slots.ErrNoWayBack, "not in it"},
		"nobody says what counts": {func(_ *disk, b *slots.Back) { b.Counts = nil }, slots.ErrNoWayBack, "nobody says"},
		"below the floor": {func(d *disk, _ *slots.Back) {
			if _, err := open(t, d).Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, slots.ErrNoWayBack, "below the floor 3"},
		"changed content": {func(d *disk, _ *slots.Back) {
			d.names[map[string]string{"a": "b", "b": "a"}[slots.View("grasp", d).Active()]+"/weights.bin"].data[0] ^= 1
		}, slots.ErrNoWayBack, "its record says"},
		"a boot loader that is not told": {func(d *disk, _ *slots.Back) {
			in := &slots.Install{Release: releaseOf(third, 6, 0), Source: third, Switch: func(string) error { return nil }}
			if err := open(t, d).Install(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}, slots.ErrHook, "--hook"},
	} {
		t.Run(name, func(t *testing.T) {
			d, b := onTrial(t), back()
			c.edit(d, b)
			was := running(t, d)
			if err := open(t, d).Rollback(t.Context(), b); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v: expected %q", err, c.text)
			}
			if got := running(t, d); got != was {
				t.Errorf("%q is active, before it was %q", got, was)
			}
		})
	}
}

// TestADamagedTrialBeginsAnew flips every byte of the file: it is the same trial, or none and an error; never another one.
func TestADamagedTrialBeginsAnew(t *testing.T) {
	d := onTrial(t)
	want, err := open(t, d).Trial()
	if err != nil {
		t.Fatal(err)
	}
	data := d.names["trial"].data
	for i := range data {
		for _, bit := range []byte{1, 0x20, 0x80} {
			data[i] ^= bit
			got, err := open(t, d).Trial()
			if err == nil && got.Now.SHA256 != want.Now.SHA256 || err != nil && got.Now.SHA256 != "" {
				t.Fatalf("byte %d: %+v, %v", i, got, err)
			}
			data[i] ^= bit
		}
	}
	for n := range data {
		d.names["trial"].data = data[:n]
		if got, err := open(t, d).Trial(); err == nil || got.Now.SHA256 != "" {
			t.Fatalf("%d bytes of it: %+v, %v", n, got, err)
		}
	}
}

// FuzzRecord puts anything in the place of the files beside the slots: nothing panics, and what is active is not lost by opening.
func FuzzRecord(f *testing.F) {
	f.Add("trial", []byte("{}\n"))
	f.Add("a.rec", []byte("{}\n44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n"))
	f.Add("floor", []byte("3\n"))
	f.Add("history", []byte("{}\n{\n"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if !map[string]bool{"trial": true, "a.rec": true, "b.rec": true, "floor": true, "history": true}[name] {
			return
		}
		d := onTrial(t)
		d.names[name] = &node{data: data, durable: data}
		active := slots.View("grasp", d).Active()
		s, err := slots.Open("grasp", d, civil)
		if err != nil {
			return
		}
		_, _ = s.Status()
		if st, err := s.Trial(); err == nil {
			_ = st.Step(&trial.Facts{Boot: "x", Guard: true}, &trial.Terms{Settle: 1})
		}
		_, _ = s.Commit(t.Context())
		_ = s.Rollback(t.Context(), back())
		if s.Active() == "" || active == "" {
			t.Error("nothing is active any more")
		}
	})
}
