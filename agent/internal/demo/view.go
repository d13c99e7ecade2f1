package demo

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/agent/console/live"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/sim"
)

// ears are the times at which inputs were heard last, for the page.
type ears struct {
	names    []string
	last     map[string]time.Duration
	max      map[string]time.Duration
	answered time.Duration
	command  []time.Duration
}

func (e *ears) init(c *config.Config) {
	e.names = []string{"pose", "floor", "odometry", "joints", "imu", "battery", "graph"}
	e.last = map[string]time.Duration{}
	e.max = map[string]time.Duration{
		"pose": c.Profile.Pose.MaxAge, "floor": 5 * time.Second, "odometry": 200 * time.Millisecond, "imu": 200 * time.Millisecond,
		"battery": 5 * time.Second, "graph": 3 * time.Second, "joints": 200 * time.Millisecond,
	}
	if c.Profile.Joints != nil {
		e.max["joints"] = c.Profile.Joints.MaxAge
	}
	e.answered = -1
	e.command = make([]time.Duration, len(c.Topics.Commands))
	for i := range e.command {
		e.command[i] = -1
	}
}

func (e *ears) heard(name string, at time.Duration)     { e.last[name] = at }
func (e *ears) commanded(channel int, at time.Duration) { e.command[channel] = at }

// age is the time since something was heard in milliseconds, NaN if it never was.
func age(now, at time.Duration) console.Num {
	if at < 0 {
		return console.Num(math.NaN())
	}
	return console.Num((now - at).Milliseconds())
}

func (e *ears) inputs(now time.Duration) []console.Input {
	var out []console.Input
	for _, name := range e.names {
		in := console.Input{Name: name, Health: console.HealthUnknown, AgeMS: console.Num(math.NaN()), MaxAgeMS: console.Num(e.max[name].Milliseconds())}
		if at, ok := e.last[name]; ok {
			in.AgeMS, in.Health = age(now, at), console.HealthOK
			if now-at > e.max[name] {
				in.Health = console.HealthLost
			}
		}
		out = append(out, in)
	}
	return out
}

// sceneOf draws a policy's zones and the building's walls.
func sceneOf(p *config.Policy) *console.Scene {
	building := sim.Hospital()
	scene := &console.Scene{Site: p.Site}
	for _, f := range p.Floors {
		floor := console.Floor{ID: f.ID, Name: f.Name}
		if b := building.Floor(f.ID); b != nil {
			for _, w := range b.Walls {
				floor.Walls = append(floor.Walls, pointsOf(w))
			}
		}
		if f.ID == building.Dock.Floor {
			floor.Marks = append(floor.Marks, console.Mark{Name: "dock", At: console.Point{console.Num(building.Dock.X), console.Num(building.Dock.Y - 1.7)}})
		}
		scene.Floors = append(scene.Floors, floor)
	}
	for i := range p.Zones {
		z := &p.Zones[i]
		zone := console.Zone{
			ID: z.ID, Type: z.Type, Floor: z.Floor, Outer: pointsOf(ring(z.Vertices)), MaxSpeedMPS: console.Num(z.MaxSpeedMPS), Reason: z.Reason,
		}
		for _, h := range z.Holes {
			zone.Holes = append(zone.Holes, pointsOf(ring(h)))
		}
		scene.Zones = append(scene.Zones, zone)
	}
	return scene
}

func pointsOf(ps []sim.Point) []console.Point {
	var out []console.Point
	for _, p := range ps {
		out = append(out, console.Point{console.Num(p.X), console.Num(p.Y)})
	}
	return out
}

