package live

import (
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/console"
	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/guard"
)

// guardSide answers each question with the status that is set, or with bytes that are none.
type guardSide struct {
	status atomic.Pointer[agent.Status]
	asked  atomic.Int64
	other  atomic.Bool // something else than the status was asked
	broken atomic.Bool
}

func (g *guardSide) listen(t *testing.T, path string) (stop func()) {
	t.Helper()
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			var b [1 << 10]byte
			n, _ := c.Read(b[:])
			g.asked.Add(1)
			if n > 0 && (n != 1 || b[0] != contract.FrameStatusRequest) {
				g.other.Store(true)
			}
			raw, _ := json.Marshal(g.status.Load())
			if g.broken.Load() {
				raw = []byte(`{"mode": 7`)
			}
			_, _ = c.Write(raw)
			_ = c.Close()
		}
	}()
	return func() { _ = l.Close(); <-done }
}

func demoConfig(t *testing.T) *config.Config {
	t.Helper()
	demo := filepath.Join("..", "..", "..", "configs", "demo")
	cfg, err := config.Load(nil, filepath.Join(demo, "policy.yaml"), filepath.Join(demo, "profile.yaml"), filepath.Join(demo, "topics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func walking(cfg *config.Config) *agent.Status {
	return &agent.Status{
		Robot: "demo/1", Journal: "writable", Clock: "trusted", Policy: agent.PolicyStatus{ID: "demo", Revision: 1, Digest: cfg.Digests.Policy.String()},
		Status: guard.Status{
			Mode: "limited", Axes: guard.AxesStatus{Motion: "limited", MaxSpeedMPS: 0.8, Manipulators: "free", Perception: "free", Remote: "free"},
			StopCategory: "none", Floor: "ground", X: 14, Y: 12, SpeedMPS: 0.7, Place: "outside",
			Zones:       []guard.ZoneStatus{{ID: "pharmacy", Place: "margin", MarginM: 0.2}},
			Attestation: guard.AttestationStatus{State: "attested", Tier: "tpm", LeftS: 60},
			Commands:    []guard.CommandStatus{{Name: "planner", Health: "good", RateHz: 10}},
		},
	}
}

// await waits for a snapshot.
func await(t *testing.T, f *Feed, what string, is func(*console.Snapshot) bool) *console.Snapshot {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		s, newer := f.Latest()
		if s != nil && is(s) {
			return s
		}
		select {
		case <-newer:
		case <-deadline:
			t.Fatalf("never saw %s; the last was %+v", what, s)
		}
	}
}

func event(s *console.Snapshot, part string) bool {
	for _, e := range s.Events {
		if strings.Contains(e.Text, part) {
			return true
		}
	}
	return false
}

// TestFeedSurvivesRestarts: the guard walks, stops, goes away, says nonsense, and comes back.
func TestFeedSurvivesRestarts(t *testing.T) {
	cfg := demoConfig(t)
	path := filepath.Join(t.TempDir(), "s")
	g := &guardSide{}
	g.status.Store(walking(cfg))
	stop := g.listen(t, path)
	f, err := New(Options{Socket: path, Config: cfg, Every: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	s := await(t, f, "a walking robot", func(s *console.Snapshot) bool { return s.Mode == "limited" })
	if s.Pose == nil || len(s.Contour) < 3 || len(s.Predicted) < 3 || s.Attestation.State != "attested" || s.Channels[0].Health != console.HealthOK || s.Summary != "" {
		t.Errorf("%+v", s)
	}
	for i, z := range f.scene.Zones {
		if z.ID == "pharmacy" && s.ZoneStates[i].State != "near" {
			t.Errorf("pharmacy: %+v", s.ZoneStates[i])
		}
	}
	stopped := walking(cfg)
	stopped.Mode, stopped.Axes.Motion, stopped.StopCategory = "stop safely", "stop", "category 2"
	stopped.Triggers = []guard.TriggerStatus{{Code: "pose.stale", Title: "the pose is old", Text: "no pose for 1 s", Clear: "on-dwell"}}
	stopped.Policy.Digest = "sha256:another"
	stopped.Place = "unknown"
	g.status.Store(stopped)
	s = await(t, f, "a stop", func(s *console.Snapshot) bool { return event(s, "Stop safely") && event(s, "The pose is old") })
	if *s.StopCategory != 2 || s.Pose != nil || s.Contour != nil || !strings.Contains(s.Summary, "Another policy") || s.Triggers[0].Clear == "" {
		t.Errorf("%+v", s)
	}
	stop()
	g.broken.Store(true)
	stop = g.listen(t, path)
	asked := g.asked.Load()
	for deadline := time.Now().Add(20 * time.Second); g.asked.Load() < asked+3 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond) // A poll with a deadline.
	}
	g.broken.Store(false)
	g.status.Store(walking(cfg))
	await(t, f, "the guard's return", func(s *console.Snapshot) bool {
		return s.Mode == "limited" && event(s, "The guard does not answer") && event(s, "The guard answers again")
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	stop()
	if g.other.Load() {
		t.Error("something else than the status was asked")
	}
}

// TestFeedIsBounded: events and way do not grow.
func TestFeedIsBounded(t *testing.T) {
	f, err := New(Options{Socket: "x", Config: demoConfig(t), Every: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		f.tell(console.Event{Text: "x"})
		f.walk(&console.Snapshot{Floor: "ground", Pose: &console.Pose{X: console.Num(i)}})
	}
	if len(f.events) > console.MaxEvents || len(f.path) > console.MaxPath {
		t.Errorf("%d events, %d places", len(f.events), len(f.path))
	}
	if _, err := New(Options{Config: demoConfig(t)}); err == nil {
		t.Error("asking without a pause was taken")
	}
}

// TestOnlyAProofMakesTheDiskGood: what nobody has proven is unknown, and what was set back is lost, with the way out beside it.
func TestOnlyAProofMakesTheDiskGood(t *testing.T) {
	for state, health := range map[string]string{
		"proven": console.HealthOK, "unproven": console.HealthUnknown, "unsaid": console.HealthUnknown, "set-back": console.HealthLost, "other": console.HealthUnknown,
	} {
		st := &agent.Status{Age: agent.AgeStatus{State: state}, Waiting: make([]agent.WaitingStatus, 2)}
		st.Nonce = "0102"
		got := diskInput(st)
		if got.Health != health || strings.Contains(got.Text, "--nonce 0102") == (state == "proven") || !strings.HasSuffix(got.Text, "; 2 wait") {
			t.Errorf("%s: expected %s, found %+v", state, health, got)
		}
	}
}
