package agent

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2"
)

// wiring is the guard's connection to the robot's bus: the subscriptions of the topic mapping and the sink for its
// effects.
type wiring struct {
	node node
	// dds reads what only a vendor's types carry; nil on a bus without such.
	dds *ros2.Node
	// own says whether a message is the guard's own, heard on a topic that it writes as well.
	own func(*msg.Peer) bool
	// blind counts who is there whom the node cannot see into; nil for a bus without such.
	blind func() ros2.Blindness
	cfg   *config.Config
	sink  *busSink
	diag  publisher
	guard *guard.Guard
	// onOrder takes a signed order from the bus; it must not block.
	onOrder func(peer uint32, envelope []byte)
	log     zerolog.Logger
	// inputs numbers the topics whose peers the core follows.
	inputs map[string]int
	peers  *peerTable
	// envelopes are the openers of the command inputs whose commanders have to prove themselves, nil for the others.
	envelopes guard.Envelopes
	// topics are all that the guard reads, writes, watches or calls.
	topics map[string]bool
}

// newWiring binds the node's ports and offers the topics that the guard publishes. Nothing is dialled before the node runs.
func newWiring(cfg *config.Config, envelopes guard.Envelopes, clock guard.Clock, peers *peerTable, log zerolog.Logger) (*wiring, error) {
	b := &wiring{cfg: cfg, envelopes: envelopes, log: log, inputs: map[string]int{}, peers: peers, topics: mapped(cfg.Topics)}
	for i, c := range cfg.Topics.Commands {
		b.inputs[c.Topic] = i
		if envelopes[i] != nil {
			b.topics[config.ChallengeTopic(c.Topic)] = true
		}
	}
	for i, g := range cfg.Topics.Gates {
		b.inputs[g.Topic] = len(cfg.Topics.Commands) + len(cfg.Topics.Monitored) + i
		for _, name := range goalServices(&g) {
			b.topics[name] = true
		}
	}
	if err := b.open(clock); err != nil {
		return nil, err
	}
	if err := b.advertise(); err != nil {
		return nil, errors.Join(err, b.node.Close())
	}
	return b, nil
}

func (b *wiring) advertise() error {
	t := b.cfg.Topics
	var errs []error
	offer := func(topic, typ string, consumers ...string) publisher {
		p, err := b.node.Advertise(bus.Publication{Topic: topic, Type: typ, Consumers: consumers})
		if err != nil {
			errs = append(errs, fmt.Errorf("topic %s: %w", topic, err))
		}
		return p
	}
	b.sink = &busSink{log: b.log}
	command, err := b.node.Advertise(bus.Publication{
		Topic: t.CommandOut.Topic, Type: t.CommandOut.Type, Consumers: []string{t.CommandOut.Consumer},
		Frame: t.CommandOut.Frame, WheelbaseM: t.CommandOut.WheelbaseM,
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("topic %s: %w", t.CommandOut.Topic, err))
	}
	b.sink.command = command
	errs = append(errs, b.advertiseGates())
	if t.Lock != nil {
		b.sink.lock = offer(t.Lock.Topic, bus.TypeBool, t.Lock.Consumer)
	}
	if t.EStop != nil {
		b.sink.estop = &estopTopic{out: offer(t.EStop.Topic, bus.TypeBool, t.EStop.Consumer)}
	}
	for _, c := range b.cfg.Policy.Channels {
		h := heartbeatTopics(t, c.Endpoint)
		if h == nil {
			errs = append(errs, fmt.Errorf("channel %q: the topic mapping has no heartbeat for it; add it under heartbeats", c.Endpoint))
			continue
		}
		b.sink.challenges = append(b.sink.challenges, offer(h.ChallengeTopic, bus.TypeString, h.Publishers...))
	}
	b.sink.commanders = make([]publisher, len(t.Commands))
	for i, c := range t.Commands {
		if b.envelopes[i] != nil {
			b.sink.commanders[i] = offer(config.ChallengeTopic(c.Topic), bus.TypeString, c.Publishers...)
		}
	}
	if t.Diagnostics != "" {
		b.diag = offer(t.Diagnostics, bus.TypeDiagnosticArray)
	}
	return errors.Join(errs...)
}

func heartbeatTopics(t *config.Topics, endpoint string) *config.Heartbeat {
	for i := range t.Heartbeats {
		if t.Heartbeats[i].Endpoint == endpoint {
			return &t.Heartbeats[i]
		}
	}
	return nil
}

