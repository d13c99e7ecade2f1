package policytest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/replay"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// The robot of a case: it measures itself at this rate, and before the case begins it has stood for warmUp.
const (
	measure = 20 * time.Millisecond
	warmUp  = 6 * time.Second
	// agile is how many times better than the profile promises the robot follows what the gate sends: cases are about the
	// policy, not about a robot that breaks its promise. One that does is driven by drive.
	agile = 4
)

// Outcome is what came of one case.
type Outcome struct {
	Name string `json:"name"`
	// Failures say what was expected and what was decided, empty for a case that passed.
	Failures []string `json:"failures,omitempty"`
}

// Result is what came of a file.
type Result struct {
	Outcomes []Outcome `json:"tests"`
	Failed   int       `json:"failed"`
	Coverage Coverage  `json:"coverage"`
}

// Run runs all cases by the documents in cfg: policy, profile and topic mapping.
func Run(cfg *config.Config, f *File) (*Result, error) {
	out := &Result{}
	cov := newCover(cfg)
	for i := range f.Tests {
		c := &f.Tests[i]
		o := Outcome{Name: c.Name}
		r, err := newRun(cfg, f, c, cov)
		if err != nil {
			return nil, fmt.Errorf("test %q: %w", c.Name, err)
		}
		if err := r.play(); err != nil {
			return nil, fmt.Errorf("test %q: %w", c.Name, err)
		}
		if o.Failures = r.failures(); len(o.Failures) > 0 {
			out.Failed++
		}
		out.Outcomes = append(out.Outcomes, o)
	}
	out.Coverage = cov.report()
	return out, nil
}

// run is one case under way.
type run struct {
	cfg   *config.Config
	c     *Case
	world *replay.World
	cov   *cover
	// Where the robot is and how it moves, in its own frame.
	x, y, yaw float64
	vx, vy, w float64
	// drives is true while it moves as told, whatever the gate says.
	drives    bool
	command   []float64
	channel   int
	floor     int
	frame     string
	stddev    float64
	silent    map[string]bool
	start     time.Duration
	expect    []state
	seq       uint32
	steps     int
	peer      msg.Peer
	lastGated string
	// sent is the speed in m/s that the gate sent last.
	sent float64
}

// state is how an expectation fares.
type state struct {
	// looked says that it was looked at, failed what was wrong first, and when.
	looked bool
	failed string
}

func newRun(cfg *config.Config, f *File, c *Case, cov *cover) (*run, error) {
	serial := c.Robot
	if serial == "" {
		serial = f.Robot
	}
	if serial == "" && len(cfg.Policy.Robots) == 1 {
		serial = cfg.Policy.Robots[0].Serial
	}
	if _, ok := cfg.Policy.RolesOf(serial); !ok {
		return nil, fmt.Errorf("robot %q: the policy does not list it; name one that it does", serial)
	}
	at, err := moment(c.Time, cfg.Policy.Timezone.Location)
	if err != nil {
		return nil, err
	}
	own := *cfg
	own.Deployment = &config.Deployment{Serial: serial}
	params, err := guard.NewParams(&own, "/robowarden", 1)
	if err != nil {
		return nil, err
	}
	r := &run{
		cfg: &own, c: c, cov: cov, x: c.Start[0], y: c.Start[1], yaw: c.Start[2], silent: map[string]bool{}, stddev: 0.02,
		start: replay.WorldStart + warmUp, expect: make([]state, len(c.Expect)), peer: msg.Peer{ID: 9, Name: "/test", Strength: msg.SourceBound},
	}
	if err := r.setFloor(c.Floor); err != nil {
		return nil, err
	}
	a := replay.Assume{
		Floor: -1, Attested: true,
		Inputs: guard.InputJoints | guard.InputIMU | guard.InputBattery | guard.InputCameras | guard.InputMicrophones,
	}
	r.world, err = replay.NewWorld(params, at.Add(-warmUp).UnixNano(), a, r)
	return r, err
}

