package verifier

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// DirStore is a [Store] in a directory that only its owner can read. Each document is a file of its own, replaced whole:
// after a crash there is the old one or the new one; of logs and last evidence, which come again, a power cut may leave neither. What the operator writes (robots, references) counts as soon as it
// is written, so that enrolling needs no restart. What grows is bounded by robot. Several processes may use one directory,
// on several computers if its file system has locks (flock) and renames that all of them see.
type DirStore struct {
	dir string
	// read are the reference values that were read last, by name.
	read map[string]*readReferences
	// hashed are the logs whose digest was asked for, by path: a few for each robot.
	hashed map[string]hashedLog
	// told is told the digest of reference values when they are read for the first time, or have changed.
	told func(name, sha256 string)
}

// The subdirectories of a store.
const (
	dirRobots     = "robots"
	dirReferences = "references"
	dirStates     = "states"
	dirLogs       = "logs"
	dirEvidence   = "evidence"
	dirLocks      = "locks"
)

// OpenDir opens a store, and makes its directories where they are missing.
func OpenDir(dir string) (*DirStore, error) {
	for _, sub := range []string{dirRobots, dirReferences, dirStates, dirLogs, dirEvidence, dirLocks} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("verifier's store: %w", err)
		}
	}
	return &DirStore{dir: dir, read: map[string]*readReferences{}, hashed: map[string]hashedLog{}}, nil
}

// file is the name of a robot's file. A robot id has one slash, and never a plus.
func (d *DirStore) file(sub, robot, suffix string) (string, error) {
	if !order.IsRobotID(robot) {
		return "", fmt.Errorf("robot: found %q: expected \"manufacturer/serial\"", clip(robot))
	}
	return filepath.Join(d.dir, sub, strings.Replace(robot, "/", "+", 1)+suffix), nil
}

// Robot implements [Store].
func (d *DirStore) Robot(robot string) (*Enrolment, error) {
	path, err := d.file(dirRobots, robot, ".json")
	if err != nil {
		return nil, err
	}
	data, err := readFile(path, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", robot, ErrNotEnrolled)
	}
	if err != nil {
		return nil, err
	}
	e, err := ParseEnrolment(data)
	if err == nil && e.Identity.Robot != robot {
		err = fmt.Errorf("is the enrolment of %s", e.Identity.Robot)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return e, nil
}

// Enrol writes an enrolment and a state in which nothing is known. A robot that is enrolled already is enrolled anew only
// if replace says so: what is known about its TPM is forgotten then, but not which challenges are used up.
func (d *DirStore) Enrol(e *Enrolment, replace bool) error {
	if err := e.Validate(); err != nil {
		return fmt.Errorf("enrolment: %w", err)
	}
	r, err := d.References(e.References)
	if err != nil {
		return err
	}
	if r.Tier != e.Identity.Tier {
		return fmt.Errorf("enrolment: %s has tier %s: the reference values %s are for %s", e.Identity.Robot, e.Identity.Tier, r.Name, r.Tier)
	}
	path, err := d.file(dirRobots, e.Identity.Robot, ".json")
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil && !replace {
		return fmt.Errorf("%s is enrolled already: replacing that forgets what is known about its TPM, and has to be asked for", e.Identity.Robot)
	}
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("enrolment: %w", err)
	}
	unlock, err := d.lock(e.Identity.Robot)
	if err != nil {
		return err
	}
	defer unlock()
	// The state first: an enrolment without one concludes nothing. What was answered before is not answered anew.
	var state State
	if old, err := d.State(e.Identity.Robot); err == nil {
		state.Answered, state.Rewinds = old.Answered, old.Rewinds
	}
	if err := d.SaveState(e.Identity.Robot, state); err != nil {
		return err
	}
	return writeFile(path, append(data, '\n'))
}

// SaveReferences writes reference values; those of the same name are replaced.
func (d *DirStore) SaveReferences(r *References) error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("reference values: %w", err)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("reference values: %w", err)
	}
	return writeFile(filepath.Join(d.dir, dirReferences, r.Name+".json"), append(data, '\n'))
}

