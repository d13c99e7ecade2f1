package fleet

import (
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/attest/order"
)

func TestRecordsArriveOnceInOrderAndAreAcknowledged(t *testing.T) {
	b := newBench(t, nil)
	s := newSource("guard", testBoot(1))
	list := s.writeN(200)
	for chunk := range slices.Chunk(list, MaxRecords) {
		b.take(event(t, chunk...))
		b.take(event(t, chunk...)) // at least once is more than once
	}
	b.wants()
	same(t, b.records, list)
	last := list[len(list)-1]
	if seq, digest := b.acknowledged("guard"); seq != last.Seq || digest != last.Digest.String() {
		t.Errorf("acknowledged %d %s: expected %d %s", seq, digest, last.Seq, last.Digest)
	}
}

// same compares what arrived with what was written.
func same(t testing.TB, got, want []Record) {
	t.Helper()
	plain := func(list []Record) []Record {
		out := slices.Clone(list)
		for i := range out {
			out[i].Claim = ""
		}
		return out
	}
	if d := cmp.Diff(plain(want), plain(got)); d != "" {
		t.Errorf("records (-written +arrived):\n%.2000s", d)
	}
}

// TestAnyWayOfDelivery is the heart of it: whatever the network reorders, repeats and forgets, as long as the robot
// sends again from what was acknowledged, every record arrives once, in order, with no alarm.
func TestAnyWayOfDelivery(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, nil)
		defer func() { _ = b.c.Close() }()
		logs := []*source{newSource("guard", testBoot(1)), newSource("courier", testBoot(1)), newSource("guard", testBoot(2))}
		written := map[string][]Record{}
		var all []Record
		for range rapid.IntRange(1, 60).Draw(rt, "records") {
			s := logs[rapid.IntRange(0, len(logs)-1).Draw(rt, "log")]
			r := s.write(uint8(rapid.IntRange(1, 9).Draw(rt, "kind")), uint64(rapid.IntRange(1, 4).Draw(rt, "leap")), "x")
			key := r.Log + r.Boot.String()
			written[key] = append(written[key], r)
			all = append(all, r)
		}
		for range rapid.IntRange(0, 80).Draw(rt, "deliveries") {
			i := rapid.IntRange(0, len(all)-1).Draw(rt, "from")
			n := min(rapid.IntRange(1, 5).Draw(rt, "batch"), len(all)-i)
			b.take(event(t, all[i:i+n]...))
			if rapid.IntRange(0, 19).Draw(rt, "restart") == 0 {
				b.restart()
			}
		}
		for _, r := range all { // what a robot does in the end: it sends everything that is not acknowledged
			b.take(event(t, r))
		}
		b.c.Tick(b.now.Add(time.Hour))
		if len(b.alarms) != 0 {
			rt.Fatalf("alarms: %v", b.alarms)
		}
		arrived := map[string][]Record{}
		for _, r := range b.records {
			key := r.Log + r.Boot.String()
			arrived[key] = append(arrived[key], r)
		}
		for key, list := range written {
			same(t, arrived[key], list)
		}
	})
}

