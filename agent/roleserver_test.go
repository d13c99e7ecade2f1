package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/msg"
)

const someHex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// listener notes what reaches the guard.
type listener struct {
	mu        sync.Mutex
	sessions  []guard.Session
	processes []guard.Process
	devices   []guard.Recorders
	artifacts []guard.Artifact
}

func (l *listener) Recorders(r guard.Recorders) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.devices = append(l.devices, r)
}

func (l *listener) Session(s guard.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions = append(l.sessions, s)
}

func (l *listener) Process(p guard.Process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.processes = append(l.processes, p)
}

func (l *listener) counts() (sessions, processes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sessions), len(l.processes)
}

// roleSite is a guard's socket with everything behind it that the roles talk with.
type roleSite struct {
	*roles
	t     *testing.T
	path  string
	guard *listener
	users *users
	order func([]byte) Receipt

	mu     sync.Mutex
	newest contract.Head
	points []contract.Checkpoint
	lists  [][]byte
}

func newRoleSite(t *testing.T, edit ...func(s *roleSite)) *roleSite {
	t.Helper()
	s := &roleSite{t: t, guard: &listener{}, users: newUsers(nil, zerolog.Nop())}
	s.order = func([]byte) Receipt { return Receipt{Text: "judged"} }
	for _, f := range edit {
		f(s)
	}
	boot := func() time.Duration { return time.Duration(time.Now().UnixNano()) }
	peers := newPeerTable(map[string]bool{"/planner": true}, contract.TransportTCP)
	facts := newFacts(boot, peers)
	facts.guard = s.guard
	s.roles = &roles{
		welcome: func() contract.Welcome {
			return contract.Welcome{Robot: testRobot, BootID: testBoot, Nonce: testNonce, Journal: "/j"}
		},
		order: func(b []byte) Receipt { return s.order(b) }, status: func() any { return "fine" }, facts: facts, peers: peers, log: zerolog.Nop(),
		head: func() (contract.Head, bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.newest, s.newest.Seq > 0
		},
		keys: func() [][]byte {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.lists
		},
		checkpoint: func(c *contract.Checkpoint, _ []byte) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if c.Seq != s.newest.Seq {
				return errCheckpoint
			}
			s.points = append(s.points, *c)
			return nil
		},
		acknowledged: func(b []byte) error {
			if string(b) != "good" {
				return errAcknowledged
			}
			return nil
		},
	}
	s.path = listenWith(t, &control{
		users: s.users, order: func([]byte) Receipt { return Receipt{Text: "tool"} }, status: func() any { return "fine" },
		roles: s.roles, log: zerolog.Nop(),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = facts.run(ctx) })
	wait.Go(func() { _ = s.push(ctx) })
	t.Cleanup(func() { cancel(); wait.Wait() })
	return s
}

// as connects in a role.
func (s *roleSite) as(role contract.Role) *contract.Conn {
	s.t.Helper()
	return s.speaking(role, contract.Version)
}

