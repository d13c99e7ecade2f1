package ros2

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/rtps"
)

// Watch is a running graph watch. Everything that it reports is the word of the participants themselves.
type Watch struct {
	n *Node
	// topic is the name that the caller gave, dds the one on the wire.
	topic, dds string
	consumer   string
	// own are our writers of the topic. goals says that they send requests for goals, which the consumer may send to himself.
	own   func() []*rtps.Writer
	goals bool
	h     func(*msg.Graph)

	// mu is held while h runs.
	mu     sync.Mutex
	closed bool
	graph  msg.Graph
	// made is true once the graph was made of what discovery tells, and pending while time alone may change it.
	made, pending bool
	names         []string
	// serving are the consumer's participants where goals are asked for, as make found them last.
	serving atomic.Pointer[[]*rtps.RemoteParticipant]
	// reached says that our own writer is announced and serves the consumer, as far as that is known.
	reached bool
	at      time.Duration
}

// WatchTopic reports on every change, and at least once per Limits.WatchInterval, who writes the topic. h is called on
// the node's own goroutine, must not wait, and its argument is valid only during the call.
//
// Known is true while the participant works, has listened for Limits.SettleTime, and has had room and time for all who
// announced themselves, forgeries apart (rtps.Participant.KeptOut), which Flooded tells of for a while after they were passed
// over; a change of the publishers is reported as known in any case. Publishers are the nodes of all
// writers of the topic, whatever their type or quality of service, whether listened to or not, ourselves included: one
// entry for each node of each participant, so that two participants that claim one name are two. A writer whose node may
// still become known is left out for that while, unless we publish the topic ourselves: then nobody else has any
// business there, and it is listed by its address.
//
// Registered says that our own writer of the topic is announced and, if discovery has shown a reader of the consumer on
// it for Limits.NameTimeout, matched with one of each participant that says it is the consumer, and among them the one that we
// know to be it, if we listen to it. So a base that asks for a quality of service that we do not offer counts as not reached,
// and a namesake does not stand in for it. ConsumerKnown is always false: DDS has no way to ask a reader to whom it listens.
func (n *Node) WatchTopic(topic, consumer string, h func(*msg.Graph)) (*Watch, error) {
	if !validName(topic) && !validRaw(topic) || consumer != "" && !validPeer(consumer) {
		return nil, fmt.Errorf("ros2: watch topic %s, consumer %s; expected fully qualified names", clip(topic, 80), clip(consumer, 80))
	}
	return n.watch(&Watch{n: n, topic: topic, dds: ddsTopic(topic), consumer: consumer, h: h, own: func() []*rtps.Writer {
		if p := n.publisher(topic); p != nil {
			return []*rtps.Writer{p.writer}
		}
		return nil
	}})
}

// watch begins a watch.
func (n *Node) watch(w *Watch) (*Watch, error) {
	w.graph.Topic = w.topic
	n.part.Prefer(w.dds)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	n.watches = with(n.watches, w)
	n.Poke()
	return w, nil
}

// Close ends the watch and waits for h to return; so h must not call it.
func (w *Watch) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	w.n.watches = without(w.n.watches, w)
}

// look reports the graph if that is due. changed says that it may be another than at the last look.
func (w *Watch) look(now time.Duration, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	g := &w.graph
	before := graphState{g.Known, g.Flooded, g.Registered, g.Total}
	news := false
	if changed || !w.made || w.pending {
		news = w.make(now)
	}
	// Whoever is seen to come is told in any case: a crowd must not hide him by making the graph unknown.
	g.Known = w.n.known(now) && (news || w.n.whole(now))
	g.Flooded = w.n.flooded(now)
	g.Registered = w.reached && w.n.part.Healthy()
	if !news && before == (graphState{g.Known, g.Flooded, g.Registered, g.Total}) && w.at != 0 && now-w.at < w.n.cfg.Limits.WatchInterval {
		return
	}
	w.at = now
	g.Boot = now
	w.h(g)
}

// graphState is what of a graph is compared to tell a change, besides the names.
type graphState struct {
	known, flooded, registered bool
	total                      int
}

// make makes the graph anew of what discovery tells, and tells whether its names are others.
func (w *Watch) make(now time.Duration) bool {
	first := !w.made
	w.made = true
	own := w.own()
	c := census{consumer: w.consumer, bound: w.n.bound(w.consumer)}
	w.pending = false
	w.n.part.VisitEndpoints(func(e *rtps.Endpoint) {
		if e.Topic == w.dds {
			w.count(&c, e, own != nil, now)
		}
	})
	if w.goals {
		c.spare()
		serving := c.serving // alone: it is kept
		w.serving.Store(&serving)
	}
	if own != nil {
		c.names = append(c.names, w.n.cfg.Name)
	}
	slices.Sort(c.names)
	w.reached = own != nil && c.reached(own)
	if !first && slices.Equal(c.names, w.names) {
		return false
	}
	w.names = c.names
	w.graph.Total = len(c.names)
	w.graph.Publishers = [msg.MaxPublishers]string{}
	copy(w.graph.Publishers[:], c.names)
	return true
}

