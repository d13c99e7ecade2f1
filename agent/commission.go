package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/hal/host"
)

// Files of the proof test in the state directory.
const (
	// recordFile is the signed record in force.
	recordFile = "commissioning.dsse.json"
	recordNew  = "commissioning.dsse.json.new"
	// measuredFile is what this guard measured last, unsigned: only this very text can become the record.
	measuredFile = "commissioning-measured.json"
	measuredNew  = "commissioning-measured.json.new"
)

// CommissioningStatus says whether the robot has proven that it stops as its profile claims.
type CommissioningStatus struct {
	// State is valid, overdue, due-unknown, missing, refused, worse, or not-demanded.
	State string `json:"state"`
	// Due is until when the record counts, RFC 3339, empty where none does.
	Due string `json:"due,omitempty"`
	// Text says why, and what to do.
	Text string `json:"text"`
	// By is who signed the record.
	By string `json:"by,omitempty"`
}

// proofs judges the record of the robot's proof test again and again: a record grows old by itself.
type proofs struct {
	robot, profile string
	// every is how long a test counts at most, 0 where the profile demands none.
	every time.Duration
	state *stateDir

	mu sync.Mutex
	// signed is the record in force, measured what the guard measured last; nil where there is none.
	signed, measured []byte
	// unreadable is why a file that is there cannot be read.
	unreadable error
	// failed says what failed in a test that no record tells of, empty if nothing did.
	failed string
}

// newProofs reads what is stored.
func newProofs(robot string, cfg *config.Config, state *stateDir) *proofs {
	p := &proofs{
		robot: robot, profile: strings.TrimPrefix(cfg.Digests.Profile.String(), "sha256:"), every: cfg.Profile.CommissioningDue(), state: state,
	}
	p.read()
	return p
}

// read takes up what is stored.
func (p *proofs) read() {
	for name, to := range map[string]*[]byte{recordFile: &p.signed, measuredFile: &p.measured} {
		data, err := p.state.dir.ReadFile(name)
		switch {
		case err == nil:
			*to = data
		case !errors.Is(err, fs.ErrNotExist):
			p.unreadable = fmt.Errorf("%s: %w", name, err)
		}
	}
}

// look judges what is stored. The time until which it counts is on CLOCK_BOOTTIME.
func (p *proofs) look(v *order.Verifier, now order.Times, boot time.Duration) (guard.Commissioned, CommissioningStatus) {
	p.mu.Lock()
	signed, measured, unreadable, failed := p.signed, p.measured, p.unreadable, p.failed
	p.mu.Unlock()
	no := func(state guard.CommissionState, format string, args ...any) (guard.Commissioned, CommissioningStatus) {
		return guard.Commissioned{State: state}, CommissioningStatus{State: state.String(), Text: fmt.Sprintf(format, args...)}
	}
	last, damaged := lastMeasured(measured)
	if damaged != nil && unreadable == nil {
		unreadable = fmt.Errorf("whether a later test failed cannot be told, %s is damaged: %w", measuredFile, damaged)
	}
	own := last != nil && last.Robot == p.robot && last.Profile == p.profile
	switch {
	case p.every == 0:
		return guard.Commissioned{}, CommissioningStatus{State: "not-demanded", Text: "the profile demands no proof test"}
	case failed != "":
		return no(guard.CommissionWorse, "the last test failed: %s", failed)
	case unreadable != nil:
		return no(guard.CommissionRefused, "%v; test the robot again with `robowarden commission`", unreadable)
	case signed == nil && own && last.Enough():
		return no(guard.CommissionMissing, "the robot was tested; what was measured waits for a technician's signature, see docs/commissioning.md")
	case signed == nil && !own:
		return no(guard.CommissionMissing, "the robot was never tested; test it with `robowarden commission`")
	case signed == nil:
		return no(guard.CommissionWorse, "the last test failed: %s", failures(last))
	}
	payload, signers, err := v.VerifyDocument(now, order.CommissioningType, order.RoleTechnician, signed)
	if order.ReasonOf(err) == order.ClockUntrusted {
		return no(guard.CommissionDueUnknown, "whether the record still counts cannot be judged: the robot's clock is not trusted; let it synchronise")
	}
	if err != nil {
		return no(guard.CommissionRefused, "the record does not count: %v", err)
	}
	rec, err := order.DecodeCommissioning(payload)
	if err != nil {
		return no(guard.CommissionRefused, "the record does not count: %v", err)
	}
	due := rec.Due
	if latest := rec.Measured.Add(p.every); latest.Before(due) {
		due = latest
	}
	s := CommissioningStatus{Due: due.Format(time.RFC3339), By: signers[0].Person}
	switch {
	case rec.Robot != p.robot:
		return no(guard.CommissionRefused, "the record is that of %s, this robot is %s", rec.Robot, p.robot)
	case rec.Profile != p.profile:
		return no(guard.CommissionRefused, "the record was made for another profile (sha256:%s, in force is sha256:%s): test the robot against this one", rec.Profile[:12], p.profile[:12])
	case !rec.Enough():
		return no(guard.CommissionWorse, "the record is not enough: %s", failures(rec))
	case last != nil && !last.Enough(): // whatever a clock says: only what was measured last was ever signed
		return no(guard.CommissionWorse, "a later test failed: %s", failures(last))
	case now.Civil.Add(now.Uncertainty).Before(rec.Measured):
		return no(guard.CommissionRefused, "the record is from the future: %s", rec.Measured.Format(time.RFC3339))
	case !now.Civil.Add(now.Uncertainty).Before(due):
		s.State, s.Text = guard.CommissionOverdue.String(), "the next proof test is overdue; test the robot with `robowarden commission`"
		return guard.Commissioned{State: guard.CommissionOverdue}, s
	}
	s.State, s.Text = guard.CommissionValid.String(), fmt.Sprintf("tested on %s", rec.Measured.Format(time.DateOnly))
	return guard.Commissioned{State: guard.CommissionValid, Until: boot + due.Sub(now.Civil.Add(now.Uncertainty))}, s
}

