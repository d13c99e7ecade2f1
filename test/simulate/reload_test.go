package simulate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/host"
	"github.com/robowarden/robowarden/hal/msg"
)

// tape keeps a guard's records in memory, in the order of its decisions.
type tape struct {
	mu      sync.Mutex
	records []record
}

type record struct {
	kind    uint8
	payload []byte
}

func (t *tape) Append(kind uint8, _ time.Duration, payload []byte, _ bool) (uint64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if kind == guard.RecordEvent || kind == guard.RecordPolicy {
		t.records = append(t.records, record{kind, bytes.Clone(payload)})
	}
	return uint64(len(t.records)), true
}

// since is the machine's clock from the start of a run on.
type since struct{ start time.Time }

func (c since) Boot() time.Duration { return bootStart + time.Since(c.start) }
func (c since) Civil() int64        { return morning.Add(time.Since(c.start)).UnixNano() }

// silent does nothing with effects.
type silent struct{ guard.NoGates }

func (silent) Command(uint64, msg.Twist)         {}
func (silent) Lock(uint64, bool)                 {}
func (silent) Challenge(int, []byte)             {}
func (silent) Rungs(uint64, uint32, guard.Calls) {}
func (silent) Private(uint64, bool)              {}
func (silent) CommandChallenge(int, []byte)      {}

// thousand are a thousand zones around the robot at the origin of a site; which of two sites, odd says. The robot stands in a
// speed zone, so every decision tells by which of them it was made.
func thousand(odd bool) []geofence.ZoneSpec {
	speed := 0.5
	if odd {
		speed = 0.4
	}
	zones := []geofence.ZoneSpec{{
		ID: "here", Floor: "ground", Kind: geofence.SpeedLimit, MaxSpeedMPS: speed, Reason: "slowly",
		Outer: []geofence.Vertex{{X: -3000, Y: -3000}, {X: 3000, Y: -3000}, {X: 3000, Y: 3000}, {X: -3000, Y: 3000}},
	}}
	for i := len(zones); i < 1000; i++ {
		x, y := int32(i%32-16)*3000, int32(i/32-16)*3000
		if x*x+y*y < 16_000_000 {
			x += 200_000
		}
		z := geofence.ZoneSpec{ID: fmt.Sprintf("z%d", i), Floor: "ground", Kind: geofence.Blocked, Reason: "no"}
		for _, v := range []geofence.Vertex{{X: 0, Y: 0}, {X: 2000, Y: 0}, {X: 2000, Y: 1500}, {X: 1000, Y: 2000}, {X: 0, Y: 1500}} {
			z.Outer = append(z.Outer, geofence.Vertex{X: x + v.X, Y: y + v.Y})
		}
		zones = append(zones, z)
	}
	return zones
}

// kilohertz feeds a guard with a thousand poses a second until done, and returns how long each call took.
type kilohertz struct {
	g    *guard.Guard
	c    since
	p    *guard.Params
	took []time.Duration
	sent atomic.Int64
}

// phase is a part of a run, from one pose to another.
type phase struct{ from, to int64 }

// most is how long the slowest call of each phase took.
func (k *kilohertz) most(phases []phase) (out []time.Duration) {
	for _, p := range phases {
		out = append(out, slices.Max(k.took[p.from:p.to]))
	}
	return out
}

func (k *kilohertz) feed(done <-chan struct{}) {
	peer := &msg.Peer{ID: 7, Name: "/x", Strength: msg.SourceBound}
	next := time.Now()
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		next = next.Add(time.Millisecond)
		time.Sleep(time.Until(next))                                                                       // The pace of a source, not a wait for anything.
		head := msg.Header{Boot: k.c.Boot(), Stamp: k.c.Civil(), Frame: "map", Peer: peer, Seq: uint32(i)} //nolint:gosec // a count
		if i%500 == 0 {
			k.g.Device(&msg.Device{Header: head, Kind: msg.Battery, ChargeRatio: 0.8})
			for j := range k.p.Watches {
				g := graph(&k.p.Watches[j], k.c.Boot())
				k.g.Graph(&g)
			}
		}
		if i%20 == 0 {
			k.g.Tick(k.c.Boot())
			k.g.Floor(0)
			k.g.Odometry(&msg.Pose{Header: head, HasTwist: true})
			k.g.IMU(&msg.IMU{Header: head, HasAngularVelocity: true})
			k.g.Joints(&msg.Joints{Header: head, N: k.p.Joints.N, Seen: 1<<k.p.Joints.N - 1, HasVelocity: true})
		}
		pose := msg.Pose{Header: head, Orientation: msg.Quat{W: 1}, HasCovariance: true}
		pose.Covariance[0], pose.Covariance[7], pose.Covariance[35] = 4e-4, 4e-4, 1e-4
		at := time.Now()
		k.g.Pose(&pose)
		k.took = append(k.took, time.Since(at))
		k.sent.Add(1)
	}
}

// reloaded is a run with poses at 1 kHz. In its busy phases a set of a thousand zones is loaded again and again, in the quiet
// ones between them it is merely compiled.
type reloaded struct {
	*kilohertz
	tape        *tape
	params      [2]*guard.Params
	quiet, busy []phase
	locked      []time.Duration // how long each reload took
}

