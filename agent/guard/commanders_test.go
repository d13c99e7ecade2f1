package guard

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/envelope"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

const plannerStated = "{channel: planner, authenticity: none, strength: claimed, reason: the demonstration's planner is simulated in this process}"

// provenPlanner is the demonstration with a planner that has to prove itself.
func provenPlanner(tb testing.TB) *Params {
	return demoParams(tb, replaceIn(tb, plannerStated, "{channel: planner, authenticity: required, keys: [planner], strength: authenticated}"))
}

// desk is a planner with the bytes of the wire in between: it seals, and the opener of the robot opens.
type desk struct {
	r      *rig
	sealer *envelope.Sealer
	opener *envelope.Opener
	// change is what an attacker does to an envelope on its way; a nil result is lost.
	change func([]byte) []byte
	last   []byte
	nonces int
	deaf   bool
}

// newDesk opens a rig whose planner seals each command. boot is the robot's.
func newDesk(tb testing.TB, boot byte) *desk {
	tb.Helper()
	r := newRig(tb, provenPlanner(tb), Start{})
	b := envelope.Binding{Robot: "robowarden-demo/1", Boot: [16]byte{boot}, Topic: "/cmd_vel_raw", Type: "geometry_msgs/Twist"}
	key := envelope.Key{ID: "planner", Secret: bytes.Repeat([]byte{5}, 32)}
	d := &desk{r: r}
	var err error
	if d.sealer, err = envelope.NewSealer(b, key); err != nil {
		tb.Fatal(err)
	}
	if d.opener, err = envelope.NewOpener(b, 4096, key); err != nil {
		tb.Fatal(err)
	}
	r.each = func(_ *Event, fx *Effects) {
		if fx.CommandChallenge&1 == 0 {
			return
		}
		d.nonces++
		nonce := [16]byte{15: boot}
		binary.LittleEndian.PutUint64(nonce[:], uint64(d.nonces)) //nolint:gosec // a count
		ev := Event{Kind: EventCommandChallenge, Boot: r.now, Civil: r.civil(), Challenge: Challenge{Value: nonce}}
		var after Effects
		r.core.Apply(&ev, &after)
		if !d.deaf {
			d.sealer.Challenge(nonce)
		}
	}
	r.edit = func(ev *Event) bool {
		if ev.Kind != EventCommand || ev.Command.Channel != 0 {
			return true
		}
		d.last = d.seal(ev.Command.Linear.X, ev.Command.Angular.Z)
		sent := bytes.Clone(d.last)
		if d.change != nil {
			if sent = d.change(sent); sent == nil {
				return false
			}
		}
		ev.Command = d.open(sent)
		return true
	}
	r.ready()
	return d
}

func (d *desk) seal(v, w float64) []byte {
	var body []byte
	for _, f := range []float64{v, 0, 0, 0, 0, w} {
		body = binary.LittleEndian.AppendUint64(body, math.Float64bits(f))
	}
	b, _ := d.sealer.Append(nil, body) // Without a challenge it is empty, and refused.
	return b
}

// open is what the bus does with an envelope.
func (d *desk) open(b []byte) *msg.Command {
	c := &msg.Command{Header: d.r.header("")}
	c.Stamp = 0
	body, p := d.opener.Open(b)
	c.Proof = p
	if p.Verdict == msg.ProofAuthentic {
		c.Linear.X = math.Float64frombits(binary.LittleEndian.Uint64(body))
		c.Angular.Z = math.Float64frombits(binary.LittleEndian.Uint64(body[40:]))
	}
	return c
}

// inject gives the core an envelope from somebody else, beside what the planner sends.
func (d *desk) inject(b []byte) interlock.GateReason {
	ev := Event{Kind: EventCommand, Boot: d.r.now, Civil: d.r.civil(), Command: d.open(b)}
	var fx Effects
	d.r.core.Apply(&ev, &fx)
	return d.r.core.gated.Reason
}

func (d *desk) drive(v float64) { d.r.drive = func() (float64, float64) { return v, 0 } }

func (d *desk) count(reason interlock.ProofReason) uint64 { return d.r.core.proofs[0].Counts()[reason] }

