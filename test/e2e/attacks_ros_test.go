package e2e

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/hostile"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/internal/wire"
)

// uint8Array is the type of an envelope on ROS 1.
var uint8Array = wire.Type{Name: "std_msgs/UInt8MultiArray", MD5: "82373f1612381bb6ee473b5cd6f5d89c"}

// rosStrikes are the attacks that only ROS 1 knows, or that are made by other means there.
func rosStrikes() []strike {
	var all []strike
	hostileNode := func(name, attack string, want ...string) {
		all = append(all, strike{name: name, want: want, begin: func(t testing.TB, l *lane, _ bool) (time.Duration, func()) {
			return l.hostile(t, attack)
		}})
	}
	for _, hz := range []string{"10", "100", "1000"} {
		hostileNode("commands injected at "+hz+" Hz", "inject-before-"+hz, "publisher.unknown", "publisher.second")
	}
	for _, hz := range []string{"10", "100", "1000"} {
		hostileNode("base commanded past the gate at "+hz+" Hz", "inject-behind-"+hz, "gate.bypass")
	}
	hostileNode("commands injected in the planner's name", "inject-impostor", "publisher.unknown", "publisher.second")
	hostileNode("base commanded past the gate, unknown to the master", "bypass-base", "gate.bypass")
	only := []bus.Kind{bus.ROS}
	return append(
		all,
		strike{name: "recorded commands replayed after a reboot", kit: kit{proven: true}, want: []string{"channel.command-unproven"}, short: only, shards: 4, begin: replayedAfterReboot},
		strike{name: "master killed", kit: kit{}, want: []string{"bus.lost"}, once: true, shards: 4, watched: 6 * time.Second, permitted: true, begin: func(t testing.TB, l *lane, off bool) (time.Duration, func()) {
			return l.killMaster(t, off, false)
		}},
		strike{name: "master killed and restarted", kit: kit{}, want: []string{"bus.lost", "gate.unregistered"}, once: true, shards: 4, watched: 6 * time.Second, permitted: true, short: only, begin: func(t testing.TB, l *lane, off bool) (time.Duration, func()) {
			return l.killMaster(t, off, true)
		}},
	)
}

// hostile lets an attack of package hostile go on until the end.
func (l *lane) hostile(t testing.TB, name string) (time.Duration, func()) {
	t.Helper()
	a := must(hostile.Named(name))(t)
	tg := target(l.b.(*ros.Master).URI(), l.r.Uint64())
	tg.Duration = 2 * noticed
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	began := boottime()
	go func() { done <- a.Run(ctx, tg) }()
	return began, func() {
		cancel()
		if err := <-done; err != nil && !hostile.Deflected(err) && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// killMaster kills the robot's master, or in an off run one that the robot has nothing to do with.
func (l *lane) killMaster(t testing.TB, off, restart bool) (time.Duration, func()) {
	t.Helper()
	m := l.b.(*ros.Master)
	if off {
		m = ros.StartMaster(t, ros.Options{})
	}
	began := boottime()
	m.Kill()
	if restart {
		m.Restart(t)
	}
	return began, func() {}
}

// replayedAfterReboot replays what the rightful commander sent before the robot's computer started again, in that one's name
// and place.
func replayedAfterReboot(t testing.TB, l *lane, _ bool) (time.Duration, func()) {
	m := l.b.(*ros.Master)
	heard := l.record(t, m, 20)
	l.reboot(t)
	l.open(t)
	l.planner.Kill()
	n := must(wire.NewNode(wire.NodeConfig{Name: "/planner", Master: m.URI()}))(t)
	ctx, cancel := context.WithCancel(l.t.Context())
	pub := must(n.Advertise(ctx, wire.PublisherConfig{Topic: "/cmd_vel_raw", Type: uint8Array}))(t)
	if err := pub.WaitPeers(ctx, 1); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	began := boottime()
	all.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			pub.Send(heard[i%len(heard)])
			<-tick.C
		}
	})
	return began, func() {
		cancel()
		all.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		l.startPlanner(l.t)
	}
}

// record listens to the planner's commands.
func (l *lane) record(t testing.TB, m *ros.Master, count int) (heard [][]byte) {
	t.Helper()
	n := must(wire.NewNode(wire.NodeConfig{Name: "/ear", Master: m.URI()}))(t)
	bodies := make(chan []byte, count)
	must(n.Subscribe(t.Context(), "/cmd_vel_raw", uint8Array, func(msg wire.Message) {
		select {
		case bodies <- msg.Body:
		default:
		}
	}))(t)
	until(t, noticed, "a recording of commands", func() bool { return len(bodies) == count })
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for range count {
		heard = append(heard, <-bodies)
	}
	return heard
}

// sessionPastItsGrant drives on when the session is over.
func sessionPastItsGrant(t testing.TB, l *lane, off bool) (time.Duration, func()) {
	st, ok := l.g.status()
	for tries := 0; ok && len(st.Sessions) == 0 && tries < 10; tries++ {
		l.open(t) // The machine held this test up until the session was over: the next one.
		st, ok = l.g.status()
	}
	if !ok || len(st.Sessions) != 1 {
		t.Fatalf("expected one session, found %+v", st.Sessions)
	}
	if off {
		return boottime(), func() {}
	}
	return time.Duration((st.BootS + st.Sessions[0].LeftS) * float64(time.Second)), func() {}
}

// enrol opens a session for a planner that needs one and has none, as soon as the robot may move: a short one, and in an off run
// one that lasts.
func (l *lane) enrol(t testing.TB) {
	st, ok := l.g.status()
	if !l.kit.session || !ok || len(st.Sessions) > 0 || st.Axes.Motion != "free" && st.Axes.Motion != "limited" {
		return
	}
	lasts := 3 * time.Second
	if l.long {
		lasts = 10 * time.Minute
	}
	l.session(t, lasts)
}

// session opens one for the planner that lasts for about as long as is said.
func (l *lane) session(t testing.TB, lasts time.Duration) {
	t.Helper()
	l.g.orderFor(t, lasts, func(s agent.Status, expires time.Time) []byte {
		return must(order.Sign(&order.Order{
			Kind: order.KindSession, ID: order.NewID(), Audience: []string{robotID}, NotBefore: hourAgo(), NotAfter: hourAgo().Add(2 * time.Hour),
			Reason: "session of a test", Binding: order.Binding{BootID: s.BootID, Nonce: s.Nonce},
			Session: &order.Session{Channel: "autonomy", Level: order.LevelControl, Who: "Olga", Role: "operator", From: "control room", Expires: expires},
		}, l.s.engineer))(t)
	})
}
