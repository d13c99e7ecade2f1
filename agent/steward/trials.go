package steward

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/agent/trial"
)

// Paces of trials.
const (
	// trialEvery is how often facts are taken, saveEvery how often progress alone is written: what a power cut takes of it is
	// observed again.
	trialEvery = time.Second
	saveEvery  = 30 * time.Second
	// wrongRounds is how many measurements in a row must differ from the record: one may have met a switch.
	wrongRounds = 2
	// statusPatience is how old the guard's answer may be.
	statusPatience = 5 * time.Second
)

// Runs says which systemd unit runs an artifact.
type Runs struct{ Artifact, Unit string }

// runner says which run of a unit is alive, "" and true for none, false if that cannot be told.
type runner func(unit string) (run string, ok bool)

// tracked is one artifact's trial in memory.
type tracked struct {
	state  trial.State
	loaded bool
	saved  time.Duration
	// told is the decision that was written down last, why what is said to the guard instead of a digest.
	told, why string
	problem   string
	wrong     int
	// again is when going back is tried again, stuck why it did not work the last time.
	again time.Duration
	stuck string
	run   string
	// below says why the floor forbids what is active, stood that it did not at some time of this run, settled when the floor was
	// looked after.
	below   string
	stood   bool
	settled time.Duration
}

// trials observes what is active, commits it or takes it back. Only one goroutine uses it.
type trials struct {
	dir   string
	boot  string
	clock func() time.Duration
	units map[string]string
	runs  runner
	notes *notes
	log   zerolog.Logger
	// floors keeps floors in a TPM's counters, nil where files do.
	floors *remembered

	byName map[string]*tracked
	last   time.Duration
	// trips counts the interlock's trips since the look before; seen is when each trigger that is there began.
	seen  map[string]float64
	trips uint64
}

