package commission

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// maxSamples bounds a run's measurements: twenty seconds at 50 Hz, and four at 250 Hz.
const maxSamples = 1024

// Trial guides one proof test. Its zero value is off. It is not safe for use by several goroutines.
type Trial struct {
	State
	cfg     Config
	run     Run
	samples [maxSamples]Sample
	n       int
	// moved says which second sources have shown motion in this drive.
	joints, gyro bool
}

// Run is the last run, finished once its number is State.Runs. It is valid until the next begins.
func (t *Trial) Run() *Run { return &t.run }

// Config is what the trial is about.
func (t *Trial) Config() *Config { return &t.cfg }

// Restore puts the trial into a state that was stored. Its measurements are lost; they decide nothing.
func (t *Trial) Restore(cfg *Config, s State) { t.State, t.cfg, t.run, t.n = s, *cfg, Run{}, 0 }

// Begin starts a trial for a session, if none is on, in which the robot may drive at mps at most.
func (t *Trial) Begin(now time.Duration, id uint64, mps float64, cfg *Config) bool {
	if t.Phase != PhaseOff || id == 0 || cfg.N < 1 || cfg.N > MaxSteps || !(mps >= LeastMPS && mps <= cfg.MaxMPS) {
		return false
	}
	t.State, t.cfg, t.run, t.n = State{ID: id, MPS: mps, Until: now + lease, Loud: now, Heard: now}, *cfg, Run{}, 0
	t.enter(now, PhaseWaiting, 0)
	return true
}

// Keep renews the technician's confirmation.
func (t *Trial) Keep(now time.Duration, id uint64) bool {
	if t.Phase == PhaseOff || t.Phase == PhaseEnding || id != t.ID {
		return false
	}
	t.Until = now + lease
	return true
}

// End ends the trial.
func (t *Trial) End(now time.Duration, id uint64) bool {
	if t.Phase == PhaseOff || t.Phase == PhaseEnding || id != t.ID {
		return false
	}
	t.end(now, ReasonEnded)
	return true
}

// Go begins a run of a step: the technician says that he is ready. The robot has to stand, and nobody may command it yet.
func (t *Trial) Go(now time.Duration, id uint64, step int, in *Input) bool {
	if t.Phase != PhaseWaiting || id != t.ID || step < 0 || step >= t.cfg.N || !t.ready(now, in) {
		return false
	}
	t.Place, t.Until = step, now+lease
	t.run = Run{Number: t.Runs + 1, Step: step}
	t.n, t.joints, t.gyro = 0, false, false
	t.Steady, t.Mean, t.Told, t.Far, t.Stands, t.Pressed, t.Acks, t.Refused = now, 0, 0, 0, false, false, false, false
	t.Heard = now
	switch k := t.cfg.Steps[step].Kind; {
	case k.drives():
		t.enter(now, PhaseDriving, driveFor)
	case k == KindWatchdog:
		t.enter(now, PhaseWatching, watchFor)
	default:
		t.enter(now, PhaseWatching, handsFor)
	}
	return true
}

// ready says whether a run may begin.
func (t *Trial) ready(now time.Duration, in *Input) bool {
	return in.Motion == interlock.Standing && !in.Wanted && now-t.Loud >= quiet && !in.Trouble
}

// Ready says whether Go would be taken now.
func (t *Trial) Ready(now time.Duration, in *Input) bool {
	return t.Phase == PhaseWaiting && t.ready(now, in)
}

func (t *Trial) enter(now time.Duration, p Phase, within time.Duration) {
	t.Phase, t.Since, t.By = p, now, now+within
}

// end ends the trial. A run that has failed already is kept: who ends the trial must not be able to undo it.
func (t *Trial) end(now time.Duration, why Reason) {
	switch {
	case t.Phase == PhaseSettling && t.Why != ReasonNone:
		t.finish(now, t.Why)
	case (t.Phase == PhaseMeasuring || t.Phase == PhaseSettling) && t.late():
		t.finish(now, ReasonOverran)
	}
	t.Why = why
	t.enter(now, PhaseEnding, 0)
}

// finish ends a run; the robot stays held.
func (t *Trial) finish(now time.Duration, why Reason) {
	t.run.Why, t.run.Samples = why, t.samples[:t.n]
	t.Runs, t.Why = t.Runs+1, why
	t.enter(now, PhaseWaiting, 0)
}

