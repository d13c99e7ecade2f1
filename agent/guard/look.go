package guard

import (
	"math"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// This file lets a replay look at a core between two events. What it returns is valid until the next event.

// Gated is what the gate did last.
func (c *Core) Gated() *interlock.GateOutput { return &c.gated }

// Limit is what the geofence last said about a command.
func (c *Core) Limit() *geofence.Limit { return &c.limit }

// Motion is what the sources say together about whether the robot stands.
func (c *Core) Motion() *interlock.StandstillOutput { return &c.motion }

// Set is the zones in force.
func (c *Core) Set() *geofence.Set { return c.params.Set }

// Status is the state in people's terms. It allocates.
func (c *Core) Status() Status { return c.status() }

// Subject names what an active trigger is about, empty for all or nothing.
func (c *Core) Subject(a *interlock.Active) string { return c.subject(a) }

// Stance is where the robot is and how fast, as its messages say.
type Stance struct {
	// Seen is false before the first pose. X and Y are in metres in the floor's map frame, Yaw in radians.
	Seen      bool
	X, Y, Yaw float64
	// Floor is the floor's index, -1 if unknown.
	Floor int
	// SpeedMPS is the odometry's speed in m/s, NaN before the first.
	SpeedMPS float64
}

// Stance tells where the robot is.
func (c *Core) Stance() Stance {
	b := &c.body
	q := b.pose.q
	s := Stance{
		Seen: b.seen&InputPose != 0, X: b.pose.p.X, Y: b.pose.p.Y, Floor: b.floor, SpeedMPS: math.NaN(),
		Yaw: math.Atan2(2*(q.W*q.Z+q.X*q.Y), 1-2*(q.Y*q.Y+q.Z*q.Z)), // for people only
	}
	if b.seen&InputOdometry != 0 {
		s.SpeedMPS = b.velocity.speed()
	}
	return s
}

// InputNames names the inputs of a set, in the words of robot profiles.
func InputNames(s InputSet) []string {
	names := [...]string{"pose", "floor", "odometry", "joints", "imu", "battery", "cameras", "microphones", "graph", "second pose"}
	var out []string
	for i, name := range names {
		if s&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}
