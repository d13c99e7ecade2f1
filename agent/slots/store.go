package slots

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/trial"
	"github.com/robowarden/robowarden/attest/artifact"
)

// slotNames are the two slots.
var slotNames = [2]string{"a", "b"}

// Store is the two slots of one artifact. One program uses it at a time; see [Lock].
type Store struct {
	name string
	fs   FS
	// now is civil time, for the history only.
	now func() time.Time
	// counter keeps the floor beside the disk, nil where there is none.
	counter Counter
}

// Open opens the store of an artifact and clears away what an interrupted installation left.
func Open(name string, fsys FS, now func() time.Time) (*Store, error) {
	s := &Store{name: name, fs: fsys, now: now}
	return s, s.recover()
}

// View opens the store to look at it only: it changes nothing.
func View(name string, fsys FS) *Store { return &Store{name: name, fs: fsys} }

// recover removes half-written files, and the content of slots that have no record: nothing of them counts.
func (s *Store) recover() error {
	list, err := s.fs.List(".")
	if err != nil {
		return fmt.Errorf("artifact %s: %w", s.name, err)
	}
	for _, e := range list {
		switch {
		case strings.HasSuffix(e.Name, fresh):
			err = s.fs.Remove(e.Name)
		case e.Dir && (e.Name == slotNames[0] || e.Name == slotNames[1]) && s.record(e.Name) == nil && s.Active() != e.Name:
			err = s.clear(e.Name)
		}
		if err != nil {
			return fmt.Errorf("artifact %s: clearing away %s: %w", s.name, e.Name, err)
		}
	}
	return nil
}

// Active names the slot that the link leads to, empty without one.
func (s *Store) Active() string {
	to, err := s.fs.Readlink(activeName)
	if err != nil || (to != slotNames[0] && to != slotNames[1]) {
		return ""
	}
	return to
}

// other is the slot that an installation may fill.
func other(slot string) string {
	if slot == slotNames[0] {
		return slotNames[1]
	}
	return slotNames[0]
}

// Slot is what is known about one slot.
type Slot struct {
	Name   string  `json:"slot"`
	Active bool    `json:"active"`
	Record *Record `json:"record,omitempty"` // Nil for a void slot.
}

// Status is what is known about an artifact, without reading its files.
type Status struct {
	Artifact string `json:"artifact"`
	// Floor is the stored floor, and FloorIn what keeps it. Least is the least security version that may become active: the
	// floor, or more once a release is good that demands it.
	Floor   uint64  `json:"floor"`
	FloorIn FloorIn `json:"floor_in"`
	Least   uint64  `json:"least_svn"`
	Slots   [2]Slot `json:"slots"`
	// Trial is what is known about how the active content does, nil without anything.
	Trial *trial.State `json:"trial,omitempty"`
}

// Status reads the records.
func (s *Store) Status() (Status, error) {
	out := Status{Artifact: s.name}
	active := s.Active()
	for i, n := range slotNames {
		out.Slots[i] = Slot{Name: n, Active: n == active, Record: s.record(n)}
	}
	t, terr := s.Trial()
	if t.Now.SHA256 != "" {
		out.Trial = &t
	}
	floor, err := s.floor()
	out.Floor, out.FloorIn = floor.svn, floor.in()
	demanded, derr := s.demanded()
	out.Least = max(floor.svn, demanded)
	return out, errors.Join(err, derr, terr)
}

// Running returns the active slot's record, nil without one. It asks no counter.
func (s *Store) Running() *Record { return s.record(s.Active()) }

// Running returns the active slot's record, nil without one.
func (s Status) Running() *Record {
	for i := range s.Slots {
		if s.Slots[i].Active {
			return s.Slots[i].Record
		}
	}
	return nil
}

