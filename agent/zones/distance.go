package zones

import (
	"math"

	"github.com/robowarden/robowarden/agent/config"
)

// Distance is how far a contour in the base frame, at a pose in metres and radians, is from a zone, 0 if they touch. It is
// for telling people about what is far away; near zones are the geofence's to measure.
func Distance(z *config.Zone, contour []config.Point, x, y, yaw float64) float64 {
	sin, cos := math.Sincos(yaw)
	ring := make([]config.Point, len(contour))
	for i, p := range contour {
		ring[i] = config.Point{X: x + p.X*cos - p.Y*sin, Y: y + p.X*sin + p.Y*cos}
	}
	body, zone := newShape([][]config.Point{ring}), shapeOf(z)
	if !body.apart(&zone) {
		return 0
	}
	best := math.Inf(1)
	for _, p := range ring {
		best = min(best, zone.signed(p.X, p.Y))
	}
	zone.sides(func(a, _ config.Point) bool {
		best = min(best, body.signed(a.X, a.Y))
		return true
	})
	return max(best, 0)
}
