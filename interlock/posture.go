package interlock

import (
	"fmt"
	"math"
	"time"
)

// MaxPostures is the largest number of steps on a robot's way down.
const MaxPostures = 4

// PostureKind is a state in which a robot rests, or is kept from falling.
type PostureKind uint8

// Postures, from the one that needs most power to the one that needs none.
const (
	// PostureBalance is standing by balance control; always the first step.
	PostureBalance PostureKind = iota
	// PostureKneel is kneeling, PostureSit sitting.
	PostureKneel
	PostureSit
	// PostureOff is without power on the drives. Whoever stands by balance falls.
	PostureOff
	// PostureLying is what a fall has come to. It is no step: nobody commands it.
	PostureLying
	// NumPostureKinds is the number of postures.
	NumPostureKinds
)

// String names the posture as robot profiles write it.
func (k PostureKind) String() string {
	if k >= NumPostureKinds {
		return "unknown"
	}
	return [NumPostureKinds]string{"balance", "kneel", "sit", "off", "lying"}[k]
}

// PostureSet is a set of postures.
type PostureSet uint8

// PosturesOf returns the set of the given postures.
func PosturesOf(kinds ...PostureKind) PostureSet {
	var s PostureSet
	for _, k := range kinds {
		if k < NumPostureKinds {
			s |= 1 << k
		}
	}
	return s
}

// Has says whether k is in the set.
func (s PostureSet) Has(k PostureKind) bool { return k < NumPostureKinds && s&(1<<k) != 0 }

// StepSet is a set of steps by their place.
type StepSet uint8

// Has says whether the step at place i is in the set.
func (s StepSet) Has(i int) bool { return i >= 0 && i < MaxPostures && s&(1<<i) != 0 }

// PostureNeeds is what has to be so before a step may be commanded. What is unknown is not so.
type PostureNeeds uint8

// Needs of a step.
const (
	// NeedUpright is that the robot has not fallen.
	NeedUpright PostureNeeds = 1 << iota
	// NeedStandstill is that two sources measure a standstill.
	NeedStandstill
	// NeedEmptyHands is that the robot carries nothing.
	NeedEmptyHands
)

// MaxProofJoints is the largest number of joints that prove one posture.
const MaxProofJoints = 8

// JointRange is where a joint is in a posture, in rad or m.
type JointRange struct {
	Joint    int
	Min, Max float64
}

// PostureProof is by what a posture is believed.
type PostureProof struct {
	// Joints are the first N, all of which have to be in their range.
	Joints [MaxProofJoints]JointRange
	N      int
	// Acked lets the acknowledgement and a standstill count where no joint shows the posture. Who lies is believed.
	Acked bool
	// Dwell is for how long it must be so.
	Dwell time.Duration
}

// PostureStep is one posture on the way down and the way into it.
type PostureStep struct {
	Kind PostureKind
	// Powered is true if the robot needs power to stay there; always so for balance.
	Powered bool
	// Needs, MinCharge and After are when the step may be commanded: MinCharge is the battery's charge ratio at least, 0
	// for any; After the postures of which one has to be proven, none for any.
	Needs     PostureNeeds
	MinCharge float64
	After     PostureSet
	// LastResort lets the step be commanded from anywhere once the deadline is over or every other step has failed.
	LastResort bool
	// AckWithin is how long the request may go unanswered, 0 for one that is not answered; Within how long the robot may take.
	// Of balance, Within is for how long it may be kept under a hold or stop, 0 for as long as battery and motors last.
	AckWithin, Within time.Duration
	Proof             PostureProof
}

// ReserveConfig is what balance uses up: a value that falls at PerSecond at most, and must not fall below Floor. A
// temperature is such a value with its sign changed.
type ReserveConfig struct {
	Used             bool
	Floor, PerSecond float64
	// Least and Most bound what can be true.
	Least, Most float64
	// MaxAge is for how long a charger's word counts.
	MaxAge time.Duration
}

