package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Plant is how the robot moves. DefaultPlant says which stopping figures follow for a robot profile.
type Plant struct {
	// DeadTime is from a command at the base to its first possible effect.
	DeadTime time.Duration
	// LagS is the time constant of the velocity loop in seconds, YawLagS that of the yaw loop.
	LagS, YawLagS float64
	// AccelMPS2 and DecelMPS2 bound the change of speed in m/s², LoadedDecelMPS2 the slowing with a tray.
	AccelMPS2, DecelMPS2, LoadedDecelMPS2 float64
	// HardDecelMPS2 bounds the slowing after the motor stop service (IEC 60204-1 category 1, balance kept).
	HardDecelMPS2 float64
	// YawAccelRPS2 bounds the change of yaw rate in rad/s².
	YawAccelRPS2 float64
	// MaxForwardMPS, MaxBackwardMPS, MaxLateralMPS and MaxYawRPS clip commands.
	MaxForwardMPS, MaxBackwardMPS, MaxLateralMPS, MaxYawRPS float64
	// SlowStep and FastStep are the durations of a step at rest and at MaxForwardMPS.
	SlowStep, FastStep time.Duration
	// SlipSigma is the standard deviation of the share of a step that is gained or lost, clipped at 4 of them.
	SlipSigma float64
	// SwayM is the sideways sway of the torso at full speed, RippleMPS the ripple of forward speed within a step.
	SwayM, RippleMPS float64
	// CommandTimeout is after how long without a command the base comes to rest by itself.
	CommandTimeout time.Duration
}

// DefaultPlant is the demonstration's humanoid. A robot profile for it has to state at least these figures, measured over
// drawn speeds, phases of the step and loads: from a zero command at the base until rest it travels at most
// v·0.60 s + v²/(2·0.7 m/s²) from steady speed v; while it still gains speed, 0.42 s at 0.8 m/s² more and then the same
// braking. From any speed v it stands after at most 0.90 s + v/(0.7 m/s²) and 1.6 s, and it never exceeds 1.0 m/s.
func DefaultPlant() Plant {
	return Plant{
		DeadTime: 60 * time.Millisecond, LagS: 0.12, YawLagS: 0.15,
		AccelMPS2: 0.6, DecelMPS2: 1.2, LoadedDecelMPS2: 0.9, HardDecelMPS2: 1.5, YawAccelRPS2: 2.0,
		MaxForwardMPS: 0.94, MaxBackwardMPS: 0.4, MaxLateralMPS: 0.3, MaxYawRPS: 0.9,
		SlowStep: 500 * time.Millisecond, FastStep: 350 * time.Millisecond,
		SlipSigma: 0.01, SwayM: 0.02, RippleMPS: 0.02, CommandTimeout: 400 * time.Millisecond,
	}
}

func (p *Plant) check() error {
	for name, v := range map[string]float64{
		"lag": p.LagS, "yaw lag": p.YawLagS, "accel": p.AccelMPS2, "decel": p.DecelMPS2,
		"loaded decel": p.LoadedDecelMPS2, "hard decel": p.HardDecelMPS2, "yaw accel": p.YawAccelRPS2,
		"max forward": p.MaxForwardMPS, "max backward": p.MaxBackwardMPS, "max lateral": p.MaxLateralMPS,
		"max yaw": p.MaxYawRPS, "dead time": p.DeadTime.Seconds(), "slow step": p.SlowStep.Seconds(),
		"fast step": p.FastStep.Seconds(), "command timeout": p.CommandTimeout.Seconds(),
	} {
		if !finite(v) || v <= 0 {
			return fmt.Errorf("sim: plant: %s is %v, expected a finite number above 0", name, v)
		}
	}
	if !finite(p.SlipSigma, p.SwayM, p.RippleMPS) || min(p.SlipSigma, p.SwayM, p.RippleMPS) < 0 || p.SlipSigma > 0.1 {
		return fmt.Errorf("sim: plant: slip %v, sway %v, ripple %v: expected 0 or above, slip at most 0.1",
			p.SlipSigma, p.SwayM, p.RippleMPS)
	}
	return nil
}

// velocity is vx and vy in m/s and wz in rad/s, in the robot's frame.
type velocity struct{ x, y, w float64 }

func (v velocity) zero() bool { return v.x == 0 && v.y == 0 && v.w == 0 }

// state is the robot's true motion.
type state struct {
	floor    string
	x, y, z  float64 // The nominal walking point, without sway.
	yaw      float64
	v        velocity // Smooth velocity of the walking point.
	ref      velocity // What the current step aims at.
	walking  bool
	phase    float64 // Of the current step, [0, 1).
	stepS    float64 // Duration of the current step.
	side     float64 // +1 while the left leg swings, −1 while the right does.
	slip     float64 // Of the current step.
	amount   float64 // How pronounced the gait is, 0 standing to 1 full speed.
	loaded   bool
	hardStop bool
	steps    int64
	rnd      *rand.Rand
}

