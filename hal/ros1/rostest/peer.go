package rostest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// Header writes a TCPROS connection header of key, value pairs.
func Header(kv ...string) []byte {
	var body []byte
	for i := 0; i+1 < len(kv); i += 2 {
		f := kv[i] + "=" + kv[i+1]
		body = binary.LittleEndian.AppendUint32(body, uint32(len(f)))
		body = append(body, f...)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// ReadHeader reads a TCPROS connection header.
func ReadHeader(r io.Reader) (map[string]string, error) {
	b, err := ReadFrame(r)
	if err != nil {
		return nil, err
	}
	h := map[string]string{}
	for len(b) >= 4 {
		n := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if uint64(n) > uint64(len(b)) {
			return nil, errors.New("rostest: header field too long")
		}
		k, v, _ := strings.Cut(string(b[:n]), "=")
		h[k] = v
		b = b[n:]
	}
	return h, nil
}

// Frame puts its length before a message body.
func Frame(body []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// ReadFrame reads one length and as many bytes.
func ReadFrame(r io.Reader) ([]byte, error) {
	var l [4]byte
	if _, err := io.ReadFull(r, l[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.LittleEndian.Uint32(l[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

// Publisher is one node that publishes one topic. Its fields may be set before Start to make it misbehave.
type Publisher struct {
	Name, Topic, Type, MD5 string
	// Host is the address to bind, 127.0.0.1 if empty.
	Host string
	// CallerID replaces Name in the TCPROS header.
	CallerID string
	// Reply replaces the header that answers a subscriber.
	Reply []byte
	// TCPROS replaces the address that requestTopic answers.
	TCPROS []any
	// Script takes over a connection after the headers; the connection is closed when it returns.
	Script func(net.Conn)
	// Answer replaces what the slave API answers, where it returns something.
	Answer func(method string) []any
	// Latched is sent to everybody first, if there is something.
	Latched []byte

	srv  *rpcServer
	data net.Listener
	wg   sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]map[string]string
	calls map[string]int
	total int
}

// Start listens and registers with a master, or with none if that is empty.
func (p *Publisher) Start(master string) error {
	if p.Host == "" {
		p.Host = "127.0.0.1"
	}
	p.conns, p.calls = map[net.Conn]map[string]string{}, map[string]int{}
	var err error
	if p.data, err = net.Listen("tcp", net.JoinHostPort(p.Host, "0")); err != nil {
		return err
	}
	if p.srv, err = serveRPC(net.JoinHostPort(p.Host, "0"), p.handle); err != nil {
		return err
	}
	p.wg.Add(1)
	go p.accept()
	if master == "" {
		return nil
	}
	return p.Register(master)
}

// Register tells a master.
func (p *Publisher) Register(master string) error {
	_, err := Call(master, "registerPublisher", p.Name, p.Topic, p.Type, p.URI())
	return err
}

// URI is the node's slave API.
func (p *Publisher) URI() string { return p.srv.uri() }

// Port is where the data is.
func (p *Publisher) Port() int {
	return p.data.Addr().(*net.TCPAddr).Port //nolint:errcheck // a TCP listener's address is of this type
}

func (p *Publisher) handle(method string, _ []Value) []any {
	p.mu.Lock()
	p.calls[method]++
	p.mu.Unlock()
	if p.Answer != nil {
		if a := p.Answer(method); a != nil {
			return a
		}
	}
	switch method {
	case "requestTopic":
		at := p.TCPROS
		if at == nil {
			at = []any{"TCPROS", p.Host, p.Port()}
		}
		return []any{1, "ready", at}
	case "getPid":
		return []any{1, "", 1}
	}
	return []any{1, "", 0}
}

func (p *Publisher) accept() {
	defer p.wg.Done()
	for {
		c, err := p.data.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.total++
		p.mu.Unlock()
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *Publisher) serve(c net.Conn) {
	defer c.Close()
	h, err := ReadHeader(c)
	if err != nil {
		return
	}
	reply := p.Reply
	if reply == nil {
		id := p.CallerID
		if id == "" {
			id = p.Name
		}
		reply = Header("callerid", id, "md5sum", p.MD5, "type", p.Type, "topic", p.Topic, "latching", "0",
			"message_definition", strings.Repeat("# nothing\n", 50))
	}
	if _, err := c.Write(reply); err != nil {
		return
	}
	if p.Latched != nil {
		if _, err := c.Write(Frame(p.Latched)); err != nil {
			return
		}
	}
	if p.Script != nil {
		p.mu.Lock()
		p.conns[c] = nil // Close must reach it, Send must not
		p.mu.Unlock()
		p.Script(c)
	} else {
		p.mu.Lock()
		p.conns[c] = h
		p.mu.Unlock()
		_, _ = io.Copy(io.Discard, c)
	}
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// Send writes one message body to every subscriber.
func (p *Publisher) Send(body []byte) {
	p.SendRaw(Frame(body))
}

// SendRaw writes bytes, in one write to each subscriber.
func (p *Publisher) SendRaw(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, h := range p.conns {
		if h != nil {
			_, _ = c.Write(b)
		}
	}
}

// Subscribers is how many are connected; Total how many ever were.
func (p *Publisher) Subscribers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Total is how many connections there ever were.
func (p *Publisher) Total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// Calls is how often a method of the slave API was called.
func (p *Publisher) Calls(method string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[method]
}

// Kill closes everything without a word to the master, as kill -9 does.
func (p *Publisher) Kill() {
	p.data.Close()
	p.srv.close()
	p.mu.Lock()
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// Subscriber is one connection to a publisher's topic.
type Subscriber struct {
	net.Conn
	// Header is what the publisher answered.
	Header map[string]string
}

// Subscribe asks a node's slave API for a topic and connects to it.
func Subscribe(slave, name, topic, typ, md5 string) (*Subscriber, error) {
	v, err := Call(slave, "requestTopic", name, topic, []any{[]any{"TCPROS"}})
	if err != nil {
		return nil, err
	}
	at := v[2].List()
	if v[0].Str() != "1" || len(at) != 3 {
		return nil, fmt.Errorf("rostest: requestTopic: %s", v[1].Str())
	}
	if _, err := strconv.Atoi(at[2].Str()); err != nil {
		return nil, err
	}
	return Dial(net.JoinHostPort(at[1].Str(), at[2].Str()), "callerid", name, "topic", topic, "type", typ, "md5sum", md5)
}

// Dial connects to an address with a header and reads the answer.
func Dial(addr string, kv ...string) (*Subscriber, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(Header(kv...)); err != nil {
		c.Close()
		return nil, err
	}
	h, err := ReadHeader(c)
	if err != nil {
		c.Close()
		return nil, err
	}
	if e, ok := h["error"]; ok {
		c.Close()
		return nil, fmt.Errorf("rostest: publisher refuses: %s", e)
	}
	return &Subscriber{Conn: c, Header: h}, nil
}

// Message reads one message.
func (s *Subscriber) Message() ([]byte, error) { return ReadFrame(s.Conn) }
