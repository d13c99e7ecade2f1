package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// NodeConfig describes a node of ours.
type NodeConfig struct {
	// Name is the caller id it claims.
	Name string
	// Master is the master's URI; a node without one never registers anything.
	Master string
	// Host is bound and advertised; default 127.0.0.1.
	Host string
	// OnCall, if it returns true, answers a slave API call in place of the node. The value is the whole reply.
	OnCall func(method string, args []any) (any, bool)
}

// Node is a ROS 1 node whose every word its owner decides: a slave API, a TCPROS server, publishers, subscriptions.
type Node struct {
	cfg        NodeConfig
	slave, tcp net.Listener
	server     *http.Server
	ctx        context.Context
	cancel     context.CancelFunc
	wg         sync.WaitGroup
	mu         sync.Mutex
	pubs       map[string]*Publisher
	subs       map[string]*Subscription
	services   map[string]*Service
	conns      map[net.Conn]struct{}
}

// NewNode starts the two servers of a node on free ports. It tells no master about itself yet.
func NewNode(cfg NodeConfig) (*Node, error) {
	if cfg.Host == "" {
		cfg.Host = "127.0.0.1"
	}
	slave, err := net.Listen("tcp", net.JoinHostPort(cfg.Host, "0"))
	if err != nil {
		return nil, fmt.Errorf("wire: node %s: %w", cfg.Name, err)
	}
	tcp, err := net.Listen("tcp", net.JoinHostPort(cfg.Host, "0"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wire: node %s: %w", cfg.Name, err), slave.Close())
	}
	n := &Node{
		cfg: cfg, slave: slave, tcp: tcp,
		pubs: map[string]*Publisher{}, subs: map[string]*Subscription{}, services: map[string]*Service{},
		conns: map[net.Conn]struct{}{},
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.server = &http.Server{Handler: http.HandlerFunc(n.serveSlave), ReadHeaderTimeout: 5 * time.Second}
	n.wg.Go(func() { _ = n.server.Serve(slave) })
	n.wg.Go(n.accept)
	return n, nil
}

// URI is the address of the slave API.
func (n *Node) URI() string { return "http://" + n.slave.Addr().String() + "/" }

// Addr is the address of the TCPROS server.
func (n *Node) Addr() string { return n.tcp.Addr().String() }

// Name is the caller id.
func (n *Node) Name() string { return n.cfg.Name }

// Close takes the node's registrations back, closes everything and waits until its goroutines have ended.
func (n *Node) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	n.mu.Lock()
	var undo []func()
	for topic, p := range n.pubs {
		if p.registered {
			undo = append(undo, func() { _, _ = n.call(ctx, "unregisterPublisher", topic, n.URI()) })
		}
	}
	for topic, s := range n.subs {
		if s.registered {
			undo = append(undo, func() { _, _ = n.call(ctx, "unregisterSubscriber", topic, n.URI()) })
		}
	}
	for name, s := range n.services {
		if s.registered {
			undo = append(undo, func() { _, _ = n.call(ctx, "unregisterService", name, "rosrpc://"+n.Addr()) })
		}
	}
	n.mu.Unlock()
	for _, f := range undo {
		f() // a master that is gone has forgotten us anyway
	}
	n.cancel()
	err := errors.Join(n.server.Close(), n.tcp.Close())
	n.mu.Lock()
	for c := range n.conns {
		_ = c.Close()
	}
	n.mu.Unlock()
	n.wg.Wait()
	return err
}

// call makes a master API call with the node's name as the first argument.
func (n *Node) call(ctx context.Context, method string, args ...any) (any, error) {
	return CallROS(ctx, n.cfg.Master, method, append([]any{n.cfg.Name}, args...)...)
}

// keep has Close close the connection; it returns false, with the connection closed, when the node is closed already.
func (n *Node) keep(c net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil {
		_ = c.Close()
		return false
	}
	n.conns[c] = struct{}{}
	return true
}

func (n *Node) drop(c net.Conn) {
	_ = c.Close()
	n.mu.Lock()
	delete(n.conns, c)
	n.mu.Unlock()
}

// serveSlave answers the slave API.
func (n *Node) serveSlave(w http.ResponseWriter, r *http.Request) {
	method, args, err := DecodeCall(io.LimitReader(r.Body, maxReply))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	if n.cfg.OnCall != nil {
		if v, ok := n.cfg.OnCall(method, args); ok {
			_, _ = w.Write(EncodeReply(v))
			return
		}
	}
	_, _ = w.Write(EncodeReply(n.answer(method, args)))
}

func (n *Node) answer(method string, args []any) any {
	done := func(v any) any { return []any{1, "ok", v} }
	switch method {
	case "requestTopic":
		addr := n.tcp.Addr().(*net.TCPAddr) //nolint:errcheck // a TCP listener's address is of this type
		return done([]any{"TCPROS", addr.IP.String(), addr.Port})
	case "publisherUpdate":
		if len(args) == 3 {
			topic, _ := args[1].(string)
			n.mu.Lock()
			s := n.subs[topic]
			n.mu.Unlock()
			if s != nil {
				s.update(args[2])
			}
		}
		return done(1)
	case "getPid":
		return done(1)
	case "getBusInfo", "getSubscriptions", "getPublications":
		return done([]any{})
	case "getBusStats":
		return done([]any{[]any{}, []any{}, []any{}})
	case "getMasterUri":
		return done(n.cfg.Master)
	}
	return []any{1, "ok", 0}
}

// accept gives each incoming TCPROS connection to the publisher or the service it asks for.
func (n *Node) accept() {
	for {
		c, err := n.tcp.Accept()
		if err != nil {
			return
		}
		if !n.keep(c) {
			return
		}
		n.wg.Go(func() {
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			h, err := ReadHeader(c)
			_ = c.SetDeadline(time.Time{})
			if err != nil {
				n.drop(c)
				return
			}
			n.mu.Lock()
			p, s := n.pubs[h["topic"]], n.services[h["service"]]
			n.mu.Unlock()
			switch {
			case p != nil:
				p.attach(&Conn{Conn: c, Peer: h})
			case s != nil:
				s.attach(&Conn{Conn: c, Peer: h})
			default:
				_, _ = c.Write(EncodeHeader("error", "nothing served here under that name"))
				n.drop(c)
			}
		})
	}
}
