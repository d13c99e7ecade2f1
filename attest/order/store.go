package order

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// State says what a [Store] found on disk.
type State string

// The states of a store.
const (
	// StateNew means that there was no record and an empty one was written.
	StateNew State = "new"
	// StateIntact means that both copies were read and agree, or one was a step ahead as a power cut leaves it.
	StateIntact State = "intact"
	// StateRepaired means that one copy was missing or damaged and was written anew from the other.
	StateRepaired State = "repaired"
	// StateMissing means that there was no record and creating one was not allowed.
	StateMissing State = "missing"
	// StateDamaged means that no copy could be read, or that a copy could not be repaired.
	StateDamaged State = "damaged"
)

// The two copies and the name under which each is written before it takes its place.
const (
	copyA    = "floors.a"
	copyB    = "floors.b"
	copyTemp = "floors.tmp"
)

// Store is a durable [Ledger]: two copies of the record in one directory, each replaced whole. An order takes effect
// only after [Store.Commit]; what was reserved stays used up even when it could not be made durable.
//
// A store that cannot read its record refuses every order that could loosen something, and never writes over the
// damage. Stops it lets through, whatever the state. The checksum finds accidents, not an owner of the disk who puts
// an old record back: [Store.Generation] is there to be compared with a counter that cannot go back.
//
// One process at a time may use a directory. Commit waits for the disk, so it stays off the path of commands.
type Store struct {
	mu         sync.Mutex
	fs         FS
	floors     *Floors
	generation uint64
	state      State
	cause      error
	unsaved    bool // The record in memory is ahead of the disk, since a write failed.
}

// OpenStore reads the record. It always returns a usable store; [Store.State] says what was found. An absent record
// is created only when create is true, which is for enrolment: on a robot that has accepted orders before, an absent
// record means that somebody removed it.
func OpenStore(fsys FS, create bool) *Store {
	s := &Store{fs: fsys, floors: NewFloors()}
	a, genA, errA := readCopy(fsys, copyA)
	b, genB, errB := readCopy(fsys, copyB)
	absentA, absentB := errors.Is(errA, fs.ErrNotExist), errors.Is(errB, fs.ErrNotExist)
	switch {
	case errA == nil && errB == nil && genA == genB && !bytes.Equal(a.Marshal(genA), b.Marshal(genB)):
		s.state = StateDamaged
		s.cause = fmt.Errorf("%s and %s differ in the same generation %d: somebody wrote one of them", copyA, copyB, genA)
	case errA == nil && (errB != nil || genA >= genB):
		s.floors, s.generation, s.state = a, genA, StateIntact
	case errB == nil:
		s.floors, s.generation, s.state = b, genB, StateIntact
	case absentA && absentB && create:
		s.state = StateNew
	case absentA && absentB:
		s.state = StateMissing
		s.cause = errors.New("there is no record of used orders")
	default:
		s.state = StateDamaged
		s.cause = errors.Join(errA, errB)
	}
	if s.state == StateIntact && (errA != nil || errB != nil) {
		s.state = StateRepaired
	}
	if s.readable() && (s.state != StateIntact || genA != genB) {
		if s.cause = s.persist(); s.cause != nil {
			s.state = StateDamaged
		}
	}
	return s
}

func readCopy(fsys FS, name string) (*Floors, uint64, error) {
	data, err := fsys.ReadFile(name)
	if err != nil {
		return nil, 0, fmt.Errorf("reading %s: %w", name, err)
	}
	f, generation, err := UnmarshalFloors(data)
	if err != nil {
		return nil, 0, fmt.Errorf("reading %s: %w", name, err)
	}
	return f, generation, nil
}

// readable reports whether the record in memory is the true one.
func (s *Store) readable() bool { return s.state != StateMissing && s.state != StateDamaged }

// State says what was found on disk, and why it is not readable or nil.
func (s *Store) State() (State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.cause
}

// Generation counts the writes of the record over the robot's whole life.
func (s *Store) Generation() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation
}

// Check implements [Ledger].
func (s *Store) Check(now Times, c Claim) (repeat bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayUse(c); err != nil {
		return false, err
	}
	return s.floors.Check(now, c)
}

// mayUse refuses what a lost record cannot judge.
func (s *Store) mayUse(c Claim) error {
	if s.readable() || !c.Kind.Loosens() {
		return nil
	}
	e := refuse(StateUnreadable, "keep the files "+copyA+" and "+copyB+" for examination, then enrol the robot again; stops still work",
		"a %s cannot be judged: the record of used orders is %s", c.Kind, s.state)
	e.Err = s.cause
	return e
}

// Floor implements [Ledger].
func (s *Store) Floor(k Kind) (Floor, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.readable() {
		return Floor{}, false
	}
	return s.floors.Floor(k)
}

// Commit uses up a verified order and returns once that is durable. Only then may the order take effect, except for a
// stop, which takes effect before. A repeated order succeeds once it is durable.
//
// When the disk fails, the order stays used up in memory and the error has the reason StateUnwritable: the order must
// have no effect. A policy set or key list may be sent again then; for a reset or a grant a new one must be signed.
func (s *Store) Commit(now Times, v *Verified) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := v.Claim()
	if err := s.mayUse(c); err != nil {
		return err
	}
	repeat, err := s.floors.Check(now, c)
	if err == nil && !repeat {
		err = s.floors.Use(now, c)
		s.unsaved = true
	}
	if err != nil {
		return err
	}
	if !s.unsaved || !s.readable() {
		return nil // Over a damaged record nothing may be written. Only stops come here, and memory holds them.
	}
	if err := s.persist(); err != nil {
		e := refuse(StateUnwritable, "free or repair the disk, then sign a new order", "the %s could not be recorded as used", c.Kind)
		e.Err = err
		return e
	}
	return nil
}

// persist writes both copies, one after the other, so that at every moment one of them is whole.
func (s *Store) persist() error {
	s.generation++
	data := s.floors.Marshal(s.generation)
	for _, name := range []string{copyA, copyB} {
		if err := s.fs.WriteSync(copyTemp, data); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		if err := s.fs.Rename(copyTemp, name); err != nil {
			return fmt.Errorf("replacing %s: %w", name, err)
		}
		if err := s.fs.SyncDir(); err != nil {
			return fmt.Errorf("making %s durable: %w", name, err)
		}
	}
	s.unsaved = false
	return nil
}
