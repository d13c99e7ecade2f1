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
	"sync"
	"time"

	"github.com/rs/zerolog"

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
	policyNext  = "policy-next.dsse.json"
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
				// What could not be stored must not end in order: the error keeps the mark of the run.
				return s.flush()
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

// start marks a run and says whether the one before ended without end.
func (s *stateDir) start() (unclean bool, err error) {
	_, err = s.dir.ReadFile(runningFile)
	unclean = !errors.Is(err, fs.ErrNotExist) // A mark that cannot be read is not an absent one.
	if err := s.dir.WriteSync(runningFile, []byte("a guard is running, or one ended without order\n")); err != nil {
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

// readPolicy returns the policy set that was loaded last. It may be far larger than the directory's other files.
func (s *stateDir) readPolicy() ([]byte, error) {
	f, err := os.Open(filepath.Join(s.path, policyFile))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxDocument))
}

// newestTime is the newest civil time that was ever trusted or signed, in nanoseconds since the Unix epoch.
func (s *stateDir) newestTime() int64 {
	data, err := s.dir.ReadFile(timeFile)
	if err != nil || len(data) != 8 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(data)) //nolint:gosec // written below
}

func (s *stateDir) storeTime(ns int64) error {
	return s.replace(timeNew, timeFile, binary.LittleEndian.AppendUint64(nil, uint64(ns)))
}

// policies returns the stored policy sets, the likely one first. There are two if the guard ended between storing a new
// one and using it up; only the record of used orders knows which of them was accepted last.
func (s *stateDir) policies() [][]byte {
	var out [][]byte
	for _, name := range []string{policyNext, policyFile} {
		if data, err := s.dir.ReadFile(name); err == nil {
			out = append(out, data)
		}
	}
	return out
}

// stagePolicy stores a policy set beside the one in force, until keepPolicy or dropPolicy.
func (s *stateDir) stagePolicy(envelope []byte) error {
	return s.replace(policyNext+".new", policyNext, envelope)
}

func (s *stateDir) keepPolicy() error {
	return errors.Join(s.dir.Rename(policyNext, policyFile), s.dir.SyncDir())
}

func (s *stateDir) dropPolicy() error {
	return errors.Join(os.Remove(filepath.Join(s.path, policyNext)), s.dir.SyncDir())
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
