package driver

import (
	"fmt"
	"strings"
	"time"

	"github.com/robowarden/robowarden/test/oracle"
)

// Place is a stop or a turning point of a tour, in metres in the map.
type Place struct {
	X, Y float64
	// Wait is how long the robot stands there.
	Wait time.Duration
}

// Tour is a way through places.
type Tour struct {
	Places []Place
	// Speed is in m/s.
	Speed float64
	// Timeout gives the tour up; default 30 minutes.
	Timeout time.Duration
	// Topic is where commands go; default /cmd_vel_raw. Node is the name on the graph; default /planner.
	Topic, Node string
}

func (t Tour) places() string {
	var s []string
	for _, p := range t.Places {
		s = append(s, fmt.Sprintf("%g,%g,%g", p.X, p.Y, p.Wait.Seconds()))
	}
	return strings.Join(s, ";")
}

// The ward: corridors 3.2 m wide around two blocks of rooms. x to the right, y up, in metres.
//
//	y 24 +---------------------------------------------+
//	     |  corridor                                   |
//	20.8 |  +----------------+     +----------------+  |
//	     |  |   west block   |cross|   east block   |  |
//	 3.2 |  +----------------+     +----------------+  |
//	     |  corridor                                   |
//	   0 +---------------------------------------------+
//	     0  3.2            18.4   21.6           36.8  40  x
const (
	wardWidth, wardHeight, corridor = 40.0, 24.0, 3.2
	crossFrom, crossTo              = 18.4, 21.6
)

// WardZones are what a robot on the ward's corridors must stay out of: both blocks and all that lies around the ward.
func WardZones() []oracle.Zone {
	return []oracle.Zone{
		{ID: "west-block", Outer: oracle.Rectangle(corridor, corridor, crossFrom, wardHeight-corridor)},
		{ID: "east-block", Outer: oracle.Rectangle(crossTo, corridor, wardWidth-corridor, wardHeight-corridor)},
		{
			ID:    "around",
			Outer: oracle.Rectangle(-5, -5, wardWidth+5, wardHeight+5),
			Holes: []oracle.Ring{oracle.Rectangle(0, 0, wardWidth, wardHeight)},
		},
	}
}

// WardStart is where tours of the ward begin, heading along x.
var WardStart = Place{X: corridor / 2, Y: corridor / 2}

// WardTour is a delivery tour on the middle lines of the ward's corridors: each lap goes round the east block and back
// around the west block, with three deliveries. A lap is 148 m and, at 1 m/s, takes about two and a half minutes; four
// laps make the ten minutes of the specification.
func WardTour(laps int, speed float64) Tour {
	const low, left = corridor / 2, corridor / 2
	const high, right, cross = wardHeight - corridor/2, wardWidth - corridor/2, (crossFrom + crossTo) / 2
	stop := 2 * time.Second
	t := Tour{Speed: speed}
	for range laps {
		t.Places = append(t.Places,
			Place{X: cross, Y: low}, Place{X: right, Y: low, Wait: stop}, Place{X: right, Y: high},
			Place{X: cross, Y: high, Wait: stop}, Place{X: cross, Y: low},
			Place{X: cross, Y: high}, Place{X: left, Y: high, Wait: stop}, Place{X: left, Y: low},
		)
	}
	return t
}

// First is the beginning of the tour, for runs that have less time.
func (t Tour) First(places int) Tour {
	t.Places = t.Places[:min(places, len(t.Places))]
	return t
}
