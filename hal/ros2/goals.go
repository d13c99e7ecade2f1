package ros2

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
)

// TypeNavigate is the action whose goals a GoalGate takes.
const TypeNavigate = "nav2_msgs/NavigateToPose"

const (
	// maxGoalRequests bounds the requests that a GoalGate has in hand: those that wait for the navigator's answer and those
	// whose client cannot be answered yet. More are refused.
	maxGoalRequests = 16
	// goalReplyBytes bounds one answer: a flag and a time behind a header.
	goalReplyBytes = 64
	// DefaultGoalBytes is the usual cap of one request for a goal.
	DefaultGoalBytes = 4 << 10
)

// GoalGateConfig says whose goals pass where.
type GoalGateConfig struct {
	// Subscription says who may ask, how often, and in requests of what size. Topic is the action's name as clients know it,
	// such as "/navigate_to_pose"; Type may be empty or TypeNavigate.
	bus.Subscription
	// Server is the action's name for which the navigator itself takes goals, and nothing else: it runs with
	// "<action>/_action/send_goal" remapped to "<server>/_action/send_goal". Its other services and topics stay what they
	// were, and clients talk to them as before. Empty is a gate that looks on: clients' requests go to the navigator, and
	// nobody is answered.
	Server string
	// Trees are the behaviour trees that goals may name.
	Trees []string
	// Channel numbers the mapping's gates.
	Channel int
}

// GoalGate stands between the clients of a nav2_msgs/NavigateToPose action and its server: each request for a goal is
// judged by a handler, and answered with a refusal at once or handed on as it came. Of the action's five parts it is
// send_goal alone: all of ROS 2's distributions can remap that one by itself (rcl remaps each service's name; the action's
// name as a whole only since https://github.com/ros2/rcl/pull/1170). Without a Server it looks on.
type GoalGate struct {
	n     *Node
	cfg   GoalGateConfig
	h     func(*msg.Demand)
	sub   *Sub
	reply *rtps.Writer
	// send and cancel are the clients of the navigator, nil for a gate that looks on.
	send, cancel *client

	// judging is held while one request is judged: current is that request while asked is true. Nothing waits under it.
	judging sync.Mutex
	current goalRequest
	asked   bool

	// free and queue hold every request's place.
	free, queue chan *goalRequest
	// ended is the number of the newest end, answered that of the newest one that the navigator has answered, and taken that
	// of the newest goal that it accepted.
	ended, answered, taken atomic.Uint64
	// waits are the numbers of the goals of which it is not known yet whether the navigator accepts them, by place, 0 for none.
	waits [maxGoalRequests]atomic.Uint64
	wake  chan struct{}

	// out guards what replies need. It is held while a reply is written, which waits for nothing.
	out     sync.Mutex
	seq     uint64
	buf     []byte
	readers []replyReader

	count struct{ passed, refused, busy, lost atomic.Uint64 }
}

// GoalGateStats counts what became of requests.
type GoalGateStats struct {
	// Handed counts requests that were handed on, Refused those that were answered with a refusal by the gate itself.
	Handed, Refused uint64
	// Busy counts those that passed and found no place, which are among the refused; Lost the answers whose client had no
	// reader for them.
	Busy, Lost uint64
}

// goalRequest is one request that is in hand.
type goalRequest struct {
	to   replyTo
	goal cdr.GoalID
	// seq is the number of the decision by which it passed, and at when that was; 0 for one that is only to be refused.
	seq     uint64
	at      time.Duration
	payload []byte
	// place is which of the gate's places this is.
	place int
}

// put takes what is in hand instead, and keeps the place and its room.
func (r *goalRequest) put(x *goalRequest) {
	place, room := r.place, r.payload[:0]
	*r = *x
	r.place, r.payload = place, room
}

