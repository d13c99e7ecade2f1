package interlock

import (
	"fmt"
	"math"
)

// The rules' memory of commands and of the ladder; see spec.

// channels of the plans' commands.
var exploredChannels = [...]struct {
	number uint16
	kind   ChannelKind
	dock   bool
}{{1, ChannelAutonomy, false}, {2, ChannelOperator, false}, {7, ChannelAutonomy, true}}

// never is an age that counts no further.
const never = 3

// gateMemory is what the rules know of commands. Ages are in quanta, at most never.
type gateMemory struct {
	open     bool
	openFor  uint8
	channels [len(exploredChannels)]struct {
		known, neutral bool
		age            uint8
	}
	// passes is the channel whose command is in force, from 1; moves says that it is not zero.
	passes uint8
	moves  bool
	age    uint8
	// quiet is for how long nothing was sent.
	quiet uint8
	began bool
}

func older(age *uint8, by int) { *age = uint8(min(int(*age)+by, never)) } //nolint:gosec // few

// check lets the memory follow the step, and then says what may have gone out.
func (g *gateMemory) check(x *explorer, s *system, latchedHold bool) error {
	if !g.began {
		// Before the first stop no channel has anything to be neutral after.
		for i := range g.channels {
			g.channels[i].neutral = true
		}
		g.began = true
	}
	older(&g.openFor, s.quanta)
	older(&g.age, s.quanta)
	older(&g.quiet, s.quanta)
	for i := range g.channels {
		if c := &g.channels[i]; c.known {
			older(&c.age, s.quanta)
		}
	}
	motion := s.d.Axes.Motion
	switch {
	case motion <= MotionHold:
		g.open, g.passes, g.openFor = false, 0, 0
		if motion == MotionStop || latchedHold {
			for i := range g.channels {
				g.channels[i].neutral = false
			}
		}
	case !g.open:
		g.open, g.openFor = true, 0
	}
	fresh := s.gin.New && g.admit(x, s)
	timeout := uint8(quanta(int64(x.gcfg.CommandTimeout))) //nolint:gosec // few
	if g.passes != 0 && (g.age >= timeout || !g.permitted(g.passes-1, s.d.Axes)) {
		g.passes = 0
	}
	if g.passes == 0 {
		g.age, g.moves = 0, false
	}
	if s.gout.Send {
		g.quiet = 0
	}
	return g.judge(s, fresh)
}

// permitted says whether the axes let the channel command the robot.
func (g *gateMemory) permitted(i uint8, a Axes) bool {
	c := exploredChannels[i]
	return a.Motion > MotionHold && (a.Motion != MotionDockOnly || c.dock) && (a.Remote == RemoteFree || c.kind == ChannelAutonomy)
}

// admit says whether the step's command may pass: in order, fresh, permitted, given after the release, and after a stop
// or a latched hold from neutral or after silence.
func (g *gateMemory) admit(x *explorer, s *system) bool {
	var i uint8
	for exploredChannels[i].number != s.gin.Command.Channel {
		i++
	}
	c := &g.channels[i]
	age := uint8(quanta(int64(s.now - s.gin.Command.Received))) //nolint:gosec // 0 or 1
	moves := s.gin.Command.Velocity != Velocity{}
	timeout := uint8(quanta(int64(x.gcfg.CommandTimeout))) //nolint:gosec // few
	if c.known && c.age < age {
		return false
	}
	silent := g.openFor-min(age, g.openFor) >= timeout && (!c.known || c.age-age >= timeout)
	c.known, c.age = true, age
	if !g.permitted(i, s.d.Axes) {
		return false
	}
	if age >= timeout || age >= g.openFor || !c.neutral && !silent && moves {
		return false
	}
	c.neutral = true
	g.passes, g.moves, g.age = i+1, moves, age
	return true
}

// judge compares what the base was told last with what may be.
func (g *gateMemory) judge(s *system, fresh bool) error {
	most := 0.0
	if g.moves {
		most = min(1, s.d.Axes.MaxSpeedMPS)
	}
	told := s.g.out.Linear[0]
	switch {
	case s.d.Axes.Motion <= MotionHold && s.g.out != (Velocity{}):
		return fmt.Errorf("no command passes a stop: %v m/s under %v", told, s)
	case told > most || math.IsNaN(told):
		return fmt.Errorf("nothing goes out that nobody may command now: %v m/s, expected at most %v, under %v", told, most, s)
	case fresh && told != most:
		return fmt.Errorf("what may pass passes: %v m/s, expected %v, under %v", told, most, s)
	case g.passes == 0 && g.quiet > 0:
		return fmt.Errorf("zeros go on while nothing may pass: silent for %d quanta under %v", g.quiet, s)
	case s.gout.Send && s.gout.Velocity != s.g.out:
		return fmt.Errorf("what goes out is what is remembered: %v and %v", s.gout.Velocity, s.g.out)
	}
	return nil
}

// ladderMemory is what the rules know of a ladder. Times are in quanta and count no further than they are compared with.
type ladderMemory struct {
	demand    Demand
	asserted  RungSet
	confirmed bool
	since     uint8 // the demand
	stood     uint8 // 255 while it does not stand
	moved     uint8 // without a break since a confirmation
	asked     [MaxRungs]uint8
	answered  [MaxRungs]Ack
}

