package config

import (
	"slices"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// Posture is the way down of a robot that stands by balance: which postures it takes, one after the other, before its battery
// or its motors give up. A step is commanded only while all that it needs is known to be so; one that is refused, not answered
// or not reached in time gives way to the next. Nothing here ever asks the robot to rise.
type Posture struct {
	// Steps are the postures in their order: balance first, then those that are taken.
	Steps []PostureStep `cfg:"steps" len:"2..4" eg:"steps: [{posture: balance}, {posture: kneel, needs: [upright, standstill], ack_within: 1s, within: 8s, shown_by: {joints: [{joint: left_knee_joint, min: 1.2, max: 2.8}], for: 500ms}}]"`
	// Battery is how balance uses up the battery. Absent, only heat and time make the robot go down.
	Battery *BatteryReserve `cfg:"battery,optional" eg:"battery: {empty_ratio: 0.05, per_minute: 0.03}"`
	// Heat is how balance heats the motors; it needs heat in the topic mapping.
	Heat *HeatReserve `cfg:"heat,optional" eg:"heat: {limit_c: 90, per_minute_c: 12}"`
}

// BatteryReserve is what balance uses of the battery at worst. From it follows by when the robot has to begin to go down, so that
// there is time for every step to fail but the last.
type BatteryReserve struct {
	// EmptyRatio is the charge in [0, 1] at which the robot may fall.
	EmptyRatio float64 `cfg:"empty_ratio" range:"[0,0.5]" eg:"empty_ratio: 0.05"`
	// PerMinute is the most charge that standing and going down use in a minute, as a ratio.
	PerMinute float64 `cfg:"per_minute" range:"(0,0.5]" eg:"per_minute: 0.03"`
}

// HeatReserve is how the hottest motor warms up at worst.
type HeatReserve struct {
	// LimitC is the temperature in °C at which motors give up.
	LimitC float64 `cfg:"limit_c" range:"[40,200]" eg:"limit_c: 90"`
	// PerMinuteC is by how many °C the hottest motor warms up in a minute at most.
	PerMinuteC float64 `cfg:"per_minute_c" range:"(0,600]" eg:"per_minute_c: 12"`
}

// PostureStep is one posture and the way into it.
type PostureStep struct {
	// Posture is balance, kneel, sit, or off: without power on the drives.
	Posture string `cfg:"posture" enum:"balance|kneel|sit|off" eg:"posture: kneel"`
	// Rung is the rung of stop_ladder that takes the robot there. Absent, it is the topic mapping's service of the posture's name.
	Rung string `cfg:"rung,optional" form:"id" eg:"rung: kneel"`
	// Powered is true if the robot needs power to stay there, as in a crouch.
	Powered bool `cfg:"powered,optional" eg:"powered: true"`
	// Needs is what has to be known before the step is commanded: that the robot is upright, stands still, has empty hands.
	Needs []string `cfg:"needs,optional" len:"0..3" enum:"upright|standstill|empty-hands" eg:"needs: [upright, standstill]"`
	// MinCharge is the charge in [0, 1] that the step takes. Below it the step is left out.
	MinCharge float64 `cfg:"min_charge,optional" range:"[0,0.5]" eg:"min_charge: 0.02"`
	// After lists the postures of which one has to be shown before; lying is a fall that the inertial unit shows.
	After []string `cfg:"after,optional" len:"1..3" enum:"kneel|sit|lying" eg:"after: [kneel, sit]"`
	// LastResort lets the step be commanded although none of those is shown, once the time is over or every other step has
	// failed. For off that means to let a standing robot fall.
	LastResort bool `cfg:"last_resort,optional" eg:"last_resort: true"`
	// AckWithin is the time for the request to be answered; absent, for a request that is not answered.
	AckWithin time.Duration `cfg:"ack_within,optional" range:"[10ms,10s]" eg:"ack_within: 1s"`
	// Within is the time for the robot to be there. Of balance, it is for how long the robot may be held standing; absent there, for as
	// long as battery and motors last.
	Within time.Duration `cfg:"within,optional" range:"[500ms,24h]" eg:"within: 8s"`
	// ShownBy is by what the posture is believed.
	ShownBy *PostureProof `cfg:"shown_by,optional" eg:"shown_by: {joints: [{joint: left_knee_joint, min: 1.2, max: 2.8}], for: 500ms}"`
}

// PostureProof is by what a posture is believed: where joints are, or with acknowledged the request's answer and a standstill.
type PostureProof struct {
	// Joints have to be in their ranges, all of them.
	Joints []PostureJoint `cfg:"joints,optional" len:"1..8" eg:"joints: [{joint: left_knee_joint, min: 1.2, max: 2.8}]"`
	// Acknowledged believes the answer where no joint shows the posture. A service that lies is believed.
	Acknowledged bool `cfg:"acknowledged,optional" eg:"acknowledged: true"`
	// For is for how long it has to be so.
	For time.Duration `cfg:"for" range:"[50ms,10s]" eg:"for: 500ms"`
}

// PostureJoint is where a joint is in a posture.
type PostureJoint struct {
	// Joint is its name.
	Joint string `cfg:"joint" form:"id" eg:"joint: left_knee_joint"`
	// Min and Max bound its position, in rad or m.
	Min float64 `cfg:"min" range:"[-100,100]" eg:"min: 1.2"`
	// Max is the upper end.
	Max float64 `cfg:"max" range:"[-100,100]" eg:"max: 2.8"`
}

// What of a way down no robot has a reason to change.
const (
	// postureConfirm is for how long a gauge has to say that a reserve ends.
	postureConfirm = 2 * time.Second
	// postureUnseen is for how long after the start a gauge may not have been heard, beside the time that the way down takes.
	postureUnseen = 2 * time.Minute
	postureRetry  = 10 * time.Second
	// batteryAge and heatAge are for how long a charger's or a sensor's word counts.
	batteryAge = time.Minute
	heatAge    = 10 * time.Second
	// gaugeMost is what a full battery's gauge says at most.
	gaugeMost = 1.05
	// coldest and hottest are what a motor's sensor can say, in °C.
	coldest, hottest = -60, 300
)

// Index returns the place of a posture among the steps, -1 for none.
func (p *Posture) Index(name string) int {
	return slices.IndexFunc(p.Steps, func(s PostureStep) bool { return s.Posture == name })
}

// PostureSpec returns the robot's way down.
func (p *Profile) PostureSpec() interlock.PostureConfig {
	if p.Posture == nil {
		return interlock.PostureConfig{}
	}
	out := interlock.PostureConfig{
		Used: true, N: min(len(p.Posture.Steps), interlock.MaxPostures),
		Confirm: postureConfirm, Unseen: postureUnseen, MaxAge: p.Pose.MaxAge, Retry: postureRetry, Stop: p.stopBound(),
	}
	var names []string
	if p.Joints != nil {
		out.MaxAge = p.Joints.MaxAge
		for _, j := range p.Joints.List {
			names = append(names, j.Name)
		}
	}
	for i := range out.N {
		out.Steps[i] = p.Posture.Steps[i].spec(names)
	}
	if b := p.Posture.Battery; b != nil {
		out.Battery = interlock.ReserveConfig{Used: true, Floor: b.EmptyRatio, PerSecond: b.PerMinute / 60, Least: 0, Most: gaugeMost, MaxAge: batteryAge}
	}
	if h := p.Posture.Heat; h != nil {
		out.Heat = interlock.ReserveConfig{Used: true, Floor: -h.LimitC, PerSecond: h.PerMinuteC / 60, Least: -hottest, Most: -coldest, MaxAge: heatAge}
	}
	out.Unseen += out.Need()
	return out
}

// stopBound is how long the ladder takes at worst.
func (p *Profile) stopBound() time.Duration {
	l, err := interlock.NewLadder(p.LadderSpec())
	if err != nil {
		return 0 // reported as the ladder's
	}
	return l.Bound()
}

func (s *PostureStep) spec(joints []string) interlock.PostureStep {
	out := interlock.PostureStep{
		Powered: s.Powered || s.Posture == interlock.PostureBalance.String(), MinCharge: s.MinCharge, LastResort: s.LastResort,
		AckWithin: s.AckWithin, Within: s.Within,
	}
	for k := range interlock.NumPostureKinds {
		if k.String() == s.Posture {
			out.Kind = k
		}
		if slices.Contains(s.After, k.String()) {
			out.After |= interlock.PosturesOf(k)
		}
	}
	for i, need := range []string{"upright", "standstill", "empty-hands"} {
		if slices.Contains(s.Needs, need) {
			out.Needs |= 1 << i
		}
	}
	if s.ShownBy == nil {
		return out
	}
	out.Proof = interlock.PostureProof{N: min(len(s.ShownBy.Joints), interlock.MaxProofJoints), Acked: s.ShownBy.Acknowledged, Dwell: s.ShownBy.For}
	for i := range out.Proof.N {
		j := &s.ShownBy.Joints[i]
		out.Proof.Joints[i] = interlock.JointRange{Joint: slices.Index(joints, j.Joint), Min: j.Min, Max: j.Max}
	}
	return out
}
