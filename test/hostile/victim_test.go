package hostile

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/internal/wire"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// scene is a master, a real publisher of poses and a victim that listens to it.
type scene struct {
	m      *ros.Master
	victim *proc.Process
	real   *wire.Publisher
	target Target
}

var poses = map[wire.Type][]byte{
	wire.Odometry:   wire.PlanarOdometry(wire.HeaderMsg{Frame: "map"}, 1, 2, 0, 0, 0).Append(nil),
	wire.JointState: wire.JointStateMsg{Names: []string{"a", "b"}, Position: []float64{0, 0}}.Append(nil),
}

func newScene(t *testing.T, typ wire.Type, victim proc.Spec) *scene {
	t.Helper()
	s := &scene{m: ros.StartMaster(t, ros.Options{})}
	n, err := wire.NewNode(wire.NodeConfig{Name: "/localizer", Master: s.m.URI()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	if s.real, err = n.Advertise(within(t, 5*time.Second), wire.PublisherConfig{Topic: "/odom", Type: typ}); err != nil {
		t.Fatal(err)
	}
	steadily(t, 20*time.Millisecond, func() { s.real.Send(poses[typ]) })
	s.victim = s.m.Node(t, victim)
	s.target = Target{
		Master: s.m.URI(), Node: "/victim", PoseTopic: "/odom", PoseType: typ,
		ServedTopic: "/served", ServedType: wire.String, Trusted: "/planner",
		Duration: time.Second, Logf: t.Logf,
	}
	s.wait(t, "real poses", func(st status) bool { return st["total"] > 0 })
	return s
}

func steadily(t *testing.T, period time.Duration, f func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { repeat(ctx, 1/period.Seconds(), time.Hour, f) })
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func rospyVictim(t *testing.T, typ wire.Type) *scene {
	t.Helper()
	argv := []string{"/usr/bin/python3", filepath.Join(cpp.Root(), "hostile", "victims", "rospy_victim.py"), "__name:=victim"}
	if typ == wire.JointState {
		argv = append(argv, "--joints")
	}
	return newScene(t, typ, proc.Spec{Name: "rospy victim", Argv: argv})
}

var buildGoroslib = sync.OnceValues(func() (string, error) {
	out := filepath.Join(cpp.Root(), "build", "goroslib_victim")
	cmd := exec.Command("go", "build", "-o", out, "./hostile/victims/goroslib")
	cmd.Dir = cpp.Root()
	text, err := cmd.CombinedOutput()
	return out + string(text), err
})

func goroslibVictim(t *testing.T, typ wire.Type, nofile uint64) *scene {
	t.Helper()
	bin, err := buildGoroslib()
	if err != nil {
		t.Fatalf("%v: %s", err, bin)
	}
	argv := []string{bin}
	if typ == wire.JointState {
		argv = append(argv, "--joints")
	}
	return newScene(t, typ, proc.Spec{Name: "goroslib victim", Argv: argv, NoFile: nofile})
}

// status is the last line that the victim printed.
type status map[string]float64

var (
	statusLine = regexp.MustCompile(`status [^\n]*\n`)
	statusItem = regexp.MustCompile(`(\w+)=(-?[0-9.]+|true|false)`)
)

func (s *scene) status() status {
	st := status{}
	lines := statusLine.FindAllString(s.victim.Output(), -1)
	if len(lines) == 0 {
		return st
	}
	for _, m := range statusItem.FindAllStringSubmatch(lines[len(lines)-1], -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil && m[2] == "true" {
			v = 1
		}
		st[m[1]] = v
	}
	return st
}

func (s *scene) wait(t *testing.T, what string, ok func(status) bool) status {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		st := s.status()
		if ok(st) {
			return st
		}
		if time.Now().After(deadline) || !s.victim.Running() {
			t.Fatalf("waited for %s; last %v; victim: %s", what, st, s.victim.Output())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// grows says by how much a number of the status grows within a second.
func (s *scene) grows(key string) float64 {
	before := s.status()[key]
	time.Sleep(time.Second)
	return s.status()[key] - before
}

// attack runs an attack by name, which must be carried through.
func (s *scene) attack(t *testing.T, name string) {
	t.Helper()
	if err := run(t, name, s.target); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func run(t *testing.T, name string, target Target) error {
	t.Helper()
	a, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	if !target.has(a.Needs) {
		t.Fatalf("%s: the target lacks what it needs", name)
	}
	return a.Run(within(t, 30*time.Second), target)
}

// start runs an attack beside the test and returns its error at the end.
func (s *scene) start(t *testing.T, name string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- run(t, name, s.target) }()
	return done
}

// specOf starts the same program again.
func specOf(p *proc.Process) proc.Spec { return proc.Spec{Name: p.Name() + " again", Argv: p.Argv()} }

// udpPort finds the port of the process's one UDP socket.
func udpPort(t *testing.T, pid int) int {
	t.Helper()
	inodes := map[string]bool{}
	links, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil {
			inodes[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	for _, file := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		table, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(table)) {
			f := strings.Fields(line)
			if len(f) > 9 && inodes[f[9]] {
				_, hex, _ := strings.Cut(f[1], ":")
				port, err := strconv.ParseInt(hex, 16, 32)
				if err != nil {
					t.Fatal(err)
				}
				return int(port)
			}
		}
	}
	t.Fatalf("process %d has no UDP socket", pid)
	return 0
}

func poke(t *testing.T, port int) {
	t.Helper()
	c, err := net.Dial("udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
}
