package ros2

import (
	"context"

	"github.com/robowarden/robowarden/hal/msg"
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

// Navigator is the client of one nav2_msgs/NavigateToPose action.
type Navigator struct{}

// Navigator announces the client of the action, such as "/navigate_to_pose".
func (n *Node) Navigator(name string) (*Navigator, error) { return nil, errNotYet }

// Goal is one goal that the navigator accepted.
type Goal struct{}

// SendGoal asks for a drive to the pose and returns when the navigator has accepted it.
func (v *Navigator) SendGoal(ctx context.Context, g *NavGoal) (*Goal, error) { return nil, errNotYet }

// Result waits for the end of the drive. It polls nothing: the navigator answers when it is done.
func (g *Goal) Result(ctx context.Context) (NavStatus, error) { return NavUnknown, errNotYet }

// Cancel asks the navigator to give the goal up and returns when it has agreed to.
func (g *Goal) Cancel(ctx context.Context) error { return errNotYet }

// Close withdraws the client.
func (v *Navigator) Close() {}
