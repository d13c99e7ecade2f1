// Package gpio gives and takes a permit by a line of this computer, and reads the contacts of emergency stops, doors and
// bumpers. It believes an output only as it reads back, and an input only after it was quiet; what it cannot read, it says.
package gpio

import (
	"context"
	"fmt"

	"github.com/robowarden/robowarden/hal/actuator"
)

// PermitConfig says which line it is.
type PermitConfig struct {
	// Chip is the path of the chip's device, Line the line's number on it.
	Chip string
	Line uint32
	// StopHigh is true if the high level stops the robot. Lines that are high to run stop it as well when their wire breaks.
	StopHigh bool
	// Toggle makes Run another level at every Apply instead of one level. Then the permit also falls when nobody applies it
	// any more, which a level does not: the kernel may leave a line as it is when its owner dies.
	Toggle bool
}

// Permit is an output line. It is an [actuator.Device].
type Permit struct {
	cfg  PermitConfig
	name string
	open func(chip string, offsets []uint32, flags, initial uint64) (lines, error)
	line lines
	high bool
}

// NewPermit returns a permit whose line nobody has asked for yet.
func NewPermit(c PermitConfig) *Permit {
	return &Permit{cfg: c, name: fmt.Sprintf("gpio %s line %d", c.Chip, c.Line), open: openLines}
}

// Apply sets the line and reads it back. The kernel answers at once; a chip behind a slow bus may take its time.
func (p *Permit) Apply(_ context.Context, s actuator.State) error {
	if p.line == nil {
		p.high = p.cfg.StopHigh
	}
	high := p.cfg.StopHigh
	if s == actuator.Run {
		high = !p.cfg.StopHigh
		if p.cfg.Toggle {
			high = !p.high
		}
	}
	if p.line == nil {
		// At the level that is asked for, without a moment at the other: that could be a robot without power.
		l, err := p.open(p.cfg.Chip, []uint32{p.cfg.Line}, flagOutput, bit(high))
		if err != nil {
			return actuator.Fail(p.name, actuator.Gone, err)
		}
		p.line = l
	}
	if err := p.line.set(bit(high)); err != nil {
		return p.lost(err)
	}
	p.high = high
	have, err := p.line.get()
	if err != nil {
		return p.lost(err)
	}
	if have&1 != bit(high) {
		return &actuator.Error{Fault: actuator.Mismatch, Device: p.name, Err: fmt.Errorf("expected the line %s, found it %s", level(high), level(!high))}
	}
	return nil
}

// lost gives the line back, so that the next Apply asks anew.
func (p *Permit) lost(err error) error {
	_ = p.Close(false)
	return actuator.Fail(p.name, actuator.Gone, err)
}

// Close gives the line back.
func (p *Permit) Close(bool) error {
	if p.line == nil {
		return nil
	}
	err := p.line.Close()
	p.line = nil
	return err
}

func bit(high bool) uint64 {
	if high {
		return 1
	}
	return 0
}

func level(high bool) string {
	if high {
		return "high"
	}
	return "low"
}