// PostureConfig sets up Postures, from the robot's profile.
type PostureConfig struct {
	// Used is false for a robot that rests wherever it stands; then nothing else counts.
	Used bool
	// Steps in the order in which they are taken, the first N. The first is balance.
	Steps [MaxPostures]PostureStep
	N     int
	// Battery and Heat are what balance uses up: the charge ratio, and the hottest motor's temperature in °C, negative.
	Battery, Heat ReserveConfig
	// Stop is the longest time to a confirmed standstill. Confirm is for how long a reserve must be seen to end: a gauge may
	// be wrong once. Unseen is for how long one may not have been seen since the start.
	Stop, Confirm, Unseen time.Duration
	// MaxAge is how old joint states may be that prove a posture.
	MaxAge time.Duration
	// Retry is after how long a way down begins anew when every step has failed.
	Retry time.Duration
}

// Gauge is the newest reading of a reserve.
type Gauge struct {
	Seen     bool
	Received time.Duration
	Value    float64
	// Paused is true while it is being filled.
	Paused bool
}

// PostureInput is everything that one step of Postures looks at.
type PostureInput struct {
	// Held is true while the robot is demanded to hold or stop, Active while PostureDue or PostureFailed has not been reset.
	Held, Active bool
	// Motion is the standstill estimator's answer.
	Motion MotionState
	// Fallen is RobotFallen's condition, Unknown for a robot whose fall nobody looks for. Carrying is Clear while the robot is
	// known to carry nothing.
	Fallen, Carrying State
	Battery, Heat    Gauge
	// Acks holds each step's answer to the present request.
	Acks [MaxPostures]Ack
}

// PosturePhase is how far the way down has come.
type PosturePhase uint8

// Phases of the way down.
const (
	// PostureFree means that nothing asks for another posture.
	PostureFree PosturePhase = iota
	// PostureWaiting means that the robot has to go down and no step is possible yet.
	PostureWaiting
	// PostureGoing means that a step is under way.
	PostureGoing
	// PostureReached means that the robot is in a posture that needs no power.
	PostureReached
	// PostureExhausted means that every step has failed; the way begins anew after a while.
	PostureExhausted
)

// String names the phase.
func (p PosturePhase) String() string {
	if p > PostureExhausted {
		return "unknown"
	}
	return [...]string{"free", "waiting", "going", "reached", "exhausted"}[p]
}

// PostureDenial says why a step is not possible now.
type PostureDenial uint8

// Reasons against a step.
const (
	// StepPossible means that it may be commanded.
	StepPossible PostureDenial = iota
	// StepMoving means that no standstill is measured.
	StepMoving
	// StepNotUpright means that the robot is not known to be upright.
	StepNotUpright
	// StepCarrying means that the robot is not known to have empty hands.
	StepCarrying
	// StepCharge means that the battery is not known to have enough charge.
	StepCharge
	// StepNotFrom means that none of the postures that have to come before is proven.
	StepNotFrom
	// StepPast means that the robot is already as low.
	StepPast
	// StepFailed means that it has failed on this way down.
	StepFailed
)

// String names the reason.
func (d PostureDenial) String() string {
	if d > StepFailed {
		return "unknown"
	}
	return [...]string{"possible", "moving", "not upright", "carrying", "too little charge", "not from here", "already as low", "failed"}[d]
}

// PostureRecord is the history of one step on the present way down, on the boot clock.
type PostureRecord struct {
	// Asked, Acked, Failed and Reached are times; each is meaningful only with its flag.
	Asked, Acked, Failed, Reached             time.Duration
	WasAsked, WasAcked, WasFailed, WasReached bool
	// Why is the cause of a failure: refused, no acknowledgement in time, or not there in time.
	Why Cause
}

// PostureOutput is what one step of Postures decided.
type PostureOutput struct {
	Phase PosturePhase
	// At is the place of the lowest posture that is proven, 0 if none but balance can be assumed; Step that of the one being
	// taken, -1 for none.
	At, Step int
	// Assert are the steps that are demanded now; Asked those that are asked in this step: each needs one new request, although
	// it may have been demanded before, and only the answer to that one counts.
	Assert, Asked StepSet
	// Due is the condition of PostureDue, Failed that of PostureFailed.
	Due, Failed Condition
	// HoldImpossible is true from the moment that the robot has to go down until somebody has reset it.
	HoldImpossible bool
	// GoingDown is true while a step that was commanded may still be under way: legs move because they were told to.
	GoingDown bool
	// Deadline is by when it must be down, 0 while nothing runs out; Latest is when it has to begin.
	Deadline, Latest time.Duration
	// Denied says for each step why it is not possible now.
	Denied [MaxPostures]PostureDenial
	// Changed is true if Phase, At, Step, Assert or a record differs from the last step's.
	Changed bool
	// Records is the history of each step on the present way down.
	Records [MaxPostures]PostureRecord
}

