package replay

import (
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/msg"
)

func (w *whatIf) feed(at time.Duration, ev guard.Event) {
	for _, world := range w.worlds {
		world.Feed(at, ev)
	}
}

// Pose implements recording.Handler, as do those that follow.
func (w *whatIf) Pose(m *msg.Pose) { w.feed(m.Boot, guard.Event{Kind: guard.EventPose, Pose: m}) }

// SecondPose takes a pose of the second source.
func (w *whatIf) SecondPose(m *msg.Pose) {
	w.feed(m.Boot, guard.Event{Kind: guard.EventSecondPose, Pose: m})
}

// Odometry takes a velocity.
func (w *whatIf) Odometry(m *msg.Pose) {
	w.feed(m.Boot, guard.Event{Kind: guard.EventOdometry, Pose: m})
}

// Transform takes an edge of the tf tree.
func (w *whatIf) Transform(m *msg.Transform) {
	w.feed(m.Boot, guard.Event{Kind: guard.EventTransform, Transform: m})
}

// Joints takes a joint state.
func (w *whatIf) Joints(m *msg.Joints) {
	w.feed(m.Boot, guard.Event{Kind: guard.EventJoints, Joints: m})
}

// IMU takes an inertial measurement.
func (w *whatIf) IMU(m *msg.IMU) { w.feed(m.Boot, guard.Event{Kind: guard.EventIMU, IMU: m}) }

// Command takes a command.
func (w *whatIf) Command(m *msg.Command) {
	w.feed(m.Boot, guard.Event{Kind: guard.EventCommand, Command: m})
}

// Device takes the state of a device.
func (w *whatIf) Device(m *msg.Device) {
	w.feed(m.Boot, guard.Event{Kind: guard.EventDevice, Device: m})
}

// Floor takes the name of the map in use.
func (w *whatIf) Floor(m *msg.Text) {
	name := strings.TrimSpace(string(m.Data))
	for i, world := range w.worlds {
		policy := w.cfg.Policy
		if i > 0 {
			policy = w.q.Against
		}
		floor := -1
		for _, v := range w.cfg.Topics.Floor.Values {
			if v.Value == name {
				floor = policy.FloorIndex(v.Floor)
			}
		}
		world.Feed(m.Boot, guard.Event{Kind: guard.EventFloor, Floor: floor})
	}
}

// Fact takes what the bus says about load, task, operator, a door or a badge. Its sender is as well known as the policy demands:
// publishers are those of the mapping.
func (w *whatIf) Fact(source, value int, h *msg.Header) {
	for _, world := range w.worlds {
		if list := world.params.Facts; source < len(list) {
			world.Feed(h.Boot, guard.Event{Kind: guard.EventFact, Fact: guard.Fact{
				Source: source, Value: value, Peer: h.Peer.ID, Strength: max(h.Peer.Strength, list[source].Need),
			}})
		}
	}
}

// Lock leaves recorded values of the lock topic alone: whose they are, a recording of a guard cannot tell from a stranger's.
func (w *whatIf) Lock(*msg.Bool) {}

// Answer leaves recorded heartbeat answers alone: they answer challenges of another guard.
func (w *whatIf) Answer(int, *msg.Text) {}
