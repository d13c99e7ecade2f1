// Package live feeds the console from a guard that runs: its status over the control socket, and the end of its journal. It
// only asks for the status, never sends an order, and never writes anything.
package live

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/agent/guard"
)

// Scene draws a policy's floors and zones.
func Scene(p *config.Policy) *console.Scene {
	s := &console.Scene{Site: p.Site}
	for _, f := range p.Floors {
		s.Floors = append(s.Floors, console.Floor{ID: f.ID, Name: f.Name})
	}
	for i := range p.Zones {
		z := &p.Zones[i]
		zone := console.Zone{ID: z.ID, Type: z.Type, Floor: z.Floor, Outer: ring(z.Vertices), MaxSpeedMPS: console.Num(z.MaxSpeedMPS), Reason: z.Reason}
		for _, h := range z.Holes {
			zone.Holes = append(zone.Holes, ring(h))
		}
		s.Zones = append(s.Zones, zone)
	}
	return s
}

func ring(ps []config.Point) []console.Point {
	var out []console.Point
	for _, p := range ps {
		out = append(out, console.Point{console.Num(p.X), console.Num(p.Y)})
	}
	return out
}

// view turns a guard's status into what the page shows.
func (f *Feed) view(st *agent.Status, now time.Time) *console.Snapshot {
	cfg := f.cfg
	stop := stopWay(cfg.Profile, st.SpeedMPS)
	s := &console.Snapshot{
		Time: now.In(cfg.Policy.Timezone.Location), ClockTrust: st.Clock, Robot: st.Robot, Floor: st.Floor,
		SpeedMPS: rounded(st.SpeedMPS, 2), StopDistanceM: rounded(stop, 2), Axes: Axes(&st.Status), Mode: st.Mode, Standstill: st.AtRest,
		Advisory: st.Advisory, Scene: f.scene,
		Policy:      console.Policy{ID: st.Policy.ID, Revision: uint64(max(0, st.Policy.Revision)), Digest: st.Policy.Digest}, //nolint:gosec // not negative
		Attestation: console.Attestation{State: st.Attestation.State, Tier: st.Attestation.Tier, LeftS: console.Num(st.Attestation.LeftS)},
	}
	if c := st.Roles.Session; c != nil && strings.HasPrefix(c.Detail, "recovery:") && s.Attestation.State != "attested" {
		s.Attestation.State = "recovery" // the courier's word, which makes it no better than failed
	}
	if st.Place != "unknown" {
		s.Pose = &console.Pose{X: rounded(st.X, 3), Y: rounded(st.Y, 3), Yaw: rounded(st.Yaw, 3), StddevM: console.Num(math.NaN())}
		s.Contour = outline(cfg.Profile, st.X, st.Y, st.Yaw)
		if stop > 0.02 {
			// The status has no direction of travel: forward, as the robot mostly goes.
			s.Predicted = outline(cfg.Profile, st.X+stop*math.Cos(st.Yaw), st.Y+stop*math.Sin(st.Yaw), st.Yaw)
		}
	}
	var category int
	if n, _ := fmt.Sscanf(st.StopCategory, "category %d", &category); n == 1 {
		s.StopCategory = &category
	}
	for i := range st.Triggers {
		s.Triggers = append(s.Triggers, Trigger(&st.Triggers[i], now))
	}
	s.Channels, s.Inputs = channels(st), inputs(cfg, st)
	s.ZoneStates = f.zoneStates(&st.Status)
	if st.Policy.Digest != cfg.Digests.Policy.String() {
		s.Summary = "Another policy is in force than the one that this page draws zones from; mode and reasons are the robot's."
	}
	return s
}

// stopWay is the way until rest by the profile's figures.
func stopWay(p *config.Profile, v float64) float64 {
	m := &p.Motion
	if !(v >= 0.05) {
		return 0
	}
	return v*m.Reaction.Total().Seconds() + v*v/(2*m.DecelMPS2)
}

func outline(p *config.Profile, x, y, yaw float64) []console.Point {
	sin, cos := math.Sincos(yaw)
	var out []console.Point
	for _, q := range p.Body.Footprint {
		out = append(out, console.Point{rounded(x+q.X*cos-q.Y*sin, 3), rounded(y+q.X*sin+q.Y*cos, 3)})
	}
	return out
}

// Axes says what the four axes allow.
func Axes(st *guard.Status) console.Axes {
	a := console.Axes{
		Motion: st.Axes.Motion, Manipulators: st.Axes.Manipulators, Perception: st.Axes.Perception, Remote: st.Axes.Remote,
		LimitMPS: console.Num(math.NaN()),
	}
	// "limited(0.80 m/s)" and the like: the page says the number itself.
	a.Motion, _, _ = strings.Cut(a.Motion, "(")
	if st.Axes.MaxSpeedMPS > 0 {
		a.LimitMPS = rounded(st.Axes.MaxSpeedMPS, 2)
	}
	return a
}

