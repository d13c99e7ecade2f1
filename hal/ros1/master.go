package ros1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/apimaster"

	"github.com/robowarden/robowarden/hal/bus"
)

// The graph changes seldom and is polled often, so the answer's bytes are compared before they are parsed, and the
// parser is ours: goroslib's builds every value by reflection, which a large graph or a hostile master would turn into
// garbage twice a second. All other calls to the master and to slaves go through goroslib's clients.

// graphState is what the master said last. Only the poll loop's goroutine touches it.
type graphState struct {
	known bool
	// ours is true while the master knows our name under our own URI.
	ours bool
	// publishers holds the names listed for each topic that somebody here asks about.
	publishers map[string][]string
}

// master polls the master. Only the poll loop's goroutine touches it.
type master struct {
	n    *Node
	conn *rpcConn
	xml  xmlReader

	stateCall, selfCall []byte
	lastState, lastSelf []byte
	up                  bool
	reported            bool
	nextSelf            time.Duration
	state               graphState
}

func newMaster(n *Node) *master {
	m := &master{n: n, conn: n.newRPC(n.ctx, n.masterAt, n.cfg.Limits.MaxRPCBytes)}
	m.stateCall = newCall("getSystemState", n.cfg.Name)
	m.selfCall = newCall("lookupNode", n.cfg.Name, n.cfg.Name)
	m.state.publishers = map[string][]string{}
	return m
}

// run polls until ctx ends.
func (m *master) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer m.conn.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.n.poke:
			m.n.wakeLinks()
		case <-timer.C:
		}
		m.poll()
		m.n.rep.Flush()
		every := m.n.cfg.Limits.PollInterval
		timer.Reset(every + time.Duration((rand.Float64()-0.5)*0.2*float64(every)))
	}
}

// poll asks the master once and passes on what changed.
func (m *master) poll() {
	asked := m.n.asked.Swap(false)
	changed, err := m.fetch(asked)
	m.report(err)
	m.state.known = err == nil
	if err == nil {
		if changed {
			m.n.reconcile(&m.state)
		}
		m.register()
	}
	m.n.tellWatches(&m.state)
}

// fetch updates the state; force parses even an answer that is the same as the last.
func (m *master) fetch(force bool) (changed bool, err error) {
	body, err := m.conn.post(m.stateCall)
	if err != nil {
		m.n.asked.CompareAndSwap(false, force)
		return false, err
	}
	if !force && m.up && bytes.Equal(body, m.lastState) {
		return false, nil
	}
	if err := m.parse(body); err != nil {
		m.lastState = m.lastState[:0]
		m.n.asked.Store(true)
		return false, fmt.Errorf("getSystemState: %w", err)
	}
	m.lastState = append(m.lastState[:0], body...)
	return true, nil
}

var errAnswer = errors.New("answer is not [code, message, value] as the ROS master API has it")

// parse reads [1, message, [publishers, subscribers, services]], each of the three [[topic, [node, …]], …].
func (m *master) parse(body []byte) error {
	root, err := m.xml.parseResponse(body)
	if err != nil {
		return err
	}
	payload, err := m.xml.triple(root)
	if err != nil {
		return err
	}
	if m.xml.values[payload].kind != xmlArray || m.xml.values[payload].first < 0 {
		return errAnswer
	}
	pubs := &m.xml.values[m.xml.values[payload].first]
	if pubs.kind != xmlArray {
		return errAnswer
	}
	topics := m.n.topicsAskedFor()
	clear(m.state.publishers)
	for i := pubs.first; i >= 0; i = m.xml.values[i].next {
		topic, nodes, err := m.xml.pair(i)
		if err != nil {
			return err
		}
		if _, ok := topics[string(topic)]; !ok {
			continue
		}
		names := m.state.publishers[string(topic)]
		for k := nodes; k >= 0; k = m.xml.values[k].next {
			if m.xml.values[k].kind != xmlText {
				return errAnswer
			}
			names = append(names, string(m.xml.values[k].text))
		}
		m.state.publishers[string(topic)] = names
	}
	return nil
}

// triple checks [1, message, payload] and returns the payload's index.
func (x *xmlReader) triple(i int32) (int32, error) {
	if x.values[i].kind != xmlArray || x.values[i].first < 0 {
		return -1, errAnswer
	}
	code := x.values[i].first
	text := x.values[code].next
	if text < 0 || x.values[code].kind != xmlInt {
		return -1, errAnswer
	}
	if string(x.values[code].text) != "1" {
		return -1, fmt.Errorf("refused with code %s: %s", clipBytes(x.values[code].text), clipBytes(x.values[text].text))
	}
	payload := x.values[text].next
	if payload < 0 || x.values[payload].next >= 0 {
		return -1, errAnswer
	}
	return payload, nil
}