// Measure hashes the files of a slot and returns their tree digest.
func (s *Store) Measure(ctx context.Context, slot string) ([]artifact.File, string, error) {
	var files []artifact.File
	err := s.files(slot, func(name string, out *artifact.File) error {
		f, err := s.fs.Open(name)
		if err != nil {
			return err
		}
		h := sha256.New()
		out.Size, err = io.Copy(h, &patient{ctx, f})
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		out.SHA256 = [sha256.Size]byte(h.Sum(nil))
		files = append(files, *out)
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("artifact %s, slot %s: %w", s.name, slot, err)
	}
	digest := artifact.TreeDigest(files)
	return files, hex.EncodeToString(digest[:]), nil
}

// files calls do for each file of a slot, with its name for the file system, and for the artifact in out.
func (s *Store) files(slot string, do func(name string, out *artifact.File) error) error {
	return s.each(slot, func(name string, e Entry) error {
		if e.Dir {
			return nil
		}
		// Such a name can stand for two lines of the text that the digest is over, and so for a file that is gone.
		if strings.ContainsAny(name, "\n\r\\") {
			return fmt.Errorf("%q has a name that no artifact's file has", name)
		}
		return do(name, &artifact.File{Path: strings.TrimPrefix(name, slot+"/"), Size: e.Size})
	})
}

// patient ends a long copy with the context.
type patient struct {
	ctx context.Context //nolint:containedctx // it is the copy's own
	r   io.Reader
}

func (p *patient) Read(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, context.Cause(p.ctx)
	}
	return p.r.Read(b)
}

// Check says why a slot does not hold what its record says, or nil.
func (s *Store) Check(ctx context.Context, slot string) error {
	r := s.record(slot)
	if r == nil {
		return fmt.Errorf("artifact %s: slot %q is void: nothing was installed there, or its record is damaged", s.name, slot)
	}
	_, digest, err := s.Measure(ctx, slot)
	if err != nil {
		return err
	}
	if digest != r.SHA256 {
		return fmt.Errorf("artifact %s, slot %s: has the digest %s: its record says %s", s.name, slot, digest, r.SHA256)
	}
	return nil
}

// each walks a slot, folders before what is in them.
func (s *Store) each(dir string, do func(name string, e Entry) error) error {
	list, err := s.fs.List(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		name := path.Join(dir, e.Name)
		if err := do(name, e); err != nil {
			return err
		}
		if e.Dir {
			if err := s.each(name, do); err != nil {
				return err
			}
		}
	}
	return nil
}

// clear removes a slot's record first, so that it is void before anything in it goes, and then all of it.
func (s *Store) clear(slot string) error {
	if err := s.drop(slot + recorded); err != nil {
		return err
	}
	if err := s.fs.SyncDir("."); err != nil {
		return err
	}
	return s.removeAll(slot)
}

func (s *Store) removeAll(name string) error {
	list, err := s.fs.List(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		below := path.Join(name, e.Name)
		if e.Dir {
			err = s.removeAll(below)
		} else {
			err = s.fs.Remove(below)
		}
		if err != nil {
			return err
		}
	}
	return s.fs.Remove(name)
}

// Event is one line of the history.
type Event struct {
	At time.Time `json:"at"`
	// What is "installed", "activated", "committed", "rolled-back", "condemned" or "held".
	What    string `json:"what"`
	Slot    string `json:"slot,omitempty"`
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
	SVN     uint64 `json:"svn"`
	Text    string `json:"text,omitempty"`
	Made    *Made  `json:"made,omitempty"`
}

// Bounds of the history.
const (
	maxHistory = 256 << 10
	maxEvents  = 500
)

// note writes one event behind the others. The history explains; nothing is decided by it.
func (s *Store) note(what, slot string, r *Record, text string) error {
	events, err := s.History()
	if err != nil {
		events = nil // Damaged: it begins anew.
	}
	e := Event{At: s.now().UTC().Truncate(time.Second), What: what, Slot: slot, Text: text}
	if r != nil {
		e.Version, e.SHA256, e.SVN, e.Made = r.Version, r.SHA256, r.SVN, r.Made
	}
	events = append(events, e)
	events = events[max(0, len(events)-maxEvents):]
	var b strings.Builder
	for i := range events {
		raw, err := json.Marshal(&events[i])
		if err != nil {
			return err
		}
		b.Write(append(raw, '\n'))
	}
	return s.replace(historyName, []byte(b.String()))
}

// History returns what was done, the oldest first.
func (s *Store) History() ([]Event, error) {
	raw, err := s.readSmall(historyName, maxHistory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Event
	for line := range strings.Lines(string(raw)) {
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, fmt.Errorf("history: line %d: %w", len(out)+1, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// slotOr names a slot for messages.
func slotOr(slot string) string { return cmp.Or(slot, "none") }
