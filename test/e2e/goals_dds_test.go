package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

const (
	goalGate  = "  - {name: nav2, kind: autonomy, mode: inline, reads: goal, topic: /navigate_to_pose, type: nav2_msgs/NavigateToPose, publishers: [/fleet], out: /guarded/navigate_to_pose, consumer: /bt_navigator, trees: [slow.xml]}\n"
	goalWatch = "  - {name: nav2, kind: autonomy, mode: monitor, reads: goal, topic: /navigate_to_pose, type: nav2_msgs/NavigateToPose, publishers: [/fleet]}\n"
	anyGoal   = "cancel 00000000000000000000000000000000\n"
)

// asker is a client of the action.
type asker struct {
	*proc.Process
	in *os.File
	n  int
}

func startAsker(t *testing.T, d *domain.Domain, vendor bus.Kind) *asker {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	argv := append([]string{cpp.Binary(t, "goals_"+string(vendor))}, d.Join("/fleet")...)
	a := &asker{Process: d.Node(t, proc.Spec{Name: "/fleet", Argv: append(argv, "--ask=/navigate_to_pose"), Stdin: r}), in: w}
	_ = r.Close()
	return a
}

// ask asks for a goal, "x y frame tree", and returns it as it was sent and what became of it.
func (a *asker) ask(t *testing.T, goal string) (sent, answer string) {
	t.Helper()
	if _, err := fmt.Fprintln(a.in, goal); err != nil {
		t.Fatal(err)
	}
	a.n++
	var lines []string
	until(t, 30*time.Second, "an answer to "+goal, func() bool {
		lines = lines[:0]
		for line := range strings.Lines(a.Output()) {
			if strings.HasPrefix(line, "asked ") && strings.HasSuffix(line, "\n") {
				lines = append(lines, strings.TrimSpace(strings.TrimPrefix(line, "asked ")))
			}
		}
		return len(lines) == a.n
	})
	sent, answer, _ = strings.Cut(lines[a.n-1], ": ")
	return sent, answer
}

// TestGoalsOfNavigateToPose: of what a client of Nav2's action asks for, exactly what lies where the robot may be reaches the
// navigator, as it was sent; the rest is refused at once, with its reason in the journal; a stop cancels what is under way; and
// a replay decides the same. Where client and navigator are of two vendors, the gate speaks to each in its own way. A
// navigator that answers twice is heard once. With a gate that only looks on (off) the goal in the closed room arrives.
func TestGoalsOfNavigateToPose(t *testing.T) {
	t.Parallel()
	pairs := [][2]bus.Kind{{bus.Fast, bus.Cyclone}} // the navigator's vendor, and the client's
	if longTier() {
		pairs = [][2]bus.Kind{{bus.Fast, bus.Cyclone}, {bus.Cyclone, bus.Fast}, {bus.Cyclone, bus.Cyclone}, {bus.Fast, bus.Fast}}
	}
	for _, p := range pairs {
		t.Run(fmt.Sprintf("%s asks %s", p[1], p[0]), func(t *testing.T) { t.Parallel(); goalsPass(t, p[0], p[1]) })
		if longTier() && p[0] == p[1] { // without a gate in between, ROS 2 does not connect services of two vendors
			t.Run(fmt.Sprintf("%s asks %s, off", p[1], p[0]), func(t *testing.T) { t.Parallel(); goalsAreWatched(t, p[0], p[1]) })
		}
	}
}

// goalSite runs a guard with one gate, a base, a navigator and a client.
func goalSite(t *testing.T, gate string, server, client bus.Kind, args ...string) (*guard, *site, *proc.Process, *asker) {
	t.Helper()
	d := domain.Start(t, server)
	s := newSite(t, d, siteConfig{gates: gate, zones: blockedZone("closed-room", oracle.Rectangle(20, 20, 25, 25))})
	plant.Start(t, d, plant.Config{})
	nav := d.Node(t, bus.Peer(t, d, "goals", "/bt_navigator", append(args, "--serve=/navigate_to_pose")...))
	g := s.start(t)
	a := startAsker(t, d, client)
	g.ready(t)
	g.await(t, "a client that is known", 20*time.Second, func(st agent.Status) bool {
		for i := range st.Publishers {
			if st.Publishers[i].Node == "/fleet" {
				return strings.Contains(a.Output(), "up\n")
			}
		}
		return false
	})
	return g, s, nav, a
}

