package ros1

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/msgs/ackermann_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/geometry_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/protocommon"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// TestVelocitiesOfEveryType: what is sent in a type of velocity is read as the same velocity, and goroslib reads it too.
func TestVelocitiesOfEveryType(t *testing.T) {
	want := msg.Twist{Linear: msg.Vec3{X: 0.5}, Angular: msg.Vec3{Z: 0.25}}
	for typ, m := range map[string]any{
		bus.TypeTwistStamped: &geometry_msgs.TwistStamped{}, bus.TypeAckermannDrive: &ackermann_msgs.AckermannDrive{},
		bus.TypeAckermannDriveStamped: &ackermann_msgs.AckermannDriveStamped{},
	} {
		b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: typ, Frame: "base", WheelbaseM: 0.8}, nil)
		s := b.join(t, "/base")
		if _, err := b.p.PublishTwist(1, &want); err != nil {
			t.Fatal(err)
		}
		body, err := s.Message()
		if err != nil {
			t.Fatal(err)
		}
		if err := protocommon.MessageDecode(bytes.NewReader(append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)), m); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		d := &commandDecoder{stamped: typ != bus.TypeAckermannDrive, h: func(c *msg.Command) {
			if math.Abs(c.Linear.X-0.5) > 1e-6 || math.Abs(c.Angular.Z-0.25) > 1e-6 || typ != bus.TypeAckermannDrive && (c.Frame != "base" || c.Stamp == 0) {
				t.Errorf("%s: %+v", typ, c)
			}
		}}
		if typ != bus.TypeTwistStamped {
			d.wheelbase = 0.8
		}
		if err := d.decode(body, 1); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		if n := testing.AllocsPerRun(200, func() { _ = d.decode(body, 1) }); n != 0 {
			t.Errorf("%s: %v allocations", typ, n)
		}
		// A base that stops keeps its wheels as they were.
		if drive, ok := m.(*ackermann_msgs.AckermannDrive); ok {
			if _, err := b.p.PublishTwist(2, &msg.Twist{}); err != nil {
				t.Fatal(err)
			}
			if body, err = s.Message(); err != nil || binary.LittleEndian.Uint32(body) != math.Float32bits(drive.SteeringAngle) || drive.SteeringAngle == 0 {
				t.Errorf("steering %v, then %x, %v", drive.SteeringAngle, body, err)
			}
		}
	}
	var got msg.Command
	d := &commandDecoder{wheelbase: 0.8, h: func(c *msg.Command) { got = *c }}
	for name, m := range map[string]ackermann_msgs.AckermannDrive{
		"NaN":             {Speed: float32(math.NaN())},
		"across":          {Speed: 1, SteeringAngle: 1.55},
		"NaN of a rate":   {Speed: 1, Jerk: float32(math.NaN())},
		"infinite by way": {Speed: 1, Acceleration: float32(math.Inf(1))},
	} {
		if err := d.decode(encode(t, &m), time.Second); err != nil || !math.IsNaN(got.Angular.Z) && !math.IsNaN(got.Linear.X) {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
	if _, err := startNode(t, testConfig(newTestMaster(t).URI(), &events{})).SubscribeCommand(bus.Subscription{Topic: "/x", Type: bus.TypeAckermannDrive, AllowAny: true}, 0, func(*msg.Command) {}); err == nil {
		t.Error("Ackermann without a wheelbase is taken")
	}
}
