package geofence

import "math"

// Sines and cosines of our own: math.Sin and math.Cos may differ between
// architectures, and the same command must get the same answer everywhere.
// Every product is rounded explicitly, so that no compiler fuses it into a sum.

// π/2 in two parts: piHalfHi has 20 zero bits at its end, so that its product
// with a quadrant count below 2^20 is exact.
const (
	piHalfHi  = 1.57079632673412561417e+00
	piHalfLo  = 6.07710050650619224932e-11
	twoOverPi = 6.36619772367581382433e-01
	// maxAngle bounds the arguments that sincos reduces with full accuracy.
	maxAngle = 1 << 16
)

// sincos returns the sine and cosine of x in radians, |x| <= maxAngle, with an
// error below 1e-15; beyond, it returns NaN, which callers treat as a failure.
func sincos(x float64) (sin, cos float64) {
	if !(math.Abs(x) <= maxAngle) {
		return math.NaN(), math.NaN()
	}
	n := math.RoundToEven(float64(x * twoOverPi))
	r := x - float64(n*piHalfHi)
	r -= float64(n * piHalfLo)
	s, c := kernelSin(r), kernelCos(r)
	switch int64(n) & 3 {
	case 0:
		return s, c
	case 1:
		return c, -s
	case 2:
		return -s, -c
	}
	return -c, s
}

// kernelSin is the sine for |r| <= π/4, by its Taylor polynomial to r^17, whose
// remainder there is below 1e-18.
func kernelSin(r float64) float64 {
	z := float64(r * r)
	p := 1.0 / 355687428096000
	p = -1.0/1307674368000 + float64(z*p)
	p = 1.0/6227020800 + float64(z*p)
	p = -1.0/39916800 + float64(z*p)
	p = 1.0/362880 + float64(z*p)
	p = -1.0/5040 + float64(z*p)
	p = 1.0/120 + float64(z*p)
	p = -1.0/6 + float64(z*p)
	return r + float64(float64(r*z)*p)
}

// kernelCos is the cosine for |r| <= π/4, by its Taylor polynomial to r^18.
func kernelCos(r float64) float64 {
	z := float64(r * r)
	p := -1.0 / 6402373705728000
	p = 1.0/20922789888000 + float64(z*p)
	p = -1.0/87178291200 + float64(z*p)
	p = 1.0/479001600 + float64(z*p)
	p = -1.0/3628800 + float64(z*p)
	p = 1.0/40320 + float64(z*p)
	p = -1.0/720 + float64(z*p)
	p = 1.0/24 + float64(z*p)
	p = -0.5 + float64(z*p)
	return 1 + float64(z*p)
}

// frame is a planar pose: a position in millimetres and the heading's cosine and sine.
type frame struct{ x, y, c, s float64 }

// apply takes a point in the frame to the map.
func (p frame) apply(x, y float64) (float64, float64) {
	return p.x + float64(p.c*x) - float64(p.s*y), p.y + float64(p.s*x) + float64(p.c*y)
}

// invert takes a point in the map to the frame.
func (p frame) invert(x, y float64) (float64, float64) {
	dx, dy := x-p.x, y-p.y
	return float64(p.c*dx) + float64(p.s*dy), float64(p.c*dy) - float64(p.s*dx)
}

// twist is a Velocity in millimetres per second and radians per second.
type twist struct{ vx, vy, w float64 }

func (v Velocity) twist() twist {
	return twist{float64(v.VX * 1000), float64(v.VY * 1000), v.YawRate}
}

func (u twist) scale(k float64) twist {
	return twist{float64(u.vx * k), float64(u.vy * k), float64(u.w * k)}
}

func (u twist) speed() float64 { return length(u.vx, u.vy) }

func (u twist) finite() bool { return finite(u.vx) && finite(u.vy) && finite(u.w) }

// advance moves the frame along the constant twist u for t seconds: an arc of
// a circle, or a straight line where u does not turn.
func (p frame) advance(u twist, t float64) frame {
	phi := float64(u.w * t)
	if math.Abs(phi) > maxAngle {
		return frame{math.NaN(), math.NaN(), p.c, p.s}
	}
	sin, cos := sincos(phi)
	// along and across are ∫cos and ∫sin of the heading over t. The quotients
	// cancel badly at small angles, where two terms of the series are exact enough.
	var along, across float64
	if math.Abs(phi) < 1e-4 {
		along = float64(t * (1 - float64(phi*phi)/6))
		across = float64(t*phi) / 2
	} else {
		along = sin / u.w
		across = (1 - cos) / u.w
	}
	bx := float64(u.vx*along) - float64(u.vy*across)
	by := float64(u.vx*across) + float64(u.vy*along)
	x, y := p.apply(bx, by)
	return frame{x, y, float64(p.c*cos) - float64(p.s*sin), float64(p.s*cos) + float64(p.c*sin)}
}

// length is the Euclidean norm. math.Hypot differs between architectures; the
// numbers here are far from overflow.
func length(x, y float64) float64 { return math.Sqrt(float64(x*x) + float64(y*y)) }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
