package order_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

// accepted is a verified order without the work of verifying it.
func accepted(o *order.Order) *order.Verified {
	v := &order.Verified{Order: o}
	v.Digest[0] = byte(o.Sequence)
	return v
}

func resets(n int) []*order.Verified {
	out := make([]*order.Verified, n)
	for i := range out {
		out[i] = accepted(sample(order.KindReset))
	}
	return out
}

func revision(n uint64) *order.Verified {
	o := sample(order.KindPolicySet)
	o.Sequence = n
	return accepted(o)
}

func wantState(t testing.TB, s *order.Store, want order.State) {
	t.Helper()
	got, cause := s.State()
	if got != want {
		t.Fatalf("the store is %s (%v), want %s", got, cause, want)
	}
	if bad := want == order.StateMissing || want == order.StateDamaged; bad != (cause != nil) {
		t.Errorf("state %s has the cause %v", got, cause)
	}
}

func isUsed(s order.Ledger, v *order.Verified) bool {
	repeat, err := s.Check(at(noon), v.Claim())
	r := order.ReasonOf(err)
	return repeat || r == order.Replayed || r == order.SequenceTooOld
}

func TestWhatWasCommittedIsUsedAfterARestart(t *testing.T) {
	dir, err := order.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close() //nolint:errcheck // A test's directory.
	s := order.OpenStore(dir, true)
	wantState(t, s, order.StateNew)
	all := append(resets(3), revision(4), accepted(sample(order.KindStop)), accepted(sample(order.KindGrant)))
	for _, v := range all {
		if isUsed(s, v) {
			t.Fatalf("%s is used before it was committed", v.Order.Kind)
		}
		if err := s.Commit(at(noon), v); err != nil {
			t.Fatal(err)
		}
	}
	again := order.OpenStore(dir, false)
	wantState(t, again, order.StateIntact)
	for _, v := range all {
		if !isUsed(again, v) {
			t.Errorf("%s is not used after a restart", v.Order.Kind)
		}
	}
	if isUsed(again, resets(1)[0]) || isUsed(again, revision(5)) {
		t.Error("an order is used that was never committed")
	}
	if again.Generation() != s.Generation() {
		t.Errorf("generation %d after a restart, %d before", again.Generation(), s.Generation())
	}
}

// TestPowerCutAtEveryStep cuts the power in each operation of a commit, with any part of a torn write and any number
// of late renames on the disk. Afterwards everything that was committed is used, nothing is damaged, and the order in
// flight is either used or can still be committed.
func TestPowerCutAtEveryStep(t *testing.T) {
	before, inFlight := append(resets(2), revision(1)), append(resets(1), revision(2))
	cuts := 0
	for _, v := range inFlight {
		for steps := 1; ; steps++ {
			survived := false
			for _, part := range []int{0, 1, 40, 200, 1 << 20} {
				for late := range 3 {
					disk := newMemFS()
					s := order.OpenStore(disk, true)
					for _, b := range before {
						if err := s.Commit(at(noon), b); err != nil {
							t.Fatal(err)
						}
					}
					disk.steps, disk.part, disk.late = steps, part, late
					err := s.Commit(at(noon), v)
					survived = err == nil
					if !survived && !errors.Is(err, errPowerCut) {
						t.Fatal(err)
					}
					cuts++
					checkAfterCut(t, disk.reboot(), before, v, survived)
				}
			}
			if survived {
				break
			}
		}
	}
	t.Logf("%d power cuts", cuts)
	if cuts < 100 {
		t.Errorf("only %d power cuts: the seam is not reached", cuts)
	}
}

func checkAfterCut(t *testing.T, disk *memFS, before []*order.Verified, v *order.Verified, committed bool) {
	t.Helper()
	s := order.OpenStore(disk, false)
	if state, cause := s.State(); state != order.StateIntact && state != order.StateRepaired {
		t.Fatalf("after a power cut the store is %s: %v", state, cause)
	}
	for _, b := range before {
		if !isUsed(s, b) {
			t.Fatalf("a %s that was committed is forgotten after a power cut", b.Order.Kind)
		}
	}
	if committed && !isUsed(s, v) {
		t.Fatalf("the %s was committed and is forgotten", v.Order.Kind)
	}
	if !isUsed(s, v) {
		if err := s.Commit(at(noon), v); err != nil {
			t.Fatalf("the %s in flight is not used and cannot be committed: %v", v.Order.Kind, err)
		}
	}
}

