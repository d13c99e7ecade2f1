package sim

import (
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// base is the base controller behind cmd_vel: it obeys a lock and has a dead time and a command timeout of its own.
type base struct {
	forwarded time.Duration // When the last command was accepted.
	ever      bool
	effective velocity
	last      velocity // The last effective command that was not zero; what a runaway base keeps doing.
	batch     int64    // Commands of an older batch have been overtaken by a timeout or the lock.
	locked    bool
	lockAt    time.Duration
	lockEver  bool
	refused   int64
}

func (b *base) init() { b.locked = true }

// Command is a velocity command on cmd_vel, from whoever publishes there: with a gate in line, the gate.
func (w *World) Command(t msg.Twist) { w.command(t) }

func (w *World) command(t msg.Twist) {
	b := &w.base
	if !finite(t.Linear.X, t.Linear.Y, t.Angular.Z) {
		b.refused++
		return
	}
	if w.Locked() {
		return
	}
	b.forwarded, b.ever = w.Now(), true
	v := velocity{t.Linear.X, t.Linear.Y, t.Angular.Z}
	batch := b.batch
	w.After(w.opts.Plant.DeadTime, func() {
		if b.batch == batch {
			b.effective = v
		}
	})
}

// Lock is a message on the lock topic. True, or silence for LockTimeout, makes the base come to rest and ignore commands.
func (w *World) Lock(locked bool) {
	w.base.locked, w.base.lockAt, w.base.lockEver = locked, w.Now(), true
}

// Locked says whether the base is locked now: told so, told nothing yet, or not told for LockTimeout.
func (w *World) Locked() bool {
	if w.opts.NoLock {
		return false
	}
	b := &w.base
	return b.locked || !b.lockEver || w.Now()-b.lockAt > w.opts.LockTimeout
}

// target is what the gait shall aim at from the next footfall on, and whether to brake as hard as balance allows.
func (w *World) target() (v velocity, hard bool) {
	b, now := &w.base, w.Now()
	timeout := b.ever && now-b.forwarded > w.opts.Plant.CommandTimeout
	if (timeout || w.Locked()) && !b.effective.zero() {
		b.effective = velocity{}
		b.batch++
	}
	if !b.effective.zero() {
		b.last = b.effective
	}
	switch {
	case w.faults.on[FaultRunaway]:
		return b.last, false
	case w.posture.stopped:
		return velocity{}, true
	case w.faults.on[FaultCommandsIgnored]:
		return b.last, false
	}
	return b.effective, false
}
