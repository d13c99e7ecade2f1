package demo

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/sim"
)

// carried is a guard behind a DDS domain. Each message is sent by the robot's participant, and the call returns once the
// guard's node has received, decoded and handled it and everything that the guard then published has come back.
type carried struct {
	inner  Guard
	out    Actuators
	topics *config.Topics
	joints []string

	d        *domain
	voices   *voices
	intruder intruder
	subs     []*ros2.Sub

	// turn is handed to the goroutine that handles a message, and arrived back when it has: of the two that work with the
	// guard, one does at a time.
	turn, arrived chan struct{}
	timer         *time.Timer
	// effects are what the guard published and what has not come back yet, in the order of publishing.
	effects []effect
	back    chan effect
	pubs    map[string]*ros2.Publisher
	seq     uint64
	// err is the first fault; nothing is carried after it.
	err error
}

// effect is one message of the guard's: what matters is what came back.
type effect struct {
	topic string
	back  bool
	twist msg.Twist
	flag  bool
	text  string
}

// newCarried starts both sides of a domain and waits until they have found each other.
func newCarried(cfg *config.Config, self string, out Actuators) (c *carried, err error) {
	c = &carried{
		out: out, topics: cfg.Topics, turn: make(chan struct{}, 1), arrived: make(chan struct{}, 1), back: make(chan effect, 64), pubs: map[string]*ros2.Publisher{},
		timer: time.NewTimer(time.Hour),
	}
	for _, j := range cfg.Profile.Joints.List {
		c.joints = append(c.joints, j.Name)
	}
	if c.d, err = newDomain(self); err != nil {
		return nil, err
	}
	c.intruder.d = c.d
	c.voices = &voices{d: c.d, writers: map[string]*rtps.Writer{}, nodes: map[string][]cdr.GID{}}
	if err := errors.Join(c.speak(), c.listen(), c.offer(), c.watch()); err != nil {
		return nil, errors.Join(err, c.d.close())
	}
	err = c.d.until("the guard hears every node of the robot, and the base hears the guard", func() bool {
		for _, s := range c.subs {
			if s.Stats().Connected != 1 {
				return false
			}
		}
		for _, p := range c.pubs {
			if p.Subscribers() != 1 {
				return false
			}
		}
		return true
	})
	if err != nil {
		return nil, errors.Join(err, c.d.close())
	}
	return c, nil
}

// speak makes the writers of the robot's nodes.
func (c *carried) speak() error {
	t, h := c.topics, &c.topics.Heartbeats[0]
	errs := []error{
		c.voices.add(t.Pose.Publishers[0], t.Pose.Topic, t.Pose.Type),
		c.voices.add(t.Odometry.Publishers[0], t.Odometry.Topic, bus.TypeOdometry),
		c.voices.add(t.Joints.Publishers[0], t.Joints.Topic, bus.TypeJointState),
		c.voices.add(t.IMU.Publishers[0], t.IMU.Topic, bus.TypeImu),
		c.voices.add(t.Battery.Publishers[0], t.Battery.Topic, bus.TypeBatteryState),
		c.voices.add(t.Floor.Topic.Publishers[0], t.Floor.Topic.Topic, bus.TypeString),
		c.voices.add(h.Publishers[0], h.ResponseTopic, bus.TypeString),
		c.voices.add(h.Publishers[0], t.Orders.Topic, bus.TypeString),
		c.voices.add(t.Cameras[0].Publishers[0], t.Cameras[0].Topic, bus.TypeBool),
		c.voices.add(t.Microphones[0].Publishers[0], t.Microphones[0].Topic, bus.TypeBool),
	}
	for _, in := range t.Commands {
		errs = append(errs, c.voices.add(in.Publishers[0], in.Topic, bus.TypeTwist))
	}
	return errors.Join(append(errs, c.voices.introduce())...)
}

// handled makes a handler of one of the guard's, and tells when it has returned. What comes without having been sent is
// nobody's turn.
func handled[M any](c *carried, handle func(Guard) func(*M)) func(*M) {
	return func(m *M) {
		select {
		case <-c.turn:
			handle(c.inner)(m)
			c.arrived <- struct{}{}
		default:
		}
	}
}

