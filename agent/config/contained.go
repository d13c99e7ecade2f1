package config

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/robowarden/robowarden/agent/config/internal/urdf"
)

// triangle is three corners; a shape's other pieces repeat some.
type triangle [3][3]float64

// insideToleranceM is how far a corner may stand out of a capsule: what printed decimals lose.
const insideToleranceM = 0.0005

// rimCorners approximates a cylinder's rim from outside.
const rimCorners = 32

// contained holds the capsules that the profile gives against the shapes of the URDF: each piece must lie in one of them,
// which is convex, so that its corners say enough.
func (b *bodyBuilder) contained(k *Kinematics) {
	for i := range b.m.Links {
		link := &b.m.Links[i]
		var capsules []LinkCapsule
		for _, c := range k.Capsules {
			if c.Link == link.Name {
				capsules = append(capsules, c)
			}
		}
		if len(capsules) == 0 {
			continue
		}
		for n := range link.Collisions {
			c := &link.Collisions[n]
			pieces, pad := hull(c), 0.0
			switch {
			case c.Shape == urdf.Sphere:
				pad = c.Radius
			case c.Shape == urdf.Mesh && k.Meshes == "":
				continue
			case c.Shape == urdf.Mesh:
				var err error
				file := filepath.Join(filepath.Dir(b.d.file), k.Meshes, filepath.Base(strings.ReplaceAll(c.File, `\`, "/")))
				if pieces, err = readSTL(file, c.Size); err != nil {
					b.d.wrong(at("kinematics", "meshes"), ruleCapsule, "the STL file of each link with capsules", err.Error(), "put it there, or leave meshes out")
					continue
				}
			}
			if out := farthestOut(capsules, c, pieces) + pad; out > insideToleranceM {
				b.d.wrong(at("kinematics", "capsules"), ruleCapsule, fmt.Sprintf("capsules that contain %s (%s, line %d)", link.Name, k.URDF, c.Line),
					fmt.Sprintf("a piece of it stands out by %.1f mm", 1000*out), "make one of its capsules larger, or add one")
			}
		}
	}
}

// hull is a simple shape's corners in its own frame, in pieces that each must be in one capsule.
func hull(c *urdf.Collision) []triangle {
	var corners [][3]float64
	switch c.Shape {
	case urdf.Box:
		for i := range 8 {
			var v [3]float64
			for k := range v {
				v[k] = (float64(i>>k&1) - 0.5) * c.Size[k]
			}
			corners = append(corners, v)
		}
	case urdf.Cylinder:
		r := c.Radius / math.Cos(math.Pi/rimCorners)
		for i := range rimCorners {
			sin, cos := math.Sincos(2 * math.Pi * float64(i) / rimCorners)
			corners = append(corners, [3]float64{r * cos, r * sin, c.Length / 2}, [3]float64{r * cos, r * sin, -c.Length / 2})
		}
	case urdf.Sphere:
		corners = append(corners, [3]float64{})
	case urdf.Mesh:
	}
	var out []triangle
	for _, v := range corners {
		out = append(out, triangle{v, v, v})
	}
	return out
}

// farthestOut is how far the piece that stands out most does so of the capsule that holds it best, in metres. The pieces
// of a mesh may each be in another capsule, a simple shape must be in one.
func farthestOut(capsules []LinkCapsule, c *urdf.Collision, pieces []triangle) float64 {
	worst := math.Inf(-1)
	whole := math.Inf(1)
	for i := range capsules {
		most := math.Inf(-1)
		for _, t := range pieces {
			most = max(most, standsOut(&capsules[i], &c.Origin, &t))
		}
		whole = min(whole, most)
	}
	if c.Shape != urdf.Mesh {
		return whole
	}
	for _, t := range pieces {
		least := math.Inf(1)
		for i := range capsules {
			least = min(least, standsOut(&capsules[i], &c.Origin, &t))
		}
		worst = max(worst, least)
	}
	return worst
}

func standsOut(c *LinkCapsule, o *urdf.Origin, t *triangle) float64 {
	out := math.Inf(-1)
	for _, v := range t {
		out = max(out, segmentDistance(three(c.From), three(c.To), transform(o, v))-c.RadiusM)
	}
	return out
}

// transform takes a point from an origin's frame to the one around it. It is for checks alone; the geofence has its own.
func transform(o *urdf.Origin, v [3]float64) [3]float64 {
	for axis := range 3 {
		sin, cos := math.Sincos(o.RPY[axis])
		i, j := (axis+1)%3, (axis+2)%3
		v[i], v[j] = cos*v[i]-sin*v[j], sin*v[i]+cos*v[j]
	}
	for i := range v {
		v[i] += o.XYZ[i]
	}
	return v
}

func segmentDistance(a, b, p [3]float64) float64 {
	var dd, dv float64
	for i := range 3 {
		dd += (b[i] - a[i]) * (b[i] - a[i])
		dv += (b[i] - a[i]) * (p[i] - a[i])
	}
	t := 0.0
	if dd > 0 {
		t = max(0, min(1, dv/dd))
	}
	sum := 0.0
	for i := range 3 {
		e := p[i] - a[i] - t*(b[i]-a[i])
		sum += e * e
	}
	return math.Sqrt(sum)
}

// maxSTL is the largest mesh file in bytes.
const maxSTL = 64 << 20

// readSTL reads the triangles of an STL file, binary or text, with a scale.
func readSTL(file string, scale [3]float64) ([]triangle, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSTL {
		return nil, fmt.Errorf("%s: expected a regular file of at most %d bytes", file, maxSTL)
	}
	data, err := os.ReadFile(file) //nolint:gosec // the profile names the folder
	if err != nil {
		return nil, err
	}
	out, err := parseSTL(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for i := range out {
		for k := range out[i] {
			for a := range 3 {
				out[i][k][a] *= scale[a]
			}
		}
	}
	return out, nil
}

// parseSTL reads both kinds: a binary one has 80 bytes, a count, and 50 bytes for each triangle.
func parseSTL(data []byte) ([]triangle, error) {
	if len(data) >= 84 {
		if n := binary.LittleEndian.Uint32(data[80:]); uint64(len(data)) == 84+50*uint64(n) && n > 0 {
			return binarySTL(data[84:])
		}
	}
	if !strings.HasPrefix(string(data[:min(len(data), 64)]), "solid") {
		return nil, fmt.Errorf("expected an STL file, found %d bytes that are neither kind", len(data))
	}
	return textSTL(string(data))
}

func binarySTL(data []byte) ([]triangle, error) {
	out := make([]triangle, len(data)/50)
	for i := range out {
		for k := range 9 {
			v := float64(math.Float32frombits(binary.LittleEndian.Uint32(data[50*i+12+4*k:])))
			if math.IsNaN(v) || math.Abs(v) > 1e6 {
				return nil, fmt.Errorf("triangle %d has the coordinate %v", i, v)
			}
			out[i][k/3][k%3] = v
		}
	}
	return out, nil
}

func textSTL(text string) ([]triangle, error) {
	var out []triangle
	var t triangle
	n := 0
	words := strings.Fields(text)
	for i := range words {
		if words[i] != "vertex" {
			continue
		}
		if i+3 >= len(words) {
			return nil, fmt.Errorf("a vertex has no three numbers")
		}
		for k := range 3 {
			v, err := strconv.ParseFloat(words[i+1+k], 64)
			if err != nil || math.IsNaN(v) || math.Abs(v) > 1e6 {
				return nil, fmt.Errorf("vertex %d has the coordinate %q", n, shorten(words[i+1+k]))
			}
			t[n%3][k] = v
		}
		if n++; n%3 == 0 {
			out = append(out, t)
		}
	}
	if n == 0 || n%3 != 0 {
		return nil, fmt.Errorf("expected three vertices for each triangle, found %d", n)
	}
	return out, nil
}
