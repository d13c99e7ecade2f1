package steward

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/agent/trial"
	"github.com/robowarden/robowarden/attest/artifact"
	"github.com/robowarden/robowarden/attest/order"
)

// bench is a robot's artifact under the steward's eyes, in virtual time; slots, locks and files are real.
type bench struct {
	t        *testing.T
	dir      string
	clock    time.Duration
	ts       *trials
	eyes     *artifacts
	log      *journal.Log
	state    map[string]any
	run      string
	digests  map[string]string
	sequence uint64
	counter  *memory
	// procfs is where the steward looks for processes; by default there are none.
	procfs string
}

// memory is a counter of floors that can be set to anything.
type memory struct {
	floors map[string]uint64
	err    error
	asked  int
}

func (m *memory) Floor(name string) (uint64, bool, error) {
	m.asked++
	v, ok := m.floors[name]
	return v, ok && m.err == nil, m.err
}

func (m *memory) Raise(name string, to uint64) error {
	if m.err == nil {
		m.floors[name] = max(m.floors[name], to)
	}
	return m.err
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), clock: time.Hour, run: "1@1", digests: map[string]string{}, procfs: t.TempDir()}
	b.state = map[string]any{
		"at_rest": true, "gate": "passed", "axes": map[string]any{"motion": "free", "manipulators": "free"}, "speed_mps": 0.5,
		"attestation": map[string]any{"state": "attested"}, "triggers": []any{},
	}
	var err error
	o := journal.DefaultOptions([16]byte{1}, func() time.Duration { return b.clock })
	if b.log, err = journal.Open(filepath.Join(t.TempDir(), "journal"), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.log.Close(t.Context()) })
	b.start("boot-1")
	return b
}

// start is a new steward that knows what the disk knows.
func (b *bench) start(boot string) {
	clock := func() time.Duration { return b.clock }
	b.eyes = &artifacts{dir: b.dir, clock: clock, known: map[string]measured{}, loaded: loaded{procfs: b.procfs}}
	b.ts = &trials{
		dir: b.dir, boot: boot, clock: clock, units: map[string]string{"grasp": "planner.service"}, runs: func(string) (string, bool) { return b.run, true },
		notes: &notes{log: b.log, clock: clock, tokens: noteBurst}, log: zerolog.Nop(), byName: map[string]*tracked{},
	}
	if b.counter != nil {
		b.ts.floors = remember(b.counter, clock)
	}
}