// Snapshot is Guard's.
func (o *onTrial) Snapshot() *console.Snapshot {
	st := o.guard.Status()
	now := o.env.Boot()
	stop := o.stopWay(st.SpeedMPS)
	heading := st.Yaw
	s := &console.Snapshot{
		Time: o.env.Civil().In(o.cfg.Policy.Timezone.Location), ClockTrust: "trusted", Robot: o.env.Robot, Floor: st.Floor,
		Pose:    &console.Pose{X: console.Num(st.X), Y: console.Num(st.Y), Yaw: console.Num(st.Yaw), StddevM: 0.025},
		Contour: o.outline(st.X, st.Y, st.Yaw), SpeedMPS: rounded(st.SpeedMPS, 2), StopDistanceM: rounded(stop, 2),
		Axes: live.Axes(&st), Mode: st.Mode, Standstill: st.AtRest, Advisory: st.Advisory, Inputs: o.ears.inputs(now),
		Policy: console.Policy{ID: o.cfg.Policy.ID, Revision: uint64(o.cfg.Policy.Revision), Digest: o.cfg.Digests.Policy.String()}, //nolint:gosec // ≥ 1
		Scene:  o.scene, ZoneStates: o.zoneStates(&st),
	}
	if stop > 0.02 {
		s.Predicted = o.outline(st.X+stop*math.Cos(heading), st.Y+stop*math.Sin(heading), st.Yaw)
	}
	var category int
	if n, _ := fmt.Sscanf(st.StopCategory, "category %d", &category); n == 1 {
		s.StopCategory = &category
	}
	for _, t := range st.Triggers {
		s.Triggers = append(s.Triggers, live.Trigger(&t, o.env.Civil()))
	}
	s.Channels = o.channels(&st, now)
	return s
}

// stopWay is the way until rest by the profile's figures.
func (o *onTrial) stopWay(v float64) float64 {
	m := &o.cfg.Profile.Motion
	if v < 0.05 {
		return 0
	}
	return v*(m.Reaction.Detection+m.Reaction.Actuation).Seconds() + v*v/(2*m.DecelMPS2)
}

func (o *onTrial) outline(x, y, yaw float64) []console.Point {
	sin, cos := math.Sincos(yaw)
	var out []console.Point
	for _, p := range o.cfg.Profile.Body.Footprint {
		out = append(out, console.Point{rounded(x+p.X*cos-p.Y*sin, 3), rounded(y+p.X*sin+p.Y*cos, 3)})
	}
	return out
}

func (o *onTrial) channels(st *guard.Status, now time.Duration) []console.Channel {
	var out []console.Channel
	for _, c := range st.Channels {
		health := console.HealthLost
		if c.Phase == "running" {
			health = console.HealthOK
			if now-o.ears.answered > o.cfg.Policy.Channels[0].HoldAfter {
				health = console.HealthLate
			}
		}
		out = append(out, console.Channel{Name: c.Name + " heartbeat", Health: health, Text: c.Phase, AgeMS: age(now, o.ears.answered)})
	}
	for i, c := range st.Commands {
		ch := live.Channel(&c)
		ch.AgeMS = age(now, o.ears.command[i])
		out = append(out, ch)
	}
	return out
}

// zoneStates joins what the guard says of near zones to the policy's list.
func (o *onTrial) zoneStates(st *guard.Status) []console.ZoneState {
	near := map[string]*guard.ZoneStatus{}
	for i := range st.Zones {
		near[st.Zones[i].ID] = &st.Zones[i]
	}
	applies := map[string]bool{}
	for _, z := range ZonesOf(o.cfg.Policy, serial(o.env.Robot)) {
		applies[z.ID] = z.InForce(o.env.Civil())
	}
	out := make([]console.ZoneState, len(o.scene.Zones))
	for i, z := range o.scene.Zones {
		out[i] = console.ZoneState{Applies: applies[z.ID], State: "clear", MarginM: console.Num(math.NaN())}
		if n := near[z.ID]; n != nil && out[i].Applies {
			out[i].MarginM = rounded(n.MarginM, 2)
			switch n.Place {
			case "inside":
				out[i].State = "inside"
			case "margin":
				out[i].State = "near"
			}
		}
	}
	return out
}

// serial is the last part of a robot's id.
func serial(robot string) string { return robot[strings.LastIndexByte(robot, '/')+1:] }

// rounded keeps the page's numbers calm.
func rounded(v float64, digits int) console.Num {
	p := math.Pow(10, float64(digits))
	return console.Num(math.Round(v*p) / p)
}
