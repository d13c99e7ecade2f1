package steward

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/hal/proc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func bootClock() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}

// guard is the other end of the steward's connection.
type guard struct {
	t    *testing.T
	path string
	l    *net.UnixListener
	buf  []byte
}

func newGuard(t *testing.T) *guard {
	t.Helper()
	dir, err := os.MkdirTemp("", "st") // A socket's path must be short.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	g := &guard{t: t, path: filepath.Join(dir, "c"), buf: make([]byte, contract.MaxPacket+1)}
	g.listen()
	return g
}

func (g *guard) listen() {
	g.t.Helper()
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: g.path, Net: "unixpacket"})
	if err != nil {
		g.t.Fatal(err)
	}
	g.l = l
	g.t.Cleanup(func() { _ = l.Close() })
}

const patience = 10 * time.Second

// accept takes the steward's next connection and welcomes it.
func (g *guard) accept() *net.UnixConn {
	g.t.Helper()
	_ = g.l.SetDeadline(time.Now().Add(patience))
	c, err := g.l.AcceptUnix()
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	f, err := contract.ReadFrame(c, g.buf)
	var h contract.Hello
	if err != nil || f.Into(&h) != nil || h.Role != contract.Steward {
		g.t.Fatalf("%q %s, %v", f.Type, f.Body, err)
	}
	g.send(c, f.ID, contract.Welcome{Version: contract.Version, Robot: "acme/7", BootID: "01234567-89ab-cdef-0123-456789abcdef", Nonce: "00112233445566778899aabbccddeeff"})
	return c
}

func (g *guard) send(c *net.UnixConn, id uint32, b contract.Body) {
	g.t.Helper()
	f, err := contract.New(id, b)
	if err == nil {
		err = contract.WriteFrame(c, f, true)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// facts waits for facts that good accepts.
func (g *guard) facts(c *net.UnixConn, good func(*contract.Processes) bool) contract.Processes {
	g.t.Helper()
	var p contract.Processes
	for end := time.Now().Add(patience); time.Now().Before(end); {
		_ = c.SetDeadline(end)
		f, err := contract.ReadFrame(c, g.buf)
		if err != nil {
			g.t.Fatal(err)
		}
		if f.Type != contract.FrameProcesses {
			continue
		}
		p = contract.Processes{}
		if err := f.Into(&p); err != nil {
			g.t.Fatal(err)
		}
		if good(&p) {
			return p
		}
	}
	g.t.Fatalf("no facts as expected; the last were %+v", p)
	return p
}

// start runs a steward until the test ends.
func start(t *testing.T, o Options) *Steward {
	t.Helper()
	if o.StateDir == "" {
		o.StateDir = t.TempDir()
	}
	if o.Period == 0 {
		o.Period = 50 * time.Millisecond
	}
	o.Program, o.BootID, o.Clock, o.Log = "test", [16]byte{1}, bootClock, zerolog.Nop()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Confined([]string{"test"})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// connection is a connection of this test to itself.
func connection(t *testing.T, id uint32) contract.Peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // one connection is all
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = in.Close() })
	return contract.Peer{ID: id, Topic: "/cmd_vel", Node: "/plant", Local: c.LocalAddr().String(), Remote: c.RemoteAddr().String(), Gated: true}
}

func TestTellsTheGuardWhoIsBehindItsConnections(t *testing.T) {
	g := newGuard(t)
	dir := t.TempDir()
	s := start(t, Options{Socket: g.path, StateDir: dir})
	c := g.accept()
	here := connection(t, 7)
	remote := contract.Peer{ID: 8, Topic: "/odom", Node: "/base", Local: here.Local, Remote: "192.0.2.7:9"}
	unknown := contract.Peer{ID: 9, Topic: "/scan", Node: "/lidar", Remote: here.Remote}
	g.send(c, 0, contract.Peers{Peers: []contract.Peer{here, remote, unknown}})
	p := g.facts(c, func(p *contract.Processes) bool { return len(p.Processes) == 3 && p.Processes[0].Found })
	if p.LeaseMS != 150 {
		t.Errorf("a lease of %d ms, expected three periods", p.LeaseMS)
	}
	if q := p.Processes[0]; !q.Found || q.ID != 7 || q.PID != os.Getpid() || q.UID != os.Getuid() || len(q.ExeSHA256) != 64 {
		t.Errorf("%+v, expected this test", q)
	}
	if q := p.Processes[1]; q.Found || q.Why != string(proc.ReasonRemote) || q.PID != 0 {
		t.Errorf("%+v", q)
	}
	if q := p.Processes[2]; q.Found || q.Why != string(proc.ReasonNotSeen) {
		t.Errorf("%+v", q)
	}
	// Renewed without being asked, and forgotten when the guard has no such connection any more.
	g.facts(c, func(p *contract.Processes) bool { return len(p.Processes) == 3 })
	g.send(c, 0, contract.Peers{Peers: []contract.Peer{}})
	g.facts(c, func(p *contract.Processes) bool { return len(p.Processes) == 0 })
	if st := s.Status(); !st.Connected || st.Rounds == 0 || st.Sent == 0 || st.Walls == nil {
		t.Errorf("%+v", st)
	}
	wantRecords(t, dir, map[journal.Kind]int{RecordStart: 1, RecordGuard: 1, RecordProcess: 3, RecordGone: 3})
}

