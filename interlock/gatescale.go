package interlock

import "math"

// scale returns v by the largest one ratio under which neither the geofence's ratio nor the speed limit is exceeded.
// Speed is that of the base, or of the contour in a turn on the spot, whichever is larger.
func (g *Gate) scale(v Velocity, fence, limit float64) (Velocity, float64, GateReason) {
	ratio, reason := 1.0, GatePassed
	if !(fence >= 1) {
		ratio, reason = fence, GateScaledByRatio
		if !(fence > 0) {
			ratio = 0
		}
	}
	if speed := g.speed(v); speed > limit {
		if r := limit / speed; r < ratio {
			ratio, reason = r, GateScaledBySpeed
		}
	}
	out := times(v, ratio)
	// Rounding can leave the result above the limit by its last bit.
	for range 8 {
		if g.speed(out) <= limit {
			return out, ratio, reason
		}
		ratio = float64(ratio * (1 - 0x1p-52))
		out = times(v, ratio)
	}
	return Velocity{}, 0, GateScaledBySpeed
}

func (g *Gate) speed(v Velocity) float64 {
	return max(norm(v.Linear), float64(norm(v.Angular)*g.cfg.RadiusM))
}

// norm returns the length of v, without the overflow and underflow of a plain sum of squares.
func norm(v [3]float64) float64 {
	m := max(math.Abs(v[0]), math.Abs(v[1]), math.Abs(v[2]))
	if m == 0 || math.IsInf(m, 1) {
		return m
	}
	x, y, z := v[0]/m, v[1]/m, v[2]/m
	return float64(m * math.Sqrt(float64(float64(x*x)+float64(y*y))+float64(z*z)))
}

// times scales v. Results below the smallest normal number become 0, as does -0.
func times(v Velocity, ratio float64) Velocity {
	one := func(x float64) float64 {
		if x = float64(x * ratio); math.Abs(x) < 0x1p-1022 {
			return 0
		}
		return x
	}
	var out Velocity
	for i := range 3 {
		out.Linear[i], out.Angular[i] = one(v.Linear[i]), one(v.Angular[i])
	}
	return out
}

func finite(v Velocity) bool {
	for i := range 3 {
		// x-x is 0 for every finite x, and NaN for the others.
		if v.Linear[i]-v.Linear[i] != 0 || v.Angular[i]-v.Angular[i] != 0 {
			return false
		}
	}
	return true
}

// smaller says whether some component of v is smaller in magnitude than that of what was sent.
func smaller(v, sent Velocity) bool {
	for i := range 3 {
		if math.Abs(v.Linear[i]) < math.Abs(sent.Linear[i]) || math.Abs(v.Angular[i]) < math.Abs(sent.Angular[i]) {
			return true
		}
	}
	return false
}
