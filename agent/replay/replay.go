// Package replay runs a journal's recorded inputs through the same core that the guard runs and compares every outcome;
// it never talks to a robot, and it changes nothing it reads.
package replay

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
)

// Start is what a run's first record says about it.
type Start struct {
	// Robot, Serial and Node name the robot and its guard on the bus.
	Robot  string `json:"robot"`
	Serial string `json:"serial"`
	Node   string `json:"node"`
	// Profile, Topics and Policy are the digests of the documents in force at the start.
	Profile string `json:"profile"`
	Topics  string `json:"topics"`
	Policy  string `json:"policy"`
	// Floor is the oldest civil time that could be true, in nanoseconds since the Unix epoch.
	Floor int64 `json:"time_floor_ns"`
}

// Params gives what a run decided by, found by the digests that its records name.
type Params func(Start) (*guard.Params, error)

// Mismatch is one record whose outcome is not what the journal says.
type Mismatch struct {
	// Seq is the record's number, Boot its time.
	Seq  uint64        `json:"record"`
	Boot time.Duration `json:"boot_ns"`
	// What says what differs.
	What string `json:"differs"`
}

// Result is what a replay found.
type Result struct {
	// Runs, Events, Snapshots and Policies count what was replayed.
	Runs, Events, Snapshots, Policies int
	// Skipped counts events that no replay can reach: before the first snapshot of a run, or between a gap and the next.
	Skipped int
	// Mismatches are the differences, the first of each run only: what follows one is its consequence.
	Mismatches []Mismatch
	// Digest is the running digest after the last event.
	Digest uint64
}

// OK is true if something was replayed and every outcome was the recorded one.
func (r *Result) OK() bool { return r.Events > 0 && len(r.Mismatches) == 0 }

// Checked is a result as programs read it.
type Checked struct {
	// AsRecorded is true if something was replayed and every outcome was the recorded one.
	AsRecorded bool `json:"as_recorded"`
	Runs       int  `json:"runs"`
	// Events counts what was decided again, Skipped what no replay can reach.
	Events  int `json:"events"`
	Skipped int `json:"skipped"`
	// Digest is the running digest after the last event, 16 hex digits.
	Digest     string     `json:"digest"`
	Mismatches []Mismatch `json:"mismatches,omitempty"`
}

// Checked returns the result as programs read it.
func (r *Result) Checked() *Checked {
	return &Checked{r.OK(), r.Runs, r.Events, r.Skipped, fmt.Sprintf("%016x", r.Digest), r.Mismatches}
}

// player is a replay under way.
type player struct {
	params Params
	start  Start
	core   *guard.Core
	store  guard.EventStore
	fx     guard.Effects
	buf    []byte
	broken bool
	// watch, if set, sees every event that is applied.
	watch Watcher
	// swap, if set, puts another event in a recorded one's place.
	swap func(*guard.Event) *guard.Event
	Result
}

// Dir replays the journal in a folder.
func Dir(folder string, params Params) (Result, error) {
	r, err := journal.OpenDir(folder)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = r.Close() }()
	p := &player{params: params}
	for rec, err := range r.All() {
		if err != nil {
			return p.Result, err
		}
		if err := p.take(&rec); err != nil {
			return p.Result, fmt.Errorf("record %d: %w", rec.Seq, err)
		}
	}
	return p.Result, nil
}

func (p *player) take(rec *journal.Record) error {
	if rec.Kind.Reserved() {
		// A gap, a repair or an end: what follows does not continue what came before, until the next snapshot.
		if rec.Kind == journal.KindGap {
			p.core, p.start = nil, Start{} // a policy may have been loaded in it; before the next snapshot it is said which
		}
		return nil
	}
	switch uint8(rec.Kind) {
	case guard.RecordStart:
		p.core, p.broken, p.start = nil, false, Start{}
		p.Runs++
		return json.Unmarshal(rec.Payload, &p.start)
	case guard.RecordResume:
		return p.resume(rec)
	case guard.RecordSnapshot:
		return p.snapshot(rec)
	case guard.RecordEvent:
		return p.event(rec)
	case guard.RecordPolicy:
		return p.policy(rec)
	}
	return nil
}

// resume finds out what the next snapshot was decided by, where the records that said so are not there any more.
func (p *player) resume(rec *journal.Record) error {
	if p.core != nil {
		return nil
	}
	r, err := guard.ParseResume(rec.Payload)
	if err != nil {
		return err
	}
	p.start = Start{}
	if err := json.Unmarshal(r.Start, &p.start); err != nil || len(r.Policy) == 0 {
		return err
	}
	return p.inForce(r.Policy)
}

// inForce takes the policy's digest from its record.
func (p *player) inForce(document []byte) error {
	var doc struct {
		Digest string `json:"digest"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return err
	}
	p.start.Policy = doc.Digest
	return nil
}

// snapshot begins a replay, or checks that the one under way has arrived at the recorded state.
func (p *player) snapshot(rec *journal.Record) error {
	p.Snapshots++
	if p.core != nil {
		if p.buf = p.core.AppendState(p.buf[:0]); !bytes.Equal(p.buf, rec.Payload) {
			at := firstDifference(p.buf, rec.Payload)
			p.mismatch(rec, fmt.Sprintf("state: %d bytes replayed differ from %d recorded, first at byte %d (%s)",
				len(p.buf), len(rec.Payload), at, guard.SnapshotPart(rec.Payload, at)))
		}
		return nil
	}
	params, err := p.params(p.start)
	if errors.Is(err, errUnsaid) {
		return nil // The quota cut off what it was decided by; the next snapshot has that before it.
	}
	if err != nil {
		return err
	}
	core, err := guard.NewCore(params, guard.Start{})
	if err != nil {
		return err
	}
	if err := core.RestoreState(rec.Payload); err != nil {
		if errors.Is(err, guard.ErrPendingSnapshot) {
			return nil // The next snapshot will do.
		}
		return err
	}
	p.core = core
	return nil
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// event applies one event and compares the running digest.
func (p *player) event(rec *journal.Record) error {
	if p.core == nil {
		p.Skipped++
		return nil
	}
	const digestLen = 8
	if len(rec.Payload) < digestLen {
		return errors.New("event record ends early")
	}
	cut := len(rec.Payload) - digestLen
	ev, err := p.store.Decode(rec.Payload[:cut])
	if err != nil {
		return err
	}
	if p.swap != nil {
		ev = p.swap(ev)
	}
	p.core.Apply(ev, &p.fx)
	if p.watch != nil {
		p.watch.See(ev, p.core, &p.fx)
	}
	p.Events++
	p.Digest = p.fx.Digest
	if want := binary.LittleEndian.Uint64(rec.Payload[cut:]); p.fx.Digest != want {
		p.mismatch(rec, fmt.Sprintf("%s: digest %016x replayed, %016x recorded", ev, p.fx.Digest, want))
	}
	return nil
}

// policy puts the policy into force that the guard loaded here.
func (p *player) policy(rec *journal.Record) error {
	if err := p.inForce(rec.Payload); err != nil {
		return err
	}
	p.Policies++
	if p.core == nil {
		return nil
	}
	params, err := p.params(p.start)
	if err != nil {
		return err
	}
	return p.core.Load(params)
}

func (p *player) mismatch(rec *journal.Record, what string) {
	if !p.broken {
		p.Mismatches = append(p.Mismatches, Mismatch{Seq: rec.Seq, Boot: rec.Boot, What: what})
	}
	p.broken = true
}
