// Package ros runs a real ROS 1 master and real nodes for a test, each test with its own on its own port; it never
// touches a master that it did not start.
package ros

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/wire"
)

// caller is the name under which the harness itself talks to masters.
const caller = "/test_harness"

// startDeadline is generous: the master is a Python program and the machine may be busy.
const startDeadline = 30 * time.Second

// Options changes how a master is started.
type Options struct {
	// Full starts roscore: with the rosout aggregator and the parameters that roslaunch sets. Otherwise only
	// rosmaster runs, which is ready in about half the time and is enough for nodes to find each other.
	Full bool
	// Address is where master and nodes are reached, an IPv4 address of this computer; default 127.0.0.1.
	Address string
	// IPv6 puts the master on [::1]. rospy nodes follow; roscpp 1.15 cannot read such an address.
	IPv6 bool
}

// Master is a running ROS 1 master.
type Master struct {
	opts Options
	port int
	dir  string
	proc *proc.Process
}

// StartMaster starts a master for the length of the test and waits until it answers.
func StartMaster(t testing.TB, opts Options) *Master {
	t.Helper()
	need.ROS(t)
	m := &Master{opts: opts, dir: t.TempDir()}
	t.Cleanup(func() {
		m.Stop()
		if t.Failed() {
			m.dumpLogs(t)
		}
	})
	// Another process may take the port between the look and the start, so a failed start is tried elsewhere.
	var err error
	for range 3 {
		if m.port, err = freePort(m.host()); err != nil {
			t.Fatal(err)
		}
		if err = m.start(); err == nil {
			return m
		}
		m.Stop()
	}
	t.Fatal(err)
	return nil
}

func (m *Master) start() error {
	argv := []string{"rosmaster", "--core", "-p", strconv.Itoa(m.port)}
	if m.opts.Full {
		argv = []string{"roscore", "-p", strconv.Itoa(m.port)}
	}
	p, err := proc.Start(proc.Spec{Name: "master", Argv: argv, Env: m.Env()})
	if err != nil {
		return err
	}
	m.proc = p
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	return m.poll(ctx, "the master to answer", func(ctx context.Context) bool {
		if !p.Running() {
			cancel()
			return false
		}
		pid, err := wire.CallROS(ctx, m.URI(), "getPid", caller)
		if err != nil || !m.opts.Full {
			// Another program on the port could answer as well; the right one says our pid.
			return err == nil && pid == p.PID()
		}
		s, err := m.State(ctx)
		return err == nil && slices.Contains(s.Subscribers["/rosout"], "/rosout")
	})
}

// URI is the value for ROS_MASTER_URI.
func (m *Master) URI() string {
	return "http://" + net.JoinHostPort(m.host(), strconv.Itoa(m.port)) + "/"
}

func (m *Master) host() string {
	if m.opts.IPv6 {
		return "::1"
	}
	if m.opts.Address != "" {
		return m.opts.Address
	}
	return "127.0.0.1"
}

// Port is the master's port.
func (m *Master) Port() int { return m.port }

// Env is the environment for nodes of this master. Everything stays on the loopback interface and in the test's own
// directory.
func (m *Master) Env() []string { return Env(m.URI(), m.dir) }

// Env is the environment for a node of any master, with logs below dir. The node is reached at the master's address.
func Env(uri, dir string) []string {
	env := []string{
		"ROS_MASTER_URI=" + uri, "ROS_LOG_DIR=" + filepath.Join(dir, "log"), "ROS_HOME=" + dir, "ROS_NAMESPACE=",
		"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "PATH=/usr/bin:/bin:/usr/sbin:/sbin:" + os.Getenv("PATH"),
	}
	if strings.Contains(uri, "[") {
		// Nodes take ROS_HOSTNAME before ROS_IP, and refuse colons in it.
		return append(env, "ROS_IP=::1", "ROS_IPV6=on")
	}
	host := "127.0.0.1"
	if u, err := url.Parse(uri); err == nil && net.ParseIP(u.Hostname()) != nil {
		host = u.Hostname()
	}
	return append(env, "ROS_IP="+host, "ROS_HOSTNAME="+host, "ROS_IPV6=off")
}

// Stop ends the master; its nodes go on.
func (m *Master) Stop() {
	if m.proc != nil {
		m.proc.Stop(3 * time.Second)
	}
}

