package slots_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/order"
)

// chip counts floors as a TPM does: one step at a time, each of which the power may go at, before or after it is done.
type chip struct {
	d      *disk
	floors map[string]uint64
	err    error
	// most is the highest floor that is counted to, 0 for no bound.
	most uint64
}

func newChip(d *disk) *chip { return &chip{d: d, floors: map[string]uint64{}} }

func (c *chip) Floor(name string) (uint64, bool, error) {
	if c.err != nil {
		return 0, false, c.err
	}
	v, ok := c.floors[name]
	return v, ok, nil
}

func (c *chip) Raise(name string, to uint64) error {
	if c.err != nil {
		return c.err
	}
	if c.most > 0 && to > c.most {
		return fmt.Errorf("%w: expected at most %d", slots.ErrHeight, c.most)
	}
	for c.floors[name] < to || c.missing(name) {
		if err := c.d.step(); err != nil {
			return err
		}
		if c.missing(name) {
			c.floors[name] = 0
		} else {
			c.floors[name]++
		}
		if err := c.d.step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *chip) missing(name string) bool { _, ok := c.floors[name]; return !ok }

// world is a robot's disk, its counter where there is one, and what must hold of them.
type world struct {
	d        *disk
	c        *chip
	contents int
	// highest is the highest floor that was ever stored, promised the highest that a release that proved itself has demanded.
	highest, promised uint64
}

func (w *world) store() *slots.Store {
	s, err := slots.Open("grasp", w.d, civil)
	if err != nil {
		return nil
	}
	if w.c != nil {
		w.c.d = w.d
		s.With(w.c)
	}
	return s
}

// check says what does not hold, empty if everything does.
func (w *world) check(t interface{ Context() context.Context }) string {
	s := w.store()
	st, err := s.Status()
	if err != nil {
		return err.Error()
	}
	if st.Running() == nil || s.Check(t.Context(), s.Active()) != nil {
		return "nothing verified is active"
	}
	if st.Floor < w.highest {
		return fmt.Sprintf("the floor went down from %d to %d", w.highest, st.Floor)
	}
	w.highest = st.Floor
	for _, x := range st.Slots {
		if r := x.Record; r != nil && r.SVN < st.Floor {
			return fmt.Sprintf("the floor %d is above slot %s with svn %d: nothing may run if the other one is lost", st.Floor, x.Name, r.SVN)
		}
		if r := x.Record; r != nil && r.Good {
			w.promised = max(w.promised, r.Floor)
		}
	}
	if st.Floor > w.promised {
		return fmt.Sprintf("the floor %d is above all that was demanded, %d", st.Floor, w.promised)
	}
	if st.Least < w.promised {
		return fmt.Sprintf("svn %d may become active: what proved itself has demanded %d", st.Least, w.promised)
	}
	if st.Running().SVN < st.Least {
		return fmt.Sprintf("svn %d is active, below %d", st.Running().SVN, st.Least)
	}
	return ""
}

// settled says what is missing where nothing was cut: once both slots meet what is demanded, it is stored.
func (w *world) settled() string {
	s := w.store()
	if err := s.Settle(); err != nil {
		return err.Error()
	}
	st, _ := s.Status()
	most := st.Least
	for _, x := range st.Slots {
		if x.Record != nil {
			most = min(most, x.Record.SVN)
		}
	}
	if st.Floor < most {
		return fmt.Sprintf("the floor is %d, and everything meets %d", st.Floor, most)
	}
	return ""
}

// TestTheFloorNeverStrandsARobot draws installations, commits, rollbacks and power cuts, with and without a counter: the floor is
// never above anything that may have to run, never goes down, and rises once everything meets it.
func TestTheFloorNeverStrandsARobot(t *testing.T) {
	rose := 0
	for _, counted := range []bool{false, true} {
		t.Run(fmt.Sprint("counter ", counted), func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				w := &world{d: newDisk()}
				if counted {
					w.c = newChip(w.d)
				}
				install(t, w.d, older, 1, 0)
				for range rapid.IntRange(1, 12).Draw(r, "steps") {
					cut := rapid.IntRange(0, 60).Draw(r, "cut")
					if cut < 30 {
						w.d.cut = w.d.ops + 1 + cut
					}
					what := rapid.IntRange(0, 3).Draw(r, "what")
					w.do(r, what)
					if w.d.dead {
						w.d = w.d.after(rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 3)))
					} else {
						w.d.cut = 0
					}
					if why := w.check(r); why != "" {
						r.Fatal(why)
					}
				}
				if why := w.settled(); why != "" {
					r.Fatal(why)
				}
				if w.highest > 0 {
					rose++
				}
			})
		})
	}
	if rose == 0 {
		t.Error("no floor ever rose: this test proves nothing")
	}
}

