package guard

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// demandPlanner is the demonstration's parameters with a process demanded behind the planner.
func demandPlanner(tb testing.TB, edit ...func(policy string) string) *Params {
	p := demoParams(tb, edit...)
	p.Processes = []ProcessDemand{{Node: "/planner", Unit: "planner.service", HasUID: true, UID: 1001, HasExe: true, Exe: [32]byte{1}}}
	return p
}

const plannerID = 70

// connectPlanner is the planner's connection; right is the fact that fits the demand for d.
func (r *rig) connectPlanner() {
	r.apply(Event{Kind: EventPeer, Peer: PeerEvent{Change: PeerConnected, Input: 0, Gated: true, ID: plannerID, Name: "/planner", Strength: msg.SourceBound}})
}

func (r *rig) right(d time.Duration) Process {
	return Process{ID: plannerID, Found: true, UID: 1001, Unit: "planner.service", HasExe: true, Exe: [32]byte{1}, Until: r.now + d}
}

func (r *rig) fact(p Process) { r.apply(Event{Kind: EventProcess, Process: p}) }

func TestProcessBehindAPublisher(t *testing.T) {
	for name, c := range map[string]struct {
		fact            func(p *Process)
		wrong, unproven interlock.Cause
	}{
		"the demanded one":      {func(*Process) {}, 0, 0},
		"another unit":          {func(p *Process) { p.Unit = "evil.service" }, interlock.CauseWrongUnit, 0},
		"no unit":               {func(p *Process) { p.Unit = "" }, interlock.CauseWrongUnit, 0},
		"another user":          {func(p *Process) { p.UID = 0 }, interlock.CauseWrongUser, 0},
		"another executable":    {func(p *Process) { p.Exe[0]++ }, interlock.CauseWrongExecutable, 0},
		"unreadable executable": {func(p *Process) { p.HasExe = false }, 0, interlock.CauseIncomplete},
		"another computer":      {func(p *Process) { *p = Process{ID: p.ID, Until: p.Until} }, 0, interlock.CauseProcessAbsent},
		"another connection":    {func(p *Process) { p.ID++ }, 0, interlock.CauseProcessUnsaid},
		"the lease is over":     {func(p *Process) { p.Until = rigStart }, 0, interlock.CauseExpired},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, demandPlanner(t), Start{}).ready()
			r.connectPlanner()
			p := r.right(time.Hour)
			c.fact(&p)
			r.fact(p)
			r.run(time.Second) // More than the dwell of what the connection itself made present.
			in := &r.core.inputs.Conditions
			if got := in[interlock.PublisherProcess]; got.Cause != c.wrong || got.State == interlock.Present != (c.wrong != 0) {
				t.Errorf("publisher.process is %+v, expected %v", got, c.wrong)
			}
			if got := in[interlock.PublisherUnproven]; got.Cause != c.unproven || got.State == interlock.Present != (c.unproven != 0) {
				t.Errorf("publisher.unproven is %+v, expected %v", got, c.unproven)
			}
			if fine := c.wrong == 0 && c.unproven == 0; fine != r.core.Proven(plannerID) || fine != r.open() {
				t.Errorf("proven %t, open %t: %s", r.core.Proven(plannerID), r.open(), r.state())
			}
		})
	}
}

// TestWrongProcessStaysWrong: neither a better fact nor its loss takes back what was said of a connection; only its end does.
func TestWrongProcessStaysWrong(t *testing.T) {
	r := newRig(t, demandPlanner(t), Start{}).ready()
	r.connectPlanner()
	wrong := r.right(time.Second)
	wrong.UID = 0
	r.fact(wrong)
	r.fact(r.right(time.Hour))
	r.run(5 * time.Second)
	if !r.active(interlock.PublisherProcess) || r.core.inputs.Conditions[interlock.PublisherProcess].State != interlock.Present {
		t.Errorf("a wrong process was forgiven: %s", r.state())
	}
	r.apply(Event{Kind: EventPeer, Peer: PeerEvent{Change: PeerGone, Input: 0, Gated: true, ID: plannerID, Name: "/planner"}})
	if got := r.core.inputs.Conditions[interlock.PublisherProcess].State; got != interlock.Clear {
		t.Errorf("the cause is %v after the connection ended", got)
	}
	if !r.latched(interlock.PublisherProcess) {
		t.Error("the latch is gone without a reset")
	}
}

// TestLeaseOfAFactIsOnTheBootClock: neither civil time nor anything else but the lease keeps the robot going, and not a
// step longer.
func TestLeaseOfAFactIsOnTheBootClock(t *testing.T) {
	r := newRig(t, demandPlanner(t), Start{}).ready()
	r.connectPlanner()
	r.fact(r.right(3 * time.Second))
	r.run(2900 * time.Millisecond)
	if !r.open() {
		t.Fatalf("closed within the lease: %s", r.state())
	}
	r.skew -= int64(time.Second)
	r.run(200 * time.Millisecond)
	if r.motion() != interlock.MotionHold || !r.active(interlock.PublisherUnproven) {
		t.Errorf("not held after the lease: %s", r.state())
	}
	r.fact(r.right(time.Hour))
	r.until("goes on with a fact", 5*time.Second, func() bool { return !r.active(interlock.PublisherUnproven) })
}

