package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/plant"
)

// answers gives the examples this site's topic of answers.
const answers = "/robowarden/response:=/robowarden/answer"

// TestExampleDesks lets a robot live by each of the examples of an operator's desk: it drives once the desk has checked in at
// stop, a SIGTERM stops it and the desk hears that, and the process killed outright holds and then stops it.
func TestExampleDesks(t *testing.T) {
	t.Parallel()
	for name, argv := range map[string]func(t *testing.T, key string) []string{
		"heartbeat.py": func(_ *testing.T, key string) []string {
			return []string{
				"/usr/bin/python3", filepath.Join(cpp.Root(), "..", "configs", "examples", "heartbeat", "heartbeat.py"),
				"--robot=" + robotID, "--key-file=" + key, "__name:=operator", answers,
			}
		},
		"heartbeat.cpp": func(t *testing.T, key string) []string {
			return []string{cpp.Binary(t, "heartbeat_example"), robotID, "operator", key, "__name:=operator", answers}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exampleDesk(t, argv)
		})
	}
}

// drivesAnew starts a planner and waits until the robot drives. One that first speaks during a hold (on a computer that is held up,
// the guard's own pause is one) would have to be neutral, which this planner never is: then the next one is started.
func (r *robot) drivesAnew(t *testing.T) {
	t.Helper()
	planner := driver.StartDrive(t, r.b, driver.Drive{VX: cruise})
	until(t, 40*time.Second, "a robot that drives on", func() bool {
		if s, ok := r.g.status(); ok && s.Gate == waitsForNeutral && s.Axes.Motion != "hold" {
			planner.Stop(5 * time.Second)
			planner = driver.StartDrive(t, r.b, driver.Drive{VX: cruise})
		}
		samples := r.p.Truth(t).Samples
		return len(samples) > 0 && samples[len(samples)-1].VX >= 0.9*cruise
	})
}

func exampleDesk(t *testing.T, argv func(t *testing.T, key string) []string) {
	b := meet(t, bus.ROS)
	r := &robot{b: b}
	r.p = plant.Start(t, b, plant.Config{LockTopic: "/robowarden/lock"})
	r.s = newSite(t, b, siteConfig{lock: true, operatorLink: true})
	desk := func() *proc.Process {
		return b.Node(t, proc.Spec{Name: "desk", Argv: argv(t, r.s.path("operator.key"))})
	}
	first := desk()
	drive := driver.StartDrive(t, b, driver.Drive{VX: cruise})
	r.g = r.s.start(t)
	r.g.ready(t)
	r.drives(t)
	trigger := r.now(t)
	if err := first.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.restsWithin(t, trigger, 700*time.Millisecond+stopTime())
	s := r.g.await(t, "a stop by the desk", 5*time.Second, func(s agent.Status) bool {
		return has(s, "channel.stop-requested") && s.Axes.Motion == "stop"
	})
	exit, err := first.Wait(t.Context())
	if err != nil || exit.Code != 0 || !strings.Contains(first.Output(), "phase away") || !strings.Contains(first.Output(), "stop heard") {
		t.Errorf("the desk ended with %+v, %v; expected 0 and that the stop was heard:\n%s", exit, err, first.Output())
	}

	// A planner that never stopped sending drives nobody on; a new one does.
	drive.Stop(5 * time.Second)
	second := desk()
	r.g.await(t, "a channel that runs again", 20*time.Second, func(s agent.Status) bool { return s.Channels[0].Phase == "running" })
	until(t, 15*time.Second, "a reset of all that is latched", func() bool {
		s, _ = r.g.status()
		if s.Axes.Motion != "stop" {
			return true
		}
		r.g.order(t, r.s.resetOrder(t, s, r.s.operator))
		return false
	})
	// A planner that speaks at the moment of the reset would have to be neutral first.
	open := s.BootS
	r.g.await(t, "half a second of the guard's time", 10*time.Second, func(s agent.Status) bool { return s.BootS > open+0.5 })
	r.drivesAnew(t)
	trigger = r.now(t)
	second.Kill()
	r.restsWithin(t, trigger, 700*time.Millisecond+stopTime())
	r.g.await(t, "a lost channel", 5*time.Second, func(s agent.Status) bool {
		return has(s, "channel.heartbeat-lost") && s.Axes.Motion == "stop"
	})
	r.g.replayed(t)
}