// Step says what is to be done at now. It does not allocate. The caller steps with every event.
func (t *Trial) Step(now time.Duration, in *Input, out *Order) {
	*out = Order{Rung: -1}
	if t.Phase == PhaseOff {
		return
	}
	if in.Wanted {
		t.Loud = now
	}
	if t.Phase != PhaseEnding && now >= t.Until {
		t.end(now, ReasonReleased)
	}
	if in.New {
		t.measure(now, in)
	}
	switch t.Phase {
	case PhaseDriving:
		t.drive(now, in)
	case PhaseMeasuring:
		t.follow(now, in)
	case PhaseSettling:
		t.settle(now, in)
	case PhaseWatching:
		t.watch(now, in)
	case PhaseEnding:
		if in.Motion == interlock.Standing && now-t.Loud >= quiet {
			t.Phase = PhaseOff
		}
	case PhaseOff, PhaseWaiting, numPhases:
	}
	t.order(out)
}

// order is what the phase asks for.
func (t *Trial) order(out *Order) {
	switch t.Phase {
	case PhaseOff:
		return
	case PhaseWaiting, PhaseSettling, PhaseEnding, PhaseWatching:
		out.Hold = true
	case PhaseMeasuring:
		switch s := &t.cfg.Steps[t.Place]; s.Kind {
		case KindSilence:
			out.Silent = true
		case KindRung:
			out.Rung = s.Index
		default:
			out.Hold = true
		}
	case PhaseDriving, numPhases:
	}
	out.On, out.MPS = true, t.MPS
}

// value is the speed that the step is about.
func (t *Trial) value(mps, radps float64) float64 {
	if t.cfg.Steps[t.Place].Kind == KindTurn {
		return radps
	}
	return mps
}

// measure takes what odometry says in a drive.
func (t *Trial) measure(now time.Duration, in *Input) {
	if t.Phase != PhaseDriving && t.Phase != PhaseMeasuring {
		return
	}
	v := t.value(in.MPS, in.RadPS)
	gap := (now - t.Heard).Seconds()
	t.Heard = now
	if t.Phase == PhaseDriving {
		t.Far += float64(in.MPS * gap)
	} else {
		t.run.Metres += float64(v * gap)
	}
	still := in.MPS < t.cfg.StillMPS && in.RadPS < t.cfg.StillRadPS
	if still && !t.Stands {
		t.Still = now
	}
	t.Stands = still
	if t.n > 0 && now-t.samples[t.n-1].At < 4*time.Millisecond {
		return
	}
	if t.n < maxSamples {
		t.samples[t.n] = Sample{now, v}
		t.n++
	}
}

// drive waits for a steady drive, then asks for the stop.
func (t *Trial) drive(now time.Duration, in *Input) {
	switch {
	case in.Trouble:
		t.end(now, ReasonTrigger)
		return
	case now-t.Heard > deaf:
		t.end(now, ReasonSource)
		return
	case t.Far > MaxDriveM:
		t.end(now, ReasonTooFar)
		return
	case now >= t.By:
		t.end(now, ReasonTooLong)
		return
	}
	t.joints, t.gyro = t.joints || in.Joints, t.gyro || in.Gyro
	told := t.value(in.Told[0], in.Told[1])
	if in.New {
		v := t.value(in.MPS, in.RadPS)
		least, slack := leastStill*t.cfg.StillMPS, 2*t.cfg.StillMPS
		if t.cfg.Steps[t.Place].Kind == KindTurn {
			least, slack = leastStill*t.cfg.StillRadPS, 2*t.cfg.StillRadPS
		}
		if !in.Clear || !(v >= least) || !(told >= least) || math.Abs(v-t.Mean) > max(near/2*t.Mean, slack) || math.Abs(told-t.Told) > near*t.Told ||
			v < (1-near)*told {
			t.Steady, t.Mean, t.Told, t.n = now, v, told, 0
		}
		t.Mean += float64(0.1 * (v - t.Mean))
	}
	if now-t.Steady < steadyFor || !in.Clear {
		return
	}
	t.run.Told, t.Told = told, told
	t.Requested = now
	s := &t.cfg.Steps[t.Place]
	if s.Kind == KindSilence {
		t.Requested = in.Sent
	}
	t.run.Requested = t.Requested
	limit := time.Duration(float64(spare*t.allowed()) * float64(time.Second))
	t.Stands = false
	t.enter(now, PhaseMeasuring, limit+stillFor)
}