// install brings content into the free slot and makes it active.
func (b *bench) install(text string, svn, floor uint64, edit func(*slots.Install)) error {
	b.t.Helper()
	src := filepath.Join(b.t.TempDir(), "weights.bin")
	if err := os.WriteFile(src, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	f, err := artifact.HashFile(b.t.Context(), src, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	sum := artifact.TreeDigest([]artifact.File{f})
	b.digests[text] = hexOf(sum[:])
	r := &order.Release{
		Version: text, SVN: svn, RollbackFloor: floor, SettleS: 60, WindowS: 240,
		Artifacts: []order.Artifact{{Name: "grasp", Version: text, SHA256: b.digests[text], Size: uint64(len(text)), Files: 1}},
	}
	source, err := slots.OpenFolder(src, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	defer source.Close() //nolint:errcheck // it was read
	in := &slots.Install{Release: r, Source: source}
	if edit != nil {
		edit(in)
	}
	var fallbacks []string
	for _, d := range b.digests {
		fallbacks = append(fallbacks, d)
	}
	b.state["release"] = map[string]any{"version": text, "artifacts": []any{map[string]any{
		"name": "grasp", "sha256": b.digests[text], "fallbacks": fallbacks, "at_rest": true,
	}}}
	s, done := b.store()
	defer done()
	return s.Install(b.t.Context(), in)
}

func (b *bench) store() (*slots.Store, func()) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Join(b.dir, "grasp"), 0o700); err != nil {
		b.t.Fatal(err)
	}
	d, err := slots.OpenDir(filepath.Join(b.dir, "grasp"))
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := slots.Open("grasp", d, time.Now)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.counter != nil {
		s.With(&memory{floors: b.counter.floors}) // A person's command, which is not counted, and for which the counter answers.
	}
	return s, func() { _ = d.Close() }
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// look is one round, and what the guard hears in it.
func (b *bench) look() contract.Artifact {
	b.t.Helper()
	b.clock += 2 * time.Second
	b.state["boot_s"] = b.clock.Seconds()
	raw, err := json.Marshal(b.state)
	b.must(err)
	list := b.eyes.measure(b.t.Context())
	b.ts.step(b.t.Context(), list, b.eyes, raw)
	if len(list) != 1 {
		b.t.Fatalf("%+v", list)
	}
	return list[0]
}

// until looks until the condition holds.
func (b *bench) until(most time.Duration, what string, ok func(slots.Status, contract.Artifact) bool) (slots.Status, contract.Artifact) {
	b.t.Helper()
	var st slots.Status
	var a contract.Artifact
	for end := b.clock + most; b.clock < end; {
		a = b.look()
		s, done := b.store()
		var err error
		st, err = s.Status()
		done()
		b.must(err)
		if ok(st, a) {
			return st, a
		}
	}
	b.t.Fatalf("not within %v: %s; the guard hears %+v, the slots are %+v, the trial %+v", most, what, a, st, b.ts.byName["grasp"].state)
	return st, a
}

func good(st slots.Status, _ contract.Artifact) bool { return st.Running().Good }

func (b *bench) active(text string) func(slots.Status, contract.Artifact) bool {
	return func(st slots.Status, a contract.Artifact) bool {
		return st.Running().Version == text && a.SHA256 == b.digests[text]
	}
}

// onTrial has "old" good and in service, and "new" on trial.
func (b *bench) onTrial(svn, floor uint64) {
	b.t.Helper()
	b.must(b.install("old", 1, 0, nil))
	b.until(2*time.Minute, "the first one commits itself", good)
	for range 650 {
		b.look()
	}
	b.must(b.install("new", svn, floor, nil))
	b.until(10*time.Second, "the new one counts while it is on trial", b.active("new"))
}

func TestAHealthyArtifactIsCommitted(t *testing.T) {
	b := newBench(t)
	b.onTrial(2, 2)
	began := b.clock
	st, a := b.until(2*time.Minute, "committed", good)
	if b.clock-began < 50*time.Second || st.Floor != 1 || st.Least != 2 || a.SHA256 != b.digests["new"] {
		t.Errorf("after %v: %+v, %+v", b.clock-began, st, a)
	}
}

func TestASickArtifactIsTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		sicken func(b *bench)
		names  string
	}{
		"crash loop": {func(b *bench) { b.run += "1" }, "crash-loop"},
		"poisoned":   {func(b *bench) { b.state["gate"] = "scaled by geofence" }, "drift: refused commands"},
		"trips": {func(b *bench) {
			b.state["triggers"] = []any{map[string]any{"code": "motion.excess", "present": true, "since_s": float64(b.sequence % 3)}}
			b.sequence++
		}, "trips"},
		"attestation": {func(b *bench) { b.state["attestation"] = map[string]any{"state": "failed"} }, "attestation"},
		"changed": {func(b *bench) {
			b.must(os.WriteFile(filepath.Join(b.dir, "grasp", "active", "weights.bin"), []byte("evil"), 0o600))
		}, "it has the digest"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.onTrial(2, 0)
			// A longer trial, so that what needs minutes is seen.
			s, done := b.store()
			st, err := s.Status()
			b.must(err)
			done()
			_ = st
			b.longer(10*60, 60*60)
			for i := 0; i < 2000 && b.ts.byName["grasp"].state.Condemned == ""; i++ {
				c.sicken(b)
				b.look()
			}
			st, _ = b.until(10*time.Second, "taken back", b.active("old"))
			if !st.Running().Good || st.Trial == nil || len(st.Trial.Taken) != 1 || !strings.Contains(st.Trial.Taken[0].Why, c.names) {
				t.Errorf("%+v %+v", st, st.Trial)
			}
			if err := b.install("new", 2, 0, nil); err == nil || !strings.Contains(err.Error(), c.names) {
				t.Errorf("installed again: %v", err)
			}
		})
	}
}

