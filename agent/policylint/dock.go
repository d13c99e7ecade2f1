package policylint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/zones"
)

// cellM is the size of the cells by which a floor is searched, in metres.
const cellM = 0.25

// maxCells bounds the search on one floor.
const maxCells = 400_000

// dock looks for hours at which the robot cannot get to its dock: the zone whose id says that it is one. At each hour at
// which other zones hold, the floor is searched from the dock over all that is open then.
func (l *linter) dock() {
	if l.cfg.Topics != nil && l.docks() && !slices.ContainsFunc(l.cfg.Topics.Commands, func(c config.CommandIn) bool { return c.Dock }) {
		for i := range l.p.Triggers {
			if c := l.p.Triggers[i].Constraint; c != nil && c.Motion == "dock-only" {
				l.find(fmt.Sprintf("triggers[%d] %s", i, l.p.Triggers[i].Code), "no-dock", "a channel of the mapping with dock: true", "none", "return to dock always falls to hold")
			}
		}
	}
	for i := range l.p.Zones {
		if z := &l.p.Zones[i]; strings.Contains(z.ID, "dock") && z.Type != config.ZoneBlocked {
			l.reach(i)
		}
	}
}

// reach searches from one dock at every hour of the week at which something changes.
func (l *linter) reach(dock int) {
	seen := map[string]bool{}
	start := time.Date(2026, 11, 2, 0, 0, 0, 0, location(l.p)) // a Monday without a change of the clocks
	best, worst, when := 0, -1, start
	for h := range 7 * 24 * 2 {
		at := start.Add(time.Duration(h) * 30 * time.Minute)
		closed, key := l.closed(dock, at)
		if seen[key] {
			continue
		}
		seen[key] = true
		n := l.search(dock, closed)
		best = max(best, n)
		if worst < 0 || n < worst {
			worst, when = n, at
		}
	}
	if best > 0 && worst < best/2 {
		l.find(fmt.Sprintf("zones[%d] %s", dock, l.p.Zones[dock].ID), "dock-unreachable", "a way to the dock at every hour",
			fmt.Sprintf("%.0f m² from where it can be reached on %s, %.0f m² at best", float64(worst)*cellM*cellM, when.Format("Monday 15:04"), float64(best)*cellM*cellM),
			"a zone that closes then lies on the way")
	}
}

func location(p *config.Policy) *time.Location {
	if p.Timezone.Location != nil {
		return p.Timezone.Location
	}
	return time.UTC
}

// closed lists the zones of the dock's floor that close a place at a moment, and the areas that must be kept.
func (l *linter) closed(dock int, at time.Time) (list []*config.Zone, key string) {
	var ids strings.Builder
	for i := range l.p.Zones {
		z := &l.p.Zones[i]
		if z.Floor != l.p.Zones[dock].Floor || z.Type != config.ZoneBlocked && z.Type != config.ZoneKeepIn || len(z.Parts) > 0 || len(z.Views) > 0 {
			continue
		}
		if zones.ActiveAt(l.p, z, at) {
			list = append(list, z)
			fmt.Fprintf(&ids, "%d ", i)
		}
	}
	return list, ids.String()
}

// search counts the cells that are reached from the dock.
func (l *linter) search(dock int, closed []*config.Zone) int {
	x0, y0, x1, y1 := 1e9, 1e9, -1e9, -1e9
	for i := range l.p.Zones {
		if z := &l.p.Zones[i]; z.Floor == l.p.Zones[dock].Floor {
			for _, v := range z.Vertices {
				x0, y0, x1, y1 = min(x0, v.X), min(y0, v.Y), max(x1, v.X), max(y1, v.Y)
			}
		}
	}
	nx, ny := int((x1-x0)/cellM)+1, int((y1-y0)/cellM)+1
	if nx <= 0 || ny <= 0 || nx > maxCells/ny {
		return 0
	}
	open := func(i int) bool {
		x, y := x0+(float64(i%nx)+0.5)*cellM, y0+(float64(i/nx)+0.5)*cellM
		kept, frames := false, false
		for _, z := range closed {
			in := inside(z, x, y)
			if z.Type == config.ZoneBlocked && in {
				return false
			}
			frames = frames || z.Type == config.ZoneKeepIn
			kept = kept || z.Type == config.ZoneKeepIn && in
		}
		return kept || !frames
	}
	var cx, cy float64
	d := &l.p.Zones[dock]
	for _, v := range d.Vertices {
		cx, cy = cx+v.X/float64(len(d.Vertices)), cy+v.Y/float64(len(d.Vertices))
	}
	from := clampIndex((cy-y0)/cellM, ny)*nx + clampIndex((cx-x0)/cellM, nx)
	if !open(from) {
		return 0
	}
	seen := make([]bool, nx*ny)
	seen[from] = true
	queue := []int{from}
	for k := 0; k < len(queue); k++ {
		i := queue[k]
		for _, n := range [4]int{i - 1, i + 1, i - nx, i + nx} {
			if n < 0 || n >= len(seen) || seen[n] || n == i-1 && i%nx == 0 || n == i+1 && n%nx == 0 || !open(n) {
				continue
			}
			seen[n] = true
			queue = append(queue, n)
		}
	}
	return len(queue)
}

// inside says whether a point is in a zone's outline and in none of its holes.
func inside(z *config.Zone, x, y float64) bool {
	in := within(z.Vertices, x, y)
	for _, h := range z.Holes {
		in = in && !within(h, x, y)
	}
	return in
}

func within(ring []config.Point, x, y float64) bool {
	in := false
	for i, k := 0, len(ring)-1; i < len(ring); k, i = i, i+1 {
		a, b := ring[i], ring[k]
		if (a.Y > y) != (b.Y > y) && x < a.X+(b.X-a.X)*(y-a.Y)/(b.Y-a.Y) {
			in = !in
		}
	}
	return in
}