func TestProvenCommandsPass(t *testing.T) {
	d := newDesk(t, 1)
	d.drive(0.4)
	d.r.run(6 * time.Second)
	if d.r.plant.v < 0.35 || d.r.active(interlock.CommandUnproven) {
		t.Fatalf("the proven planner drives at %.2f m/s; %s; %+v", d.r.plant.v, d.r.state(), d.r.core.commanderStatus())
	}
	if s := d.r.core.commanderStatus(); s[0].Authenticity != "required" || s[0].Counts["accepted"] == 0 || s[1].Authenticity != "none" || s[1].Reason == "" {
		t.Errorf("status: %+v", s)
	}
}

// TestNothingUnprovenPasses sends what an attacker has, and only that: the robot does not move, is not stopped for good,
// and the rightful planner drives on afterwards.
func TestNothingUnprovenPasses(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[at] ^= 4; return b }
	}
	for name, c := range map[string]struct {
		change func(d *desk) func([]byte) []byte
		want   interlock.ProofReason
	}{
		"no envelope":         {func(*desk) func([]byte) []byte { return func([]byte) []byte { return make([]byte, 48) } }, interlock.ProofMalformed},
		"a flipped command":   {func(*desk) func([]byte) []byte { return flip(envelope.Overhead + 6) }, interlock.ProofWrongCode},
		"a flipped code":      {func(*desk) func([]byte) []byte { return flip(80) }, interlock.ProofWrongCode},
		"a flipped sequence":  {func(*desk) func([]byte) []byte { return flip(8) }, interlock.ProofWrongCode},
		"a flipped challenge": {func(*desk) func([]byte) []byte { return flip(33) }, interlock.ProofWrongCode},
		"for another boot":    {func(*desk) func([]byte) []byte { return flip(16) }, interlock.ProofWrongBoot},
		"for another robot":   {func(*desk) func([]byte) []byte { return flip(48) }, interlock.ProofWrongRobot},
		"for another topic":   {func(*desk) func([]byte) []byte { return flip(56) }, interlock.ProofWrongTopic},
		"by another key":      {func(*desk) func([]byte) []byte { return flip(64) }, interlock.ProofUnknownKey},
		"truncated":           {func(*desk) func([]byte) []byte { return func(b []byte) []byte { return b[:100] } }, interlock.ProofMalformed},
		"oversized": {func(*desk) func([]byte) []byte {
			return func(b []byte) []byte { return append(b, make([]byte, 5000)...) }
		}, interlock.ProofOversize},
		"the same again and again": {func(*desk) func([]byte) []byte {
			var first []byte
			return func(b []byte) []byte {
				if first == nil {
					first = b
				}
				return bytes.Clone(first)
			}
		}, interlock.ProofReplayed},
		"held back for five seconds": {func(*desk) func([]byte) []byte {
			var kept [][]byte
			return func(b []byte) []byte {
				if kept = append(kept, b); len(kept) < 50 {
					return nil
				}
				b, kept = kept[0], kept[1:]
				return b
			}
		}, interlock.ProofExpired},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, 1)
			d.drive(0.5)
			d.change = c.change(d)
			d.r.run(8 * time.Second)
			if d.r.plant.x > 12.1 || d.r.plant.v > 0.01 {
				t.Errorf("the robot moved: x %.3f, %.3f m/s", d.r.plant.x, d.r.plant.v)
			}
			if d.count(c.want) == 0 {
				t.Errorf("none was refused as %q: %+v", c.want, d.r.core.commanderStatus()[0])
			}
			if !d.r.active(interlock.CommandUnproven) || d.r.latched(interlock.CommandUnproven) || d.r.motion() < interlock.MotionHold {
				t.Errorf("the trigger: %s", d.r.state())
			}
			d.change = nil
			d.r.until("the rightful planner drives", 8*time.Second, func() bool { return d.r.plant.v > 0.35 })
			if d.r.active(interlock.CommandUnproven) {
				t.Errorf("the trigger stays: %s", d.r.state())
			}
		})
	}
}

