package e2e

import (
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// TestBagMetrics scores a stop as the test of Nav2's collision monitor does on a recording, here by a real robot's ground
// truth: clear, then a cause to hold for a while, then clear again. In place of fixed times the robot has v/a to stand, and
// v²/2a to do it in; and it drives on by itself only where nothing is latched.
func TestBagMetrics(t *testing.T) {
	t.Parallel()
	onThese(t, []bus.Kind{bus.ROS}, func(t *testing.T, b bus.Bus) { bagMetrics(t, b, false) })
}

func bagMetrics(t *testing.T, b bus.Bus, latched bool) {
	const clear, blocked = time.Second, 2 * time.Second
	stop := "60s"
	if latched {
		stop = "1s"
	}
	p := plant.Start(t, b, plant.Config{LockTopic: "/robowarden/lock"})
	s := newSite(t, b, siteConfig{
		lock: true, operatorLink: true,
		channels: "channels:\n  - {endpoint: operator, period: 100ms, hold_after: 500ms, stop_after: " + stop + "}\n",
	})
	op := driver.StartOperator(t, b, driver.OperatorConfig{Robot: robotID, Endpoint: "operator", Key: s.heartbeat})
	driver.StartDrive(t, b, driver.Drive{VX: cruise})
	r := &robot{b: b, p: p, s: s, g: s.start(t)}
	r.g.ready(t)
	r.drives(t)
	from := r.now(t)
	p.WaitTruth(t, 30*time.Second, "a while without a cause", func(x oracle.Sample) bool { return x.T > from+clear })
	cause := boottime()
	op.Fault(t, "silent")
	st := r.g.await(t, "a hold", 10*time.Second, func(s agent.Status) bool {
		return has(s, "channel.heartbeat-late") || has(s, "channel.heartbeat-lost")
	})
	// The trigger's own moment, so that nothing of the poll is counted as the robot's.
	var held time.Duration
	for _, x := range st.Triggers {
		if at := time.Duration((st.BootS - x.SinceS) * float64(time.Second)); x.Code == "channel.heartbeat-late" || held == 0 && x.Code == "channel.heartbeat-lost" {
			held = at
		}
	}
	p.WaitTruth(t, 30*time.Second, "a while with a cause", func(x oracle.Sample) bool { return x.T > held+blocked })
	cleared := boottime()
	op.Fault(t, "clear")
	r.g.await(t, "a channel that runs again", 20*time.Second, func(s agent.Status) bool { return s.Channels[0].Phase == "running" })
	if latched {
		// Longer than a robot takes that drives on by itself.
		p.WaitTruth(t, 30*time.Second, "a while after the cause", func(x oracle.Sample) bool { return x.T > cleared+blocked })
	} else {
		r.drives(t)
	}
	m := scoreBag(p.Truth(t), from, cause, held, cleared)
	t.Logf("figures: %s, latched %t: stood after %v, in %.3f m, held for %.1f %%, false stops %v, drove on after %v",
		b.Kind(), latched, m.stood, m.overshootM, 100*m.held, m.falseStop, m.resumed)
	m.judge(t, latched)
	r.g.replayed(t)
}

// bagScore is what Nav2's test scores.
type bagScore struct {
	falseStop, stood, resumed, paused time.Duration
	overshootM, held                  float64
}

// scoreBag reads the score from the ground truth: from when on the robot drove, when the cause began, when the guard decided
// to hold and when the cause was over.
func scoreBag(truth oracle.Truth, from, cause, held, cleared time.Duration) bagScore {
	m := bagScore{stood: -1, resumed: -1}
	during, stands := 0, 0
	for i := 1; i < len(truth.Samples); i++ {
		x, step := truth.Samples[i], truth.Samples[i].T-truth.Samples[i-1].T
		still := x.Speed() < rest.SpeedMPS
		switch {
		case x.T <= from:
		case x.T <= cause:
			if x.Speed() < 0.9*cruise {
				m.falseStop += step
			}
		case x.T <= held:
		case x.T <= cleared:
			m.overshootM += x.Speed() * step.Seconds()
			m.paused = max(m.paused, step)
			if m.stood < 0 && still {
				m.stood = x.T - held
			}
			if m.stood >= 0 {
				if during++; still {
					stands++
				}
			}
		case !still && m.resumed < 0:
			m.resumed = x.T - cleared
		}
	}
	m.held = float64(stands) / math.Max(float64(during), 1)
	return m
}

// judge holds the score against v/a and v²/2a. Time in which the machine stood still under the robot is given to it.
func (m *bagScore) judge(t testing.TB, latched bool) {
	t.Helper()
	react := actuation + m.paused
	if most := react + time.Duration(cruise/decelMPS2*float64(time.Second)); m.stood < 0 || m.stood > most {
		t.Errorf("stood after %v: expected at most %v", m.stood, most)
	}
	if most := cruise*react.Seconds() + cruise*cruise/2/decelMPS2; m.overshootM > most {
		t.Errorf("went on for %.3f m: expected at most %.3f m", m.overshootM, most)
	}
	if m.held < 1 {
		t.Errorf("held for %.1f %% of the time with a cause", 100*m.held)
	}
	if m.falseStop > 0 {
		t.Errorf("slowed down for %v without a cause", m.falseStop)
	}
	if latched != (m.resumed < 0) {
		t.Errorf("drove on after %v: latched %t", m.resumed, latched)
	}
}

// TestBagScoreCanFail is the off case: each trouble of a run shows in its score.
func TestBagScoreCanFail(t *testing.T) {
	const from, cause, held, cleared, end = time.Second, 3 * time.Second, 4 * time.Second, 7 * time.Second, 9 * time.Second
	// A robot that brakes as it should, from held on, and drives on when told.
	good := func(at time.Duration) float64 {
		switch {
		case at <= held:
			return cruise
		case at <= cleared+time.Second:
			return math.Max(0, cruise-(at-held).Seconds())
		}
		return cruise
	}
	run := func(speed func(at time.Duration) float64) bagScore {
		var truth oracle.Truth
		for at := time.Duration(0); at < end; at += 5 * time.Millisecond {
			truth.Samples = append(truth.Samples, oracle.Sample{T: at, VX: speed(at)})
		}
		return scoreBag(truth, from, cause, held, cleared)
	}
	for name, c := range map[string]struct {
		speed   func(at time.Duration) float64
		latched bool
		fails   bool
	}{
		"good":                   {good, false, false},
		"drives on, latched":     {good, true, true},
		"does not drive on":      {func(at time.Duration) float64 { return good(min(at, cleared)) }, false, true},
		"stays, latched":         {func(at time.Duration) float64 { return good(min(at, cleared)) }, true, false},
		"never stands":           {func(time.Duration) float64 { return cruise }, false, true},
		"brakes too late":        {func(at time.Duration) float64 { return good(at - 400*time.Millisecond) }, false, true},
		"brakes without a cause": {func(at time.Duration) float64 { return good(at + 1500*time.Millisecond) }, false, true},
		"twitches while held": {func(at time.Duration) float64 {
			if at > 6*time.Second && at < 6100*time.Millisecond {
				return 0.2
			}
			return good(at)
		}, false, true},
	} {
		m, rec := run(c.speed), &judged{TB: t}
		if m.judge(rec, c.latched); rec.failed != c.fails {
			t.Errorf("%s: fails %t, expected %t: %+v", name, rec.failed, c.fails, m)
		}
	}
}

// judged notes a failure and keeps it from the test.
type judged struct {
	testing.TB
	failed bool
}

func (r *judged) Errorf(string, ...any) { r.failed = true }