// do is one step, which may be refused.
func (w *world) do(t *rapid.T, what int) {
	s := w.store()
	if s == nil {
		return // The power went while it was opened.
	}
	switch what {
	case 0, 1:
		w.contents++
		c := content{"weights.bin": fmt.Sprint("content ", w.contents)}
		svn := rapid.Uint64Range(0, 9).Draw(t, "svn")
		floor := rapid.Uint64Range(0, svn).Draw(t, "floor")
		least := uint64(0)
		if st, err := s.Status(); err == nil {
			least = st.Least
		}
		if err := s.Install(t.Context(), &slots.Install{Release: releaseOf(c, svn, floor), Source: c}); err == nil && svn < least {
			t.Fatalf("svn %d was installed below %d", svn, least)
		}
	case 2:
		_, _ = s.Commit(t.Context())
	case 3:
		_ = s.Rollback(t.Context(), back())
	}
}

// TestAFloorRaisedAtOnceStrands is the off run: a floor that rises with the commit, whatever the other slot holds, is found.
func TestAFloorRaisedAtOnceStrands(t *testing.T) {
	w := &world{d: newDisk()}
	install(t, w.d, older, 1, 0)
	install(t, w.d, newer, 5, 4)
	s := w.store()
	if _, err := s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if why := w.check(t); why != "" {
		t.Fatal("before:", why)
	}
	put(w.d, "floor", "4\n")
	if why := w.check(t); !strings.Contains(why, "nothing may run if the other one is lost") {
		t.Errorf("%q: the property finds nothing", why)
	}
}

// TestWhatWasDemandedOutlivesItsRecord replaces the only record that demands a floor which is not stored yet: by a newer release
// with the same content, by new content in its slot, and by content that comes back into its slot.
func TestWhatWasDemandedOutlivesItsRecord(t *testing.T) {
	for name, next := range map[string][]content{
		"the same content": {newer}, "its slot is filled": {third, {"weights.bin": "fourth"}}, "its content returns": {third, newer},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{d: newDisk()}
			install(t, w.d, older, 4, 0)
			install(t, w.d, newer, 5, 5)
			if _, err := w.store().Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if why := w.check(t); why != "" || w.promised != 5 {
				t.Fatalf("before: %q, promised %d", why, w.promised)
			}
			for _, c := range next {
				install(t, w.d, c, 6, 0)
				if why := w.check(t); why != "" {
					t.Fatal(why)
				}
			}
			below := content{"weights.bin": "below"}
			if err := w.store().Install(t.Context(), &slots.Install{Release: releaseOf(below, 4, 0), Source: below}); err == nil {
				t.Error("svn 4 was installed")
			}
			if err := w.store().Rollback(t.Context(), back()); name == "the same content" && !errors.Is(err, slots.ErrNoWayBack) {
				t.Errorf("rolled back to svn 4: %v", err)
			}
			w.d.names["demand"].data[0] ^= 1
			above := content{"weights.bin": "above"}
			if err := w.store().Install(t.Context(), &slots.Install{Release: releaseOf(above, 7, 0), Source: above}); !errors.Is(err, slots.ErrFloor) {
				t.Errorf("installed although nobody knows what was demanded: %v", err)
			}
		})
	}
}

// put writes a sealed file.
func put(d *disk, name, text string) {
	data := []byte(text + order.Digest([]byte(text)) + "\n")
	d.names[name] = &node{data: data, durable: data}
}

