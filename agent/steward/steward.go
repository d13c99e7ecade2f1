// Package steward looks up which process of the robot's computer is behind each of the guard's connections and tells the
// guard, for as long as a short lease; it opens no network connection, and nothing it says loosens a restriction.
//
// The guard does not wait for it. When it ends, or stops looking, its facts run out and the guard knows nothing about
// processes any more, which is the restrictive answer.
package steward

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/internal/task"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/hal/proc"
)

// Finder finds the processes behind connections; [proc.Finder] is one.
type Finder interface {
	Find(ctx context.Context, pairs []proc.Pair) []proc.Fact
}

// DeviceFinder finds the processes that have a device open; [proc.Devices] is one.
type DeviceFinder func(ctx context.Context, patterns []string) proc.OpenDevices

// Options says what the steward does. All but Finder are required.
type Options struct {
	// Socket is the guard's control socket.
	Socket string
	// StateDir holds the steward's own journal, in the folder journal.
	StateDir string
	// Period is how often every process is looked up again; the lease of the facts is three periods, at most a minute.
	Period time.Duration
	// Program names the program and its version, for the guard and the journal.
	Program string
	// BootID is the kernel's id of this boot, Clock the boot clock.
	BootID [16]byte
	Clock  func() time.Duration
	// Artifacts is the folder with the slots of artifacts, empty for none.
	Artifacts string
	// Runs says which units run which artifacts, so that crash loops are seen.
	Runs []Runs
	// Floors keeps the floors of artifacts in a TPM's counters; nil leaves them in files. It raises for [RaiseAtMost] at a time.
	Floors slots.Counter
	// Finder looks; nil means this computer's [proc.Finder].
	Finder Finder
	// Devices looks for open recording devices; nil means this computer's [proc.Devices].
	Devices DeviceFinder
	// Log gets one line for each thing that changes.
	Log zerolog.Logger
}

// Pauses between attempts to reach the guard.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = 2 * time.Second
)

// Bounds of the steward's own journal.
const (
	journalSegment = 1 << 20
	journalQuota   = 32 << 20
	journalRing    = 256 << 10
)

// shortest is the least time between two rounds, however often the guard's connections change.
const shortest = 25 * time.Millisecond

// leastLook is the least time that a round may take before it leaves the rest to the next.
const leastLook = time.Second

// leases is how many periods a fact lives.
const leases = 3

// Steward is one running role.
type Steward struct {
	o       Options
	finder  Finder
	journal *journal.Log
	notes   notes
	rounds  atomic.Uint64
	sent    atomic.Uint64
	turns   atomic.Uint64
	link    atomic.Bool
	// artifacts measures slots, nil for none.
	artifacts *artifacts
	trials    *trials
	// status is the guard's newest answer, statusAt when it came.
	statusMu sync.Mutex
	status   []byte
	statusAt time.Duration

	mu    sync.Mutex
	facts []Fact
	walls any
}

// New opens the steward's journal. It talks to nobody yet, so that the process can be confined between New and
// [Steward.Run].
func New(o Options) (*Steward, error) {
	switch {
	case o.Socket == "":
		return nil, errors.New("steward: option Socket: expected the guard's control socket, found nothing")
	case o.StateDir == "":
		return nil, errors.New("steward: option StateDir: expected a folder, found nothing")
	case o.Period < shortest:
		return nil, fmt.Errorf("steward: option Period: expected at least %v, found %v", shortest, o.Period)
	case o.Clock == nil:
		return nil, errors.New("steward: option Clock: expected the boot clock, found none")
	}
	s := &Steward{o: o, finder: o.Finder}
	if s.o.Devices == nil {
		s.o.Devices = func(ctx context.Context, patterns []string) proc.OpenDevices { return proc.Devices(ctx, "", patterns) }
	}
	if s.finder == nil {
		f, err := proc.New(proc.Options{Now: o.Clock})
		if err != nil {
			return nil, fmt.Errorf("steward: %w", err)
		}
		s.finder = f
	}
	j := journal.DefaultOptions(o.BootID, o.Clock)
	j.SegmentBytes, j.QuotaBytes, j.RingBytes, j.Log = journalSegment, journalQuota, journalRing, o.Log
	var err error
	if s.journal, err = journal.Open(JournalDir(o.StateDir), j); err != nil {
		return nil, fmt.Errorf("steward: %w", err)
	}
	if o.Artifacts != "" {
		s.artifacts = &artifacts{dir: o.Artifacts, clock: o.Clock, known: map[string]measured{}}
	}
	s.notes = notes{log: s.journal, clock: o.Clock, tokens: noteBurst}
	if s.artifacts != nil {
		s.trials = &trials{
			dir: o.Artifacts, boot: hex.EncodeToString(o.BootID[:]), clock: o.Clock, units: map[string]string{}, runs: unitRuns("/sys/fs/cgroup", "/proc"),
			notes: &s.notes, log: o.Log, floors: remember(o.Floors, o.Clock), byName: map[string]*tracked{},
		}
		for _, r := range o.Runs {
			s.trials.units[r.Artifact] = r.Unit
		}
	}
	return s, nil
}

