package agent

import (
	"time"

	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/hal/host"
)

// holdoverSpan is how long after the newest time that was trusted or signed an undisciplined clock is still believed.
// It bounds what somebody gains who can set the clock but cannot sign.
const holdoverSpan = 30 * 24 * time.Hour

// holdoverDrift bounds how far a clock in holdover may be off.
const holdoverDrift = 2 * time.Minute

// clockTrust judges civil time. Its levels are those of the cores: 0 untrusted, 1 holdover, 2 trusted.
type clockTrust struct {
	// floor is the oldest time that can be true: the build's, or the newest signed or trusted one.
	floor int64
	// bootAt and civilAt are the last reading, to notice a step.
	bootAt  time.Duration
	civilAt int64
	stepped bool
}

// judge reads the state of the kernel's clock and compares the two clocks. A step since the last reading makes the time
// untrusted until the kernel says that a time service disciplines it.
func (c *clockTrust) judge(sync host.Sync, boot time.Duration, civil int64) uint8 {
	const step = 2 * time.Second
	if c.civilAt != 0 {
		if d := time.Duration(civil-c.civilAt) - (boot - c.bootAt); d > step || d < -step {
			c.stepped = true
		}
	}
	c.bootAt, c.civilAt = boot, civil
	switch {
	case civil < c.floor:
		return 0
	case sync == host.Synchronised:
		c.stepped = false
		// A time service may set the clock back a little; that must not close what schedules keep open.
		c.floor = max(c.floor, civil-int64(step))
		return 2
	case c.stepped || civil > c.floor+int64(holdoverSpan):
		return 0
	}
	return 1
}

// times tells the order verifier what is known about civil time.
func times(civil int64, trust uint8) order.Times {
	t := order.Times{Civil: time.Unix(0, civil).UTC()}
	switch trust {
	case 2:
		t.Trust, t.Uncertainty = order.Trusted, time.Second
	case 1:
		t.Trust, t.Uncertainty = order.Holdover, holdoverDrift
	}
	return t
}
