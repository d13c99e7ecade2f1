package ros2

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/rtps"
)

// client is our end of one service: writers of requests and a reader of replies, announced once and kept, so that a call
// need not wait for discovery.
//
// The two implementations of ROS 2 pair a reply with its request in different ways. With rmw_cyclonedds both payloads begin
// with a number of the client's own and one of the request. With rmw_fastrtps (and rmw_connextdds) the reply names the
// request's writer and number in its inline QoS. Which way a server goes is told by its vendor. So there is a writer for
// each way, whose requests are for those servers alone: read the other way they would mean something else.
type client struct {
	n    *Node
	name string
	typ  typeName
	// most is the longest request in bytes.
	most    int
	writers [prefixed + 1]*rtps.Writer // by flavour
	reader  *rtps.Reader
	// id is the client's own number, of which others must not have the same.
	id [8]byte

	// mu is held while a request is written, which waits for nothing.
	mu   sync.Mutex
	seq  uint64
	wait map[requestKey]*call
	// askable are the readers of our requests, answering the writers of replies. news is closed and replaced when one has
	// come or gone.
	askable   []*rtps.RemoteReader
	answering []*rtps.RemoteWriter
	news      chan struct{}
}

// requestKey tells our requests apart: by the number that the flavour uses.
type requestKey struct {
	flavour flavour
	seq     int64
}

// call is a request without its reply. There is room for one in each way that it is sent.
type call struct{ reply chan answer }

// flavour is a way to pair requests and replies.
type flavour uint8

const (
	// related is pairing by inline QoS, prefixed by a header in front of the payload's data.
	related flavour = iota + 1
	prefixed
)

// flavourOf tells how a participant's services pair.
func flavourOf(p *rtps.RemoteParticipant) flavour {
	if p.Vendor == vendorCyclone {
		return prefixed
	}
	return related
}

// both lists the flavours.
func both() []flavour { return []flavour{related, prefixed} }

// Errors of calls.
var (
	// ErrNoServer means that nobody offers the service, or that who did has left.
	ErrNoServer = errors.New("nobody offers the service")
	// ErrTwoKinds means that several servers offer the service that cannot be asked in the same way.
	ErrTwoKinds = errors.New("servers of two kinds offer the service; one request cannot be for both")
)

const (
	// serviceDepth is how many requests are kept for repair.
	serviceDepth = 8
	// requestBytes bounds one request; the largest is a navigator's goal with the name of a behaviour tree.
	requestBytes = 4 << 10
)

func newClient(n *Node, name string, t typeName, most int) (*client, error) {
	c := &client{n: n, name: name, typ: t, most: most, wait: map[requestKey]*call{}, news: make(chan struct{})}
	if _, err := rand.Read(c.id[:]); err != nil {
		return nil, fmt.Errorf("draw a client's number: %w", err)
	}
	// rmw_cyclonedds finds the reader of a request's writer by this, and answers once it has matched it.
	who := "clientid=" + hex.EncodeToString(c.id[:]) + ";"
	for _, f := range both() {
		w, err := c.newWriter(f, who)
		if err != nil {
			c.closeWriters()
			return nil, err
		}
		c.writers[f] = w
	}
	reader, err := n.part.NewReader(rtps.ReaderConfig{
		Topic: replyTopic(name), Type: t.dds("_Response"), Reliable: true, MaxSample: n.cfg.Limits.MaxServiceBytes,
		UserData: append([]byte(who), n.hashes.data(t.String()+"_Response")...),
		Handler:  c.replied, OnMatch: func(w *rtps.RemoteWriter, matched bool) {
			c.met(func() { c.answering = keepMatched(c.answering, w, matched) })
		},
	})
	if err != nil {
		c.closeWriters()
		return nil, err
	}
	c.mu.Lock() // a reply to somebody else may be there already
	c.reader = reader
	c.mu.Unlock()
	return c, nil
}

// newWriter makes the writer of requests to the servers of one flavour.
func (c *client) newWriter(f flavour, who string) (*rtps.Writer, error) {
	config := rtps.WriterConfig{
		Topic: requestTopic(c.name), Type: c.typ.dds("_Request"), Reliable: true, Depth: serviceDepth, MaxSample: c.most,
		UserData: append([]byte(who), c.n.hashes.data(c.typ.String()+"_Request")...),
		Serves:   func(r *rtps.RemoteReader) bool { return c.n.flavourOf(r.Participant) == f },
	}
	config.OnMatch = func(r *rtps.RemoteReader, matched bool) {
		if config.Serves(r) {
			c.met(func() { c.askable = keepMatched(c.askable, r, matched) })
			c.n.stir()
		}
	}
	return c.n.part.NewWriter(config)
}

