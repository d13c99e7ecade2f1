package zones

import "math"

// The WGS 84 ellipsoid: semi-major axis in metres and flattening, defining parameters in NGA.STND.0036 (World Geodetic
// System 1984, version 1.0.0, 2014), table 3.1.
const (
	wgs84A = 6378137.0
	wgs84F = 1 / 298.257223563
)

// Datum is where on the Earth a floor's map frame lies, by WGS 84.
type Datum struct {
	// LatDeg and LonDeg are the geodetic latitude and longitude of the map frame's origin, in degrees, north and east.
	LatDeg, LonDeg float64
	// AltM is the origin's height above the ellipsoid in metres. Positions without a height are taken to have this one.
	AltM float64
	// HeadingDeg is the bearing of the map's y axis, in degrees clockwise from true north: 0 is a map with x to the east
	// and y to the north.
	HeadingDeg float64
}

// vec3 is a vector in an earth-centred, earth-fixed or a local frame, in metres.
type vec3 struct{ x, y, z float64 }

// ecef converts geodetic coordinates to the earth-centred, earth-fixed frame, in metres (NGA.STND.0036, section 4.2: the
// prime vertical's radius N, then X, Y, Z). Angles are in radians.
func ecef(lat, lon, alt float64) vec3 {
	const e2 = wgs84F * (2 - wgs84F)
	sinLat, cosLat := math.Sincos(lat)
	sinLon, cosLon := math.Sincos(lon)
	n := wgs84A / math.Sqrt(1-e2*sinLat*sinLat)
	return vec3{(n + alt) * cosLat * cosLon, (n + alt) * cosLat * sinLon, (n*(1-e2) + alt) * sinLat}
}

// projector turns WGS 84 positions into a map frame. It is the full rotation into the plane that touches the ellipsoid at
// the datum, so that it holds at any latitude; beyond the plane's height the result is cut off, which shortens a level
// distance of 10 km by about 4 mm.
type projector struct {
	origin                                           vec3
	sinLat, cosLat, sinLon, cosLon, sinHead, cosHead float64
	alt                                              float64
}

const degree = math.Pi / 180

func newProjector(d Datum) *projector {
	p := &projector{origin: ecef(d.LatDeg*degree, d.LonDeg*degree, d.AltM), alt: d.AltM}
	p.sinLat, p.cosLat = math.Sincos(d.LatDeg * degree)
	p.sinLon, p.cosLon = math.Sincos(d.LonDeg * degree)
	p.sinHead, p.cosHead = math.Sincos(d.HeadingDeg * degree)
	return p
}

// enu returns a position east, north and up of the datum, in metres.
func (p *projector) enu(latDeg, lonDeg, alt float64) vec3 {
	e := ecef(latDeg*degree, lonDeg*degree, alt)
	dx, dy, dz := e.x-p.origin.x, e.y-p.origin.y, e.z-p.origin.z
	out := p.cosLon*dx + p.sinLon*dy // away from the Earth's axis
	return vec3{
		x: -p.sinLon*dx + p.cosLon*dy,
		y: -p.sinLat*out + p.cosLat*dz,
		z: p.cosLat*out + p.sinLat*dz,
	}
}

// project returns x and y in the map frame, in metres.
func (p *projector) project(latDeg, lonDeg, alt float64) (x, y float64) {
	v := p.enu(latDeg, lonDeg, alt)
	return v.x*p.cosHead - v.y*p.sinHead, v.x*p.sinHead + v.y*p.cosHead
}

// valid says what is wrong with a datum, "" if nothing is.
func (d Datum) valid() string {
	for _, v := range []float64{d.LatDeg, d.LonDeg, d.AltM, d.HeadingDeg} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "a value that is not finite"
		}
	}
	switch {
	case math.Abs(d.LatDeg) > 90:
		return "the latitude " + number(d.LatDeg)
	case math.Abs(d.LonDeg) > 180:
		return "the longitude " + number(d.LonDeg)
	case math.Abs(d.AltM) > 10_000:
		return "the altitude " + number(d.AltM)
	case math.Abs(d.HeadingDeg) > 360:
		return "the heading " + number(d.HeadingDeg)
	}
	return ""
}