// TestUndemandedProof is the off run: the same attack where the policy demands nothing moves the robot.
func TestUndemandedProof(t *testing.T) {
	r := newRig(t, demoParams(t), Start{})
	r.ready()
	r.drive = func() (float64, float64) { return 0.5, 0 }
	r.run(3 * time.Second)
	if r.plant.v < 0.4 || r.active(interlock.CommandUnproven) {
		t.Fatalf("found %.2f m/s; %s", r.plant.v, r.state())
	}
}

// TestReplayBesideTheRightfulOne plays recordings of this boot and of the one before while the planner drives: its
// commands go on passing, and not one of the others does.
func TestReplayBesideTheRightfulOne(t *testing.T) {
	before := newDesk(t, 1)
	before.drive(0.6)
	before.r.run(time.Second)
	d := newDesk(t, 2)
	d.drive(0.2)
	d.r.run(3 * time.Second)
	recorded := d.last
	for range 200 {
		d.r.step()
		for _, b := range [][]byte{recorded, before.last, make([]byte, 48)} {
			if r := d.inject(b); r != interlock.GateUnproven {
				t.Fatalf("a recording was %s", r)
			}
		}
		if d.r.plant.v > 0.22 {
			t.Fatalf("the robot drives at %.2f m/s", d.r.plant.v)
		}
	}
	if d.r.plant.v < 0.15 || !d.r.active(interlock.CommandUnproven) {
		t.Errorf("the rightful planner drives at %.2f m/s; %s", d.r.plant.v, d.r.state())
	}
	if d.count(interlock.ProofWrongBoot) == 0 || d.count(interlock.ProofReplayed) == 0 {
		t.Errorf("counts: %+v", d.r.core.commanderStatus()[0])
	}
}

// TestOneForgedCommandDoesNothing is a single one: dropped, counted, and no trigger.
func TestOneForgedCommandDoesNothing(t *testing.T) {
	d := newDesk(t, 1)
	d.drive(0.2)
	d.r.run(2 * time.Second)
	d.inject(make([]byte, 48))
	for range 100 {
		if d.r.step(); d.r.active(interlock.CommandUnproven) {
			t.Fatalf("one forged command: %s", d.r.state())
		}
	}
}

// TestSnapshotKeepsWhatWasUsed restores in the middle of a session: what came before is still used up.
func TestSnapshotKeepsWhatWasUsed(t *testing.T) {
	d := newDesk(t, 1)
	d.drive(0.2)
	d.r.run(2 * time.Second)
	restored, err := NewCore(d.r.params, Start{Boot: d.r.now})
	if err != nil {
		t.Fatal(err)
	}
	if err := restored.RestoreState(d.r.core.AppendState(nil)); err != nil {
		t.Fatal(err)
	}
	d.r.core = restored
	if r := d.inject(d.last); r != interlock.GateUnproven || d.count(interlock.ProofReplayed) == 0 {
		t.Fatalf("the last command before the snapshot was %s after it", r)
	}
	d.r.run(2 * time.Second)
	if d.r.plant.v < 0.15 {
		t.Errorf("the planner drives at %.2f m/s after the snapshot", d.r.plant.v)
	}
}

// TestLeastStrength demands more of a sender than the bus knows.
func TestLeastStrength(t *testing.T) {
	for _, c := range []struct {
		demand string
		known  msg.Strength
		passes bool
	}{
		{"claimed", msg.Claimed, true},
		{"source-bound", msg.Claimed, false},
		{"source-bound", msg.SourceBound, true},
		{"process-bound", msg.SourceBound, false},
		{"process-bound", msg.ProcessBound, true},
	} {
		p := demoParams(t, replaceIn(t, plannerStated, "{channel: planner, authenticity: none, strength: "+c.demand+", reason: a planner that cannot sign}"))
		r := newRig(t, p, Start{})
		r.peer.Strength = c.known
		r.ready()
		r.drive = func() (float64, float64) { return 0.5, 0 }
		r.run(3 * time.Second)
		if passes := r.plant.v > 0.1; passes != c.passes || r.active(interlock.CommandUnproven) == c.passes {
			t.Errorf("%s demanded of one who is %s: drives at %.2f m/s; %s", c.demand, c.known, r.plant.v, r.state())
		}
		if want := interlock.GateWeak; !c.passes && r.core.gate.Counts()[want] == 0 {
			t.Errorf("%s demanded of one who is %s: none was dropped as %q", c.demand, c.known, want)
		}
	}
}

