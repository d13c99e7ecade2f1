package hostile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/internal/wire"
)

func TestAttacksAreNamedOnceAndExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range All() {
		if seen[a.Name] || a.Claims == "" || a.Run == nil || a.Needs&NeedNode == 0 {
			t.Errorf("attack %q: named twice, or without claim, needs or function", a.Name)
		}
		seen[a.Name] = true
	}
	if _, err := Named("no-such-attack"); err == nil {
		t.Error("an unknown name was found")
	}
	t.Logf("%d attacks", len(seen))
}

func TestForLeavesOutWhatTheTargetLacks(t *testing.T) {
	few := For(Target{Master: "x", Node: "/n"})
	for _, a := range few {
		if a.Needs != NeedNode {
			t.Errorf("%s needs more than a node", a.Name)
		}
	}
	all := For(Target{
		Master: "x", Node: "/n", PoseTopic: "/p", ServedTopic: "/s", CommandIn: "/i", CommandOut: "/o", LockTopic: "/l",
		Base: "/b", Trusted: "/t", Service: "/v", ChallengeTopic: "/c", AnswerTopic: "/a", OrderTopic: "/r",
	})
	if len(few) == 0 || len(all) != len(All()) {
		t.Errorf("%d attacks on a bare node, %d of %d on a full one", len(few), len(all), len(All()))
	}
}

func TestOnlyLoopbackIsAttacked(t *testing.T) {
	for uri, ok := range map[string]bool{
		"http://127.0.0.1:11311/": true, "http://[::1]:11311/": true, "http://localhost:1/": true,
		"http://192.0.2.1:11311/": false, "http://10.0.0.1:80/": false, "http://0.0.0.0:1/": false, "http://": false, "": false,
	} {
		if _, err := hostPort(uri); (err == nil) != ok {
			t.Errorf("%q: %v", uri, err)
		}
	}
	if m, err := StartFakeMaster("192.0.2.1:0", LieEmpty, ""); err == nil {
		_ = m.Close()
		t.Error("a false master off the loopback")
	}
}

// TestAbsentTargetIsNoSurface is the off case of all attacks: without a victim none of them may claim success.
func TestAbsentTargetIsNoSurface(t *testing.T) {
	t.Parallel()
	m := ros.StartMaster(t, ros.Options{})
	target := Target{
		Master: m.URI(), Node: "/victim", PoseTopic: "/odom", PoseType: wire.Odometry, ServedTopic: "/served", ServedType: wire.String,
		CommandIn: "/cmd_vel", CommandOut: "/cmd_vel", LockTopic: "/lock", Base: "/plant", Trusted: "/planner", Service: "/stop",
		ChallengeTopic: "/challenge", AnswerTopic: "/answer", OrderTopic: "/order", Duration: 50 * time.Millisecond,
	}
	ctx := within(t, 100*time.Second)
	for _, a := range All() {
		if strings.HasPrefix(a.Name, "graph-") {
			continue // these are aimed at the master, which is there
		}
		if a.Name == "feed-impostor" {
			continue // there is nobody to pose as, which is a mistake in the scene and not a defence
		}
		short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		// On a busy machine the time may be over before the master has answered.
		if err := a.Run(short, target); !Deflected(err) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want a deflected attack", a.Name, err)
		}
		cancel()
	}
}

func TestOutcomeTellsDefenceFromFailure(t *testing.T) {
	for err, want := range map[error]bool{
		nil:                                      false,
		&wire.Refused{Method: "shutdown"}:        true,
		&wire.Fault{Code: 1}:                     true,
		fmt.Errorf("x: %w", &net.OpError{}):      true,
		errors.New("at http://x: HTTP status 4"): true,
		errors.New("cannot parse"):               false,
	} {
		if got := Deflected(outcome(err)); got != want {
			t.Errorf("%v: deflected %v, want %v", err, got, want)
		}
	}
}

func TestMutatorIsReproducibleAndBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
		before := bytes.Clone(b)
		m1, m2 := NewMutator(seed), NewMutator(seed)
		for range 5 {
			x, y := m1.Mutate(b), m2.Mutate(b)
			if !bytes.Equal(x, y) {
				t.Fatal("the same seed gave other bytes")
			}
			if !bytes.Equal(b, before) {
				t.Fatal("the input was changed")
			}
			if len(x) > len(b)+4*64 {
				t.Fatalf("%d bytes grew to %d", len(b), len(x))
			}
		}
	})
}

func TestMutatorChangesNearlyAlways(t *testing.T) {
	m, same := NewMutator(1), 0
	b := wire.EncodeHeader("callerid", "/x", "topic", "/odom")
	seen := map[string]bool{}
	for range 1000 {
		x := m.Mutate(b)
		if bytes.Equal(x, b) {
			same++
		}
		seen[string(x)] = true
	}
	if same > 150 || len(seen) < 800 {
		t.Errorf("%d of 1000 unchanged, %d different", same, len(seen))
	}
}

func TestFakeMasterLies(t *testing.T) {
	t.Parallel()
	for lie, check := range map[Lie]func(v any, err error) bool{
		LieForged: func(v any, err error) bool {
			l, ok := v.([]any)
			return err == nil && ok && len(l) == 1 && l[0] == "http://e/"
		},
		LieEmpty:   func(v any, err error) bool { l, ok := v.([]any); return err == nil && ok && len(l) == 0 },
		LieHuge:    func(v any, err error) bool { l, ok := v.([]any); return err == nil && ok && len(l) == 100000 },
		LieRefuse:  func(_ any, err error) bool { r := (*wire.Refused)(nil); return errors.As(err, &r) },
		LieSilent:  func(_ any, err error) bool { return errors.Is(err, context.DeadlineExceeded) },
		LieGarbage: func(_ any, err error) bool { return err != nil && !errors.Is(err, context.DeadlineExceeded) },
	} {
		m, err := StartFakeMaster("127.0.0.1:0", lie, "http://e/")
		if err != nil {
			t.Fatal(err)
		}
		limit := 30 * time.Second
		if lie == LieSilent {
			limit = 200 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		v, err := wire.CallROS(ctx, m.URI(), "registerSubscriber", "/n", "/odom", "x/Y", "http://n/")
		cancel()
		if !check(v, err) {
			t.Errorf("lie %d: %.60v, %v", lie, v, err)
		}
		if calls := m.Calls(); !slices.Equal(calls, []string{"registerSubscriber /n /odom x/Y http://n/"}) {
			t.Errorf("calls %q", calls)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}
