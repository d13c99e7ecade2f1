package gpio

import (
	"context"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/actuator"
	"github.com/robowarden/robowarden/hal/actuator/contract"
)

const ms = time.Millisecond

// chip is a GPIO chip that behaves as the kernel's header says: a line has one owner, an output begins at its level, a line
// that is pulled from outside reads as that.
type chip struct {
	mu      sync.Mutex
	there   bool
	owned   map[uint32]bool
	level   map[uint32]bool
	changed map[uint32]time.Time
	// shorted lines read as this whatever is written.
	shorted map[uint32]bool
}

func newChip() *chip {
	return &chip{there: true, owned: map[uint32]bool{}, level: map[uint32]bool{}, changed: map[uint32]time.Time{}, shorted: map[uint32]bool{}}
}

type chipLines struct {
	c       *chip
	offsets []uint32
}

func (c *chip) open(_ string, offsets []uint32, flags, initial uint64) (lines, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.there {
		return nil, os.ErrNotExist
	}
	for _, o := range offsets {
		if c.owned[o] {
			return nil, syscall.EBUSY
		}
	}
	for i, o := range offsets {
		c.owned[o] = true
		if flags&flagOutput != 0 {
			c.put(o, initial>>i&1 == 1)
		}
	}
	return &chipLines{c, offsets}, nil
}

func (c *chip) put(o uint32, high bool) {
	if c.level[o] != high {
		c.changed[o] = time.Now()
	}
	c.level[o] = high
}

func (l *chipLines) set(bits uint64) error {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if !l.c.there {
		return syscall.ENODEV
	}
	for i, o := range l.offsets {
		if _, short := l.c.shorted[o]; !short {
			l.c.put(o, bits>>i&1 == 1)
		}
	}
	return nil
}

func (l *chipLines) get() (uint64, error) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if !l.c.there {
		return 0, syscall.ENODEV
	}
	var bits uint64
	for i, o := range l.offsets {
		high := l.c.level[o]
		if s, short := l.c.shorted[o]; short {
			high = s
		}
		bits |= bit(high) << i
	}
	return bits, nil
}

func (l *chipLines) Close() error {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	for _, o := range l.offsets {
		l.c.owned[o] = false
	}
	return nil
}

func (c *chip) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

const line = 17

func TestContract(t *testing.T) {
	for name, cfg := range map[string]PermitConfig{
		"high to run": {Line: line}, "low to run": {Line: line, StopHigh: true}, "toggled to run": {Line: line, Toggle: true},
	} {
		t.Run(name, func(t *testing.T) {
			contract.Run(t, func(*testing.T) *contract.Rig {
				c := newChip()
				c.level[line] = cfg.StopHigh // as a resistor holds it
				p := NewPermit(cfg)
				p.open = c.open
				return &contract.Rig{
					Device: p, Refresh: 5 * ms,
					State: func() actuator.State {
						c.mu.Lock()
						defer c.mu.Unlock()
						run := c.level[line] != cfg.StopHigh
						if cfg.Toggle {
							run = time.Since(c.changed[line]) < 30*ms
						}
						if run {
							return actuator.Run
						}
						return actuator.Stop
					},
					Break: map[actuator.Fault]func() func(){
						actuator.Gone: func() func() {
							c.change(func() { c.there = false })
							return func() { c.change(func() { c.there = true }) }
						},
						actuator.Mismatch: func() func() {
							c.change(func() { c.shorted[line] = cfg.StopHigh })
							return func() { c.change(func() { delete(c.shorted, line) }) }
						},
					},
				}
			})
		})
	}
}

// TestToggledLineFallsWithItsOwner is why it is toggled; the level stays (off).
func TestToggledLineFallsWithItsOwner(t *testing.T) {
	for name, toggle := range map[string]bool{"toggled": true, "level (off)": false} {
		t.Run(name, func(t *testing.T) {
			c := newChip()
			p := NewPermit(PermitConfig{Line: line, Toggle: toggle})
			p.open = c.open
			edges := 0
			for range 10 {
				before := c.level[line]
				if err := p.Apply(context.Background(), actuator.Run); err != nil {
					t.Fatal(err)
				}
				if c.level[line] != before {
					edges++
				}
			}
			_ = p.line.Close() // what the kernel does for a process that dies
			if want := map[bool]int{true: 10, false: 1}[toggle]; edges != want {
				t.Errorf("%d edges in 10 calls, expected %d", edges, want)
			}
		})
	}
}

// TestLineBeginsAsItIsAskedFor, without a moment at the other level.
func TestLineBeginsAsItIsAskedFor(t *testing.T) {
	for _, s := range []actuator.State{actuator.Run, actuator.Stop} {
		c := newChip()
		p := NewPermit(PermitConfig{Line: line})
		begun := uint64(9)
		p.open = func(chip string, offsets []uint32, flags, initial uint64) (lines, error) {
			begun = initial
			return c.open(chip, offsets, flags, initial)
		}
		if err := p.Apply(t.Context(), s); err != nil || begun != bit(s == actuator.Run) {
			t.Errorf("%v begins at level %d, %v", s, begun, err)
		}
	}
}

