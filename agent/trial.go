package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/robowarden/robowarden/agent/commission"
	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
)

// trials carries a technician's wishes to the guard, gathers the runs, and turns them into a record.
type trials struct {
	mu      sync.Mutex
	session uint64
	mps     float64
	seen    uint32
	runs    []commission.Run
	// open is true until the session's test is known to be over, judged how many runs were looked at for a failure.
	open   bool
	judged int
	// told is what was reported of the first toldRuns runs, by the profile toldOf.
	told     contract.TrialReport
	toldRuns int
	toldOf   *guard.Params
	// changed wakes who tells the guard about the record.
	changed chan struct{}
}

// maxTrialRuns bounds what one session keeps: each step's most, and some that went wrong.
const maxTrialRuns = 128

// errTrialFull is why a session takes no more runs.
var errTrialFull = errors.New("this session has as many runs as are kept; end it and begin another")

// trial answers one request of the control socket.
func (a *Agent) trial(body []byte) contract.TrialReport {
	var r contract.TrialRequest
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return contract.TrialReport{Text: fmt.Sprintf("the request cannot be read: %v", err)}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return contract.TrialReport{Text: "the request cannot be read: something follows it"}
	}
	a.trials.mu.Lock()
	defer a.trials.mu.Unlock()
	if r.Op == "install" {
		return a.installProof(r.Record)
	}
	id, err := strconv.ParseUint(r.Session, 16, 64)
	if err != nil || len(r.Session) != 16 || id == 0 {
		return contract.TrialReport{Text: "session: expected 16 hexadecimal digits, not all 0"}
	}
	ops := map[string]guard.TrialOp{"begin": guard.TrialBegin, "keep": guard.TrialKeep, "go": guard.TrialGo, "end": guard.TrialEnd, "finish": guard.TrialEnd}
	op, known := ops[r.Op]
	switch t := &a.trials; {
	case !known:
		return contract.TrialReport{Text: fmt.Sprintf("op: found %q: expected begin, keep, go, end, finish or install", r.Op)}
	case r.Op == "go" && len(t.runs) >= maxTrialRuns:
		return contract.TrialReport{Text: errTrialFull.Error()}
	case r.Step < 0 || r.Step >= commission.MaxSteps || math.IsNaN(r.MPS):
		return contract.TrialReport{Text: fmt.Sprintf("step: found %d: expected a step of this robot's test", r.Step)}
	}
	if op == guard.TrialBegin || op == guard.TrialGo {
		a.overlook() // what begins anew forgets the run before
	}
	ans := a.guard.Trial(guard.TrialWish{Op: op, ID: id, Step: r.Step, MPS: r.MPS}, a.trials.seen)
	if r.Op == "begin" && ans.Done {
		a.trials.begin(id, r.MPS)
	}
	a.gather(&ans)
	out := a.trialReport(&ans)
	out.Accepted, out.Text = ans.Done, a.trialText(&r, &ans)
	if r.Op == "finish" && a.trials.session == id {
		a.finishTrial(&out)
	}
	return out
}

// begin begins a session. One that begins again keeps the runs before; those of another one have been judged.
func (t *trials) begin(id uint64, mps float64) {
	if t.session != id {
		t.runs, t.judged, t.toldOf = nil, 0, nil
	}
	t.session, t.seen, t.mps, t.open = id, 0, mps, true
}

// gather keeps a run that has ended. What failed counts at once, whether anybody finishes the test or not.
func (a *Agent) gather(ans *guard.TrialAnswer) {
	t := &a.trials
	if t.session != 0 && ans.ID == t.session && ans.Runs > t.seen && ans.Run.Number == ans.Runs {
		t.seen = ans.Runs
		t.runs = append(t.runs, ans.Run)
	}
	if ans.ID != t.session || ans.Phase == commission.PhaseOff || ans.Phase == commission.PhaseEnding {
		t.open = false
	}
	if len(t.runs) == t.judged {
		return
	}
	t.judged = len(t.runs)
	rec, failed := a.trialRecord()
	if !failed {
		return
	}
	if err := a.keepFailed(&rec); err != nil {
		a.log.Error().Err(err).Msg("a proof test failed, which could not be stored; the guard knows it until it ends")
	}
	a.trials.wake()
}

// overlook takes what ended while nobody asked: a program that is gone, or one that asks too late.
func (a *Agent) overlook() {
	if a.trials.open {
		ans := a.guard.TrialNow(a.trials.seen)
		a.gather(&ans)
	}
}

// keepFailed stores that a test failed. Where no record can say it, what was in force ends all the same.
func (a *Agent) keepFailed(rec *order.Commissioning) error {
	record, err := rec.Encode()
	if now, _ := a.orders.now(); err != nil || now.Trust == order.Untrusted {
		return a.proofs.fail(failures(rec))
	}
	return a.proofs.keep(record)
}

// trialText says in words what became of a wish.
func (a *Agent) trialText(r *contract.TrialRequest, ans *guard.TrialAnswer) string {
	switch {
	case ans.Done:
		return "taken"
	case ans.Phase == commission.PhaseOff && r.Op != "begin":
		return "no proof test is on"
	case ans.Phase != commission.PhaseOff && ans.ID != a.trials.session:
		return "somebody else's proof test is on"
	case len(ans.Trouble) > 0:
		return fmt.Sprintf("expected a robot without other restrictions, found %v; robowarden status says what to do about each", ans.Trouble)
	case !ans.Standing:
		return "expected a robot that stands by two sources, found one that moves or cannot tell"
	case ans.Wanted:
		return "expected nobody to command motion, found commands: let go of the controls"
	case r.Op == "begin":
		_, p := a.current()
		return fmt.Sprintf("expected a speed from %.2f to %.2f m/s and no test under way, found %.2f m/s", commission.LeastMPS, p.Trial.MaxMPS, r.MPS)
	}
	return "the test is not at a point where that can be done"
}

