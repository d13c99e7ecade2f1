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

func (p *passThrough) Pose(*msg.Pose)              {}
func (p *passThrough) Odometry(*msg.Pose)          {}
func (p *passThrough) Joints(*msg.Joints)          {}
func (p *passThrough) IMU(*msg.IMU)                {}
func (p *passThrough) Device(*msg.Device)          {}
func (p *passThrough) Floor(*msg.Text)             {}
func (p *passThrough) Answer(*msg.Text)            {}
func (p *passThrough) Order(*msg.Text)             {}
func (p *passThrough) Graph(*msg.Graph)            {}
func (p *passThrough) Reply(*sim.Reply)            {}
func (p *passThrough) Command(c *msg.Command)      { p.out.Command(c.Twist) }
func (p *passThrough) Tick(time.Duration)          { p.out.Lock(false) }
func (p *passThrough) Snapshot() *console.Snapshot { return nil }
