package guard

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// Figures that no document sets, since no site has a reason to change them.
const (
	// commandSkew is how far ahead a command's stamp may lie.
	commandSkew = 50 * time.Millisecond
	// zeroPeriod is how often zeros go out while no command passes: well inside every base's own timeout.
	zeroPeriod = 50 * time.Millisecond
	// graphMaxAge is how old the bus's answer about a gated topic may be.
	graphMaxAge = 3 * time.Second
	// succession is for how long a publisher that was killed may stay in the tables of a DDS domain beside the one that
	// takes its place: half as much again as the longest usual lease, which is Fast DDS's of 20 s.
	succession = 30 * time.Second
	// batteryLow is the charge below which a robot should go to its dock.
	batteryLow = 0.1
	// batteryMaxAge is how long a battery may be silent: gauges speak seldom, and charge changes slowly.
	batteryMaxAge = time.Minute
	// badCommandHold is how long an impossible command counts. It is less than the trigger's start delay, so that a single
	// one holds nothing.
	badCommandHold = 90 * time.Millisecond
	// armStill is the joint speed in rad/s under which an arm counts as still.
	armStill = 0.1
)

// NewParams turns a loaded configuration into what a Core decides by. self is the guard's own name on the bus; epoch is
// the oldest civil time that can be true, in nanoseconds since the Unix epoch.
func NewParams(cfg *config.Config, self string, epoch int64) (*Params, error) {
	set, err := geofence.Compile(cfg.Policy.Fence(cfg.Profile, cfg.Topics))
	if err != nil {
		return nil, fmt.Errorf("zones: %w", err)
	}
	roles, err := roleBits(cfg, set)
	if err != nil {
		return nil, err
	}
	p := &Params{
		Set: set, Rules: cfg.Policy.Interlock(), Roles: roles,
		Pose:       poseParams(cfg),
		Joints:     jointParams(cfg.Profile),
		Standstill: cfg.Profile.StandstillSpec(),
		Ladder:     ladder(cfg.Profile),
		Gate:       gate(cfg),
		Loop:       interlock.LoopConfig{Deadline: 5 * TickPeriod, Hard: 15 * TickPeriod, Misses: 3, Forgive: 10 * time.Second},
		Clock:      interlock.ClockConfig{Threshold: 2 * time.Second, MaxDriftPPM: 500, Hold: 5 * time.Second, Floor: epoch},
		Channels:   channels(cfg.Topics, cfg.Policy),
		Health:     health(cfg),
		Follow:     cfg.Profile.FollowSpec(),
		Fall:       cfg.Profile.FallSpec(),
		Posture:    postureParams(cfg.Profile),
		Heartbeats: cfg.Policy.HeartbeatSpecs(),
		Watches:    watches(cfg.Topics, cfg.Profile.Bus, self),
		Processes:  processDemands(cfg.Topics),
		Devices:    [2]DeviceSet{devices(cfg.Topics.Cameras), devices(cfg.Topics.Microphones)},
		Recorders:  len(cfg.Profile.Recorders) > 0,
		Artifacts:  artifactDemands(cfg.Policy),
		Required:   required(cfg.Profile),
		Overrides:  cfg.Policy.OverrideSpecs(),

		Commissioning: cfg.Profile.CommissioningDue() > 0, Trial: cfg.Profile.TrialSpec(), BaseTimeout: cfg.Profile.Motion.BaseCommandTimeout,

		InputTimeout: cfg.Policy.Startup.InputTimeout,
		CreepMPS:     cfg.Profile.Motion.CreepMPS,
		Advisory:     !cfg.Profile.Enforcing(),
		BatteryLow:   batteryLow,
		HasBattery:   cfg.Topics.Battery != nil,
		Gates:        gates(cfg),
	}
	if cfg.Profile.Joints != nil {
		for _, j := range cfg.Profile.Joints.List {
			p.JointNames = append(p.JointNames, j.Name)
		}
	}
	p.Doors = doors(cfg, set)
	p.Facts = facts(cfg, set, p.Doors)
	if i, ok := set.RoleIndex(cfg.Policy.FenceUnattested()); ok {
		p.Unattested = 1 << i
	}
	p.Actuators, p.Inputs = devicesOf(cfg.Profile)
	if cfg.Topics.Lock != nil {
		p.LockPeriod = cfg.Topics.Lock.Period()
	}
	for _, c := range cfg.Policy.Channels {
		p.HeartbeatNames = append(p.HeartbeatNames, c.Endpoint)
	}
	for _, c := range p.Channels {
		p.HasDock = p.HasDock || c.Dock
	}
	p.DockLoads = cfg.Profile.DockLoads()
	return p, nil
}