// Trigger puts an active trigger into plain words.
func Trigger(t *guard.TriggerStatus, now time.Time) console.Trigger {
	text := t.Text
	if t.Subject != "" {
		text += " (" + t.Subject + ")"
	}
	since := now.Add(-time.Duration(t.SinceS * float64(time.Second)))
	return console.Trigger{Code: t.Code, Title: capital(t.Title), Text: capital(text), Since: since, Latched: t.Latched, Clear: clearWords(t)}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// clearWords says what ends a trigger.
func clearWords(t *guard.TriggerStatus) string {
	switch {
	case t.Latched && strings.Contains(t.Clear, "two"):
		return "Stays until two persons reset it with signed orders."
	case t.Latched:
		return "Stays until somebody entitled sends a signed reset."
	case t.Clear == "on-clear":
		return "Ends as soon as the cause is gone."
	case t.Clear == "on-dwell":
		return "Ends by itself when the cause has been gone for a while."
	case t.Clear == "never":
		return "Never ends by itself; the robot needs service."
	}
	return ""
}

func channels(st *agent.Status) []console.Channel {
	var out []console.Channel
	for _, c := range st.Channels {
		health := console.HealthLost
		if c.Phase == "running" {
			health = console.HealthOK
		}
		out = append(out, console.Channel{Name: c.Name + " heartbeat", Health: health, Text: c.Phase, AgeMS: console.Num(math.NaN())})
	}
	for i := range st.Commands {
		out = append(out, Channel(&st.Commands[i]))
	}
	return out
}

// Channel says how well one way to command the robot works.
func Channel(c *guard.CommandStatus) console.Channel {
	ch := console.Channel{Name: c.Name, Text: c.Health, AgeMS: console.Num(c.SilentS * 1000)}
	if c.SilentS < 0 {
		ch.AgeMS = console.Num(math.NaN())
	}
	switch c.Health {
	case "good":
		ch.Health = console.HealthOK
	case "degraded":
		ch.Health = console.HealthLate
	case "idle":
		ch.Health, ch.Text = console.HealthUnknown, "not in use"
	default:
		ch.Health = console.HealthLost
	}
	if c.Cause != "" {
		ch.Text += ": " + c.Cause
	}
	if c.RateHz > 0 && c.Health != "idle" {
		ch.Text += fmt.Sprintf(", %.0f Hz", c.RateHz)
	}
	return ch
}

// inputs are what the guard measures by: the pose's age, what was never heard, and its own means.
func inputs(cfg *config.Config, st *agent.Status) []console.Input {
	unknown := console.Num(math.NaN())
	pose := console.Input{Name: "pose", Health: console.HealthOK, AgeMS: console.Num(st.PoseAge * 1000), MaxAgeMS: console.Num(cfg.Profile.Pose.MaxAge.Milliseconds())}
	if !(st.PoseAge >= 0) || st.PoseAge > cfg.Profile.Pose.MaxAge.Seconds() {
		pose.Health = console.HealthLost
	}
	out := []console.Input{pose}
	for _, name := range st.Missing {
		if name != "pose" {
			out = append(out, console.Input{Name: name, Health: console.HealthLost, AgeMS: unknown, MaxAgeMS: unknown, Text: "never heard"})
		}
	}
	for _, d := range [][]guard.DeviceStatus{st.Actuators, st.Inputs} {
		for i := range d {
			in := console.Input{Name: d[i].Name, Health: console.HealthOK, AgeMS: unknown, MaxAgeMS: unknown, Text: d[i].State}
			switch in.Text {
			case "none", "ok", "open", "released":
			case "not reported":
				in.Health = console.HealthLost
			default:
				in.Health = console.HealthLate
			}
			out = append(out, in)
		}
	}
	journal := console.Input{Name: "journal", Health: console.HealthOK, AgeMS: unknown, MaxAgeMS: unknown, Text: st.Journal}
	if st.Journal != "writable" {
		journal.Health = console.HealthLost
	}
	out = append(out, journal)
	if st.Age.State == "" {
		return out
	}
	return append(out, diskInput(st))
}

// diskInput is what is known of the guard's state on disk. Only a proof makes it good.
func diskInput(st *agent.Status) console.Input {
	unknown := console.Num(math.NaN())
	disk := console.Input{Name: "state on disk", Health: console.HealthUnknown, AgeMS: unknown, MaxAgeMS: unknown, Text: st.Age.State}
	switch st.Age.State {
	case "proven":
		disk.Health = console.HealthOK
	case "set-back":
		disk.Health = console.HealthLost
	}
	if disk.Health != console.HealthOK {
		disk.Text += "; orders that loosen need --nonce " + st.Nonce
	}
	if n := len(st.Waiting); n > 0 {
		disk.Text = fmt.Sprintf("%s; %d wait", disk.Text, n)
	}
	return disk
}

// zoneStates joins what the guard says of near zones to the policy's list. The guard names those that are in force and near; of
// the others the page does not know more.
func (f *Feed) zoneStates(st *guard.Status) []console.ZoneState {
	near := map[string]*guard.ZoneStatus{}
	for i := range st.Zones {
		near[st.Zones[i].ID] = &st.Zones[i]
	}
	out := make([]console.ZoneState, len(f.scene.Zones))
	for i, z := range f.scene.Zones {
		out[i] = console.ZoneState{Applies: true, State: "clear", MarginM: console.Num(math.NaN())}
		if n := near[z.ID]; n != nil {
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

// rounded keeps the page's numbers calm.
func rounded(v float64, digits int) console.Num {
	p := math.Pow(10, float64(digits))
	return console.Num(math.Round(v*p) / p)
}