// everything asks for every message: a day that passes in seconds has more of them a second than any robot.
func everything(topic, typ string, allow []string) bus.Subscription {
	const noCap = 1_000_000
	return bus.Subscription{Topic: topic, Type: typ, Allow: allow, Mode: bus.Every, MaxRateHz: noCap, IdleTimeout: time.Hour}
}

// listen makes the guard's subscriptions, as the agent makes them.
func (c *carried) listen() error {
	t, n, h := c.topics, c.d.node, &c.topics.Heartbeats[0]
	var errs []error
	keep := func(s *ros2.Sub, err error) { c.subs, errs = append(c.subs, s), append(errs, err) }
	pose := handled(c, func(g Guard) func(*msg.Pose) { return g.Pose })
	odometry := handled(c, func(g Guard) func(*msg.Pose) { return g.Odometry })
	device := handled(c, func(g Guard) func(*msg.Device) { return g.Device })
	floor := everything(t.Floor.Topic.Topic, bus.TypeString, t.Floor.Topic.Publishers)
	floor.Latched = true
	orders := everything(t.Orders.Topic, bus.TypeString, nil)
	orders.AllowAny = true
	keep(n.SubscribePose(everything(t.Pose.Topic, t.Pose.Type, t.Pose.Publishers), pose))
	keep(n.SubscribePose(everything(t.Odometry.Topic, bus.TypeOdometry, t.Odometry.Publishers), odometry))
	keep(n.SubscribeJoints(everything(t.Joints.Topic, bus.TypeJointState, t.Joints.Publishers), c.joints, handled(c, func(g Guard) func(*msg.Joints) { return g.Joints })))
	keep(n.SubscribeIMU(everything(t.IMU.Topic, bus.TypeImu, t.IMU.Publishers), handled(c, func(g Guard) func(*msg.IMU) { return g.IMU })))
	keep(n.SubscribeBattery(everything(t.Battery.Topic, bus.TypeBatteryState, t.Battery.Publishers), 0, device))
	keep(n.SubscribeDevice(everything(t.Cameras[0].Topic, bus.TypeBool, t.Cameras[0].Publishers), msg.Camera, 0, device))
	keep(n.SubscribeDevice(everything(t.Microphones[0].Topic, bus.TypeBool, t.Microphones[0].Publishers), msg.Microphone, 0, device))
	keep(n.SubscribeText(floor, handled(c, func(g Guard) func(*msg.Text) { return g.Floor })))
	keep(n.SubscribeText(everything(h.ResponseTopic, bus.TypeString, h.Publishers), handled(c, func(g Guard) func(*msg.Text) { return g.Answer })))
	keep(n.SubscribeText(orders, handled(c, func(g Guard) func(*msg.Text) { return g.Order })))
	command := handled(c, func(g Guard) func(*msg.Command) { return g.Command })
	for i, in := range t.Commands {
		keep(n.SubscribeCommand(everything(in.Topic, bus.TypeTwist, in.Publishers), i, command))
	}
	return errors.Join(errs...)
}

// offer makes the guard's publishers, and the robot's readers of them.
func (c *carried) offer() error {
	var errs []error
	for topic, typ := range map[string]string{
		c.topics.CommandOut.Topic: bus.TypeTwist, c.topics.Lock.Topic: bus.TypeBool, c.topics.Heartbeats[0].ChallengeTopic: bus.TypeString,
	} {
		p, err := c.d.node.Advertise(bus.Publication{Topic: topic, Type: typ})
		c.pubs[topic] = p
		errs = append(errs, err, c.hear(topic, typ))
	}
	return errors.Join(errs...)
}

