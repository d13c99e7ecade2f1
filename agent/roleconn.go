package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
)

// Bounds on what a role may send.
const (
	frameRate, frameBurst = 200, 400
	// byteRate and byteBurst bound the bytes, so that documents cost the guard's memory little.
	byteRate, byteBurst = 1 << 20, 8 << 20
	// orderRate and orderBurst bound the signatures that are looked at; more are answered "busy".
	orderRate, orderBurst = 10, 20
	// maxOrders is how many orders of one connection are judged at once. At most orderQueue of them ever wait for a disk,
	// so a stop finds a place.
	maxOrders = 6
	// checkpointEvery is the least time between two checkpoints in the journal, a little under a second for who sends on
	// the second.
	checkpointEvery = 900 * time.Millisecond
	// ackRate and ackBurst bound the acknowledgements whose signatures are looked at.
	ackRate, ackBurst = 5, 20
)

// roleConn is one role's connection.
type roleConn struct {
	roles *roles
	conn  *net.UnixConn
	role  contract.Role
	// version is what both ends speak.
	version int

	frames, size, orders, acks *budget
	checkpointed               time.Time
	judging                    chan struct{}
	dropped                    atomic.Uint64
	welcomed                   atomic.Bool
}

func newRoleConn(r *roles, conn *net.UnixConn, role contract.Role) *roleConn {
	return &roleConn{
		roles: r, conn: conn, role: role, judging: make(chan struct{}, maxOrders),
		frames: newBudget(frameRate, frameBurst), size: newBudget(byteRate, byteBurst),
		orders: newBudget(orderRate, orderBurst), acks: newBudget(ackRate, ackBurst),
	}
}

// read takes frames until the connection ends, and says why it did.
func (c *roleConn) read() string {
	buf, give := packetBuffer()
	defer give() // after the last order that lies in it has been judged
	defer c.wait()
	for {
		f, err := contract.ReadFrame(c.conn, buf)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
			return "closed"
		case err != nil:
			c.roles.refuse(c.conn, f.ID, contract.FailureMalformed, err.Error())
			return contract.FailureMalformed
		}
		now := time.Now()
		if !c.frames.take(now, 1) || !c.size.take(now, float64(len(f.Body))) {
			c.roles.refuse(c.conn, f.ID, contract.FailureFlood, fmt.Sprintf("expected at most %d frames and %d KiB a second", frameRate, byteRate>>10))
			return contract.FailureFlood
		}
		if code, err := c.take(f, now); err != nil {
			c.roles.refuse(c.conn, f.ID, code, err.Error())
			return code
		}
	}
}

// wait lets orders that are being judged come to their end: each is bounded by the disk alone.
func (c *roleConn) wait() {
	for range maxOrders {
		c.judging <- struct{}{}
	}
}

// errNotYours is why a frame of another role, or of the guard, ends a connection.
var errNotYours = errors.New("this role does not send this frame")

// take acts on one frame. An error ends the connection, with its code.
func (c *roleConn) take(f contract.Frame, now time.Time) (code string, err error) {
	steward, courier := c.role == contract.Steward, c.role == contract.Courier
	switch {
	case f.Type == contract.FrameOrder:
		c.judge(f, now)
		return "", nil
	case f.Type == contract.FrameStatusRequest:
		c.tellStatus(f.ID)
		return "", nil
	case f.Type == contract.FrameProcesses && steward:
		var p contract.Processes
		if err := f.Into(&p); err != nil {
			return contract.FailureMalformed, err
		}
		c.roles.facts.takeProcesses(&p)
	case f.Type == contract.FrameDevices && steward:
		var v contract.Devices
		if err := f.Into(&v); err != nil {
			return contract.FailureMalformed, err
		}
		c.roles.facts.takeDevices(&v)
	case f.Type == contract.FrameArtifacts && steward:
		var p contract.Artifacts
		if err := f.Into(&p); err != nil {
			return contract.FailureMalformed, err
		}
		c.roles.facts.takeArtifacts(&p)
	case f.Type == contract.FrameSession && courier:
		var s contract.Session
		if err := f.Into(&s); err != nil {
			return contract.FailureMalformed, err
		}
		c.roles.facts.takeSession(&s)
	case f.Type == contract.FrameCheckpoint && courier:
		return contract.FailureMalformed, c.checkpoint(f, now)
	case f.Type == contract.FrameCounter && courier && c.version >= contract.VersionCounter:
		return contract.FailureMalformed, c.counted(f)
	case f.Type == contract.FrameAcknowledged && courier:
		return contract.FailureMalformed, c.acknowledged(f, now)
	default:
		return contract.FailureNotYours, fmt.Errorf("%w: %q from the %s", errNotYours, f.Type, c.role)
	}
	c.tell(f.ID, nil)
	return "", nil
}