// connect subscribes to everything that the mapping names and hands it to the guard.
func (b *wiring) connect(g *guard.Guard) error {
	b.guard = g
	b.sink.rungs = newRungs(b.node, b.cfg, g.Ack)
	b.sink.onPrivate = b.peers.poke
	b.sink.private = newPrivacy(b.node, b.cfg.Topics.Services.Private)
	b.openDevices(g)
	t := b.cfg.Topics
	var errs []error
	try := func(topic string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("topic %s: %w", topic, err))
		}
	}
	for i, c := range t.Commands {
		s := bus.Subscription{Topic: c.Topic, Type: c.Type, Allow: c.Publishers, MaxBytes: c.MaxBytes}
		if o := b.envelopes[i]; o != nil {
			s.Open = o.Open
		}
		if strings.HasPrefix(c.Type, "ackermann_msgs/") {
			s.WheelbaseM = t.CommandOut.WheelbaseM
		}
		try(c.Topic, b.node.SubscribeCommand(s, i, g.Command))
	}
	b.connectGates(try)
	b.connectPose(try)
	b.connectSensors(try)
	b.connectDevices(try)
	b.connectTexts(try)
	b.connectFacts(try)
	b.watch(&errs)
	return errors.Join(errs...)
}

func from(t *config.Topic) bus.Subscription {
	return bus.Subscription{
		Topic: t.Topic, Type: t.Type, Allow: t.Publishers, AllowAny: len(t.Publishers) == 0,
		MaxBytes: t.MaxBytes, IdleTimeout: t.Deadline,
	}
}

type try func(topic string, err error)

func (b *wiring) connectPose(try try) {
	t, g := b.cfg.Topics, b.guard
	p := bus.Subscription{
		Topic: t.Pose.Topic, Type: t.Pose.Type, Allow: t.Pose.Publishers, MaxBytes: t.Pose.MaxBytes, IdleTimeout: t.Pose.Deadline,
	}
	if t.Pose.Type == config.TypeTF {
		b.connectChain(try)
	} else {
		try(t.Pose.Topic, b.node.SubscribePose(p, g.Pose))
	}
	if s := t.SecondPose; s != nil {
		try(s.Topic, b.node.SubscribePose(bus.Subscription{
			Topic: s.Topic, Type: s.Type, Allow: s.Publishers, MaxBytes: s.MaxBytes, IdleTimeout: s.Deadline,
		}, g.SecondPose))
	}
	if t.Odometry.Topic != t.Pose.Topic {
		try(t.Odometry.Topic, b.node.SubscribePose(from(&t.Odometry), g.Odometry))
	}
}

func (b *wiring) connectChain(try try) {
	tf := b.cfg.Topics.TF
	var edges []bus.Edge
	for i := range len(tf.Chain) - 1 {
		edges = append(edges, bus.Edge{Parent: tf.Chain[i], Child: tf.Chain[i+1]})
	}
	for _, topic := range []string{tf.Topic, tf.StaticTopic} {
		if topic == "" {
			continue
		}
		try(topic, b.node.SubscribeTransforms(bus.Subscription{
			Topic: topic, Allow: tf.Publishers, MaxBytes: tf.MaxBytes, IdleTimeout: tf.Deadline, Latched: topic == tf.StaticTopic,
		}, edges, b.guard.Transform))
	}
}

func (b *wiring) connectDevices(try try) {
	for kind, list := range map[msg.DeviceKind][]config.Device{msg.Camera: b.cfg.Topics.Cameras, msg.Microphone: b.cfg.Topics.Microphones} {
		for i, d := range list {
			try(d.Topic, b.node.SubscribeDevice(bus.Subscription{
				Topic: d.Topic, Type: d.Type, Allow: d.Publishers, MaxBytes: d.MaxBytes, IdleTimeout: d.Deadline,
			}, kind, i, b.guard.Device))
		}
	}
}

// connectTexts subscribes to what comes as text: the floor's map id, heartbeat answers and signed orders.
func (b *wiring) connectTexts(try try) {
	t := b.cfg.Topics
	if f := t.Floor.Topic; f != nil {
		sub := from(f)
		sub.Latched = true // A map's name is told once, when the map is loaded.
		try(f.Topic, b.node.SubscribeText(sub, func(m *msg.Text) { b.guard.Floor(b.floor(m.Data)) }))
	}
	for i, c := range b.cfg.Policy.Channels {
		if h := heartbeatTopics(t, c.Endpoint); h != nil {
			try(h.ResponseTopic, b.node.SubscribeText(bus.Subscription{
				Topic: h.ResponseTopic, Allow: h.Publishers, MaxBytes: answerBytes, IdleTimeout: time.Minute,
			}, func(m *msg.Text) { b.guard.Answer(i, m.Data) }))
		}
	}
	if o := t.Orders; o != nil {
		sub := from(o)
		// Anybody may carry an order, since its signature counts; so the rate is bounded.
		sub.MaxRateHz, sub.IdleTimeout = 20, time.Hour
		try(o.Topic, b.node.SubscribeText(sub, func(m *msg.Text) { b.onOrder(m.Peer.ID, m.Data) }))
	}
	if t.Lock != nil {
		try(t.Lock.Topic, b.node.SubscribeBool(bus.Subscription{Topic: t.Lock.Topic, AllowAny: true, IdleTimeout: time.Hour}, b.lockSeen))
	}
}

const answerBytes = 4 << 10

