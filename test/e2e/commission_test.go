package e2e

import (
	"bufio"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// commission follows what the program says, as a technician would, and returns what it said and how it ended.
func (g *guard) commission(t *testing.T, h *driver.Hands, record string) (said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(t), "commission", "--socket", g.site.path("control.sock"), "--speed", "1.2", "--out", record)
	in := must(cmd.StdinPipe())(t)
	out := must(cmd.StdoutPipe())(t)
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	turns := false
	for s := bufio.NewScanner(out); s.Scan(); {
		line := s.Text()
		all.WriteString(line + "\n")
		switch {
		case strings.Contains(line, "Turn on the spot"):
			turns = true
		case strings.Contains(line, "Drive straight on"):
			turns = false
		case strings.Contains(line, "Press Enter when ready"):
			h.Set(0, 0)
			_, _ = io.WriteString(in, "\n") // a program that has ended reads nothing
		case strings.Contains(line, "press Enter again"):
			time.Sleep(200 * time.Millisecond) // as a technician would, who is told that the robot does not stand yet
			_, _ = io.WriteString(in, "\n")
		case strings.Contains(line, "drive now") && turns:
			h.Set(0, 0.8)
		case strings.Contains(line, "drive now"):
			h.Set(1.2, 0)
		case strings.Contains(line, "let go"), strings.Contains(line, "measured"), strings.Contains(line, "does not count"):
			h.Set(0, 0)
		}
	}
	h.Set(0, 0)
	return all.String(), cmd.Wait()
}

// TestCommissioningOnTheBus tests a real robot with the real program: it passes, its record is signed and installed, and what
// was advisory is enforcing. Killed in the middle of the next test, the guard leaves a robot at rest and the record in force.
func TestCommissioningOnTheBus(t *testing.T) {
	t.Parallel()
	onThese(t, []bus.Kind{bus.ROS}, commissioned)
}

func commissioned(t *testing.T, m bus.Bus) {
	s := newSite(t, m, siteConfig{lock: true})
	robot := plant.Start(t, m, plant.Config{LockTopic: "/robowarden/lock", CommandTimeout: 400 * time.Millisecond, DeadTime: 100 * time.Millisecond, Decel: 1.25, Lag: time.Nanosecond})
	g := s.start(t)
	g.ready(t)
	st := g.await(t, "an advisory guard", 5*time.Second, func(st agent.Status) bool { return st.Advisory && st.Commissioning.State == "missing" })
	if !has(st, "actuator.advisory") {
		t.Errorf("advisory without saying so: %+v", st.Triggers)
	}
	h := driver.StartHands(t, m)
	// A busy machine may starve the plant for a moment, which ends a test as it should; then the technician begins again.
	for n := 0; ; n++ {
		said, err := g.commission(t, h, s.path("record.json"))
		if err == nil {
			break
		}
		if t.Logf("%s", said); n == 2 || !strings.Contains(said, "the test is over") && !strings.Contains(said, "does not begin") {
			t.Fatalf("the robot did not pass: %v", err)
		}
		g.ready(t)
	}
	rec, err := order.DecodeCommissioning(must(os.ReadFile(s.path("record.json")))(t))
	if err != nil || !rec.Enough() {
		t.Fatalf("the record: %v, %+v", err, rec)
	}
	for _, it := range rec.Items {
		if it.Name == "deceleration" && math.Abs(it.Mean-1.25) > 0.05*1.25 {
			t.Errorf("deceleration %.3f, the truth is 1.25", it.Mean)
		}
	}

	// Somebody else's signature does not count, nor any other text.
	raw := must(os.ReadFile(s.path("record.json")))(t)
	install := func(payload []byte, by string, ok bool) {
		t.Helper()
		key := s.technician
		if by != "technician" {
			key = s.engineer
		}
		s.write(t, "record.dsse.json", string(must(order.SignDocument(order.CommissioningType, payload, key))(t)))
		out, err := exec.CommandContext(t.Context(), binary(t), "commission", "--socket", s.path("control.sock"), "--install", s.path("record.dsse.json")).CombinedOutput()
		if (err == nil) != ok {
			t.Errorf("install by the %s: %v\n%s", by, err, out)
		}
	}
	install(raw, "engineer", false)
	install([]byte(strings.Replace(string(raw), "m/s2", "m/s3", 1)), "technician", false)
	install(raw, "technician", true)
	g.await(t, "an enforcing guard", 5*time.Second, func(st agent.Status) bool {
		return !st.Advisory && st.Commissioning.State == "valid" && st.Commissioning.By == "tara" && st.Commissioning.Due != ""
	})

	// The next test is cut off while the robot drives.
	next := make(chan error, 1)
	again := func() {
		_, err := g.commission(t, h, s.path("next.json"))
		next <- err
	}
	go again()
	until(t, 40*time.Second, "a drive", func() bool {
		select {
		case <-next:
			go again()
		default:
		}
		samples := robot.Truth(t).Samples
		return len(samples) > 0 && samples[len(samples)-1].Speed() > 0.5
	})
	g.Kill()
	robot.WaitTruth(t, 5*time.Second, "rest", rests)
	if err := <-next; err == nil {
		t.Error("a test whose guard was killed passed")
	}
	if _, err := os.Stat(s.path("next.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a record of a test that was cut off: %v", err)
	}
	g = s.start(t)
	g.await(t, "the record in force, and a robot that waits for a reset", 20*time.Second, func(st agent.Status) bool {
		return st.Commissioning.State == "valid" && has(st, "restart.unclean") && st.Axes.Motion == "hold"
	})
}

func rests(s oracle.Sample) bool { return s.Speed() < 0.01 && math.Abs(s.W) < 0.01 }
