package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// TestDiskSetBack restores an image of the guard's state between two starts, with the TPM there and without: the real guard and the
// real courier, and a TPM that loses power.
func TestDiskSetBack(t *testing.T) {
	t.Parallel()
	onThese(t, []bus.Kind{bus.ROS}, diskSetBack)
}

func diskSetBack(t *testing.T, b bus.Bus) {
	s := newSite(t, b, siteConfig{lock: true})
	socket, on := stoppableTPM(t)
	off := on()
	deployment := string(must(os.ReadFile(s.path("deployment.yaml")))(t))
	// No broker listens there: the guard needs the courier for the TPM alone.
	s.write(t, "deployment.yaml", deployment+fmt.Sprintf(`courier:
  {broker: "tls://127.0.0.1:1", prefix: %s, ca: ca.pem, certificate: robot.pem, tpm: %s, state_dir: courier, bandwidth_kib_s: 64, state_every: 1s}
`, sitePrefix, socket))
	proc.StartT(t, proc.Spec{Name: "courier", Argv: []string{binary(t), "courier", "--deployment", s.path("deployment.yaml")}})

	const within = 60 * time.Second
	run := func(what string, want func(agent.Status) bool) (*guard, agent.Status) {
		t.Helper()
		g := s.start(t)
		return g, g.await(t, what, within, want)
	}
	proven := func(st agent.Status) bool { return st.Age.State == "proven" && !has(st, "state.unproven") }
	setBack := func(st agent.Status) bool {
		return st.Age.State == "set-back" && has(st, "state.rolled-back") && has(st, "state.unproven") && st.Axes.Motion == "stop"
	}
	image := func() string {
		t.Helper()
		to := t.TempDir()
		if err := os.CopyFS(to, os.DirFS(s.path("state"))); err != nil {
			t.Fatal(err)
		}
		return to
	}
	restore := func(from string) {
		t.Helper()
		if err := os.RemoveAll(s.path("state")); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(s.path("state"), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}

	g, _ := run("a first count", proven)
	g.Kill() // each run ends as by a power cut
	g, st := run("an undisturbed start (off)", func(st agent.Status) bool { return proven(st) && !has(st, "state.rolled-back") })
	g.Kill()
	old, counted := image(), st.Age.Counter
	g, st = run("another undisturbed start", proven)
	if st.Age.Counter != counted+1 {
		t.Errorf("counted from %d to %d in one start", counted, st.Age.Counter)
	}
	g.Kill()

	restore(old)
	g, st = run("an old disk that is noticed", setBack)
	t.Logf("%+v", st.Age)
	s.revision++
	if r := g.order(t, s.signPolicy(t, strings.Replace(s.policy, "revision: 1", "revision: 2", 1), 2)); r.Accepted || r.Reason != "state-unproven" {
		t.Errorf("an order that may be old: %+v", r)
	}
	if r := g.order(t, s.resetOrder(t, st, s.engineer)); r.Triggers["state.rolled-back"] == "reset" {
		t.Errorf("the safety engineer resets it: %+v", r)
	}
	if st, _ := g.status(); !setBack(st) {
		t.Errorf("not set back any more: %+v", st.Age)
	}
	g.order(t, s.resetOrder(t, st, s.security))
	g.await(t, "a new beginning after the reset of who handles incidents", within, func(st agent.Status) bool { return proven(st) && !has(st, "state.rolled-back") })
	g.Kill()

	off()
	restore(old)
	g, st = run("an old disk without its TPM", func(st agent.Status) bool {
		return st.Age.State == "unproven" && strings.Contains(st.Age.Text, "TPM is gone") && has(st, "state.unproven")
	})
	t.Logf("%+v", st.Age)
	off = on()
	g.await(t, "an old disk that is noticed once the TPM is back", within, setBack)
	g.Kill()
	off()
}
