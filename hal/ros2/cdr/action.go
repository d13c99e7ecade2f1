package cdr

import (
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// Types of the action nav2_msgs/NavigateToPose, by the names that ROS 2 gives to an action's parts. The services' types
// carry the suffixes _Request_ and _Response_ on the wire.
const (
	TypeNavigateSendGoal  = "nav2_msgs/action/NavigateToPose_SendGoal"
	TypeNavigateGetResult = "nav2_msgs/action/NavigateToPose_GetResult"
	TypeNavigateFeedback  = "nav2_msgs/action/NavigateToPose_FeedbackMessage"
	TypeCancelGoal        = "action_msgs/srv/CancelGoal"
	TypeGoalStatusArray   = "action_msgs/msg/GoalStatusArray"
)

// MaxGoals bounds the goals in one answer or status array.
const MaxGoals = 256

// GoalID names one goal of an action: a random UUID. All zeros stands for every goal when cancelling.
type GoalID [16]byte

// GoalStatus is how far a goal has come (action_msgs/GoalStatus).
type GoalStatus int8

// Goal states.
const (
	GoalUnknown GoalStatus = iota
	GoalAccepted
	GoalExecuting
	GoalCanceling
	GoalSucceeded
	GoalCanceled
	GoalAborted
)

// Terminal tells whether the goal has ended.
func (s GoalStatus) Terminal() bool { return s >= GoalSucceeded && s <= GoalAborted }

// GoalInfo is a goal and when its server accepted it, in nanoseconds since the Unix epoch.
type GoalInfo struct {
	ID    GoalID
	Stamp int64
}

// GoalState is one entry of a status array.
type GoalState struct {
	msg.Header
	Goal   GoalInfo
	Status GoalStatus
	// Index of Total says which entry of the array it is.
	Index, Total int
}

// NavigateGoal is where Nav2 is to drive the robot.
type NavigateGoal struct {
	// Stamp is in nanoseconds since the Unix epoch; 0 asks for the latest transform.
	Stamp int64
	// Frame is the frame of Position and Orientation, such as "map".
	Frame       string
	Position    msg.Vec3
	Orientation msg.Quat
	// BehaviorTree is the tree to use, empty for the server's own.
	BehaviorTree string
}

// AppendNavigate appends the payload of a send-goal request.
func AppendNavigate(b []byte, id *RequestID, goal GoalID, g *NavigateGoal) []byte {
	w := beginRequest(b, id)
	w.bytes(goal[:])
	w.stdHeader(g.Stamp, g.Frame)
	w.vec3(&g.Position)
	w.quat(&g.Orientation)
	w.str(g.BehaviorTree)
	return w.done()
}

// ParseAccepted reads the response to a send-goal request: whether the goal was accepted, and when, in nanoseconds since
// the Unix epoch.
func ParseAccepted(payload []byte, id *RequestID) (accepted bool, stamp int64, err error) {
	c := openReply(payload, id)
	accepted, stamp = c.flag(), c.stamp()
	if err := c.end(); err != nil {
		return false, 0, err
	}
	return accepted, stamp, nil
}

// AppendGetResult appends the payload of a get-result request. The server answers when the goal has ended.
func AppendGetResult(b []byte, id *RequestID, goal GoalID) []byte {
	w := beginRequest(b, id)
	w.bytes(goal[:])
	return w.done()
}

// NavigateResult is how a goal ended. The fields of the answer grew with Nav2; what is missing is zero.
type NavigateResult struct {
	Status GoalStatus
	// Code is Nav2's error code, 0 for none; HasCode is false from servers that send none (Humble).
	Code    uint16
	HasCode bool
	// Text is Nav2's error message (from Kilted on).
	Text string
}

// ParseNavigateResult reads the response to a get-result request of any Nav2 from Humble on.
func ParseNavigateResult(payload []byte, id *RequestID) (NavigateResult, error) {
	c := openReply(payload, id)
	r := NavigateResult{Status: GoalStatus(c.u8())}
	// An empty result is one byte; with padding up to a word it looks like a code of 0, which says the same.
	if rest := c.left(); rest == 1 || rest == 3 && c.pad == 2 {
		c.u8()
		return r, c.end()
	}
	r.Code, r.HasCode = c.u16(), true
	if c.left() > 0 {
		text := c.str()
		if len(text) > MaxServiceText {
			c.fail(ErrText)
		}
		r.Text = string(text)
	}
	if err := c.end(); err != nil {
		return NavigateResult{}, err
	}
	return r, nil
}

// AppendCancel appends the payload of a cancel request. With a zero goal and stamp all goals are cancelled; with a zero
// goal those that were accepted until stamp; else that goal, and with a stamp those accepted until then as well.
func AppendCancel(b []byte, id *RequestID, goal GoalInfo) []byte {
	w := beginRequest(b, id)
	w.bytes(goal.ID[:])
	w.stamp(goal.Stamp)
	return w.done()
}

// CancelResult is the answer to a cancel request.
type CancelResult struct {
	// Code is 0 if the server took the request, 1 if it rejected it, 2 for an unknown goal, 3 for one that has ended.
	Code int8
	// Goals are those that are being cancelled now.
	Goals []GoalInfo
}

// ParseCancel reads the response to a cancel request.
func ParseCancel(payload []byte, id *RequestID) (CancelResult, error) {
	c := openReply(payload, id)
	r := CancelResult{Code: int8(c.u8())}
	for range c.count(16+8, MaxGoals) {
		r.Goals = append(r.Goals, c.goal())
	}
	if err := c.end(); err != nil {
		return CancelResult{}, err
	}
	return r, nil
}

func (c *cursor) goal() (g GoalInfo) {
	copy(g.ID[:], c.take(1, len(g.ID)))
	g.Stamp = c.stamp()
	return g
}

// statusDecoder reads action_msgs/GoalStatusArray.
type statusDecoder struct {
	m GoalState
	h func(*GoalState)
}

// NewGoalStates reads TypeGoalStatusArray and calls h for each goal in it.
func NewGoalStates(p *msg.Peer, h func(*GoalState)) Decoder {
	d := &statusDecoder{h: h}
	d.m.Peer = p
	return d
}

// Decode implements Decoder.
func (d *statusDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	n := c.count(16+8+1, MaxGoals)
	check := c
	for range n {
		check.goal()
		check.u8()
	}
	if err := check.end(); err != nil {
		return err
	}
	m := &d.m
	m.Boot, m.Seq, m.Total = boot, uint32(seq), n
	for i := range n {
		m.Goal, m.Status, m.Index = c.goal(), GoalStatus(c.u8()), i
		d.h(m)
	}
	return nil
}

// NavigateFeedback is what Nav2 says while it drives.
type NavigateFeedback struct {
	// Header is that of the current pose.
	msg.Header
	Goal        GoalID
	Position    msg.Vec3
	Orientation msg.Quat
	// Elapsed is the time since the goal was taken, Remaining the server's estimate of the rest.
	Elapsed, Remaining time.Duration
	Recoveries         int
	// DistanceM is the length of the path that is left, in metres.
	DistanceM float64
}

// feedbackDecoder reads NavigateToPose's feedback.
type feedbackDecoder struct {
	m     NavigateFeedback
	frame lastText
	h     func(*NavigateFeedback)
}

// NewNavigateFeedback reads TypeNavigateFeedback. Newer servers append two tracking errors, which are passed over.
func NewNavigateFeedback(p *msg.Peer, h func(*NavigateFeedback)) Decoder {
	d := &feedbackDecoder{h: h}
	d.m.Peer = p
	return d
}

// Decode implements Decoder.
func (d *feedbackDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	m := &d.m
	copy(m.Goal[:], c.take(1, len(m.Goal)))
	frame := c.stdHeader(&m.Header)
	pose := c.take(8, poseBytes)
	elapsed, remaining := c.stamp(), c.stamp()
	recoveries := int16(c.u16())
	distance := c.f32()
	if c.left() >= 8 {
		c.take(4, 8)
	}
	if err := c.end(); err != nil {
		return err
	}
	m.Boot, m.Seq = boot, uint32(seq)
	m.Frame = d.frame.get(frame)
	m.Position, m.Orientation = vec3(pose, c.big), quat(pose[24:], c.big)
	m.Elapsed, m.Remaining = time.Duration(elapsed), time.Duration(remaining)
	m.Recoveries, m.DistanceM = int(recoveries), float64(distance)
	d.h(m)
	return nil
}
