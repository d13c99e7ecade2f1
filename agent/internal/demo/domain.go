package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/host"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/sim"
)

// The day on a DDS domain (--bus ros2). What the robot's nodes say goes through a real participant of its own, as ROS 2
// serialises it, over UDP on the loopback, to the very node that a robot's guard has; what the guard commands goes the
// same way back. Discovery, names, matching and who publishes on which topic are real too.
//
// One thing is not: time. The day passes in the world's time, faster than the clock, and DDS lives in the clock's. So the
// world stands still while a message is on its way, and while discovery finds somebody who came or went; reactions are
// measured in the world's time as ever, and the same seed plays the same day. Services are called past the domain, since
// a call that takes the world's time cannot wait for its answer in the clock's.

// onTheWay bounds how long a message may take over the loopback, and found how long discovery may take, in the clock's time.
const (
	onTheWay = 5 * time.Second
	found    = 30 * time.Second
)

var loopback = netip.MustParseAddr("127.0.0.1")

// domain is the robot's side and the guard's side of a DDS domain.
type domain struct {
	id    int
	node  *ros2.Node        // the guard's
	robot *rtps.Participant // every node of the robot
	stop  []func() error

	mu     sync.Mutex
	graphs map[string]*msg.Graph
	news   chan struct{}
}

// freeDomain is a domain that nobody of this computer is on.
func freeDomain() (int, error) {
	const highest = 100 // those above share their ports with what Linux hands out
	var err error
	for id := highest; id > 0; id-- {
		var c *net.UDPConn
		if c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, uint16(7410+250*id)))); err == nil {
			return id, c.Close()
		}
	}
	return 0, fmt.Errorf("demo: no free DDS domain on the loopback: %w", err)
}

// newDomain starts both sides. On an error nothing is left running.
func newDomain(self string) (d *domain, err error) {
	d = &domain{graphs: map[string]*msg.Graph{}, news: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.id, err = freeDomain(); err != nil {
		return d, err
	}
	d.robot, err = rtps.New(rtps.Config{
		Domain: d.id, Host: loopback, UserData: []byte("enclave=/;"), Clock: host.Clock{}.Boot, Civil: host.Clock{}.Civil,
	})
	if err != nil {
		return d, fmt.Errorf("demo: the robot's participant: %w", err)
	}
	d.run(d.robot.Run, d.robot.Close)
	d.node, err = d.join(self)
	return d, err
}

// join starts a node that is a process of its own.
func (d *domain) join(name string) (*ros2.Node, error) {
	n, err := ros2.New(ros2.Config{
		Name: name, Domain: d.id, Host: loopback.String(), Clock: host.Clock{}.Boot, Civil: host.Clock{}.Civil, Log: zerolog.Nop(),
		// Nothing has to settle before the day begins: it begins when everybody has been found.
		Limits: ros2.Limits{SettleTime: 100 * time.Millisecond, WatchInterval: 100 * time.Millisecond},
	})
	if err != nil {
		return nil, fmt.Errorf("demo: node %s: %w", name, err)
	}
	d.run(n.Run, n.Close)
	return n, nil
}

// run runs something until the domain is closed.
func (d *domain) run(run func(context.Context) error, end func() error) {
	done := make(chan error, 1)
	go func() { done <- run(context.Background()) }()
	d.stop = append(d.stop, sync.OnceValue(func() error { return errors.Join(end(), <-done) }))
}

// close ends everybody.
func (d *domain) close() error {
	var errs []error
	for _, stop := range slices.Backward(d.stop) {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// watch follows a topic's publishers.
func (d *domain) watch(topic, consumer string) error {
	_, err := d.node.WatchTopic(topic, consumer, func(g *msg.Graph) {
		d.mu.Lock()
		c := *g
		d.graphs[topic] = &c
		d.mu.Unlock()
		select {
		case d.news <- struct{}{}:
		default: // It is known already that something changed.
		}
	})
	return err
}

// await waits until discovery knows exactly these publishers of a topic, and returns what it says.
func (d *domain) await(topic string, publishers []string) (msg.Graph, error) {
	limit := time.After(found)
	for {
		d.mu.Lock()
		g := d.graphs[topic]
		d.mu.Unlock()
		if g != nil && g.Known && slices.Equal(g.Publishers[:min(g.Total, len(g.Publishers))], publishers) {
			return *g, nil
		}
		select {
		case <-d.news:
		case <-limit:
			return msg.Graph{}, fmt.Errorf("demo: discovery on domain %d did not find %q on %s within %v; it says %+v", d.id, publishers, topic, found, g)
		}
	}
}

// until waits for a condition that discovery brings about.
func (d *domain) until(what string, is func() bool) error {
	for end := time.Now().Add(found); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("demo: on domain %d, waited %v for: %s", d.id, found, what)
		}
	}
	return nil
}

// voices are what the robot's nodes write, by topic, and say about themselves.
type voices struct {
	d       *domain
	writers map[string]*rtps.Writer
	nodes   map[string][]cdr.GID
	seq     uint64
	buf     []byte
}

// add makes a writer that belongs to a node.
func (v *voices) add(node, topic, typ string) error {
	w, err := v.d.robot.NewWriter(rtps.WriterConfig{Topic: "rt" + topic, Type: wireType(typ), Reliable: true, Depth: 8})
	if err != nil {
		return fmt.Errorf("demo: writer of %s: %w", topic, err)
	}
	v.writers[topic] = w
	v.nodes[node] = append(v.nodes[node], w.GUID().Bytes())
	return nil
}

// introduce tells which writer belongs to which node, as every ROS 2 process does.
func (v *voices) introduce() error {
	w, err := v.d.robot.NewWriter(rtps.WriterConfig{
		Topic: "ros_discovery_info", Type: wireType(cdr.TypeParticipantEntities), Reliable: true, TransientLocal: true,
	})
	if err != nil {
		return fmt.Errorf("demo: the robot's list of nodes: %w", err)
	}
	e := cdr.Entities{Participant: v.d.robot.GUID().Bytes()}
	for name, writers := range v.nodes {
		e.Nodes = append(e.Nodes, cdr.NodeEntities{Namespace: "/", Name: strings.TrimPrefix(name, "/"), Writers: writers})
	}
	_, err = w.Write(1, cdr.AppendEntities(nil, &e, false))
	return err
}

// say writes one message.
func (v *voices) say(topic string, fill func(*payload)) error {
	p := newPayload(v.buf)
	fill(p)
	v.buf = p.b
	v.seq++
	if _, err := v.writers[topic].Write(v.seq, v.buf); err != nil {
		return fmt.Errorf("demo: write on %s: %w", topic, err)
	}
	return nil
}

// wireType is a message type's name on the wire.
func wireType(typ string) string {
	pkg, name, _ := strings.Cut(typ, "/")
	return pkg + "::msg::dds_::" + name + "_"
}

// intruder is the laptop that nobody knows: a participant of its own that publishes on the base's topic.
type intruder struct {
	d   *domain
	end func() error
}

// set brings it or takes it away.
func (i *intruder) set(there bool) error {
	switch {
	case there == (i.end != nil):
		return nil
	case !there:
		end := i.end
		i.end = nil
		return end()
	}
	n, err := i.d.join(sim.NodeIntruder)
	if err != nil {
		return err
	}
	i.end = i.d.stop[len(i.d.stop)-1]
	_, err = n.Advertise(bus.Publication{Topic: sim.TopicCommand, Type: bus.TypeTwist})
	return err
}
