package sim

import (
	"fmt"
	"math"
)

// Body is the robot's shape on the ground, in metres, x forward, y left, origin under the torso (frame base_link).
type Body struct {
	// TorsoX and TorsoY are half the depth and half the width of torso and shoulders.
	TorsoX, TorsoY float64
	// HipY is half the distance of the feet, FootFront and FootBack reach from the ankle, FootRadius widens it.
	HipY, FootFront, FootBack, FootRadius float64
	// ShoulderY is half the distance of the shoulders, UpperArm and Forearm (with the hand) are lengths.
	ShoulderY, UpperArm, Forearm, ArmRadius float64
	// TrayNear, TrayFar and TrayY span a carried tray: x from near to far, y within ± TrayY.
	TrayNear, TrayFar, TrayY float64
	// Leg is the length of a straight leg.
	Leg float64
}

// DefaultBody is the demonstration's humanoid. With arms, tray and swinging feet it stays within the footprint that its
// robot profile states: 0.45 m ahead, 0.28 m behind and 0.34 m to either side.
func DefaultBody() Body {
	return Body{
		TorsoX: 0.12, TorsoY: 0.22, HipY: 0.12, FootFront: 0.12, FootBack: 0.05, FootRadius: 0.03,
		ShoulderY: 0.21, UpperArm: 0.16, Forearm: 0.22, ArmRadius: 0.045,
		TrayNear: 0.12, TrayFar: 0.42, TrayY: 0.21, Leg: 0.65,
	}
}

func (b *Body) check() error {
	for _, v := range []float64{
		b.TorsoX, b.TorsoY, b.HipY, b.FootFront, b.FootBack, b.FootRadius, b.ShoulderY, b.UpperArm, b.Forearm,
		b.ArmRadius, b.TrayNear, b.TrayFar, b.TrayY, b.Leg,
	} {
		if !finite(v) || v <= 0 {
			return fmt.Errorf("sim: body: %+v: expected every measure finite and above 0", *b)
		}
	}
	return nil
}

// Contour is every part of the true body in frame map: torso, feet, arms and, if carried, the tray.
func (w *World) Contour() []Part {
	b := &w.opts.Body
	q := w.angles(w.state.phase)
	parts := append(make([]Part, 0, 8),
		Part{"torso", hull([]Point{{b.TorsoX, b.TorsoY}, {b.TorsoX, -b.TorsoY}, {-b.TorsoX, b.TorsoY}, {-b.TorsoX, -b.TorsoY}}), 0},
		foot(b, "left_foot", q, jointLeftHip), foot(b, "right_foot", q, jointRightHip),
		arm(b, "left_arm", q, jointLeftShoulder, 1), arm(b, "right_arm", q, jointRightShoulder, -1),
	)
	if w.state.loaded {
		parts = append(parts, Part{
			"tray", []Point{{b.TrayNear, -b.TrayY}, {b.TrayFar, -b.TrayY}, {b.TrayFar, b.TrayY}, {b.TrayNear, b.TrayY}}, 0,
		})
	}
	x, y := w.state.torso(&w.opts.Plant)
	sin, cos := math.Sincos(w.state.yaw)
	for _, p := range parts {
		for i, c := range p.Points {
			p.Points[i] = Point{x + c.X*cos - c.Y*sin, y + c.X*sin + c.Y*cos}
		}
	}
	return parts
}

// foot is where the leg's joints put it: hip and knee in the plane of walking.
func foot(b *Body, name string, q *[Joints]float64, hip int) Part {
	thigh, shank := -q[hip], -q[hip]-q[hip+3]
	x := b.Leg / 2 * (math.Sin(thigh) + math.Sin(shank))
	y := b.HipY
	if hip == jointRightHip {
		y = -y
	}
	return Part{name, []Point{{x - b.FootBack, y}, {x + b.FootFront, y}}, b.FootRadius}
}

// arm is shoulder, elbow and hand seen from above, as a hull of three points.
func arm(b *Body, name string, q *[Joints]float64, shoulder int, side float64) Part {
	lift, roll := -q[shoulder], math.Abs(q[shoulder+1])
	y := side * b.ShoulderY
	ex := b.UpperArm * math.Sin(lift)
	ey := y + side*b.UpperArm*math.Sin(roll)*math.Cos(lift)
	fore := lift + q[shoulder+3]
	hx := ex + b.Forearm*math.Sin(fore)
	hy := ey + side*b.Forearm*math.Sin(roll)*math.Abs(math.Cos(fore))
	return Part{name, hull([]Point{{0, y}, {ex, ey}, {hx, hy}}), b.ArmRadius}
}