// TestACounterIsCutAtEveryStep cuts the power at every step of a commit that raises the counter and the file, restarts and goes on.
func TestACounterIsCutAtEveryStep(t *testing.T) {
	prepared := func() *world {
		w := &world{d: newDisk()}
		w.c = newChip(w.d)
		install(t, w.d, older, 3, 0)
		if _, err := w.store().Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		install(t, w.d, newer, 5, 3)
		return w
	}
	whole := prepared()
	start := whole.d.ops
	if _, err := whole.store().Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	steps, between := whole.d.ops-start, 0
	if st, _ := whole.store().Status(); st.Floor != 3 || st.FloorIn != slots.InCounter || whole.c.floors["grasp"] != 3 {
		t.Fatalf("%+v, counter %v", st, whole.c.floors)
	}
	for cut := 1; cut <= steps; cut++ {
		for seed := range uint64(4) {
			w := prepared()
			w.d.cut = w.d.ops + cut
			_, _ = w.store().Commit(t.Context())
			w.d = w.d.after(rand.New(rand.NewPCG(seed, uint64(cut))))
			if why := w.check(t); why != "" {
				t.Fatalf("cut at %d of %d: %s", cut, steps, why)
			}
			if file := w.d.names["floor"]; w.c.floors["grasp"] > 0 && (file == nil || !strings.HasPrefix(string(file.data), fmt.Sprint(w.c.floors["grasp"]))) {
				between++
			}
			if err := w.store().Stands(); err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if _, err := w.store().Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if st, err := w.store().Status(); err != nil || st.Floor != 3 || w.c.floors["grasp"] != 3 {
				t.Fatalf("cut at %d, gone on: %+v, %v, counter %v", cut, st, err, w.c.floors)
			}
		}
	}
	t.Logf("%d steps, %d disks with the counter ahead of the file", steps, between)
	if between == 0 {
		t.Error("no cut came between counter and file: this test proves nothing")
	}
}

