package slots

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/robowarden/robowarden/agent/trial"
	"github.com/robowarden/robowarden/attest/order"
)

// Record says what is in a slot. It is written once everything in the slot is durable and has the digest.
type Record struct {
	// Artifact and Version name it.
	Artifact string `json:"artifact"`
	Version  string `json:"version"`
	// SHA256 is the tree digest of the slot's files, Size their bytes and Files their number.
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size_bytes"`
	Files  int    `json:"files"`
	// Verity is the tree digest with the files' fs-verity digests in place of their SHA-256, computed while they were written;
	// empty in the record of an older program.
	Verity string `json:"verity,omitempty"`
	// Release, SVN and Floor are those of the release that it came with.
	Release string `json:"release"`
	SVN     uint64 `json:"svn"`
	Floor   uint64 `json:"rollback_floor"`
	// Good is true once it has proven itself while it was active.
	Good bool `json:"good"`
	// SettleS, WindowS, Criteria and AtEnd are what the release says about its trial.
	SettleS  int      `json:"settle_s,omitempty"`
	WindowS  int      `json:"window_s,omitempty"`
	Criteria []string `json:"criteria,omitempty"`
	AtEnd    string   `json:"at_end,omitempty"`
	// Hooked is true if a boot loader's program took part in making it active, so that it must in taking it back.
	Hooked bool `json:"hooked,omitempty"`
	// Made is who made it and from what, where that was verified at the installation.
	Made *Made `json:"made,omitempty"`
}

// Made is the provenance that was verified when an artifact was installed.
type Made struct {
	// Builder made it, Type says how.
	Builder string `json:"builder"`
	Type    string `json:"build_type,omitempty"`
	// ModelVersion is the model's version in the maker's words.
	ModelVersion string `json:"model_version,omitempty"`
	// Datasets are the SHA-256 digests of the materials that went into it, at most 32.
	Datasets []string `json:"datasets,omitempty"`
	// SHA256 is the digest of the statement's envelope.
	SHA256 string `json:"sha256"`
}

// newRecord is the record of a release's artifact.
func newRecord(name string, in *Install, a *order.Artifact) *Record {
	rel := in.Release
	return &Record{
		Artifact: name, Version: a.Version, SHA256: a.SHA256, Size: int64(a.Size), Files: a.Files, //nolint:gosec // at most 2^53
		Release: rel.Version, SVN: rel.SVN, Floor: rel.RollbackFloor,
		SettleS: rel.SettleS, WindowS: rel.WindowS, Criteria: rel.Criteria, AtEnd: string(rel.AtEnd), Hooked: in.Switch != nil, Made: in.Made,
	}
}

// Terms are what the release said about the trial of what is in the slot. A record of an older program names no settling time:
// nothing of it is ever committed but by a person.
func (r *Record) Terms() trial.Terms {
	return trial.Terms{
		Settle: time.Duration(r.SettleS) * time.Second, Window: time.Duration(r.WindowS) * time.Second, Criteria: r.Criteria, AtEnd: trial.End(r.AtEnd),
	}
}

// Names of the files beside the slots.
const (
	activeName  = "active"
	floorName   = "floor"
	demandName  = "demand"
	historyName = "history"
	trialName   = "trial"
	fresh       = ".new"
	recorded    = ".rec"
)

// maxRecord is the largest record in bytes, maxTrial the largest state of a trial.
const (
	maxRecord = 16 << 10
	maxTrial  = 64 << 10
)

// readSmall reads a file of at most so many bytes.
func (s *Store) readSmall(name string, most int64) ([]byte, error) {
	f, err := s.fs.Open(name)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err = errors.Join(err, f.Close()); err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("%s: expected at most %d bytes", name, most)
	}
	return raw, err
}

// replace writes a file so that the old or the new content is there at every moment.
func (s *Store) replace(name string, data []byte) error {
	if err := s.drop(name + fresh); err != nil {
		return err
	}
	f, err := s.fs.Create(name + fresh)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.fs.Rename(name+fresh, name); err != nil {
		return err
	}
	return s.fs.SyncDir(".")
}

// drop removes a file that may not be there.
func (s *Store) drop(name string) error {
	if err := s.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sealed adds the SHA-256 of a text as its last line, so that damage is found.
func sealed(text []byte) []byte {
	sum := sha256.Sum256(text)
	return append(text, hex.EncodeToString(sum[:])+"\n"...)
}

// unsealed checks and removes the last line.
func unsealed(raw []byte) ([]byte, error) {
	const n = 2*sha256.Size + 1
	if len(raw) < n || !bytes.Equal(sealed(bytes.Clone(raw[:len(raw)-n])), raw) {
		return nil, errors.New("is damaged: its checksum is not that of its text")
	}
	return raw[:len(raw)-n], nil
}

// record reads a slot's record; nil without one, and where it is damaged: such a slot is void.
func (s *Store) record(slot string) *Record {
	raw, err := s.readSmall(slot+recorded, maxRecord)
	if err == nil {
		raw, err = unsealed(raw)
	}
	var r Record
	if err != nil || json.Unmarshal(raw, &r) != nil || r.Artifact != s.name {
		return nil
	}
	return &r
}

func (s *Store) writeRecord(slot string, r *Record) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.replace(slot+recorded, sealed(append(raw, '\n')))
}

// Trial reads the state of the trial. Without one it is the zero state. One that is damaged is an error and the zero state: the
// trial begins anew then, so that damage never shortens it.
func (s *Store) Trial() (trial.State, error) {
	raw, err := s.readSmall(trialName, maxTrial)
	if errors.Is(err, fs.ErrNotExist) {
		return trial.State{}, nil
	}
	if err == nil {
		raw, err = unsealed(raw)
	}
	var t trial.State
	if err == nil {
		err = json.Unmarshal(raw, &t)
	}
	if err == nil && !t.Sane() {
		err = errors.New("holds numbers that no trial has")
	}
	if err != nil {
		return trial.State{}, fmt.Errorf("artifact %s: trial: %w", s.name, err)
	}
	return t, nil
}

// SaveTrial writes the state of the trial, durably.
func (s *Store) SaveTrial(t *trial.State) error {
	raw, err := json.Marshal(t)
	if err == nil {
		err = s.replace(trialName, sealed(append(raw, '\n')))
	}
	if err != nil {
		return fmt.Errorf("artifact %s: trial: %w", s.name, err)
	}
	return nil
}
