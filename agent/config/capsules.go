package config

import (
	"math"

	"github.com/robowarden/robowarden/agent/config/internal/urdf"
	"github.com/robowarden/robowarden/geofence"
)

// capsuleOf returns the capsule around a simple shape, and its excess: the greatest distance in metres of a point of the
// capsule from the shape. It is the least that a capsule along the longest edge can have.
//
// A capsule of radius R whose segment ends x before the shape's end must reach the rim: R² = d² + x², d the distance of the
// rim from the axis. It stands out by R − n at the narrowest side, n being half of it, and by R − x at the ends; the
// greater of the two is least at x = n. With d² = b² + c² and n = c for a box of half edges a ≥ b ≥ c, and d = n = r for a
// cylinder that is longer than wide. What is shorter gets a ball.
func capsuleOf(c *urdf.Collision) (p geofence.PartSpec, excess float64) {
	p.Origin = geofence.Origin{XYZ: c.Origin.XYZ, RPY: c.Origin.RPY}
	axis, long, rim, narrow := 2, c.Length/2, c.Radius, c.Radius
	switch c.Shape {
	case urdf.Sphere:
		p.RadiusM = c.Radius
		return p, 0
	case urdf.Box:
		for i, v := range c.Size {
			if v > c.Size[axis] {
				axis = i
			}
		}
		h := [3]float64{c.Size[0] / 2, c.Size[1] / 2, c.Size[2] / 2}
		b, d := h[(axis+1)%3], h[(axis+2)%3]
		long, rim, narrow = h[axis], math.Sqrt(b*b+d*d), min(b, d)
	case urdf.Cylinder, urdf.Mesh:
	}
	x := min(narrow, long)
	p.RadiusM = math.Sqrt(rim*rim+x*x) + capsuleSlackM
	p.From[axis], p.To[axis] = x-long, long-x
	return p, p.RadiusM - min(narrow, x)
}

// capsuleSlackM covers rounding: a corner that is on the capsule's surface is in it.
const capsuleSlackM = 1e-9
