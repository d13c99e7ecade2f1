package rostest

import (
	"net"
	"slices"
	"sync"
)

// Master is a ROS master: it keeps who publishes, subscribes and serves what, and tells subscribers of changes.
type Master struct {
	srv *rpcServer

	mu    sync.Mutex
	nodes map[string]string // name → slave URI
	pubs  table
	subs  table
	srvs  map[string][2]string // service → node, rosrpc URI
	types map[string]string
	// params is the parameter server, texts alone.
	params map[string]string
	calls  map[string]int
}

// table maps topics to the names of nodes, both in the order in which they came.
type table struct {
	topics []string
	nodes  map[string][]string
}

func (t *table) add(topic, node string) {
	if t.nodes == nil {
		t.nodes = map[string][]string{}
	}
	if !slices.Contains(t.topics, topic) {
		t.topics = append(t.topics, topic)
	}
	if !slices.Contains(t.nodes[topic], node) {
		t.nodes[topic] = append(t.nodes[topic], node)
	}
}

func (t *table) remove(topic, node string) bool {
	i := slices.Index(t.nodes[topic], node)
	if i < 0 {
		return false
	}
	t.nodes[topic] = slices.Delete(slices.Clone(t.nodes[topic]), i, i+1)
	if len(t.nodes[topic]) == 0 {
		delete(t.nodes, topic)
		t.topics = slices.DeleteFunc(slices.Clone(t.topics), func(s string) bool { return s == topic })
	}
	return true
}

func (t *table) list() []any {
	out := []any{}
	for _, topic := range t.topics {
		out = append(out, []any{topic, slices.Clone(t.nodes[topic])})
	}
	return out
}

// NewMaster starts a master on a free port of host, an IP address.
func NewMaster(host string) (*Master, error) {
	return NewMasterAt(net.JoinHostPort(host, "0"))
}

// NewMasterAt starts a master, with empty tables, at an address such as that of one that was closed.
func NewMasterAt(addr string) (*Master, error) {
	m := &Master{nodes: map[string]string{}, srvs: map[string][2]string{}, types: map[string]string{}, params: map[string]string{}, calls: map[string]int{}}
	srv, err := serveRPC(addr, m.handle)
	if err != nil {
		return nil, err
	}
	m.srv = srv
	return m, nil
}

// URI is where the master listens; Addr is the same as host:port.
func (m *Master) URI() string { return m.srv.uri() }

// Addr is the master's host:port.
func (m *Master) Addr() string { return m.srv.addr() }

// Close stops the master at once; everything that it knew is lost.
func (m *Master) Close() { m.srv.close() }

// Publishers lists who publishes a topic.
func (m *Master) Publishers(topic string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.pubs.nodes[topic])
}

// Calls is how often a method was called.
func (m *Master) Calls(method string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[method]
}

func (m *Master) handle(method string, params []Value) []any {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[method]++
	arg := func(i int) string {
		if i < len(params) {
			return params[i].Str()
		}
		return ""
	}
	switch method {
	case "registerPublisher":
		m.know(arg(0), arg(3))
		m.types[arg(1)] = arg(2)
		m.pubs.add(arg(1), arg(0))
		m.update(arg(1))
		return []any{1, "registered", m.uris(m.subs.nodes[arg(1)])}
	case "unregisterPublisher":
		return m.leave(&m.pubs, arg(0), arg(1), arg(2))
	case "registerSubscriber":
		m.know(arg(0), arg(3))
		m.subs.add(arg(1), arg(0))
		return []any{1, "subscribed", m.uris(m.pubs.nodes[arg(1)])}
	case "unregisterSubscriber":
		return m.leave(&m.subs, arg(0), arg(1), arg(2))
	case "registerService":
		m.know(arg(0), arg(3))
		m.srvs[arg(1)] = [2]string{arg(0), arg(2)}
		return []any{1, "registered", 1}
	case "lookupNode":
		if uri, ok := m.nodes[arg(1)]; ok {
			return []any{1, "node api", uri}
		}
		return []any{-1, "unknown node", ""}
	case "lookupService":
		if s, ok := m.srvs[arg(1)]; ok {
			return []any{1, "service", s[1]}
		}
		return []any{-1, "no provider", ""}
	case "getSystemState":
		services := []any{}
		for name, s := range m.srvs {
			services = append(services, []any{name, []string{s[0]}})
		}
		return []any{1, "current system state", []any{m.pubs.list(), m.subs.list(), services}}
	case "getTopicTypes":
		types := []any{}
		for topic, typ := range m.types {
			types = append(types, []any{topic, typ})
		}
		return []any{1, "current topics", types}
	case "getParam":
		if text, ok := m.params[arg(1)]; ok {
			return []any{1, "Parameter [" + arg(1) + "]", text}
		}
		return []any{-1, "Parameter [" + arg(1) + "] is not set", 0}
	case "setParam":
		m.params[arg(1)] = arg(2)
		return []any{1, "parameter " + arg(1) + " set", 0}
	case "getUri":
		return []any{1, "", m.URI()}
	case "getPid":
		return []any{1, "", 1}
	}
	return []any{-1, "unknown method " + method, 0}
}

// know notes a node's slave URI. A name that moves loses what it had, and the old one is told to shut down, as
// rosmaster does.
func (m *Master) know(name, uri string) {
	if old, ok := m.nodes[name]; ok && old != uri {
		for _, t := range []*table{&m.pubs, &m.subs} {
			for _, topic := range slices.Clone(t.topics) {
				t.remove(topic, name)
			}
		}
		go func() { _, _ = Call(old, "shutdown", "/master", "new node registered with same name") }()
	}
	m.nodes[name] = uri
}

func (m *Master) leave(t *table, name, topic, uri string) []any {
	if m.nodes[name] != uri || !t.remove(topic, name) {
		return []any{1, "not registered", 0}
	}
	if t == &m.pubs {
		m.update(topic)
	}
	return []any{1, "unregistered", 1}
}

func (m *Master) uris(names []string) []string {
	out := []string{}
	for _, n := range names {
		out = append(out, m.nodes[n])
	}
	return out
}

// update tells the topic's subscribers who publishes it.
func (m *Master) update(topic string) {
	pubs := m.uris(m.pubs.nodes[topic])
	for _, uri := range m.uris(m.subs.nodes[topic]) {
		go func() { _, _ = Call(uri, "publisherUpdate", "/master", topic, pubs) }()
	}
}
