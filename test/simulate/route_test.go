package simulate

import (
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// The demonstration's ground floor: a corridor at y 10 to 14, and the way from it into each room, door first. The walls are
// 24 m apart; the stairs (x 0 to 3) and the pharmacy (y above 14, x 0 to 8) are forbidden.
var rooms = map[string][]msg.Vec3{
	"dock":      {{X: 4.4, Y: 11.2}, {X: 4.4, Y: 6}},
	"kitchen":   {{X: 12, Y: 11.5}, {X: 12, Y: 6}},
	"laundry":   {{X: 23, Y: 11.5}, {X: 23, Y: 5}},
	"reception": {{X: 34, Y: 11.5}, {X: 34, Y: 5}},
	"ward a":    {{X: 14, Y: 12.5}, {X: 14, Y: 18}, {X: 9.2, Y: 18}},
	"ward b":    {{X: 26, Y: 12.5}, {X: 26, Y: 18}, {X: 31.2, Y: 22.8}},
	"lift":      {{X: 35, Y: 12}, {X: 38.5, Y: 12}},
	// Beside the pharmacy's wall, with the contour half a metre off.
	"hatch": {{X: 7, Y: 12.2}, {X: 7, Y: 13.1}},
}

var names = []string{"dock", "kitchen", "laundry", "reception", "ward a", "ward b", "lift", "hatch"}

// courier is a planner that delivers from room to room. It sees only the localisation's poses.
type courier struct {
	way  []msg.Vec3
	at   string
	wait time.Duration
	legs int
	// wants says that its last command was to move.
	wants bool
}

// plan follows the way: it turns in place towards a waypoint that lies aside, and slows down before it.
func (c *courier) plan(s *Sim) (float64, float64, float64, bool) {
	const top, turn, brake, near = 0.9, 0.6, 0.3, 0.25
	c.wants = false
	if len(c.way) == 0 {
		if s.now < c.wait {
			return 0, 0, 0, true
		}
		c.leave(s)
	}
	p := &s.seen
	dx, dy := c.way[0].X-p.Position.X, c.way[0].Y-p.Position.Y
	d := math.Hypot(dx, dy)
	if d < near {
		if c.way = c.way[1:]; len(c.way) == 0 {
			c.legs++
			c.wait = s.now + time.Duration(5+s.rng.IntN(55))*time.Second
		}
		return 0, 0, 0, true
	}
	yaw := 2 * math.Atan2(p.Orientation.Z, p.Orientation.W)
	off := math.Remainder(math.Atan2(dy, dx)-yaw, 2*math.Pi)
	w := min(max(0.8*off, -turn), turn)
	c.wants = true
	if math.Abs(off) > 0.35 {
		return 0, 0, w, true
	}
	last := d
	if len(c.way) == 1 {
		last = max(d-near, 0)
	}
	return min(top, math.Sqrt(2*brake*last)+0.05), 0, w, true
}

// leave draws the next room and the way there. Ward A is closed to robots outside the day shift, and a planner knows the timetable.
func (c *courier) leave(s *Sim) {
	next := c.at
	for next == c.at || next == "ward a" && !wardOpen(s.civil()) {
		next = names[s.rng.IntN(len(names))]
	}
	if c.at != "" {
		in := rooms[c.at]
		for i := len(in) - 2; i >= 0; i-- {
			c.way = append(c.way, in[i])
		}
	}
	c.way = append(c.way, rooms[next]...)
	c.at = next
}

// wardOpen says whether a delivery that begins now is out of ward A again when it closes at 20:00 in Berlin.
func wardOpen(t time.Time) bool {
	h := t.In(berlin).Hour()
	return h >= 6 && h < 19
}

var berlin = time.FixedZone("CET", 3600)

// clean is what hours of deliveries brought.
type clean struct {
	hours        float64
	legs, events int
	// stops are decisions to hold or stop, stuck are waits of more than ten seconds before an order to move is followed.
	stops, stuck int
	trips        int
	first        string
	took         time.Duration
}

// deliver runs a robot through the hospital for a time.
func deliver(t *testing.T, seed uint64, d time.Duration, open bool, freezeEvery time.Duration) clean {
	t.Helper()
	cfg := Documents(t)
	c := courier{}
	s := New(t, Config{
		Params: Params(t, cfg), Seed: seed, Civil: morning.Add(time.Duration(seed%24) * time.Hour),
		X: 20, Y: 12, Step: 25 * time.Millisecond, Open: open,
		Body: Body{
			Accel: 0.6, Decel: 0.9, TurnAccel: 1, TurnDecel: 1.6, DeadTime: 80 * time.Millisecond, Lag: 120 * time.Millisecond,
			StepPeriod: 300 * time.Millisecond, Slip: 0.03, Timeout: 400 * time.Millisecond,
		},
		Senses: Senses{
			Pose: 50 * time.Millisecond, Rest: 50 * time.Millisecond, Tick: 50 * time.Millisecond, Latency: 15 * time.Millisecond,
			Jitter: 20 * time.Millisecond, White: 0.015, Slow: 0.02, SlowTime: 10 * time.Second, Yaw: 0.004, Speed: 0.004,
		},
		Up:     Link{Delay: time.Millisecond, Jitter: 8 * time.Millisecond, Loss: 0.002, Burst: 2},
		Down:   Link{Jitter: 8 * time.Millisecond, Loss: 0.002, Burst: 1},
		Period: 50 * time.Millisecond,
	})
	start := time.Now()
	s.Ready()
	s.Plan = c.plan
	var out clean
	out.count(s, &c)
	for end := s.now + d; s.now < end; {
		if freezeEvery > 0 {
			s.frozen = (s.now-bootStart)%freezeEvery > freezeEvery-20*time.Second
		}
		s.Run(time.Second)
	}
	out.hours, out.legs, out.events, out.took = d.Hours(), c.legs, s.events, time.Since(start)
	return out
}