// TestAttacks changes one thing on the way: the record must not be taken, and the code must name the fault.
func TestAttacks(t *testing.T) {
	other := testKey(t, order.ECDSAP256)
	faults := map[string]struct {
		attack func(b *bench, s *source)
		want   []Code
	}{
		"off: nothing is changed": {func(b *bench, s *source) { b.take(event(t, s.writeN(3)...)) }, nil},
		"payload changed":         {func(b *bench, s *source) { r := s.write(4, 1, "a"); r.Payload = []byte("b"); b.take(event(t, r)) }, []Code{Altered}},
		"kind changed":            {func(b *bench, s *source) { r := s.write(4, 1, "a"); r.Kind = 5; b.take(event(t, r)) }, []Code{Altered}},
		"boot clock changed":      {func(b *bench, s *source) { r := s.write(4, 1, "a"); r.BootTime++; b.take(event(t, r)) }, []Code{Altered}},
		"number changed":          {func(b *bench, s *source) { r := s.write(4, 1, "a"); r.Seq++; b.take(event(t, r)) }, []Code{Altered}},
		"record forged":           {forged, []Code{Fork}},
		"record of another log":   {func(b *bench, s *source) { r := s.write(4, 1, "a"); r.Log = "steward"; b.take(event(t, r)); b.later() }, []Code{Gap}},
		"record of another boot": {func(b *bench, s *source) {
			r := s.write(4, 1, "a")
			r.Boot = testBoot(9)
			b.take(event(t, r))
			b.later()
		}, []Code{Gap}},
		"record left out":        {func(b *bench, s *source) { l := s.writeN(3); b.take(event(t, l[0], l[2])); b.later() }, []Code{Gap}},
		"first record left out":  {func(b *bench, s *source) { l := s.writeN(3); b.take(event(t, l[1:]...)); b.later() }, []Code{Gap}},
		"log written anew":       {anew, []Code{Fork}},
		"older record rewritten": {rewritten, []Code{Fork}},
		"two ways behind a hole": {branches, []Code{Fork}},
		"loss announced":         {announced, []Code{LossAnnounced}},
		"loss without a chain value": {func(b *bench, s *source) {
			b.take(event(t, s.writeN(2)...))
			courier := newSource("courier", s.boot)
			b.take(event(t, courier.write(KindLoss, 1, fmt.Sprintf(`{"log":"guard","boot_id":%q,"first":4,"last":20}`, s.boot))))
			blind := &source{log: "guard", boot: s.boot, seq: 20} // the robot does not know what was before
			b.take(event(t, blind.write(4, 1, "after the loss"), blind.write(4, 1, "and on")))
			b.take(event(t, courier.write(KindCheckpoint, 1, checkpointJSON(t, b.device, "guard", s.boot, 22, Digest{1}))))
			b.later()
			if seq, _ := b.acknowledged("guard"); seq != 22 {
				t.Errorf("acknowledged %d: expected 22", seq)
			}
		}, []Code{LossAnnounced}},
		"loss without a chain value, not announced": {func(b *bench, s *source) {
			b.take(event(t, s.writeN(2)...))
			blind := &source{log: "guard", boot: s.boot, seq: 20}
			b.take(event(t, blind.write(4, 1, "after the loss")))
			b.later()
		}, []Code{Gap}},
		"loss announced elsewhere": {announcedElsewhere, []Code{LossAnnounced, Gap}},
		"checkpoint by another key": {func(b *bench, s *source) {
			b.take(event(t, s.writeN(3)...))
			b.take(event(t, s.checkpoint(t, newSource("courier", s.boot), other)))
		}, []Code{CheckpointForged}},
		"checkpoint of another log": {func(b *bench, s *source) {
			b.take(event(t, s.writeN(3)...))
			r := newSource("courier", s.boot).write(KindCheckpoint, 1, checkpointJSON(t, b.device, "guard", s.boot, s.seq, Digest{1}))
			b.take(event(t, r))
		}, []Code{CheckpointMismatch}},
		"checkpoint before its records": {func(b *bench, s *source) {
			r := newSource("courier", s.boot).write(KindCheckpoint, 1, checkpointJSON(t, b.device, "guard", s.boot, 2, Digest{1}))
			b.take(event(t, r))
			b.take(event(t, s.writeN(5)...))
		}, []Code{CheckpointMismatch}},
		"checkpoints stop": {func(b *bench, s *source) {
			b.take(event(t, s.writeN(3)...))
			b.now = b.now.Add(3 * time.Minute)
			b.take(event(t, s.writeN(3)...))
		}, []Code{CheckpointMissing}},
		"topic of an unknown robot": {func(b *bench, s *source) {
			b.c.Take(b.now, testPrefix+"/v1/acme/runner-2/event", event(t, s.write(4, 1, "a")))
		}, []Code{UnknownRobot}},
		"topic of nobody": {func(b *bench, _ *source) { b.c.Take(b.now, "elsewhere/v1/acme/runner-1/event", nil) }, []Code{Malformed}},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			f.attack(b, newSource("guard", testBoot(1)))
			b.wants(f.want...)
		})
	}
}

