package replay

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
)

const epoch = int64(1_767_225_600_000_000_000) // 2026-01-01

// clock is moved by the test.
type clock struct {
	boot  time.Duration
	civil int64
}

func (c *clock) Boot() time.Duration { return c.boot }
func (c *clock) Civil() int64        { return c.civil }

// silent does nothing with effects.
type silent struct{ guard.NoGates }

func (silent) Command(uint64, msg.Twist)         {}
func (silent) Lock(uint64, bool)                 {}
func (silent) Challenge(int, []byte)             {}
func (silent) Rungs(uint64, uint32, guard.Calls) {}
func (silent) Private(uint64, bool)              {}
func (silent) CommandChallenge(int, []byte)      {}

// run is a guard that is fed by hand, and the documents by which it decides.
type run struct {
	t      *testing.T
	folder string
	clock  *clock
	guard  *guard.Guard
	n      int
}

// documents writes the demonstration's documents by their content and returns what a start record says of them.
func documents(t *testing.T, folder string, edit func(policy string) string) (Start, *guard.Params) {
	t.Helper()
	var files []string
	for _, name := range []string{"profile.yaml", "topics.yaml", "policy.yaml"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "configs", "demo", name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "policy.yaml" {
			raw = []byte(edit(string(raw)))
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	cfg, err := config.Load(nil, files...)
	if err != nil {
		t.Fatal(err)
	}
	s := Start{
		Robot: "demo/1", Serial: "demo-humanoid-01", Node: "/robowarden", Floor: epoch,
		Profile: cfg.Digests.Profile.String(), Topics: cfg.Digests.Topics.String(), Policy: cfg.Digests.Policy.String(),
	}
	for digest, raw := range map[string][]byte{s.Profile: cfg.Raw.Profile, s.Topics: cfg.Raw.Topics, s.Policy: cfg.Raw.Policy} {
		file := filepath.Join(folder, strings.TrimPrefix(digest, "sha256:")+".yaml")
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Documents(folder)(s)
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func same(policy string) string { return policy }

// newPolicy is a later revision with the corridor slower.
func newPolicy(policy string) string {
	policy = strings.Replace(policy, "revision: 1 ", "revision: 2 ", 1)
	return strings.Replace(policy, "max_speed_mps: 0.8", "max_speed_mps: 0.5", 1)
}

func startRun(t *testing.T, folder string, rec guard.Recorder, unclean bool) *run {
	t.Helper()
	s, p := documents(t, folder, same)
	c := &clock{boot: 30 * time.Second, civil: epoch + int64(60*24*time.Hour)}
	core, err := guard.NewCore(p, guard.Start{Boot: c.boot, Unclean: unclean})
	if err != nil {
		t.Fatal(err)
	}
	beat, err := guard.NewHeartbeat("operator", "demo/1", [16]byte{1}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	g := guard.New(guard.Options{
		Core: core, Clock: c, Sink: silent{}, Journal: rec, Heartbeats: []*guard.Heartbeat{beat}, Persist: func([]byte) {}, Log: zerolog.Nop(),
	})
	g.SetTrust(2)
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	g.Note(guard.RecordStart, raw)
	return &run{t: t, folder: folder, clock: c, guard: g}
}

// roles says now and then what steward, courier and verifier say.
func (r *run) roles() {
	switch boot := r.clock.boot; r.n % 40 {
	case 7:
		r.guard.Session(guard.Session{State: guard.SessionAttesting, Connected: true, Until: boot + time.Second})
	case 11:
		r.guard.Process(guard.Process{ID: 3, Found: true, UID: 1001, Unit: "planner.service", Until: boot + time.Second})
	case 19:
		r.guard.Attest(guard.Attestation{Verdict: guard.VerdictAccepted, Tier: guard.TierTPM, Until: boot + 300*time.Millisecond})
	case 23:
		// More publishers than a record's number holds, on a topic that is watched.
		r.guard.Graph(&msg.Graph{Topic: "/cmd_vel_raw", Known: true, Total: 100_000})
	}
}

// feed gives the guard steps of 20 ms of a robot that stands in the corridor and is told to go.
func (r *run) feed(steps int) {
	peer := &msg.Peer{ID: 3, Name: "/planner", Strength: msg.SourceBound}
	for range steps {
		r.n++
		r.clock.boot += guard.TickPeriod
		r.clock.civil += int64(guard.TickPeriod)
		head := msg.Header{Boot: r.clock.boot, Stamp: r.clock.civil - 1e6, Frame: "map", Peer: peer}
		r.guard.Tick(r.clock.boot)
		if r.n%25 == 1 {
			r.guard.Floor(0)
			for topic, names := range map[string][]string{"/cmd_vel": {"/robowarden"}} {
				g := msg.Graph{Topic: topic, Known: true, Total: 1, ConsumerKnown: true, SourcesTotal: 1, Registered: true}
				g.Publishers[0], g.Sources[0] = names[0], names[0]
				r.guard.Graph(&g)
			}
		}
		r.roles()
		pose := msg.Pose{Header: head, Position: msg.Vec3{X: 12, Y: 12}, Orientation: msg.Quat{W: 1}, HasCovariance: true}
		pose.Covariance[0], pose.Covariance[7], pose.Covariance[35] = 4e-4, 4e-4, 4e-4
		r.clock.boot += 137 * time.Microsecond // No two events at one moment.
		r.clock.civil += int64(137 * time.Microsecond)
		r.guard.Pose(&pose)
		r.guard.Odometry(&msg.Pose{Header: head, HasTwist: true})
		r.guard.IMU(&msg.IMU{Header: head, HasAngularVelocity: true})
		r.guard.Joints(&msg.Joints{Header: head, N: 29, Seen: 1<<29 - 1, HasVelocity: true})
		r.guard.Command(&msg.Command{Header: head, Twist: msg.Twist{Linear: msg.Vec3{X: 0.3}}})
		if r.n%40 == 0 {
			r.guard.Answer(0, []byte("rw1 answer operator nonsense"))
		}
	}
}

// loadNew puts the later policy into force as the agent does.
func (r *run) loadNew() {
	r.t.Helper()
	s, p := documents(r.t, r.folder, newPolicy)
	note, err := json.Marshal(map[string]string{"digest": s.Policy})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.guard.Load(guard.Prepare(p), note); err != nil {
		r.t.Fatal(err)
	}
}

// tape keeps records in memory. While full, it drops, and says so with a gap record as the journal does.
type tape struct {
	records []journal.Record
	seq     uint64
	full    bool
	gap     bool
}

func (c *tape) Append(kind uint8, boot time.Duration, payload []byte, urgent bool) (uint64, bool) {
	c.seq++
	if c.full {
		c.gap = true
		return c.seq, false
	}
	if c.gap {
		c.gap = false
		c.records = append(c.records, journal.Record{Kind: journal.KindGap})
	}
	c.records = append(c.records, journal.Record{
		Seq: c.seq, Boot: boot, Kind: journal.Kind(kind), Urgent: urgent, Payload: append([]byte(nil), payload...),
	})
	return c.seq, true
}

// play replays a tape.
func play(t *testing.T, folder string, records []journal.Record) Result {
	t.Helper()
	p := &player{params: Documents(folder)}
	for i := range records {
		if err := p.take(&records[i]); err != nil {
			t.Fatalf("record %d, kind %d: %v", i, records[i].Kind, err)
		}
	}
	return p.Result
}

func TestReplayFindsTheSameDecisions(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(r *run, c *tape)
		gaps bool
	}{
		{"plain", func(r *run, _ *tape) { r.feed(1600) }, false},
		{"a stop order", func(r *run, _ *tape) {
			r.feed(100)
			r.guard.Order(guard.Order{Kind: guard.OrderStop, Zone: geofence.NoZone})
			r.feed(700)
		}, false},
		{"a new policy", func(r *run, _ *tape) { r.feed(300); r.loadNew(); r.feed(900) }, false},
		{"a gap", func(r *run, c *tape) {
			r.feed(300)
			c.full = true
			r.feed(50)
			c.full = false
			r.feed(300)
		}, true},
		{"a new policy lost in a gap", func(r *run, c *tape) {
			r.feed(300)
			c.full = true
			r.feed(5)
			r.loadNew()
			r.feed(5)
			c.full = false
			r.feed(900)
		}, true},
		{"the start lost", func(r *run, c *tape) {
			r.feed(600)
			c.records = c.records[700:] // as the quota does
			r.feed(600)
		}, true},
		{"the quota cuts between what a snapshot was decided by and the snapshot", func(r *run, c *tape) {
			r.feed(600)
			i := slices.IndexFunc(c.records[700:], func(x journal.Record) bool { return uint8(x.Kind) == guard.RecordSnapshot })
			c.records = c.records[700+i:]
			r.feed(900)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder, rec := t.TempDir(), &tape{}
			r := startRun(t, folder, rec, false)
			c.do(r, rec)
			got := play(t, folder, rec.records)
			if bad := got.Mismatches; len(bad) > 0 || got.Events < 1000 {
				t.Errorf("%d events, mismatches %+v", got.Events, bad)
			}
			if (got.Skipped > 1) != c.gaps { // The first event comes before the first snapshot.
				t.Errorf("%d events skipped, gaps expected: %t", got.Skipped, c.gaps)
			}
			t.Logf("%d events, %d snapshots, %d skipped, %d differ in state", got.Events, got.Snapshots, got.Skipped, len(got.Mismatches))
		})
	}
}

// TestReplayFindsAChange is the run that must fail.
func TestReplayFindsAChange(t *testing.T) {
	folder, rec := t.TempDir(), &tape{}
	r := startRun(t, folder, rec, true)
	r.feed(300)
	for i := range rec.records {
		p := rec.records[i].Payload
		if i > 100 && uint8(rec.records[i].Kind) == guard.RecordEvent && p[0] == byte(guard.EventTick) {
			p[1+3*8] = 0 // the trust in civil time
			break
		}
	}
	if got := play(t, folder, rec.records); got.OK() {
		t.Error("a changed command replays as if nothing were")
	}
}

// TestReplayFromDisk goes through the real journal, with a second run after an unclean end of the first.
func TestReplayFromDisk(t *testing.T) {
	folder, dir := t.TempDir(), filepath.Join(t.TempDir(), "journal")
	for i := range 2 {
		c := &clock{boot: time.Second}
		o := journal.DefaultOptions([16]byte{byte(i + 1)}, c.Boot)
		log, err := journal.Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- log.Run(ctx) }()
		r := startRun(t, folder, disk{log}, i > 0)
		for range 10 {
			r.feed(40)
			// The ring holds two seconds of this; a real guard is slower than this loop.
			if err := log.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		cancel()
		<-done
	}
	got, err := Dir(dir, Documents(folder))
	if err != nil {
		t.Fatal(err)
	}
	if bad := got.Mismatches; len(bad) > 0 || got.Runs != 2 || got.Events < 3000 || got.Skipped > 4 {
		t.Errorf("%d runs, %d events, %d skipped, mismatches %+v", got.Runs, got.Events, got.Skipped, bad)
	}
}

type disk struct{ log *journal.Log }

func (d disk) Append(kind uint8, boot time.Duration, payload []byte, urgent bool) (uint64, bool) {
	return d.log.Append(journal.Kind(kind), boot, payload, urgent)
}

func TestDocumentsRefusesWhatWasChanged(t *testing.T) {
	folder := t.TempDir()
	s, _ := documents(t, folder, same)
	file := filepath.Join(folder, strings.TrimPrefix(s.Topics, "sha256:")+".yaml")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(raw, "# a comment\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Documents(folder)(s); err == nil {
		t.Error("a changed mapping was taken for the one that decided")
	}
	s.Policy = "sha256:" + hex.EncodeToString(make([]byte, 32))
	if _, err := Documents(folder)(s); err == nil {
		t.Error("a policy that is not there was found")
	}
}

// TestReplayWithGivenParameters replays a journal that names no documents, for somebody who has what it was decided by.
func TestReplayWithGivenParameters(t *testing.T) {
	folder, rec := t.TempDir(), &tape{}
	r := startRun(t, folder, rec, false)
	r.feed(600)
	named := &player{params: Documents(folder)}
	given := &player{}
	given.params = func(Start) (*guard.Params, error) { return named.params(named.start) }
	for i := range rec.records {
		if k := uint8(rec.records[i].Kind); k == guard.RecordStart || k == guard.RecordResume {
			if err := named.take(&rec.records[i]); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := given.take(&rec.records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if given.Events < 500 || len(given.Mismatches) > 0 {
		t.Errorf("%d events, mismatches %+v", given.Events, given.Mismatches)
	}
}