// pair checks [text, [ … ]] and returns the text and the first index of the list.
func (x *xmlReader) pair(i int32) (text []byte, first int32, err error) {
	v := &x.values[i]
	if v.kind != xmlArray || v.first < 0 {
		return nil, -1, errAnswer
	}
	name := &x.values[v.first]
	if name.kind != xmlText || name.next < 0 || x.values[name.next].kind != xmlArray {
		return nil, -1, errAnswer
	}
	return name.text, x.values[name.next].first, nil
}

// report tells once that the master is lost, and once that it is back.
func (m *master) report(err error) {
	switch {
	case err != nil && (m.up || !m.reported):
		m.up, m.reported = false, true
		m.n.rep.Emit(&bus.Event{Kind: bus.BusLost, Detail: err.Error()})
		m.n.cfg.Log.Warn().Str("master", m.n.cfg.MasterURI).Err(err).Msg("ros master does not answer")
	case err == nil && !m.up:
		m.up, m.reported = true, true
		m.n.rep.Emit(&bus.Event{Kind: bus.BusBack})
		m.n.cfg.Log.Info().Str("master", m.n.cfg.MasterURI).Msg("ros master answers")
	}
}

// register makes the master list us: at the start, after a restart and after a forged unregister.
func (m *master) register() {
	pubs := m.n.publishers()
	if now := m.n.cfg.Clock(); now >= m.nextSelf && len(pubs) > 0 {
		m.nextSelf = now + m.n.cfg.Limits.RegistrationInterval
		m.state.ours = m.listsOurURI()
	}
	for _, p := range pubs {
		listed := slices.Contains(m.state.publishers[p.topic], m.n.cfg.Name)
		if p.registered && listed && m.state.ours {
			continue
		}
		if p.registered {
			p.registered = false
			m.n.rep.Emit(&bus.Event{
				Kind: bus.RegistrationLost, Topic: p.topic, Name: m.n.cfg.Name,
				Detail: "the master no longer lists " + m.n.URI() + "; registering again",
			})
		}
		err := m.n.callMaster(m.n.ctx, func(c *apimaster.Client) error {
			_, err := c.RegisterPublisher(p.topic, p.typ.name, m.n.URI())
			return err
		})
		if err != nil {
			m.n.cfg.Log.Warn().Str("topic", p.topic).Err(err).Msg("register publisher")
			continue
		}
		p.registered = true
		m.nextSelf = 0
		m.n.asked.Store(true) // the next poll must see us, or this was in vain
		m.n.rep.Emit(&bus.Event{Kind: bus.Registered, Topic: p.topic, Name: m.n.cfg.Name})
	}
}

// listsOurURI asks under which URI the master knows our name. No answer counts as "ours": that is BusLost's matter.
func (m *master) listsOurURI() bool {
	body, err := m.conn.post(m.selfCall)
	if err != nil {
		return true
	}
	if len(m.lastSelf) > 0 && bytes.Equal(body, m.lastSelf) {
		return true
	}
	m.lastSelf = m.lastSelf[:0]
	root, err := m.xml.parseResponse(body)
	if err != nil {
		return true
	}
	i, err := m.xml.triple(root)
	if err != nil || string(m.xml.values[i].text) != m.n.URI() {
		return false
	}
	m.lastSelf = append(m.lastSelf, body...)
	return true
}

// callMaster makes one call through goroslib's client, on a connection of its own.
func (n *Node) callMaster(ctx context.Context, f func(*apimaster.Client) error) error {
	c := n.newRPC(ctx, n.masterAt, slaveAnswerBytes)
	defer c.close()
	return f(apimaster.NewClient(c.addr, n.cfg.Name, &http.Client{Transport: transport{c}}))
}

// slaveAnswerBytes bounds every answer but the master's graph.
const slaveAnswerBytes = 256 << 10

// lookupNode asks the master for a node's slave API.
func (n *Node) lookupNode(ctx context.Context, name string) (endpoint, string, error) {
	var uri string
	err := n.callMaster(ctx, func(c *apimaster.Client) (err error) {
		uri, err = c.LookupNode(name)
		return err
	})
	if err != nil {
		return endpoint{}, "", fmt.Errorf("lookupNode %s: %w", name, err)
	}
	ep, err := parseURI(uri, "http")
	if err != nil {
		return endpoint{}, "", fmt.Errorf("lookupNode %s: %w", name, err)
	}
	return ep, uri, nil
}