func reloads(t *testing.T, rounds, each int) *reloaded {
	t.Helper()
	cfg := Documents(t)
	base := Params(t, cfg)
	base.Heartbeats, base.HeartbeatNames = nil, nil // nobody need answer here
	// A busy test machine is late with ticks, and a held robot's decisions would not tell one set from the other.
	base.Loop.Deadline, base.Loop.Hard = time.Minute, 2*time.Minute
	r := &reloaded{tape: &tape{records: make([]record, 0, 1<<17)}}
	for i := range r.params {
		r.params[i] = With(t, cfg, base, thousand(i == 1), nil)
	}
	core, err := guard.NewCore(r.params[0], guard.Start{Boot: bootStart})
	if err != nil {
		t.Fatal(err)
	}
	clock := since{time.Now()}
	g := guard.New(guard.Options{
		Core: core, Clock: clock, Sink: silent{}, Journal: r.tape, Persist: func([]byte) {}, Log: zerolog.Nop(),
	})
	g.SetTrust(2)
	g.SetBusOK(true)
	k := &kilohertz{g: g, c: clock, p: base, took: make([]time.Duration, 0, 1<<17)}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { k.feed(done) })
	open := func() bool { s := g.Status(); return s.AtRest && s.Axes.MaxSpeedMPS == 0.5 }
	for limit := time.Now().Add(time.Minute); !open(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not open within a minute: %+v", g.Status())
		}
	}
	r.kilohertz = k
	count := 0
	run := func(load bool) phase {
		out := phase{from: k.sent.Load()}
		for range each {
			// As the agent does it: compiled aside, and put into force where the orders are judged.
			var next *guard.Ready
			if err := host.Aside(func() error {
				next = guard.Prepare(With(t, cfg, base, thousand(count%2 == 0), nil))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			// Zones that wait for standstill are asked as well; the next pose ends that wait.
			for g.Status().PolicyWaits {
				time.Sleep(time.Millisecond)
			}
			if !load {
				continue
			}
			at := time.Now()
			if err := g.Load(next, []byte{byte(1 - count%2)}); err != nil {
				t.Fatalf("reload %d: %v", count, err)
			}
			r.locked = append(r.locked, time.Since(at))
			count++
		}
		for k.sent.Load() < out.from+10 {
			time.Sleep(time.Millisecond)
		}
		out.to = k.sent.Load()
		return out
	}
	for range rounds {
		r.quiet, r.busy = append(r.quiet, run(false)), append(r.busy, run(true))
	}
	close(done)
	wg.Wait()
	return r
}

// TestReloadsUnderPoses reloads a set of a thousand zones a thousand times while poses come at 1 kHz.
func TestReloadsUnderPoses(t *testing.T) {
	const rounds = 10
	n := number(t, "ROBOWARDEN_RELOADS", 40, 1000)
	r := reloads(t, rounds, n/rounds)
	q := func(d []time.Duration, p float64) time.Duration {
		d = slices.Sorted(slices.Values(d))
		return d[int(p*float64(len(d)-1))].Round(100 * time.Nanosecond)
	}
	poses, policies := replayed(t, r.tape, r.params)
	busy, quiet := q(r.most(r.busy), 0.5), q(r.most(r.quiet), 0.5)
	t.Logf("figures: %d reloads of 1000 zones under %d poses at 1 kHz: %d applied, every decision the same again one by one; a pose took p50 %v, p99 %v; the slowest of a phase, median of %d: %v with reloads, %v without; a reload took p50 %v, p90 %v",
		policies, r.sent.Load(), poses, q(r.took, 0.5), q(r.took, 0.99), rounds, busy, quiet, q(r.locked, 0.5), q(r.locked, 0.9))
	if int64(poses) != r.sent.Load() || policies != n {
		t.Errorf("%d of %d poses and %d of %d reloads were applied", poses, r.sent.Load(), policies, n)
	}
	// A pose that comes while a reload has the lock waits for it. Half a millisecond is a tenth of what a tick may be late.
	if busy > 2*quiet+500*time.Microsecond {
		t.Errorf("the slowest pose takes %v with reloads, %v without", busy, quiet)
	}
}

// replayed applies what the tape holds to a fresh core, one after the other: a decision that was made by two sets at once, or
// by none, comes out differently.
func replayed(t *testing.T, tp *tape, params [2]*guard.Params) (poses, policies int) {
	t.Helper()
	core, err := guard.NewCore(params[0], guard.Start{Boot: bootStart})
	if err != nil {
		t.Fatal(err)
	}
	var fx guard.Effects
	var store guard.EventStore
	for i, r := range tp.records {
		if r.kind == guard.RecordPolicy {
			policies++
			if err := core.Load(params[r.payload[0]]); err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			continue
		}
		ev, err := store.Decode(r.payload[:len(r.payload)-8])
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == guard.EventPose {
			poses++
		}
		core.Apply(ev, &fx)
		if want := binary.LittleEndian.Uint64(r.payload[len(r.payload)-8:]); fx.Digest != want {
			t.Fatalf("record %d of %d: a decision differs after %d reloads: digest %016x, recorded %016x", i, len(tp.records), policies, fx.Digest, want)
		}
	}
	return poses, policies
}

// TestATornDecisionIsFound is the off case: a tape without its reload does not come out the same.
func TestATornDecisionIsFound(t *testing.T) {
	run := reloads(t, 1, 1)
	core, err := guard.NewCore(run.params[0], guard.Start{Boot: bootStart})
	if err != nil {
		t.Fatal(err)
	}
	var fx guard.Effects
	var store guard.EventStore
	for _, r := range run.tape.records {
		if r.kind == guard.RecordPolicy {
			continue
		}
		ev, err := store.Decode(r.payload[:len(r.payload)-8])
		if err != nil {
			t.Fatal(err)
		}
		core.Apply(ev, &fx)
		if fx.Digest != binary.LittleEndian.Uint64(r.payload[len(r.payload)-8:]) {
			return
		}
	}
	t.Error("the digests are the same without the reload: they prove nothing")
}