func roleBits(cfg *config.Config, set *geofence.Set) (uint64, error) {
	names, ok := cfg.Policy.FenceRoles(cfg.Deployment.Serial)
	if !ok {
		return 0, fmt.Errorf("policy %q does not list robot %q under robots; add it with its roles", cfg.Policy.ID, cfg.Deployment.Serial)
	}
	var bits uint64
	for _, name := range names {
		i, ok := set.RoleIndex(name)
		if !ok {
			return 0, fmt.Errorf("role %q of robot %q is not in the policy's roles", name, cfg.Deployment.Serial)
		}
		bits |= 1 << i
	}
	return bits, nil
}

func poseParams(cfg *config.Config) PoseParams {
	t := cfg.Topics
	p := PoseParams{Frame: t.Pose.Frame, Floor: -1, OdometryIsPose: t.Pose.Topic == t.Odometry.Topic}
	if t.SecondPose != nil {
		p.SecondFrame = t.SecondPose.Frame
	}
	if t.Floor.Fixed != "" {
		p.Floor = cfg.Policy.FloorIndex(t.Floor.Fixed)
	}
	for _, f := range t.Floor.Frames {
		p.Frames = append(p.Frames, FrameFloor{Frame: f.Value, Floor: cfg.Policy.FloorIndex(f.Floor)})
	}
	if t.Pose.Type == config.TypeTF && t.TF != nil {
		p.Chain = t.TF.Chain
		p.Frame = t.TF.Chain[0]
	}
	return p
}

func jointParams(profile *config.Profile) JointParams {
	var p JointParams
	if profile.Joints == nil {
		return p
	}
	p.N, p.MaxAge, p.ArmsBelow = len(profile.Joints.List), profile.Joints.MaxAge, armStill
	for _, i := range profile.StandstillJoints() {
		p.Carrying |= 1 << i
	}
	for i, j := range profile.Joints.List {
		p.Min[i], p.Max[i], p.MaxVelocity[i] = math.Inf(-1), math.Inf(1), j.MaxVelocity
		if j.Min != nil {
			p.Min[i] = *j.Min
		}
		if j.Max != nil {
			p.Max[i] = *j.Max
		}
		if j.Group == "arm" || j.Group == "hand" {
			p.Arms |= 1 << i
		}
	}
	return p
}

// ladder is the profile's, with one difference: zero velocity and the lock are written without an answer, and only a
// service can acknowledge.
func ladder(profile *config.Profile) interlock.LadderConfig {
	out := profile.LadderSpec()
	for i := range out.N {
		if k := out.Rungs[i].Kind; k == interlock.RungZeroVelocity || k == interlock.RungLock {
			out.Rungs[i].AckWithin = 0
		}
	}
	return out
}

// postureParams is the profile's way down, with the rungs by their place.
func postureParams(profile *config.Profile) PostureParams {
	p := PostureParams{Config: profile.PostureSpec()}
	for i := range p.Rungs {
		p.Rungs[i] = -1
		if i < p.Config.N && profile.Posture.Steps[i].Rung != "" {
			p.Rungs[i] = slices.IndexFunc(profile.Ladder, func(r config.Rung) bool { return r.Name == profile.Posture.Steps[i].Rung })
		}
	}
	return p
}

// devicesOf are the profile's devices and inputs.
func devicesOf(profile *config.Profile) (actuators []ActuatorParams, inputs []InputParams) {
	for _, a := range profile.Actuators {
		// The configuration's check has found each device's rung.
		rung := slices.IndexFunc(profile.Ladder, func(r config.Rung) bool { return r.Actuator == a.Name })
		actuators = append(actuators, ActuatorParams{Name: a.Name, Rung: rung})
	}
	means := map[string]interlock.Trigger{
		config.InputEStop: interlock.InputEStop, config.InputDoor: interlock.InputDoor, config.InputBumper: interlock.InputBumper,
	}
	for _, in := range profile.Inputs {
		inputs = append(inputs, InputParams{Name: in.Name, Means: means[in.Means]})
	}
	return actuators, inputs
}