func (s *state) place(p Placement) {
	s.floor, s.x, s.y, s.yaw = p.Floor, p.X, p.Y, p.Yaw
	s.side = 1
}

// step lets dt seconds pass. The target is what the base controller wants; hard means that it sets the foot down early.
func (s *state) step(p *Plant, dt float64, target velocity, hard bool) {
	if !s.walking {
		if target.zero() {
			s.v, s.amount = velocity{}, decay(s.amount, dt, 0.1)
			return
		}
		s.begin(p)
	}
	s.phase += dt / s.stepS
	if hard && !s.hardStop {
		s.ref, s.slip = velocity{}, 0
	}
	s.hardStop = hard
	switch {
	case target.zero() && s.ref.zero() && s.nearlyStill():
		// The swinging foot is set down at once.
		s.walking, s.v = false, velocity{}
	case s.phase >= 1:
		s.footfall(p, target)
	}
	if s.walking {
		s.track(p, dt, hard)
		s.move(dt)
	}
}

// begin shifts the weight for a quarter of a second before the first step.
func (s *state) begin(p *Plant) {
	s.walking, s.phase, s.ref, s.slip = true, 0, velocity{}, 0
	s.stepS = p.SlowStep.Seconds() / 2
}

// footfall is the only moment at which the aim changes.
func (s *state) footfall(p *Plant, target velocity) {
	s.phase, s.side = 0, -s.side
	s.steps++
	s.ref = velocity{
		clamp(target.x, -p.MaxBackwardMPS, p.MaxForwardMPS),
		clamp(target.y, -p.MaxLateralMPS, p.MaxLateralMPS), clamp(target.w, -p.MaxYawRPS, p.MaxYawRPS),
	}
	s.slip = clamp(p.SlipSigma*s.rnd.NormFloat64(), -4*p.SlipSigma, 4*p.SlipSigma)
	share := min(1, math.Abs(s.v.x)/p.MaxForwardMPS)
	s.stepS = p.SlowStep.Seconds() + share*(p.FastStep-p.SlowStep).Seconds()
}

// nearlyStill says whether the rest of the motion fits into setting a foot down.
func (s *state) nearlyStill() bool {
	return math.Abs(s.v.x) < 0.03 && math.Abs(s.v.y) < 0.03 && math.Abs(s.v.w) < 0.05
}

func (s *state) track(p *Plant, dt float64, hard bool) {
	decel := p.DecelMPS2
	if s.loaded {
		decel = p.LoadedDecelMPS2
	}
	if hard {
		decel *= p.HardDecelMPS2 / p.DecelMPS2
	}
	s.v.x = follow(s.v.x, s.ref.x, p.LagS, p.AccelMPS2, decel, dt)
	s.v.y = follow(s.v.y, s.ref.y, p.LagS, p.AccelMPS2, decel, dt)
	s.v.w = follow(s.v.w, s.ref.w, p.YawLagS, p.YawAccelRPS2, p.YawAccelRPS2, dt)
	want := clamp(max(math.Abs(s.v.x)/p.MaxForwardMPS, math.Abs(s.v.y)/p.MaxLateralMPS/2, math.Abs(s.v.w)/2), 0.1, 1)
	s.amount += (want - s.amount) * dt / 0.2
}

func (s *state) move(dt float64) {
	k := dt * (1 + s.slip)
	sin, cos := math.Sincos(s.yaw)
	s.x += k * (s.v.x*cos - s.v.y*sin)
	s.y += k * (s.v.x*sin + s.v.y*cos)
	s.yaw = wrap(s.yaw + dt*s.v.w)
}

// torso is the true pose of the torso: the walking point with sway and ripple.
func (s *state) torso(p *Plant) (x, y float64) {
	side := p.SwayM * s.amount * s.side * math.Sin(math.Pi*s.phase)
	// The ripple's integral: forward speed peaks in mid-step.
	ahead := -p.RippleMPS * s.amount * s.stepS / (2 * math.Pi) * math.Sin(2*math.Pi*s.phase)
	if !s.walking {
		side, ahead = 0, 0
	}
	sin, cos := math.Sincos(s.yaw)
	return s.x + ahead*cos - side*sin, s.y + ahead*sin + side*cos
}

// follow is a first-order lag whose slope is bounded, differently for gaining and for losing speed.
func follow(v, ref, lag, accel, decel, dt float64) float64 {
	slope := (ref - v) / lag
	losing := v*slope < 0
	bound := accel
	if losing {
		bound = decel
	}
	return v + dt*clamp(slope, -bound, bound)
}

func decay(v, dt, tau float64) float64 { return v - v*dt/tau }

func clamp(v, lo, hi float64) float64 { return max(lo, min(hi, v)) }

// wrap brings an angle into [−π, π).
func wrap(a float64) float64 {
	a = math.Mod(a+math.Pi, 2*math.Pi)
	if a < 0 {
		a += 2 * math.Pi
	}
	return a - math.Pi
}