// GateGoals offers send_goal of an action and judges each request by h, on the participant's receiving goroutine. h calls
// Pass for a goal that may go on; one that it does not call it for is refused.
func (n *Node) GateGoals(c GoalGateConfig, h func(*msg.Demand)) (*GoalGate, error) {
	if err := checkGoals(&c); err != nil {
		return nil, err
	}
	g := &GoalGate{
		n: n, cfg: c, h: h, wake: make(chan struct{}, 1),
		free: make(chan *goalRequest, maxGoalRequests), queue: make(chan *goalRequest, maxGoalRequests),
		buf: make([]byte, 0, goalReplyBytes),
	}
	for i := range maxGoalRequests {
		g.free <- &goalRequest{payload: make([]byte, 0, c.MaxBytes), place: i}
	}
	if err := g.open(); err != nil {
		return nil, fmt.Errorf("ros2: action %s: %w", c.Topic, err)
	}
	return g, nil
}

func checkGoals(c *GoalGateConfig) error {
	for _, name := range []string{c.Topic, c.Server} {
		if !validName(name) && (name != "" || name == c.Topic) {
			return fmt.Errorf("ros2: action %s is not a fully qualified name; expected one such as \"/navigate_to_pose\"", clip(name, 80))
		}
	}
	if c.Server == c.Topic {
		return fmt.Errorf("ros2: action %s: the navigator's own name is the same; expected another one to hand goals on to", c.Topic)
	}
	if c.Type != "" && c.Type != TypeNavigate {
		return fmt.Errorf("ros2: action %s: type %s; expected %s", c.Topic, clip(c.Type, 80), TypeNavigate)
	}
	c.MaxBytes = orDefault(c.MaxBytes, DefaultGoalBytes)
	if c.MaxBytes > maxForward {
		return fmt.Errorf("ros2: action %s: MaxBytes %d; expected at most %d", c.Topic, c.MaxBytes, maxForward)
	}
	return checkRest(&c.Subscription, TypeNavigate)
}

// open makes the endpoints: one reader and one writer, since a client of rmw_fastrtps believes in a service only if there
// are as many of the one as of the other.
func (g *GoalGate) open() error {
	n, c := g.n, &g.cfg
	t, err := parseType(navSend.typ, navSend.kind)
	if err != nil {
		return err
	}
	if c.Server != "" {
		if g.send, err = n.serviceClientFor(action(c.Server, navSend.part), navSend.typ, navSend.kind, c.MaxBytes+requestBytes); err != nil {
			return err
		}
		if g.cancel, err = n.serviceClient(action(c.Topic, navCancel.part), navCancel.typ, navCancel.kind); err != nil {
			return err
		}
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("draw a service's number: %w", err)
	}
	// rmw_cyclonedds finds by this which reader and which writer are one service.
	who := "serviceid=" + hex.EncodeToString(id[:]) + ";"
	name := action(c.Topic, navSend.part)
	g.reply, err = n.part.NewWriter(rtps.WriterConfig{
		Topic: replyTopic(name), Type: t.dds("_Response"), Reliable: true, Depth: maxGoalRequests, MaxSample: goalReplyBytes,
		UserData: []byte(who), OnMatch: g.meet,
	})
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.gates = with(n.gates, g)
	n.mu.Unlock()
	g.sub = n.newSub(&c.Subscription, c.MaxBytes, g.asker)
	g.sub.dds, g.sub.holds = requestTopic(name), true
	g.sub.want[sure] = true
	if err := g.sub.listen(rtps.ReaderConfig{
		Type: t.dds("_Request"), MaxRateHz: orDefault(c.MaxRateHz, bus.DefaultMaxRateHz), UserData: []byte(who),
	}); err != nil {
		return err
	}
	if c.Server != "" {
		n.wg.Go(func() { g.forward(n.ctx) })
		n.wg.Go(func() { g.endAll(n.ctx) })
	}
	return nil
}

// goalAsker reads one client's requests.
type goalAsker struct {
	g   *GoalGate
	dec cdr.Decoder
	to  replyTo
	w   *rtps.RemoteWriter
}

// asker makes the reader of one client's requests.
func (g *GoalGate) asker(p *msg.Peer, w *rtps.RemoteWriter) cdr.Decoder {
	a := &goalAsker{g: g, w: w}
	a.to.flavour, a.to.participant = g.n.flavourOf(w.Participant), w.Participant
	a.to.client = userField(w.UserData, "clientid")
	a.dec = cdr.NewGoalRequest(p, g.cfg.Channel, g.cfg.Trees, a.to.flavour == prefixed, a.judge)
	return a
}

