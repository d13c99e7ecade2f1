package measure

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/tpm"
)

// chip is a PCR bank that can be lost in the middle of extending. What a real TPM does is tested in attest/tpm.
type chip struct {
	mu   sync.Mutex
	pcrs map[int][32]byte
	// lose is asked before each extending: dead before it, or after it.
	lose func() (before, after bool)
	n    int
}

var errPower = fmt.Errorf("%w: %w", tpm.ErrUnavailable, tpm.ErrUncertain)

func (c *chip) ReadPCRs(pcrs []int) (map[int][32]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return map[int][32]byte{pcrs[0]: c.pcrs[pcrs[0]]}, nil
}

func (c *chip) Extend(pcr int, digest [32]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var before, after bool
	if c.lose != nil {
		before, after = c.lose()
	}
	if before {
		return errPower
	}
	v := c.pcrs[pcr]
	c.pcrs[pcr] = sha256.Sum256(append(v[:], digest[:]...))
	c.n++
	if after {
		return errPower
	}
	return nil
}

func newChip() *chip { return &chip{pcrs: map[int][32]byte{}} }

// place is a folder with files to measure, and where the log goes.
type place struct {
	tb  testing.TB
	dir string
	log string
}

func newPlace(tb testing.TB) *place {
	tb.Helper()
	dir := tb.TempDir()
	return &place{tb, dir, filepath.Join(dir, "measured")}
}

func (p *place) file(name, content string) string {
	p.tb.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		p.tb.Fatal(err)
	}
	return path
}

// check holds after every good run: the log leads to the PCR.
func (p *place) check(c *chip, files int) *eventlog.Measured {
	p.tb.Helper()
	data, err := os.ReadFile(p.log)
	if err != nil {
		p.tb.Fatal(err)
	}
	m, err := eventlog.ParseMeasured(data)
	if err != nil {
		p.tb.Fatal(err)
	}
	if m.Replay(m.Start) != c.pcrs[m.PCR] || len(m.Files) != files {
		p.tb.Fatalf("the log leads to %x, the PCR is %x; %d files, expected %d", m.Replay(m.Start), c.pcrs[m.PCR], len(m.Files), files)
	}
	return m
}

func TestMeasure(t *testing.T) {
	p, c := newPlace(t), newChip()
	c.pcrs[14] = [32]byte{1} // the firmware was here
	a, b := p.file("a", "A"), p.file("b", "B")
	out, err := Run(t.Context(), c, 14, p.log, []string{a, b, a})
	if err != nil || len(out) != 3 || out[0].Known || out[1].Known || !out[2].Known {
		t.Fatalf("%+v, %v", out, err)
	}
	m := p.check(c, 2)
	if m.Start != [32]byte{1} || m.Files[0].Digest != sha256.Sum256([]byte("A")) || m.Files[0].Size != 1 {
		t.Errorf("%+v", m)
	}
	if info, err := os.Stat(p.log); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	// Again: nothing new. Then with another content: both stay.
	if _, err := Run(t.Context(), c, 14, p.log, []string{a, b}); err != nil || c.n != 2 {
		t.Errorf("%d extended, %v", c.n, err)
	}
	p.file("a", "A'")
	if _, err := Run(t.Context(), c, 14, p.log, []string{a}); err != nil {
		t.Error(err)
	}
	if m := p.check(c, 3); len(m.Digests(a)) != 2 {
		t.Errorf("%v", m.Digests(a))
	}
}

func TestRefused(t *testing.T) {
	p := newPlace(t)
	good := p.file("good", "x")
	pipe := filepath.Join(p.dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := p.file("huge", "")
	if err := os.Truncate(huge, MaxFile+1); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		pcr  int
		file string
		says string
	}{
		"firmware's PCR": {pcr: 7, file: good, says: "PCR 7, expected 8 to 15"}, "PCR 23": {pcr: 23, file: good, says: "PCR 23"},
		"missing": {file: good + "x", says: "no such file"}, "folder": {file: p.dir, says: "expected a regular file"}, "pipe": {file: pipe, says: "expected a regular file"},
		"huge": {file: huge, says: "at most 1073741824"}, "relative": {file: "good", says: "absolute"}, "dots": {file: p.dir + "/../x", says: "without . and .."},
		"cancelled": {ctx: cancelled, file: good, says: "context canceled"},
	} {
		chip := newChip()
		if c.pcr == 0 {
			c.pcr = 14
		}
		if c.ctx == nil {
			c.ctx = t.Context()
		}
		if out, err := Run(c.ctx, chip, c.pcr, p.log, []string{good, c.file}); err == nil || !strings.Contains(err.Error(), c.says) || chip.n != 0 {
			t.Errorf("%s: %v, %v after %d extended; expected %q", name, out, err, chip.n, c.says)
		}
	}
	if _, err := os.Stat(p.log); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a log was begun: %v", err)
	}
}

