package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/interlock"
)

// Files in the state directory.
const (
	latchFile   = "latches"
	latchNew    = "latches.new"
	runningFile = "running"
	timeFile    = "newest-time"
	timeNew     = "newest-time.new"
	policyFile  = "policy.dsse.json"
	policyNew   = "policy.dsse.json.new"
	policyNext  = "policy-next.dsse.json"
	headFile    = "evidence"
	headNew     = "evidence.new"
	keyListFmt  = "keylist-%03d.dsse.json"
	keyListNext = "keylist-next-%03d.dsse.json"
)

// stateDir keeps what has to survive a restart: latches, the newest trusted time and whether the last run ended in
// order. Writing happens on its own goroutine; the guard only hands it a copy.
type stateDir struct {
	path string
	dir  *order.Dir
	log  zerolog.Logger

	mu      sync.Mutex
	latches []byte
	dirty   bool
	wake    chan struct{}
}

// openState opens the directory and makes it if it is not there.
func openState(path string, log zerolog.Logger) (*stateDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	dir, err := order.OpenDir(path)
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w", path, err)
	}
	return &stateDir{path: path, dir: dir, log: log, wake: make(chan struct{}, 1)}, nil
}

// loadLatches returns the stored latches. A missing file is nil only on a robot that never ran; later, somebody has
// removed it, and an empty value makes the core latch "latch.unreadable".
func (s *stateDir) loadLatches(ranBefore bool) []byte {
	data, err := s.dir.ReadFile(latchFile)
	switch {
	case err == nil:
		return data
	case errors.Is(err, fs.ErrNotExist) && !ranBefore:
		return nil
	}
	s.log.Error().Err(err).Str("file", filepath.Join(s.path, latchFile)).Msg("latches cannot be read; the robot stays stopped until an authorised reset")
	return []byte{}
}

// firstLatches stores that nothing is latched, for a robot that never ran.
func (s *stateDir) firstLatches() error {
	m, err := interlock.New(interlock.DefaultPolicy())
	if err != nil {
		return err
	}
	return s.replace(latchNew, latchFile, m.AppendLatches(nil))
}

// persist takes a copy of the latches; the newest wins. It never waits for the disk.
func (s *stateDir) persist(latches []byte) {
	s.mu.Lock()
	s.latches = append(s.latches[:0], latches...)
	s.dirty = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // The writer will see the newest value anyway.
	}
}

// run writes latches until ctx ends. A disk that refuses is tried again: the latch still holds in memory.
func (s *stateDir) run(ctx context.Context) error {
	const retry = 200 * time.Millisecond
	for {
		select {
		case <-ctx.Done():
			return s.flush()
		case <-s.wake:
		}
		if err := s.flush(); err != nil {
			s.log.Error().Err(err).Msg("latches could not be stored; trying again")
			select {
			case <-ctx.Done():
				return s.flush() // The last try: without it the run has not ended in order.
			case <-time.After(retry):
				s.rewake()
			}
		}
	}
}

func (s *stateDir) rewake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// flush writes the newest latches: a new file, forced to disk, renamed over the old one.
func (s *stateDir) flush() error {
	s.mu.Lock()
	due := s.dirty
	data := append([]byte(nil), s.latches...)
	s.dirty = false
	s.mu.Unlock()
	if !due {
		return nil
	}
	if err := s.replace(latchNew, latchFile, data); err != nil {
		s.mu.Lock()
		s.dirty = true
		s.mu.Unlock()
		return err
	}
	return nil
}