// judge lets an order take effect on a goroutine of its own: one that waits for the disk must not keep a stop waiting.
func (c *roleConn) judge(f contract.Frame, now time.Time) {
	if !c.orders.take(now, 1) {
		c.pushID(f.ID, busyReceipt("too many orders; wait a second"))
		return
	}
	select {
	case c.judging <- struct{}{}:
	default:
		c.pushID(f.ID, busyReceipt("orders before this one are still being judged; try again"))
		return
	}
	envelope := bytes.Clone(f.Body)
	go func() {
		defer func() { <-c.judging }()
		c.pushID(f.ID, c.roles.order(envelope))
	}()
}

// tellStatus answers a question for the status.
func (c *roleConn) tellStatus(id uint32) {
	if id == 0 {
		return
	}
	raw, err := c.roles.statusBody()
	if err != nil {
		c.roles.log.Error().Err(err).Msg("role: status")
		return
	}
	c.write(contract.Frame{Type: contract.FrameStatus, ID: id, Body: raw})
}

func (c *roleConn) checkpoint(f contract.Frame, now time.Time) error {
	var p contract.Checkpoint
	if err := f.Into(&p); err != nil {
		return err
	}
	if now.Sub(c.checkpointed) < checkpointEvery {
		c.pushID(f.ID, busyReceipt("a checkpoint a second is enough"))
		return nil
	}
	err := c.roles.checkpoint(&p, f.Body)
	if err == nil {
		c.checkpointed = now
	}
	c.tell(f.ID, err)
	return nil
}

func (c *roleConn) counted(f contract.Frame) error {
	var a contract.Counter
	if err := f.Into(&a); err != nil {
		return err
	}
	c.tell(f.ID, c.roles.counted(&a))
	return nil
}

func (c *roleConn) acknowledged(f contract.Frame, now time.Time) error {
	var a contract.Acknowledged
	if err := f.Into(&a); err != nil {
		return err
	}
	if !c.acks.take(now, 1) {
		c.pushID(f.ID, busyReceipt("too many acknowledgements; the newest is enough"))
		return nil
	}
	c.tell(f.ID, c.roles.acknowledged(a.Envelope))
	return nil
}

// tell answers a fact.
func (c *roleConn) tell(id uint32, err error) {
	if err != nil {
		c.roles.refused.Add(1)
		c.pushID(id, refusal(nil, err))
		return
	}
	c.pushID(id, Receipt{Accepted: true, Text: "taken"})
}

// push sends a body that nobody asked for, and says whether there was room for it.
func (c *roleConn) push(b contract.Body) bool {
	f, err := contract.New(0, b)
	if err != nil {
		c.roles.log.Error().Err(err).Msg("role: push")
		return false
	}
	return c.write(f)
}

// pushID answers a frame that wanted an answer.
func (c *roleConn) pushID(id uint32, r Receipt) {
	if id == 0 {
		return
	}
	f, err := contract.New(id, r)
	if err != nil {
		c.roles.log.Error().Err(err).Msg("role: answer")
		return
	}
	c.write(f)
}

// write never waits: what a slow reader has no room for is dropped and counted.
func (c *roleConn) write(f contract.Frame) bool {
	if err := contract.WriteFrame(c.conn, f, false); err != nil {
		c.dropped.Add(1)
		c.roles.dropped.Add(1)
		return false
	}
	return true
}

// pushBody sends one body without waiting.
func pushBody(conn *net.UnixConn, id uint32, b contract.Body) error {
	f, err := contract.New(id, b)
	if err != nil {
		return err
	}
	return contract.WriteFrame(conn, f, false)
}

func versions(h contract.Hello) string {
	return fmt.Sprintf("the guard speaks versions %d to %d, found %d to %d; install the same release of all roles",
		contract.OldestVersion, contract.Version, h.Min, h.Max)
}

func marshal(v any) ([]byte, error) { return json.Marshal(v) }
