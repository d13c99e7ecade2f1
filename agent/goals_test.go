package agent

import (
	"errors"
	"testing"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2"
)

// goalsGate is a gate for the goals of Nav2 in the mapping of a domain's site.
const goalsGate = `gates:
  - {name: nav2, kind: fleet, mode: inline, reads: goal, topic: /navigate_to_pose, type: nav2_msgs/NavigateToPose, publishers: [/fleet], out: /guarded/navigate_to_pose, consumer: /bt_navigator}

heartbeats:
`

func (s *domainSite) navigator(node, action string) *ros2.Navigator {
	s.t.Helper()
	v, err := s.join(node).Navigator(action)
	s.must(err)
	return v
}

// TestGoalsOnADomain: a client of Nav2's action is answered by the guard; while the robot is held it is refused, with the
// reason, although no navigator is there to say so.
func TestGoalsOnADomain(t *testing.T) {
	t.Parallel()
	s := newDomainSite(t, "heartbeats:\n", goalsGate)
	fleet := s.navigator("/fleet", "/navigate_to_pose")
	s.eventually("the client is heard", func() bool { _, ok := s.publisher("/fleet"); return ok })
	goal := &ros2.NavGoal{Frame: "map", Position: msg.Vec3{X: 1, Y: 1}, Orientation: msg.Quat{W: 1}}
	s.eventually("refusals", func() bool {
		if _, err := fleet.SendGoal(t.Context(), goal); err != nil && !errors.Is(err, ros2.ErrGoalRejected) {
			t.Fatal(err)
		}
		return s.agent.guard.Status().Gates[0].Dropped["stopped"]+s.agent.guard.Status().Gates[0].Dropped["held"] > 2
	})
	g := s.agent.guard.Status().Gates[0]
	if g.Open || g.Passed != 0 || g.Mode != "inline" {
		t.Errorf("%+v", g)
	}
	if _, latched := s.trigger("gate.bypass"); latched {
		t.Error("gate.bypass without a reason")
	}
	if _, latched := s.trigger("publisher.unknown"); latched {
		t.Error("publisher.unknown without a reason")
	}
}

// TestStrangersAskForGoals: who asks for goals behind the gate, or before it without being listed, is known from discovery
// alone.
func TestStrangersAskForGoals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ node, action, code string }{
		"behind the gate": {"/evil", "/guarded/navigate_to_pose", "gate.bypass"},
		"behind the gate under the navigator's name, without serving": {"/bt_navigator", "/guarded/navigate_to_pose", "gate.bypass"},
		"before it": {"/evil", "/navigate_to_pose", "publisher.unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newDomainSite(t, "heartbeats:\n", goalsGate)
			s.eventually("the graph is known", func() bool { present, _ := s.trigger("bus.lost"); return !present && s.agent.guard.Ticks() > 0 })
			s.navigator(c.node, c.action)
			s.eventually(c.code, func() bool { _, latched := s.trigger(c.code); return latched })
		})
	}
}