func (s *stateDir) replace(temporary, name string, data []byte) error {
	if err := s.dir.WriteSync(temporary, data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := s.dir.Rename(temporary, name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return s.dir.SyncDir()
}

// drop removes a file for good. One that is not there is no error.
func (s *stateDir) drop(name string) error {
	if err := os.Remove(filepath.Join(s.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return s.dir.SyncDir()
}

// unclean says whether the last run ended without end. A mark that cannot be read is a mark.
func (s *stateDir) unclean() bool {
	_, err := s.dir.ReadFile(runningFile)
	return !errors.Is(err, fs.ErrNotExist)
}

// crashed says whether the run that left a mark may have been in this boot of the computer: a mark that does not name another boot
// may be of this one.
func (s *stateDir) crashed(boot [16]byte) bool {
	b, err := s.dir.ReadFile(runningFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	id, named := strings.CutPrefix(strings.TrimSpace(string(b)), runningText)
	_, bad := evidencelog.ParseBoot(id)
	return err != nil || !named || bad != nil || id == evidencelog.FormatBoot(boot)
}

// runningText is what the mark says before the boot's id.
const runningText = "a guard is running, or one ended without order, in boot "

// start marks a run in this boot of the computer. It comes last before the guard acts: a start that fails over a typing error has guarded nothing, and
// nobody should have to reset a robot for it.
func (s *stateDir) start(boot [16]byte) error {
	if err := s.dir.WriteSync(runningFile, []byte(runningText+evidencelog.FormatBoot(boot)+"\n")); err != nil {
		return fmt.Errorf("mark the run: %w", err)
	}
	return s.dir.SyncDir()
}

// end marks that the run ended in order.
func (s *stateDir) end() error {
	if err := os.Remove(filepath.Join(s.path, runningFile)); err != nil {
		return fmt.Errorf("mark the end: %w", err)
	}
	return s.dir.SyncDir()
}

// takeNextPolicy puts the staged policy set, which is used up, in the place of the present one.
func (s *stateDir) takeNextPolicy() error {
	if err := s.dir.Rename(policyNext, policyFile); err != nil {
		return err
	}
	return s.dir.SyncDir()
}

// readPolicy returns a policy set that was loaded. It may be far larger than the directory's other files.
func (s *stateDir) readPolicy(name string) ([]byte, error) {
	// Without O_NONBLOCK the opening of a pipe that somebody put here would wait for ever.
	f, err := os.OpenFile(filepath.Join(s.path, name), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: expected a regular file (%w)", name, errors.Join(err, fs.ErrInvalid))
	}
	return io.ReadAll(io.LimitReader(f, contract.MaxDocument))
}

// errTime is why the stored time does not count.
var errTime = errors.New("expected 8 bytes of time and their CRC-32C")

// newestTime is the newest civil time that was ever trusted or signed, in nanoseconds since the Unix epoch.
func (s *stateDir) newestTime() (int64, error) {
	data, err := s.dir.ReadFile(timeFile)
	if err != nil {
		return 0, err
	}
	if len(data) != 12 || binary.LittleEndian.Uint32(data[8:]) != checksum(data[:8]) {
		return 0, fmt.Errorf("%s: %w, found %d bytes", timeFile, errTime, len(data))
	}
	return int64(binary.LittleEndian.Uint64(data)), nil //nolint:gosec // written below
}

func (s *stateDir) storeTime(ns int64) error {
	data := binary.LittleEndian.AppendUint64(nil, uint64(ns)) //nolint:gosec // read above
	return s.replace(timeNew, timeFile, binary.LittleEndian.AppendUint32(data, checksum(data)))
}

// keyLists returns the stored key lists of one name pattern, oldest first.
func (s *stateDir) keyLists(pattern string) [][]byte {
	var out [][]byte
	for i := 0; ; i++ {
		data, err := s.dir.ReadFile(fmt.Sprintf(pattern, i))
		if err != nil {
			return out
		}
		out = append(out, data)
	}
}

// storeKeyLists replaces the stored chain. A chain may be shorter than the one before: what is left of that goes.
func (s *stateDir) storeKeyLists(pattern string, chain [][]byte) error {
	for i, envelope := range chain {
		if err := s.replace("keylist.new", fmt.Sprintf(pattern, i), envelope); err != nil {
			return err
		}
	}
	for i := len(chain); ; i++ {
		err := os.Remove(filepath.Join(s.path, fmt.Sprintf(pattern, i)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return s.dir.SyncDir()
		case err != nil:
			return fmt.Errorf("remove an old key list: %w", err)
		}
	}
}