// later lets the time pass in which a missing record would have come.
func (b *bench) later() {
	b.now = b.now.Add(b.o.Patience)
	b.c.Tick(b.now)
	b.c.Tick(b.now.Add(time.Hour)) // told once
}

// forged puts a record of the attacker's own behind the newest; the true one then shows it.
func forged(b *bench, s *source) {
	b.take(event(b.t, s.writeN(3)...))
	evil := *s
	b.take(event(b.t, evil.write(4, 1, "forged")))
	b.take(event(b.t, s.write(4, 1, "true")))
}

// anew is a robot whose log begins once more within one boot.
func anew(b *bench, s *source) {
	b.take(event(b.t, s.writeN(3)...))
	b.take(event(b.t, newSource("guard", s.boot).write(4, 5000, "again")))
}

// rewritten sends another record with a number that has long been taken.
func rewritten(b *bench, s *source) {
	past := *s
	for chunk := range slices.Chunk(s.writeN(3*maxRecent), MaxRecords) {
		b.take(event(b.t, chunk...))
	}
	b.take(event(b.t, past.write(4, 1, "another past")))
}

// branches sends two records of one number, both behind a hole.
func branches(b *bench, s *source) {
	s.write(4, 1, "held back")
	evil := *s
	b.take(event(b.t, s.write(4, 1, "one")))
	b.take(event(b.t, evil.write(4, 1, "two")))
}

// announced loses records and says so in the courier's log.
func announced(b *bench, s *source) {
	b.loses(s, fmt.Sprintf(`{"log":"guard","boot_id":%q,"first":3,"last":9}`, s.boot))
	b.later()
	if len(b.records) != 4 {
		b.t.Errorf("%d records arrived: expected two, the announcement, and the one behind the loss", len(b.records))
	}
	if seq, _ := b.acknowledged("guard"); seq != s.seq {
		b.t.Errorf("acknowledged %d: expected %d", seq, s.seq)
	}
	if err := b.c.Close(); err != nil { // The file explains the hole by itself.
		b.t.Fatal(err)
	}
	b.open()
}

func (b *bench) loses(s *source, announcement string) {
	b.take(event(b.t, s.write(4, 1, "a"), s.write(4, 1, "b")))
	for range 7 {
		s.write(4, 1, "lost")
	}
	b.take(event(b.t, s.write(4, 1, "c")))
	b.take(event(b.t, newSource("courier", s.boot).write(KindLoss, 1, announcement)))
}

func announcedElsewhere(b *bench, s *source) {
	b.loses(s, fmt.Sprintf(`{"log":"guard","boot_id":%q,"first":11,"last":12}`, s.boot))
	b.later()
}

func TestNothingIsAcknowledgedOverAGap(t *testing.T) {
	b := newBench(t, nil)
	list := newSource("guard", testBoot(1)).writeN(10)
	b.take(event(t, list[:3]...))
	b.take(event(t, list[5:]...))
	b.later()
	b.wants(Gap)
	if seq, _ := b.acknowledged("guard"); seq != list[2].Seq {
		t.Errorf("acknowledged %d: expected %d", seq, list[2].Seq)
	}
	b.take(event(t, list[3:5]...)) // late, but here
	if seq, _ := b.acknowledged("guard"); seq != list[9].Seq {
		t.Errorf("acknowledged %d after the missing ones came: expected %d", seq, list[9].Seq)
	}
	same(t, b.records, list)
}

