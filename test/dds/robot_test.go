package dds

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// vendors runs a test on a domain of each vendor.
func vendors(t *testing.T, f func(t *testing.T, d *domain.Domain)) {
	for _, v := range []bus.Kind{bus.Cyclone, bus.Fast} {
		t.Run(string(v), func(t *testing.T) {
			t.Parallel()
			f(t, domain.Start(t, v))
		})
	}
}

// TestRobotOnDDS is the robot of the ROS 1 tests on DDS: it obeys a planner, has faults on request, tells the truth.
func TestRobotOnDDS(t *testing.T) {
	t.Parallel()
	vendors(t, func(t *testing.T, d *domain.Domain) {
		p := plant.Start(t, d, plant.Config{})
		driver.StartDrive(t, d, driver.Drive{VX: 0.8, Topic: "/cmd_vel"})
		p.WaitTruth(t, 10*time.Second, "a robot that drives", func(s oracle.Sample) bool { return s.Speed() > 0.75 })
		p.Fault(t, "keep_moving")
		p.Fault(t, "clear keep_moving")
	})
}

// TestTourOnDDS needs the planner to see where the robot is.
func TestTourOnDDS(t *testing.T) {
	t.Parallel()
	vendors(t, func(t *testing.T, d *domain.Domain) {
		plant.Start(t, d, plant.Config{})
		tour := driver.StartTour(t, d, driver.Tour{Places: []driver.Place{{X: 1}, {X: 1, Y: 0.7}}, Speed: 1, Topic: "/cmd_vel"})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := driver.TourTime(ctx, tour); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDeskOnDDS answers like the protocol's definition in package driver, and misbehaves on request.
func TestDeskOnDDS(t *testing.T) {
	t.Parallel()
	vendors(t, func(t *testing.T, d *domain.Domain) {
		key := bytes.Repeat([]byte{7}, 32)
		desk := driver.StartOperator(t, d, driver.OperatorConfig{Robot: "acme/r", Endpoint: "operator", Key: key})
		ear := d.Node(t, bus.Peer(t, d, "hear", "/ear", "--topic=/robowarden/answer"))
		guard := d.Speaker(t, "/guard", "/robowarden/challenge")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		heard := func(text string) {
			t.Helper()
			if _, err := ear.WaitOutput(ctx, "(?m)^heard "+regexp.QuoteMeta(text)+"$"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := ear.WaitOutput(ctx, "matched 1"); err != nil {
			t.Fatal(err)
		}
		h := driver.Heartbeat{Robot: "acme/r", BootID: strings.Repeat("b", 32), Endpoint: "operator", Challenge: strings.Repeat("1", 32), Level: "running"}
		guard.Say(t, h.Line())
		h.Level = "ok"
		heard(h.Answer(key))
		h.Level, h.Challenge = "away", strings.Repeat("2", 32)
		guard.Say(t, h.Line())
		h.Level = "stop"
		heard(h.Answer(key))
		desk.Fault(t, "wrong_key")
		h.Level, h.Challenge = "running", strings.Repeat("3", 32)
		guard.Say(t, h.Line())
		h.Level = "ok"
		heard(h.Answer(make([]byte, 32)))
	})
}
