package agent

import (
	"testing"

	"github.com/robowarden/robowarden/agent/commission"
	"github.com/robowarden/robowarden/agent/guard"
)

// endedRun is what the guard says once a run of the first step has ended.
func endedRun(session uint64, n uint32, why commission.Reason) *guard.TrialAnswer {
	return &guard.TrialAnswer{
		State: commission.State{Phase: commission.PhaseWaiting, ID: session, Runs: n, Why: why},
		Run:   commission.Run{Number: n, Why: why, Told: 0.5},
	}
}

// TestAFailedRunCountsAlthoughNobodyFinishesTheTest lets a run fail and goes on in every way but by finishing.
func TestAFailedRunCountsAlthoughNobodyFinishesTheTest(t *testing.T) {
	for name, c := range map[string]struct {
		why   commission.Reason
		trust uint8
		state string
		again string // after a restart
	}{
		"a run that proves nothing (off)": {commission.ReasonCeased, 2, "missing", "missing"},
		"a run that failed":               {commission.ReasonOverran, 2, "worse", "worse"},
		"while the clock is not trusted":  {commission.ReasonOverran, 0, "worse", "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			a := s.running()
			a.guard.SetTrust(c.trust)
			a.trials.begin(7, 0.5)
			a.gather(endedRun(7, 1, c.why))
			if st := a.commissioning(); st.State != c.state {
				t.Errorf("%+v: expected %s", st, c.state)
			}
			a.trials.begin(8, 0.5) // somebody begins anew, and what he measures is no more than begun
			a.gather(endedRun(8, 1, commission.ReasonCeased))
			if st := a.commissioning(); st.State != c.state || len(a.trials.runs) != 1 {
				t.Errorf("with the next session: %+v, %d runs: expected %s", st, len(a.trials.runs), c.state)
			}
			s.kill(a)
			a = s.running()
			defer s.kill(a)
			if st := a.commissioning(); st.State != c.again {
				t.Errorf("after a restart: %+v: expected %s", st, c.again)
			}
		})
	}
}
