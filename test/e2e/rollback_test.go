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
	second := func() []byte { return s.signPolicy(t, strings.Replace(s.policy, "revision: 1", "revision: 2", 1), 2) }
	g = s.start(t)
	g.await(t, "a guard that answers", within, func(agent.Status) bool { return true })
	// Most likely the TPM has not answered yet: the policy, which names no run, waits for it then and comes into force by itself.
	if r := g.order(t, second()); r.Reason != agent.ReasonWaits && !r.Applied {
		t.Errorf("a policy right after the start: %+v", r)
	} else {
		t.Logf("a policy right after the start: applied %t, %s", r.Applied, r.Reason)
	}
	st = g.await(t, "another undisturbed start, and a policy that waited", within, func(st agent.Status) bool {
		return proven(st) && st.Policy.Revision == 2 && len(st.Waiting) == 0
	})
	if st.Age.Counter != counted+1 {
		t.Errorf("counted from %d to %d in one start", counted, st.Age.Counter)
	}
	g.Kill()

	restore(old)
	g, st = run("an old disk that is noticed", setBack)
	t.Logf("%+v", st.Age)
	if r := g.order(t, second()); r.Accepted || r.Reason != "state-unproven" {
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
	if r := g.order(t, second()); r.Accepted || r.Reason != agent.ReasonWaits || !strings.Contains(r.Text, st.Nonce) {
		t.Errorf("an order that may be old: %+v", r)
	}
	if st := g.run(t); len(st.Waiting) != 1 || st.Waiting[0].Kind != "policy-set" || st.Policy.Revision != 1 {
		t.Errorf("it waits, and does nothing: %+v, policy %d", st.Waiting, st.Policy.Revision)
	}
	off = on()
	g.await(t, "an old disk that is noticed once the TPM is back", within, func(st agent.Status) bool {
		return setBack(st) && len(st.Waiting) == 0 && st.Policy.Revision == 1
	})
	g.Kill()
	off()
}

// TestDiskSetBackUnseen restores an image of the guard's state on a robot without a TPM, where nothing can notice it: what was used up
// before does nothing until it is signed for the run that hears it. Each run ends by a kill. Off, the disk stays as it is, and the record
// of used orders refuses it by itself.
func TestDiskSetBackUnseen(t *testing.T) {
	t.Parallel()
	for name, sets := range map[string]bool{"set back": true, "as it is (off)": false} {
		t.Run(name, func(t *testing.T) { t.Parallel(); diskSetBackUnseen(t, sets) })
	}
}

func diskSetBackUnseen(t *testing.T, sets bool) {
	s := newSite(t, meet(t, bus.ROS), siteConfig{lock: true})
	policy := func(n uint64, run ...agent.Status) []byte {
		return s.signPolicy(t, strings.Replace(s.policy, "revision: 1", fmt.Sprintf("revision: %d", n), 1), n, run...)
	}
	first, second := policy(1), policy(2)
	const within = 60 * time.Second
	start := func(deployed []byte, revision int64) (*guard, agent.Status) {
		t.Helper()
		s.write(t, "policy.dsse.json", string(deployed))
		g := s.start(t)
		return g, g.await(t, "a guard that answers", within, func(st agent.Status) bool {
			return st.Policy.Revision == revision && st.Age.State == "unproven" && has(st, "state.unproven")
		})
	}
	latched := func(st agent.Status) bool {
		for _, x := range st.Triggers {
			if x.Code == "order.stop" {
				return x.Latched
			}
		}
		return false
	}
	// reset signs for the run that the status shows until nothing but the cause is in its way.
	reset := func(g *guard) []byte {
		t.Helper()
		var envelope []byte
		until(t, within, "a stop that is reset", func() bool {
			envelope = s.resetOrder(t, g.run(t), s.operator)
			return g.order(t, envelope).Triggers["order.stop"] == "done"
		})
		return envelope
	}
	latches := func() string { return string(must(os.ReadFile(s.path("state/latches")))(t)) }
	g, _ := start(first, 1)
	before := latches()
	g.order(t, s.stopOrder(t))
	g.await(t, "a stop that is on disk", within, func(st agent.Status) bool { return latched(st) && latches() != before })
	g.Kill()
	image := t.TempDir()
	if err := os.CopyFS(image, os.DirFS(s.path("state"))); err != nil {
		t.Fatal(err)
	}
	g, _ = start(second, 2)
	used := reset(g)
	g.Kill()
	deployed, revision := second, int64(2)
	if sets {
		if err := os.RemoveAll(s.path("state")); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(s.path("state"), os.DirFS(image)); err != nil {
			t.Fatal(err)
		}
		deployed, revision = first, 1
	}
	g, st := start(deployed, revision)
	if sets && !latched(st) {
		t.Error("the stop of before is not latched: this is no old disk")
	}
	if r := g.order(t, used); r.Accepted || r.Reason != "nonce-mismatch" {
		t.Errorf("a reset of another run: %+v", r)
	}
	if !sets {
		if r := g.order(t, policy(1)); r.Accepted || r.Reason != "sequence-too-old" {
			t.Errorf("off: a policy that was used up: %+v", r)
		}
		return
	}
	if r := g.order(t, second); r.Accepted || r.Reason != agent.ReasonWaits || !strings.Contains(r.Text, "--nonce "+st.Nonce) {
		t.Errorf("a policy that was used up: %+v", r)
	}
	if st := g.run(t); len(st.Waiting) != 1 || st.Policy.Revision != 1 || !latched(st) {
		t.Errorf("%+v wait, policy %d, stopped %t", st.Waiting, st.Policy.Revision, latched(st))
	}
	g.Kill() // between its coming and its effect
	g, st = start(first, 1)
	if len(st.Waiting) != 0 {
		t.Errorf("after a kill %+v wait", st.Waiting)
	}
	if r := g.order(t, policy(2, st)); !r.Applied {
		t.Errorf("a policy that is signed for this run: %+v", r)
	}
	reset(g)
	g.Kill()
	// What was signed for the run before is in force all the same.
	g, _ = start(first, 2)
	g.Kill()
}
