package ros1

import (
	"github.com/bluenviron/goroslib/v2/pkg/msg"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/actionlib_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/geometry_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/std_msgs"
)

// goroslib has no move_base_msgs. The types give the md5sum and the definition; messages are read in place, by goalDecoder.

type moveBaseGoal struct {
	msg.Package `ros:"move_base_msgs"`
	msg.Name    `ros:"MoveBaseGoal"`
	TargetPose  geometry_msgs.PoseStamped
}

type moveBaseActionGoal struct {
	msg.Package `ros:"move_base_msgs"`
	msg.Name    `ros:"MoveBaseActionGoal"`
	Header      std_msgs.Header
	GoalId      actionlib_msgs.GoalID //nolint:revive,staticcheck // the name becomes the field goal_id
	Goal        moveBaseGoal
}