// allowed is how many seconds the robot may take from the request to rest, as the profile claims.
func (t *Trial) allowed() float64 {
	s := &t.cfg.Steps[t.Place]
	decel := t.cfg.DecelMPS2
	if s.Kind == KindTurn {
		decel = t.cfg.DecelRadPS2
	}
	return s.Within.Seconds() + t.Mean/decel
}

// late says whether odometry showed motion when the robot had to be at rest.
func (t *Trial) late() bool {
	moved := t.Heard
	if t.Stands {
		moved = t.Still
	}
	return (moved - t.Requested).Seconds() > t.allowed()
}

// follow waits for rest by odometry.
func (t *Trial) follow(now time.Duration, in *Input) {
	s := &t.cfg.Steps[t.Place]
	if s.Kind == KindRung {
		t.acknowledge(now, in, s)
	}
	switch {
	case in.Trouble:
		t.end(now, ReasonTrigger) // what would be measured is another stop
	case now-t.Heard > deaf:
		t.end(now, ReasonSource)
	case t.Stands && now-t.Still >= stillFor:
		t.run.Rest = t.Still - t.Requested
		t.settleFrom(now, ReasonNone)
	case in.Excess, now >= t.By:
		t.settleFrom(now, ReasonOverran)
	case in.Ceased:
		t.spoil(now, ReasonCeased)
	case !in.Clear && (s.Kind == KindSilence || s.Kind == KindRung && !t.Stands):
		t.spoil(now, ReasonWay)
	case s.Kind == KindRung && !t.Stands && !(in.Told[0] >= (1-near)*t.Told):
		t.spoil(now, ReasonCeased) // a rung that does nothing must not pass by what zeros do
	}
}

// acknowledge keeps when the rung answered.
func (t *Trial) acknowledge(now time.Duration, in *Input, s *Step) {
	if !t.Acks && in.Ack != interlock.AckNone {
		t.Acks = true
		t.run.Acked = now - t.Requested
		t.Refused = in.Ack == interlock.AckFailed || t.run.Acked > s.AckWithin
	}
}

// spoil ends a run that proves nothing any more; but a robot that moved for too long before has failed.
func (t *Trial) spoil(now time.Duration, why Reason) {
	if t.late() {
		why = ReasonOverran
	}
	t.settleFrom(now, why)
}

// settleFrom holds the robot after a stop.
func (t *Trial) settleFrom(now time.Duration, why Reason) {
	if why == ReasonNone {
		if s := &t.cfg.Steps[t.Place]; t.Refused || s.Kind == KindRung && s.AckWithin > 0 && !t.Acks {
			why = ReasonUnacknowledged
		}
	}
	t.Why = why
	t.enter(now, PhaseSettling, t.cfg.Dwell+settleFor)
}

// settle waits for two sources.
func (t *Trial) settle(now time.Duration, in *Input) {
	switch {
	case in.Motion == interlock.Standing:
		t.run.Confirmed = now - t.Requested
		t.run.Joints, t.run.Gyro = t.joints && in.JointsRest, t.gyro && in.GyroRest
		t.finish(now, t.Why)
	case now >= t.By && t.Why != ReasonNone:
		t.finish(now, t.Why)
	case now >= t.By:
		t.finish(now, ReasonUnconfirmed)
	}
}

// watch looks at a watchdog or an input.
func (t *Trial) watch(now time.Duration, in *Input) {
	watchdog := t.cfg.Steps[t.Place].Kind == KindWatchdog
	switch {
	case in.Trouble:
		t.end(now, ReasonTrigger)
	case watchdog && !in.Fed:
		t.finish(now, ReasonNotFed)
	case watchdog && now >= t.By:
		t.finish(now, ReasonNone)
	case watchdog:
	case in.Unreadable:
		t.finish(now, ReasonUnreadable)
	case in.Pressed && !t.Pressed:
		t.Pressed, t.run.Pressed = true, now-t.Since
	case in.Released && t.Pressed:
		t.run.Released = now - t.Since
		t.finish(now, ReasonNone)
	case now >= t.By:
		t.finish(now, ReasonNotOperated)
	}
}