// State implements [Store]. A state ends with a line that holds the digest of all before it.
func (d *DirStore) State(robot string) (State, error) {
	path, err := d.file(dirStates, robot, ".json")
	if err != nil {
		return State{}, err
	}
	data, err := readFile(path, maxRecord)
	if err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrNoState, err)
	}
	body, end, _ := bytes.Cut(data, []byte("\n"))
	sum := sha256.Sum256(body)
	if string(end) != hex.EncodeToString(sum[:])+"\n" {
		return State{}, fmt.Errorf("%w: %s: the digest in its last line is not that of the first", ErrNoState, path)
	}
	s, err := ParseState(body)
	if err != nil {
		return State{}, fmt.Errorf("%w: %s: %w", ErrNoState, path, err)
	}
	return s, nil
}

// SaveState replaces what is known about a robot, whatever that was. The caller holds the robot's lock, or is alone.
func (d *DirStore) SaveState(robot string, s State) error {
	path, err := d.file(dirStates, robot, ".json")
	if err != nil {
		return err
	}
	body, err := s.Encode()
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	sum := sha256.Sum256(body)
	return writeFile(path, []byte(string(body)+"\n"+hex.EncodeToString(sum[:])+"\n"))
}

// Log implements [Store].
func (d *DirStore) Log(robot, name string) ([]byte, error) {
	path, err := d.logFile(robot, name)
	if err != nil {
		return nil, err
	}
	data, err := readFile(path, evidence.MaxLog)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// hashedLog is the digest of a log as it was read from a file.
type hashedLog struct {
	file os.FileInfo
	sum  string
}

// LogDigest implements [Store]. Files are replaced whole, so the same file has the same content.
func (d *DirStore) LogDigest(robot, name string) (string, error) {
	path, err := d.logFile(robot, name)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		delete(d.hashed, path)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if before, ok := d.hashed[path]; ok && sameFile(before.file, info) {
		return before.sum, nil
	}
	data, err := d.Log(robot, name)
	if err != nil || data == nil {
		return "", err
	}
	// Should another have taken the file's place meanwhile, the next look sees that it is not this one.
	d.hashed[path] = hashedLog{info, digest(data)}
	return d.hashed[path].sum, nil
}

// sameFile says whether a file is still the one that it was: not replaced, not written.
func sameFile(before, now os.FileInfo) bool {
	return os.SameFile(before, now) && before.ModTime().Equal(now.ModTime()) && before.Size() == now.Size()
}

// SaveLog implements [Store]: one log of each name for a robot, so a robot's logs cannot crowd out another's.
func (d *DirStore) SaveLog(robot, name string, data []byte) error {
	if len(data) > evidence.MaxLog {
		return fmt.Errorf("log %s: has %d bytes: at most %d are kept", clip(name), len(data), evidence.MaxLog)
	}
	path, err := d.logFile(robot, name)
	if err != nil {
		return err
	}
	// No log counts but by its digest, and one that a power cut has taken, or torn, is asked for again.
	return replaceFile(path, data, false)
}

func (d *DirStore) logFile(robot, name string) (string, error) {
	if at, piece := evidence.IMAOffset(name); name != evidence.LogFirmware && name != evidence.LogMeasured && (!piece || at >= evidence.MaxIMAParts) {
		return "", fmt.Errorf("log: found %q: expected %q or %q", clip(name), evidence.LogFirmware, evidence.LogMeasured)
	}
	return d.file(dirLogs, robot, "+"+name)
}

// SaveEvidence implements [Store].
func (d *DirStore) SaveEvidence(robot string, message []byte, challenge *order.Challenge) error {
	path, err := d.file(dirEvidence, robot, ".cose")
	if err != nil {
		return err
	}
	asked, err := challenge.Encode()
	if err != nil {
		return err
	}
	// Nothing is concluded from these by itself, and whoever reads them checks signature and nonce: what a power cut takes, or
	// tears, the robot's next attestation replaces. So an attestation waits for the disk twice, for its state.
	if err := replaceFile(strings.TrimSuffix(path, ".cose")+".challenge.json", append(asked, '\n'), false); err != nil {
		return err
	}
	return replaceFile(path, message, false)
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes, the most that is read", path, limit)
	}
	return data, nil
}

// writeFile replaces a file whole and returns once that is durable.
func writeFile(path string, data []byte) error { return replaceFile(path, data, true) }

// replaceFile replaces a file whole, as every other process sees it. Unless it is to be durable, a power cut may leave the file of
// before, part of the new one, or nothing in it.
func replaceFile(path string, data []byte, durable bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", path, err), ignoreGone(os.Remove(f.Name())))
		}
	}()
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync() // Else the name could lead to a file without its content.
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil || !durable {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync() // Else the old file could be there again, and what it says was known.
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
