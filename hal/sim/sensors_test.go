package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/msg"
)

// traffic plays a short tour and returns a digest of every message and of the truth.
func traffic(t *testing.T, seed uint64, change func(*World)) (messages, truth string) {
	t.Helper()
	sum := sha256.New()
	note := func(kind string, v any) { fmt.Fprintf(sum, "%s %+v\n", kind, v) }
	o := DefaultOptions()
	o.NoLock, o.Seed = true, seed
	var w *World
	peerless := func(h msg.Header) msg.Header { h.Peer = nil; return h }
	w, err := New(o, Handlers{
		Pose:    func(m *msg.Pose) { c := *m; c.Header = peerless(c.Header); note("pose", c) },
		Odom:    func(m *msg.Pose) { c := *m; c.Header = peerless(c.Header); note("odom", c) },
		Joints:  func(m *msg.Joints) { c := *m; c.Header = peerless(c.Header); note("joints", c) },
		IMU:     func(m *msg.IMU) { c := *m; c.Header = peerless(c.Header); note("imu", c) },
		Device:  func(m *msg.Device) { c := *m; c.Header = peerless(c.Header); note("device", c) },
		Floor:   func(m *msg.Text) { note("floor", string(m.Data)) },
		Graph:   func(m *msg.Graph) { note("graph", *m) },
		Answer:  func(m *msg.Text) { note("answer", string(m.Data)) },
		Command: func(c *msg.Command) { note("command", c.Twist); w.Command(c.Twist) },
		Reply:   func(r *Reply) { note("reply", *r) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r := w.Record(10*time.Millisecond, 10)
	w.Planner().Do(Go("kitchen", 0.8), Load(true), Reach(time.Second))
	change(w)
	for i := range 20 {
		w.Challenge(challenge())
		if i == 10 {
			w.Call(Call{Service: ServiceStop, On: true})
		}
		w.Advance(time.Second)
	}
	return hex.EncodeToString(sum.Sum(nil)), r.Digest()
}

func TestSameSeedSameTraffic(t *testing.T) {
	nothing := func(*World) {}
	m1, t1 := traffic(t, 5, nothing)
	m2, t2 := traffic(t, 5, nothing)
	if m1 != m2 || t1 != t2 {
		t.Error("the same seed gave different messages or another truth")
	}
	m3, t3 := traffic(t, 6, nothing)
	if m3 == m1 || t3 == t1 {
		t.Error("another seed gave the same messages or the same truth")
	}
}

func TestFaultOfOneSensorLeavesTheTruthAlone(t *testing.T) {
	_, sound := traffic(t, 5, func(*World) {})
	for _, f := range []Fault{FaultIMUSilent, FaultJointsSilent, FaultOdomSilent, FaultPoseZeroCovariance, FaultGraphUnknown} {
		if _, got := traffic(t, 5, func(w *World) { w.SetFault(f, true) }); got != sound {
			t.Errorf("%v changed how the robot moved", f)
		}
	}
}

func TestAdvanceInPiecesIsAdvanceAtOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pieces := rapid.SliceOfN(rapid.IntRange(0, 700), 1, 12).Draw(rt, "pieces")
		total := 0
		for _, p := range pieces {
			total += p
		}
		run := func(cut []int) string {
			w := passThrough(t, nil)
			r := w.Record(Tick, 0)
			w.Planner().Do(Go("dock-front", 0.5))
			for _, p := range cut {
				w.Advance(time.Duration(p) * time.Millisecond)
			}
			return r.Digest()
		}
		if run(pieces) != run([]int{total}) {
			rt.Fatal("cutting the time into pieces changed the truth")
		}
	})
}

func TestRatesAndOrder(t *testing.T) {
	count := map[string]int{}
	var lastPose, lastStamp int64
	var lastSeq uint32
	w := rig(t, Handlers{
		Pose: func(p *msg.Pose) {
			count["pose"]++
			if p.Stamp <= lastStamp || int64(p.Boot) <= lastPose || p.Seq != lastSeq+1 {
				t.Errorf("pose out of order: stamp %d after %d, received %d after %d, seq %d after %d",
					p.Stamp, lastStamp, p.Boot, lastPose, p.Seq, lastSeq)
			}
			lastPose, lastStamp, lastSeq = int64(p.Boot), p.Stamp, p.Seq
			if p.Peer == nil || p.Peer.Name != NodeLocalisation || p.Frame != "map" {
				t.Errorf("pose from %+v in frame %q", p.Peer, p.Frame)
			}
		},
		Odom:    func(*msg.Pose) { count["odom"]++ },
		Joints:  func(*msg.Joints) { count["joints"]++ },
		IMU:     func(*msg.IMU) { count["imu"]++ },
		Device:  func(*msg.Device) { count["device"]++ },
		Command: func(*msg.Command) { count["command"]++ },
		Floor:   func(*msg.Text) { count["floor"]++ },
		Graph:   func(*msg.Graph) { count["graph"]++ },
	}, nil)
	w.Advance(10 * time.Second)
	want := map[string]int{
		"pose": 200, "odom": 500, "joints": 500, "imu": 1000, "device": 60, "command": 200, "floor": 20, "graph": 90,
	}
	if d := cmp.Diff(want, count); d != "" {
		t.Errorf("messages in ten seconds (-want +got):\n%s", d)
	}
}

