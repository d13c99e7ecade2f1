package guard

import (
	"time"

	"github.com/robowarden/robowarden/agent/commission"
	"github.com/robowarden/robowarden/interlock"
)

func (e *encoder) trialWish(w *TrialWish) {
	e.u8(uint8(w.Op))
	e.u64(w.ID)
	e.u16(uint16(w.Step)) //nolint:gosec // checked when it is decoded and when it is taken
	e.f64(w.MPS)
}

func (d *decoder) trialWish() TrialWish {
	return TrialWish{Op: TrialOp(d.u8()), ID: d.u64(), Step: int(int16(d.u16())), MPS: d.f64()} //nolint:gosec // as written
}

// trial encodes what the test's further course depends on.
func (e *encoder) trial(c *Core) {
	t := &c.trial
	s := &t.State
	e.u8(uint8(s.Phase))
	e.u64(s.ID)
	e.u8(uint8(s.Place)) //nolint:gosec // below MaxSteps
	e.u32(s.Runs)
	e.u8(uint8(s.Why))
	for _, d := range [...]time.Duration{s.Until, s.Since, s.By, s.Loud, s.Heard, s.Steady, s.Still, s.Requested, t.sent, c.commissioned.Until} {
		e.duration(d)
	}
	e.f64s([]float64{s.MPS, s.Mean, s.Told, s.Far})
	e.f64s(t.ahead.Linear[:])
	e.f64s(t.ahead.Angular[:])
	for _, f := range [...]bool{s.Stands, s.Pressed, s.Acks, s.Refused, t.clear, t.done, t.order.Silent, t.ceased} {
		e.flag(f)
	}
	e.u8(uint8(t.order.Rung + 1)) //nolint:gosec // at most MaxRungs
	e.u64(t.baseline[0])
	e.u64(t.baseline[1])
	e.u32(t.rungs)
	e.u8(uint8(c.commissioned.State))
}

// trial reads what the encoder wrote.
func (d *decoder) trial(c *Core) {
	t := &c.trial
	s := commission.State{Phase: commission.Phase(d.u8()), ID: d.u64(), Place: int(d.u8()), Runs: d.u32(), Why: commission.Reason(d.u8())}
	for _, to := range [...]*time.Duration{&s.Until, &s.Since, &s.By, &s.Loud, &s.Heard, &s.Steady, &s.Still, &s.Requested, &t.sent, &c.commissioned.Until} {
		*to = d.duration()
	}
	f := make([]float64, 4)
	d.f64s(f)
	s.MPS, s.Mean, s.Told, s.Far = f[0], f[1], f[2], f[3]
	d.f64s(t.ahead.Linear[:])
	d.f64s(t.ahead.Angular[:])
	for _, to := range [...]*bool{&s.Stands, &s.Pressed, &s.Acks, &s.Refused, &t.clear, &t.done, &t.order.Silent, &t.ceased} {
		*to = d.flag()
	}
	t.order.Rung = int(d.u8()) - 1
	t.baseline = interlock.TriggerSet{d.u64(), d.u64()}
	t.rungs = d.u32()
	c.commissioned.State = CommissionState(d.u8())
	if s.Place >= commission.MaxSteps || t.order.Rung >= interlock.MaxRungs {
		d.err = cmpErr(d.err, errTrial)
		return
	}
	t.Restore(&c.params.Trial, s)
}
