package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/agent/trial"
	"github.com/robowarden/robowarden/attest/artifact"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/plant"
)

// driven is a robot that drives by a model: the real guard and the real steward, and nobody else.
type driven struct {
	*guard
	site    *site
	steward *proc.Process
	b       bus.Bus
}

// startSteward starts the role, as the supervisor or systemd would after it has ended.
func (d *driven) startSteward(t *testing.T) {
	t.Helper()
	d.steward = proc.StartT(t, proc.Spec{Name: "steward", Argv: []string{binary(t), "steward", "--deployment", d.site.path("deployment.yaml")}})
}

// apply puts a release of one model in force.
func (d *driven) apply(t *testing.T, sequence uint64, version, text string, fallbacks ...string) {
	t.Helper()
	d.site.write(t, "models/"+text+"/policy.bin", "a policy that is "+text)
	files := must(artifact.ListFolder(t.Context(), d.site.path("models/"+text), nil, nil))(t)
	digest := artifact.TreeDigest(files)
	st := d.run(t)
	r := d.order(t, must(order.Sign(&order.Order{
		Kind: order.KindRelease, ID: order.NewID(), Audience: []string{d.site.robot}, Sequence: sequence, Binding: order.Binding{BootID: st.BootID, Nonce: st.Nonce}, NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour),
		Reason: "a test", Release: &order.Release{
			Version: version, SVN: 1, SettleS: 3, WindowS: 1200, Criteria: []string{trial.Drift},
			Artifacts: []order.Artifact{{Name: "drive", Version: text, SHA256: fmt.Sprintf("%x", digest), Size: uint64(files[0].Size), Files: 1, Fallbacks: fallbacks}},
		},
	}, d.site.releaser))(t))
	if !r.Accepted {
		t.Fatalf("%+v", r)
	}
}

// artifact runs one of the robot's commands, and again as long as it says that the steward works on the slots.
func (d *driven) artifact(t *testing.T, args ...string) {
	t.Helper()
	argv := append([]string{"artifact"}, append(args, "--dir", d.site.path("slots"), "--socket", d.site.path("control.sock"))...)
	until(t, 30*time.Second, strings.Join(args, " "), func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, binary(t), argv...).CombinedOutput()
		if err != nil && !strings.Contains(string(out), "another program works on these slots") {
			t.Fatalf("%q: %v\n%s", argv, err, out)
		}
		return err == nil
	})
}

func (d *driven) look(t *testing.T) slots.Status {
	t.Helper()
	dir := must(slots.OpenDir(d.site.path("slots/drive")))(t)
	defer dir.Close() //nolint:errcheck // it was read
	return must(slots.View("drive", dir).Status())(t)
}

// pass lets the robot's own judgement see so much time of the same behaviour as if it had passed: the steward is dead meanwhile, and
// the clock is set as it was. No test waits for half an hour.
func (d *driven) pass(t *testing.T, span time.Duration, speed float64) {
	t.Helper()
	// A robot that was never tested is limited all the time, which is no sign of its model.
	restricted := 0.0
	d.await(t, "a robot that drives", 20*time.Second, func(st agent.Status) bool {
		if st.Axes.Motion == "limited" {
			restricted = 1
		}
		return st.Axes.Motion == "limited" || st.Axes.Motion == "free"
	})
	d.steward.Kill()
	dir := must(slots.OpenDir(d.site.path("slots/drive")))(t)
	defer dir.Close() //nolint:errcheck // it was read
	s := must(slots.Open("drive", dir, time.Now))(t)
	st := must(s.Trial())(t)
	clock, terms := time.Duration(st.ClockNS), s.Running().Terms()
	for at := time.Second; at <= span; at += time.Second {
		f := trial.Facts{Boot: st.Boot, Clock: clock + at, Guard: true, Samples: [trial.NumMetrics]float64{restricted, 0, speed + 0.01*math.Sin(at.Seconds())}}
		if v := st.Step(&f, &terms); v.Decision != trial.Keep {
			t.Fatalf("after %v: %+v", at, v)
		}
	}
	st.ClockNS = int64(clock)
	if err := s.SaveTrial(&st); err != nil {
		t.Fatal(err)
	}
	d.startSteward(t)
}

// drive starts a planner and waits until the robot moves as it says.
func (d *driven) drive(t *testing.T, p *plant.Plant, speed float64) *proc.Process {
	t.Helper()
	planner := driver.StartDrive(t, d.b, driver.Drive{VX: speed})
	until(t, 30*time.Second, "a robot that drives", func() bool {
		s := p.Truth(t).Samples
		return len(s) > 0 && math.Abs(s[len(s)-1].Speed()-speed) < 0.1
	})
	return planner
}

