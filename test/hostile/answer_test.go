package hostile

import (
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/internal/wire"
)

func TestForgedMessagesAreSound(t *testing.T) {
	for typ, size := range map[wire.Type]int{
		wire.Twist: 48, wire.Bool: 1, wire.String: 4 + 6, wire.PoseStamped: 19 + 56, wire.PoseWithCovarianceStamped: 19 + 56 + 288,
		wire.Imu: 19 + 37*8, wire.TFMessage: 4 + 19 + 4 + 9 + 56, wire.Odometry: 19 + 4 + 9 + 85*8,
	} {
		if got := len(forged(typ, 1, time.Now())); got != size {
			t.Errorf("%s: %d bytes, want %d", typ.Name, got, size)
		}
		sound := string(forged(typ, 1, time.Unix(0, 0)))
		for _, b := range malformed(typ) {
			if string(b) == sound {
				t.Errorf("%s: a malformed message is sound", typ.Name)
			}
		}
		for i := range 100 {
			oddValues(typ, i) // the shortest messages have no room for numbers
		}
	}
	if _, err := wire.ParseImu(forged(wire.Imu, 1, time.Now())); err != nil {
		t.Error(err)
	}
	if _, err := wire.ParseJointState(forged(wire.JointState, 1, time.Now())); err != nil {
		t.Error(err)
	}
}

// guardPost sends a challenge each 100 ms and hears the answers; an honest operator answers them.
type guardPost struct {
	mu      sync.Mutex
	answers []wire.Message
	texts   []string
	right   map[string]bool
	target  Target
}

func newGuardPost(t *testing.T) *guardPost {
	t.Helper()
	m := ros.StartMaster(t, ros.Options{})
	ctx := within(t, 10*time.Second)
	node := func(name string) *wire.Node {
		n, err := wire.NewNode(wire.NodeConfig{Name: name, Master: m.URI()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		return n
	}
	g := &guardPost{right: map[string]bool{}, target: Target{
		Master: m.URI(), Node: "/guard", ChallengeTopic: "/challenge", AnswerTopic: "/answer", OrderTopic: "/answer",
		Duration: time.Second, Logf: t.Logf,
	}}
	guard, operator := node("/guard"), node("/operator")
	challenge, err := guard.Advertise(ctx, wire.PublisherConfig{Topic: "/challenge", Type: wire.String})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guard.Subscribe(ctx, "/answer", wire.String, g.hear); err != nil {
		t.Fatal(err)
	}
	answer, err := operator.Advertise(ctx, wire.PublisherConfig{Topic: "/answer", Type: wire.String})
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("key")
	_, err = operator.Subscribe(ctx, "/challenge", wire.String, func(msg wire.Message) {
		line, _ := wire.ParseString(msg.Body)
		w := strings.Split(line, " ")
		h := driver.Heartbeat{Robot: w[2], BootID: w[3], Endpoint: w[4], Challenge: w[5], Level: w[6]}
		g.mu.Lock()
		g.right[h.Answer(key)] = true
		g.mu.Unlock()
		answer.Send(wire.StringBody(h.Answer(key)))
	})
	if err != nil {
		t.Fatal(err)
	}
	n := byte(0)
	steadily(t, 100*time.Millisecond, func() {
		n++
		h := driver.Heartbeat{Robot: "r", BootID: strings.Repeat("0", 32), Endpoint: "desk", Challenge: hex.EncodeToString(make([]byte, 15)) + hex.EncodeToString([]byte{n}), Level: "ok"}
		challenge.Send(wire.StringBody(h.Line()))
	})
	for len(g.heard("/operator")) == 0 {
		if ctx.Err() != nil {
			t.Fatal("no honest answer")
		}
		time.Sleep(10 * time.Millisecond)
	}
	return g
}

func (g *guardPost) hear(msg wire.Message) {
	s, err := wire.ParseString(msg.Body)
	if err != nil {
		s = "unreadable"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answers = append(g.answers, wire.Message{Caller: msg.Caller})
	g.texts = append(g.texts, s)
}

// heard are the texts from one sender.
func (g *guardPost) heard(caller string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var texts []string
	for i, a := range g.answers {
		if a.Caller == caller {
			texts = append(texts, g.texts[i])
		}
	}
	return texts
}

func TestAnswersAreForged(t *testing.T) {
	t.Parallel()
	g := newGuardPost(t)
	for attack, ok := range map[string]func(text string) bool{
		"answer-forged": func(s string) bool {
			return strings.HasPrefix(s, "rw1 answer desk ") && len(strings.Split(s, " ")) == 6 && !g.right[s]
		},
		"answer-replayed": func(s string) bool { return g.right[s] },
		"answer-flood":    func(s string) bool { return !g.right[s] },
		"order-garbage":   func(s string) bool { return !g.right[s] },
	} {
		before := len(g.heard(Name))
		if err := run(t, attack, g.target); err != nil {
			t.Errorf("%s: %v", attack, err)
			continue
		}
		got := g.heard(Name)[before:]
		g.mu.Lock()
		if len(got) < 3 || slices.ContainsFunc(got, func(s string) bool { return !ok(s) }) {
			t.Errorf("%s: %d texts, not all as claimed: %.200q", attack, len(got), got)
		}
		g.mu.Unlock()
	}
}