func TestADamagedCopyIsRepairedFromTheOther(t *testing.T) {
	for _, name := range []string{"floors.a", "floors.b"} {
		for damage, change := range map[string]func([]byte) []byte{
			"cut":     func(b []byte) []byte { return b[:len(b)/2] },
			"flipped": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"empty":   func([]byte) []byte { return nil },
			"gone":    nil,
			"longer":  func(b []byte) []byte { return append(b, "stop x\n"...) },
			"huge":    func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) },
		} {
			t.Run(name+" "+damage, func(t *testing.T) {
				disk, v := newMemFS(), resets(1)[0]
				if err := order.OpenStore(disk, true).Commit(at(noon), v); err != nil {
					t.Fatal(err)
				}
				if change == nil {
					delete(disk.visible, name)
				} else {
					disk.visible[name] = change(bytes.Clone(disk.visible[name]))
				}
				s := order.OpenStore(disk, true)
				wantState(t, s, order.StateRepaired)
				if !isUsed(s, v) {
					t.Error("the used order is forgotten")
				}
				wantState(t, order.OpenStore(disk, false), order.StateIntact)
			})
		}
	}
}

func TestTheCopyAheadCounts(t *testing.T) {
	for _, ahead := range []string{"floors.a", "floors.b"} {
		disk, v := newMemFS(), resets(1)[0]
		order.OpenStore(disk, true)
		f := order.NewFloors()
		if err := f.Use(at(noon), v.Claim()); err != nil {
			t.Fatal(err)
		}
		disk.visible[ahead] = f.Marshal(2)
		s := order.OpenStore(disk, false)
		wantState(t, s, order.StateIntact)
		if !isUsed(s, v) || s.Generation() <= 2 {
			t.Errorf("%s is a step ahead, but generation %d was taken", ahead, s.Generation())
		}
		if !bytes.Equal(disk.visible["floors.a"], disk.visible["floors.b"]) {
			t.Error("the copy behind was not brought up")
		}
	}
}

func TestALostRecordRefusesWhatLoosens(t *testing.T) {
	s := newSite(t, nil)
	for name, lose := range map[string]func(*memFS){
		"missing": func(m *memFS) { clear(m.visible) },
		"damaged": func(m *memFS) {
			for name := range m.visible {
				m.visible[name] = []byte("robowarden-floors 1\n")
			}
		},
		"two records of one generation": func(m *memFS) {
			f := order.NewFloors()
			if err := f.Use(at(noon), revision(3).Claim()); err != nil {
				t.Fatal(err)
			}
			m.visible["floors.a"] = f.Marshal(7)
			m.visible["floors.b"] = order.NewFloors().Marshal(7)
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := newMemFS()
			order.OpenStore(disk, true)
			lose(disk)
			left := len(disk.visible)
			store := order.OpenStore(disk, false)
			v := s.verifier(t, store)
			for _, kind := range order.Kinds() {
				x, err := v.Verify(at(noon), sign(t, s.orderOf(kind), s.signerOf(kind)))
				if kind == order.KindHalt {
					if err != nil { // It only tightens, so a lost record does not keep it out.
						t.Errorf("a halt was refused: %v", err)
					}
					continue
				}
				if kind != order.KindStop {
					wantReason(t, err, order.StateUnreadable)
					wantReason(t, store.Commit(at(noon), accepted(s.orderOf(kind))), order.StateUnreadable)
					continue
				}
				if err != nil {
					t.Fatalf("a stop was refused: %v", err)
				}
				if err := store.Commit(at(noon), x); err != nil {
					t.Errorf("a stop could not be committed: %v", err)
				}
				if repeat, err := store.Check(at(noon), x.Claim()); !repeat || err != nil {
					t.Errorf("the stop is not remembered: %v", err)
				}
			}
			if len(disk.visible) != left {
				t.Error("something was written over the lost record")
			}
		})
	}
}

func TestADiskThatCannotBeWritten(t *testing.T) {
	disk := newMemFS()
	s := order.OpenStore(disk, true)
	full := errors.New("no space left on device")
	disk.fail = full
	reset, policy := resets(1)[0], revision(1)
	for _, v := range []*order.Verified{reset, policy} {
		err := s.Commit(at(noon), v)
		wantReason(t, err, order.StateUnwritable)
		if !errors.Is(err, full) {
			t.Errorf("the cause is missing in %v", err)
		}
		if !isUsed(s, v) {
			t.Errorf("the %s can be tried again, although nobody knows what reached the disk", v.Order.Kind)
		}
	}
	// Sent again, the policy is a repeat. It must not pass as durable.
	wantReason(t, s.Commit(at(noon), policy), order.StateUnwritable)
	disk.fail = nil
	if err := s.Commit(at(noon), policy); err != nil {
		t.Fatal(err)
	}
	wantReason(t, s.Commit(at(noon), reset), order.Replayed)
	again := order.OpenStore(disk.reboot(), false)
	if !isUsed(again, policy) || !isUsed(again, reset) {
		t.Error("what was committed late is forgotten")
	}
}

