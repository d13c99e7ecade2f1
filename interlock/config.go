package interlock

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ConfigError is one thing that is wrong with the configuration of a Gate, Ladder, Standstill, Heartbeat or watch.
type ConfigError struct {
	// Part is what is configured, such as "gate".
	Part string
	// Field is the setting that is wrong, such as "CommandTimeout".
	Field string
	// Found is what the configuration says.
	Found string
	// Want is what it may say.
	Want string
}

// Error says where, what was found and what was expected.
func (e *ConfigError) Error() string {
	return e.Part + ": " + e.Field + ": found " + e.Found + ", expected " + e.Want
}

// checker gathers the faults of one part's configuration.
type checker struct {
	part string
	errs []error
}

func (c *checker) bad(field string, found any, want string) {
	c.errs = append(c.errs, &ConfigError{Part: c.part, Field: field, Found: fmt.Sprint(found), Want: want})
}

func (c *checker) duration(field string, d time.Duration) {
	if d <= 0 || d > maxDuration {
		c.bad(field, d, fmt.Sprintf("more than 0s and at most %v", maxDuration))
	}
}

func (c *checker) positive(field string, v float64) {
	if !(v > 0) || math.IsInf(v, 1) {
		c.bad(field, v, "a finite number above 0")
	}
}

func (c *checker) err() error { return errors.Join(c.errs...) }

// bucket counts events that come faster than one in each span; it forgets one in each span.
type bucket struct {
	level time.Duration
	at    time.Duration
	full  bool
}

// drain lets time pass, and empties the mark of fullness only when nothing is left, so that it does not flap.
func (b *bucket) drain(now time.Duration) {
	b.level = max(0, b.level-since(now, b.at))
	b.at = now
	if b.level == 0 {
		b.full = false
	}
}

// add counts one event; the bucket is full once count of them have come together.
func (b *bucket) add(now, span time.Duration, count int) {
	b.drain(now)
	most := span * time.Duration(count)
	b.level = min(b.level+span, most)
	if b.level > most-span {
		b.full = true
	}
}

func (b *bucket) append(out []byte) []byte {
	out = appendTime(out, b.level)
	out = appendStored(out, b.at)
	return appendBool(out, b.full)
}

func (r *reader) bucket() bucket {
	return bucket{
		level: r.span(maxDuration*maxCount, "a bucket's level"),
		at:    r.duration(maxStored, "a bucket's time"),
		full:  r.bool("full"),
	}
}

// maxCount bounds the number of events that a bucket counts.
const maxCount = 1000
