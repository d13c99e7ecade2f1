package guard

import (
	"fmt"
	"math"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
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
	// lostGrace is how long a confirmed standstill may be contradicted or go unmeasured.
	lostGrace = 500 * time.Millisecond
	// measurementMaxAge bounds odometry, joints and IMU as sources of standstill.
	measurementMaxAge = 300 * time.Millisecond
	// batteryLow is the charge below which a robot should go to its dock.
	batteryLow = 0.1
	// armStill is the joint speed in rad/s under which an arm counts as still.
	armStill = 0.1
)

// NewParams turns a loaded configuration into what a Core decides by. self is the guard's own name on the bus; epoch is
// the oldest civil time that can be true, in nanoseconds since the Unix epoch.
func NewParams(cfg *config.Config, self string, epoch int64) (*Params, error) {
	spec, robot, err := cfg.Policy.Fence(cfg.Profile)
	if err != nil {
		return nil, fmt.Errorf("zones: %w", err)
	}
	set, err := geofence.Compile(spec, robot)
	if err != nil {
		return nil, fmt.Errorf("zones: %w", err)
	}
	rules, err := cfg.Policy.Interlock()
	if err != nil {
		return nil, fmt.Errorf("triggers: %w", err)
	}
	roles, err := roleBits(cfg, set)
	if err != nil {
		return nil, err
	}
	p := &Params{
		Set: set, Rules: rules, Roles: roles,
		Pose:       poseParams(cfg),
		Joints:     jointParams(cfg.Profile),
		Standstill: standstill(cfg),
		Ladder:     ladder(cfg.Profile),
		Gate:       gate(cfg),
		Loop:       interlock.LoopConfig{Deadline: 5 * TickPeriod, Hard: 15 * TickPeriod, Misses: 3, Forgive: 10 * time.Second},
		Clock:      interlock.ClockConfig{Threshold: 2 * time.Second, MaxDriftPPM: 500, Hold: 5 * time.Second, Floor: epoch},
		Channels:   channels(cfg.Topics),
		Heartbeats: heartbeats(cfg),
		Watches:    watches(cfg.Topics, self),
		Required:   required(cfg.Profile),
		Advisory:   !cfg.Profile.Enforcing(),
		BatteryLow: batteryLow,
		HasBattery: cfg.Topics.Battery != nil,
	}
	if cfg.Topics.Lock != nil {
		p.LockPeriod = cfg.Topics.Lock.Period()
	}
	for _, c := range cfg.Policy.Channels {
		p.HeartbeatNames = append(p.HeartbeatNames, c.Endpoint)
	}
	for _, c := range p.Channels {
		p.HasDock = p.HasDock || c.Dock
	}
	return p, nil
}

func roleBits(cfg *config.Config, set *geofence.Set) (uint64, error) {
	names, ok := cfg.Policy.RolesOf(cfg.Deployment.Serial)
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
	carrying := map[string]bool{}
	if s := profile.Motion.Standstill.Joints; s != nil {
		for _, g := range s.Groups {
			carrying[g] = true
		}
	}
	for i, j := range profile.Joints.List {
		p.Min[i], p.Max[i], p.MaxVelocity[i] = math.Inf(-1), math.Inf(1), j.MaxVelocity
		if j.Min != nil {
			p.Min[i] = *j.Min
		}
		if j.Max != nil {
			p.Max[i] = *j.Max
		}
		if carrying[j.Group] {
			p.Carrying |= 1 << i
		}
		if j.Group == "arm" || j.Group == "hand" {
			p.Arms |= 1 << i
		}
	}
	return p
}

func standstill(cfg *config.Config) interlock.StandstillConfig {
	s := cfg.Profile.Motion.Standstill
	out := interlock.StandstillConfig{
		Linear:  interlock.SourceConfig{Used: true, Below: s.SpeedMPS, MaxAge: measurementMaxAge},
		Angular: interlock.SourceConfig{Used: true, Below: s.YawRateRadPS, MaxAge: measurementMaxAge},
		Dwell:   s.Dwell,
	}
	if s.IMU != nil {
		out.IMU = interlock.SourceConfig{Used: true, Below: s.IMU.GyroRadPS, MaxAge: measurementMaxAge}
	}
	if s.Joints != nil {
		out.Joints = interlock.SourceConfig{Used: true, Below: s.Joints.Velocity, MaxAge: measurementMaxAge}
	}
	return out
}