// exchange puts the same bytes in the place of a file that a process has loaded, then other ones: the guard restricts the robot within
// the time that docs/artifacts.md says.
func (d *driven) exchange(t *testing.T) {
	t.Helper()
	put := func(text string) {
		d.site.write(t, "slots/drive/next", text)
		if err := os.Rename(d.site.path("slots/drive/next"), d.site.path("slots/drive/active/policy.bin")); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(c []agent.ContentStatus) bool {
		return len(c) == 1 && (c[0].Kept == contract.KeptWatched || c[0].Kept == contract.KeptVerity)
	}
	f := must(os.Open(d.site.path("slots/drive/active/policy.bin")))(t)
	holder := exec.CommandContext(t.Context(), "sleep", "infinity")
	holder.ExtraFiles = []*os.File{f}
	if err := errors.Join(holder.Start(), f.Close()); err != nil {
		t.Fatal(err)
	}
	d.await(t, "content that is watched", 20*time.Second, func(st agent.Status) bool { return kept(st.Content) })
	began := time.Now()
	put("a policy that is calm")
	d.await(t, "a robot held because a process has loaded what is gone", 2*time.Minute, func(st agent.Status) bool {
		return has(st, "artifact.unproven") && len(st.Content) == 1 && strings.Contains(st.Content[0].Why, fmt.Sprintf("process %d ", holder.Process.Pid))
	})
	t.Logf("figures: held %v after a loaded file was exchanged", time.Since(began).Round(time.Second))
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	d.await(t, "a robot that may drive, once the process is gone", 2*time.Minute, func(st agent.Status) bool { return !has(st, "artifact.unproven") && kept(st.Content) })
	began = time.Now()
	put("a policy that is evil")
	d.await(t, "a robot held because of other content", time.Minute, func(st agent.Status) bool { return has(st, "artifact.untrusted") })
	t.Logf("figures: held %v after the active file was exchanged", time.Since(began).Round(100*time.Millisecond))
}

// TestPoisonedModel gives a robot a model that is signed, and drives otherwise than the one before: the robot takes it back by itself,
// within its window, with no desk and no network.
func TestPoisonedModel(t *testing.T) {
	t.Parallel()
	onThese(t, []bus.Kind{bus.ROS}, poisonedModel)
}

func poisonedModel(t *testing.T, b bus.Bus) {
	p := plant.Start(t, b, plant.Config{LockTopic: "/robowarden/lock"})
	s := newSite(t, b, siteConfig{lock: true, more: "artifacts:\n  - {name: drive, governs: motion}\n"})
	s.write(t, "slots/.here", "")
	s.write(t, "deployment.yaml", string(must(os.ReadFile(s.path("deployment.yaml")))(t))+"steward: {period: 200ms, state_dir: steward, artifacts: slots}\n")
	d := &driven{guard: s.start(t), site: s, b: b}
	d.startSteward(t)
	d.await(t, "a robot held because nothing is released", 30*time.Second, func(st agent.Status) bool { return has(st, "artifact.unproven") && st.AtRest })
	d.apply(t, 1, "1.0", "calm")
	d.artifact(t, "install", "drive", "--from", s.path("models/calm"))
	d.artifact(t, "commit", "drive") // There is nothing to compare the first one with.
	d.ready(t)
	planner := d.drive(t, p, 0.3)
	until(t, 20*time.Second, "a state of the model on disk", func() bool { st := d.look(t); return st.Trial != nil && st.Trial.Good })
	d.pass(t, 30*time.Minute, 0.3)

	planner.Stop(5 * time.Second)
	calm := d.look(t).Running().SHA256
	d.apply(t, 2, "2.0", "poisoned", calm)
	d.await(t, "a robot that stands", 20*time.Second, func(st agent.Status) bool { return st.AtRest })
	d.artifact(t, "install", "drive", "--from", s.path("models/poisoned"))
	d.ready(t)
	d.drive(t, p, 0.9)
	poisoned := d.look(t).Running()
	until(t, 20*time.Second, "the trial on disk", func() bool {
		st := d.look(t)
		return st.Trial != nil && st.Trial.Now.SHA256 == poisoned.SHA256 && !st.Trial.Good
	})
	began := time.Now()
	if !longTier() {
		d.pass(t, 4*time.Minute+50*time.Second, 0.9)
	}
	d.await(t, "a robot held because of what it runs", 8*time.Minute, func(st agent.Status) bool { return has(st, "artifact.unproven") && st.Axes.Motion == "hold" })
	until(t, 60*time.Second, "the model before", func() bool { return d.look(t).Running().SHA256 == calm })
	st := d.look(t)
	if len(st.Trial.Taken) != 1 || !strings.Contains(st.Trial.Taken[0].Why, "drift: speed") || st.Trial.Taken[0].Release != "2.0" {
		t.Errorf("taken back: %+v", st.Trial.Taken)
	}
	d.await(t, "a robot that may drive again", 30*time.Second, func(st agent.Status) bool { return st.Axes.Motion == "free" || st.Axes.Motion == "limited" })
	t.Logf("figures: taken back after %v: %s", time.Since(began).Round(time.Second), st.Trial.Taken[0].Why)
	if longTier() {
		d.exchange(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d.steward.Stop(10 * time.Second)
	out, err := exec.CommandContext(ctx, binary(t), "journal", "cat", "--role", "steward", filepath.Join(s.dir, "steward", "journal")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `artifact-trial {"artifact":"drive","what":"condemned"`) || !strings.Contains(string(out), `"what":"rolled-back"`) {
		t.Errorf("the steward's journal: %v\n%s", err, tail(string(out), 2000))
	}
}
