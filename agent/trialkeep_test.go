package agent

import (
	"crypto"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/commission"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
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

// TestInspectionKnowsTheRobotsGroups judges the record of a robot whose keys are those of its group.
func TestInspectionKnowsTheRobotsGroups(t *testing.T) {
	s := newSiteOf(t, "diff-drive", func(name string, raw []byte) []byte {
		if name == "deployment.yaml" {
			raw = append(raw, "\ngroups: [ward-3]\n"...)
		}
		return raw
	})
	tara, err := order.GenerateKey(order.Ed25519)
	s.must(err)
	from := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	list := &order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{"group:ward-3"}, Sequence: 1, Reason: "a test", NotBefore: from, NotAfter: from.Add(24 * time.Hour),
		KeyList: &order.KeyList{},
	}
	for _, k := range []struct {
		key    crypto.Signer
		person string
		role   order.Role
	}{{s.root, "rita", order.RoleRoot}, {s.engineer, "sven", order.RoleSafetyEngineer}, {tara, "tara", order.RoleTechnician}} {
		id, err := order.KeyID(k.key.Public())
		s.must(err)
		pem, err := order.MarshalPublicKey(k.key.Public())
		s.must(err)
		list.KeyList.Keys = append(list.KeyList.Keys, order.Key{
			ID: id, PEM: string(pem), Person: k.person, Roles: []order.Role{k.role}, NotBefore: list.NotBefore, NotAfter: list.NotAfter,
		})
	}
	signed, err := order.Sign(list, s.root)
	s.must(err)
	s.write("keys/keylist-001.dsse.json", signed)
	a := s.running()
	defer s.kill(a)
	rec := &order.Commissioning{
		Robot: siteRobot, Profile: a.proofs.profile, BootID: testBoot, Measured: from, Due: from.Add(240 * time.Hour), MPS: 0.5,
		Items: []order.CommissioningItem{{Name: "stop", Result: order.ItemPassed, Text: "at rest"}},
	}
	payload, err := rec.Encode()
	s.must(err)
	envelope, err := order.SignDocument(order.CommissioningType, payload, tara)
	s.must(err)
	s.write("state/"+measuredFile, payload)
	s.write("state/"+recordFile, envelope)
	if st := InspectCommissioning(a.cfg); st.State != "valid" || st.By != "tara" {
		t.Errorf("%+v: expected a valid record", st)
	}
	dep := *a.cfg.Deployment
	cfg := *a.cfg
	cfg.Deployment, dep.Groups = &dep, nil
	if st := InspectCommissioning(&cfg); st.State == "valid" {
		t.Errorf("without the group (off): %+v", st)
	}
}

// TestRunsAreFittedOnce asks again and again how a test stands.
func TestRunsAreFittedOnce(t *testing.T) {
	s := newTestSite(t)
	a := s.running()
	defer s.kill(a)
	a.trials.begin(7, 0.5)
	first := a.trialReport(&guard.TrialAnswer{})
	if again := a.trialReport(&guard.TrialAnswer{}); len(first.Items) == 0 || len(first.Steps) == 0 || &again.Items[0] != &first.Items[0] {
		t.Errorf("fitted anew without a new run, or %d items of %d steps", len(first.Items), len(first.Steps))
	}
	ans := endedRun(7, 1, commission.ReasonOverran)
	a.gather(ans)
	if after := a.trialReport(ans); after.Items[2].Result != string(commission.Failed) {
		t.Errorf("after a run that failed: %+v", after.Items)
	}
	a.trials.begin(8, 0.5)
	a.gather(endedRun(8, 1, commission.ReasonCeased))
	if next := a.trialReport(ans); next.Items[2].Result == string(commission.Failed) {
		t.Errorf("the next session has the runs of the one before: %+v", next.Items)
	}
}