func TestMoreConnectionsThanTheTableHolds(t *testing.T) {
	r := newRig(t, demandPlanner(t), Start{}).ready()
	for i := range uint32(maxProven + 3) {
		r.apply(Event{Kind: EventPeer, Peer: PeerEvent{Change: PeerConnected, Input: 0, ID: 100 + i, Name: "/planner"}})
		p := r.right(time.Hour)
		p.ID = 100 + i
		r.fact(p)
	}
	if c := r.core.inputs.Conditions[interlock.PublisherUnproven]; c.State != interlock.Present || c.Cause != interlock.CauseTooMany {
		t.Errorf("got %+v", c)
	}
	for i := range uint32(maxProven + 3) {
		r.apply(Event{Kind: EventPeer, Peer: PeerEvent{Change: PeerGone, Input: 0, ID: 100 + i, Name: "/planner"}})
	}
	if c := r.core.inputs.Conditions[interlock.PublisherUnproven]; c.State != interlock.Clear {
		t.Errorf("nobody is connected, got %+v", c)
	}
}

// attested are the conditions of attestation as three letters: missing, expired, failed.
func (r *rig) attested() string {
	var out []byte
	for i, t := range []interlock.Trigger{interlock.AttestationMissing, interlock.AttestationExpired, interlock.AttestationFailed} {
		if r.core.inputs.Conditions[t].State == interlock.Present {
			out = append(out, "mef"[i])
		}
	}
	return string(out)
}