// Trial is a step of an artifact's trial, as the journal has it.
type Trial struct {
	Artifact string `json:"artifact"`
	// What is "began", "committed", "condemned", "held", "rolled-back", "stuck" or "goes-on".
	What string `json:"what"`
	// Version, Release, SHA256 and SVN are those of what is or was on trial.
	Version string `json:"version,omitempty"`
	Release string `json:"release,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
	SVN     uint64 `json:"svn"`
	Text    string `json:"text,omitempty"`
	// Made is the provenance that was verified at the installation.
	Made *slots.Made `json:"made,omitempty"`
}

func (ts *trials) note(name, what string, r *slots.Record, text string) {
	x := Trial{Artifact: name, What: what, Text: text}
	if r != nil {
		x.Version, x.Release, x.SHA256, x.SVN, x.Made = r.Version, r.Release, r.SHA256, r.SVN, r.Made
	}
	ts.notes.add(RecordTrial, x)
	ts.log.Info().Str("artifact", name).Str("what", what).Str("version", x.Version).Str("release", x.Release).Msg("trial: " + text)
}

// step looks at every measured artifact once, and changes in list what the guard must not take for proven.
func (ts *trials) step(ctx context.Context, list []contract.Artifact, a *artifacts, status []byte) {
	now := ts.clock()
	var v *view
	if len(status) > 0 {
		v = &view{}
		if err := json.Unmarshal(status, v); err != nil {
			v = nil
		}
	}
	due := now-ts.last >= trialEvery || ts.last == 0
	if due && v != nil {
		ts.countTrips(v)
	}
	for i := range list {
		name := list[i].Name
		t := ts.byName[name]
		if t == nil {
			t = &tracked{}
			ts.byName[name] = t
		}
		if due {
			m := a.known[name]
			if err := ts.one(ctx, name, t, &m, v); err != nil && err.Error() != t.problem {
				t.problem = err.Error()
				ts.note(name, "stuck", nil, t.problem)
			}
		}
		// It only ever tightens: a digest is withheld, never made up.
		if why := cmp.Or(t.why, t.below, ts.stale(name, t, a, v)); why != "" {
			list[i].SHA256, list[i].Why = "", why
		}
	}
	if due {
		ts.last, ts.trips = now, 0
	}
}

// one looks at one artifact.
func (ts *trials) one(ctx context.Context, name string, t *tracked, m *measured, v *view) error {
	d, err := slots.OpenDir(filepath.Join(ts.dir, name))
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // what was written is durable already
	s := slots.View(name, d)
	s.With(ts.floors.counter())
	r := s.Running()
	if r == nil {
		return nil // Nothing is active: there is no trial, and the guard hears that nothing was found.
	}
	t.below = ts.stands(name, t, s)
	clean := ts.load(name, s, t, r)
	f := ts.facts(name, t, m, r, s.Active(), v)
	f.Clean = clean
	terms := r.Terms()
	verdict := t.state.Step(&f, &terms)
	return errors.Join(ts.act(ctx, name, d, t, r, v, &verdict), ts.settle(name, d, t, r))
}

// load makes the state that of what is active, and says whether the run before ended in order.
func (ts *trials) load(name string, s *slots.Store, t *tracked, r *slots.Record) (clean bool) {
	if !t.loaded || t.state.Now.SHA256 != r.SHA256 || t.state.Good != r.Good {
		// Somebody else may have written: a person who went back, or committed.
		state, err := s.Trial()
		if err != nil {
			ts.note(name, "stuck", r, err.Error()+"; the trial begins anew")
		}
		before := t.state.Now
		t.state = state
		if before.SHA256 == state.Now.SHA256 && before.ObservedNS > state.Now.ObservedNS {
			t.state.Now = before // What was observed since it was written.
		}
		known := state.Now.SHA256 == r.SHA256
		t.state.Begin(r.SHA256, r.Good)
		switch {
		case !r.Good && !known:
			ts.note(name, "began", r, fmt.Sprintf("on trial for %d s, to be seen healthy for %d s without a break", r.WindowS, r.SettleS))
		case !r.Good && !t.loaded:
			ts.note(name, "goes-on", r, fmt.Sprintf("observed for %v as yet", time.Duration(state.ElapsedNS).Round(time.Second)))
		}
		t.loaded, t.saved, t.again, t.told, t.why, t.stuck, t.run = true, 0, 0, "", "", "", ""
	}
	clean = t.state.Clean
	if t.state.Boot == ts.boot {
		t.state.Clean = false
	}
	return clean
}

// facts are what was observed since the look before.
func (ts *trials) facts(name string, t *tracked, m *measured, r *slots.Record, active string, v *view) trial.Facts {
	f := trial.Facts{Boot: ts.boot, Clock: ts.clock(), Guard: v != nil, Samples: [trial.NumMetrics]float64{math.NaN(), math.NaN(), math.NaN()}}
	switch {
	case m.digest == "" || m.look.slot != active: // Not measured yet.
	case m.digest != r.SHA256:
		if t.wrong++; t.wrong >= wrongRounds {
			f.Wrong = fmt.Sprintf("it has the digest %s, its record says %s", m.digest, r.SHA256)
		}
	default:
		t.wrong = 0
	}
	if v != nil {
		f.Samples, f.Trips = v.samples(), ts.trips
		f.Attested, f.Refused = v.Attestation.State == "attested", v.Attestation.State == "failed"
	}
	if unit := ts.units[name]; unit != "" {
		run, ok := ts.runs(unit)
		f.Watched = ok && run != ""
		if f.Watched && t.run != "" && run != t.run {
			f.Restarts = 1
		}
		if f.Watched {
			t.run = run
		}
	}
	return f
}

// act does what was decided. What cannot be done is tried again at the next look; meanwhile the guard hears no digest.
func (ts *trials) act(ctx context.Context, name string, d *slots.Dir, t *tracked, r *slots.Record, v *view, verdict *trial.Verdict) error {
	if verdict.Decision == trial.RollBack || verdict.Decision == trial.Hold {
		if t.why = clipText(verdict.Decision.String() + ": " + verdict.Why); t.stuck != "" && verdict.Decision == trial.RollBack {
			t.why = t.stuck
		}
	} else {
		t.why = ""
	}
	now := ts.clock()
	if !verdict.Urgent && verdict.Decision == trial.Keep && t.saved != 0 && now-t.saved < saveEvery {
		return nil
	}
	if verdict.Decision == trial.Hold && t.told == "held" && !verdict.Urgent {
		return nil
	}
	unlock, err := slots.Lock(filepath.Join(ts.dir, name))
	if err != nil {
		return err
	}
	defer unlock()
	s, err := slots.Open(name, d, time.Now)
	if err != nil {
		return err
	}
	s.With(ts.floors.counter())
	if now := s.Running(); now == nil || now.SHA256 != r.SHA256 {
		return nil // It was changed since: the next look begins with what is active then.
	}
	if verdict.Urgent || t.saved == 0 || now-t.saved >= saveEvery {
		t.state.Clean = false
		if err := s.SaveTrial(&t.state); err != nil {
			return err
		}
		t.saved = now
	}
	switch verdict.Decision {
	case trial.Commit:
		return ts.commit(ctx, name, s, t, r, verdict.Why)
	case trial.RollBack:
		return ts.takeBack(ctx, name, s, t, r, v, verdict.Why)
	case trial.Hold:
		if t.told != "held" {
			t.told = "held"
			ts.note(name, "held", r, verdict.Why)
			return s.Note("held", verdict.Why)
		}
	case trial.Keep:
	}
	return nil
}

func (ts *trials) commit(ctx context.Context, name string, s *slots.Store, t *tracked, r *slots.Record, why string) error {
	text, err := s.Commit(ctx)
	if err != nil {
		return err
	}
	t.state.Begin(r.SHA256, true)
	ts.note(name, "committed", r, why+"; "+text)
	return s.SaveTrial(&t.state)
}

// takeBack goes back to the content before once the robot stands. That the guard hears no digest of what is condemned brings it
// to rest where the policy makes the robot depend on it.
func (ts *trials) takeBack(ctx context.Context, name string, s *slots.Store, t *tracked, r *slots.Record, v *view, why string) error {
	if t.told != "condemned" {
		t.told = "condemned"
		ts.note(name, "condemned", r, why)
		if err := s.Note("condemned", why); err != nil {
			return err
		}
	}
	if v == nil || ts.clock() < t.again {
		return nil // Nobody says whether the robot stands and what counts, or it was tried just now.
	}
	if v.mayActivate(name) != nil {
		return nil //nolint:nilerr // Not now; asked before the other slot is hashed, again and again.
	}
	err := s.Rollback(ctx, &slots.Back{
		Counts: func(digest string) error { return v.counts(name, digest) }, May: func() error { return v.mayActivate(name) }, Why: why,
	})
	if err != nil {
		t.again = ts.clock() + saveEvery
		t.stuck = clipText("must be taken back: " + why + "; and cannot be: " + err.Error())
		return err
	}
	t.problem = ""
	ts.note(name, "rolled-back", r, why)
	t.loaded = false // The next look reads what is active now.
	return nil
}

// close notes that this run ends in order, so that the next boot is no sign of sickness.
func (ts *trials) close() {
	for name, t := range ts.byName {
		if !t.loaded {
			continue
		}
		t.state.Clean = true
		err := func() error {
			dir := filepath.Join(ts.dir, name)
			unlock, err := slots.Lock(dir)
			if err != nil {
				return err
			}
			defer unlock()
			d, err := slots.OpenDir(dir)
			if err != nil {
				return err
			}
			defer d.Close() //nolint:errcheck // what was written is durable already
			s := slots.View(name, d)
			if r := s.Running(); r == nil || r.SHA256 != t.state.Now.SHA256 {
				return nil
			}
			return s.SaveTrial(&t.state)
		}()
		if err != nil {
			ts.log.Warn().Err(err).Str("artifact", name).Msg("the trial's end of this run could not be written: the next boot counts as unclean")
		}
	}
}

// clipText shortens a reason to what the contract carries.
func clipText(s string) string { return clipped(errors.New(s)) }