func TestARecordThatCannotBeRepairedIsDamaged(t *testing.T) {
	disk := newMemFS()
	order.OpenStore(disk, true)
	delete(disk.visible, "floors.a")
	disk.fail = errors.New("read-only file system")
	wantState(t, order.OpenStore(disk, true), order.StateDamaged)
}

func TestOneOrderCommittedFromManyGoroutinesCountsOnce(t *testing.T) {
	s := order.OpenStore(newMemFS(), true)
	v := resets(1)[0]
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() { errs[i] = s.Commit(at(noon), v) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantReason(t, err, order.Replayed)
		}
	}
	if won != 1 {
		t.Errorf("%d goroutines committed the order, want 1", won)
	}
}

func TestTheStoreKeepsToItsDirectory(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(path, "floors.tmp")); err != nil {
		t.Fatal(err)
	}
	dir, err := order.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close() //nolint:errcheck // A test's directory.
	wantState(t, order.OpenStore(dir, true), order.StateDamaged)
	if got, _ := os.ReadFile(outside); string(got) != "untouched" {
		t.Errorf("a file outside the directory now reads %q", got)
	}
	if _, err := order.OpenDir(filepath.Join(path, "missing")); err == nil {
		t.Error("a directory that does not exist was opened")
	}
}

func TestFilesArePrivate(t *testing.T) {
	path := t.TempDir()
	dir, err := order.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close() //nolint:errcheck // A test's directory.
	order.OpenStore(dir, true)
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != 2 {
		t.Fatalf("found %v (%v), want two copies", entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v), want 0600", e.Name(), info.Mode(), err)
		}
	}
}

func TestUsedIDsAreBoundedAndExpire(t *testing.T) {
	f := order.NewFloors()
	use := func(now, until time.Time) error {
		o := sample(order.KindReset)
		return f.Use(at(now), order.Claim{Kind: o.Kind, ID: o.ID, Until: until})
	}
	end := noon.Add(time.Hour)
	for range order.MaxUsed {
		if err := use(noon, end); err != nil {
			t.Fatal(err)
		}
	}
	wantReason(t, use(noon, end), order.LedgerFull)
	wantReason(t, use(end, end.Add(time.Hour)), order.LedgerFull) // Perhaps not over: the clock is uncertain by 1 s.
	later := end.Add(time.Second)
	if err := use(later, later.Add(time.Hour)); err != nil {
		t.Errorf("the ids ran out, and still: %v", err)
	}
	wantReason(t, use(noon, end), order.Expired) // The clock was set back: forgotten ids stay used.
	if err := use(noon, end.Add(time.Second)); err != nil {
		t.Errorf("an order that runs out after the forgotten ones was refused: %v", err)
	}
}

func TestAClockLedAstrayLocksNobodyOutForGood(t *testing.T) {
	f := order.NewFloors()
	if err := f.Use(at(noon), resets(1)[0].Claim()); err != nil {
		t.Fatal(err)
	}
	far := noon.AddDate(100, 0, 0)
	if err := f.Use(at(far), order.Claim{Kind: order.KindReset, ID: order.NewID(), Until: far.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	tomorrow := noon.AddDate(0, 0, 1)
	if err := f.Use(at(tomorrow), order.Claim{Kind: order.KindReset, ID: order.NewID(), Until: tomorrow.Add(time.Hour)}); err != nil {
		t.Errorf("one day on, a reset is refused: %v", err)
	}
}

func TestStopsAreRememberedInARing(t *testing.T) {
	f := order.NewFloors()
	first := sample(order.KindStop)
	claim := order.Claim{Kind: order.KindStop, ID: first.ID}
	if err := f.Use(order.Times{}, claim); err != nil {
		t.Fatal(err)
	}
	for i := range order.MaxStops {
		if repeat, _ := f.Check(order.Times{}, claim); !repeat {
			t.Fatalf("the stop is forgotten after %d others", i)
		}
		if err := f.Use(order.Times{}, order.Claim{Kind: order.KindStop, ID: order.NewID()}); err != nil {
			t.Fatal(err)
		}
	}
	if repeat, _ := f.Check(order.Times{}, claim); repeat {
		t.Error("more stops are remembered than may be")
	}
}