// TestTheCounterIsNotWhatItWas: whoever meddles with counter, disk or file is named, and nothing below the floor becomes active.
func TestTheCounterIsNotWhatItWas(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(w *world, older *disk)
		names string
		is    error
		// installs is true if a release above the floor may be installed all the same.
		installs bool
	}{
		"the off run":      {func(*world, *disk) {}, "", nil, true},
		"gone":             {func(w *world, _ *disk) { w.c.floors = map[string]uint64{} }, "the TPM's counter is gone", slots.ErrFloor, false},
		"made anew":        {func(w *world, _ *disk) { w.c.floors["grasp"] = 1 }, "stands at 1, behind the 5 of the file", slots.ErrFloor, false},
		"redefined":        {func(w *world, _ *disk) { w.c.err = errors.New("the nv index is not the counter") }, "is not the counter", slots.ErrFloor, false},
		"silent":           {func(w *world, _ *disk) { w.c.err = fmt.Errorf("%w: no answer", slots.ErrSilent) }, "does not answer", slots.ErrSilent, false},
		"not named":        {func(w *world, _ *disk) { w.c = nil }, "nobody said where the TPM is", slots.ErrFloor, false},
		"an older disk":    {func(w *world, older *disk) { w.d = older }, "has svn 1, below the floor 5: was an older disk put in place", nil, true},
		"the file removed": {func(w *world, _ *disk) { delete(w.d.names, "floor") }, "", nil, true},
		"the file lowered": {func(w *world, _ *disk) { put(w.d, "floor", "1\n") }, "", nil, true},
		"the file damaged": {func(w *world, _ *disk) { w.d.names["floor"].data[0] ^= 1 }, "is damaged", slots.ErrFloor, false},
		"the file strange": {func(w *world, _ *disk) { put(w.d, "floor", "5\nsometimes\n") }, "expected nothing or", slots.ErrFloor, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{d: newDisk()}
			w.c = newChip(w.d)
			install(t, w.d, older, 1, 0)
			if _, err := w.store().Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			image := w.d.copied()
			for i, x := range []content{newer, third} {
				in := &slots.Install{Release: releaseOf(x, uint64(5+i), 5), Source: x}
				if err := w.store().Install(t.Context(), in); err != nil {
					t.Fatal(err)
				}
				if _, err := w.store().Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if w.c.floors["grasp"] != 5 {
				t.Fatalf("counter %v", w.c.floors)
			}
			c.edit(w, image)
			err := w.store().Stands()
			if (err == nil) != (c.names == "") || err != nil && !strings.Contains(err.Error(), c.names) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("what is active: %v, expected %q", err, c.names)
			}
			below := content{"weights.bin": "below"}
			if err := w.store().Install(t.Context(), &slots.Install{Release: releaseOf(below, 4, 0), Source: below}); err == nil {
				t.Error("content below the floor was installed")
			}
			was := slots.View("grasp", w.d).Active()
			if name == "an older disk" || !c.installs {
				if err := w.store().Rollback(t.Context(), back()); !errors.Is(err, slots.ErrNoWayBack) || slots.View("grasp", w.d).Active() != was {
					t.Errorf("rolled back: %v", err)
				}
			}
			above := content{"weights.bin": "above"}
			err = w.store().Install(t.Context(), &slots.Install{Release: releaseOf(above, 7, 5), Source: above})
			if (err == nil) != c.installs {
				t.Errorf("above the floor: %v", err)
			}
			if err == nil {
				if err := w.store().Stands(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestAFloorThatIsTooHighForTheCounter: the file keeps it alone, unless it is marked: then the records say it.
func TestAFloorThatIsTooHighForTheCounter(t *testing.T) {
	for name, first := range map[string]uint64{"never counted": 0, "counted before": 3} {
		t.Run(name, func(t *testing.T) {
			w := &world{d: newDisk()}
			w.c = newChip(w.d)
			w.c.most = 4
			for i, c := range []struct {
				x          content
				svn, floor uint64
			}{{older, first, first}, {newer, 9, 9}, {third, 9, 9}} {
				if err := w.store().Install(t.Context(), &slots.Install{Release: releaseOf(c.x, c.svn, c.floor), Source: c.x}); err != nil {
					t.Fatal(err)
				}
				text, err := w.store().Commit(t.Context())
				if err != nil || (i == 2) != strings.Contains(text, "too high for the counter") {
					t.Fatalf("commit %d: %q, %v", i, text, err)
				}
			}
			stored, in := uint64(9), slots.InSoftware
			if first > 0 {
				stored, in = first, slots.InCounter
			}
			if st, err := w.store().Status(); err != nil || st.Floor != stored || st.FloorIn != in || st.Least != 9 {
				t.Errorf("%+v, %v", st, err)
			}
			if err := w.store().Stands(); err != nil {
				t.Error(err)
			}
			if err := w.store().Settle(); !errors.Is(err, slots.ErrHeight) {
				t.Errorf("settled again: %v", err)
			}
			below := content{"weights.bin": "below"}
			if err := w.store().Install(t.Context(), &slots.Install{Release: releaseOf(below, 8, 0), Source: below}); err == nil {
				t.Error("svn 8 was installed")
			}
		})
	}
}

// copied is the disk as it is now.
func (d *disk) copied() *disk {
	next := newDisk()
	for name, n := range d.names {
		c := *n
		c.data, c.durable = slices.Clone(n.data), slices.Clone(n.data)
		next.names[name] = &c
	}
	next.durable = maps.Clone(next.names)
	return next
}

// TestAFloorMovesIntoTheCounter: one that software kept is in the counter once something is settled.
func TestAFloorMovesIntoTheCounter(t *testing.T) {
	w := &world{d: newDisk()}
	install(t, w.d, older, 5, 4)
	if _, err := w.store().Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st, _ := w.store().Status(); st.Floor != 4 || st.FloorIn != slots.InSoftware {
		t.Fatalf("%+v", st)
	}
	w.c = newChip(w.d)
	if st, err := w.store().Status(); err != nil || st.Floor != 4 || st.FloorIn != slots.InSoftware {
		t.Fatalf("before it is settled: %+v, %v", st, err)
	}
	if err := w.store().Settle(); err != nil {
		t.Fatal(err)
	}
	if st, err := w.store().Status(); err != nil || st.Floor != 4 || st.FloorIn != slots.InCounter || w.c.floors["grasp"] != 4 {
		t.Fatalf("%+v, %v, counter %v", st, err, w.c.floors)
	}
}
