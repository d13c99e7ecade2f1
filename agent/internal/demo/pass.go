package demo

import (
	"time"

	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
)

// PassThrough is a robot without a guard: commands go to the base as they come, and the lock is kept open.
func PassThrough(e Env) (Trial, error) { return Trial{Guard: &passThrough{out: e.Out}}, nil }

type passThrough struct{ out Actuators }

// Pose is Guard's.
func (p *passThrough) Pose(*msg.Pose) {}

// Odometry is Guard's.
func (p *passThrough) Odometry(*msg.Pose) {}

// Joints is Guard's.
func (p *passThrough) Joints(*msg.Joints) {}

// IMU is Guard's.
func (p *passThrough) IMU(*msg.IMU) {}

// Device is Guard's.
func (p *passThrough) Device(*msg.Device) {}

// Floor is Guard's.
func (p *passThrough) Floor(*msg.Text) {}

// Answer is Guard's.
func (p *passThrough) Answer(*msg.Text) {}

// Order is Guard's.
func (p *passThrough) Order(*msg.Text) {}

// Graph is Guard's.
func (p *passThrough) Graph(*msg.Graph) {}

// Reply is Guard's.
func (p *passThrough) Reply(*sim.Reply) {}

// Command is Guard's.
func (p *passThrough) Command(c *msg.Command) { p.out.Command(c.Twist) }

// Tick is Guard's.
func (p *passThrough) Tick(time.Duration) { p.out.Lock(false) }

// Snapshot is Guard's.
func (p *passThrough) Snapshot() *console.Snapshot { return nil }
