package courier

import (
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/host"
)

// Trust in civil time, as messages name it.
const (
	// TimeTrusted means that a time service disciplines the clock.
	TimeTrusted = "trusted"
	// TimeHoldover means that the clock was right once and runs on.
	TimeHoldover = "holdover"
	// TimeUntrusted means that the time may be anything.
	TimeUntrusted = "untrusted"
)

// Clock is all that the courier knows about time.
type Clock interface {
	// Boot is the boot clock, which goes on in suspend.
	Boot() time.Duration
	// Civil is the civil time and the trust in it.
	Civil() (now time.Time, trust string)
	// After gives a channel that gets a value once d has passed, and what takes the timer back.
	After(d time.Duration) (<-chan time.Time, func())
}

// hostClock is the machine's own clock.
type hostClock struct{ host.Clock }

func (hostClock) Civil() (time.Time, string) {
	var c host.Clock
	trust := TimeUntrusted
	if c.Sync() == host.Synchronised {
		trust = TimeTrusted
	}
	return time.Unix(0, c.Civil()).UTC(), trust
}

func (hostClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// guardedClock is a clock whose trust is the guard's to say, since the guard owns clock trust; while the guard says
// nothing, it is what the kernel says.
type guardedClock struct {
	Clock
	trust atomic.Pointer[string]
}

// Civil implements [Clock].
func (c *guardedClock) Civil() (time.Time, string) {
	now, trust := c.Clock.Civil()
	if said := c.trust.Load(); said != nil {
		trust = *said
	}
	return now, trust
}

// told takes the guard's word; anything but the words of this package counts as nothing.
func (c *guardedClock) told(trust string) {
	switch trust {
	case TimeTrusted, TimeHoldover, TimeUntrusted:
		c.trust.Store(&trust)
	default:
		c.trust.Store(nil)
	}
}