// longer gives what is on trial another time to settle.
func (b *bench) longer(settle, window int) {
	b.t.Helper()
	for _, slot := range []string{"a.rec", "b.rec"} {
		name := filepath.Join(b.dir, "grasp", slot)
		raw, err := os.ReadFile(name) //nolint:gosec // the test's own
		b.must(err)
		line, _, _ := strings.Cut(string(raw), "\n")
		line = strings.Replace(line, `"settle_s":60,"window_s":240`, fmt.Sprintf(`"settle_s":%d,"window_s":%d`, settle, window), 1) + "\n"
		b.must(os.WriteFile(name, fmt.Appendf([]byte(line), "%s\n", order.Digest([]byte(line))), 0o600))
	}
}

// TestItWaitsForRestAndRestrictsMeanwhile: what is condemned has no digest for the guard, which holds what depends on it.
func TestItWaitsForRestAndRestrictsMeanwhile(t *testing.T) {
	b := newBench(t)
	b.onTrial(2, 0)
	b.state["at_rest"] = false
	for range 4 {
		b.run += "1"
		b.look()
	}
	for range 50 {
		if a := b.look(); a.SHA256 != "" || !strings.Contains(a.Why, "crash-loop") {
			t.Fatalf("the guard hears %+v of what is condemned", a)
		}
	}
	b.start("boot-1") // kill -9 of the steward.
	if a := b.look(); a.SHA256 != "" {
		t.Fatalf("after a kill the guard hears %+v", a)
	}
	b.state["at_rest"] = true
	b.until(10*time.Second, "taken back", b.active("old"))
}