func goalsPass(t *testing.T, server, client bus.Kind) {
	g, s, nav, a := goalSite(t, goalGate, server, client, "--goals=/guarded/navigate_to_pose", "--answers=2")
	until(t, 20*time.Second, "the start's word to cancel", func() bool { return strings.Contains(nav.Output(), anyGoal) })
	var want strings.Builder
	for _, c := range []struct{ goal, answer string }{
		{"22 22 map -", "refused"},
		{"1 0.1 odom -", "refused"},
		{"1 0.1 map evil.xml", "refused"},
		{"1 0.1 map -", "accepted"},
		{"-2 0.3 map slow.xml", "accepted"},
	} {
		sent, answer := a.ask(t, c.goal)
		if answer != c.answer {
			t.Errorf("%s: %s, expected %s", c.goal, answer, c.answer)
		}
		if c.answer == "accepted" {
			want.WriteString("goal " + sent + "\n")
		}
	}
	before := strings.Count(nav.Output(), anyGoal)
	if r := g.order(t, s.stopOrder(t)); !r.Accepted {
		t.Fatalf("stop: %+v", r)
	}
	until(t, 10*time.Second, "the word to cancel", func() bool { return strings.Count(nav.Output(), anyGoal) > before })
	for _, goal := range []string{"1 0.1 map -", "nan 0 map -"} {
		if _, answer := a.ask(t, goal); answer != "refused" {
			t.Errorf("%s, stopped: %s", goal, answer)
		}
	}
	if got := strings.ReplaceAll(strings.ReplaceAll(nav.Output(), anyGoal, ""), "up\n", ""); got != want.String() {
		t.Errorf("this came to the navigator:\n%sexpected:\n%s", got, want.String())
	}
	st, _ := g.status()
	for _, reason := range []string{"goal in a forbidden zone", "wrong frame", "behaviour tree not listed", "stopped", "not finite"} {
		if st.Gates[0].Dropped[reason] != 1 {
			t.Errorf("%d dropped for %q: %+v", st.Gates[0].Dropped[reason], reason, st.Gates[0])
		}
	}
	if st.Gates[0].Passed != 2 || has(st, "gate.bypass") || has(st, "publisher.unknown") || has(st, "publisher.conflict") {
		t.Errorf("%+v, triggers %+v", st.Gates[0], st.Triggers)
	}
	g.replayed(t)
	out, err := exec.Command(binary(t), "journal", "cat", s.path("journal")).CombinedOutput()
	for _, line := range []string{
		"gate nav2 (inline): dropped, goal in a forbidden zone", "gate nav2 (inline): dropped, behaviour tree not listed", "gate nav2 (inline): passed", "ended what was under way, stopped",
	} {
		if err != nil || !strings.Contains(string(out), line) {
			t.Errorf("the journal does not say %q: %v\n%s", line, err, tail(string(out), 3000))
		}
	}
}

func goalsAreWatched(t *testing.T, server, client bus.Kind) {
	g, _, nav, a := goalSite(t, goalWatch, server, client)
	sent, answer := a.ask(t, "22 22 map -")
	if answer != "accepted" || !strings.Contains(nav.Output(), "goal "+sent) {
		t.Errorf("%s; the navigator heard %s", answer, nav.Output())
	}
	st := g.await(t, "the shadow's opinion", 10*time.Second, func(st agent.Status) bool { return len(st.Gates) == 1 && st.Gates[0].Last != "" })
	if st.Gates[0].Last != "goal in a forbidden zone" {
		t.Errorf("%+v", st.Gates[0])
	}
}