// TestLayout holds the structures against the sizes that the ioctl numbers carry.
func TestLayout(t *testing.T) {
	if n := unsafe.Sizeof(lineRequest{}); n != getLine>>16&0x3fff {
		t.Errorf("line request of %d bytes, expected %d", n, getLine>>16&0x3fff)
	}
	if n := unsafe.Sizeof(lineValues{}); n != getValues>>16&0x3fff {
		t.Errorf("line values of %d bytes", n)
	}
	if o := unsafe.Offsetof(lineRequest{}.fd); o != 588 {
		t.Errorf("fd at %d, expected 588", o)
	}
}

// script feeds a filter with one reading each 5 ms: P pressed, r released, 1 and 2 one contact only.
func script(f *Filter, now *time.Duration, readings string) (s InputState, ok bool) {
	for _, c := range readings {
		*now += readEvery
		s, ok = f.Observe(*now, c == 'P' || c == '1', c == 'P' || c == '2')
	}
	return s, ok
}

func TestFilter(t *testing.T) {
	quiet := strings.Repeat("r", 10)
	for name, c := range map[string]struct {
		readings string
		want     InputState
		decided  bool
	}{
		"nothing yet":                  {"r", Unreadable, false},
		"released":                     {quiet, Released, true},
		"a spike of one reading":       {quiet + "P" + "r", Released, true},
		"pressed at the second":        {quiet + "PP", Active, true},
		"bounces, pressed":             {quiet + "PrPrPP", Active, true},
		"bounces, released":            {"PPPPrPrPr", Active, true},
		"released after it was quiet":  {"PPPPrPrrrrrr", Released, true},
		"one contact first":            {quiet + "1P" + "P", Active, true},
		"one contact alone":            {quiet + "11", Active, true},
		"the other alone":              {quiet + "22", Active, true},
		"one contact stuck":            {quiet + strings.Repeat("1", 30), Differ, true},
		"pressed once while stuck":     {quiet + strings.Repeat("2", 30) + "PP", Active, true},
		"stuck, and repaired":          {quiet + strings.Repeat("1", 30) + quiet, Released, true},
		"chatters":                     {quiet + strings.Repeat("Pr", 20), Chatter, true},
		"chattered a second and more":  {quiet + strings.Repeat("Pr", 20) + strings.Repeat("r", 250), Released, true},
		"pressed for good at the very": {"PP", Active, true},
	} {
		t.Run(name, func(t *testing.T) {
			var now time.Duration
			s, ok := script(NewFilter(20*ms, 100*ms), &now, c.readings)
			if s != c.want || ok != c.decided {
				t.Errorf("got %v, decided %t", s, ok)
			}
		})
	}
}

// TestFilterNeverMissesAPress: whatever came before, two readings in which a contact says active never read as released.
func TestFilterNeverMissesAPress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var now time.Duration
		f := NewFilter(20*ms, 100*ms)
		script(f, &now, strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"P", "r", "1", "2", "rrrrr", "PPPP"}), 0, 100).Draw(t, "before"), ""))
		press := rapid.SampledFrom([]string{"PP", "11", "22", "1P", "P2"}).Draw(t, "press")
		if s, ok := script(f, &now, press); s == Released || !ok {
			t.Fatalf("%q reads as %v, decided %t", press, s, ok)
		}
	})
}

// TestInputTellsWhatItReads, again and again, and that it cannot.
func TestInputTellsWhatItReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChip()
		in := NewInput(InputConfig{Line: 22, Second: 23, HasSecond: true, Debounce: 20 * ms, Discrepancy: 100 * ms})
		in.open = c.open
		c.level[22], c.level[23] = true, false // contacts of a button that nobody presses
		var said []InputState
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- in.Run(ctx, func(s InputState) { c.change(func() { said = append(said, s) }) }) }()
		wait := func(d time.Duration, want InputState) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(said) == 0 || said[len(said)-1] != want {
				t.Errorf("said %v, expected %v last", said, want)
			}
		}
		wait(50*ms, Released)
		c.change(func() { c.level[22], c.level[23] = false, true })
		wait(12*ms, Active)
		before := 0
		c.change(func() { before = len(said) })
		wait(2100*ms, Active)
		n := 0
		c.change(func() { n = len(said) - before })
		if n < 3 || n > 5 {
			t.Errorf("told %d times in two seconds", n)
		}
		c.change(func() { c.level[22] = true })
		wait(150*ms, Differ)
		c.change(func() { c.there = false })
		wait(300*ms, Unreadable)
		c.change(func() { c.there, c.level[23] = true, false })
		wait(600*ms, Released)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if c.owned[22] || c.owned[23] {
			t.Error("keeps its lines")
		}
	})
}
