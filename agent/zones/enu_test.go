package zones

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// geodetic is the oracle: it goes the other way, from earth-centred coordinates to latitude, longitude and height, by
// iterating over the height (Bowring's problem, solved by plain substitution).
func geodetic(v vec3) (lat, lon, alt float64) {
	e2 := 1 - (1-wgs84F)*(1-wgs84F)
	p := math.Hypot(v.x, v.y)
	lon = math.Atan2(v.y, v.x)
	lat = math.Atan2(v.z, p*(1-e2))
	for range 50 {
		n := wgs84A / math.Sqrt(1-e2*math.Pow(math.Sin(lat), 2))
		alt = p*math.Cos(lat) + v.z*math.Sin(lat) - wgs84A*wgs84A/n
		lat = math.Atan2(v.z, p*(1-e2*n/(n+alt)))
	}
	return lat, lon, alt
}

func TestENUAgainstTheWayBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Datum{
			LatDeg: rapid.Float64Range(-90, 90).Draw(t, "lat"), LonDeg: rapid.Float64Range(-180, 180).Draw(t, "lon"),
			AltM: rapid.Float64Range(-400, 5000).Draw(t, "alt"),
		}
		p := newProjector(d)
		east, north, up := rapid.Float64Range(-9000, 9000).Draw(t, "east"), rapid.Float64Range(-9000, 9000).Draw(t, "north"), rapid.Float64Range(-50, 50).Draw(t, "up")
		// Where the point is, in earth-centred coordinates, by the axes of the tangent plane written out.
		lat, lon := d.LatDeg*degree, d.LonDeg*degree
		axis := [3]vec3{
			{-math.Sin(lon), math.Cos(lon), 0},
			{-math.Sin(lat) * math.Cos(lon), -math.Sin(lat) * math.Sin(lon), math.Cos(lat)},
			{math.Cos(lat) * math.Cos(lon), math.Cos(lat) * math.Sin(lon), math.Sin(lat)},
		}
		at := ecef(lat, lon, d.AltM)
		for i, s := range [3]float64{east, north, up} {
			at.x, at.y, at.z = at.x+s*axis[i].x, at.y+s*axis[i].y, at.z+s*axis[i].z
		}
		blat, blon, balt := geodetic(at)
		got := p.enu(blat/degree, blon/degree, balt)
		if e := math.Hypot(math.Hypot(got.x-east, got.y-north), got.z-up); e > 1e-5 {
			t.Fatalf("(%v, %v, %v) came back as %+v, %v m away", east, north, up, got, e)
		}
	})
}

// TestENUAgainstArcs compares with the lengths of small arcs by the radii of curvature of the meridian and of the prime
// vertical, a second formula that shares nothing with the first but the ellipsoid.
func TestENUAgainstArcs(t *testing.T) {
	const e2 = 6.69437999014e-3 // first eccentricity squared, NGA.STND.0036, table 3.5
	for _, lat := range []float64{-89, -45, 0, 10, 52.5, 71, 89} {
		s := math.Sin(lat * degree)
		w := math.Sqrt(1 - e2*s*s)
		meridian, prime := wgs84A*(1-e2)/(w*w*w), wgs84A/w
		p := newProjector(Datum{LatDeg: lat, LonDeg: 13.4})
		const step = 1e-4 // degrees, about 11 m
		north := p.enu(lat+step, 13.4, 0)
		east := p.enu(lat, 13.4+step, 0)
		if want := meridian * step * degree; math.Abs(north.y-want) > 1e-4 || math.Abs(north.x) > 1e-6 {
			t.Errorf("latitude %v: %v m north, expected %v", lat, north, want)
		}
		if want := prime * math.Cos(lat*degree) * step * degree; math.Abs(east.x-want) > 1e-4 {
			t.Errorf("latitude %v: %v m east, expected %v", lat, east, want)
		}
	}
}

func TestECEFAtKnownPlaces(t *testing.T) {
	const b = 6356752.3142 // semi-minor axis in metres, NGA.STND.0036, table 3.5
	for _, c := range []struct {
		lat, lon, alt float64
		want          vec3
	}{
		{0, 0, 0, vec3{wgs84A, 0, 0}},
		{0, 90, 10, vec3{0, wgs84A + 10, 0}},
		{90, 0, 5, vec3{0, 0, b + 5}},
		{-90, 77, 0, vec3{0, 0, -b}},
		{0, 180, 0, vec3{-wgs84A, 0, 0}},
	} {
		got := ecef(c.lat*degree, c.lon*degree, c.alt)
		if math.Abs(got.x-c.want.x)+math.Abs(got.y-c.want.y)+math.Abs(got.z-c.want.z) > 1e-4 {
			t.Errorf("(%v, %v, %v): %+v, expected %+v", c.lat, c.lon, c.alt, got, c.want)
		}
	}
}

// TestHeading turns the map: with its y axis to the east, east is y and south is x.
func TestHeading(t *testing.T) {
	p := newProjector(Datum{LatDeg: 50, LonDeg: 8, HeadingDeg: 90})
	e := newProjector(Datum{LatDeg: 50, LonDeg: 8}).enu(50.0001, 8.0002, 0)
	if x, y := p.project(50.0001, 8.0002, 0); math.Abs(x+e.y) > 1e-9 || math.Abs(y-e.x) > 1e-9 {
		t.Errorf("(%v, %v), expected (%v, %v)", x, y, -e.y, e.x)
	}
}