// TestBelowTheFloorIsHeldOnTheSafeSide: it must be taken back, and what it would go back to must not run.
func TestBelowTheFloorIsHeldOnTheSafeSide(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(b *bench)
		names string
	}{
		"below the floor": {func(b *bench) {
			line := "5\n"
			b.must(os.WriteFile(filepath.Join(b.dir, "grasp", "floor"), []byte(line+order.Digest([]byte(line))+"\n"), 0o600))
		}, "below the floor 5"},
		"not in the release in force": {func(b *bench) {
			b.state["release"] = map[string]any{"version": "new", "artifacts": []any{map[string]any{"name": "grasp", "sha256": b.digests["new"], "at_rest": true}}}
		}, "does not name its content"},
		"no release": {func(b *bench) { delete(b.state, "release") }, "no release is in force"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.onTrial(6, 0)
			c.edit(b)
			for range 4 {
				b.run += "1"
				b.look()
			}
			for range 100 {
				a := b.look()
				if a.SHA256 != "" || !strings.Contains(a.Why, "crash-loop") || !strings.Contains(a.Why, c.names) {
					t.Fatalf("the guard hears %+v", a)
				}
			}
			s, done := b.store()
			defer done()
			if st, err := s.Status(); err != nil || st.Running().Version != "new" || st.Running().Good {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
}

// TestATrialSurvivesKills kills the steward at every look: what is sick is taken back all the same, and what is healthy is
// committed no earlier.
func TestATrialSurvivesKills(t *testing.T) {
	b := newBench(t)
	b.onTrial(2, 0)
	b.longer(600, 3600)
	for i := range 600 {
		b.state["gate"] = "scaled by geofence"
		b.look()
		if b.ts.byName["grasp"].state.Condemned != "" {
			break
		}
		if i%20 == 19 {
			b.start("boot-1")
		}
	}
	b.until(10*time.Second, "taken back", b.active("old"))
}

// TestRebootsInATrial: an orderly boot is none, one that is not makes health begin anew, the second condemns.
func TestRebootsInATrial(t *testing.T) {
	b := newBench(t)
	b.onTrial(2, 0)
	state := func() *trial.State { return &b.ts.byName["grasp"].state }
	for range 10 {
		b.look()
	}
	b.ts.close()
	b.start("boot-2")
	b.clock = time.Minute
	b.look()
	if s := state(); s.Resets != 0 || s.Boots != 1 {
		t.Fatalf("an orderly boot: %+v", s)
	}
	b.start("boot-3") // Nobody said goodbye.
	b.clock = time.Minute
	b.look()
	if s := state(); s.Resets != 1 || s.HealthyNS > int64(10*time.Second) {
		t.Fatalf("an unclean boot: %+v", s)
	}
	b.start("boot-4")
	b.clock = time.Minute
	b.until(10*time.Second, "taken back", b.active("old"))
	if x, ok := state().WasTaken(b.digests["new"]); !ok || !strings.Contains(x.Why, "watchdog-reset") {
		t.Error(x, ok)
	}
}

// TestADiskThatCannotBeWritten restricts all the same.
func TestADiskThatCannotBeWritten(t *testing.T) {
	b := newBench(t)
	b.onTrial(2, 0)
	unlock, err := slots.Lock(filepath.Join(b.dir, "grasp")) // Nobody can act while somebody else does.
	b.must(err)
	for range 4 {
		b.run += "1"
		b.look()
	}
	if a := b.look(); a.SHA256 != "" || !strings.Contains(a.Why, "crash-loop") {
		t.Errorf("the guard hears %+v", a)
	}
	unlock()
	b.until(10*time.Second, "taken back", b.active("old"))
}

// TestAHandWins: a person goes back, or commits what is held.
func TestAHandWins(t *testing.T) {
	b := newBench(t)
	b.onTrial(2, 0)
	s, done := b.store()
	b.must(s.Rollback(t.Context(), &slots.Back{Counts: func(string) error { return nil }, Why: "by hand"}))
	done()
	st, _ := b.until(10*time.Second, "the old one is in service", b.active("old"))
	if !st.Running().Good || len(st.Trial.Taken) != 1 || st.Trial.Now.ObservedNS < int64(20*time.Minute) {
		t.Errorf("%+v", st.Trial)
	}
	b.must(b.install("third", 2, 0, func(in *slots.Install) {
		in.Release.Criteria, in.Release.AtEnd = []string{"unheard-of"}, order.AtEndHold
	}))
	_, a := b.until(10*time.Minute, "held", func(_ slots.Status, a contract.Artifact) bool { return a.SHA256 == "" })
	if !strings.Contains(a.Why, "unheard-of") {
		t.Error(a)
	}
	s, done = b.store()
	_, err := s.Commit(t.Context())
	b.must(err)
	done()
	b.until(10*time.Second, "committed by hand", b.active("third"))
}

// TestTheGuardAnswersNothing: without it nothing is committed, and rubbish is nothing.
func TestTheGuardAnswersNothing(t *testing.T) {
	b := newBench(t)
	b.must(b.install("old", 1, 0, nil))
	for _, raw := range [][]byte{nil, []byte("{"), []byte(`{"at_rest":"x"}`), []byte(`[]`)} {
		for range 50 {
			b.clock += 2 * time.Second
			list := b.eyes.measure(t.Context())
			b.ts.step(t.Context(), list, b.eyes, raw)
		}
	}
	s, done := b.store()
	defer done()
	if st, err := s.Status(); err != nil || st.Running().Good {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestUnitRuns(t *testing.T) {
	root, procfs := t.TempDir(), t.TempDir()
	unit := filepath.Join(root, "system.slice", "p.service")
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stat := func(pid, name string, began int) {
		write(filepath.Join(procfs, pid, "stat"), fmt.Sprintf("%s (%s) S%s %d 0\n", pid, name, strings.Repeat(" 0", 18), began))
	}
	runs := unitRuns(root, procfs)
	want := func(run string, ok bool) {
		t.Helper()
		if got, k := runs("p.service"); got != run || k != ok {
			t.Errorf("%q %v, expected %q %v", got, k, run, ok)
		}
	}
	want("", true)
	stat("71", "a) b (c", 500)
	stat("70", "child", 900)
	write(filepath.Join(unit, "cgroup.procs"), "70\n71\n")
	want("71@500", true)
	write(filepath.Join(unit, "cgroup.procs"), "70\n72\n")
	want("70@900", true)
	write(filepath.Join(unit, "cgroup.procs"), "../70\n")
	want("", false)
	write(filepath.Join(unit, "cgroup.procs"), strings.Repeat("1\n", maxProcs))
	want("", false)
	if _, ok := startOf("/proc/self/stat"); !ok {
		t.Error("this process has no start")
	}
}