// floor finds the policy's floor for a map id; an unknown text is an unknown floor.
func (b *wiring) floor(text []byte) int {
	text = bytes.TrimSpace(text)
	for _, v := range b.cfg.Topics.Floor.Values {
		if string(text) == v.Value {
			return b.cfg.Policy.FloorIndex(v.Floor)
		}
	}
	return -1
}

// lockSeen passes on what others write on the lock topic; our own values are not news.
func (b *wiring) lockSeen(m *msg.Bool) {
	if !b.own(m.Peer) {
		b.guard.LockSeen(m)
	}
}

// watch follows the graph around every gated topic.
func (b *wiring) watch(errs *[]error) {
	t := b.cfg.Topics
	add := func(topic, consumer string) {
		if err := b.node.WatchTopic(topic, consumer, b.graph); err != nil {
			*errs = append(*errs, fmt.Errorf("topic %s: %w", topic, err))
		}
	}
	for _, c := range t.Commands {
		add(c.Topic, "")
	}
	for _, m := range t.Monitored {
		add(m.Topic, "")
	}
	for _, g := range t.Gates {
		if g.Action() {
			b.watchGoals(&g, errs)
			continue
		}
		add(g.Topic, "")
		for _, topic := range []string{g.Out, g.Lock} {
			if topic != "" {
				add(topic, g.Consumer)
			}
		}
	}
	add(t.CommandOut.Topic, t.CommandOut.Consumer)
	if t.Lock != nil {
		add(t.Lock.Topic, t.Lock.Consumer)
	}
}

// watchGoals follows who asks for goals of an action, before its gate and behind it.
func (b *wiring) watchGoals(g *config.Gate, errs *[]error) {
	_, err := b.dds.WatchGoals(g.Topic, "", b.graph)
	if g.Out != "" && err == nil {
		_, err = b.dds.WatchGoals(g.Out, g.Consumer, b.graph)
	}
	if g.Lock != "" && err == nil {
		err = b.node.WatchTopic(g.Lock, g.Consumer, b.graph)
	}
	if err != nil {
		*errs = append(*errs, fmt.Errorf("gate %s: %w", g.Name, err))
	}
}

func (b *wiring) graph(g *msg.Graph) {
	b.guard.SetBusOK(g.Known)
	b.guard.Graph(g)
}

// concerns says whether a conflict of publishers is about somebody whom the guard listens to, one of its topics or
// services, or the guard itself. What goes on among others on the bus is counted and told, but it is no reason to hold the robot: a computer
// with two interfaces may look the same.
func (b *wiring) concerns(e *bus.Event) bool {
	return e.Peer != nil || b.topics[e.Topic] || e.Name == b.cfg.Deployment.Node(b.cfg.Profile.Bus)
}

// mapped are all topics and services of a mapping.
func mapped(t *config.Topics) map[string]bool {
	out := map[string]bool{}
	for _, topic := range t.Names() {
		out[topic] = true
	}
	for _, s := range t.Services.Mapped() {
		out[s.Name] = true
	}
	return out
}

// event turns what happened to connections into what the core watches, and tells people.
func (b *wiring) event(e *bus.Event) {
	level := zerolog.InfoLevel
	p := guard.PeerEvent{Input: -1, Name: e.Name}
	if i, ok := b.inputs[e.Topic]; ok {
		p.Input, p.Gated = i, true
	}
	if e.Peer != nil {
		p.ID, p.Strength, p.Name = e.Peer.ID, e.Peer.Strength, e.Peer.Name
	}
	switch e.Kind {
	case bus.PublisherConnected:
		p.Change = guard.PeerConnected
	case bus.PublisherGone:
		p.Change = guard.PeerGone
	case bus.PublisherMismatch:
		p.Change, level = guard.PeerMismatch, zerolog.WarnLevel
	case bus.PublisherOversize, bus.PublisherMalformed:
		p.Change, level = guard.PeerMalformed, zerolog.WarnLevel
	case bus.PublisherRefused, bus.PublisherTimeout:
		p.Change, level = guard.PeerRefused, zerolog.WarnLevel
	case bus.RequestRefused, bus.RequestMalformed:
		p.Change, level = guard.PeerAttack, zerolog.WarnLevel
	case bus.PublisherConflict:
		p.Change, level = guard.PeerConflict, zerolog.WarnLevel
		if !b.concerns(e) {
			p.Change = guard.PeerAttack
		}
	default:
		if strings.HasSuffix(e.Kind.String(), "lost") {
			level = zerolog.WarnLevel
		}
	}
	if p.Change != 0 && b.guard != nil {
		b.guard.Peer(p)
	}
	// After the guard: what is said about a connection must find it there.
	switch {
	case b.peers == nil || e.Peer == nil:
	case p.Change == guard.PeerConnected:
		b.peers.connected(e.Topic, e.Peer, p.Gated)
	case p.Change == guard.PeerGone:
		b.peers.gone(e.Peer)
	}
	b.log.WithLevel(level).Str(keyTopic, e.Topic).Str(keyPeer, p.Name).Str(keyEvent, e.Kind.String()).Uint64(keySuppressed, e.Suppressed).Msg(e.Detail)
}