// speaking connects as a role of a release that knows versions up to this one.
func (s *roleSite) speaking(role contract.Role, newest int) *contract.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	c, _, err := contract.Dial(ctx, s.path, contract.Hello{Role: role, Min: contract.OldestVersion, Max: newest, Program: "test"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// raw connects without a hello.
func (s *roleSite) raw() *net.UnixConn { return dial(s.t, s.path) }

func (s *roleSite) send(c *contract.Conn, id uint32, b contract.Body) {
	s.t.Helper()
	f, err := contract.New(id, b)
	if err == nil {
		err = c.Send(f)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// answer waits for the frame with this id, past what the guard pushes.
func answer(t *testing.T, c *contract.Conn, id uint32) contract.Frame {
	t.Helper()
	got := make(chan contract.Frame, 1)
	go func() {
		for {
			f, err := c.Receive()
			if err != nil {
				close(got)
				return
			}
			if f.ID == id {
				got <- f
				return
			}
		}
	}()
	select {
	case f, ok := <-got:
		if !ok {
			t.Fatalf("the connection ended before the answer to %d", id)
		}
		return f
	case <-time.After(5 * time.Second):
		t.Fatalf("no answer to %d", id)
	}
	return contract.Frame{}
}

func receipt(t *testing.T, c *contract.Conn, id uint32) Receipt {
	t.Helper()
	var r Receipt
	if err := answer(t, c, id).Into(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// ended waits for the end of the connection and returns the failure that was told before it.
func ended(t *testing.T, c *contract.Conn) string {
	t.Helper()
	code := make(chan string, 1)
	go func() {
		last := ""
		for {
			f, err := c.Receive()
			if err != nil {
				code <- last
				return
			}
			var failure contract.Failure
			if f.Type == contract.FrameError && f.Into(&failure) == nil {
				last = failure.Code
			}
		}
	}()
	select {
	case c := <-code:
		return c
	case <-time.After(10 * time.Second):
		t.Fatal("the connection does not end")
	}
	return ""
}

func TestRolesAreWelcomedAndServed(t *testing.T) {
	s := newRoleSite(t)
	steward, courier := s.as(contract.Steward), s.as(contract.Courier)
	eventually(t, "both roles", func() bool { return len(s.connected()) == 2 })
	if r := func() Receipt {
		_ = courier.Send(contract.Frame{Type: contract.FrameOrder, ID: 7, Body: []byte("{}")})
		return receipt(t, courier, 7)
	}(); r.Text != "judged" {
		t.Errorf("order: %+v", r)
	}
	if err := courier.Send(contract.Frame{Type: contract.FrameStatusRequest, ID: 8}); err != nil {
		t.Fatal(err)
	}
	if f := answer(t, courier, 8); f.Type != contract.FrameStatus || string(f.Body) != `"fine"` {
		t.Errorf("status: %q %s", f.Type, f.Body)
	}
	s.send(courier, 9, contract.Session{State: contract.SessionAttesting, LeaseMS: 1000})
	if r := receipt(t, courier, 9); !r.Accepted {
		t.Errorf("session: %+v", r)
	}
	s.send(courier, 10, contract.Acknowledged{Envelope: []byte("forged")})
	if r := receipt(t, courier, 10); r.Accepted {
		t.Errorf("a forged acknowledgement: %+v", r)
	}
	s.send(courier, 11, contract.Acknowledged{Envelope: []byte("good")})
	if r := receipt(t, courier, 11); !r.Accepted {
		t.Errorf("acknowledgement: %+v", r)
	}
	s.send(steward, 12, contract.Processes{LeaseMS: 1000})
	if r := receipt(t, steward, 12); !r.Accepted {
		t.Errorf("processes: %+v", r)
	}
	eventually(t, "the session at the guard", func() bool { n, _ := s.guard.counts(); return n == 1 })
}

// TestHostileFramesEndOnlyTheirConnection sends what no honest role sends. Each is refused by its name, and the next
// connection is served as if nothing had been.
func TestHostileFramesEndOnlyTheirConnection(t *testing.T) {
	s := newRoleSite(t)
	body := func(b contract.Body) []byte {
		f, err := contract.New(0, b)
		if err != nil {
			t.Fatal(err)
		}
		return f.Body
	}
	processes := body(contract.Processes{LeaseMS: 1})
	for name, c := range map[string]struct {
		role contract.Role
		f    contract.Frame
		code string
	}{
		"courier names processes":      {contract.Courier, contract.Frame{Type: contract.FrameProcesses, Body: processes}, contract.FailureNotYours},
		"steward claims a session":     {contract.Steward, contract.Frame{Type: contract.FrameSession, Body: []byte(`{"state":"failed","lease_ms":1}`)}, contract.FailureNotYours},
		"steward signs a head":         {contract.Steward, contract.Frame{Type: contract.FrameCheckpoint, Body: []byte(`{}`)}, contract.FailureNotYours},
		"steward acknowledges":         {contract.Steward, contract.Frame{Type: contract.FrameAcknowledged, Body: []byte(`{}`)}, contract.FailureNotYours},
		"courier welcomes":             {contract.Courier, contract.Frame{Type: contract.FrameWelcome, Body: []byte(`{}`)}, contract.FailureNotYours},
		"courier tells a head":         {contract.Courier, contract.Frame{Type: contract.FrameHead, Body: []byte(`{}`)}, contract.FailureNotYours},
		"courier tells a receipt":      {contract.Courier, contract.Frame{Type: contract.FrameReceipt, Body: []byte(`{}`)}, contract.FailureNotYours},
		"courier tells peers":          {contract.Courier, contract.Frame{Type: contract.FramePeers, Body: []byte(`{}`)}, contract.FailureNotYours},
		"courier asks for a counter":   {contract.Courier, contract.Frame{Type: contract.FrameCounterRequest, Body: []byte(`{}`)}, contract.FailureNotYours},
		"steward brings a counter":     {contract.Steward, contract.Frame{Type: contract.FrameCounter, Body: []byte(`{}`)}, contract.FailureNotYours},
		"counter that is none":         {contract.Courier, contract.Frame{Type: contract.FrameCounter, Body: []byte(`{"nonce":7}`)}, contract.FailureMalformed},
		"counter with another fault":   {contract.Courier, contract.Frame{Type: contract.FrameCounter, Body: []byte(`{"nonce":"` + someHex + `","fault":"fine"}`)}, contract.FailureMalformed},
		"courier tells a status":       {contract.Courier, contract.Frame{Type: contract.FrameStatus, Body: []byte(`{}`)}, contract.FailureNotYours},
		"a second hello":               {contract.Courier, contract.Frame{Type: contract.FrameHello, Body: body(contract.Hello{Role: contract.Steward, Min: contract.OldestVersion, Max: contract.Version})}, contract.FailureNotYours},
		"courier says attested":        {contract.Courier, contract.Frame{Type: contract.FrameSession, Body: []byte(`{"state":"attested","lease_ms":1000}`)}, contract.FailureMalformed},
		"session that is cut off":      {contract.Courier, contract.Frame{Type: contract.FrameSession, Body: []byte(`{"state":"fai`)}, contract.FailureMalformed},
		"session for ever":             {contract.Courier, contract.Frame{Type: contract.FrameSession, Body: []byte(`{"state":"attesting","lease_ms":9999999999}`)}, contract.FailureMalformed},
		"checkpoint that is none":      {contract.Courier, contract.Frame{Type: contract.FrameCheckpoint, Body: []byte(`{}`)}, contract.FailureMalformed},
		"acknowledgement that is none": {contract.Courier, contract.Frame{Type: contract.FrameAcknowledged, Body: []byte(`{"envelope":7}`)}, contract.FailureMalformed},
		"processes that are none":      {contract.Steward, contract.Frame{Type: contract.FrameProcesses, Body: []byte(`[]`)}, contract.FailureMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.as(c.role)
			c.f.ID = 5
			if err := conn.Send(c.f); err != nil {
				t.Fatal(err)
			}
			if code := ended(t, conn); code != c.code {
				t.Errorf("ended with %q, expected %q", code, c.code)
			}
		})
	}
	if n, p := s.guard.counts(); n != 0 || p != 0 {
		t.Errorf("%d sessions and %d processes reached the guard", n, p)
	}
	s.as(contract.Courier)
}

func TestHelloIsRefused(t *testing.T) {
	// The test's own account is that of the courier, and neither root nor the guard's.
	s := newRoleSite(t, func(s *roleSite) {
		s.users.own, s.users.root, s.users.roles[contract.Courier] = 4711, 4712, uint32(os.Getuid())
	}) //nolint:gosec // a uid
	for name, c := range map[string]struct {
		packet string
		code   string
	}{
		"no body":            {"H\x01\x00\x00\x00", contract.FailureMalformed},
		"no id":              {"H", contract.FailureMalformed},
		"unknown role":       {"H\x01\x00\x00\x00{\"role\":\"guard\",\"min_version\":3,\"max_version\":3}", contract.FailureMalformed},
		"a later version":    {"H\x01\x00\x00\x00{\"role\":\"courier\",\"min_version\":5,\"max_version\":9}", contract.FailureVersion},
		"somebody else's":    {"H\x01\x00\x00\x00{\"role\":\"steward\",\"min_version\":3,\"max_version\":3}", contract.FailureNotYours},
		"newest and present": {"H\x01\x00\x00\x00{\"role\":\"courier\",\"min_version\":3,\"max_version\":9}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.raw()
			if _, err := conn.Write([]byte(c.packet)); err != nil {
				t.Fatal(err)
			}
			f, err := contract.ReadFrame(conn, make([]byte, contract.MaxPacket+1))
			if err != nil {
				t.Fatal(err)
			}
			var failure contract.Failure
			if c.code == "" {
				if f.Type != contract.FrameWelcome {
					t.Errorf("answered %q: %s", f.Type, f.Body)
				}
				return
			}
			if err := f.Into(&failure); err != nil || failure.Code != c.code {
				t.Errorf("answered %+v, %v; expected %q", failure, err, c.code)
			}
		})
	}
	t.Run("a role's account asks for the status as a tool", func(t *testing.T) {
		conn := s.raw()
		_, _ = conn.Write([]byte("S"))
		if n, _ := conn.Read(make([]byte, 64)); n > 0 {
			t.Errorf("answered %d bytes", n)
		}
	})
	t.Run("a stranger", func(t *testing.T) {
		conn := newRoleSite(t, func(s *roleSite) { s.users.own, s.users.root = 4711, 4712 }).raw()
		_, _ = conn.Write([]byte("H\x01\x00\x00\x00{\"role\":\"courier\",\"min_version\":3,\"max_version\":3}"))
		if n, _ := conn.Read(make([]byte, 64)); n > 0 {
			t.Errorf("answered %d bytes", n)
		}
	})
}

func TestFloodEndsTheFlooderAlone(t *testing.T) {
	s := newRoleSite(t)
	steward, courier := s.as(contract.Steward), s.as(contract.Courier)
	f, err := contract.New(0, contract.Session{State: contract.SessionAttesting, LeaseMS: 1000})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for courier.Send(f) == nil { //nolint:revive // a flood
		}
	}()
	if code := ended(t, courier); code != contract.FailureFlood && code != "" {
		t.Errorf("ended with %q", code)
	}
	if n, _ := s.guard.counts(); n > 100 {
		t.Errorf("%d claims reached the guard", n)
	}
	if err := steward.Send(contract.Frame{Type: contract.FrameStatusRequest, ID: 3}); err != nil {
		t.Fatal(err)
	}
	answer(t, steward, 3)
}

// TestReaderThatDoesNotReadIsNotWaitedFor: pushes to a role that reads nothing return at once and are counted.
func TestReaderThatDoesNotReadIsNotWaitedFor(t *testing.T) {
	s := newRoleSite(t)
	s.as(contract.Steward)
	for i := range uint32(contract.MaxPeers) {
		s.peers.connected("/"+strings.Repeat("t", 60), &msg.Peer{ID: i + 1, Name: "/n", Addr: netip.MustParseAddrPort("10.0.0.1:80")}, false)
	}
	// The welcome goes out just before the connection counts.
	var c *roleConn
	for deadline := time.Now().Add(5 * time.Second); c == nil && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		c = s.of(contract.Steward)
	}
	if c == nil {
		t.Fatal("within 5 s: expected the steward's connection to count")
	}
	start := time.Now()
	for range 50 {
		c.push(contract.Peers{Peers: s.peers.list()})
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("50 pushes took %v", took)
	}
	if c.dropped.Load() == 0 {
		t.Error("a reader that reads nothing took everything")
	}
}

func TestNewConnectionReplacesTheOld(t *testing.T) {
	s := newRoleSite(t)
	old := s.as(contract.Courier)
	s.as(contract.Courier)
	if code := ended(t, old); code != contract.FailureReplaced {
		t.Errorf("the old one ended with %q", code)
	}
	if got := s.connected(); len(got) != 1 {
		t.Errorf("connected: %v", got)
	}
}

// TestOrderThatWaitsKeepsNobodyWaiting: orders of a role that wait for a hung disk fill their places; those beyond are
// answered "busy", the connection's other frames go on, and the rest of the guard as well.
func TestOrderThatWaitsKeepsNobodyWaiting(t *testing.T) {
	hang := make(chan struct{})
	s := newRoleSite(t, func(s *roleSite) {
		s.order = func(b []byte) Receipt {
			if string(b) == "hang" {
				<-hang
			}
			return Receipt{Text: "judged"}
		}
	})
	t.Cleanup(func() { close(hang) })
	c := s.as(contract.Courier)
	for i := range uint32(3) { // As many as ever wait for a disk.
		_ = c.Send(contract.Frame{Type: contract.FrameOrder, ID: 100 + i, Body: []byte("hang")})
	}
	_ = c.Send(contract.Frame{Type: contract.FrameOrder, ID: 1, Body: []byte("stop")})
	if r := receipt(t, c, 1); r.Text != "judged" {
		t.Errorf("a stop behind orders that hang: %+v", r)
	}
	for i := range uint32(4) {
		_ = c.Send(contract.Frame{Type: contract.FrameOrder, ID: 200 + i, Body: []byte("hang")})
	}
	if r := receipt(t, c, 203); r.Reason != reasonBusy {
		t.Errorf("one order too many: %+v", r)
	}
	if err := c.Send(contract.Frame{Type: contract.FrameStatusRequest, ID: 2}); err != nil {
		t.Fatal(err)
	}
	answer(t, c, 2)
}

func TestCheckpointsOnceASecondOverToldHeads(t *testing.T) {
	s := newRoleSite(t)
	s.mu.Lock()
	s.newest = contract.Head{BootID: testBoot, Seq: 5, Digest: someHex, EvidenceSeq: 5, Evidence: someHex}
	s.mu.Unlock()
	c := s.as(contract.Courier)
	point := contract.Checkpoint{Log: "guard", BootID: testBoot, Seq: 6, Digest: someHex, Evidence: someHex, Signature: []byte{1}}
	s.send(c, 1, point)
	if r := receipt(t, c, 1); r.Accepted {
		t.Errorf("a checkpoint over what was not told: %+v", r)
	}
	point.Seq = 5
	s.send(c, 2, point)
	if r := receipt(t, c, 2); !r.Accepted {
		t.Errorf("a good checkpoint: %+v", r)
	}
	s.send(c, 3, point)
	if r := receipt(t, c, 3); r.Reason != reasonBusy {
		t.Errorf("a second checkpoint at once: %+v", r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.points) != 1 {
		t.Errorf("%d checkpoints were recorded", len(s.points))
	}
}

// TestConnectionsOfARoleAreRationed: an account of a role that connects without end is turned away at the door.
func TestConnectionsOfARoleAreRationed(t *testing.T) {
	u := newUsers(nil, zerolog.Nop())
	n := 0
	for range 1000 {
		if u.mayConnect(1001) {
			n++
		}
	}
	if n < connectBurst || n > connectBurst+connectRate {
		t.Errorf("%d of 1000 connections were let in", n)
	}
	if !u.mayConnect(1002) {
		t.Error("another account pays for it")
	}
}

func TestSocketIsSharedOnlyWithOtherAccounts(t *testing.T) {
	for name, c := range map[string]struct {
		roles map[contract.Role]uint32
		mode  os.FileMode
	}{
		"nobody else":       {nil, socketOwn},
		"the guard's own":   {map[contract.Role]uint32{contract.Courier: uint32(os.Getuid())}, socketOwn}, //nolint:gosec // a uid
		"another's account": {map[contract.Role]uint32{contract.Courier: 4711}, socketShared},
	} {
		t.Run(name, func(t *testing.T) {
			folder, err := os.MkdirTemp("", "rw")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(folder) })
			u := newUsers(nil, zerolog.Nop())
			u.roles = c.roles
			old := unix.Umask(0) // What the process says must not matter.
			ctl := &control{path: folder + "/c.sock", users: u, log: zerolog.Nop()}
			err = ctl.open()
			unix.Umask(old)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Lstat(ctl.path)
			if err != nil || info.Mode().Perm() != c.mode {
				t.Errorf("mode %v, %v; expected %v", info.Mode().Perm(), err, c.mode)
			}
			if left, _ := os.ReadDir(folder); len(left) != 1 {
				t.Errorf("the folder holds %v", left)
			}
			if err := ctl.close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(ctl.path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("after the end: %v", err)
			}
		})
	}
}

// TestHalfSaidThings: what is not a frame at all ends the connection, and nothing of it stays.
func TestHalfSaidThings(t *testing.T) {
	s := newRoleSite(t)
	hello, err := contract.New(1, contract.Hello{Role: contract.Courier, Min: contract.OldestVersion, Max: contract.Version})
	if err != nil {
		t.Fatal(err)
	}
	for name, packet := range map[string][]byte{
		"half a head": []byte("T\x00"), "an empty packet": {}, "too long": append([]byte("T\x00\x00\x00\x00"), make([]byte, contract.MaxPacket)...),
		"unknown type": []byte("?\x00\x00\x00\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			c := s.raw()
			if err := contract.WriteFrame(c, hello, true); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write(packet); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, contract.MaxPacket+1)
			for {
				if _, err := contract.ReadFrame(c, buf); err != nil {
					if !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
						t.Errorf("ended with %v", err)
					}
					return
				}
			}
		})
	}
}