func gate(cfg *config.Config) interlock.GateConfig {
	out := interlock.GateConfig{MaxSkew: commandSkew, ZeroPeriod: zeroPeriod}
	for _, c := range cfg.Topics.Commands {
		// The gate has one timeout; the strictest channel sets it.
		if out.CommandTimeout == 0 || c.Deadline < out.CommandTimeout {
			out.CommandTimeout = c.Deadline
		}
	}
	out.RadiusM = cfg.Profile.LargestRadiusM()
	return out
}

// health is what each command channel has to be like, the frame that its commands are given in included.
func health(cfg *config.Config) []interlock.ChannelConfig {
	out := cfg.Policy.ChannelSpecs(cfg.Topics, commandSkew)
	for i := range out {
		out[i].Frame = frameDigest(cfg.Topics.Commands[i].Frame)
	}
	return out
}

func channels(t *config.Topics, policy *config.Policy) []ChannelParams {
	var out []ChannelParams
	for i, c := range t.Commands {
		out = append(out, ChannelParams{
			Name: c.Channel, Dock: c.Dock, Frame: c.Frame, Kind: channelKind(c.Kind), CommanderParams: commander(policy.Commander(c.Channel), i),
		})
	}
	return out
}

func channelKind(kind string) interlock.ChannelKind {
	switch kind {
	case "operator":
		return interlock.ChannelOperator
	case "fleet":
		return interlock.ChannelFleet
	case "vendor":
		return interlock.ChannelVendor
	case "autonomy":
		return interlock.ChannelAutonomy
	}
	return interlock.ChannelUnknown
}

// gates are those for commands that are passed on whole or not at all, in the mapping's order.
func gates(cfg *config.Config) []GateParams {
	axes := map[string]interlock.Axis{
		"motion": interlock.AxisMotion, "manipulators": interlock.AxisManipulators, "perception": interlock.AxisPerception, "remote": interlock.AxisRemote,
	}
	modes := map[string]GateMode{config.GateInline: GateInline, config.GateLock: GateLock, config.GateMonitor: GateMonitor}
	var out []GateParams
	for i := range cfg.Topics.Gates {
		g := &cfg.Topics.Gates[i]
		p := GateParams{
			Subject: uint16(len(cfg.Topics.Commands) + len(cfg.Topics.Monitored) + i + 1), //nolint:gosec // at most 16 of each
			Name:    g.Name, Mode: modes[g.Mode], Frame: g.Frame, Timed: g.Type == config.TypeTrajectory, Ends: g.Holds(cfg.Profile.Bus) != "",
			Config: interlock.DemandConfig{
				Kind: interlock.DemandOpaque, Axis: axes[g.Axis], Channel: channelKind(g.Kind), Dock: g.Dock, Timeout: g.Deadline, MaxSkew: commandSkew,
			},
		}
		switch g.Reads {
		case config.ReadsGoal:
			p.Config.Kind, p.Config.Axis, p.Config.Cancels = interlock.DemandGoal, interlock.AxisMotion, p.Ends
		case config.ReadsJoints:
			p.Config.Kind, p.Config.Axis = interlock.DemandJoints, interlock.AxisManipulators
			p.Config.Reduced, p.Config.Reach, p.Config.Slack = cfg.Profile.Joints.LimitedShare, g.Reach, g.StartSlack
			p.Config.Streamed = g.Quantity == "velocities"
			jointLimits(cfg.Profile, g, &p.Config)
		}
		out = append(out, p)
	}
	return out
}

// commander is what the policy demands of a channel's commanders.
func commander(c *config.Commander, channel int) CommanderParams {
	if c == nil {
		return CommanderParams{Unstated: true}
	}
	p := CommanderParams{
		Proven: c.Authenticity == config.AuthenticityRequired, Reason: c.Reason, Session: c.Session == config.AuthenticityRequired,
	}
	for s := msg.Claimed; s <= msg.Authenticated; s++ {
		if s.String() == c.Strength {
			p.Least = s
		}
	}
	if p.Proven {
		p.Proof = interlock.ProofConfig{
			Subject: uint16(channel + 1), Keys: len(c.Keys), Period: c.ChallengePeriod, Lifetime: c.ChallengeLifetime, //nolint:gosec // at most MaxChannels
		}
	}
	return p
}

