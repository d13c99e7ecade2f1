package verifier

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockTries is how often, a millisecond apart, a robot's lock is tried. It is held for one read and one write; who needs
// longer has been stopped, and the robot asks again.
const lockTries = 1000

// againEvery is how often evidence whose logs are there is judged if that fails.
const againEvery = time.Second

// Advance implements [Store].
func (d *DirStore) Advance(robot string, from, to State) error {
	unlock, err := d.lock(robot)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := d.State(robot)
	if err != nil {
		return err
	}
	was, err := from.Encode()
	if err != nil {
		return err
	}
	is, err := now.Encode()
	if err != nil {
		return err
	}
	if !bytes.Equal(was, is) {
		return fmt.Errorf("%s: %w", robot, ErrMoved)
	}
	return d.SaveState(robot, to)
}

// lock keeps other processes from changing a robot's state. 256 files serve all robots; a process that ends gives up its own.
func (d *DirStore) lock(robot string) (unlock func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(robot))
	path := filepath.Join(d.dir, dirLocks, fmt.Sprintf("%02x", byte(h.Sum32())))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the state of %s: %w", robot, err)
	}
	for range lockTries {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	f.Close()
	return nil, fmt.Errorf("locking the state of %s by %s: %w: look for a verifier that was stopped while it wrote", robot, path, err)
}

// readReferences are reference values as they were read from a file.
type readReferences struct {
	file os.FileInfo
	sum  string
	r    *References
}

// OnReferences has f told the SHA-256 of each document of reference values when it is read for the first time, and
// when it has changed.
func (d *DirStore) OnReferences(f func(name, sha256 string)) { d.told = f }

// References implements [Store]. Files are replaced whole, so the same file has the same content.
func (d *DirStore) References(name string) (*References, error) {
	if !isName(name) {
		return nil, fmt.Errorf("references: found %q: expected 1 to 64 of a-z, 0-9 and \"._-\"", clip(name))
	}
	path := filepath.Join(d.dir, dirReferences, name+".json")
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	before := d.read[name]
	if before != nil && sameFile(before.file, info) {
		return before.r, nil
	}
	data, err := readFile(path, MaxReferences)
	if err != nil {
		return nil, err
	}
	r, err := ParseReferences(data)
	if err == nil && r.Name != name {
		err = fmt.Errorf("are those of %s", r.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(data)
	now := &readReferences{info, hex.EncodeToString(sum[:]), r}
	d.read[name] = now
	if d.told != nil && (before == nil || before.sum != now.sum) {
		d.told(name, now.sum)
	}
	return r, nil
}

// Ready appraises evidence that has waited for logs which another verifier of the group has taken meanwhile, and forgets
// what has waited for too long. It returns what came of it, by robot; errors are those of [Verifier.Evidence].
func (v *Verifier) Ready(now time.Time) (map[string]*Outcome, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out map[string]*Outcome
	var errs []error
	for robot := range v.waiting {
		x := v.robots[robot]
		x.expire(now)
		o := x.waiting()
		if o == nil {
			delete(v.waiting, robot)
			continue
		}
		if wait := o.again.Sub(now); wait > 0 && wait <= againEvery || !v.there(robot, o.lacks) { // A clock that went back does not count.
			continue
		}
		o.again = now.Add(againEvery)
		got, err := v.judge(now, robot, o.pending)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if len(got.Waiting) > 0 {
			continue
		}
		delete(v.waiting, robot)
		if out == nil {
			out = map[string]*Outcome{}
		}
		out[robot] = got
	}
	return out, errors.Join(errs...)
}

// there says whether logs are in the store. One that cannot be read counts as there: judging says why not.
func (v *Verifier) there(robot string, logs map[string]string) bool {
	for name, sum := range logs {
		if have, err := v.store.LogDigest(robot, storedAs(name)); err == nil && have != sum {
			return false
		}
	}
	return true
}