// TestTellsWhoSendsDatagrams: on DDS a publisher has no connection, and its port tells.
func TestTellsWhoSendsDatagrams(t *testing.T) {
	g := newGuard(t)
	start(t, Options{Socket: g.path})
	c := g.accept()
	var ends [2]net.PacketConn
	for i := range ends {
		var err error
		if ends[i], err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ends[i].Close() })
	}
	here := contract.Peer{
		ID: 7, Topic: "/cmd_vel_raw", Node: "/planner", Gated: true, Transport: contract.TransportUDP,
		Local: ends[0].LocalAddr().String(), Remote: ends[1].LocalAddr().String(),
	}
	asConnection := here
	asConnection.ID, asConnection.Transport = 8, contract.TransportTCP
	elsewhere := here
	elsewhere.ID, elsewhere.Remote = 9, "192.0.2.7:7411"
	g.send(c, 0, contract.Peers{Peers: []contract.Peer{here, asConnection, elsewhere}})
	p := g.facts(c, func(p *contract.Processes) bool { return len(p.Processes) == 3 && p.Processes[0].Found })
	if q := p.Processes[0]; q.ID != 7 || q.PID != os.Getpid() || q.UID != os.Getuid() {
		t.Errorf("%+v, expected this test", q)
	}
	if q := p.Processes[1]; q.Found || q.Why != string(proc.ReasonNotSeen) {
		t.Errorf("the same as a connection: %+v", q)
	}
	if q := p.Processes[2]; q.Found || q.Why != string(proc.ReasonRemote) {
		t.Errorf("another computer's: %+v", q)
	}
}

// wantRecords waits until the journal has exactly these records.
func wantRecords(t *testing.T, dir string, want map[journal.Kind]int) {
	t.Helper()
	var got map[journal.Kind]int
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		got = map[journal.Kind]int{}
		records, err := journal.Tail(JournalDir(dir), 1000)
		if err != nil {
			t.Fatal(err)
		}
		for i := range records {
			if k := records[i].Kind; !k.Reserved() {
				got[k]++
				if KindName(k) == "" || !json.Valid(records[i].Payload) {
					t.Errorf("record %d: %s", k, records[i].Payload)
				}
			}
		}
		same := len(got) == len(want)
		for k, n := range want {
			same = same && got[k] == n
		}
		if same {
			return
		}
	}
	t.Errorf("records %v, expected %v", got, want)
}

func TestComesBackWhenTheGuardDoes(t *testing.T) {
	g := newGuard(t)
	s := start(t, Options{Socket: g.path})
	c := g.accept()
	g.send(c, 0, contract.Peers{Peers: []contract.Peer{connection(t, 1)}})
	g.facts(c, func(p *contract.Processes) bool { return len(p.Processes) == 1 })
	_, _ = c.Close(), g.l.Close()
	// The steward's loop goes on without a guard: its watchdog must not take a missing guard for a stuck steward.
	before := s.Progress()
	for end := time.Now().Add(patience); s.Progress() < before+2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the loop stands still without a guard")
		}
	}
	g.listen()
	c = g.accept()
	// Nothing of the earlier session is said again before the guard has told its connections.
	g.facts(c, func(p *contract.Processes) bool { return len(p.Processes) == 0 })
}

