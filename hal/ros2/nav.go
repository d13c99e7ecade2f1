package ros2

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
)

// NavGoal is a pose to drive to.
type NavGoal struct {
	// Frame is the pose's frame, such as "map".
	Frame string
	// Position is in metres, Orientation a unit quaternion.
	Position    msg.Vec3
	Orientation msg.Quat
	// Tree is the behaviour tree to use, empty for the navigator's own.
	Tree string
}

// NavStatus is the state of a goal as action_msgs/GoalStatus numbers it.
type NavStatus int8

// States of a goal.
const (
	NavUnknown   NavStatus = 0
	NavAccepted  NavStatus = 1
	NavExecuting NavStatus = 2
	NavCanceling NavStatus = 3
	NavSucceeded NavStatus = 4
	NavCanceled  NavStatus = 5
	NavAborted   NavStatus = 6
)

// String names the state in lower case.
func (s NavStatus) String() string {
	names := [...]string{"unknown", "accepted", "executing", "canceling", "succeeded", "canceled", "aborted"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("state %d", int8(s))
	}
	return names[s]
}

// Errors of the action.
var (
	// ErrGoalRejected means that the navigator does not take the goal.
	ErrGoalRejected = errors.New("the navigator rejects the goal")
	// ErrCancelRejected means that the navigator goes on with the goal, or knows it no longer.
	ErrCancelRejected = errors.New("the navigator does not cancel the goal")
)

// Navigator is the client of one nav2_msgs/NavigateToPose action. Nav2 itself decides how to drive; what it sends to the
// base is gated like everybody's commands.
type Navigator struct {
	n    *Node
	name string
}

// Navigator announces the client of the action, such as "/navigate_to_pose", so that a goal need not wait for discovery.
// It is kept for as long as the node lives.
func (n *Node) Navigator(name string) (*Navigator, error) {
	if !validName(name) {
		return nil, fmt.Errorf("ros2: action %s is not a fully qualified name; expected one such as \"/navigate_to_pose\"", clip(name, 80))
	}
	for _, s := range navServices {
		if _, err := n.serviceClient(action(name, s.part), s.typ, s.kind); err != nil {
			return nil, err
		}
	}
	return &Navigator{n: n, name: name}, nil
}

// navService is one of the three services of an action.
type navService struct{ part, typ, kind string }

var (
	navSend     = navService{"send_goal", cdr.TypeNavigateSendGoal, "action"}
	navResult   = navService{"get_result", cdr.TypeNavigateGetResult, "action"}
	navCancel   = navService{"cancel_goal", cdr.TypeCancelGoal, "srv"}
	navServices = [...]navService{navSend, navResult, navCancel}
)

// request asks the navigator once: a goal that two navigators take is driven to twice.
func (v *Navigator) request(ctx context.Context, s navService, enc encoder) ([]byte, *cdr.RequestID, error) {
	a, err := v.n.request(ctx, action(v.name, s.part), s.typ, s.kind, enc, false, func(answer) bool { return true })
	return a.payload, a.id, err
}

// Goal is one goal that the navigator accepted.
type Goal struct {
	v  *Navigator
	id cdr.GoalID
}

// SendGoal asks for a drive to the pose and returns when the navigator has accepted it, within Limits.ServiceTimeout.
func (v *Navigator) SendGoal(ctx context.Context, g *NavGoal) (*Goal, error) {
	goal := &Goal{v: v}
	if _, err := rand.Read(goal.id[:]); err != nil {
		return nil, fmt.Errorf("ros2: action %s: draw a goal's id: %w", v.name, err)
	}
	goal.id[6], goal.id[8] = goal.id[6]&0x0f|0x40, goal.id[8]&0x3f|0x80 // a random UUID (RFC 9562)
	nav := cdr.NavigateGoal{Frame: g.Frame, Position: g.Position, Orientation: g.Orientation, BehaviorTree: g.Tree}
	ctx, cancel := context.WithTimeout(ctx, v.n.cfg.Limits.ServiceTimeout)
	defer cancel()
	b, id, err := v.request(ctx, navSend, func(b []byte, id *cdr.RequestID) []byte { return cdr.AppendNavigate(b, id, goal.id, &nav) })
	if err != nil {
		return nil, err
	}
	accepted, _, err := cdr.ParseAccepted(b, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("ros2: action %s: answer to the goal: %w", v.name, err)
	case !accepted:
		return nil, fmt.Errorf("ros2: action %s: %w", v.name, ErrGoalRejected)
	}
	return goal, nil
}

// Result waits for the end of the drive, as long as ctx lets it: the navigator answers when it is done. A navigator that
// leaves before is ErrNoServer.
func (g *Goal) Result(ctx context.Context) (NavStatus, error) {
	b, id, err := g.v.request(ctx, navResult, func(b []byte, id *cdr.RequestID) []byte { return cdr.AppendGetResult(b, id, g.id) })
	if err != nil {
		return NavUnknown, err
	}
	r, err := cdr.ParseNavigateResult(b, id)
	if err != nil {
		return NavUnknown, fmt.Errorf("ros2: action %s: result: %w", g.v.name, err)
	}
	return NavStatus(r.Status), nil
}

// Cancel asks the navigator to give the goal up and returns when it has agreed to, within Limits.ServiceTimeout. The robot
// may still move then: Result tells when the goal has ended.
func (g *Goal) Cancel(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.v.n.cfg.Limits.ServiceTimeout)
	defer cancel()
	b, id, err := g.v.request(ctx, navCancel, func(b []byte, id *cdr.RequestID) []byte {
		return cdr.AppendCancel(b, id, cdr.GoalInfo{ID: g.id})
	})
	if err != nil {
		return err
	}
	r, err := cdr.ParseCancel(b, id)
	if err != nil {
		return fmt.Errorf("ros2: action %s: answer to the cancellation: %w", g.v.name, err)
	}
	for _, c := range r.Goals {
		if c.ID == g.id {
			return nil
		}
	}
	return fmt.Errorf("ros2: action %s: %w (code %d)", g.v.name, ErrCancelRejected, r.Code)
}
