package scenario

import (
	"fmt"
	"math"
	"time"

	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// DriveBy is a robot that passes a zone with room to spare, and should not be slowed.
type DriveBy struct {
	// Seed drew all the rest.
	Seed uint64
	// Zone is passed at GapM, the smallest distance to the contour on the way, in metres.
	Zone oracle.Zone
	GapM float64
	// Plant is the robot, Drive its planner, SpeedMPS the speed.
	Plant    plant.Config
	Drive    driver.Drive
	SpeedMPS float64
	// CruiseAfter is when the robot has its speed, Duration when the zone lies behind it.
	CruiseAfter, Duration time.Duration
}

// String says in one line what was drawn.
func (b DriveBy) String() string {
	return fmt.Sprintf("seed %d: past at %.2f m, %.2f m/s", b.Seed, b.GapM, b.SpeedMPS)
}

// DrawDriveBy draws a straight way past the flat side of a zone. room gives the distance that a speed needs; the zone
// lies between that and half a metre more away.
func DrawDriveBy(seed uint64, p Promise, room func(speed float64) float64) DriveBy {
	d := newDraw(seed)
	b := DriveBy{Seed: seed, Plant: d.robot(p), SpeedMPS: d.between(0.3, p.MaxSpeed)}
	// Lost commands slow nobody down by themselves, but a base that times out would: that is not what is asked here.
	b.Plant.LossProbability, b.Plant.LossLength = 0, 0
	side := 1.0
	if d.chance(0.5) {
		side = -1
	}
	b.GapM = room(b.SpeedMPS) + d.between(0.02, 0.5)
	half := sideways(p.Contour, side)
	runUp := b.SpeedMPS*b.SpeedMPS/(2*b.Plant.Accel) + 1
	length := d.between(0.5, 4)
	near, far := side*(half+b.GapM), side*(half+b.GapM+2)
	ring := oracle.Ring{{X: runUp, Y: near}, {X: runUp + length, Y: near}, {X: runUp + length, Y: far}, {X: runUp, Y: far}}
	heading, x, y := d.between(-math.Pi, math.Pi), d.between(-20, 20), d.between(-20, 20)
	b.Zone = oracle.Zone{ID: "beside", Outer: millimetres(turned(ring, heading, x, y))}
	b.Plant.X, b.Plant.Y, b.Plant.Yaw = x, y, heading
	b.Drive.VX = b.SpeedMPS
	b.CruiseAfter = seconds(b.SpeedMPS/b.Plant.Accel) + b.Plant.Actuation() + 10*b.Plant.Lag
	b.Duration = b.CruiseAfter + seconds((runUp+length+1)/b.SpeedMPS)
	return b
}

// sideways is how far the contour reaches to one side.
func sideways(c oracle.Contour, side float64) float64 {
	far := 0.0
	for _, r := range c {
		for _, p := range r {
			far = max(far, side*p.Y)
		}
	}
	return far
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