// NewPostures returns a way down that nobody has begun. Every fault of the configuration is a *ConfigError.
func NewPostures(cfg PostureConfig) (*Postures, error) {
	if !cfg.Used {
		return &Postures{step: -1}, nil
	}
	c := checker{part: "posture"}
	for i, d := range [...]time.Duration{cfg.Stop, cfg.Confirm, cfg.Unseen, cfg.MaxAge, cfg.Retry} {
		c.duration([...]string{"Stop", "Confirm", "Unseen", "MaxAge", "Retry"}[i], d)
	}
	cfg.Battery.check(&c, "Battery")
	cfg.Heat.check(&c, "Heat")
	if cfg.N < 2 || cfg.N > MaxPostures || cfg.Steps[0].Kind != PostureBalance {
		c.bad("Steps", cfg.N, fmt.Sprintf("balance first, and 1 to %d steps down", MaxPostures-1))
		return nil, c.err()
	}
	rests := false
	for i := 1; i < cfg.N; i++ {
		cfg.checkStep(&c, i)
		rests = rests || !cfg.Steps[i].Powered
	}
	if w := cfg.Steps[0].Within; w < 0 || w > maxDuration {
		c.bad("Steps[0].Within", w, fmt.Sprintf("0s to %v", maxDuration))
	}
	if !rests {
		c.bad("Steps", "none without power", "one or more that need no power")
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return &Postures{cfg: cfg, step: -1, need: cfg.Need(), most: cfg.stirs()}, nil
}

func (r *ReserveConfig) check(c *checker, field string) {
	if !r.Used {
		return
	}
	c.positive(field+".PerSecond", r.PerSecond)
	c.duration(field+".MaxAge", r.MaxAge)
	if !(r.Least <= r.Floor && r.Floor <= r.Most) || math.IsInf(r.Least, 0) || math.IsInf(r.Most, 0) {
		c.bad(field+".Floor", r.Floor, fmt.Sprintf("finite, %v to %v", r.Least, r.Most))
	}
}

func (cfg *PostureConfig) checkStep(c *checker, i int) {
	s := &cfg.Steps[i]
	field := fmt.Sprintf("Steps[%d].", i)
	twice := false
	for _, o := range cfg.Steps[:i] {
		twice = twice || o.Kind == s.Kind
	}
	for _, f := range [...]struct {
		wrong       bool
		field, want string
	}{
		{twice || s.Kind == PostureBalance || s.Kind >= PostureLying, "Kind", "kneel, sit or off, each once"},
		{
			s.After.Has(PostureBalance) || s.Kind == PostureOff && s.After == 0 && !s.LastResort,
			"After", "the postures in which the robot does not fall without power, or LastResort",
		},
		{s.AckWithin < 0 || s.AckWithin > s.Within, "AckWithin", "0s to Within"},
		{!(s.MinCharge >= 0 && s.MinCharge <= 1), "MinCharge", "0 to 1"},
		{!s.Proof.sound(), "Proof", "up to 8 joints by their numbers with Min below Max, or Acked"},
	} {
		if f.wrong {
			c.bad(field+f.field, s.Kind, f.want)
		}
	}
	c.duration(field+"Within", s.Within)
	c.duration(field+"Proof.Dwell", s.Proof.Dwell)
}

// sound says whether something could show the posture.
func (p *PostureProof) sound() bool {
	if p.N < 0 || p.N > MaxProofJoints || p.N == 0 && !p.Acked {
		return false
	}
	for _, j := range p.Joints[:p.N] {
		if j.Joint < 0 || j.Joint >= MaxPostureJoints || !(j.Min < j.Max) {
			return false
		}
	}
	return true
}

// Need returns how long the whole way down takes at worst: a stop, every step down to its end, and the time to be sure.
func (cfg *PostureConfig) Need() time.Duration {
	d := cfg.Stop + cfg.Confirm
	for i := 1; i < cfg.N; i++ {
		d += cfg.Steps[i].Within + cfg.Steps[i].Proof.Dwell
	}
	return d
}
