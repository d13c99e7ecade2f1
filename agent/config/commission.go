package config

import (
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/commission"
)

// Commissioning says whether the robot has to prove by a test that it stops as the profile claims, and how often.
type Commissioning struct {
	// Enabled false demands no test; then Reason says why. Nothing but the profile's word then says how the robot stops.
	Enabled *bool `cfg:"enabled,optional" eg:"enabled: false"`
	// Reason is required to switch off.
	Reason string `cfg:"reason,optional" len:"8..256" eg:"reason: the vendor tests every robot on a bench of its own"`
	// DueAfter is how long a test counts; the default is a year.
	DueAfter time.Duration `cfg:"due_after,optional" range:"[24h,17520h]" default:"8760h" eg:"due_after: 4380h"`
}

// commissionYear is how long a test counts where the profile does not say it.
const commissionYear = 8760 * time.Hour

// CommissioningDue is how long a proof test counts, 0 if the profile demands none.
func (p *Profile) CommissioningDue() time.Duration {
	c := p.Commissioning
	switch {
	case c == nil, c.DueAfter == 0 && (c.Enabled == nil || *c.Enabled):
		return commissionYear
	case c.Enabled != nil && !*c.Enabled:
		return 0
	}
	return c.DueAfter
}

// TrialSpec returns what a proof test of the robot is about: how it stops, by the ladder and by each rung alone, how long its
// base goes on without commands, and its devices and inputs. Inputs come last, since an emergency stop needs a reset.
func (p *Profile) TrialSpec() commission.Config {
	m := &p.Motion
	out := commission.Config{
		MaxMPS: m.MaxSpeedMPS, DecelMPS2: m.DecelMPS2, DecelRadPS2: m.AngularDecelRadPS2,
		StillMPS: m.Standstill.SpeedMPS, StillRadPS: m.Standstill.YawRateRadPS, Dwell: m.Standstill.Dwell,
	}
	react := m.Reaction.Total()
	add := func(s commission.Step) {
		if out.N < commission.MaxSteps {
			out.Steps[out.N] = s
			out.N++
		}
	}
	add(commission.Step{Kind: commission.KindStop, Actuator: -1, Within: react})
	if m.Standstill.IMU != nil {
		add(commission.Step{Kind: commission.KindTurn, Actuator: -1, Within: react})
	}
	add(commission.Step{Kind: commission.KindSilence, Actuator: -1, Within: m.BaseCommandTimeout + react})
	ladder := p.LadderSpec()
	for i := range ladder.N {
		s := commission.Step{
			Kind: commission.KindRung, Index: i, Actuator: p.actuatorOf(i), Within: react + ladder.Rungs[i].Effect, AckWithin: p.Ladder[i].AckWithin,
		}
		switch r := &p.Ladder[i]; {
		case r.Kind == RungZeroVelocity, r.Kind == RungDockService, r.SettleFor > 0:
			continue // zeros are the first step; docking stops nothing; what takes power stops nothing that moves
		case r.Kind == RungWatchdog:
			s.Kind = commission.KindWatchdog
		}
		add(s)
	}
	for i := range p.Inputs {
		add(commission.Step{Kind: commission.KindInput, Index: i, Actuator: -1})
	}
	return out
}

// actuatorOf is the number of the device that the rung at place i uses, -1 for none.
func (p *Profile) actuatorOf(i int) int {
	return slices.IndexFunc(p.Actuators, func(a Actuator) bool { return a.Name == p.Ladder[i].Actuator })
}

// checkCommissioning checks what the types cannot say.
func (d *document) checkCommissioning(p *Profile) {
	c := p.Commissioning
	if c == nil {
		return
	}
	where := at("commissioning")
	switch off := c.Enabled != nil && !*c.Enabled; {
	case off && c.Reason == "":
		d.wrong(where.child("reason"), "missing", "a reason, since the proof test is switched off", "none", "")
	case off:
		d.warn(where.child("enabled"), "switched-off", "a proof test of this robot", "the profile's word alone: "+c.Reason, "")
	case c.Reason != "":
		d.wrong(where.child("reason"), ruleExclusive, "a reason only with enabled: false", "a proof test that is demanded", "")
	}
}

// ClaimSpec returns what the profile claims, for the judgement of a proof test.
func (p *Profile) ClaimSpec() commission.Claims {
	m := &p.Motion
	out := commission.Claims{
		React: m.Reaction.Total(), BaseTimeout: m.BaseCommandTimeout, DecelMPS2: m.DecelMPS2, DecelRadPS2: m.AngularDecelRadPS2,
		Joints: m.Standstill.Joints != nil, Gyro: m.Standstill.IMU != nil, Untestable: map[int]string{},
	}
	for i, r := range p.Ladder {
		out.Rungs = append(out.Rungs, r.Name)
		if r.SettleFor > 0 {
			out.Untestable[i] = "it takes power from a robot that has to settle first; no proof test asks it"
		}
	}
	for _, in := range p.Inputs {
		out.Inputs = append(out.Inputs, in.Name)
	}
	return out
}