// moment reads a time by the policy's clock or RFC 3339.
func moment(s string, zone *time.Location) (time.Time, error) {
	if zone == nil {
		zone = time.UTC
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(form, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("time: expected 2026-11-02T21:55 by the policy's clock, or RFC 3339, found %q", s)
}

func (r *run) setFloor(id string) error {
	p := r.cfg.Policy
	if id == "" {
		id = p.Floors[0].ID
	}
	if r.floor = p.FloorIndex(id); r.floor < 0 {
		return fmt.Errorf("floor %q: the policy has no such floor", id)
	}
	r.frame = r.cfg.Topics.Pose.Frame
	if t := r.cfg.Topics; t.Pose.Type == config.TypeTF && t.TF != nil {
		r.frame = t.TF.Chain[0]
	}
	for _, f := range r.cfg.Topics.Floor.Frames {
		if f.Floor == id {
			r.frame = f.Value
		}
	}
	return nil
}

// play runs the case.
func (r *run) play() error {
	end := r.start + r.c.end() + measure
	inputs := r.c.Inputs
	for at := replay.WorldStart; at <= end; at += measure {
		if at+measure > r.start && at <= r.start && r.cfg.Policy.Startup.Release == "operator" {
			r.world.Advance(at)
			r.world.Reset(interlock.RoleOperator) // Whom the start waits for has released it before the case begins.
		}
		for len(inputs) > 0 && r.start+time.Duration(inputs[0].At) <= at {
			r.world.Advance(at)
			if err := r.input(&inputs[0]); err != nil {
				return err
			}
			inputs = inputs[1:]
		}
		r.world.Advance(at)
		r.sense()
		r.look()
		r.move()
		r.steps++
	}
	return nil
}

// move takes the robot on by one step: as it was told, or as the gate lets it. It is more agile than its profile promises.
func (r *run) move() {
	dt := measure.Seconds()
	if !r.drives {
		var want [3]float64
		if fx := r.world.Sent(); fx.Send {
			want = [3]float64{fx.Command.Linear.X, fx.Command.Linear.Y, fx.Command.Angular.Z}
		} else if r.command != nil && r.world.Core().Decision().Axes.Motion > interlock.MotionHold {
			want = [3]float64{r.vx, r.vy, r.w}
		}
		m := r.cfg.Profile.Motion
		brake := func(v, to, by float64) float64 { return v + math.Max(-by*dt, math.Min(by*dt, to-v)) }
		r.vx, r.vy = brake(r.vx, want[0], agile*m.DecelMPS2), brake(r.vy, want[1], agile*m.DecelMPS2)
		r.w = brake(r.w, want[2], agile*m.AngularDecelRadPS2)
	}
	r.x += (r.vx*math.Cos(r.yaw) - r.vy*math.Sin(r.yaw)) * dt
	r.y += (r.vx*math.Sin(r.yaw) + r.vy*math.Cos(r.yaw)) * dt
	r.yaw = math.Remainder(r.yaw+r.w*dt, 2*math.Pi)
}

func (r *run) header(frame string) msg.Header {
	r.seq++
	return msg.Header{Boot: r.world.Now(), Stamp: r.world.Civil(), Frame: frame, Peer: &r.peer, Seq: r.seq}
}

// sense is what the robot measures of itself, and what the planner asks of it.
func (r *run) sense() {
	if r.cfg.Topics.Floor.Topic != nil && r.steps%50 == 0 {
		r.world.Apply(guard.Event{Kind: guard.EventFloor, Floor: r.floor})
	}
	if !r.silent["pose"] {
		p := msg.Pose{
			Header: r.header(r.frame), HasCovariance: true, Position: msg.Vec3{X: r.x, Y: r.y},
			Orientation: msg.Quat{Z: math.Sin(r.yaw / 2), W: math.Cos(r.yaw / 2)},
		}
		p.Covariance[0], p.Covariance[7], p.Covariance[35] = r.stddev*r.stddev, r.stddev*r.stddev, 4e-4
		if r.cfg.Topics.Pose.Topic == r.cfg.Topics.Odometry.Topic && !r.silent["odometry"] {
			p.HasTwist, p.Twist = true, r.twist()
		}
		r.world.Apply(guard.Event{Kind: guard.EventPose, Pose: &p})
		if s := r.cfg.Topics.SecondPose; s != nil && !r.silent["second pose"] {
			p.Header = r.header(s.Frame)
			r.world.Apply(guard.Event{Kind: guard.EventSecondPose, Pose: &p})
		}
	}
	if !r.silent["odometry"] {
		o := msg.Pose{Header: r.header("odom"), HasTwist: true, Twist: r.twist()}
		r.world.Apply(guard.Event{Kind: guard.EventOdometry, Pose: &o})
	}
	if r.command != nil && r.steps%5 == 0 {
		c := msg.Command{Header: r.header(""), Channel: r.channel}
		c.Stamp, c.Seq = 0, 0 // a Twist has neither
		c.Linear.X, c.Linear.Y, c.Angular.Z = r.command[0], r.command[1], r.command[2]
		r.world.Apply(guard.Event{Kind: guard.EventCommand, Command: &c})
	}
}

func (r *run) twist() msg.Twist {
	return msg.Twist{Linear: msg.Vec3{X: r.vx, Y: r.vy}, Angular: msg.Vec3{Z: r.w}}
}

// See implements replay.Watcher.
func (r *run) See(ev *guard.Event, core *guard.Core, fx *guard.Effects) {
	if fx.Send {
		r.sent = math.Hypot(fx.Command.Linear.X, fx.Command.Linear.Y)
	}
	if ev.Boot < r.start {
		return
	}
	if ev.Kind == guard.EventCommand {
		switch g := core.Gated(); {
		case g.Dropped:
			r.lastGated = "dropped"
		case g.Ratio < 0.999:
			r.lastGated = "cut"
		default:
			r.lastGated = "passed"
		}
	}
	r.cov.see(ev, core)
}

// look holds the decision against the expectations that count now.
func (r *run) look() {
	now := r.world.Now() - r.start
	for i := range r.c.Expect {
		x, s := &r.c.Expect[i], &r.expect[i]
		from, to := x.From, x.To
		if x.At != nil {
			from, to = x.At, x.At
		}
		late := now - time.Duration(*to)
		if now < time.Duration(*from) || late >= measure || late > 0 && s.looked || s.failed != "" {
			continue
		}
		s.looked = true
		if problem := r.judge(x); problem != "" {
			s.failed = fmt.Sprintf("at %v: %s", now.Round(time.Millisecond), problem)
		}
	}
}

func (r *run) failures() []string {
	var out []string
	for i, s := range r.expect {
		switch {
		case s.failed != "":
			out = append(out, fmt.Sprintf("expectation %d %s", i+1, s.failed))
		case !s.looked:
			out = append(out, fmt.Sprintf("expectation %d was never looked at", i+1))
		}
	}
	return out
}

// judge says what differs, empty if nothing.
func (r *run) judge(x *Expect) string {
	core := r.world.Core()
	d := core.Decision()
	a := d.Axes.Normal()
	var bad []string
	word := func(what, want, got string) {
		if want != "" && want != got {
			bad = append(bad, fmt.Sprintf("expected %s %s, found %s", what, want, got))
		}
	}
	word("mode", x.Mode, d.Mode.String())
	word("motion", x.Motion, a.Motion.String())
	word("manipulators", x.Manipulators, a.Manipulators.String())
	word("perception", x.Perception, a.Perception.String())
	word("remote", x.Remote, a.Remote.String())
	word("command", x.Command, r.lastGated)
	if x.MaxSpeedMPS != nil && !(math.Abs(a.MaxSpeedMPS-*x.MaxSpeedMPS) < 1e-6) {
		bad = append(bad, fmt.Sprintf("expected at most %g m/s, found %g", *x.MaxSpeedMPS, a.MaxSpeedMPS))
	}
	if x.SentAtMostMPS != nil && r.sent > *x.SentAtMostMPS+1e-9 {
		bad = append(bad, fmt.Sprintf("expected at most %g m/s sent, found %.3g", *x.SentAtMostMPS, r.sent))
	}
	active := codes(d.ActiveSet)
	for _, t := range x.Triggers {
		if !slices.Contains(active, t) {
			bad = append(bad, fmt.Sprintf("expected trigger %s, found %s", t, listOr(active)))
		}
	}
	for _, t := range x.NotTriggers {
		if slices.Contains(active, t) {
			bad = append(bad, fmt.Sprintf("expected no trigger %s, and it is active", t))
		}
	}
	if x.Zone != "" {
		word("zone "+x.Zone, x.Place, placeIn(core, x.Zone))
	}
	if len(bad) == 0 {
		return ""
	}
	return strings.Join(bad, "; ") + r.where(core)
}

// where tells what the decision was made from.
func (r *run) where(core *guard.Core) string {
	v := core.Verdict()
	zone := ""
	if v.Zone >= 0 {
		zone = ", zone " + core.Set().Zone(v.Zone).ID
	}
	return fmt.Sprintf(" (robot at (%.2f, %.2f), %.2f m/s; active: %s; geofence: %s%s)",
		r.x, r.y, math.Hypot(r.vx, r.vy), listOr(codes(core.Decision().ActiveSet)), v.Reason, zone)
}

func codes(s interlock.TriggerSet) []string {
	var out []string
	for t, ok := s.Next(0); ok; t, ok = s.Next(t + 1) {
		out = append(out, t.String())
	}
	return out
}

func listOr(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func placeIn(core *guard.Core, id string) string {
	v, set := core.Verdict(), core.Set()
	for i := range v.N {
		if set.Zone(v.Near[i].Zone).ID == id {
			switch v.Near[i].Place {
			case geofence.Inside:
				return "inside"
			case geofence.Margin:
				return "margin"
			default:
			}
		}
	}
	if v.Place == geofence.PlaceUnknown {
		return "unknown"
	}
	return "outside"
}
