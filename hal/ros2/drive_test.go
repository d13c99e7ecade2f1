package ros2

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
)

// TestDrivesPassBetweenNodes: a planner's drive is read by a gate as a velocity, goes out by half of it, and the base is told
// the same curve at half the speed. A base that is stopped keeps its wheels as they were, and one that is told nonsense is not told it.
func TestDrivesPassBetweenNodes(t *testing.T) {
	const wheelbase = 0.8
	for _, typ := range []string{bus.TypeAckermannDrive, bus.TypeAckermannDriveStamped} {
		t.Run(typ, func(t *testing.T) {
			d := freeDomain(t)
			planner := startNode(t, d, func(c *Config) { c.Name = "/planner" })
			gate, base := startNode(t, d), startNode(t, d, func(c *Config) { c.Name = "/base" })
			raw, err := planner.Advertise(bus.Publication{Topic: "/drive_raw", Type: typ, Frame: "planned", WheelbaseM: wheelbase})
			if err != nil {
				t.Fatal(err)
			}
			out, err := gate.Advertise(bus.Publication{Topic: "/drive", Type: typ, Frame: "base_link", WheelbaseM: wheelbase, Consumers: []string{"/base"}})
			if err != nil {
				t.Fatal(err)
			}
			var read, got collected[msg.Command]
			in, err := gate.SubscribeCommand(bus.Subscription{Topic: "/drive_raw", Type: typ, WheelbaseM: wheelbase, Allow: []string{"/planner"}}, 2, func(m *msg.Command) {
				read.add(*m)
				half := msg.Twist{Linear: msg.Vec3{X: m.Linear.X / 2}, Angular: msg.Vec3{Z: m.Angular.Z / 2}}
				if _, err := out.PublishTwist(uint64(m.Seq), &half); err != nil {
					t.Error(err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			last, err := base.SubscribeCommand(bus.Subscription{Topic: "/drive", Type: typ, WheelbaseM: wheelbase, Allow: []string{"/robowarden"}}, 0, func(m *msg.Command) { got.add(*m) })
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "matches", func() bool {
				return raw.Subscribers() == 1 && out.Subscribers() == 1 && hears(in) && hears(last)
			})
			for i, want := range []msg.Twist{
				{Linear: msg.Vec3{X: 1.5}, Angular: msg.Vec3{Z: 0.75}}, {Linear: msg.Vec3{X: -0.5}, Angular: msg.Vec3{Z: 0.25}}, {},
			} {
				if _, err := raw.PublishTwist(uint64(i+1), &want); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the drive", func() bool { return got.len() == i+1 })
				for hop, m := range map[float64]msg.Command{1: read.all()[i], 2: got.all()[i]} {
					if math.Abs(m.Linear.X*hop-want.Linear.X) > 1e-6 || math.Abs(m.Angular.Z*hop-want.Angular.Z) > 1e-6 {
						t.Errorf("sent %+v, by 1/%v it is %+v", want, hop, m.Twist)
					}
				}
			}
			m := read.all()[0]
			frame := ""
			if typ == bus.TypeAckermannDriveStamped {
				frame = "planned"
			}
			if m.Channel != 2 || m.Peer == nil || m.Peer.Name != "/planner" || m.Frame != frame || (m.Stamp != 0) != (frame != "") {
				t.Errorf("%+v; expected channel 2, /planner and the frame %q", m, frame)
			}
		})
	}
}

// TestWheelsStayAsTheyWere looks at the bytes that a base gets: to turn the wheels of a base that stands is motion too.
func TestWheelsStayAsTheyWere(t *testing.T) {
	d := freeDomain(t)
	gate, base := startNode(t, d), startNode(t, d, func(c *Config) { c.Name = "/base" })
	out, err := gate.Advertise(bus.Publication{Topic: "/drive", Type: bus.TypeAckermannDrive, WheelbaseM: 0.8})
	if err != nil {
		t.Fatal(err)
	}
	var got collected[[]float64]
	if _, err := base.part.NewReader(rtps.ReaderConfig{
		Topic: "rt/drive", Type: "ackermann_msgs::msg::dds_::AckermannDrive_", Reliable: true,
		Handler: func(x *rtps.Sample) {
			var f []float64
			for at := cdr.HeaderBytes; at+4 <= len(x.Payload); at += 4 {
				f = append(f, float64(math.Float32frombits(binary.LittleEndian.Uint32(x.Payload[at:]))))
			}
			got.add(f)
		},
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a match", func() bool { return out.Subscribers() == 1 })
	seq := uint64(10)
	for i, c := range []struct {
		x, z, speed, steering float64
	}{
		{0, 0.5, 0, 0}, // turning on the spot is nothing that this base can do, and it has never steered
		{1, 0.5, 1, math.Atan(0.4)},
		{0, 0, 0, math.Atan(0.4)},
		{0, -0.5, 0, math.Atan(0.4)},
		{-1, 0.5, -1, math.Atan(-0.4)},
		{0, 0, 0, math.Atan(-0.4)},
		{1, 0, 1, 0},
	} {
		seq++
		if s, err := out.PublishTwist(seq, &msg.Twist{Linear: msg.Vec3{X: c.x}, Angular: msg.Vec3{Z: c.z}}); err != nil || s.Superseded {
			t.Fatal(s, err)
		}
		// One that comes too late is not sent, and turns nothing.
		if s, err := out.PublishTwist(seq-1, &msg.Twist{Linear: msg.Vec3{X: 1}, Angular: msg.Vec3{Z: -0.9}}); err != nil || !s.Superseded {
			t.Fatal(s, err)
		}
		eventually(t, "the drive", func() bool { return got.len() == i+1 })
		f := got.all()[i]
		if len(f) != 5 || math.Abs(f[0]-c.steering) > 1e-6 || f[1] != 0 || f[2] != c.speed || f[3] != 0 || f[4] != 0 {
			t.Errorf("%+v went out as %v", c, f)
		}
	}
}

// TestDrivesNeedAWheelbase: without one nobody knows how a base turns, and with one no other type is meant.
func TestDrivesNeedAWheelbase(t *testing.T) {
	n := startNode(t, freeDomain(t))
	for _, typ := range []string{bus.TypeAckermannDrive, bus.TypeAckermannDriveStamped} {
		for _, w := range []float64{0, -1, math.NaN()} {
			if _, err := n.Advertise(bus.Publication{Topic: "/drive", Type: typ, WheelbaseM: w}); err == nil {
				t.Errorf("%s is advertised with a wheelbase of %v m", typ, w)
			}
			if _, err := n.SubscribeCommand(bus.Subscription{Topic: "/drive", Type: typ, WheelbaseM: w, AllowAny: true}, 0, func(*msg.Command) {}); err == nil {
				t.Errorf("%s is read with a wheelbase of %v m", typ, w)
			}
		}
		s := bus.Subscription{Topic: "/drive", Type: typ, WheelbaseM: 1, AllowAny: true, Open: func([]byte) ([]byte, msg.Proof) { return nil, msg.Proof{} }}
		if _, err := n.SubscribeCommand(s, 0, func(*msg.Command) {}); err == nil {
			t.Errorf("%s is read from envelopes", typ)
		}
	}
	if _, err := n.SubscribeCommand(bus.Subscription{Topic: "/cmd_vel", Type: bus.TypeTwist, WheelbaseM: 1, AllowAny: true}, 0, func(*msg.Command) {}); err == nil {
		t.Error("a Twist is read with a wheelbase")
	}
}
