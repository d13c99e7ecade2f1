package proc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// bindUDP binds a UDP socket. shared lets others bind the same port.
func bindUDP(bind string, shared bool) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) {
			if shared {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			}
		})
		if cerr != nil {
			return cerr
		}
		return err
	}}
	network := "udp4"
	if strings.HasPrefix(bind, "[") {
		network = "udp" // and so both families
	}
	c, err := lc.ListenPacket(context.Background(), network, bind)
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// udpPeer sends one datagram to an address and keeps its socket until its standard input ends. bind is where from, behind
// "shared," if others may have the port too.
func udpPeer(to, bind string) {
	bind, shared := strings.CutPrefix(bind, "shared,")
	c, err := bindUDP(bind, shared)
	if err == nil {
		_, err = c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(to))
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("ready", c.LocalAddr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = c.Close()
}

// startUDP starts a peer that sends the test one datagram, and returns what the test sees of it.
func startUDP(t *testing.T, near *net.UDPConn, bind string, change func(*exec.Cmd)) started {
	t.Helper()
	to := netip.MustParseAddrPort(near.LocalAddr().String())
	cmd := exec.CommandContext(t.Context(), self(t), to.String())
	cmd.Env = []string{helperMark + "=udp:" + bind}
	cmd.Stderr = os.Stderr
	if change != nil {
		change(cmd)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready ") {
		t.Fatalf("the peer says %q, %v", line, err)
	}
	buf := make([]byte, 16)
	_, source, err := near.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	return started{cmd: cmd, pair: Pair{Local: to, Remote: source, Datagrams: true}}
}

func nearUDP(t *testing.T, bind string) *net.UDPConn {
	t.Helper()
	c, err := bindUDP(bind, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestFindsTheSenderOfDatagrams: bound to one address, to any, over both families, by the kernel's answers and its tables.
func TestFindsTheSenderOfDatagrams(t *testing.T) {
	for _, c := range []struct{ near, far string }{
		{"127.0.0.1:0", "127.0.0.1:0"},
		{"127.0.0.1:0", "0.0.0.0:0"},
		{"127.0.0.1:0", "127.0.0.2:0"},
		{"127.0.0.1:0", "[::]:0"},
		{"[::1]:0", "[::1]:0"},
		{"[::1]:0", "[::]:0"},
	} {
		near := nearUDP(t, c.near)
		p := startUDP(t, near, c.far, nil)
		for name, table := range map[string]*kernelSockets{
			"sock_diag": {root: "/proc"}, "tables": {root: "/proc", udpTables: true},
		} {
			f := newFinder(t, func(o *Options) { o.Sockets = table })
			got := find(t, f, p.pair)
			if !got.Found() || got.PID != p.cmd.Process.Pid || got.UID != os.Getuid() {
				t.Errorf("%s to %s by %s: %+v, expected pid %d", c.far, c.near, name, got, p.cmd.Process.Pid)
			}
			if name == "sock_diag" && table.udpTables {
				t.Error("the kernel did not answer for UDP")
			}
		}
	}
}

// TestSharedPortProvesNothing: two sockets with one port may both have sent.
func TestSharedPortProvesNothing(t *testing.T) {
	near := nearUDP(t, "127.0.0.1:0")
	first := startUDP(t, near, "shared,127.0.0.1:0", nil)
	f := newFinder(t, nil)
	if got := find(t, f, first.pair); !got.Found() {
		t.Fatalf("alone on its port: %+v", got)
	}
	second := startUDP(t, near, "shared,"+first.pair.Remote.String(), nil)
	if second.pair.Remote != first.pair.Remote {
		t.Fatalf("the second has another port: %v", second.pair.Remote)
	}
	for name, table := range map[string]*kernelSockets{"sock_diag": {root: "/proc"}, "tables": {root: "/proc", udpTables: true}} {
		f := newFinder(t, func(o *Options) { o.Sockets = table })
		if got := find(t, f, first.pair); got.Why != ReasonAmbiguous || got.PID != 0 {
			t.Errorf("by %s: %+v, expected %s", name, got, ReasonAmbiguous)
		}
	}
}

// TestSourceThatIsNoneOfOurs: another computer's address proves nothing, even if somebody here has the port.
func TestSourceThatIsNoneOfOurs(t *testing.T) {
	near := nearUDP(t, "127.0.0.1:0")
	p := startUDP(t, near, "0.0.0.0:0", nil)
	f := newFinder(t, nil)
	port := p.pair.Remote.Port()
	for remote, want := range map[netip.AddrPort]Reason{
		netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port): ReasonRemote,
		netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 1):    ReasonNoSocket,
		netip.AddrPortFrom(netip.MustParseAddr("::1"), port):       ReasonNoSocket,
		{}: ReasonRemote,
	} {
		if got := find(t, f, Pair{Local: p.pair.Local, Remote: remote, Datagrams: true}); got.Why != want {
			t.Errorf("%v: %q, expected %q", remote, got.Why, want)
		}
	}
	if got := find(t, f, Pair{Local: netip.MustParseAddrPort("127.0.0.1:1"), Remote: p.pair.Remote, Datagrams: true}); got.Why != ReasonNotSeen {
		t.Errorf("from another network: %+v", got)
	}
	if got := find(t, f, Pair{Remote: p.pair.Remote, Datagrams: true}); got.Why != ReasonNotSeen {
		t.Errorf("without an own end: %+v", got)
	}
	// What listens with TCP on such a port sends no datagrams.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test
	tcp := netip.MustParseAddrPort(l.Addr().String())
	if got := find(t, f, Pair{Local: p.pair.Local, Remote: tcp, Datagrams: true}); got.Why != ReasonNoSocket {
		t.Errorf("a TCP port: %+v", got)
	}
}

// TestPortIsTakenOver: whoever has the source's port next is himself, not the one before.
func TestPortIsTakenOver(t *testing.T) {
	near := nearUDP(t, "127.0.0.1:0")
	f := newFinder(t, nil)
	first := startUDP(t, near, "127.0.0.1:0", nil)
	if got := find(t, f, first.pair); got.PID != first.cmd.Process.Pid {
		t.Fatalf("%+v", got)
	}
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait()
	if got := find(t, f, first.pair); got.Why != ReasonNoSocket {
		t.Errorf("after its end: %+v", got)
	}
	second := startUDP(t, near, first.pair.Remote.String(), nil)
	got := find(t, f, first.pair)
	if got.Why == ReasonPending { // looks through all processes are rationed
		f = newFinder(t, nil)
		got = find(t, f, first.pair)
	}
	if !got.Found() || got.PID != second.cmd.Process.Pid {
		t.Errorf("%+v, expected pid %d", got, second.cmd.Process.Pid)
	}
}

// TestManyTopicsOfOneSourceAreOneQuestion: a participant with many topics costs no more than one with one.
func TestManyTopicsOfOneSourceAreOneQuestion(t *testing.T) {
	f := newFixture(t)
	f.process(10, 5, 77)
	counted := &countedTable{SocketTable: f}
	finder := newFinder(t, func(o *Options) { o.Root, o.Sockets, o.Now = f.root, counted, bootClock })
	pairs := make([]Pair, 100)
	for i := range pairs {
		pairs[i] = Pair{Local: nearEnd, Remote: farEnd, Datagrams: true}
	}
	for i, got := range finder.Find(t.Context(), pairs) {
		if !got.Found() || got.PID != 10 {
			t.Fatalf("pair %d: %+v", i, got)
		}
	}
	if counted.n != 2 {
		t.Errorf("%d questions; want one for each end", counted.n)
	}
}

type countedTable struct {
	SocketTable
	n int
}

func (c *countedTable) Datagrams(source netip.AddrPort) ([]Socket, error) {
	c.n++
	return c.SocketTable.Datagrams(source)
}

// TestMaySend is the rule, address by address.
func TestMaySend(t *testing.T) {
	for _, c := range []struct {
		bound, source string
		only6, want   bool
	}{
		{"127.0.0.1:7", "127.0.0.1:7", false, true},
		{"127.0.0.1:7", "127.0.0.2:7", false, false},
		{"127.0.0.1:7", "127.0.0.1:8", false, false},
		{"0.0.0.0:7", "10.1.2.3:7", false, true},
		{"0.0.0.0:7", "[fd00::1]:7", false, false},
		{"[::]:7", "[fd00::1]:7", false, true},
		{"[::]:7", "10.1.2.3:7", false, true},
		{"[::]:7", "10.1.2.3:7", true, false},
		{"[::]:7", "[fd00::1]:7", true, true},
		{"[fd00::2]:7", "[fd00::1]:7", false, false},
		{"0.0.0.0:0", "10.1.2.3:0", false, false},
	} {
		s := Socket{Local: netip.MustParseAddrPort(c.bound), OnlyIPv6: c.only6}
		if got := s.maySend(netip.MustParseAddrPort(c.source)); got != c.want {
			t.Errorf("%s (only IPv6: %v), source %s: %v, expected %v", c.bound, c.only6, c.source, got, c.want)
		}
	}
}
