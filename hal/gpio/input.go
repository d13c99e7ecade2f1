package gpio

import (
	"context"
	"time"
)

// Bias is a line's pull resistor.
type Bias uint8

// Biases.
const (
	// BiasAsIs leaves it as the firmware has set it.
	BiasAsIs Bias = iota
	// BiasNone has none.
	BiasNone
	// BiasUp pulls to high.
	BiasUp
	// BiasDown pulls to low.
	BiasDown
)

// InputConfig says which lines an input is.
type InputConfig struct {
	// Chip is the path of the chip's device.
	Chip string
	// Line is the first contact's line; Second the other's, which has the opposite level, if HasSecond.
	Line, Second uint32
	HasSecond    bool
	// ActiveHigh is true if the first contact is high when it says active.
	ActiveHigh bool
	Bias       Bias
	// Debounce and Discrepancy are the filter's.
	Debounce, Discrepancy time.Duration
}

// readEvery is how often contacts are read: two readings make an active one count.
const readEvery = 5 * time.Millisecond

// tellEvery is how often an unchanged state is told again.
const tellEvery = 500 * time.Millisecond

// openEvery paces tries to open a chip that is not there.
const openEvery = 250 * time.Millisecond

// Input reads one input.
type Input struct {
	cfg  InputConfig
	open func(chip string, offsets []uint32, flags, initial uint64) (lines, error)
}

// NewInput returns an input that nobody reads yet.
func NewInput(c InputConfig) *Input { return &Input{c, openLines} }

// Run reads the input until ctx ends, and tells its state when it changes and at least every half second. tell must not
// block for long.
func (in *Input) Run(ctx context.Context, tell func(InputState)) error {
	for ctx.Err() == nil {
		l, err := in.request()
		if err == nil {
			in.read(ctx, l, tell)
			_ = l.Close()
		}
		if ctx.Err() == nil {
			tell(Unreadable)
			pause(ctx, openEvery)
		}
	}
	return nil
}

func (in *Input) request() (lines, error) {
	offsets := []uint32{in.cfg.Line}
	if in.cfg.HasSecond {
		offsets = append(offsets, in.cfg.Second)
	}
	flags := flagInput | map[Bias]uint64{BiasUp: flagPullUp, BiasDown: flagPullDown, BiasNone: flagNoBias}[in.cfg.Bias]
	return in.open(in.cfg.Chip, offsets, flags, 0)
}

// read returns when the lines cannot be read any more.
func (in *Input) read(ctx context.Context, l lines, tell func(InputState)) {
	f := NewFilter(in.cfg.Debounce, in.cfg.Discrepancy)
	begun := time.Now()
	due := time.NewTicker(readEvery)
	defer due.Stop()
	var last InputState
	var told time.Time
	for {
		bits, err := l.get()
		if err != nil {
			return
		}
		first := bits&1 == bit(in.cfg.ActiveHigh)
		second := first
		if in.cfg.HasSecond {
			second = bits>>1&1 != bit(in.cfg.ActiveHigh)
		}
		now := time.Now()
		if s, ok := f.Observe(now.Sub(begun), first, second); ok && (told.IsZero() || s != last || now.Sub(told) >= tellEvery) {
			last, told = s, now
			tell(s)
		}
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
