// Package measure extends a TPM's PCR by the digests of files and keeps the log that says which; it never judges a file,
// and never extends a PCR that it cannot account for.
//
// It is a step of its own that runs before the roles start, so that the agent's own digest is in a PCR before the agent
// runs. attest/eventlog/FORMAT.md describes the log and what all this does and does not show.
package measure

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/tpm"
)

const (
	// MaxFile is the largest file that is measured, in bytes.
	MaxFile = 1 << 30
	// lockPoll is the pause between tries to get the log's lock.
	lockPoll = 5 * time.Millisecond
)

// ErrDisagree says that the log does not lead to the PCR's value: the PCR has been extended past the log, or the log is
// from an earlier start of the computer. Nothing was extended.
var ErrDisagree = errors.New("the log and the pcr disagree")

// TPM is what measuring needs of one, *tpm.TPM or another.
type TPM interface {
	// ReadPCRs reads PCRs of the SHA-256 bank.
	ReadPCRs(pcrs []int) (map[int][sha256.Size]byte, error)
	// Extend extends one; its error wraps tpm.ErrUncertain if it may have done so.
	Extend(pcr int, digest [sha256.Size]byte) error
}

// Outcome says what was done about one file.
type Outcome struct {
	eventlog.MeasuredFile
	// Known says that it stood in the log already, and was not extended again.
	Known bool
}

// Run measures files, absolute and clean paths, into a PCR (8 to 15) and adds them to the log. Several programs may do so
// at once; each waits for the others, as long as ctx allows. A run that was cut off in between is made up for by the next.
func Run(ctx context.Context, t TPM, pcr int, log string, files []string) ([]Outcome, error) {
	if err := eventlog.CheckMeasuredPCR(pcr); err != nil {
		return nil, err
	}
	var measured []eventlog.MeasuredFile
	for _, path := range files {
		f, err := hash(ctx, path)
		if err != nil {
			return nil, err
		}
		measured = append(measured, f)
	}
	unlock, err := lock(ctx, log+".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	m, err := begin(t, pcr, log)
	if err != nil {
		return nil, err
	}
	var out []Outcome
	for _, f := range measured {
		known := slices.Contains(m.Files, f)
		if !known {
			if err := add(t, m, log, f); err != nil {
				return out, fmt.Errorf("%s: %w", f.Path, err)
			}
		}
		out = append(out, Outcome{f, known})
	}
	return out, nil
}

// begin reads the log, or starts one, and brings PCR and log together.
func begin(t TPM, pcr int, path string) (*eventlog.Measured, error) {
	now, err := read(t, pcr)
	if err != nil {
		return nil, err
	}
	data, err := readLog(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &eventlog.Measured{PCR: pcr, Start: now}, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := eventlog.ParseMeasured(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if m.PCR != pcr {
		return nil, fmt.Errorf("%s: %w: the log is about PCR %d, asked was PCR %d", path, ErrDisagree, m.PCR, pcr)
	}
	if m.Replay(m.Start) == now {
		return m, nil
	}
	if n := len(m.Files); n > 0 { // written, and then cut off before it was extended?
		before := *m
		before.Files = m.Files[:n-1]
		if before.Replay(m.Start) == now {
			return m, extend(t, pcr, now, m.Files[n-1].Extended())
		}
	}
	return nil, fmt.Errorf("%s: %w: PCR %d is %x, the log leads to %x; something else extends this PCR, or the log is from before the last start",
		path, ErrDisagree, pcr, now, m.Replay(m.Start))
}

// add writes a file's line and then extends the PCR: cut off in between, the next run sees which of both is missing.
func add(t TPM, m *eventlog.Measured, path string, f eventlog.MeasuredFile) error {
	if len(m.Files) >= eventlog.MaxMeasuredFiles {
		return fmt.Errorf("the log has %d files already, the most that it may have", len(m.Files))
	}
	before := m.Replay(m.Start)
	next := *m
	next.Files = append(slices.Clip(m.Files), f)
	if err := replace(path, next.Bytes()); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	*m = next
	return extend(t, m.PCR, before, f.Extended())
}

// extend extends a PCR whose value is before. If nobody knows whether it did, the PCR's value says.
func extend(t TPM, pcr int, before, digest [sha256.Size]byte) error {
	err := t.Extend(pcr, digest)
	if !errors.Is(err, tpm.ErrUncertain) {
		return err
	}
	now, readErr := read(t, pcr)
	switch {
	case readErr != nil:
		return errors.Join(err, readErr)
	case now == sha256.Sum256(append(before[:], digest[:]...)):
		return nil
	case now == before:
		return t.Extend(pcr, digest)
	default:
		return fmt.Errorf("%w: PCR %d is %x after extending it", ErrDisagree, pcr, now)
	}
}

func read(t TPM, pcr int) ([sha256.Size]byte, error) {
	values, err := t.ReadPCRs([]int{pcr})
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return values[pcr], nil
}

// hash reads a regular file to its end, in pieces, and looks at ctx between them.
func hash(ctx context.Context, path string) (eventlog.MeasuredFile, error) {
	if err := eventlog.CheckMeasuredPath(path); err != nil {
		return eventlog.MeasuredFile{}, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe's opening must not wait for its writer
	if err != nil {
		return eventlog.MeasuredFile{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return eventlog.MeasuredFile{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > MaxFile {
		return eventlog.MeasuredFile{}, fmt.Errorf("%s: %v of %d bytes, expected a regular file of at most %d", path, info.Mode().Type(), info.Size(), MaxFile)
	}
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(&patient{ctx, f}, MaxFile+1))
	if err != nil {
		return eventlog.MeasuredFile{}, fmt.Errorf("%s: %w", path, err)
	}
	if n > MaxFile {
		return eventlog.MeasuredFile{}, fmt.Errorf("%s: grew beyond %d bytes while it was read", path, MaxFile)
	}
	return eventlog.MeasuredFile{Path: path, Size: n, Digest: [sha256.Size]byte(h.Sum(nil))}, nil
}

// patient is a reader that ends with its context.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

// readLog reads the log, or just too much to be one.
func readLog(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, eventlog.MaxMeasured+1))
}

// replace puts a new file in the old one's place at once: readers see one or the other.
func replace(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".measured-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644) // the courier reads it
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// lock waits for the log's lock, as long as ctx allows.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock %s: another program measures: %w", path, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}