func (c *client) closeWriters() {
	for _, w := range c.writers {
		if w != nil {
			w.Close()
		}
	}
}

// met notes that an endpoint of a server has come or gone, and wakes the calls that wait for that.
func (c *client) met(note func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	note()
	close(c.news)
	c.news = make(chan struct{})
}

func keepMatched[T comparable](list []T, v T, matched bool) []T {
	if matched {
		return with(list, v)
	}
	return without(list, v)
}

// server is one participant that reads our requests and writes replies that we read.
type server struct {
	asked   *rtps.RemoteReader
	answers *rtps.RemoteWriter
}

// servers lists who offers the service, and returns a channel that is closed when others do.
func (c *client) servers() (out []server, news <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.answering {
		i := slices.IndexFunc(c.askable, func(r *rtps.RemoteReader) bool { return r.Participant == w.Participant })
		if i >= 0 {
			out = append(out, server{c.askable[i], w})
		}
	}
	return out, c.news
}

const (
	// introduction is how long a server that just came is given to match our writer in turn: CycloneDDS passes over what was
	// written before it has. That it acknowledges something, if only that there is nothing yet, shows that it has.
	introduction = 300 * time.Millisecond
	// introductionStep is how often that is looked at.
	introductionStep = 2 * time.Millisecond
)

// ready waits for a server and says how to ask those that there are.
func (c *client) ready(ctx context.Context) ([]flavour, error) {
	first := time.Duration(0)
	step := time.NewTicker(introductionStep)
	defer step.Stop()
	for {
		servers, news := c.servers()
		var again <-chan time.Time
		if now := c.n.cfg.Clock(); len(servers) > 0 {
			if first == 0 {
				first = now
			}
			if introduced(servers) || now-first >= introduction {
				return c.ways(servers), nil
			}
			again = step.C
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrNoServer, context.Cause(ctx))
		case <-news:
		case <-again:
		}
	}
}

// introduced tells whether every server knows our writer.
func introduced(servers []server) bool {
	return !slices.ContainsFunc(servers, func(s server) bool { return s.asked.Heard() == 0 })
}

// ways are the flavours of the servers. Several servers of a service are an error in ROS 2, which nothing prevents; that
// there are is told.
func (c *client) ways(servers []server) (out []flavour) {
	for _, f := range both() {
		if slices.ContainsFunc(servers, func(s server) bool { return c.n.flavourOf(s.answers.Participant) == f }) {
			out = append(out, f)
		}
	}
	if len(servers) > 1 {
		how := "the first good answer counts"
		if len(out) > 1 {
			how = "they are asked in two ways, and " + how
		}
		for _, s := range servers[1:] {
			c.n.rep.Emit(&bus.Event{
				Kind: bus.PublisherConflict, Topic: c.name, Name: c.n.nameOf(s.answers.Endpoint),
				Detail: fmt.Sprintf("%d servers offer this service; %s. Find out who offers it besides the robot's own", len(servers), how),
			})
		}
	}
	return out
}

// serviceClient returns the client of a service, which it makes the first time.
func (n *Node) serviceClient(name, typ, kind string) (*client, error) {
	return n.serviceClientFor(name, typ, kind, requestBytes)
}

// serviceClientFor is serviceClient for requests of at most so many bytes.
func (n *Node) serviceClientFor(name, typ, kind string, most int) (*client, error) {
	if !validName(name) {
		return nil, fmt.Errorf("ros2: service %s is not a fully qualified name; expected one such as \"/stop\"", clip(name, 80))
	}
	t, err := parseType(typ, kind)
	if err != nil {
		return nil, fmt.Errorf("ros2: service %s: %w", name, err)
	}
	n.making.Lock()
	defer n.making.Unlock()
	clients := n.serviceClients()
	for _, c := range clients {
		switch {
		case c.name == name && c.typ == t:
			return c, nil
		case c.name == name:
			return nil, fmt.Errorf("ros2: service %s: type %s; it was called as %s before", name, t, c.typ)
		}
	}
	if len(clients) >= n.cfg.Limits.MaxServices {
		return nil, fmt.Errorf("ros2: service %s: more than %d services", name, n.cfg.Limits.MaxServices)
	}
	if n.ctx.Err() != nil {
		return nil, ErrClosed
	}
	c, err := newClient(n, name, t, most)
	if err != nil {
		return nil, fmt.Errorf("ros2: service %s: %w", name, err)
	}
	n.mu.Lock()
	n.clients = with(n.clients, c)
	n.mu.Unlock()
	n.announce()
	return c, nil
}