// Confined says behind which walls the process works, for journal and status: any value that marshals to JSON. It is
// called before [Steward.Run].
func (s *Steward) Confined(walls any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.walls = walls
}

// JournalDir is where the steward's journal lies in its state folder.
func JournalDir(stateDir string) string { return stateDir + "/journal" }

// Progress counts the turns of the steward's loop, whether the guard is there or not. A steward whose count stands still
// is stuck.
func (s *Steward) Progress() uint64 { return s.turns.Load() }

// Status is what the steward knows about itself.
type Status struct {
	// Connected says whether the guard listens; Rounds counts looks at all connections, Sent the answers that it took.
	Connected bool   `json:"connected"`
	Rounds    uint64 `json:"rounds"`
	Sent      uint64 `json:"sent"`
	// Suppressed counts changes that were not written to the journal because there were too many.
	Suppressed uint64 `json:"suppressed"`
	// JournalWritable and JournalLost are the own journal's state.
	JournalWritable bool   `json:"journal_writable"`
	JournalLost     uint64 `json:"journal_lost"`
	// Walls is what the process is confined to.
	Walls any `json:"walls,omitempty"`
	// Facts are the newest ones.
	Facts []Fact `json:"facts"`
}

// Status returns the steward's state.
func (s *Steward) Status() Status {
	h := s.journal.Health()
	s.mu.Lock()
	defer s.mu.Unlock()
	return Status{
		JournalWritable: h.Writable, JournalLost: h.Lost,
		Connected: s.link.Load(), Rounds: s.rounds.Load(), Sent: s.sent.Load(), Suppressed: s.notes.suppressed.Load(), Walls: s.walls,
		Facts: append([]Fact{}, s.facts...),
	}
}

// closing bounds how long the end waits for the disk.
const closing = 2 * time.Second

// Run looks and tells until ctx ends.
func (s *Steward) Run(ctx context.Context) error {
	s.notes.add(RecordStart, Start{Program: s.o.Program, Walls: s.Status().Walls})
	var g task.Group
	g.Go("journal", s.journal.Run)
	g.Go("guard", s.serve)
	err := g.Run(ctx)
	if s.trials != nil {
		s.trials.close()
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	return errors.Join(err, s.journal.Close(end))
}

// serve keeps a connection to the guard.
func (s *Steward) serve(ctx context.Context) error {
	pause := firstPause
	told := ""
	for ctx.Err() == nil {
		s.turns.Add(1)
		began := s.o.Clock()
		err := s.session(ctx)
		if ctx.Err() != nil {
			break
		}
		// A guard that is away for a while is told once.
		if text := err.Error(); text != told {
			told = text
			s.o.Log.Warn().Err(err).Msg("no connection to the guard; it knows nothing about processes meanwhile")
		}
		if s.o.Clock()-began > mostPause {
			pause, told = firstPause, ""
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, mostPause)
	}
	return nil //nolint:nilerr // the end of a session is told above
}

// dialTimeout bounds how long the guard's welcome may take.
const dialTimeout = 5 * time.Second

// session is one connection to the guard, from welcome to end. It returns why it ended.
func (s *Steward) session(ctx context.Context) error {
	dctx, cancel := context.WithTimeout(ctx, dialTimeout)
	conn, welcome, err := contract.Dial(dctx, s.o.Socket, contract.Hello{
		Role: contract.Steward, Min: contract.OldestVersion, Max: contract.Version, Program: s.o.Program,
	})
	cancel()
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	s.notes.add(RecordGuard, Guard{Connected: true, Robot: welcome.Robot, Nonce: welcome.Nonce})
	s.link.Store(true)
	peers := make(chan contract.Peers, 1)
	var reader sync.WaitGroup
	reader.Go(func() { end(s.receive(conn, peers)) })
	reader.Go(func() { s.tellArtifacts(ctx, conn) })
	err = s.look(ctx, conn, peers)
	end(err)
	_ = conn.Close()
	reader.Wait()
	s.link.Store(false)
	s.notes.add(RecordGuard, Guard{Robot: welcome.Robot, Nonce: welcome.Nonce})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// receive keeps the newest list of connections in peers until the connection ends.
func (s *Steward) receive(conn *contract.Conn, peers chan contract.Peers) error {
	for {
		f, err := conn.Receive()
		if err != nil {
			return fmt.Errorf("the guard's connection ended: %w", err)
		}
		if f.Type == contract.FrameStatus {
			s.statusMu.Lock()
			s.status, s.statusAt = bytes.Clone(f.Body), s.o.Clock()
			s.statusMu.Unlock()
			continue
		}
		if f.Type != contract.FramePeers {
			continue // of a later version, or an answer that nobody asked for
		}
		var p contract.Peers
		if err := f.Into(&p); err != nil {
			return fmt.Errorf("the guard's list of connections: %w", err)
		}
		select {
		case <-peers:
		default:
		}
		peers <- p
	}
}

// look looks whenever the guard's connections change and once every period.
func (s *Steward) look(ctx context.Context, conn *contract.Conn, peers <-chan contract.Peers) error {
	tick := time.NewTicker(s.o.Period)
	defer tick.Stop()
	known := book{}
	var list contract.Peers
	var devices deviceWatch
	for {
		s.turns.Add(1)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case list = <-peers:
		case <-tick.C:
		}
		began := time.Now()
		if err := s.lookForDevices(ctx, conn, list.Recorders, &devices); err != nil {
			return err
		}
		if err := s.round(ctx, conn, list.Peers, &known); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(shortest - time.Since(began)):
		}
	}
}