func TestGuardThatSpeaksNonsense(t *testing.T) {
	g := newGuard(t)
	start(t, Options{Socket: g.path})
	for _, f := range []contract.Frame{
		{Type: contract.FramePeers, Body: []byte("{")},
		{Type: contract.FramePeers, Body: []byte(`{"peers":[{"id":0}]}`)},
		{Type: 0xff},
	} {
		c := g.accept()
		if err := contract.WriteFrame(c, f, true); err != nil && f.Type != 0xff {
			t.Fatal(err)
		}
		if f.Type == 0xff {
			_, _ = c.Write([]byte{0xff, 0, 0, 0, 0})
		}
		for {
			_ = c.SetDeadline(time.Now().Add(patience))
			if _, err := contract.ReadFrame(c, g.buf); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("frame %q %s: the steward goes on", f.Type, f.Body)
				}
				break
			}
		}
		_ = c.Close()
	}
	c := g.accept()
	if err := contract.WriteFrame(c, contract.Frame{Type: contract.FrameHead, Body: []byte("{}")}, true); err != nil {
		t.Fatal(err)
	}
	g.facts(c, func(*contract.Processes) bool { return true })
}

func TestHealth(t *testing.T) {
	g := newGuard(t)
	s := start(t, Options{Socket: g.path})
	if err := s.Healthy(t.Context()); err == nil || !strings.Contains(err.Error(), "guard") {
		t.Errorf("without a guard: %v", err)
	}
	c := g.accept()
	g.facts(c, func(*contract.Processes) bool { return true })
	if err := s.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	stuck := &Steward{o: Options{Period: time.Millisecond}}
	stuck.link.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := stuck.Healthy(ctx); err == nil || !strings.Contains(err.Error(), "stands still") {
		t.Errorf("a loop that stands still: %v", err)
	}
}

// script finds what the test tells it to.
type script struct {
	facts atomic.Pointer[[]proc.Fact]
	calls atomic.Int64
}

func (s *script) Find(_ context.Context, pairs []proc.Pair) []proc.Fact {
	s.calls.Add(1)
	out := make([]proc.Fact, len(pairs))
	for i := range out {
		out[i] = (*s.facts.Load())[i]
	}
	return out
}

func TestNoTimeToLookIsBridgedShortlyOnly(t *testing.T) {
	g := newGuard(t)
	found := []proc.Fact{{PID: 4, UID: 5, Cgroup: "/system.slice/plant.service", Unit: "plant.service"}}
	var s script
	s.facts.Store(&found)
	start(t, Options{Socket: g.path, Finder: &s, Period: 200 * time.Millisecond})
	c := g.accept()
	g.send(c, 0, contract.Peers{Peers: []contract.Peer{{ID: 1, Remote: "127.0.0.1:9"}}})
	g.facts(c, func(p *contract.Processes) bool {
		return len(p.Processes) == 1 && p.Processes[0].Unit == "plant.service"
	})
	s.facts.Store(&[]proc.Fact{{Why: proc.ReasonPending}})
	calls := s.calls.Load()
	p := g.facts(c, func(*contract.Processes) bool { return s.calls.Load() > calls })
	if !p.Processes[0].Found {
		t.Errorf("%+v, expected the last fact for the next round", p)
	}
	g.facts(c, func(p *contract.Processes) bool { return p.Processes[0].Why == string(proc.ReasonPending) })
}

func TestTooManyChangesAreCountedInsteadOfWritten(t *testing.T) {
	dir := t.TempDir()
	l, err := journal.Open(dir, journal.DefaultOptions([16]byte{1}, bootClock))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Duration(0)
	n := notes{log: l, clock: func() time.Duration { return now }, tokens: noteBurst}
	for range 3 * int(noteBurst) {
		n.add(RecordProcess, Fact{})
	}
	if got := n.suppressed.Load(); got != 2*uint64(noteBurst) {
		t.Errorf("%d suppressed", got)
	}
	now = time.Second
	n.add(RecordGone, Fact{})
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	records, err := journal.Tail(dir, 3)
	if err != nil || len(records) != 3 {
		t.Fatal(records, err)
	}
	var s Suppressed
	if records[0].Kind != RecordSuppressed || json.Unmarshal(records[0].Payload, &s) != nil || s.Records != 2*uint64(noteBurst) || records[1].Kind != RecordGone {
		t.Errorf("%d %s, %d", records[0].Kind, records[0].Payload, records[1].Kind)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Socket: "s", StateDir: t.TempDir(), Period: time.Second, Clock: bootClock}
	for name, change := range map[string]func(*Options){
		"no socket": func(o *Options) { o.Socket = "" }, "no folder": func(o *Options) { o.StateDir = "" },
		"no period": func(o *Options) { o.Period = 0 }, "no clock": func(o *Options) { o.Clock = nil }, "no boot id": func(*Options) {},
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