func TestCovarianceCoversTheError(t *testing.T) {
	var w *World
	var n, out1, out3 int
	w = passThrough(t, nil)
	w.on.Pose = func(p *msg.Pose) {
		// The pose was measured up to 45 ms ago; take the robot's way since then as error, as a consumer must.
		e := dist(Point{p.Position.X, p.Position.Y}, Point{w.Truth().X, w.Truth().Y})
		sigma := math.Sqrt(p.Covariance[0])
		n++
		if e > sigma {
			out1++
		}
		if e > 3.03*sigma+0.05 {
			out3++
		}
	}
	w.Planner().Do(Go("kitchen", 0.8), Go("laundry", 0.8))
	w.Advance(100 * time.Second)
	if n < 1900 || out1 == 0 || out3 > n/200 {
		t.Errorf("%d poses, %d beyond one sigma, %d beyond three", n, out1, out3)
	}
}

func TestStandstillShowsOnOdometryIMUAndJoints(t *testing.T) {
	var speed, gyro, accel, joint float64
	w := rig(t, Handlers{
		Odom: func(o *msg.Pose) { speed = max(speed, math.Abs(o.Twist.Linear.X)) },
		IMU: func(m *msg.IMU) {
			gyro = max(gyro, math.Abs(m.AngularVelocity.X), math.Abs(m.AngularVelocity.Z))
			accel = max(accel, math.Abs(m.LinearAcceleration.Z-gravityMPS2))
		},
		Joints: func(j *msg.Joints) {
			for i := range jointWaist {
				joint = max(joint, math.Abs(j.Velocity[i]))
			}
		},
	}, nil)
	w.Advance(20 * time.Second)
	if speed > 0.02 || gyro > 0.05 || accel > 0.3 || joint > 0.05 {
		t.Errorf("standing: speed %.3f, gyro %.3f, accel %.3f, joint %.3f", speed, gyro, accel, joint)
	}
	speed, gyro, accel, joint = 0, 0, 0, 0
	drive(w, forward(0.3), 5*time.Second)
	if speed < 0.2 || gyro < 0.12 || accel < 0.6 || joint < 0.3 {
		t.Errorf("walking at 0.3 m/s: speed %.3f, gyro %.3f, accel %.3f, joint %.3f", speed, gyro, accel, joint)
	}
}

// TestJointsStayWithinTheirRanges holds the angles to the ranges and rates that the demonstration's profile states.
func TestJointsStayWithinTheirRanges(t *testing.T) {
	limit := map[string][2]float64{
		"hip_pitch": {-2.5, 2.8}, "knee": {-0.1, 2.8}, "ankle_pitch": {-0.85, 0.5}, "ankle_roll": {-0.26, 0.26},
		"shoulder_pitch": {-3, 2.6}, "elbow": {-1, 2}, "waist_pitch": {-0.5, 0.5},
	}
	names := JointNames()
	check := func(j *msg.Joints) {
		for i, n := range names {
			for part, l := range limit {
				if len(n) > len(part) && slices.Contains([]string{"left_" + part + "_joint", "right_" + part + "_joint", part + "_joint"}, n) &&
					(j.Position[i] < l[0] || j.Position[i] > l[1]) {
					t.Errorf("%s at %.3f rad, range %v", n, j.Position[i], l)
				}
			}
			if math.Abs(j.Velocity[i]) > 12 {
				t.Errorf("%s at %.1f rad/s", n, j.Velocity[i])
			}
		}
	}
	w := rig(t, Handlers{Joints: check}, nil)
	w.SetLoad(true)
	drive(w, forward(0.94), 6*time.Second)
	w.SetLoad(false)
	w.Manipulate(true)
	drive(w, forward(-0.4), 4*time.Second)
	w.Call(Call{Service: ServiceStop, On: true})
	drive(w, msg.Twist{}, 10*time.Second)
	drive(w, forward(0.3), 5*time.Second)
}

func TestJointNames(t *testing.T) {
	names := JointNames()
	sorted := slices.Sorted(slices.Values(names[:]))
	if len(slices.Compact(sorted)) != Joints || slices.Contains(sorted, "") {
		t.Errorf("names are not %d different ones: %q", Joints, names)
	}
	if Joint("left_knee_joint") != 3 || Joint("right_elbow_joint") != 25 || Joint("tail_joint") != -1 {
		t.Errorf("Joint: %d, %d, %d", Joint("left_knee_joint"), Joint("right_elbow_joint"), Joint("tail_joint"))
	}
}
