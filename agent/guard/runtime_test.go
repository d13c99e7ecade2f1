package guard

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// handClock is a clock that a test moves.
type handClock struct{ boot, civil atomic.Int64 }

func (c *handClock) Boot() time.Duration { return time.Duration(c.boot.Load()) }
func (c *handClock) Civil() int64        { return c.civil.Load() }

func (c *handClock) advance(d time.Duration) {
	c.boot.Add(int64(d))
	c.civil.Add(int64(d))
}

// nullSink forgets; copyRecorder copies into a fixed ring, as the journal does.
type nullSink struct{ NoGates }

func (nullSink) Command(uint64, msg.Twist)    {}
func (nullSink) Lock(uint64, bool)            {}
func (nullSink) Challenge(int, []byte)        {}
func (nullSink) Rungs(uint64, uint32, Calls)  {}
func (nullSink) Private(uint64, bool)         {}
func (nullSink) CommandChallenge(int, []byte) {}

type copyRecorder struct {
	ring [1 << 20]byte
	at   int
	n    uint64
	drop bool
}

func (c *copyRecorder) Append(_ uint8, _ time.Duration, payload []byte, _ bool) (uint64, bool) {
	c.n++
	if c.drop {
		return c.n, false
	}
	if c.at+len(payload) > len(c.ring) {
		c.at = 0
	}
	c.at += copy(c.ring[c.at:], payload)
	return c.n, true
}

// TestAnswerToAnOlderRequest: what a service says to a request that was made anew meanwhile is no answer, and leaves no event.
func TestAnswerToAnOlderRequest(t *testing.T) {
	g, r, _ := openGuard(t, nullSink{}, &copyRecorder{})
	const rung = PostureRung + 1
	r.core.down.calls[rung] = 2
	before := r.core.seq
	g.Ack(rung, true, 1)
	if r.core.seq != before {
		t.Error("an older request's answer counts")
	}
	if g.Ack(rung, true, 2); r.core.seq != before+1 {
		t.Error("off: the present request's answer is dropped")
	}
}

// openGuard is a guard over a core that has opened.
func openGuard(tb testing.TB, sink Sink, rec Recorder) (*Guard, *rig, *handClock) {
	tb.Helper()
	p := demoParams(tb)
	for i := range p.Health {
		p.Health[i].MinPeriod = time.Nanosecond // these tests hammer
	}
	r := newRig(tb, p, Start{})
	r.plant.x = 12
	r.ready()
	clock := &handClock{}
	clock.boot.Store(int64(r.now))
	clock.civil.Store(r.civil())
	beat, err := NewHeartbeat("operator", "robowarden-demo/1", [16]byte{1}, make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	g := New(Options{
		Core: r.core, Clock: clock, Sink: sink, Journal: rec, Heartbeats: []*Heartbeat{beat}, Persist: func([]byte) {}, Log: zerolog.Nop(),
	})
	g.SetTrust(2)
	return g, r, clock
}

// TestPathDoesNotAllocate runs every input through the whole guard, with snapshots, decisions and challenges on the way.
func TestPathDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	rec := &copyRecorder{}
	g, r, clock := openGuard(t, nullSink{}, rec)
	pose, odometry, joints, imu := r.pose(), r.odometry(), r.joints(), r.imu()
	command := &msg.Command{Header: r.header(""), Channel: 0}
	command.Linear.X, command.Stamp = 0.3, 0
	device := &msg.Device{Header: r.header(""), Kind: msg.Battery, ChargeRatio: 0.8}
	graph := r.graph("/cmd_vel")
	line := []byte("rw1 answer operator 00000000000000000000000000000000 ok 0000000000000000000000000000000000000000000000000000000000000000")
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"tick", func() { g.Tick(clock.Boot()) }},
		{"late tick", func() { g.Tick(clock.Boot() - time.Second) }},
		{"pose", func() { pose.Stamp = clock.Civil() - 1e6; g.Pose(pose) }},
		{"odometry", func() { g.Odometry(odometry) }},
		{"joints", func() { g.Joints(joints) }},
		{"imu", func() { g.IMU(imu) }},
		{"command", func() { g.Command(command) }},
		{"device", func() { g.Device(device) }},
		{"graph", func() { g.Graph(graph) }},
		{"peer", func() { g.Peer(PeerEvent{Change: PeerConnected, ID: 9, Name: "/planner"}) }},
		{"answer", func() { g.Answer(0, line) }},
		{"ack", func() { g.Ack(1, true, 0) }},
		{"stop order", func() { g.Order(Order{Kind: OrderStop, Zone: geofence.NoZone}) }},
		{"full journal", func() { rec.drop = true; g.Tick(clock.Boot()); rec.drop = false }},
	} {
		// The clock moves on, so that challenges, zeros, the lock and snapshots come due in between.
		n := testing.AllocsPerRun(600, func() { clock.advance(40 * time.Millisecond); c.do() })
		if n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

// orderSink checks from many goroutines that nothing older goes out after something newer, as the publishers do, and
// keeps what went out last.
type orderSink struct {
	NoGates
	mu        sync.Mutex
	command   uint64
	velocity  float64
	delivered int
}

func (s *orderSink) Command(seq uint64, t msg.Twist) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq <= s.command {
		return
	}
	s.command, s.velocity = seq, t.Linear.X
	s.delivered++
}

func (s *orderSink) Lock(uint64, bool)            {}
func (s *orderSink) Challenge(int, []byte)        {}
func (s *orderSink) Rungs(uint64, uint32, Calls)  {}
func (s *orderSink) Private(uint64, bool)         {}
func (s *orderSink) CommandChallenge(int, []byte) {}

