package guard

import (
	"math"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// Status is the guard's state in people's terms. All strings are the vocabulary of policies and the trigger table.
type Status struct {
	// BootS is the boot clock in seconds at which the status was taken.
	BootS float64 `json:"boot_s"`
	// Mode is the leading mode; Axes are what is restricted.
	Mode string     `json:"mode"`
	Axes AxesStatus `json:"axes"`
	// StopCategory is "category 1", "category 2" or "none" (IEC 60204-1).
	StopCategory string `json:"stop_category"`
	// Advisory is true while no actuator works without ROS's goodwill.
	Advisory bool `json:"advisory"`
	// AtRest is true while standstill is confirmed by two sources.
	AtRest bool `json:"at_rest"`
	// Ladder is the phase of the stop ladder.
	Ladder string `json:"ladder"`
	// Posture is the way down of a robot that stands by balance.
	Posture *PostureStatus `json:"posture,omitempty"`
	// Triggers restrict the robot now, worst first.
	Triggers []TriggerStatus `json:"triggers"`
	// Channels are the heartbeat endpoints.
	Channels []ChannelStatus `json:"channels"`
	// Pose, Place and the rest say where the robot is.
	Floor    string       `json:"floor"`
	X        float64      `json:"x_m"`
	Y        float64      `json:"y_m"`
	Yaw      float64      `json:"yaw_rad"`
	SpeedMPS float64      `json:"speed_mps"`
	Place    string       `json:"place"`
	PoseAge  float64      `json:"pose_age_s"`
	Required float64      `json:"required_m"`
	Zones    []ZoneStatus `json:"zones"`
	// Parts are the zones that a part of the body or a camera is in, or may be.
	Parts []PartStatus `json:"parts,omitempty"`
	// Leases are the answers to requests for RELEASE and DOOR zones.
	Leases []LeaseStatus `json:"leases"`
	// Loads are what the robot is taken to carry, Facts what their sources say.
	Loads []string     `json:"loads,omitempty"`
	Facts []FactStatus `json:"facts,omitempty"`
	// DockDenied says why the robot holds although it should return to its dock.
	DockDenied string `json:"dock_denied,omitempty"`
	// Refuge is true while a hold is a creep out of a NO_STOP zone.
	Refuge bool `json:"refuge,omitempty"`
	// Gate says what became of the last command.
	Gate string `json:"gate"`
	// Gates are those for commands that are passed on whole or not at all.
	Gates []GateStatus `json:"gates,omitempty"`
	// Attacks counts calls that no honest peer makes.
	Attacks uint64 `json:"attacks"`
	// Missing lists required inputs that have never been seen.
	Missing []string `json:"missing"`
	// Overdue is true once they are missing for longer than the policy's startup.input_timeout.
	Overdue bool `json:"inputs_overdue"`
	// Attestation is what a verifier has said about this robot.
	Attestation AttestationStatus `json:"attestation"`
	// Actuators are the devices of the stop ladder, Inputs the contacts that the guard reads.
	Actuators []DeviceStatus `json:"actuators,omitempty"`
	Inputs    []DeviceStatus `json:"inputs,omitempty"`
	// PolicyWaits is true while looser parts of a new policy wait for standstill.
	PolicyWaits bool `json:"policy_waits"`
	// Commanders says how those who command have to prove themselves, by channel.
	Commanders []CommanderStatus `json:"commanders,omitempty"`
	// Overrides are the triggers' overrides in force, Sessions those of remote control that are open.
	Overrides []OverrideStatus `json:"overrides,omitempty"`
	Sessions  []SessionStatus  `json:"sessions,omitempty"`
	// Commands are the command channels and how well they work.
	Commands []CommandStatus `json:"command_channels"`
}

// CommandStatus is how well one way to command the robot works.
type CommandStatus struct {
	Name string `json:"name"`
	// Kind is operator, fleet, vendor or autonomy.
	Kind string `json:"kind"`
	// Health is idle, good, degraded, lost or hostile, and Cause why it is not good.
	Health string `json:"health"`
	Cause  string `json:"cause,omitempty"`
	// SilentS is for how long nothing has come, -1 while nothing ever has.
	SilentS float64 `json:"silent_s"`
	// RateHz and JitterMS are known while commands come.
	RateHz   float64 `json:"rate_hz,omitempty"`
	JitterMS float64 `json:"jitter_ms,omitempty"`
	// LatencyMS and SkewMS are known where commands carry stamps, LossRatio where they carry numbers.
	LatencyMS *float64 `json:"latency_ms,omitempty"`
	SkewMS    *float64 `json:"skew_ms,omitempty"`
	LossRatio float64  `json:"loss_ratio,omitempty"`
}

// AttestationStatus is how far the robot is attested.
type AttestationStatus struct {
	// State is "unattested", "attested", "expired" or "failed".
	State string `json:"state"`
	// Tier is what the evidence was signed by: "tpm", "software-key", or "none".
	Tier string `json:"tier"`
	// LeftS is for how long the result counts, in seconds.
	LeftS float64 `json:"left_s,omitempty"`
}

// AxesStatus names the restriction on each axis.
type AxesStatus struct {
	Motion       string  `json:"motion"`
	MaxSpeedMPS  float64 `json:"max_speed_mps,omitempty"`
	Manipulators string  `json:"manipulators"`
	Perception   string  `json:"perception"`
	Remote       string  `json:"remote"`
}

// TriggerStatus is one active trigger.
type TriggerStatus struct {
	Code     string  `json:"code"`
	Title    string  `json:"title"`
	Text     string  `json:"text"`
	Cause    string  `json:"cause"`
	Subject  string  `json:"subject,omitempty"`
	Present  bool    `json:"present"`
	Latched  bool    `json:"latched"`
	Clear    string  `json:"clear"`
	SinceS   float64 `json:"since_s"`
	Playbook string  `json:"playbook"`
}

// ChannelStatus is one heartbeat endpoint.
type ChannelStatus struct {
	Name  string `json:"name"`
	Phase string `json:"phase"`
}

// ZoneStatus is one zone that matters now.
type ZoneStatus struct {
	ID         string  `json:"id"`
	Place      string  `json:"place"`
	MarginM    float64 `json:"margin_m"`
	AllowedMPS float64 `json:"allowed_mps"`
	// Rule is the geofence's word for what the zone does to the robot now.
	Rule string `json:"rule"`
}

// PartStatus is one zone that restricts a part of the body or a camera.
type PartStatus struct {
	Zone string `json:"zone"`
	// Part is the link, or the camera; empty where none is near any more and the zone still holds.
	Part string `json:"part"`
	// Place is inside or margin; MarginM is the distance in metres, NeedM what errors and the way to rest take of it.
	Place   string  `json:"place"`
	MarginM float64 `json:"margin_m"`
	NeedM   float64 `json:"need_m"`
	// Rule is the geofence's word: part-inside, part-margin, part-unknown, view.
	Rule string `json:"rule"`
}

// partStatus names what the geofence found about parts and cameras.
func (c *Core) partStatus() []PartStatus {
	var out []PartStatus
	v, set := &c.verdict.Parts, c.params.Set
	for i := range v.N {
		p := &v.Near[i]
		s := PartStatus{
			Zone: set.Zone(p.Zone).ID, Part: set.Part(p.Part), Place: placeName(p.Place), MarginM: number(p.MarginM), NeedM: number(p.NeedM),
			Rule: p.Reason.String(),
		}
		if p.View {
			s.Part = set.Camera(p.Part)
		}
		out = append(out, s)
	}
	return out
}

// Brief is what a status says that changes rarely. Briefs can be compared: who shows a status again and again asks for one
// first, which allocates nothing.
type Brief struct {
	Mode        interlock.Mode
	Axes        interlock.Axes
	Active      interlock.TriggerSet
	Missing     InputSet
	Overdue     bool
	Advisory    bool
	Attestation string
}

// Brief takes the state as it is now.
func (g *Guard) Brief() Brief {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.opt.Core
	return Brief{
		Mode: c.decision.Mode, Axes: c.decision.Axes, Active: c.decision.ActiveSet, Missing: c.params.Required &^ c.body.seen,
		Overdue: c.overdue(c.now.Boot), Advisory: c.advisory(c.now.Boot), Attestation: c.trust.status(c.now.Boot).State,
	}
}

// Status takes the state as it is now. It allocates, so it is for tools and pages, a few times a second.
func (g *Guard) Status() Status {
	var s Status
	g.With(func(c *Core) { s = c.status() })
	return s
}

// AtRest is true while standstill is confirmed.
func (g *Guard) AtRest() bool {
	var rest bool
	g.With(func(c *Core) { rest = c.motion.State == interlock.Standing })
	return rest
}

func (c *Core) status() Status {
	d, v := &c.decision, &c.verdict
	s := Status{
		BootS: c.now.Boot.Seconds(), Mode: d.Mode.String(), StopCategory: d.Category.String(),
		Axes: AxesStatus{
			Motion: d.Axes.Motion.String(), Manipulators: d.Axes.Manipulators.String(),
			Perception: d.Axes.Perception.String(), Remote: d.Axes.Remote.String(),
		},
		Advisory: c.advisory(c.now.Boot), AtRest: c.motion.State == interlock.Standing, Ladder: c.rungs.Phase.String(),
		X: number(c.body.pose.p.X), Y: number(c.body.pose.p.Y), SpeedMPS: number(c.body.velocity.speed()),
		Place: placeName(v.Place), PoseAge: number(v.AgeS), Required: number(v.RequiredM),
		Gate: c.gated.Reason.String(), Attacks: c.attacks, PolicyWaits: d.PolicyWaits || c.pending != nil,
	}
	if !math.IsInf(d.Axes.MaxSpeedMPS, 0) {
		s.Axes.MaxSpeedMPS = number(d.Axes.MaxSpeedMPS)
	}
	q := c.body.pose.q
	// For people only, so the platform's own Atan2 is good enough.
	s.Yaw = number(math.Atan2(2*(q.W*q.Z+q.X*q.Y), 1-2*(q.Y*q.Y+q.Z*q.Z)))
	if v.Floor >= 0 {
		s.Floor = c.params.Set.Floor(v.Floor)
	}
	s.Leases, s.Refuge = c.leaseStatus(), d.Refuge
	if d.Dock != interlock.DockAllowed {
		s.DockDenied = d.Dock.String()
	}
	s.Parts, s.Posture = c.partStatus(), c.postureStatus()
	s.Loads, s.Facts = c.params.Set.LoadNames(v.Loads), c.factStatus()
	s.Gates = c.gateStatus()
	s.Missing, s.Overdue = c.missing(), c.overdue(c.now.Boot)
	s.Attestation = c.trust.status(c.now.Boot)
	s.Actuators, s.Inputs = c.deviceStatus(c.now.Boot)
	s.Commanders = c.commanderStatus()
	s.Overrides, s.Sessions = c.authorityStatus()
	for i := range d.N {
		s.Triggers = append(s.Triggers, c.describe(&d.Active[i]))
	}
	for i := range c.beats {
		s.Channels = append(s.Channels, ChannelStatus{Name: c.params.HeartbeatNames[i], Phase: c.beatStatus[i].Phase.String()})
	}
	s.Commands = c.commandStatus()
	for i := range v.N {
		z := &v.Near[i]
		s.Zones = append(s.Zones, ZoneStatus{
			ID: c.params.Set.Zone(z.Zone).ID, Place: placeName(z.Place), MarginM: number(z.MarginM), AllowedMPS: number(z.AllowedMPS),
			Rule: z.Reason.String(),
		})
	}
	return s
}

// describe puts an active trigger into words.
func (c *Core) describe(a *interlock.Active) TriggerStatus {
	info := a.Trigger.Info()
	return TriggerStatus{
		Code: info.Code, Title: info.Title, Text: info.Text, Playbook: info.Playbook,
		Cause: a.Cause.Text(), Subject: c.subject(a), Present: a.State != interlock.Clear,
		Latched: c.decision.LatchedSet.Has(a.Trigger), Clear: a.Clear.String(), SinceS: (c.now.Boot - a.Since).Seconds(),
	}
}

// subject names what a trigger's number means.
func (c *Core) subject(a *interlock.Active) string {
	n := int(a.Subject) - 1
	if n < 0 {
		return ""
	}
	if name := c.deviceName(a.Trigger, n); name != "" {
		return name
	}
	if a.Trigger == interlock.PublisherProcess || a.Trigger == interlock.PublisherUnproven {
		if n < len(c.params.Processes) {
			return c.params.Processes[n].Node
		}
		return ""
	}
	if t := a.Trigger; t >= interlock.ArtifactUntrusted && t <= interlock.ManipulationUnproven {
		if n < len(c.params.Artifacts) {
			return c.params.Artifacts[n].Name
		}
		return ""
	}
	if a.Trigger == interlock.CommandUnproven && n < len(c.params.Channels) {
		return c.params.Channels[n].Name
	}
	switch a.Trigger.Info().Class {
	case interlock.ClassZone:
		return c.params.Set.Zone(n).ID
	case interlock.ClassPublisher:
		if n < len(c.params.Channels) {
			return c.params.Channels[n].Name
		}
		for i := range c.params.Watches {
			if w := &c.params.Watches[i]; w.Config.Subject == a.Subject {
				return w.Name
			}
		}
	case interlock.ClassChannel:
		return c.channelName(a.Trigger, n)
	case interlock.ClassPose, interlock.ClassBody, interlock.ClassBus, interlock.ClassSelf, interlock.ClassOrder,
		interlock.ClassActuation, interlock.NumClasses:
	}
	return ""
}

// missing names the required inputs that have not been seen.
func (c *Core) missing() []string {
	names := [...]string{"pose", "floor", "odometry", "joints", "imu", "battery", "cameras", "microphones", "graph"}
	var out []string
	for i, name := range names {
		if c.params.Required&^c.body.seen&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

// Overdue says whether required inputs have been missing for longer than the policy gives a start, and which are missing.
func (c *Core) Overdue() (bool, []string) { return c.overdue(c.now.Boot), c.missing() }

// number keeps JSON readable: it has no NaN and no infinity.
func number(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return -1
	}
	return v
}

func placeName(p geofence.Place) string {
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

// ChannelLevel is the level that a challenge to an endpoint carries: how far the channel has come, so that a desk knows
// whether it has to check in at stop first.
func (c *Core) ChannelLevel(endpoint int) string {
	switch c.beatStatus[endpoint].Phase {
	case interlock.HeartbeatCheckedIn:
		return "checked-in"
	case interlock.HeartbeatRunning:
		return "running"
	case interlock.HeartbeatStopped:
		return "stopped"
	case interlock.HeartbeatAway:
	}
	return "away"
}

// Terminate holds the robot for an orderly end. There is no way back: a new run starts closed.
func (g *Guard) Terminate() { g.begin(EventEnd); g.finish() }
