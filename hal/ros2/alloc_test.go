package ros2

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
)

// These tests are not parallel: testing.AllocsPerRun counts what the whole process allocates.

// TestSampleToHandlerAllocatesNothing: from the participant's sample to the agent's handler, and for one that is refused.
func TestSampleToHandlerAllocatesNothing(t *testing.T) {
	for _, k := range kinds() {
		n := &Node{cfg: Config{Clock: boot}}
		if err := n.cfg.Limits.fill(); err != nil {
			t.Fatal(err)
		}
		s := &Sub{n: n, max: 1 << 20}
		handled := 0
		// The decoder is what the subscription would make for a matched writer.
		mk := decoderOf(t, k, func() { handled++ })
		s.newDecoder = func(p *msg.Peer, _ *rtps.RemoteWriter) cdr.Decoder { return mk(p) }
		l := &link{s: s}
		l.start(&msg.Peer{Name: "/driver"})
		good := &rtps.Sample{Writer: &rtps.RemoteWriter{Tag: l}, Seq: 1, Boot: 1, Payload: k.payload(false)}
		bad := &rtps.Sample{Writer: good.Writer, Seq: 1, Boot: 1, Payload: good.Payload[:len(good.Payload)-5]}
		if a := testing.AllocsPerRun(200, func() { s.sample(good) }); a != 0 || handled == 0 {
			t.Errorf("%s: %v allocations, handled %d", k.topic, a, handled)
		}
		if a := testing.AllocsPerRun(200, func() { s.sample(bad) }); a != 0 {
			t.Errorf("%s cut: %v allocations", k.topic, a)
		}
		// Of a camera's stream nothing is read but that it goes on.
		if k.typ != bus.TypeCameraInfo && s.count.malformed.Load() == 0 {
			t.Errorf("%s cut: decoded", k.topic)
		}
	}
}

// TestQuietGraphAllocatesNothing: while nothing changes, the node's own goroutine makes no garbage either.
func TestQuietGraphAllocatesNothing(t *testing.T) {
	n := &Node{
		cfg: Config{Name: "/robowarden", Clock: boot}, part: quiet(t), dir: newDirectory("/robowarden"), poke: make(chan struct{}, 1),
		rep: bus.NewReporter(boot, nil, 20),
	}
	if err := n.cfg.Limits.fill(); err != nil {
		t.Fatal(err)
	}
	p := participant(1)
	n.dir.learn(p, listOf(1, node("driver", gid(1, 1))))
	n.dir.keep([]*rtps.RemoteParticipant{p})
	n.faces.first, n.faces.tell = map[face]time.Duration{}, map[*rtps.RemoteParticipant]int{}
	s := &Sub{n: n, topic: "/x", idle: time.Hour, links: map[*rtps.RemoteWriter]*link{}}
	s.newDecoder = func(p *msg.Peer, _ *rtps.RemoteWriter) cdr.Decoder { return cdr.NewBool(p, func(*msg.Bool) {}) }
	l := &link{s: s, w: &rtps.RemoteWriter{Endpoint: endpoint(p, 1)}}
	s.links[l.w] = l
	l.heard.Store(int64(boot()))
	l.start(&msg.Peer{Name: "/driver", Strength: msg.SourceBound})
	n.subs = []*Sub{s}
	reports := 0
	if _, err := n.WatchTopic("/x", "", func(*msg.Graph) { reports++ }); err != nil {
		t.Fatal(err)
	}
	k, now := keeper{n: n}, boot()
	pass := func() { now += time.Second; k.pass(now) }
	pass()
	n.dir.learn(p, listOf(1, node("driver", gid(1, 1)))) // the participant is not known to package rtps, so it was forgotten
	k.version = n.dir.version.Load()
	if a := testing.AllocsPerRun(100, pass); a != 0 || reports < 100 {
		t.Errorf("%v allocations per pass, %d reports", a, reports)
	}
}

