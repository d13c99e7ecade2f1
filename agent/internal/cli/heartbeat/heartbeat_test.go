package heartbeat

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/host"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
	"github.com/robowarden/robowarden/interlock"
)

const robot = "robowarden-example/diff-01"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"robowarden-station": func() {
		root := cli.NewRoot("robowarden-station", "the heartbeat alone, for the tests")
		root.AddCommand(New())
		os.Exit(cli.Main(root, os.Args[1:]))
	}})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			m, err := rostest.NewMaster("127.0.0.1")
			if err != nil {
				return err
			}
			env.Defer(m.Close)
			env.Setenv("MASTER", m.URI())
			env.Setenv("ROBOT", robot)
			env.Setenv("KEY", strings.Repeat("ab", 32))
			env.Values["robot"], env.Values["master"] = &side{master: m.URI()}, m
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"robot": startRobot, "heard": heard, "private": private, "term": term, "asked": asked, "listens": listens},
	})
}

// side is the robot's side: challenges by interlock's heartbeat, checked by the guard's code.
type side struct {
	master string
	mu     sync.Mutex
	beat   *interlock.Heartbeat
	phases []string
	// taken counts the challenges that a subscriber took.
	taken int
}

func (s *side) phase(now time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := strings.ReplaceAll(s.beat.Status(now).Phase.String(), " ", "-")
	if n := len(s.phases); n == 0 || s.phases[n-1] != p {
		s.phases = append(s.phases, p)
	}
	return p
}

// startRobot puts a robot on the bus that challenges ten times a second.
func startRobot(ts *testscript.TestScript, _ bool, _ []string) {
	s := ts.Value("robot").(*side) //nolint:forcetypeassert // set up above
	var err error
	s.beat, err = interlock.NewHeartbeat(interlock.HeartbeatConfig{
		Subject: 1, Period: 100 * time.Millisecond, AnswerWithin: time.Second, LateAfter: 10 * time.Second, LostAfter: 20 * time.Second,
		HostileCount: 5, HostileWindow: time.Second,
	})
	ts.Check(err)
	g, err := guard.NewHeartbeat("operator", robot, [16]byte{5}, bytes.Repeat([]byte{0xab}, 32))
	ts.Check(err)
	clock := host.Clock{}
	n, err := ros1.New(ros1.Config{Name: "/robowarden", MasterURI: s.master, Host: "127.0.0.1", Clock: clock.Boot, Log: zerolog.Nop()})
	ts.Check(err)
	out, err := n.Advertise(bus.Publication{Topic: "/robowarden/challenge", Type: bus.TypeString})
	ts.Check(err)
	var gmu sync.Mutex
	_, err = n.SubscribeText(bus.Subscription{Topic: "/robowarden/response", Allow: []string{"/operator_console"}}, func(m *msg.Text) {
		gmu.Lock()
		a, _ := g.Check(m.Data)
		gmu.Unlock()
		level := interlock.LevelRun
		if a.Stop {
			level = interlock.LevelStop
		}
		s.mu.Lock()
		s.beat.Answer(clock.Boot(), a.Value, a.Valid, level)
		s.mu.Unlock()
		s.phase(clock.Boot())
	})
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = n.Run(ctx) })
	wait.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for seq := uint64(1); ; seq++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			var value [16]byte
			_, _ = rand.Read(value[:])
			phase := s.phase(clock.Boot())
			s.mu.Lock()
			_ = s.beat.Issue(clock.Boot(), value)
			s.mu.Unlock()
			gmu.Lock()
			line := g.AppendChallenge(nil, value, phase)
			gmu.Unlock()
			if sent, err := out.PublishString(seq, line); err == nil {
				s.mu.Lock()
				s.taken += sent.Delivered
				s.mu.Unlock()
			}
		}
	})
	ts.Defer(func() { cancel(); wait.Wait() })
}

// heard waits until the robot's side has come to a phase.
func heard(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value("robot").(*side) //nolint:forcetypeassert // set up above
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		phases := strings.Join(s.phases, " ")
		s.mu.Unlock()
		if strings.HasSuffix(phases, args[0]) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("the robot's side has heard %q, expected %q at last", phases, args[0])
		}
	}
}

// asked waits until a desk was sent so many challenges.
func asked(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value("robot").(*side) //nolint:forcetypeassert // set up above
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		taken := s.taken
		s.mu.Unlock()
		if taken >= want {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%d challenges were sent to a desk, expected %d", taken, want)
		}
	}
}

// listens waits until a desk has asked the master: from then on it knows what to do with a signal.
func listens(ts *testscript.TestScript, _ bool, _ []string) {
	m := ts.Value("master").(*rostest.Master) //nolint:forcetypeassert // set up above
	for end := time.Now().Add(time.Minute); m.Calls("getSystemState") == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("no desk has asked the master")
		}
	}
}

// term sends SIGTERM to what runs in the background.
func term(ts *testscript.TestScript, _ bool, _ []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGTERM))
	}
}

// private makes a file its owner's alone.
func private(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.Chmod(ts.MkAbs(args[0]), 0o600))
}