// jointLimits are the profile's.
func jointLimits(profile *config.Profile, g *config.Gate, out *interlock.DemandConfig) {
	for _, i := range g.Order(profile) {
		j := &profile.Joints.List[i]
		l := interlock.JointLimit{Min: math.Inf(-1), Max: math.Inf(1), Velocity: j.MaxVelocity, Effort: math.NaN()}
		if j.Min != nil {
			l.Min = *j.Min
		}
		if j.Max != nil {
			l.Max = *j.Max
		}
		if j.MaxEffort != nil {
			l.Effort = *j.MaxEffort
		}
		out.Joints |= 1 << i
		out.Limits[i] = l
	}
}

// watches are the topics whose publishers are watched. Those of the command inputs come first, in their order, so that
// they are numbered as the channels and the subscriptions are; monitored ones go on counting.
func watches(t *config.Topics, bus, self string) []WatchParams {
	var out []WatchParams
	input := func(topic string, publishers []string, most int) WatchParams {
		w := WatchParams{Topic: topic, Kind: WatchInput, Input: len(out), Config: interlock.PublisherConfig{
			Subject: uint16(len(out) + 1), //nolint:gosec // the mapping has at most 16 of each
			Self:    self, Allowed: nameList(publishers), Max: most, MaxAge: graphMaxAge,
		}}
		if bus == config.BusROS2 {
			w.Config.Succession = succession
		}
		for i, name := range publishers {
			w.Config.Shared[i] = config.IsAddress(name)
		}
		return w
	}
	for _, c := range t.Commands {
		out = append(out, input(c.Topic, c.Publishers, c.MaxPublishers))
	}
	for _, m := range t.Monitored {
		w := input(m.Topic, m.Publishers, m.MaxPublishers)
		w.Kind, w.Input, w.Name = WatchMonitored, -1, m.Name
		out = append(out, w)
	}
	for _, g := range t.Gates {
		w := input(g.Topic, g.Publishers, g.MaxPublishers)
		w.Name = g.Name
		if g.Mode == config.GateMonitor {
			w.Kind = WatchMonitored
		}
		out = append(out, w)
	}
	output := interlock.PublisherConfig{Output: true, Self: self, AskConsumer: bus == config.BusROS1, MaxAge: graphMaxAge}
	out = append(out, WatchParams{Topic: t.CommandOut.Topic, Kind: WatchOutput, Input: -1, Config: output})
	for _, g := range t.Gates {
		for _, topic := range []string{g.Out, g.Lock} {
			if topic != "" {
				out = append(out, WatchParams{Topic: topic, Kind: WatchOutput, Name: g.Name, Input: -1, Config: output})
			}
		}
	}
	if t.Lock != nil {
		out = append(out, WatchParams{Topic: t.Lock.Topic, Kind: WatchLock, Input: -1, Config: output})
	}
	return out
}

// processDemands are the processes that the mapping demands, in its order.
func processDemands(t *config.Topics) []ProcessDemand {
	var out []ProcessDemand
	for _, p := range t.Processes {
		d := ProcessDemand{Node: p.Node, Unit: p.Unit, HasUID: p.UID != nil, HasExe: p.ExeSHA256 != ""}
		if d.HasUID {
			d.UID = uint32(*p.UID) //nolint:gosec // the mapping's range is that of a uid
		}
		// The mapping's form allows nothing but the digits of a digest.
		_, _ = hex.Decode(d.Exe[:], []byte(p.ExeSHA256))
		out = append(out, d)
	}
	return out
}

// devices says how many there are and which show by a stream that they are active.
func devices(list []config.Device) DeviceSet {
	out := DeviceSet{N: len(list)}
	for i, d := range list {
		out.Names = append(out.Names, d.Topic)
		if d.Type == config.TypeCameraInfo {
			out.Streams |= 1 << i
		}
	}
	return out
}

// artifactDemands are the artifacts that the policy demands, in its order.
func artifactDemands(p *config.Policy) []ArtifactDemand {
	var out []ArtifactDemand
	for _, a := range p.Artifacts {
		out = append(out, ArtifactDemand{Name: a.Name, Manipulators: a.Governs == config.GovernsManipulators})
	}
	return out
}

func nameList(names []string) interlock.Names {
	var out interlock.Names
	out.N = copy(out.Name[:], names)
	return out
}

func required(profile *config.Profile) InputSet {
	bits := map[string]InputSet{
		"pose": InputPose, "floor": InputFloor, "odometry": InputOdometry, "joints": InputJoints, "imu": InputIMU,
		"battery": InputBattery, "cameras": InputCameras, "microphones": InputMicrophones, "graph": InputGraph,
	}
	var out InputSet
	for _, name := range profile.RequiredInputs {
		out |= bits[name]
	}
	return out
}
