package interlock

import (
	"fmt"
	"math"
	"time"
)

// ClockConfig sets up a ClockWatch. Every duration must be positive.
type ClockConfig struct {
	// Threshold is the largest step of the civil clock against the boot clock.
	Threshold time.Duration
	// MaxDriftPPM is how fast the civil clock may be slewed, in millionths.
	MaxDriftPPM int64
	// Hold is how long a step stays present.
	Hold time.Duration
	// Floor is the oldest civil time that can be true, in nanoseconds since the Unix epoch: the build's time, or the
	// newest signed time seen.
	Floor int64
}

// maxDriftPPM bounds ClockConfig.MaxDriftPPM.
const maxDriftPPM = 100_000

// ClockWatch says whether the civil clock steps against the boot clock. It is not safe for use by several goroutines.
type ClockWatch struct {
	cfg ClockConfig
	ran bool
	// boot is the last reading; offset is civil minus boot time in nanoseconds, following slow drift.
	boot   time.Duration
	offset int64
	// stepped is true until Hold after the last step at at, of which cause says what it was.
	stepped bool
	at      time.Duration
	cause   Cause
}

// NewClockWatch returns a watch that has seen no clock. Every fault of the configuration is a *ConfigError.
func NewClockWatch(cfg ClockConfig) (*ClockWatch, error) {
	c := checker{part: "clock"}
	c.duration("Threshold", cfg.Threshold)
	c.duration("Hold", cfg.Hold)
	if cfg.MaxDriftPPM <= 0 || cfg.MaxDriftPPM > maxDriftPPM {
		c.bad("MaxDriftPPM", cfg.MaxDriftPPM, fmt.Sprintf("1 to %d", maxDriftPPM))
	}
	if cfg.Floor <= 0 {
		c.bad("Floor", cfg.Floor, "a time after 1970, in nanoseconds")
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return &ClockWatch{cfg: cfg}, nil
}

// RaiseFloor makes civil times before floor, in nanoseconds since the Unix epoch, impossible: the newest signed time
// seen. The floor never falls.
func (w *ClockWatch) RaiseFloor(floor int64) { w.cfg.Floor = max(w.cfg.Floor, floor) }

// Observe takes both clocks, read together: boot on CLOCK_BOOTTIME, civil in nanoseconds since the Unix epoch. It
// returns the condition of ClockJump.
func (w *ClockWatch) Observe(boot time.Duration, civil int64) Condition {
	offset := minus(civil, int64(boot))
	switch {
	case !w.ran:
		w.offset = offset
	case boot < w.boot:
		w.step(boot, CauseBootClockBack)
		w.offset = offset
	default:
		drift := int64(since(boot, w.boot)) / 1000 * w.cfg.MaxDriftPPM / 1000
		moved := minus(offset, w.offset)
		if moved > drift+int64(w.cfg.Threshold) || moved < -drift-int64(w.cfg.Threshold) {
			w.step(boot, CauseClockStep)
			w.offset = offset
		} else {
			w.offset += max(-drift, min(drift, moved))
		}
	}
	w.ran, w.boot = true, boot
	if w.stepped && since(boot, w.at) >= w.cfg.Hold {
		w.stepped = false
	}
	switch {
	case civil < w.cfg.Floor:
		return Fault(CauseCivilTooOld, 0)
	case w.stepped:
		return Fault(w.cause, 0)
	}
	return OK()
}

func (w *ClockWatch) step(boot time.Duration, c Cause) {
	w.stepped, w.at, w.cause = true, boot, c
}

// minus returns a-b, at most the largest and at least the smallest number by magnitude.
func minus(a, b int64) int64 {
	d := a - b
	switch {
	case a >= 0 && b < 0 && d < 0:
		return math.MaxInt64
	case a < 0 && b >= 0 && d >= 0:
		return -math.MaxInt64
	}
	return max(d, -math.MaxInt64)
}

const clockMagic = "RWIC"

// AppendState appends the watch's state, without its configuration except for the floor.
func (w *ClockWatch) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, clockMagic, stateVersion)
	b = appendBool(b, w.ran)
	b = appendStored(b, w.boot)
	b = appendTime(b, time.Duration(w.offset))
	b = appendBool(b, w.stepped)
	b = appendStored(b, w.at)
	b = append(b, uint8(w.cause), uint8(w.cause>>8))
	b = appendTime(b, time.Duration(w.cfg.Floor))
	return seal(b, start)
}

// RestoreState puts the watch into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (w *ClockWatch) RestoreState(b []byte) error {
	r, err := open(b, clockMagic, stateVersion)
	if err != nil {
		return err
	}
	n := ClockWatch{cfg: w.cfg, ran: r.bool("ran"), boot: r.duration(maxStored, "a time")}
	n.offset = max(int64(r.u64()), -math.MaxInt64) //nolint:gosec // two's complement
	n.stepped = r.bool("stepped")
	n.at = r.duration(maxStored, "a time")
	n.cause = Cause(r.u16())
	n.cfg.Floor = max(n.cfg.Floor, int64(r.u64())) //nolint:gosec // two's complement
	if err := r.close(); err != nil {
		return err
	}
	*w = n
	return nil
}