// round looks at all connections once, tells the guard and writes down what changed.
func (s *Steward) round(ctx context.Context, conn *contract.Conn, peers []contract.Peer, known *book) error {
	// A busy computer may need longer than a short period; what is told late is told with a whole lease.
	lctx, cancel := context.WithTimeout(ctx, max(s.o.Period, leastLook))
	found := s.finder.Find(lctx, pairs(peers))
	cancel()
	s.rounds.Add(1)
	now := s.o.Clock()
	facts, looked := make([]Fact, len(peers)), make([]bool, len(peers))
	for i := range peers {
		facts[i] = Fact{Peer: peers[i], Process: process(peers[i].ID, &found[i])}
		looked[i] = !pending(&facts[i])
	}
	known.repeat(facts, now, 2*s.o.Period)
	out := contract.Processes{LeaseMS: min(leases*s.o.Period.Milliseconds(), contract.MaxLeaseMS), Processes: make([]contract.Process, len(peers))}
	for i := range facts {
		out.Processes[i] = facts[i].Process
	}
	frame, err := contract.New(0, out)
	if err != nil {
		return fmt.Errorf("facts: %w", err)
	}
	if err := conn.Send(frame); err != nil {
		return fmt.Errorf("facts not sent: %w", err)
	}
	s.sent.Add(1)
	s.mu.Lock()
	s.facts = facts
	s.mu.Unlock()
	known.update(facts, looked, now, func(kind journal.Kind, f *Fact) {
		s.notes.add(kind, f)
		s.o.Log.Info().Str("topic", f.Peer.Topic).Str("node", f.Peer.Node).Str("remote", f.Peer.Remote).Bool("found", f.Process.Found).
			Str("why", f.Process.Why).Int("pid", f.Process.PID).Str("unit", f.Process.Unit).Str("record", KindName(kind)).Msg("the process behind a connection")
	})
	return nil
}

// notes writes to the steward's journal, at most so many records a second: who changes often must not push older
// evidence out.
type notes struct {
	log        *journal.Log
	clock      func() time.Duration
	mu         sync.Mutex
	tokens     float64
	last       time.Duration
	dropped    uint64
	suppressed atomic.Uint64
}

const (
	noteRate  = 50.0
	noteBurst = 1000.0
)

func (n *notes) add(kind journal.Kind, content any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.clock()
	n.tokens = min(noteBurst, n.tokens+noteRate*(now-n.last).Seconds())
	n.last = now
	if n.tokens < 1 {
		n.dropped++
		n.suppressed.Add(1)
		return
	}
	if n.dropped > 0 && kind != RecordSuppressed {
		n.write(RecordSuppressed, now, Suppressed{Records: n.dropped})
		n.dropped = 0
	}
	n.write(kind, now, content)
}

func (n *notes) write(kind journal.Kind, now time.Duration, content any) {
	raw, err := json.Marshal(content)
	if err != nil {
		raw = fmt.Appendf(nil, "{\"error\":%q}", err.Error())
	}
	n.tokens--
	n.log.Append(kind, now, raw, false)
}