// Decode implements cdr.Decoder. A request that cannot be read is refused as well: its client need not wait.
func (a *goalAsker) Decode(payload []byte, boot time.Duration, seq uint64) error {
	a.to.seq = int64(seq) //nolint:gosec // a writer's number of a sample, which is signed
	err := a.dec.Decode(payload, boot, seq)
	if err == nil {
		return nil
	}
	if a.to.flavour == prefixed {
		id, headless := cdr.ParseReplyID(payload)
		if headless != nil {
			return err // nobody knows whom to answer
		}
		a.to.id = id
	}
	a.g.refuse(&a.to)
	return err
}

// judge has a request judged.
func (a *goalAsker) judge(r *cdr.GoalRequest) {
	g := a.g
	a.to.id = r.Request
	g.judging.Lock()
	defer g.judging.Unlock()
	g.current, g.asked = goalRequest{to: a.to, goal: r.ID}, true
	g.h(&r.Demand)
	if g.asked {
		g.asked = false
		g.refuse(&g.current.to)
	}
}

// Pass hands on the goal that the handler is just being given, unless an end with a higher number came. It is called by the
// handler alone, before it returns. It copies, and never waits.
func (g *GoalGate) Pass(seq uint64, d *msg.Demand) {
	if g.send == nil || !g.asked || seq < g.ended.Load() {
		return
	}
	select {
	case r := <-g.free:
		r.put(&g.current)
		r.seq, r.at, r.payload = seq, g.n.cfg.Clock(), append(r.payload, d.Raw...)
		g.asked = false
		g.waits[r.place].Store(seq)
		g.queue <- r // has room for all of them
	default:
		g.count.busy.Add(1)
	}
}

// End has the navigator cancel every goal, until it says that it does or has accepted a newer goal. It never waits.
func (g *GoalGate) End(seq uint64) {
	if g.cancel == nil {
		return
	}
	raise(&g.ended, seq)
	g.stir()
}

// stir has endAll look again.
func (g *GoalGate) stir() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// decided notes what became of a goal that passed. One that the navigator did not accept took no older goal's place: what was
// to be ended is to be ended still.
func (g *GoalGate) decided(r *goalRequest, accepted bool) {
	if accepted {
		raise(&g.taken, r.seq)
	}
	g.waits[r.place].Store(0)
	g.stir()
}

// due returns the newest end, if the navigator is to be told of it: it has not answered it, nor accepted a newer goal, and
// none is in hand that would be cancelled along with the rest.
func (g *GoalGate) due() (end uint64, yes bool) {
	end = g.ended.Load()
	for i := range g.waits {
		if g.waits[i].Load() > end {
			return end, false
		}
	}
	return end, end > max(g.answered.Load(), g.taken.Load()) // after waits: a goal is taken before it leaves them
}

// raise makes v at least seq.
func raise(v *atomic.Uint64, seq uint64) {
	for was := v.Load(); was < seq && !v.CompareAndSwap(was, seq); was = v.Load() {
	}
}

// Stats reads the counters.
func (g *GoalGate) Stats() GoalGateStats {
	return GoalGateStats{
		Handed: g.count.passed.Load(), Refused: g.count.refused.Load(), Busy: g.count.busy.Load(), Lost: g.count.lost.Load(),
	}
}

// WatchGoals is WatchTopic for the requests for goals of an action. A consumer may send requests to itself: Nav2's navigator
// has a client of its own action, for goals that come by a topic.
func (n *Node) WatchGoals(name, consumer string, h func(*msg.Graph)) (*Watch, error) {
	if !validName(name) || consumer != "" && !validPeer(consumer) {
		return nil, fmt.Errorf("ros2: watch action %s, consumer %s; expected fully qualified names", clip(name, 80), clip(consumer, 80))
	}
	service := action(name, navSend.part)
	return n.watch(&Watch{n: n, topic: name, dds: requestTopic(service), consumer: consumer, h: h, goals: consumer != "", own: func() []*rtps.Writer {
		for _, c := range n.serviceClients() {
			if c.name == service {
				return c.writers[related:]
			}
		}
		return nil
	}})
}

// errEnded means that what was under way was ended before a goal was handed on.
var errEnded = errors.New("the gate closed before the goal was handed on")
