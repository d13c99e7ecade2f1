package replay

import (
	"math"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// path keeps where the robot was in a bounded number of samples. Between two kept ones, the least margin and the highest
// speed are carried over, so thinning hides no extreme; a change of the mode or floor is always kept.
type path struct {
	list   []Sample
	kept   []bool // a sample that thinning must not drop
	open   Sample
	has    bool
	mode   interlock.Mode
	stepM  float64
	stepS  float64
	stepRd float64
}

func newPath() path { return path{stepM: 0.05, stepS: 1, stepRd: 0.2} }

// farM is how far from the origin a place can be, in metres.
const farM = geofence.MaxCoordinateMM / 1000

func (p *path) add(s Sample, mode interlock.Mode) {
	if !(math.Abs(s.X) <= farM && math.Abs(s.Y) <= farM) {
		return // NaN, infinite, or where no zone can be
	}
	s.Mode = int(mode)
	if !p.has {
		p.push(s, true)
		return
	}
	last := &p.list[len(p.list)-1]
	news := mode != p.mode || s.Floor != last.Floor
	if p.open.AtS > last.AtS {
		s.Margin = least(s.Margin, p.open.Margin)
		s.Speed, s.Need = max(s.Speed, p.open.Speed), max(s.Need, p.open.Need)
		if p.open.Limit >= 0 && (s.Limit < 0 || p.open.Limit < s.Limit) {
			s.Limit = p.open.Limit
		}
	}
	far := math.Abs(s.X-last.X)+math.Abs(s.Y-last.Y) > p.stepM || math.Abs(s.Yaw-last.Yaw) > p.stepRd || s.AtS-last.AtS > p.stepS
	if news || far {
		p.push(s, news)
		return
	}
	p.open = s
}

func least(a, b float64) float64 {
	switch {
	case a == NoMargin:
		return b
	case b == NoMargin:
		return a
	}
	return min(a, b)
}

func (p *path) push(s Sample, keep bool) {
	p.list, p.kept = append(p.list, s), append(p.kept, keep)
	p.open, p.has, p.mode = s, true, interlock.Mode(s.Mode) //nolint:gosec // it was one
	if len(p.list) >= maxSamples {
		p.thin()
	}
}

// thin drops every other sample and doubles the steps. What a dropped one saw at worst, the next takes over.
func (p *path) thin() {
	n := 0
	for i := range p.list {
		if i > 0 && i+1 < len(p.list) && i%2 == 1 && (!p.kept[i] || n > maxSamples*3/4) {
			next := &p.list[i+1]
			next.Margin = least(next.Margin, p.list[i].Margin)
			next.Speed, next.Need = max(next.Speed, p.list[i].Speed), max(next.Need, p.list[i].Need)
			continue
		}
		p.list[n], p.kept[n] = p.list[i], p.kept[i]
		n++
	}
	p.list, p.kept = p.list[:n], p.kept[:n]
	p.stepM, p.stepS, p.stepRd = 2*p.stepM, 2*p.stepS, 2*p.stepRd
}

func (p *path) all() []Sample {
	if p.has && p.open.AtS > p.list[len(p.list)-1].AtS {
		p.list, p.kept = append(p.list, p.open), append(p.kept, true)
		p.open = p.list[len(p.list)-1]
	}
	return p.list
}

// sample is the robot as a core sees it now.
func sample(at float64, core *guard.Core) Sample {
	v, s := core.Verdict(), core.Stance()
	out := Sample{AtS: at, X: s.X, Y: s.Y, Yaw: finite(s.Yaw), Floor: s.Floor, Speed: finite(s.SpeedMPS), Limit: -1, Margin: NoMargin, Need: finite(v.RequiredM)}
	if !s.Seen {
		out.X = math.NaN()
	}
	if v.SpeedLimited {
		out.Limit = v.MaxSpeedMPS
	}
	for i := range v.N {
		if z := &v.Near[i]; z.Reason != geofence.ReasonNone && closes(core.Set().Zone(z.Zone).Kind) {
			out.Margin = least(out.Margin, z.MarginM)
		}
	}
	return out
}

// closes says whether a kind of zone may be closed to the robot, so that the distance to it is a margin.
func closes(k geofence.Kind) bool {
	return k == geofence.Blocked || k == geofence.KeepIn || k == geofence.Release || k == geofence.Door
}

// inputs is what a decision was made from.
func inputs(core *guard.Core, c *CommandSeen) Inputs {
	v, s, d, set := core.Verdict(), core.Stance(), core.Decision(), core.Set()
	out := Inputs{
		X: finite(s.X), Y: finite(s.Y), YawRad: finite(s.Yaw), SpeedMPS: finite(s.SpeedMPS), PoseAgeS: finite(v.AgeS),
		MarginM: finite(v.MarginM), Required: finite(v.RequiredM), Mode: d.Mode.String(), Axes: d.Axes.String(),
	}
	if c != nil && c.Gate != "" {
		copied := *c
		out.Command = &copied
	}
	if v.Floor >= 0 {
		out.Floor = set.Floor(v.Floor)
	}
	for i := range min(v.N, 4) {
		z := &v.Near[i]
		out.Zones = append(out.Zones, NearZone{set.Zone(z.Zone).ID, placeWord(z.Place), finite(z.MarginM), finite(z.AllowedMPS), z.Reason.String()})
	}
	for i := range min(v.Parts.N, 4) {
		p := &v.Parts.Near[i]
		name := set.Part(p.Part)
		if p.View {
			name = set.Camera(p.Part)
		}
		out.Parts = append(out.Parts, PartInZone{set.Zone(p.Zone).ID, name, placeWord(p.Place), finite(p.MarginM), finite(p.NeedM)})
	}
	return out
}

func placeWord(p geofence.Place) string {
	switch p {
	case geofence.Outside:
		return "outside"
	case geofence.Margin:
		return "margin"
	case geofence.Inside:
		return "inside"
	case geofence.PlaceUnknown:
	}
	return "unknown"
}

// finite keeps JSON readable: it has no NaN and no infinity.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return -1
	}
	return v
}