// The log and the PCR tell different stories: nothing is extended, and the run says so.
func TestDisagreement(t *testing.T) {
	for name, spoil := range map[string]func(*place, *chip){
		"extended by another": func(_ *place, c *chip) { _ = c.Extend(14, [32]byte{9}) },
		"computer restarted":  func(_ *place, c *chip) { c.pcrs = map[int][32]byte{} },
		"about another PCR":   func(p *place, c *chip) { p.edit("pcr 14", "pcr 15"); c.pcrs[15] = c.pcrs[14] },
		"a line was removed":  func(p *place, _ *chip) { m := p.read(); m.Files = m.Files[1:]; p.write(m.Bytes()) },
		"a line was added": func(p *place, _ *chip) {
			m := p.read()
			m.Files = append(m.Files, m.Files[0], m.Files[0])
			p.write(m.Bytes())
		},
		"a digest was changed": func(p *place, _ *chip) { m := p.read(); m.Files[0].Digest[0] ^= 1; p.write(m.Bytes()) },
		"no log at all":        func(p *place, _ *chip) { p.write([]byte("hello\n")) },
		"empty":                func(p *place, _ *chip) { p.write(nil) },
		"enormous":             func(p *place, _ *chip) { p.write(make([]byte, eventlog.MaxMeasured+1)) },
		"a link": func(p *place, _ *chip) {
			_ = os.Rename(p.log, p.log+"2")
			_ = os.Symlink(p.log+"2", p.log)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := newPlace(t), newChip()
			files := []string{p.file("a", "A"), p.file("b", "B"), p.file("c", "C")}
			if _, err := Run(t.Context(), c, 14, p.log, files); err != nil {
				t.Fatal(err)
			}
			spoil(p, c)
			n, pcrs := c.n, c.pcrs[14]
			pcr := 14
			if _, err := Run(t.Context(), c, pcr, p.log, []string{p.file("d", "D")}); err == nil || c.n != n || c.pcrs[14] != pcrs {
				t.Errorf("%v, %d extended", err, c.n-n)
			}
		})
	}
}

func (p *place) read() *eventlog.Measured {
	p.tb.Helper()
	data, err := os.ReadFile(p.log)
	if err != nil {
		p.tb.Fatal(err)
	}
	m, err := eventlog.ParseMeasured(data)
	if err != nil {
		p.tb.Fatal(err)
	}
	return m
}

func (p *place) write(data []byte) {
	p.tb.Helper()
	if err := os.WriteFile(p.log, data, 0o600); err != nil {
		p.tb.Fatal(err)
	}
}

func (p *place) edit(from, to string) {
	p.write([]byte(strings.Replace(string(p.read().Bytes()), from, to, 1)))
}

func TestFullLog(t *testing.T) {
	p, c := newPlace(t), newChip()
	for i := range eventlog.MaxMeasuredFiles {
		p.file("a", fmt.Sprint(i))
		if _, err := Run(t.Context(), c, 14, p.log, []string{p.dir + "/a"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Run(t.Context(), c, 14, p.log, []string{p.file("a", "one more")}); err == nil || !strings.Contains(err.Error(), "128 files") {
		t.Errorf("%v", err)
	}
	p.check(c, eventlog.MaxMeasuredFiles)
}

// A log that cannot be written: nothing is extended.
func TestUnwritableLog(t *testing.T) {
	c, p := newChip(), newPlace(t)
	a := p.file("a", "A")
	if _, err := Run(t.Context(), c, 14, filepath.Join(a, "log"), []string{a}); err == nil || c.n != 0 {
		t.Errorf("%v, %d extended", err, c.n)
	}
	if err := os.Mkdir(p.log, 0o700); err != nil { // the lock can be had, the log cannot be replaced
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), c, 14, p.log, []string{a}); err == nil || c.n != 0 {
		t.Errorf("%v, %d extended", err, c.n)
	}
}

func TestLockIsWaitedForAsLongAsItMay(t *testing.T) {
	p, c := newPlace(t), newChip()
	unlock, err := lock(t.Context(), p.log+".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := Run(ctx, c, 14, p.log, []string{p.file("a", "A")}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another program measures") {
		t.Errorf("%v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	p, c := newPlace(t), newChip()
	shared := p.file("shared", "shared")
	var wg sync.WaitGroup
	for i := range 8 {
		own := p.file(fmt.Sprint(i), fmt.Sprint(i))
		wg.Go(func() {
			if _, err := Run(t.Context(), c, 14, p.log, []string{own, shared}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p.check(c, 9)
}

// Power cuts of the TPM and of this program, at any point: the next good run brings log and PCR together, every file is
// in the PCR exactly once, and none is lost.
func TestPropertyCrashes(t *testing.T) {
	p := newPlace(t)
	files := []string{p.file("a", "A"), p.file("b", "B"), p.file("c", "C"), p.file("d", "D")}
	rapid.Check(t, func(rt *rapid.T) {
		c := newChip()
		_ = os.Remove(p.log)
		c.lose = func() (bool, bool) {
			switch rapid.IntRange(0, 3).Draw(rt, "power") {
			case 0:
				return true, false
			case 1:
				return false, true
			default:
				return false, false
			}
		}
		for range rapid.IntRange(0, 6).Draw(rt, "runs") {
			_, _ = Run(context.Background(), c, 14, p.log, files)
			if rapid.Bool().Draw(rt, "cut between log and PCR") {
				cutBetween(rt, p, c)
			}
		}
		c.lose = nil
		if _, err := Run(context.Background(), c, 14, p.log, files); err != nil {
			rt.Fatal(err)
		}
		m := p.check(c, len(files))
		for _, f := range files {
			if len(m.Digests(f)) != 1 {
				rt.Fatalf("%s: %d digests", f, len(m.Digests(f)))
			}
		}
	})
}

// cutBetween takes back the last extending, as if the power had gone after the line was written, if the log has one more
// line than was there before the run; the PCR then is what the log without its last line leads to.
func cutBetween(rt *rapid.T, p *place, c *chip) {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return
	}
	m, err := eventlog.ParseMeasured(data)
	if err != nil {
		rt.Fatal(err)
	}
	if n := len(m.Files); n > 0 && m.Replay(m.Start) == c.pcrs[14] {
		before := *m
		before.Files = m.Files[:n-1]
		c.pcrs[14] = before.Replay(m.Start)
	}
}