// hear makes a reader of the robot's.
func (c *carried) hear(topic, typ string) error {
	var d cdr.Decoder
	var err error
	switch typ {
	case bus.TypeTwist:
		d, err = cdr.NewCommand(typ, nil, 0, func(m *msg.Command) { c.back <- effect{topic: topic, twist: m.Twist} })
	case bus.TypeBool:
		d = cdr.NewBool(nil, func(m *msg.Bool) { c.back <- effect{topic: topic, flag: m.Value} })
	default:
		d = cdr.NewText(nil, func(m *msg.Text) { c.back <- effect{topic: topic, text: string(m.Data)} })
	}
	if err != nil {
		return err
	}
	_, err = c.d.robot.NewReader(rtps.ReaderConfig{
		Topic: "rt" + topic, Type: wireType(typ), Reliable: true, MaxRateHz: 1_000_000,
		Handler: func(s *rtps.Sample) { _ = d.Decode(s.Payload, s.Boot, uint64(s.Seq)) }, // What does not decode does not come back.
	})
	return err
}

// watch follows the topics that the guard watches.
func (c *carried) watch() error {
	errs := []error{
		c.d.watch(c.topics.CommandOut.Topic, c.topics.CommandOut.Consumer), c.d.watch(c.topics.Lock.Topic, c.topics.Lock.Consumer),
	}
	for _, in := range c.topics.Commands {
		errs = append(errs, c.d.watch(in.Topic, ""))
	}
	return errors.Join(errs...)
}

// carry sends one message to the guard and waits for all that comes of it.
func (c *carried) carry(topic string, fill func(*payload)) {
	if c.err != nil {
		return
	}
	c.turn <- struct{}{}
	if c.err = c.voices.say(topic, fill); c.err != nil {
		return
	}
	c.timer.Reset(onTheWay)
	select {
	case <-c.arrived:
		c.settle()
	case <-c.timer.C:
		c.err = fmt.Errorf("demo: a message on %s did not reach the guard within %v", topic, onTheWay)
	}
}

// settle waits until everything that the guard published is back, and gives the world what came, in the order in which
// it was published.
func (c *carried) settle() {
	for range c.effects {
		c.timer.Reset(onTheWay)
		select {
		case e := <-c.back:
			// Topics may overtake each other; on one, messages come in order.
			i := slices.IndexFunc(c.effects, func(s effect) bool { return s.topic == e.topic && !s.back })
			if i < 0 {
				c.err = fmt.Errorf("demo: something came back on %s that the guard did not publish", e.topic)
				return
			}
			e.back = true
			c.effects[i] = e
		case <-c.timer.C:
			c.err = fmt.Errorf("demo: what the guard published did not reach the robot within %v: %+v", onTheWay, c.effects)
			return
		}
	}
	for _, e := range c.effects {
		switch e.topic {
		case c.topics.CommandOut.Topic:
			c.out.Command(e.twist)
		case c.topics.Lock.Topic:
			c.out.Lock(e.flag)
		default:
			c.out.Challenge([]byte(e.text))
		}
	}
	c.effects = c.effects[:0]
}

// publish sends one of the guard's effects. It is called while the guard handles something, and settle waits for it.
func (c *carried) publish(topic string, send func(p *ros2.Publisher, seq uint64) (bus.Sent, error)) {
	c.seq++
	if _, err := send(c.pubs[topic], c.seq); err != nil {
		c.err = errors.Join(c.err, fmt.Errorf("demo: publish on %s: %w", topic, err))
		return
	}
	c.effects = append(c.effects, effect{topic: topic})
}

// domainOut is the guard's way to the robot, by the domain.
type domainOut struct{ c *carried }

// Command is Actuators'.
func (o domainOut) Command(t msg.Twist) {
	o.c.publish(o.c.topics.CommandOut.Topic, func(p *ros2.Publisher, seq uint64) (bus.Sent, error) { return p.PublishTwist(seq, &t) })
}

// Lock is Actuators'.
func (o domainOut) Lock(locked bool) {
	o.c.publish(o.c.topics.Lock.Topic, func(p *ros2.Publisher, seq uint64) (bus.Sent, error) { return p.PublishBool(seq, locked) })
}