// Kill ends the master at once, as a crash would.
func (m *Master) Kill() { m.proc.Kill() }

// Restart starts the master again on the same port, with empty tables.
func (m *Master) Restart(t testing.TB) {
	t.Helper()
	m.Stop()
	if err := m.start(); err != nil {
		t.Fatalf("restart of the master on port %d: %v", m.port, err)
	}
}

// PID is the master's process id.
func (m *Master) PID() int { return m.proc.PID() }

// Node starts a program as a node of this master, for the length of the test.
func (m *Master) Node(t testing.TB, spec proc.Spec) *proc.Process {
	t.Helper()
	spec.Env = append(m.Env(), spec.Env...)
	return proc.StartT(t, spec)
}

// State is the master's table: names of nodes by topic and by service.
type State struct {
	Publishers, Subscribers, Services map[string][]string
}

// State asks the master for its table.
func (m *Master) State(ctx context.Context) (State, error) {
	v, err := wire.CallROS(ctx, m.URI(), "getSystemState", caller)
	if err != nil {
		return State{}, err
	}
	tables, ok := v.([]any)
	if !ok || len(tables) != 3 {
		return State{}, fmt.Errorf("ros: getSystemState: expected three tables, found %v", v)
	}
	return State{Publishers: table(tables[0]), Subscribers: table(tables[1]), Services: table(tables[2])}, nil
}

func table(v any) map[string][]string {
	out := map[string][]string{}
	rows, _ := v.([]any)
	for _, r := range rows {
		row, _ := r.([]any)
		if len(row) != 2 {
			continue
		}
		name, _ := row[0].(string)
		nodes, _ := row[1].([]any)
		for _, n := range nodes {
			if s, ok := n.(string); ok {
				out[name] = append(out[name], s)
			}
		}
	}
	return out
}

// LookupNode asks the master for the address of a node's slave API.
func (m *Master) LookupNode(ctx context.Context, name string) (string, error) {
	v, err := wire.CallROS(ctx, m.URI(), "lookupNode", caller, name)
	if err != nil {
		return "", err
	}
	uri, _ := v.(string)
	return uri, nil
}

// WaitPublisher waits until the node is listed as a publisher of the topic.
func (m *Master) WaitPublisher(t testing.TB, topic, node string) {
	t.Helper()
	m.waitState(t, node+" to publish "+topic, func(s State) bool { return slices.Contains(s.Publishers[topic], node) })
}

// WaitSubscriber waits until the node is listed as a subscriber of the topic.
func (m *Master) WaitSubscriber(t testing.TB, topic, node string) {
	t.Helper()
	m.waitState(t, node+" to subscribe to "+topic, func(s State) bool { return slices.Contains(s.Subscribers[topic], node) })
}

// WaitService waits until the service is listed.
func (m *Master) WaitService(t testing.TB, service string) {
	t.Helper()
	m.waitState(t, "service "+service, func(s State) bool { return len(s.Services[service]) > 0 })
}

func (m *Master) waitState(t testing.TB, what string, ok func(State) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startDeadline)
	defer cancel()
	err := m.poll(ctx, what, func(ctx context.Context) bool {
		s, err := m.State(ctx)
		return err == nil && ok(s)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// poll asks again and again until ok or the end of the context.
func (m *Master) poll(ctx context.Context, what string, ok func(context.Context) bool) error {
	for !ok(ctx) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("ros: waited for %s: %w; master wrote: %s", what, ctx.Err(), m.proc.Output())
		case <-time.After(15 * time.Millisecond):
		}
	}
	return nil
}

// dumpLogs prints the ends of the log files.
func (m *Master) dumpLogs(t testing.TB) {
	t.Logf("master wrote:\n%s", m.proc.Output())
	files, _ := filepath.Glob(filepath.Join(m.dir, "log", "*.log"))
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			t.Logf("%s (last part):\n%s", filepath.Base(f), b[max(0, len(b)-4000):])
		}
	}
}

// FreePort finds a TCP port on the loopback that nobody uses. It is taken from below the range that the kernel gives
// to outgoing connections, so that a server may come back to it later.
func FreePort() (int, error) { return freePort("127.0.0.1") }

func freePort(host string) (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("ros: free port: %w", err)
		}
		return port, nil
	}
	return 0, fmt.Errorf("ros: no free port found on %s between 20000 and 32000 in 100 draws", host)
}