func TestEveryVerdictHasAReason(t *testing.T) {
	seen := map[interlock.ProofReason]bool{}
	for v := range msg.NumProofVerdicts {
		p := proof(&msg.Proof{Verdict: v})
		if seen[p.Found] || (p.Found == interlock.ProofAccepted) != (v == msg.ProofAuthentic) {
			t.Errorf("verdict %d is %q", v, p.Found)
		}
		seen[p.Found] = true
	}
	if p := proof(&msg.Proof{Verdict: msg.NumProofVerdicts}); p.Found == interlock.ProofAccepted {
		t.Error("an unknown verdict is accepted")
	}
}

// challengeSink hands challenges to a sealer, as a commander reads them.
type challengeSink struct {
	nullSink
	sealer *envelope.Sealer
	heard  int
}

func (s *challengeSink) CommandChallenge(_ int, line []byte) {
	if _, _, _, nonce, err := envelope.ParseChallenge(line); err == nil && s.sealer != nil {
		s.sealer.Challenge(nonce)
		s.heard++
	}
}

// provenGuard is a whole guard whose planner proves its commands. send brings one from the bytes of its envelope into force.
func provenGuard(tb testing.TB) (g *Guard, clock *handClock, sink *challengeSink, send func(envelope []byte)) {
	tb.Helper()
	d := newDesk(tb, 1)
	d.drive(0)
	d.r.run(time.Second)
	clock = &handClock{}
	clock.boot.Store(int64(d.r.now))
	clock.civil.Store(d.r.civil())
	beat, err := NewHeartbeat("operator", "robowarden-demo/1", [16]byte{1}, make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	sink = &challengeSink{sealer: d.sealer}
	g = New(Options{
		Core: d.r.core, Clock: clock, Sink: sink, Journal: &copyRecorder{}, Heartbeats: []*Heartbeat{beat}, Persist: func([]byte) {},
		Envelopes: Envelopes{d.opener, nil, nil}, Log: zerolog.Nop(),
	})
	command := &msg.Command{Header: d.r.header("")}
	command.Stamp = 0
	return g, clock, sink, func(b []byte) {
		body, p := d.opener.Open(b)
		command.Proof, command.Twist = p, msg.Twist{}
		if p.Verdict == msg.ProofAuthentic {
			command.Linear.X = math.Float64frombits(binary.LittleEndian.Uint64(body))
		}
		g.Command(command)
	}
}

func TestProvenPathDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	g, clock, sink, send := provenGuard(t)
	body, buf := make([]byte, 48), make([]byte, 0, 256)
	forged := make([]byte, envelope.Overhead+48)
	// The clock moves on, so that challenges come due in between; drawing and telling one is on the path of a tick.
	n := testing.AllocsPerRun(600, func() {
		clock.advance(40 * time.Millisecond)
		g.Tick(clock.Boot())
		buf, _ = sink.sealer.Append(buf[:0], body)
		send(buf)
		send(buf)
		send(forged)
	})
	counts := g.opt.Core.proofs[0].Counts()
	if n != 0 || sink.heard < 20 || counts[interlock.ProofAccepted] < 600 || counts[interlock.ProofReplayed] < 600 || counts[interlock.ProofMalformed] < 600 {
		t.Fatalf("%v allocations, %d challenges heard, counts %v", n, sink.heard, counts)
	}
}

// BenchmarkProvenCommand is one command from the bytes of its envelope to the effects, beside BenchmarkCommand.
func BenchmarkProvenCommand(b *testing.B) {
	g, clock, sink, send := provenGuard(b)
	body, buf := make([]byte, 48), make([]byte, 0, 256)
	g.Tick(clock.Boot())
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		clock.advance(time.Millisecond)
		if clock.Boot()%time.Second == 0 {
			g.Tick(clock.Boot())
		}
		buf, _ = sink.sealer.Append(buf[:0], body)
		b.StartTimer()
		send(buf)
	}
}