// decoderOf makes the decoder of a kind of subscription with a handler that counts.
func decoderOf(t *testing.T, k kindOf, h func()) decoderFor {
	t.Helper()
	table, err := cdr.NewJointTable([]string{"hip", "knee"})
	if err != nil {
		t.Fatal(err)
	}
	mk := func(p *msg.Peer) (cdr.Decoder, error) {
		switch k.typ {
		case bus.TypeOdometry, bus.TypePoseStamped, bus.TypePoseWithCovarianceStamped:
			return cdr.NewPose(k.typ, p, func(*msg.Pose) { h() })
		case bus.TypeTwist, cdr.TypeTwistStamped:
			return cdr.NewCommand(k.typ, p, 0, func(*msg.Command) { h() })
		case bus.TypeTFMessage:
			return cdr.NewTransforms(p, false, nil, 64, func(*msg.Transform) { h() }), nil
		case bus.TypeJointState:
			return cdr.NewJoints(p, table, 0, func(*msg.Joints) { h() }), nil
		case cdr.TypeJointTrajectory:
			return cdr.NewTrajectory(p, table, 0, 0, func(*msg.Trajectory) { h() }), nil
		case cdr.TypeFloat64MultiArray:
			return cdr.NewValues(p, 0, func(*msg.Values) { h() }), nil
		case "vendor_msgs/LowState":
			return newFields(p, lowState, 0, func(*msg.Values) { h() }), nil
		case "acme::Joints":
			return newVendorJoints(p, &acmeJoints, func(*msg.Joints) { h() }), nil
		case "acme::msg::dds_::Imu_":
			return newVendorIMU(p, &acmeIMU, func(*msg.IMU) { h() }), nil
		case "acme/msg/Battery":
			return newVendorBattery(p, &acmeBattery, 0, func(*msg.Device) { h() }), nil
		case bus.TypeImu:
			return cdr.NewIMU(p, func(*msg.IMU) { h() }), nil
		case bus.TypeBatteryState:
			return cdr.NewBattery(p, 0, func(*msg.Device) { h() }), nil
		case bus.TypeTemperature:
			return cdr.NewHeat(p, func(*msg.Device) { h() }), nil
		case bus.TypeBool:
			return cdr.NewBool(p, func(*msg.Bool) { h() }), nil
		case bus.TypeCameraInfo:
			return cdr.NewStream(p, msg.Camera, 0, func(*msg.Device) { h() }), nil
		case bus.TypeDiagnosticArray:
			return cdr.NewDiagnostics(p, func(*msg.Diagnostic) { h() }), nil
		}
		return cdr.NewText(p, func(*msg.Text) { h() }), nil
	}
	return sound(mk)
}

// TestMessageInCommandOutAllocatesNothing runs the whole way over real sockets, in a graph in which nothing changes: a
// command comes in, its handler publishes one, and that arrives at the base.
func TestMessageInCommandOutAllocatesNothing(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	out, err := n.Advertise(bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist})
	if err != nil {
		t.Fatal(err)
	}
	seq := uint64(0)
	in, err := n.SubscribeCommand(bus.Subscription{
		Topic: "/cmd_vel_raw", Allow: []string{"/planner"}, Mode: bus.Every, MaxRateHz: 1 << 20,
	}, 0, func(m *msg.Command) {
		seq++
		if _, err := out.PublishTwist(seq, &m.Twist); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.WatchTopic("/cmd_vel", "", func(*msg.Graph) {}); err != nil {
		t.Fatal(err)
	}
	robot := startProcess(t, d, true)
	w := robot.writer("/cmd_vel_raw", bus.TypeTwist, quality{reliable: true})
	arrived := make(chan struct{}, 64)
	robot.reader("/cmd_vel", bus.TypeTwist, quality{reliable: true}, func(*rtps.Sample) { arrived <- struct{}{} })
	robot.node("/planner", w)
	eventually(t, "both matched", func() bool { return hears(in) && w.Readers() == 1 && out.Subscribers() == 1 })
	payload, sent := cdr.AppendTwist(nil, &msg.Twist{Linear: msg.Vec3{X: 0.5}}), uint64(0)
	timeout := time.NewTimer(time.Hour)
	defer timeout.Stop()
	turn := func() {
		sent++
		if _, err := w.Write(sent, payload); err != nil {
			t.Fatal(err)
		}
		timeout.Reset(patience)
		select {
		case <-arrived:
		case <-timeout.C:
			t.Fatalf("no command after %d; in %+v, %+v", sent, in.Stats(), in.now()[best].Stats())
		}
	}
	// The first ones may come before the writer is listened to.
	eventually(t, "the first command", func() bool {
		sent++
		if _, err := w.Write(sent, payload); err != nil {
			t.Fatal(err)
		}
		select {
		case <-arrived:
			return true
		case <-time.After(50 * time.Millisecond):
			return false
		}
	})
	for range 100 {
		turn()
	}
	// Discovery in the background may allocate now and then, as when somebody is announced to; the path never does.
	const runs = 5000
	if a := testing.AllocsPerRun(runs, turn); a != 0 {
		t.Errorf("%v allocations per message", a)
	}
}