// Challenge is Actuators'.
func (o domainOut) Challenge(line []byte) {
	o.c.publish(o.c.topics.Heartbeats[0].ChallengeTopic, func(p *ros2.Publisher, seq uint64) (bus.Sent, error) { return p.PublishString(seq, line) })
}

// Call is Actuators'. Services are called past the domain.
func (o domainOut) Call(call sim.Call) { o.c.out.Call(call) }

// Pose is Guard's.
func (c *carried) Pose(m *msg.Pose) {
	c.carry(c.topics.Pose.Topic, func(p *payload) { p.poseCovariance(m) })
}

// Odometry is Guard's.
func (c *carried) Odometry(m *msg.Pose) {
	c.carry(c.topics.Odometry.Topic, func(p *payload) { p.odometry(m) })
}

// Joints is Guard's.
func (c *carried) Joints(m *msg.Joints) {
	c.carry(c.topics.Joints.Topic, func(p *payload) { p.joints(m, c.joints) })
}

// IMU is Guard's.
func (c *carried) IMU(m *msg.IMU) { c.carry(c.topics.IMU.Topic, func(p *payload) { p.imu(m) }) }

// Device is Guard's.
func (c *carried) Device(m *msg.Device) {
	active := uint8(0)
	if m.Active {
		active = 1
	}
	switch m.Kind {
	case msg.Camera:
		c.carry(c.topics.Cameras[m.Index].Topic, func(p *payload) { p.u8(active) })
	case msg.Microphone:
		c.carry(c.topics.Microphones[m.Index].Topic, func(p *payload) { p.u8(active) })
	case msg.Battery:
		c.carry(c.topics.Battery.Topic, func(p *payload) { p.battery(m) })
	case msg.Heat, msg.DeviceUnknown: // the walker's motors stay cool
	}
}

// Command is Guard's. Each channel has one commander on the domain.
func (c *carried) Command(m *msg.Command) {
	c.carry(c.topics.Commands[m.Channel].Topic, func(p *payload) { p.vec(m.Linear); p.vec(m.Angular) })
}

// Floor is Guard's.
func (c *carried) Floor(m *msg.Text) { c.text(c.topics.Floor.Topic.Topic, m) }

// Answer is Guard's.
func (c *carried) Answer(m *msg.Text) { c.text(c.topics.Heartbeats[0].ResponseTopic, m) }

// Order is Guard's.
func (c *carried) Order(m *msg.Text) { c.text(c.topics.Orders.Topic, m) }

func (c *carried) text(topic string, m *msg.Text) {
	c.carry(topic, func(p *payload) { p.text(string(m.Data)) })
}

// Graph is Guard's. What the world says of the graph is brought about on the domain; what the guard is told is what
// discovery found.
func (c *carried) Graph(m *msg.Graph) {
	if c.err != nil {
		return
	}
	if !m.Known {
		c.inner.Graph(m)
		c.settle()
		return
	}
	names := m.Publishers[:m.Total]
	if m.Topic == sim.TopicCommand {
		if c.err = c.intruder.set(slices.Contains(names, sim.NodeIntruder)); c.err != nil {
			return
		}
	}
	if !c.watched(m.Topic) {
		return
	}
	var g msg.Graph
	if g, c.err = c.d.await(m.Topic, names); c.err != nil {
		return
	}
	c.inner.Graph(&g)
	c.settle()
}

// watched says whether the guard watches a topic.
func (c *carried) watched(topic string) bool {
	for _, in := range c.topics.Commands {
		if in.Topic == topic {
			return true
		}
	}
	return topic == c.topics.CommandOut.Topic || topic == c.topics.Lock.Topic
}

// Reply is Guard's.
func (c *carried) Reply(m *sim.Reply) {
	c.inner.Reply(m)
	c.settle()
}

// Tick is Guard's.
func (c *carried) Tick(planned time.Duration) {
	if c.err == nil {
		c.inner.Tick(planned)
		c.settle()
	}
}

// Snapshot is Guard's.
func (c *carried) Snapshot() *console.Snapshot { return c.inner.Snapshot() }
