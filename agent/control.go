package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/contract"
)

// Bounds of the control socket.
const (
	// maxClients is how many tools, and programs that have yet to say what they are, are served at once.
	maxClients = 8
	// maxBusy is how many more are told that there is no place; who comes beyond them is closed.
	maxBusy = 4
	// clientTimeout is how long a client has for its request, and then for reading the answer.
	clientTimeout = 5 * time.Second
	// acceptRate and acceptBurst bound the connections that are looked at, whoever makes them: a program that connects without
	// end must not take the guard's time. What comes faster waits in the kernel; acceptPause is how long the guard looks away.
	acceptRate, acceptBurst = 200, 100
	acceptPause             = 5 * time.Millisecond
	// acceptBacklog is how many may wait there: who comes after a crowd waits a third of a second, and a tool that finds no
	// place in it tries again.
	acceptBacklog = 64
	// busyTimeout is how long a client that finds no place has.
	busyTimeout = 200 * time.Millisecond
)

// Modes of the control socket: for the guard's own account alone, or with other accounts for the roles. Who may talk is
// decided by the peer's uid in both cases.
const (
	socketOwn    os.FileMode = 0o600
	socketShared os.FileMode = 0o666
)

// reasonBusy is the reason of a receipt that says to come again.
const reasonBusy = "busy"

// control is the guard's socket (see agent/contract/FORMAT.md). It answers the tools on the robot and hands the other
// roles' connections over. It only ever carries signed orders, unsigned facts and status: who may talk to it is decided
// by the peer's uid, what an order may do by its signature.
type control struct {
	path     string
	listener *net.UnixListener
	users    *users
	order    func(envelope []byte) Receipt
	status   func() any
	trial    func(body []byte) contract.TrialReport
	roles    *roles // nil where no role may connect
	log      zerolog.Logger
	// patience is how long a client has for its request, and then for reading the answer; 0 stands for clientTimeout.
	patience time.Duration
}

// open binds the socket. Nobody is served before run.
func (c *control) open() error {
	mode := socketOwn
	if c.users.others() {
		mode = socketShared
	}
	var err error
	if c.listener, err = listenAt(c.path, mode); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// close removes the socket.
func (c *control) close() error {
	if c.listener == nil {
		return nil
	}
	// Only the first of several calls has something to close.
	if err := c.listener.Close(); err != nil {
		return nil //nolint:nilerr // closed before
	}
	if err := os.Remove(c.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// run serves until ctx ends. Each client has a deadline, and there are at most maxClients of them.
func (c *control) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.listener.Close(); _ = os.Remove(c.path) })
	defer stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	places, busy := make(chan struct{}, maxClients), make(chan struct{}, maxBusy)
	rate := newBudget(acceptRate, acceptBurst)
	failed := func(err error) { c.log.Warn().Err(err).Msg("control socket: accept failed") }
	for {
		conn := accept(ctx, c.listener, failed)
		if conn == nil {
			return nil
		}
		for !rate.take(time.Now(), 1) {
			select {
			case <-ctx.Done():
				return conn.Close()
			case <-time.After(acceptPause):
			}
		}
		who, err := c.users.admit(conn)
		if err != nil {
			c.log.Warn().Err(err).Msg("control socket: refused")
			_ = conn.Close()
			continue
		}
		select {
		case places <- struct{}{}:
			clients.Go(func() { c.serve(ctx, conn, who, sync.OnceFunc(func() { <-places })) })
			continue
		default:
		}
		select {
		case busy <- struct{}{}:
			clients.Go(func() { defer func() { <-busy }(); c.refuse(conn) })
		default:
			_ = conn.Close()
		}
	}
}

// refuse tells a client that there is no place. Its request is read first: a socket that is closed over unread bytes
// loses its answer.
func (c *control) refuse(conn *net.UnixConn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(busyTimeout))
	kind, _, err := receive(conn, false)
	if err != nil {
		return
	}
	if kind == contract.FrameHello {
		_ = pushBody(conn, 0, contract.Failure{Code: contract.FailureBusy, Text: "too many programs talk to the guard; try again"})
		return
	}
	c.answer(conn, busyReceipt("too many tools talk to the guard; try again"))
}

func busyReceipt(text string) Receipt { return Receipt{Reason: reasonBusy, Text: text} }

// serve answers one client. leave gives its place back early if it turns out to be a role.
func (c *control) serve(ctx context.Context, conn *net.UnixConn, who guest, leave func()) {
	defer leave()
	defer func() { _ = conn.Close() }()
	c.wait(conn)
	kind, body, err := receive(conn, who.tools)
	if err != nil {
		c.log.Warn().Err(err).Msg("control socket: bad request")
		return
	}
	switch {
	case kind == contract.FrameHello && c.roles != nil:
		_ = conn.SetDeadline(time.Time{})
		leave()
		c.roles.serve(ctx, conn, who, body)
	case !who.tools:
		c.log.Warn().Uint32(keyUID, who.uid).Msg("control socket: refused: only a hello is taken from this user")
	case kind == contract.FrameOrder:
		// A large policy may take longer to check than a client has: whoever sent it has to hear that it is in force.
		r := c.order(body)
		c.wait(conn)
		c.answer(conn, r)
	case kind == contract.FrameStatusRequest:
		c.answer(conn, c.status())
	case kind == contract.FrameTrial && c.trial != nil:
		c.answer(conn, c.trial(body))
	default:
		c.answer(conn, Receipt{Reason: "unknown-request", Text: fmt.Sprintf("expected request 'L', 'O' or 'S', found %q", kind)})
	}
}

// wait gives the client its time from now on.
func (c *control) wait(conn *net.UnixConn) {
	d := c.patience
	if d == 0 {
		d = clientTimeout
	}
	_ = conn.SetDeadline(time.Now().Add(d))
}

func (c *control) answer(conn *net.UnixConn, answer any) {
	out, err := json.Marshal(answer)
	if err != nil {
		c.log.Error().Err(err).Msg("control socket: answer")
		return
	}
	if _, err := conn.Write(out); err != nil {
		c.log.Warn().Err(err).Msg("control socket: answer not sent")
	}
}

// packets are buffers for one packet. Whoever connects again and again must not fill the heap with them.
var packets = sync.Pool{New: func() any { return new([contract.MaxPacket + 1]byte) }}

// packetBuffer takes one, give puts it back.
func packetBuffer() (buf []byte, give func()) {
	b, _ := packets.Get().(*[contract.MaxPacket + 1]byte)
	return b[:], func() { packets.Put(b) }
}

// receive reads the first request: a packet, or a sealed memfd beside its type byte. A hello's body is the whole packet.
func receive(conn *net.UnixConn, documents bool) (kind byte, body []byte, err error) {
	buf, give := packetBuffer()
	defer give()
	packet, document, err := contract.ReadPacket(conn, buf)
	if err != nil {
		return 0, nil, err
	}
	packet = bytes.Clone(packet)
	if document != nil {
		defer func() { _ = document.Close() }()
	}
	switch {
	case document == nil && packet[0] == contract.FrameHello:
		return packet[0], packet, nil
	case document == nil:
		return packet[0], packet[1:], nil
	case len(packet) > 1 || !documents:
		return 0, nil, errors.New("expected either a body or one memfd, from somebody who may send orders")
	}
	body, err = contract.ReadDocument(document, contract.MaxDocument)
	return packet[0], body, err
}
