// Package scenario draws runs of a robot by chance from a seed: where it starts, how it moves, what is before it, and
// how good its body is; it never knows how the product decides.
//
// A robot is always drawn within what its profile promises (Promise), since nobody can stop a robot that brakes worse
// than its maker says. Everything else is free.
package scenario

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// Promise is what the robot's profile says of it. Every robot drawn keeps it.
type Promise struct {
	// Decel is the deceleration of the controlled stop in m/s², at least.
	Decel float64
	// Actuation is the delay from a command to its full effect, at most; loss of commands included.
	Actuation time.Duration
	// MaxSpeed is in m/s.
	MaxSpeed float64
	// Sigma is the noise of the pose in metres, at most.
	Sigma float64
	// Contour is the robot's outline.
	Contour oracle.Contour
}

// commandPeriod is the planner's; a burst of lost commands lasts as many of them.
const commandPeriod = 20 * time.Millisecond

// Approach is a robot that drives at a zone, and would drive into it if nobody stopped it.
type Approach struct {
	// Seed drew all the rest.
	Seed uint64
	// Kind says what stands before the robot, such as "wall" or "pillar".
	Kind string
	// Zone is to be kept out of. Its corners are whole millimetres.
	Zone oracle.Zone
	// Plant is the robot, Drive its planner.
	Plant plant.Config
	Drive driver.Drive
	// SpeedMPS is the commanded speed over ground; ClearM the way to the zone at the start in metres.
	SpeedMPS, ClearM float64
	// Duration is how long the run should last: long enough to get there and to come to rest.
	Duration time.Duration
}

// String says in one line what was drawn.
func (a Approach) String() string {
	p := a.Plant
	return fmt.Sprintf("seed %d: %s at %.2f m, %.2f m/s (vx %.2f vy %.2f w %.2f), decel %.2f, dead %v, lag %v, step %v, loss %.3f x %d, odom %.0f Hz ± %v",
		a.Seed, a.Kind, a.ClearM, a.SpeedMPS, a.Drive.VX, a.Drive.VY, a.Drive.W, p.Decel, p.DeadTime, p.Lag, p.StepPeriod,
		p.LossProbability, p.LossLength, p.OdomHz, p.OdomJitter)
}

// draw is a source of chance with the shapes that are needed here.
type draw struct{ *rand.Rand }

func newDraw(seed uint64) draw { return draw{rand.New(rand.NewPCG(seed, 0x726f626f74))} }

func (d draw) between(lo, hi float64) float64 { return lo + (hi-lo)*d.Float64() }

func (d draw) span(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(d.Float64()*float64(hi-lo))
}

func (d draw) chance(p float64) bool { return d.Float64() < p }

// robot draws a body within the promise.
func (d draw) robot(p Promise) plant.Config {
	c := plant.Config{Seed: d.Uint64()>>1 | 1}
	c.Decel = d.between(p.Decel, 2*p.Decel)
	c.Accel = d.between(0.5, 2)
	c.StopDecel = d.between(p.Decel, 2*p.Decel)
	// The promised delay is shared out among dead time, gait, lag and lost commands; not all of it is used up.
	left := p.Actuation - 2*time.Millisecond
	if d.chance(0.4) {
		c.LossLength = 1 + d.IntN(2)
		c.LossProbability = d.between(0.002, 0.05)
		left -= time.Duration(c.LossLength) * commandPeriod
	}
	if left > 60*time.Millisecond && d.chance(0.4) {
		c.StepPeriod = d.span(20*time.Millisecond, left/2)
		left -= c.StepPeriod
	}
	left = max(left, 10*time.Millisecond)
	c.DeadTime = d.span(time.Millisecond, left/2)
	c.Lag = d.span(time.Millisecond, left-c.DeadTime)
	c.OdomHz = d.between(30, 100)
	c.OdomJitter = d.span(0, time.Duration(0.4/c.OdomHz*float64(time.Second)))
	c.PoseSigma = d.between(p.Sigma/10, p.Sigma)
	c.CommandTimeout = d.span(300*time.Millisecond, time.Second)
	return c
}