func TestCheckpointsProve(t *testing.T) {
	for _, alg := range []order.Algorithm{order.ECDSAP256, order.Ed25519} {
		b := newBench(t, nil)
		b.device = testKey(t, alg)
		b.o.Devices = map[string]crypto.PublicKey{testRobot: b.device.Public()}
		b.restart()
		guard, courier := newSource("guard", testBoot(1)), newSource("courier", testBoot(1))
		for i := range 50 {
			b.now = b.now.Add(10 * time.Second)
			early := guard.writeN(5)
			cp := guard.checkpoint(t, courier, b.device)
			if i%2 == 0 { // whichever comes first
				b.take(event(t, early...))
				b.take(event(t, cp))
			} else {
				b.take(event(t, cp))
				b.take(event(t, early...))
			}
		}
		b.wants()
		for _, p := range b.c.Positions() {
			if p.Log == "guard" && p.Proven != guard.seq {
				t.Errorf("%s: proven to %d: expected %d", alg, p.Proven, guard.seq)
			}
		}
	}
}

func TestDuplicatesAreAnsweredOnceASecond(t *testing.T) {
	b := newBench(t, nil)
	list := newSource("guard", testBoot(1)).writeN(3)
	b.take(event(t, list...))
	for range 10 {
		b.take(event(t, list...))
	}
	if len(b.acks) != 1 {
		t.Errorf("%d acknowledgements at once: expected 1", len(b.acks))
	}
	b.now = b.now.Add(2 * time.Second)
	b.take(event(t, list...))
	if len(b.acks) != 2 {
		t.Errorf("%d acknowledgements after a resend: expected 2", len(b.acks))
	}
	b.c.Reconnected()
	b.commit()
	if len(b.acks) != 3 {
		t.Errorf("%d acknowledgements after a reconnect: expected 3", len(b.acks))
	}
}

func TestAcknowledgementIsSigned(t *testing.T) {
	b := newBench(t, nil)
	b.take(event(t, newSource("guard", testBoot(1)).writeN(1)...))
	var env struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct {
			KeyID string
			Sig   []byte
		}
	}
	if err := json.Unmarshal(b.acks[0].Payload, &env); err != nil {
		t.Fatal(err)
	}
	pae := fmt.Sprintf("DSSEv1 %d %s %d %s", len(env.PayloadType), env.PayloadType, len(env.Payload), env.Payload)
	pub, ok := b.key.Public().(ed25519.PublicKey)
	if !ok || !ed25519.Verify(pub, []byte(pae), env.Signatures[0].Sig) {
		t.Error("the signature does not verify")
	}
	if ed25519.Verify(pub, []byte(pae+" "), env.Signatures[0].Sig) {
		t.Error("off: a changed document verifies as well")
	}
}

func TestStoreFullKeepsTheRobotWaiting(t *testing.T) {
	b := newBench(t, func(o *Options) { o.MaxBytes = minBytes })
	s := newSource("guard", testBoot(1))
	var list []Record
	for range 2000 {
		r := s.write(4, 1, "some hundred bytes of payload so that the file fills up sooner than the test takes to run")
		list = append(list, r)
		b.take(event(t, r))
	}
	if !slices.Contains(b.codes(), StoreFull) || slices.Contains(b.codes(), Gap) {
		t.Errorf("alarms %v: expected %s", b.codes(), StoreFull)
	}
	seq, _ := b.acknowledged("guard")
	if n := uint64(len(b.records)); n == 0 || n == 2000 || seq != n {
		t.Errorf("%d records taken, %d acknowledged: expected the same, and fewer than all", n, seq)
	}
	info, err := os.Stat(filepath.Join(b.o.Dir, fileName(testRobot)))
	if err != nil || info.Size() > minBytes {
		t.Errorf("%d bytes, %v: expected at most %d", info.Size(), err, minBytes)
	}
	b.o.MaxBytes = 1 << 20 // more room, and the robot sends again
	b.restart()
	b.take(event(t, list[seq:seq+MaxRecords]...))
	if got, _ := b.acknowledged("guard"); got != seq+MaxRecords {
		t.Errorf("acknowledged %d with more room: expected %d", got, seq+MaxRecords)
	}
}