func (l *ladderMemory) begin() { l.stood = 255 }

// most is more quanta than any deadline of the plans' ladders.
const most = 8

func (l *ladderMemory) check(x *explorer, s *system) error {
	cfg, out := &x.cfg, &s.lout
	before, demand := l.demand, DemandOf(s.d.Axes)
	l.follow(s, cfg, demand)
	stops := demand >= DemandHold
	var cheap, serving RungSet
	for i, r := range cfg.Rungs[:cfg.N] {
		if r.Kind == RungZeroVelocity || r.Kind == RungLock {
			cheap |= 1 << i
		}
		if stops && r.Kind != RungDockService || demand == DemandDock && r.Kind == RungDockService {
			serving |= 1 << i
		}
	}
	kept := l.asserted
	l.asserted = out.Assert
	switch {
	case out.Assert&^serving != 0:
		return fmt.Errorf("only rungs that serve the demand are asserted: %06b for %v", out.Assert, demand)
	case stops && out.Assert&cheap != cheap:
		return fmt.Errorf("zero velocity and the lock come with the demand: %06b for %v", out.Assert, demand)
	case stops && before >= DemandHold && out.Assert&kept != kept:
		return fmt.Errorf("nothing asserted is let go while a stop is demanded: %06b after %06b", out.Assert, kept)
	case !stops:
		return nil
	}
	return l.climb(s, cfg, serving)
}

// follow lets time pass.
func (l *ladderMemory) follow(s *system, cfg *LadderConfig, demand Demand) {
	add := func(n *uint8, top int) { *n = uint8(min(int(*n)+s.quanta, top)) } //nolint:gosec // few
	add(&l.since, quanta(int64(cfg.React)))
	if demand != l.demand && (l.demand != DemandStop || demand != DemandHold) {
		l.since, l.confirmed, l.moved = 0, false, 0
	}
	l.demand = demand
	switch {
	case demand < DemandHold:
		*l = ladderMemory{demand: demand, stood: 255, asserted: l.asserted}
		return
	case s.env.motion != Standing || demand < DemandHold:
		l.stood = 255
	case l.stood == 255:
		l.stood = 0
	default:
		add(&l.stood, quanta(int64(cfg.ConfirmDwell)))
	}
	for i := range cfg.N {
		r := &s.lout.Records[i]
		if add(&l.asked[i], most); s.lout.Asked.Has(i) {
			l.asked[i], l.answered[i] = 0, AckNone
		}
		switch {
		case r.WasFailed:
			l.answered[i] = AckFailed
		case r.WasAcked:
			l.answered[i] = AckOK
		}
		if i < s.lout.Rung || !r.WasRequested {
			l.asked[i], l.answered[i] = 0, AckNone
		}
	}
}

// climb says how far the ladder must have come.
func (l *ladderMemory) climb(s *system, cfg *LadderConfig, serving RungSet) error {
	out := &s.lout
	stands := l.stood != 255
	seen := stands && int(l.stood) >= quanta(int64(cfg.ConfirmDwell)) && int(l.since) >= quanta(int64(cfg.React))
	was := l.confirmed
	l.confirmed = out.Phase == LadderConfirmed
	switch {
	case l.confirmed && !was && !seen:
		return fmt.Errorf("a stop is confirmed by measurement alone: %v while %v", out.Phase, s.env.motion)
	case seen && !l.confirmed:
		return fmt.Errorf("a standstill that has lasted is confirmed: %v", out.Phase)
	case out.Phase == LadderUnconfirmed && (out.Assert != serving || out.Unconfirmed.State != Present):
		return fmt.Errorf("unconfirmed is said, and only once every rung was asked: %06b of %06b", out.Assert, serving)
	case out.Phase == LadderIdle || out.Phase == LadderDocking:
		return fmt.Errorf("a demand to stop is taken up: %v", out.Phase)
	}
	if out.Phase == LadderRequested && !stands {
		i := out.Rung
		r := cfg.Rungs[i]
		silent := r.AckWithin > 0 && int(l.asked[i]) >= quanta(int64(r.AckWithin)) && l.answered[i] == AckNone
		by := s.l.stopTime(math.NaN())
		if s.env.motion == Settling {
			by += cfg.SettleDwell
		}
		if l.answered[i] == AckFailed || silent || int(l.asked[i]) >= quanta(int64(by)) {
			return fmt.Errorf("the ladder goes on when a rung refuses, hangs or does not stop the robot: still at rung %d", i)
		}
	}
	return l.keeps(s, cfg, was)
}

// keeps says that a confirmation does not outlive the standstill by more than the grace.
func (l *ladderMemory) keeps(s *system, cfg *LadderConfig, was bool) error {
	if !was || s.env.motion == Standing || s.env.motion == Settling {
		l.moved = 0
		return nil
	}
	// What was measured at this step holds from now on.
	if l.moved == 0 {
		l.moved = 1
	} else {
		l.moved = uint8(min(int(l.moved)+s.quanta, most)) //nolint:gosec // few
	}
	if int(l.moved) > quanta(int64(cfg.LostGrace)) {
		if l.confirmed {
			return fmt.Errorf("a confirmation that measurements contradict is taken back: %v while %v", s.lout.Phase, s.env.motion)
		}
	}
	if !l.confirmed {
		l.moved = 0
	}
	return nil
}