// DrawApproach draws an approach. The same seed and promise give the same approach.
func DrawApproach(seed uint64, p Promise) Approach {
	d := newDraw(seed)
	a := Approach{Seed: seed, Plant: d.robot(p), SpeedMPS: d.between(0.2, p.MaxSpeed)}
	// In a world where the robot stands at the origin and moves along x, it is as long and as wide as its outline
	// reaches; then everything is turned and moved to another place.
	facing := d.facing()
	reach := p.Contour.Radius()
	need := oracle.Stopping{SpeedMPS: a.SpeedMPS, DecelMPS2: p.Decel, Actuate: p.Actuation + 200*time.Millisecond}.Required()
	a.ClearM = need + a.SpeedMPS*a.SpeedMPS/(2*a.Plant.Accel) + d.between(0.5, 1.5)
	var ring oracle.Ring
	ring, a.Kind = d.obstacle(reach + a.ClearM)
	heading, x, y := d.between(-math.Pi, math.Pi), d.between(-20, 20), d.between(-20, 20)
	a.Zone = oracle.Zone{ID: strings.ReplaceAll(a.Kind, " ", "-"), Outer: millimetres(turned(ring, heading, x, y))}
	a.Plant.X, a.Plant.Y, a.Plant.Yaw = x, y, math.Remainder(heading+facing, 2*math.Pi)
	a.Drive.VX, a.Drive.VY = a.SpeedMPS*math.Cos(facing), -a.SpeedMPS*math.Sin(facing)
	if math.Abs(a.Drive.VY) < 1e-9 {
		a.Drive.VY = 0
	}
	a.Duration = time.Duration((a.ClearM+2)/a.SpeedMPS*float64(time.Second)) + a.Plant.StopTime(a.SpeedMPS) + 3*time.Second
	return a
}

// facing is the angle from the direction of motion to where the robot looks: mostly ahead.
func (d draw) facing() float64 {
	switch d.IntN(10) {
	case 0:
		return math.Pi / 2
	case 1:
		return math.Pi
	case 2:
		return d.between(-math.Pi, math.Pi)
	}
	return 0
}

// obstacle is a ring that a robot on its way along x meets at the given distance.
func (d draw) obstacle(at float64) (oracle.Ring, string) {
	switch d.IntN(5) {
	case 0: // narrower than the robot, and not in its middle
		w, off := d.between(0.05, 0.3), d.between(-0.1, 0.1)
		return oracle.Ring{{X: at, Y: off - w/2}, {X: at + w, Y: off - w/2}, {X: at + w, Y: off + w/2}, {X: at, Y: off + w/2}}, "pillar"
	case 1: // a corner that points at the robot
		half := d.between(0.3, 1.2)
		return oracle.Ring{{X: at, Y: d.between(-0.1, 0.1)}, {X: at + 3, Y: -3 * math.Tan(half)}, {X: at + 3, Y: 3 * math.Tan(half)}}, "corner"
	case 2: // the robot drives into a bay with a wall at its end and more at its sides
		w := d.between(1.6, 3)
		return oracle.Ring{
			{X: at, Y: -w},
			{X: at - 1.5, Y: -w},
			{X: at - 1.5, Y: -w - 1},
			{X: at + 1, Y: -w - 1},
			{X: at + 1, Y: w + 1},
			{X: at - 1.5, Y: w + 1},
			{X: at - 1.5, Y: w},
			{X: at, Y: w},
		}, "bay"
	}
	// A wall, met at an angle.
	slope := math.Tan(d.between(-0.9, 0.9))
	edge := func(y float64) float64 { return at + y*slope }
	return oracle.Ring{{X: edge(-6), Y: -6}, {X: edge(-6) + 3, Y: -6}, {X: edge(6) + 3, Y: 6}, {X: edge(6), Y: 6}}, "wall"
}

// turned turns a ring about the origin and then moves it.
func turned(r oracle.Ring, angle, x, y float64) oracle.Ring {
	return oracle.Contour{r}.At(x, y, angle)[0]
}

// millimetres rounds corners, so that a zone written with three decimals is the same zone.
func millimetres(r oracle.Ring) oracle.Ring {
	out := make(oracle.Ring, len(r))
	for i, p := range r {
		out[i] = oracle.Point{X: math.Round(p.X*1000) / 1000, Y: math.Round(p.Y*1000) / 1000}
	}
	return out
}
