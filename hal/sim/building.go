package sim

import (
	"errors"
	"fmt"
	"math"
)

// Point is a place on a floor in metres, frame map.
type Point struct{ X, Y float64 }

// Placement is where a robot stands: the floor's name, metres and radians in frame map.
type Placement struct {
	Floor     string
	X, Y, Yaw float64
}

// Floor is one storey.
type Floor struct {
	Name string
	// MapID is what the localisation calls it.
	MapID string
	// ZM is the height of its ground in frame map, in metres.
	ZM float64
	// Walls are polylines to draw; nothing collides with them.
	Walls [][]Point
}

// Place is a named node of the ways that planners know.
type Place struct {
	Name, Floor string
	Point
}

// Building is floors and the ways between named places. Rules about them are none of its business.
type Building struct {
	Floors []Floor
	Places []Place
	// Links are pairs of places on one floor with a straight way between them, both ways.
	Links [][2]string
	// Lifts are pairs of places on two floors that a lift joins.
	Lifts [][2]string
	// Dock is where the robot charges, facing the contact.
	Dock Placement
	// DockPlace is the named place in front of the dock, where the way to it ends.
	DockPlace string
}

// Floor finds a storey by name, or nil.
func (b *Building) Floor(name string) *Floor {
	for i := range b.Floors {
		if b.Floors[i].Name == name {
			return &b.Floors[i]
		}
	}
	return nil
}

// Place finds a place by name, or nil.
func (b *Building) Place(name string) *Place {
	for i := range b.Places {
		if b.Places[i].Name == name {
			return &b.Places[i]
		}
	}
	return nil
}

func (b *Building) check() error {
	var errs []error
	for _, p := range b.Places {
		if b.Floor(p.Floor) == nil || !finite(p.X, p.Y) {
			errs = append(errs, fmt.Errorf("sim: building: place %q on floor %q at (%v, %v): no such floor or not finite",
				p.Name, p.Floor, p.X, p.Y))
		}
	}
	for _, l := range b.Links {
		from, to := b.Place(l[0]), b.Place(l[1])
		if from == nil || to == nil || from.Floor != to.Floor {
			errs = append(errs, fmt.Errorf("sim: building: link %v: expected two places on one floor", l))
		}
	}
	for _, l := range b.Lifts {
		from, to := b.Place(l[0]), b.Place(l[1])
		if from == nil || to == nil || from.Floor == to.Floor {
			errs = append(errs, fmt.Errorf("sim: building: lift %v: expected two places on two floors", l))
		}
	}
	if b.DockPlace != "" && b.Place(b.DockPlace) == nil {
		errs = append(errs, fmt.Errorf("sim: building: no place %q in front of the dock", b.DockPlace))
	}
	return errors.Join(errs...)
}

// Way is the shortest way over the links from a spot to a place on the same floor: the places in between, then the
// place itself. It starts at the place nearest to the spot.
func (b *Building) Way(floor string, from Point, to string) ([]Point, error) {
	goal := b.index(to)
	if goal < 0 || b.Places[goal].Floor != floor {
		return nil, fmt.Errorf("sim: no place %q on floor %q", to, floor)
	}
	// Dijkstra backwards from the goal, so that cost holds every place's distance to it.
	cost := make([]float64, len(b.Places))
	next := make([]int, len(b.Places))
	done := make([]bool, len(b.Places))
	for i := range cost {
		cost[i], next[i] = math.Inf(1), -1
	}
	cost[goal] = 0
	for {
		at := nearestOpen(cost, done)
		if at < 0 {
			break
		}
		done[at] = true
		b.relax(at, cost, next)
	}
	start := b.entry(floor, from, cost)
	if start < 0 {
		return nil, fmt.Errorf("sim: no way from (%.2f, %.2f) on floor %q to %q", from.X, from.Y, floor, to)
	}
	var way []Point
	for i := start; i >= 0; i = next[i] {
		way = append(way, b.Places[i].Point)
	}
	return way, nil
}

func (b *Building) index(name string) int {
	for i := range b.Places {
		if b.Places[i].Name == name {
			return i
		}
	}
	return -1
}

func nearestOpen(cost []float64, done []bool) int {
	best := -1
	for i := range cost {
		if !done[i] && !math.IsInf(cost[i], 1) && (best < 0 || cost[i] < cost[best]) {
			best = i
		}
	}
	return best
}

func (b *Building) relax(at int, cost []float64, next []int) {
	for _, l := range b.Links {
		from, to := b.index(l[0]), b.index(l[1])
		if to == at {
			from, to = to, from
		}
		if from != at {
			continue
		}
		if c := cost[at] + dist(b.Places[at].Point, b.Places[to].Point); c < cost[to] {
			cost[to], next[to] = c, at
		}
	}
}

// entry is the nearest reachable place, since the links say nothing about the ground between them.
func (b *Building) entry(floor string, from Point, cost []float64) int {
	best, nearest := -1, math.Inf(1)
	for i, p := range b.Places {
		if p.Floor != floor || math.IsInf(cost[i], 1) {
			continue
		}
		if d := dist(from, p.Point); d < nearest {
			best, nearest = i, d
		}
	}
	return best
}

func dist(a, b Point) float64 { return math.Sqrt((a.X-b.X)*(a.X-b.X) + (a.Y-b.Y)*(a.Y-b.Y)) }
