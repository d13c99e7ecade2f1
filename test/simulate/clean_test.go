package simulate

import (
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/interlock"
)

// count watches for stops that nothing justifies: in a clean run, every one.
func (n *clean) count(s *Sim, c *courier) {
	held, trip := false, false
	moved := s.now
	note := func(what string) {
		if n.first == "" {
			text, _ := guard.DescribeDecision(s.core.AppendDecision(nil))
			n.first = what + " after " + (s.now - bootStart).String() + " near " + c.at + ": " + text
		}
	}
	s.Each = func(s *Sim) {
		holds := s.motion() <= interlock.MotionHold
		if holds && !held {
			n.stops++
			note("held")
		}
		if v := s.core.Verdict(); v.Trip && !trip {
			n.trips++
			note("tripped")
		}
		held, trip = holds, s.core.Verdict().Trip
		if !c.wants || s.base.speed() > 0.02 || s.base.w > 0.02 || s.base.w < -0.02 {
			moved = s.now
		} else if s.now-moved > 10*time.Second {
			moved = s.now
			n.stuck++
			note("stuck")
		}
	}
}

func (n *clean) add(o clean) {
	n.hours, n.legs, n.events, n.took = n.hours+o.hours, n.legs+o.legs, n.events+o.events, n.took+o.took
	n.stops, n.stuck, n.trips = n.stops+o.stops, n.stuck+o.stuck, n.trips+o.trips
	if n.first == "" {
		n.first = o.first
	}
}

// TestCleanDelivery delivers in the demonstration's hospital, day and night, with nothing wrong but the noise, the latency
// and the losses that the profile allows: at most one false stop in a hundred hours.
func TestCleanDelivery(t *testing.T) {
	s, hours := seed(t), number(t, "ROBOWARDEN_CLEAN_HOURS", 4, 1000)
	const shift = 4 // hours of one robot
	var mu sync.Mutex
	var sum clean
	start := time.Now()
	spread((hours+shift-1)/shift, func(i int) {
		got := deliver(t, s+uint64(i), shift*time.Hour, false, 0) //nolint:gosec // a count
		mu.Lock()
		defer mu.Unlock()
		sum.add(got)
		if int(sum.hours)%100 == 0 {
			t.Logf("so far %.0f h: %d false holds, %d trips, %d times stuck", sum.hours, sum.stops, sum.trips, sum.stuck)
		}
	})
	rate := float64(sum.stops+sum.stuck+sum.trips) / sum.hours
	t.Logf("figures: %.0f simulated hours of clean delivery, %d deliveries, %d events: %d false holds, %d trips, %d times stuck: %.4f false stops per hour; %v, %.0f times real time on one processor",
		sum.hours, sum.legs, sum.events, sum.stops, sum.trips, sum.stuck, rate, time.Since(start).Round(time.Second), sum.hours*3600/sum.took.Seconds())
	if sum.first != "" {
		t.Logf("figures: the first: %s", sum.first)
	}
	if rate > 0.01 {
		t.Errorf("%.4f false stops per hour, expected at most 0.01", rate)
	}
	if float64(sum.legs) < 20*sum.hours {
		t.Errorf("%d deliveries in %.0f h: the robot hardly drives", sum.legs, sum.hours)
	}
}

// TestDeliveryWithAFaultIsCounted is the off case: a localisation that freezes for 20 s every ten minutes is no clean run.
func TestDeliveryWithAFaultIsCounted(t *testing.T) {
	got := deliver(t, seed(t), time.Hour, false, 10*time.Minute)
	t.Logf("figures: pose frozen for 20 s every 10 min: %d holds in %.0f h", got.stops, got.hours)
	if got.stops < 2 {
		t.Errorf("%d holds in an hour with a pose that freezes: the count of false stops proves nothing", got.stops)
	}
}

// TestDeliveriesWithoutTheGuard counts how many deliveries a robot makes with and without its guard. The planner asks for 0.9
// m/s everywhere, so the difference is what the policy's speed limits cost.
func TestDeliveriesWithoutTheGuard(t *testing.T) {
	s, hours := seed(t), time.Duration(number(t, "ROBOWARDEN_MISSION_HOURS", 1, 40))*time.Hour
	with, without := deliver(t, s, hours, false, 0), deliver(t, s, hours, true, 0)
	t.Logf("figures: %d deliveries in %v with the guard, %d without any limit", with.legs, hours, without.legs)
	if with.legs == 0 || without.legs < with.legs {
		t.Errorf("%d deliveries with and %d without the guard", with.legs, without.legs)
	}
}