// trialReport puts the guard's answer into the contract's words.
func (a *Agent) trialReport(ans *guard.TrialAnswer) contract.TrialReport {
	cfg, p := a.current()
	out := contract.TrialReport{
		Phase: ans.Phase.String(), Step: ans.Place, Runs: ans.Runs, Ready: ans.Ready, Standing: ans.Standing, Commanded: ans.Wanted, Triggers: ans.Trouble,
		SpeedMPS: ans.Speed, TurnRadPS: ans.Turn, ToldMPS: ans.Told[0], ToldRadPS: ans.Told[1], Clear: ans.Clear,
	}
	if ans.Why != commission.ReasonNone {
		out.Ended = ans.Why.String()
	}
	t := &a.trials
	if t.toldOf != p || t.toldRuns != len(t.runs) {
		t.told, t.toldOf, t.toldRuns = fitted(cfg, p, t.runs), p, len(t.runs)
	}
	out.Steps, out.Items = t.told.Steps, t.told.Items
	return out
}

// fitted says what the runs of a session came to and what each step still needs. It fits all of them, which takes a slow computer
// a while: it is done once for each run.
func fitted(cfg *config.Config, p *guard.Params, runs []commission.Run) (out contract.TrialReport) {
	claims := cfg.Profile.ClaimSpec()
	for i := range p.Trial.N {
		s := &p.Trial.Steps[i]
		step := contract.TrialStep{Kind: s.Kind.String()}
		step.Needs, step.Better = commission.Needs(&p.Trial, i, runs)
		switch s.Kind {
		case commission.KindRung, commission.KindWatchdog:
			step.Name = claims.Rungs[s.Index]
		case commission.KindInput:
			step.Name = claims.Inputs[s.Index]
		default:
		}
		out.Steps = append(out.Steps, step)
	}
	for _, it := range commission.Judge(&p.Trial, &claims, runs) {
		out.Items = append(out.Items, contract.TrialItem{Name: it.Name, Result: string(it.Result), Text: it.Text})
	}
	return out
}

// trialRecord makes the record of a session as far as it has come, and says whether anything failed.
func (a *Agent) trialRecord() (rec order.Commissioning, failed bool) {
	cfg, p := a.current()
	claims := cfg.Profile.ClaimSpec()
	now, _ := a.orders.now()
	every := cfg.Profile.CommissioningDue()
	if every == 0 {
		every = 365 * 24 * time.Hour // the profile demands none; a record is made all the same
	}
	rec = order.Commissioning{
		Robot: a.robot, Profile: a.proofs.profile, BootID: bootUUID(a.boot), MPS: a.trials.mps, Measured: now.Civil.Truncate(time.Second),
	}
	rec.Due = rec.Measured.Add(every)
	for _, it := range commission.Judge(&p.Trial, &claims, a.trials.runs) {
		failed = failed || it.Result == commission.Failed
		rec.Items = append(rec.Items, order.CommissioningItem{
			Name: it.Name, Result: string(it.Result), Unit: it.Unit, Value: it.Value, Error: it.Error, Mean: it.Mean, Limit: it.Limit, Text: it.Text,
		})
	}
	return rec, failed
}

// finishTrial makes the record of a session. What was not measured leaves an older record in force; what failed does not.
func (a *Agent) finishTrial(out *contract.TrialReport) {
	rec, failed := a.trialRecord()
	if now, _ := a.orders.now(); now.Trust == order.Untrusted {
		out.Accepted, out.Text = false, "the robot's clock is not trusted, so no record can say when it was measured; let it synchronise, then test again"
		return
	}
	record, err := rec.Encode()
	switch {
	case err != nil:
		out.Accepted, out.Text = false, err.Error()
		return
	case !failed && !rec.Enough():
		out.Accepted, out.Text, out.Record = false, "not everything was measured, so nothing was stored: "+failures(&rec), record
		return
	}
	if err := a.proofs.keep(record); err != nil {
		out.Accepted, out.Text = false, fmt.Sprintf("what was measured could not be stored: %v", err)
		return
	}
	a.trials.wake()
	out.Accepted, out.Record = true, record
	if out.Text = "stored; a technician signs it now"; failed {
		out.Text = "stored: the robot is worse than its profile claims, and no record counts until it passes: " + failures(&rec)
	}
}

// installProof puts a signed record into force.
func (a *Agent) installProof(envelope []byte) contract.TrialReport {
	now, _ := a.orders.now()
	r := Receipt{Kind: "commissioning"}
	if err := a.proofs.install(a.orders.verifier.Load(), now, envelope); err != nil {
		r.Reason, r.Text = string(order.ReasonOf(err)), err.Error()
		a.noteProof(&r)
		return contract.TrialReport{Text: r.Text}
	}
	a.trials.wake()
	r.Accepted, r.Applied, r.Text = true, true, "the record is in force"
	a.noteProof(&r)
	return contract.TrialReport{Accepted: true, Text: r.Text}
}

func (t *trials) wake() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}
