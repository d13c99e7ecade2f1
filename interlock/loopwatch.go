package interlock

import (
	"fmt"
	"time"
)

// LoopConfig sets up a LoopWatch. Every duration must be positive.
type LoopConfig struct {
	// Deadline is the longest time between the starts of two steps, and the longest that one step may take.
	Deadline time.Duration
	// Hard is the time at which a single miss counts at once; larger than Deadline.
	Hard time.Duration
	// Misses in quick succession count together; one is forgiven each Forgive.
	Misses  int
	Forgive time.Duration
}

// LoopWatch says whether the guard's loop keeps its deadline. It is not safe for use by several goroutines.
type LoopWatch struct {
	cfg    LoopConfig
	ran    bool
	start  time.Duration
	misses bucket
	// hard is true from a hard miss until the bucket has drained.
	hard bool
}

// NewLoopWatch returns a watch that has seen no step. Every fault of the configuration is a *ConfigError.
func NewLoopWatch(cfg LoopConfig) (*LoopWatch, error) {
	c := checker{part: "loop"}
	c.duration("Deadline", cfg.Deadline)
	c.duration("Hard", cfg.Hard)
	c.duration("Forgive", cfg.Forgive)
	if cfg.Hard <= cfg.Deadline {
		c.bad("Hard", cfg.Hard, fmt.Sprintf("more than Deadline, which is %v", cfg.Deadline))
	}
	if cfg.Misses < 1 || cfg.Misses > maxCount {
		c.bad("Misses", cfg.Misses, fmt.Sprintf("1 to %d", maxCount))
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return &LoopWatch{cfg: cfg}, nil
}

// Observe takes a step that started at start and took took, and returns the condition of LoopOverrun.
func (w *LoopWatch) Observe(start, took time.Duration) Condition {
	gap := time.Duration(0)
	if w.ran {
		gap = since(start, w.start)
	}
	w.ran, w.start = true, start
	w.misses.drain(start)
	if w.misses.level == 0 {
		w.hard = false
	}
	worst := max(gap, took)
	if worst > w.cfg.Deadline {
		w.misses.add(start, w.cfg.Forgive, w.cfg.Misses)
	}
	w.hard = w.hard || worst > w.cfg.Hard
	if w.misses.full || w.hard {
		return Fault(CauseDeadlineMissed, 0)
	}
	return OK()
}

const loopMagic = "RWIO"

// AppendState appends the watch's state, without its configuration.
func (w *LoopWatch) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, loopMagic, stateVersion)
	b = appendBool(b, w.ran)
	b = appendStored(b, w.start)
	b = w.misses.append(b)
	return seal(appendBool(b, w.hard), start)
}

// RestoreState puts the watch into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (w *LoopWatch) RestoreState(b []byte) error {
	r, err := open(b, loopMagic, stateVersion)
	if err != nil {
		return err
	}
	n := LoopWatch{cfg: w.cfg, ran: r.bool("ran"), start: r.duration(maxStored, "a time")}
	n.misses = r.bucket()
	n.hard = r.bool("hard")
	if err := r.close(); err != nil {
		return err
	}
	*w = n
	return nil
}