func ladder(profile *config.Profile) interlock.LadderConfig {
	m := profile.Motion
	out := interlock.LadderConfig{
		N: len(profile.Ladder), React: m.Reaction.Total(), DecelMPS2: m.DecelMPS2, MaxSpeedMPS: m.MaxSpeedMPS,
		ConfirmDwell: m.Standstill.Dwell, LostGrace: lostGrace,
	}
	for i, r := range profile.Ladder {
		out.Rungs[i] = interlock.Rung{Kind: rungKind(r.Kind), Independent: r.WithoutROS}
		if r.Kind == config.RungService || r.Kind == config.RungDockService {
			// Zero velocity and the lock are written without an answer; only a service can acknowledge.
			out.Rungs[i].AckWithin = r.AckWithin
		}
	}
	return out
}

func rungKind(name string) interlock.RungKind {
	for k := range interlock.NumRungKinds {
		if k.String() == name {
			return k
		}
	}
	return interlock.RungUnknown
}

func gate(cfg *config.Config) interlock.GateConfig {
	out := interlock.GateConfig{MaxSkew: commandSkew, ZeroPeriod: zeroPeriod}
	for _, c := range cfg.Topics.Commands {
		// The gate has one timeout; the strictest channel sets it.
		if out.CommandTimeout == 0 || c.Deadline < out.CommandTimeout {
			out.CommandTimeout = c.Deadline
		}
	}
	for _, v := range cfg.Profile.Body.Footprint {
		out.RadiusM = max(out.RadiusM, math.Sqrt(v.X*v.X+v.Y*v.Y))
	}
	return out
}

func channels(t *config.Topics) []ChannelParams {
	var out []ChannelParams
	for _, c := range t.Commands {
		p := ChannelParams{Name: c.Channel, Dock: c.Dock, Kind: interlock.ChannelAutonomy}
		switch c.Channel {
		case "operator":
			p.Kind = interlock.ChannelOperator
		case "fleet":
			p.Kind = interlock.ChannelFleet
		case "vendor":
			p.Kind = interlock.ChannelVendor
		}
		out = append(out, p)
	}
	return out
}

// heartbeats sets up one watch for each of the policy's channels, in their order.
func heartbeats(cfg *config.Config) []interlock.HeartbeatConfig {
	var out []interlock.HeartbeatConfig
	for i, c := range cfg.Policy.Channels {
		out = append(out, interlock.HeartbeatConfig{
			Subject: uint16(i + 1), //nolint:gosec // the policy has at most 16 channels
			Period:  c.Period, AnswerWithin: c.HoldAfter, LateAfter: c.HoldAfter, LostAfter: c.StopAfter,
			HostileCount: 3, HostileWindow: 5 * time.Second,
		})
	}
	return out
}

// Input numbers of the subscriptions whose peers the core follows: the command inputs come first, in their order.
func watches(t *config.Topics, self string) []WatchParams {
	var out []WatchParams
	for i, c := range t.Commands {
		out = append(out, WatchParams{Topic: c.Topic, Kind: WatchInput, Input: i, Config: interlock.PublisherConfig{
			Subject: uint16(i + 1), //nolint:gosec // the mapping has at most 16 command inputs
			Self:    self, Allowed: nameList(c.Publishers), Max: 1, MaxAge: graphMaxAge,
		}})
	}
	out = append(out, WatchParams{Topic: t.CommandOut.Topic, Kind: WatchOutput, Input: -1, Config: interlock.PublisherConfig{
		Output: true, Self: self, AskConsumer: true, MaxAge: graphMaxAge,
	}})
	if t.Lock != nil {
		out = append(out, WatchParams{Topic: t.Lock.Topic, Kind: WatchLock, Input: -1, Config: interlock.PublisherConfig{
			Output: true, Self: self, AskConsumer: true, MaxAge: graphMaxAge,
		}})
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