// lastMeasured reads what the guard measured last, nil if there is nothing.
func lastMeasured(measured []byte) (*order.Commissioning, error) {
	if measured == nil {
		return nil, nil
	}
	return order.DecodeCommissioning(measured)
}

// failures names the items that did not pass.
func failures(c *order.Commissioning) string {
	var out []string
	for i := range c.Items {
		if it := &c.Items[i]; it.Result != order.ItemPassed {
			out = append(out, it.Name+" "+it.Result+" ("+it.Text+")")
		}
	}
	return strings.Join(out, "; ")
}

// keep stores what was measured. A test that failed ends what a record said before: first in memory, which no disk can
// refuse, then for good, so that no later test, of another profile, can bring it back.
func (p *proofs) keep(measured []byte) error {
	rec, err := order.DecodeCommissioning(measured)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !rec.Enough() {
		p.signed, p.measured, p.failed = nil, measured, ""
		err := p.state.replace(measuredNew, measuredFile, measured)
		if err != nil { // the older text there could be signed again
			err = errors.Join(err, p.state.drop(measuredFile))
		}
		return errors.Join(err, p.state.drop(recordFile))
	}
	if err := p.state.replace(measuredNew, measuredFile, measured); err != nil {
		return err
	}
	p.measured, p.failed = measured, ""
	return nil
}

// fail ends what a record said before, where what failed cannot be written down.
func (p *proofs) fail(what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signed, p.measured, p.failed = nil, nil, what
	return errors.Join(p.state.drop(recordFile), p.state.drop(measuredFile))
}

// errNotMeasured is why a record is not taken.
var errNotMeasured = errors.New("this is not what this robot measured last: sign the file that `robowarden commission` wrote last, unchanged")

// install puts a signed record into force, if it is the very text that this guard measured last.
func (p *proofs) install(v *order.Verifier, now order.Times, envelope []byte) error {
	payload, _, err := v.VerifyDocument(now, order.CommissioningType, order.RoleTechnician, envelope)
	if err != nil {
		return err
	}
	rec, err := order.DecodeCommissioning(payload)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !bytes.Equal(payload, p.measured):
		return errNotMeasured
	case !rec.Enough():
		return fmt.Errorf("the robot did not pass: %s", failures(rec))
	}
	if err := p.state.replace(recordNew, recordFile, envelope); err != nil {
		return err
	}
	p.signed, p.unreadable = envelope, nil
	return nil
}

// lookAfterProof tells the guard about the record: at the start, and when it changes.
func (a *Agent) lookAfterProof(ctx context.Context) error {
	const period, again = time.Second, 30 * time.Second
	t := time.NewTicker(period)
	defer t.Stop()
	var told guard.Commissioned
	var judged time.Duration
	trust := order.Untrusted
	for first, woken := true, true; ; first = false {
		// A signature costs a slow computer a millisecond, so it is not looked at every time.
		if now, boot := a.orders.now(); woken || now.Trust != trust || boot-judged >= again {
			judged, trust = boot, now.Trust
			found, s := a.proofs.look(a.orders.verifier.Load(), now, boot)
			if drift := (found.Until - told.Until).Abs(); first || found.State != told.State || drift > holdoverDrift/2 {
				a.guard.Commissioned(found)
				a.log.Info().Str("state", s.State).Str("due", s.Due).Msg("proof test: " + s.Text)
				told = found
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			woken = false
			a.trials.mu.Lock()
			a.overlook()
			a.trials.mu.Unlock()
		case <-a.trials.changed:
			woken = true
		}
	}
}

// commissioning is the status.
func (a *Agent) commissioning() CommissioningStatus {
	now, boot := a.orders.now()
	_, s := a.proofs.look(a.orders.verifier.Load(), now, boot)
	return s
}

// InspectCommissioning says what a start would find about the proof test of a deployment's robot. It writes nothing.
func InspectCommissioning(cfg *config.Config) CommissioningStatus {
	dep := cfg.Deployment
	unknown := func(err error) CommissioningStatus {
		return CommissioningStatus{State: guard.CommissionUnknown.String(), Text: err.Error()}
	}
	dir, err := order.OpenDir(dep.Paths.StateDir)
	if err != nil {
		dir = nil
		if !errors.Is(err, fs.ErrNotExist) {
			return unknown(err)
		}
	}
	robot := robotID(cfg.Profile.Manufacturer, dep.Serial)
	p := &proofs{robot: robot, profile: strings.TrimPrefix(cfg.Digests.Profile.String(), "sha256:"), every: cfg.Profile.CommissioningDue()}
	if dir != nil {
		defer func() { _ = dir.Close() }()
		p = newProofs(robot, cfg, &stateDir{path: dep.Paths.StateDir, dir: dir})
	}
	v, err := deliveredVerifier(dep, robot)
	if err != nil {
		return unknown(err)
	}
	clock := host.Clock{}
	// Whoever checks a file looks at a clock that he trusts.
	_, s := p.look(v, times(clock.Civil(), 2), clock.Boot())
	return s
}

// note keeps in the journal that a record was put into force, or why not.
func (a *Agent) noteProof(r *Receipt) {
	if text, err := json.Marshal(r); err == nil {
		a.guard.Note(guard.RecordOrder, text)
	}
}