// TestNothingMovesAfterAStop hammers a guard from many goroutines and orders a stop in the middle. From the moment at
// which Order returns, what a publisher would have sent last is zero, and stays so.
func TestNothingMovesAfterAStop(t *testing.T) {
	sink := &orderSink{}
	g, r, clock := openGuard(t, sink, &copyRecorder{})
	var wait sync.WaitGroup
	stop := make(chan struct{})
	var stopped atomic.Uint64
	loop := func(f func()) {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	for channel := range 3 {
		c := &msg.Command{Header: msg.Header{Peer: &r.peer}, Channel: channel}
		c.Linear.X = 0.3
		loop(func() {
			clock.advance(100 * time.Nanosecond) // without time between them they would be a flood
			g.Command(c)
		})
	}
	odometry, joints, imu := r.odometry(), r.joints(), r.imu()
	pose := r.pose()
	loop(func() {
		clock.advance(100 * time.Microsecond)
		pose.Stamp = clock.Civil() - 1e6
		g.Pose(pose)
		g.Odometry(odometry)
	})
	loop(func() { g.Joints(joints); g.IMU(imu) })
	loop(func() { g.Tick(clock.Boot()) })
	loop(func() { _ = g.Status(); _ = g.AtRest() })
	deadline := time.Now().Add(10 * time.Second)
	moving := func() bool { sink.mu.Lock(); defer sink.mu.Unlock(); return sink.velocity > 0 }
	for !moving() && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if !moving() {
		t.Fatalf("never moved: the test proves nothing; %+v", g.Status())
	}
	g.Order(Order{Kind: OrderStop, Category: 2, Zone: geofence.NoZone})
	stopped.Store(1)
	sink.mu.Lock()
	v, seq := sink.velocity, sink.command
	sink.mu.Unlock()
	if v != 0 {
		t.Errorf("after the order returned, %v m/s stands (seq %d)", v, seq)
	}
	for range 200 {
		time.Sleep(time.Millisecond)
		if moving() {
			t.Fatal("a command went out after the stop")
		}
	}
	close(stop)
	wait.Wait()
	t.Logf("%d commands", sink.delivered)
}

// TestChallengesGoOutOncePerPeriod: several goroutines see that a challenge is due; one of them sends it.
func TestChallengesGoOutOncePerPeriod(t *testing.T) {
	sink := &countSink{}
	g, r, clock := openGuard(t, sink, &copyRecorder{})
	imu := r.imu()
	var wait sync.WaitGroup
	for range 50 {
		clock.advance(200 * time.Millisecond)
		start := make(chan struct{})
		for range 8 {
			wait.Go(func() { <-start; g.IMU(imu) })
		}
		close(start)
		wait.Wait()
	}
	if n := sink.challenges.Load(); n != 50 {
		t.Errorf("%d challenges in 50 periods", n)
	}
}

type countSink struct {
	nullSink
	challenges atomic.Int64
}

func (s *countSink) Challenge(int, []byte)        { s.challenges.Add(1) }
func (s *countSink) CommandChallenge(int, []byte) {}

func BenchmarkApply(b *testing.B) {
	p := demoParams(b)
	r := newRig(b, p, Start{})
	r.plant.x = 12
	r.ready()
	var fx Effects
	command := &msg.Command{Header: r.header("")}
	command.Linear.X, command.Angular.Z, command.Stamp = 0.5, 0.2, 0
	for _, c := range []struct {
		name string
		ev   func() Event
	}{
		{"tick", func() Event { return Event{Kind: EventTick, Tick: Tick{Trust: 2, Journal: JournalOK}} }},
		{"pose", func() Event { return Event{Kind: EventPose, Pose: r.pose()} }},
		{"odometry", func() Event { return Event{Kind: EventOdometry, Pose: r.odometry()} }},
		{"joints", func() Event { return Event{Kind: EventJoints, Joints: r.joints()} }},
		{"imu", func() Event { return Event{Kind: EventIMU, IMU: r.imu()} }},
		{"command", func() Event { return Event{Kind: EventCommand, Command: command} }},
		{"graph", func() Event { return Event{Kind: EventGraph, Graph: r.graph("/cmd_vel")} }},
	} {
		b.Run(c.name, func(b *testing.B) {
			state := r.core.AppendState(nil)
			ev := c.ev()
			at, civil := r.now, r.civil()
			b.ReportAllocs()
			for i := range b.N {
				ev.Boot, ev.Civil = at+time.Duration(i%100)*time.Microsecond, civil
				if i%100 == 0 {
					b.StopTimer()
					if err := r.core.RestoreState(state); err != nil {
						b.Fatal(err)
					}
					r.core.Apply(&ev, &fx) // The first step after a restore looks at every trigger.
					b.StartTimer()
				}
				r.core.Apply(&ev, &fx)
			}
		})
	}
	b.Run("snapshot", func(b *testing.B) {
		buf := make([]byte, 0, 1<<20)
		b.ReportAllocs()
		for range b.N {
			buf = r.core.AppendState(buf[:0])
		}
		b.ReportMetric(float64(len(buf)), "bytes")
	})
	if math.IsNaN(fx.Command.Linear.X) {
		b.Fatal("NaN went out")
	}
}

func TestBriefAllocatesNothing(t *testing.T) {
	r := newRig(t, demoParams(t), Start{}).ready()
	g := New(Options{Core: r.core})
	before := g.Brief()
	if n := testing.AllocsPerRun(100, func() { _ = g.Brief() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if g.Brief() != before || before.Axes.Motion < interlock.MotionLimited {
		t.Errorf("brief %+v", before)
	}
	r.off["pose"] = true
	r.run(2 * time.Second)
	if g.Brief() == before {
		t.Error("a held robot's brief is the same")
	}
}
