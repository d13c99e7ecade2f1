package driver

import (
	"context"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/internal/wire"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

var body = oracle.Contour{oracle.Rectangle(-0.3, -0.25, 0.3, 0.25)}

func TestDriveIsTheSameCommandAtItsRate(t *testing.T) {
	t.Parallel()
	m := ros.StartMaster(t, ros.Options{})
	n, err := wire.NewNode(wire.NodeConfig{Name: "/ear", Master: m.URI()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	type arrival struct {
		twist wire.TwistMsg
		at    time.Time
	}
	got := make(chan arrival, 1000)
	_, err = n.Subscribe(within(t, 5*time.Second), "/cmd_vel_raw", wire.Twist, func(msg wire.Message) {
		twist, err := wire.ParseTwist(msg.Body)
		if err != nil || msg.Caller != "/planner" {
			t.Errorf("from %s: %v", msg.Caller, err)
		}
		got <- arrival{twist, msg.At}
	})
	if err != nil {
		t.Fatal(err)
	}
	p := StartDrive(t, m, Drive{VX: 0.7, VY: -0.1, W: 0.2, Rate: 100, Duration: 2 * time.Second})
	if exit, err := p.Wait(within(t, 10*time.Second)); err != nil || exit.Code != 0 {
		t.Fatalf("%v, %v", exit, err)
	}
	want := wire.TwistMsg{Linear: [3]float64{0.7, -0.1}, Angular: [3]float64{2: 0.2}}
	var gaps []time.Duration
	last := <-got
	for a := range drain(got) {
		if a.twist != want && a.twist != (wire.TwistMsg{}) {
			t.Fatalf("command %+v", a.twist)
		}
		gaps = append(gaps, a.at.Sub(last.at))
		last = a
	}
	// The median bears a busy machine.
	slices.Sort(gaps)
	if gap := gaps[len(gaps)/2]; gap < 5*time.Millisecond || gap > 20*time.Millisecond {
		t.Errorf("%v between commands, want 10ms", gap)
	}
	if last.twist != (wire.TwistMsg{}) {
		t.Errorf("the last command was %+v, want zero", last.twist)
	}
}

// drain yields what is in the channel now.
func drain[T any](c chan T) func(func(T) bool) {
	return func(yield func(T) bool) {
		for {
			select {
			case v := <-c:
				if !yield(v) {
					return
				}
			default:
				return
			}
		}
	}
}

func TestWardTourStaysInTheMiddleOfItsCorridors(t *testing.T) {
	t.Parallel()
	m := ros.StartMaster(t, ros.Options{})
	robot := plant.Start(t, m, plant.Config{X: WardStart.X, Y: WardStart.Y, CommandTopic: "/cmd_vel_raw", Decel: 1.5, Accel: 1.5})
	tour := WardTour(1, 1.5).First(1)
	planner := StartTour(t, m, tour)
	took, err := TourTime(within(t, 60*time.Second), planner)
	if err != nil {
		t.Fatal(err)
	}
	// 18.4 m at 1.5 m/s, and some time to get going and to slow down.
	if took < 12*time.Second || took > 20*time.Second {
		t.Errorf("18.4 m took %v", took)
	}
	k, err := oracle.JudgeKeepOut(robot.Truth(t), body, WardZones())
	if err != nil || k.Inside || k.MinGapM < 1.2 {
		t.Errorf("%+v, %v; want 1.35 m to the walls", k, err)
	}
}

func TestTourTurnsAndWaits(t *testing.T) {
	t.Parallel()
	m := ros.StartMaster(t, ros.Options{})
	robot := plant.Start(t, m, plant.Config{CommandTopic: "/cmd_vel_raw"})
	tour := Tour{Speed: 1, Places: []Place{{X: 1.5, Wait: time.Second}, {X: 1.5, Y: 1.5}, {}}}
	took, err := TourTime(within(t, 60*time.Second), StartTour(t, m, tour))
	if err != nil || took < 6*time.Second {
		t.Fatalf("took %v, %v", took, err)
	}
	for _, p := range tour.Places {
		near := math.Inf(1)
		for _, s := range robot.Truth(t).Samples {
			near = min(near, math.Hypot(s.X-p.X, s.Y-p.Y))
		}
		if near > 0.3 {
			t.Errorf("came no nearer than %.2f m to %+v", near, p)
		}
	}
}

func TestTourGivesUpOnARobotThatDoesNotMove(t *testing.T) {
	t.Parallel()
	m := ros.StartMaster(t, ros.Options{})
	plant.Start(t, m, plant.Config{CommandTopic: "/elsewhere"})
	planner := StartTour(t, m, Tour{Speed: 1, Places: []Place{{X: 5}}, Timeout: time.Second})
	if took, err := TourTime(within(t, 10*time.Second), planner); err == nil || !strings.Contains(err.Error(), "tour timeout") {
		t.Fatalf("%v, %v; want a timeout", took, err)
	}
}

func TestWardHasRoomOnItsMiddleLines(t *testing.T) {
	tour := WardTour(4, 1)
	at, length := WardStart, 0.0
	for _, p := range tour.Places {
		for i := range 100 {
			f := float64(i) / 100
			x, y := at.X+f*(p.X-at.X), at.Y+f*(p.Y-at.Y)
			for _, z := range WardZones() {
				if d := body.At(x, y, math.Atan2(p.Y-at.Y, p.X-at.X)).Distance(z); d < 1.25 {
					t.Fatalf("%.2f m from %s at %.1f, %.1f", d, z.ID, x, y)
				}
			}
		}
		length += math.Hypot(p.X-at.X, p.Y-at.Y)
		at = p
	}
	if at.X != WardStart.X || at.Y != WardStart.Y {
		t.Errorf("the tour ends at %+v", at)
	}
	if length < 550 || length > 650 {
		t.Errorf("four laps are %.0f m, want ten minutes at 1 m/s with turns and stops", length)
	}
}

// talk sends challenges to an operator and collects its answers.
type talk struct {
	*Operator
	pub     *wire.Publisher
	answers chan string
	key     []byte
	n       byte
}

func newTalk(t *testing.T) *talk {
	t.Helper()
	m := ros.StartMaster(t, ros.Options{})
	n, err := wire.NewNode(wire.NodeConfig{Name: "/guard", Master: m.URI()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	k := &talk{answers: make(chan string, 100), key: []byte("thirty-two bytes of a test key!!")}
	ctx := within(t, 20*time.Second)
	if k.pub, err = n.Advertise(ctx, wire.PublisherConfig{Topic: "/robowarden/challenge", Type: wire.String}); err != nil {
		t.Fatal(err)
	}
	_, err = n.Subscribe(ctx, "/robowarden/answer", wire.String, func(msg wire.Message) {
		s, err := wire.ParseString(msg.Body)
		if err != nil {
			t.Error(err)
		}
		k.answers <- s
	})
	if err != nil {
		t.Fatal(err)
	}
	k.Operator = StartOperator(t, m, OperatorConfig{Robot: "porter-1", Endpoint: "desk", Key: k.key})
	if err := k.pub.WaitPeers(ctx, 1); err != nil {
		t.Fatal(err)
	}
	// The operator listens before its answers are listened to: ask until one comes back, then take in all the others.
	for {
		h := k.ask(t, "ok")
		if k.answered(h, 200*time.Millisecond) {
			return k
		}
		if ctx.Err() != nil {
			t.Fatal("no answer at all")
		}
	}
}

// answered waits for any answer to the challenge and drops all others.
func (k *talk) answered(h Heartbeat, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case a := <-k.answers:
			if strings.Contains(a, h.Challenge) {
				return true
			}
		case <-timer.C:
			return false
		}
	}
}

// next is the next answer, or "" after the limit.
func (k *talk) next(limit time.Duration) string {
	select {
	case a := <-k.answers:
		return a
	case <-time.After(limit):
		return ""
	}
}

// ask sends a fresh challenge and returns it.
func (k *talk) ask(t *testing.T, level string) Heartbeat {
	t.Helper()
	k.n++
	var nonce [16]byte
	nonce[15] = k.n
	h := Heartbeat{
		Robot: "porter-1", BootID: "00112233445566778899aabbccddeeff", Endpoint: "desk",
		Challenge: hex.EncodeToString(nonce[:]), Level: level,
	}
	k.pub.Send(wire.StringBody(h.Line()))
	return h
}

// TestAnswerByHand compares with openssl: printf 'robowarden/heartbeat/v1\0r\0b\0e\0c\0ok' | openssl dgst -sha256 -hmac k.
func TestAnswerByHand(t *testing.T) {
	h := Heartbeat{Robot: "r", BootID: "b", Endpoint: "e", Challenge: "c", Level: "ok"}
	if got, want := h.Line(), "rw1 challenge r b e c ok"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	want := "rw1 answer e c ok 04400f236ca3051b1547f777e8fed744b0ca8487d68df9b2bdde5c71b5acf929"
	if got := h.Answer([]byte("k")); got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
}

func TestOperatorAnswersAsTheProtocolSays(t *testing.T) {
	t.Parallel()
	k := newTalk(t)
	h := k.ask(t, "ok")
	if got, want := k.next(5*time.Second), h.Answer(k.key); got != want {
		t.Fatalf("answer %q, want %q", got, want)
	}
	// Other robots' and endpoints' challenges are not its business, nor is anything that is not a challenge.
	for _, line := range []string{
		Heartbeat{Robot: "porter-2", BootID: h.BootID, Endpoint: "desk", Challenge: h.Challenge, Level: "ok"}.Line(),
		Heartbeat{Robot: "porter-1", BootID: h.BootID, Endpoint: "gate", Challenge: h.Challenge, Level: "ok"}.Line(),
		"rw1 answer desk x ok y", "", "rw2 challenge porter-1 b desk c ok",
	} {
		k.pub.Send(wire.StringBody(line))
	}
	if got := k.next(300 * time.Millisecond); got != "" {
		t.Fatalf("answered %q", got)
	}
}

func TestOperatorFaults(t *testing.T) {
	t.Parallel()
	k := newTalk(t)
	const patience = 5 * time.Second
	check := func(name string, want func(h Heartbeat) []string) {
		t.Helper()
		k.Fault(t, "clear")
		k.Fault(t, name)
		h := k.ask(t, "ok")
		for _, w := range want(h) {
			if got := k.next(patience); got != w {
				t.Errorf("%s: answer %q, want %q", name, got, w)
			}
		}
		if got := k.next(200 * time.Millisecond); got != "" {
			t.Errorf("%s: one answer too many: %q", name, got)
		}
	}
	check("silent", func(Heartbeat) []string { return nil })
	check("wrong_key", func(h Heartbeat) []string { return []string{h.Answer(make([]byte, 32))} })
	check("duplicated", func(h Heartbeat) []string { return []string{h.Answer(k.key), h.Answer(k.key)} })
	check("wrong_boot", func(h Heartbeat) []string {
		h.BootID = strings.Repeat("0", 32)
		return []string{h.Answer(k.key)}
	})
	check("level stop", func(h Heartbeat) []string {
		h.Level = "stop"
		return []string{h.Answer(k.key)}
	})
	k.Fault(t, "clear")
	before := k.ask(t, "ok")
	if got := k.next(patience); got != before.Answer(k.key) {
		t.Fatalf("answer %q", got)
	}
	check("frozen", func(Heartbeat) []string { return []string{before.Answer(k.key)} })
	k.Fault(t, "clear")
	k.Fault(t, "garbage")
	k.ask(t, "ok")
	if got := k.next(patience); len(strings.Split(got, " ")) == 6 || got == "" {
		t.Errorf("garbage: %q looks like an answer", got)
	}
	k.Fault(t, "delayed 0.5")
	start, h := time.Now(), k.ask(t, "ok")
	if got := k.next(patience); got != h.Answer(k.key) || time.Since(start) < 450*time.Millisecond {
		t.Errorf("delayed: %q after %v", got, time.Since(start))
	}
}
