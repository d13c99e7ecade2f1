package agent

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/contract"
)

// pushEvery is how often peers and heads are told at least; pushGap is the least time between two tellings.
const (
	pushEvery = time.Second
	pushGap   = 50 * time.Millisecond
)

// roles serves steward and courier. It reads what they say and never waits for them: what they do not read is dropped,
// and who says too much or the wrong thing is closed.
type roles struct {
	welcome func() contract.Welcome
	order   func(envelope []byte) Receipt
	status  func() any
	facts   *facts
	peers   *peerTable
	// recorders returns the device files that the steward has to look for now; nil without any.
	recorders func() []string
	// keys returns the signed key lists in force, oldest first; nil without one.
	keys func() [][]byte
	// counter returns what the courier at this connection has to ask the TPM for, false while there is nothing; counted takes its
	// answer. Both are nil where nobody asks.
	counter func(c *roleConn) (contract.CounterRequest, bool)
	counted func(a *contract.Counter) error
	// head returns the newest head; false before there is one.
	head func() (contract.Head, bool)
	// checkpoint and acknowledged take what the courier brings, or say why not.
	checkpoint   func(c *contract.Checkpoint, raw []byte) error
	acknowledged func(envelope []byte) error
	log          zerolog.Logger

	mu    sync.Mutex
	conns map[contract.Role]*roleConn
	ended bool
	// refused counts connections and frames that were not taken, dropped what was not read.
	refused, dropped atomic.Uint64

	cached struct {
		sync.Mutex
		at  time.Time
		raw []byte
	}
}

// serve talks with one role until it goes away, says something wrong, is replaced, or ctx ends. hello is its first packet.
func (r *roles) serve(ctx context.Context, conn *net.UnixConn, who guest, hello []byte) {
	frame, err := contract.ParseFrame(hello)
	var h contract.Hello
	if err == nil {
		err = frame.Into(&h)
	}
	if err != nil {
		r.refuse(conn, frame.ID, contract.FailureMalformed, err.Error())
		return
	}
	if !who.roles[h.Role] {
		r.refuse(conn, frame.ID, contract.FailureNotYours, "this user may not be "+string(h.Role)+"; see users in the deployment")
		return
	}
	version := min(h.Max, contract.Version)
	if version < max(h.Min, contract.OldestVersion) {
		r.refuse(conn, frame.ID, contract.FailureVersion, versions(h))
		return
	}
	c := newRoleConn(r, conn, h.Role)
	c.version = version
	// It has the role before it hears so: else of two that come one after the other the first could end up with it. Until it
	// has been welcomed, nothing is pushed to it.
	if !r.enter(c) {
		return
	}
	w := r.welcome()
	w.Version = version
	if err := pushBody(conn, frame.ID, w); err != nil {
		r.leave(c)
		r.log.Warn().Err(err).Msg("role: not welcomed")
		return
	}
	c.welcomed.Store(true)
	r.peers.poke()
	r.log.Info().Str(keyRole, string(h.Role)).Str("program", h.Program).Uint32(keyUID, who.uid).Int32("pid", who.pid).Msg("role connected")
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	reason := c.read()
	stop()
	r.leave(c)
	r.log.Info().Str(keyRole, string(h.Role)).Str(keyReason, reason).Uint64("dropped", c.dropped.Load()).Msg("role gone")
}

// refuse says why before the connection is closed.
func (r *roles) refuse(conn *net.UnixConn, id uint32, code, text string) {
	r.refused.Add(1)
	_ = pushBody(conn, id, contract.Failure{Code: code, Text: text[:min(len(text), contract.MaxText)]})
	r.log.Warn().Str(keyReason, code).Msg("role: refused: " + text)
}

// enter gives the role to c and closes who had it.
func (r *roles) enter(c *roleConn) bool {
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		return false
	}
	if r.conns == nil {
		r.conns = map[contract.Role]*roleConn{}
	}
	old := r.conns[c.role]
	r.conns[c.role] = c
	r.mu.Unlock()
	if old != nil {
		r.refuse(old.conn, 0, contract.FailureReplaced, "another program took the role")
		_ = old.conn.Close()
	}
	r.peers.poke()
	return true
}

func (r *roles) leave(c *roleConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns[c.role] == c {
		delete(r.conns, c.role)
	}
}

// of returns the role's connection, nil without one that has been welcomed.
func (r *roles) of(role contract.Role) *roleConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.conns[role]; c != nil && c.welcomed.Load() {
		return c
	}
	return nil
}

// connected lists the roles that are there.
func (r *roles) connected() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []string{}
	for _, role := range []contract.Role{contract.Steward, contract.Courier} {
		if r.conns[role] != nil {
			out = append(out, string(role))
		}
	}
	return out
}

// push tells peers, heads and key lists, whenever the peers change and every second, until ctx ends.
func (r *roles) push(ctx context.Context) error {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended = true
	}()
	tick := time.NewTicker(pushEvery)
	defer tick.Stop()
	gap := time.NewTimer(pushGap) // one for all rounds, since each would be garbage of its own
	defer gap.Stop()
	var told contract.Head
	var lists [][]byte
	var toldTo, listsTo *roleConn
	for {
		if c := r.of(contract.Steward); c != nil {
			p := contract.Peers{Peers: r.peers.list()}
			if r.recorders != nil {
				p.Recorders = r.recorders()
			}
			c.push(p)
		}
		if c := r.of(contract.Courier); c != nil {
			if h, ok := r.head(); ok && (h != told || c != toldTo) && c.push(h) {
				told, toldTo = h, c
			}
			if now := r.keys(); len(now) > 0 &&
				(c != listsTo || !slices.EqualFunc(now, lists, bytes.Equal)) && c.push(contract.Keys{Lists: now}) {
				lists, listsTo = now, c
			}
			if r.counter != nil && c.version >= contract.VersionCounter {
				if q, due := r.counter(c); due {
					c.push(q)
				}
			}
		}
		gap.Reset(pushGap)
		select {
		case <-ctx.Done():
			return nil
		case <-gap.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-r.peers.changed:
		}
	}
}

// statusBody is the status as JSON, taken anew ten times a second at most: taking it stops the guard's decisions for some
// microseconds.
func (r *roles) statusBody() ([]byte, error) {
	const fresh = 100 * time.Millisecond
	r.cached.Lock()
	defer r.cached.Unlock()
	if r.cached.raw != nil && time.Since(r.cached.at) < fresh {
		return r.cached.raw, nil
	}
	raw, err := marshal(r.status())
	if err == nil {
		r.cached.raw, r.cached.at = raw, time.Now()
	}
	return raw, err
}