func TestMemoryIsBoundedUnderAFloodOfMadeUpBoots(t *testing.T) {
	b := newBench(t, nil)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 3 * maxStreams / MaxRecords {
		var list []Record
		for range MaxRecords {
			var boot BootID
			for i := range boot {
				boot[i] = byte(rng.Uint32())
			}
			s := newSource("guard", boot)
			s.write(4, 1, "held back")
			list = append(list, s.write(4, 1, "no predecessor"))
		}
		b.take(event(t, list...))
	}
	r := b.c.robots[testRobot]
	if len(r.streams) > maxStreams || r.budget.records > maxPending || r.budget.bytes > maxPendingBytes {
		t.Errorf("%d streams, %+v waiting", len(r.streams), r.budget)
	}
	// The robot itself still gets through.
	list := newSource("guard", testBoot(1)).writeN(5)
	b.take(event(t, list...))
	same(t, b.records, list)
}

func TestConnectionIsToldWhenItChanges(t *testing.T) {
	var states []string
	b := newBench(t, func(o *Options) { o.OnConnection = func(_, s string) { states = append(states, s) } })
	for _, s := range []string{"ONLINE", "ONLINE", "CONNECTIONBROKEN", "ONLINE"} {
		b.c.Take(b.now, testPrefix+"/v1/"+testRobot+"/connection", cloud(t, connectionType, map[string]any{"connectionState": s}))
	}
	b.c.Take(b.now, testPrefix+"/v1/"+testRobot+"/connection", cloud(t, connectionType, map[string]any{"connectionState": "FINE"}))
	b.wants(Malformed)
	if d := cmp.Diff([]string{"ONLINE", "CONNECTIONBROKEN", "ONLINE"}, states); d != "" {
		t.Error(d)
	}
}

func TestAlarmsAreCounted(t *testing.T) {
	b := newBench(t, nil)
	for range 100 {
		b.c.Take(b.now, eventTopic, []byte("{"))
	}
	b.now = b.now.Add(quiet)
	b.c.Take(b.now, eventTopic, []byte("{"))
	if len(b.alarms) != 2 || b.alarms[1].Repeated != 99 {
		t.Errorf("alarms %v: expected two, the second with 99 more", b.alarms)
	}
}

// TestProvenOverARestart: a consumer that starts anew knows what checkpoints have proven, whichever came first, and however
// far back a checkpoint's record lies. It went by what it met while it read its file, and took nothing for proven.
func TestProvenOverARestart(t *testing.T) {
	for name, order := range map[string]func(b *bench, early []Record, cp Record){
		"checkpoint last":  func(b *bench, early []Record, cp Record) { b.all(early...); b.all(cp) },
		"checkpoint first": func(b *bench, early []Record, cp Record) { b.all(cp); b.all(early...) },
		"checkpoint long after": func(b *bench, early []Record, cp Record) {
			b.all(early...)
			b.all(b.guard.writeN(3 * maxRecent)...)
			b.all(cp)
		},
		"another boot since": func(b *bench, early []Record, cp Record) {
			b.all(early...)
			b.all(newSource("guard", testBoot(2)).writeN(5)...)
			b.all(cp)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.guard = newSource("guard", testBoot(1))
			early := b.guard.writeN(50)
			last := b.guard.seq
			cp := b.guard.checkpoint(t, newSource("courier", testBoot(1)), b.device)
			order(b, early, cp)
			for range 2 {
				if got := b.proven(testBoot(1)); got != last {
					t.Errorf("proven to %d: expected %d", got, last)
				}
				b.restart()
			}
			b.wants()
		})
	}
}

// TestHoleIsToldWithoutRoom: a record that came too early and found no room is missed as loudly as one that did.
func TestHoleIsToldWithoutRoom(t *testing.T) {
	b := newBench(t, nil)
	guard, courier := newSource("guard", testBoot(1)), newSource("courier", testBoot(1))
	guard.writeN(1)
	list := guard.writeN(maxPending + 10)
	b.all(list...)
	courier.writeN(5)
	b.all(courier.writeN(3)...)
	b.now = b.now.Add(b.o.Patience)
	b.c.Tick(b.now)
	b.wants(Gap, Gap)
}