// count adds an endpoint of the topic to the census.
func (w *Watch) count(c *census, e *rtps.Endpoint, ours bool, now time.Duration) {
	id := w.n.identify(e)
	if e.Writer {
		// The navigator's own writer may be there before its reader is.
		early := w.goals && id.name == w.consumer && now-w.n.faces.since(e, now) < w.n.cfg.Limits.NameTimeout
		w.pending = w.pending || !id.settled || early
		if (id.settled || ours && !w.goals) && !early {
			c.add(e.Participant, id.name)
		}
		return
	}
	if w.consumer == "" || id.settled && id.name != w.consumer {
		return
	}
	if id.name == w.consumer {
		w.serves(c, e, &id)
	}
	// Discovery knows a reader before it is matched.
	known := now-w.n.faces.since(e, now) >= w.n.cfg.Limits.NameTimeout
	w.pending = w.pending || !known
	if known && id.name == w.consumer {
		c.consumers = append(c.consumers, e)
	}
}

// serves notes that a participant with the consumer's name reads the topic. Where goals are asked for, one that another one
// preceded under that name may be no consumer; the one before may just have died, which shows in time.
func (w *Watch) serves(c *census, e *rtps.Endpoint, id *identity) {
	if w.goals {
		w.pending = w.pending || w.n.dir.rival(e.Participant, w.consumer) != nil
		if id.rival != nil {
			return
		}
	}
	c.serving = append(c.serving, e.Participant)
}

// passed tells whether a writer that is gone may have asked for goals and never been in a graph, without being the consumer's:
// one request is enough, and takes less time than to know whose a writer is. Of two of one name the second counts as another
// here, though the first may be dead. It takes no lock that is held while h runs.
func (w *Watch) passed(e *rtps.Endpoint, now time.Duration) bool {
	if !w.goals {
		return false
	}
	if s := w.serving.Load(); s != nil && slices.Contains(*s, e.Participant) {
		return w.n.dir.rival(e.Participant, w.consumer) != nil
	}
	return now-w.n.faces.since(e, now) < w.n.cfg.Limits.NameTimeout
}

// census counts the writers of a topic by node.
type census struct {
	names []string
	seen  map[holder]bool
	// consumer is the name of whoever consumes; consumers are the readers of whoever is named as the consumer; bound are the participants that are known to be it.
	consumer  string
	consumers []*rtps.Endpoint
	// serving are the participants of all who say they are the consumer, however new; of those who ask for goals, see serves.
	serving []*rtps.RemoteParticipant
	bound   []*rtps.RemoteParticipant
}

// holder is a name in one participant.
type holder struct {
	p    *rtps.RemoteParticipant
	name string
}

func (c *census) add(p *rtps.RemoteParticipant, name string) {
	if c.seen == nil {
		c.seen = map[holder]bool{}
	}
	if h := (holder{p, name}); !c.seen[h] {
		c.seen[h] = true
		c.names = append(c.names, name)
	}
}

// bound lists the participants that speak as the node to us and are bound to their source. Which process they are, the
// steward says of the same ones.
func (n *Node) bound(name string) (out []*rtps.RemoteParticipant) {
	if name == "" {
		return nil
	}
	for _, s := range n.subscriptions() {
		for _, l := range s.linked(nil) {
			if p := l.now(); p != nil && p.Name == name && p.Strength >= msg.SourceBound && !slices.Contains(out, l.w.Participant) {
				out = append(out, l.w.Participant)
			}
		}
	}
	return out
}

// spare leaves out the consumer's own writers: a navigator sends the goals that come to it by a topic to its own action. It
// is one that serves the requests and sends them in the same participant, and the first that has the name, so that a namesake
// stays in.
func (c *census) spare() {
	for _, p := range c.serving {
		h := holder{p, c.consumer}
		if i := slices.Index(c.names, h.name); c.seen[h] && i >= 0 {
			delete(c.seen, h)
			c.names = slices.Delete(c.names, i, i+1)
		}
	}
}

// reached tells whether our writers serve the consumer: a reader of every participant that says it is, and among them one
// that is known to be it, if any is. So a namesake does not stand in for it. Without a reader of that name there is nobody to
// be reached yet.
func (c *census) reached(own []*rtps.Writer) bool {
	if len(c.consumers) == 0 {
		return true
	}
	served := map[*rtps.RemoteParticipant]bool{}
	for _, w := range own {
		for _, r := range w.Matched() {
			served[r.Participant] = served[r.Participant] || slices.ContainsFunc(c.consumers, func(e *rtps.Endpoint) bool { return e.GUID == r.GUID })
		}
	}
	known := len(c.bound) == 0
	for _, e := range c.consumers {
		if !served[e.Participant] {
			return false
		}
		known = known || slices.Contains(c.bound, e.Participant)
	}
	return known
}