func TestAttestationStates(t *testing.T) {
	accept := func(r *rig, d time.Duration) {
		r.apply(Event{Kind: EventAttestation, Attestation: Attestation{Verdict: VerdictAccepted, Tier: TierTPM, Until: r.now + d}})
	}
	refuse := func(r *rig) {
		r.apply(Event{Kind: EventAttestation, Attestation: Attestation{Verdict: VerdictRefused}})
	}
	say := func(r *rig, s SessionState) {
		r.apply(Event{Kind: EventSession, Session: Session{State: s, Until: r.now + time.Second}})
	}
	for name, c := range map[string]struct {
		do   func(r *rig)
		want string
	}{
		"nothing came":             {func(*rig) {}, "m"},
		"attesting":                {func(r *rig) { say(r, SessionAttesting) }, "m"},
		"accepted":                 {func(r *rig) { accept(r, time.Minute) }, ""},
		"accepted for a past time": {func(r *rig) { accept(r, -time.Second) }, "e"},
		"ran out":                  {func(r *rig) { accept(r, time.Second); r.run(1100 * time.Millisecond) }, "e"},
		"renewed after it ran out": {func(r *rig) { accept(r, -time.Second); accept(r, time.Minute) }, ""},
		"refused":                  {refuse, "mf"},
		"refused after accepted":   {func(r *rig) { accept(r, time.Minute); refuse(r) }, "ef"},
		"accepted after refused":   {func(r *rig) { refuse(r); accept(r, time.Minute) }, ""},
		"a verdict that nobody knows": {func(r *rig) {
			r.apply(Event{Kind: EventAttestation, Attestation: Attestation{Verdict: 9, Until: r.now + time.Hour}})
		}, "mf"},
		"claimed failed":                  {func(r *rig) { say(r, SessionFailed) }, "mf"},
		"claimed failed, then taken back": {func(r *rig) { say(r, SessionFailed); say(r, SessionAttesting) }, "mf"},
		"claimed failed, then silence":    {func(r *rig) { say(r, SessionFailed); r.run(5 * time.Second) }, "mf"},
		"claimed failed while accepted":   {func(r *rig) { accept(r, time.Minute); say(r, SessionFailed) }, "f"},
		"accepted after claimed failed":   {func(r *rig) { say(r, SessionFailed); accept(r, time.Minute) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, demoParams(t), Start{})
			r.step()
			c.do(r)
			if got := r.attested(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// opened returns robots that have all been opened alike, without opening each.
func opened(tb testing.TB, p *Params) func() *rig {
	base := newRig(tb, p, Start{}).ready()
	state := base.core.AppendState(nil)
	return func() *rig {
		r := *base
		var err error
		if r.core, err = NewCore(p, Start{}); err == nil {
			err = r.core.RestoreState(state)
		}
		if err != nil {
			tb.Fatal(err)
		}
		r.off, r.answers = map[string]bool{}, slices.Clone(base.answers)
		return &r
	}
}

// drawUnsigned draws something that steward or courier say without a signature.
func drawUnsigned(t *rapid.T, r *rig) Event {
	if rapid.Bool().Draw(t, "session") {
		return Event{Kind: EventSession, Session: Session{
			State: SessionState(rapid.IntRange(0, 3).Draw(t, "state")), Connected: rapid.Bool().Draw(t, "connected"), //nolint:gosec // small
			Until: r.now + time.Duration(rapid.Int64Range(-1e9, 6e10).Draw(t, "lease")),
		}}
	}
	p := r.right(time.Duration(rapid.Int64Range(-1e9, 6e10).Draw(t, "lease")))
	p.ID = rapid.SampledFrom([]uint32{0, 7, plannerID, plannerID + 1}).Draw(t, "id")
	p.Found = rapid.Bool().Draw(t, "found")
	p.UID = rapid.SampledFrom([]uint32{0, 1001}).Draw(t, "uid")
	p.Unit = rapid.SampledFrom([]string{"", "planner.service", "evil.service"}).Draw(t, "unit")
	p.HasExe = rapid.Bool().Draw(t, "exe")
	return Event{Kind: EventProcess, Process: p}
}

// TestUnsignedFactsNeverLoosen drives the same robot day twice: once as it is without a demand on processes and without
// any unsigned fact, once with the demand and with whatever steward and courier may say, in any order, with any loss. The
// second is never less restricted.
func TestUnsignedFactsNeverLoosen(t *testing.T) {
	plain, demanding := opened(t, demoParams(t)), opened(t, demandPlanner(t))
	rapid.Check(t, func(rt *rapid.T) {
		a, b := plain(), demanding()
		for range rapid.IntRange(10, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				for _, r := range []*rig{a, b} {
					r.connectPlanner()
				}
			case 1:
				for _, r := range []*rig{a, b} {
					r.apply(Event{Kind: EventPeer, Peer: PeerEvent{Change: PeerGone, Input: 0, Gated: true, ID: plannerID, Name: "/planner"}})
				}
			case 2:
				v := Attestation{Verdict: Verdict(rapid.IntRange(0, 2).Draw(rt, "verdict")), Until: a.now + time.Duration(rapid.Int64Range(0, 3e10).Draw(rt, "until"))} //nolint:gosec // small
				for _, r := range []*rig{a, b} {
					r.apply(Event{Kind: EventAttestation, Attestation: v})
				}
			case 3, 4, 5:
				ev := drawUnsigned(rt, b)
				b.apply(ev)
			default:
				d := time.Duration(rapid.IntRange(1, 30).Draw(rt, "run")) * rigStep
				a.run(d)
				b.run(d)
			}
			if x, y := a.core.decision.Axes, b.core.decision.Axes; interlock.Join(x, y) != y {
				rt.Fatalf("unsigned facts loosened %s to %s", a.state(), b.state())
			}
		}
	})
}

// TestLosingFactsNeverLoosens: from any moment on, a robot to which steward and courier say nothing more is never less
// restricted than one to which they go on speaking as before.
func TestLosingFactsNeverLoosens(t *testing.T) {
	robot := opened(t, demandPlanner(t))
	rapid.Check(t, func(rt *rapid.T) {
		a, b := robot(), robot()
		said := map[uint32]Process{}
		for _, r := range []*rig{a, b} {
			r.connectPlanner()
		}
		lost := false
		for range rapid.IntRange(10, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				lost = true
			case 1, 2:
				ev := drawUnsigned(rt, a)
				if lost {
					// Who goes on speaking says the same with a new lease.
					old, ok := said[plannerID]
					if !ok {
						continue
					}
					old.Until = a.now + time.Minute
					a.fact(old)
					continue
				}
				if ev.Kind == EventProcess {
					said[ev.Process.ID] = ev.Process
				}
				a.apply(ev)
				b.apply(ev)
			default:
				d := time.Duration(rapid.IntRange(1, 60).Draw(rt, "run")) * rigStep
				a.run(d)
				b.run(d)
			}
			if x, y := a.core.decision.Axes, b.core.decision.Axes; interlock.Join(x, y) != y {
				rt.Fatalf("loss loosened %s to %s", a.state(), b.state())
			}
		}
	})
}

func TestNewEventsDoNotAllocate(t *testing.T) {
	r := newRig(t, demandPlanner(t), Start{}).ready()
	r.connectPlanner()
	events := []Event{
		{Kind: EventProcess, Process: r.right(time.Hour)},
		{Kind: EventSession, Session: Session{State: SessionAttesting, Connected: true, Until: r.now + time.Hour}},
		{Kind: EventAttestation, Attestation: Attestation{Verdict: VerdictAccepted, Tier: TierTPM, Until: r.now + time.Hour}},
	}
	buf := make([]byte, 0, 4096)
	for i := range events {
		ev := &events[i]
		ev.Boot, ev.Civil = r.now, r.civil()
		n := testing.AllocsPerRun(200, func() {
			r.core.Apply(ev, &r.fx)
			buf = AppendEvent(buf[:0], ev)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations, want 0", ev, n)
		}
	}
}

// TestProcessDemandsComeFromTheMapping: what the mapping says reaches the core as it was written.
func TestProcessDemandsComeFromTheMapping(t *testing.T) {
	zero := 0
	got := processDemands(&config.Topics{Processes: []config.Process{
		{Node: "/a", Unit: "a.service"}, {Node: "/b", UID: &zero, ExeSHA256: "ff" + strings.Repeat("00", 31)},
	}})
	want := []ProcessDemand{{Node: "/a", Unit: "a.service"}, {Node: "/b", HasUID: true, HasExe: true, Exe: [32]byte{0xff}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
