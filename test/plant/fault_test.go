package plant

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
	"github.com/robowarden/robowarden/test/oracle"
)

// odometry subscribes to the plant's poses; the channel keeps the latest.
func (b *bench) odometry(t *testing.T) <-chan wire.OdometryMsg {
	t.Helper()
	return subscribe(t, b, "/odom", wire.Odometry, wire.ParseOdometry)
}

func subscribe[M any](t *testing.T, b *bench, topic string, typ wire.Type, parse func([]byte) (M, error)) <-chan M {
	t.Helper()
	n, err := wire.NewNode(wire.NodeConfig{Name: "/ear_" + topic[1:2], Master: b.m.URI()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	latest := make(chan M, 1)
	_, err = n.Subscribe(within(t, 10*time.Second), topic, typ, func(msg wire.Message) {
		m, err := parse(msg.Body)
		if err != nil {
			t.Error(err)
		}
		select {
		case <-latest:
		default:
		}
		latest <- m
	})
	if err != nil {
		t.Fatal(err)
	}
	return latest
}

// wait waits for an odometry message that fulfils the condition.
func (b *bench) wait(t *testing.T, c <-chan wire.OdometryMsg, what string, ok func(wire.OdometryMsg) bool) wire.OdometryMsg {
	t.Helper()
	return await(t, c, what, ok)
}

func await[M any](t *testing.T, c <-chan M, what string, ok func(M) bool) M {
	t.Helper()
	ctx := within(t, 10*time.Second)
	var last M
	for {
		select {
		case last = <-c:
			if ok(last) {
				return last
			}
		case <-ctx.Done():
			t.Fatalf("waited for %s; last %+v", what, last)
		}
	}
}

// silent fails when anything comes within half a second, of which the first tenth is for what was under way.
func silent[M any](t *testing.T, c <-chan M, what string) {
	t.Helper()
	start := time.Now()
	end := time.After(500 * time.Millisecond)
	for {
		select {
		case m := <-c:
			if time.Since(start) > 100*time.Millisecond {
				t.Fatalf("%s went on: %+v", what, m)
			}
		case <-end:
			return
		}
	}
}

func TestHealthyPose(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{X: 2, Y: -1, Yaw: 0.5, PoseTopic: "/amcl_pose"})
	m := b.wait(t, b.odometry(t), "a pose", func(wire.OdometryMsg) bool { return true })
	stamp := time.Unix(int64(m.Header.Sec), int64(m.Header.Nsec))
	if m.Header.Frame != "map" || m.Child != "base_link" || math.Hypot(m.Position[0]-2, m.Position[1]+1) > 0.02 ||
		math.Abs(m.Yaw()-0.5) > 0.01 || m.PoseCovariance[0] != 1e-4 || time.Since(stamp).Abs() > time.Second {
		t.Errorf("odometry %+v", m)
	}
	amcl := subscribe(t, b, "/amcl_pose", wire.PoseWithCovarianceStamped, func(b []byte) (int, error) { return len(b), nil })
	if n := await(t, amcl, "a pose with covariance", func(int) bool { return true }); n != 12+4+3+43*8 {
		t.Errorf("PoseWithCovarianceStamped of %d bytes", n)
	}
	tf := subscribe(t, b, "/tf", wire.TFMessage, func(b []byte) (int, error) { return len(b), nil })
	if n := await(t, tf, "a transform", func(int) bool { return true }); n != 4+12+4+3+4+9+7*8 {
		t.Errorf("TFMessage of %d bytes", n)
	}
}

func TestPoseFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	odom := b.odometry(t)
	age := func(m wire.OdometryMsg) float64 {
		return time.Since(time.Unix(int64(m.Header.Sec), int64(m.Header.Nsec))).Seconds()
	}
	for _, c := range []struct {
		fault, clear string
		bad          func(wire.OdometryMsg) bool
	}{
		{"teleport 3 -1", "clear teleport", func(m wire.OdometryMsg) bool { return m.Position[0] > 2.9 && m.Position[1] < -0.9 }},
		{"nan_pose", "clear nan_pose", func(m wire.OdometryMsg) bool { return math.IsNaN(m.Position[0]) }},
		{"zero_cov", "clear zero_cov", func(m wire.OdometryMsg) bool { return m.PoseCovariance[0] == 0 }},
		{"nan_cov", "clear nan_cov", func(m wire.OdometryMsg) bool { return math.IsNaN(m.PoseCovariance[0]) }},
		{"huge_cov", "clear huge_cov", func(m wire.OdometryMsg) bool { return m.PoseCovariance[0] > 1e3 }},
		{"future_stamp 2", "clear future_stamp", func(m wire.OdometryMsg) bool { return age(m) < -1 }},
		{"past_stamp 3", "clear past_stamp", func(m wire.OdometryMsg) bool { return age(m) > 2 }},
		{"wrong_frame odom", "clear wrong_frame", func(m wire.OdometryMsg) bool { return m.Header.Frame == "odom" }},
		{"wrong_frame", "clear", func(m wire.OdometryMsg) bool { return m.Header.Frame == "somewhere_else" }},
	} {
		b.Fault(t, c.fault)
		b.wait(t, odom, c.fault, c.bad)
		b.Fault(t, c.clear)
		b.wait(t, odom, c.clear, func(m wire.OdometryMsg) bool { return !c.bad(m) })
	}
}

func TestFrozenPoseMovesOnInTruth(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	odom := b.odometry(t)
	b.drive(t, 0.5, 0)
	at := b.cruise(t, 0.5)
	b.Fault(t, "freeze_pose")
	b.WaitTruth(t, 5*time.Second, "a metre more", func(s oracle.Sample) bool { return s.X > at.X+1 })
	a := b.wait(t, odom, "a pose", func(wire.OdometryMsg) bool { return true })
	c := b.wait(t, odom, "a later stamp", func(m wire.OdometryMsg) bool { return m.Header.Nsec != a.Header.Nsec })
	if a.Position != c.Position || a.Orientation != c.Orientation || c.Position[0] > at.X+0.7 || c.Linear[0] < 0.4 {
		t.Errorf("poses %+v and %+v are not one frozen pose with a live speed", a, c)
	}
}

func TestStreamsFallSilent(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	odom := b.odometry(t)
	joints := subscribe(t, b, "/joint_states", wire.JointState, wire.ParseJointState)
	imu := subscribe(t, b, "/imu/data", wire.Imu, wire.ParseImu)
	j := await(t, joints, "joints", func(wire.JointStateMsg) bool { return true })
	if len(j.Names) != 29 || !slices.Contains(j.Names, "joint_28") || len(j.Velocity) != 29 || len(j.Position) != 29 {
		t.Errorf("joints %+v", j)
	}
	m := await(t, imu, "inertial data", func(wire.ImuMsg) bool { return true })
	if math.Abs(m.Acceleration[2]-9.81) > 0.2 {
		t.Errorf("standing robot: %+v", m)
	}
	b.Fault(t, "stop_odom")
	silent(t, odom, "odometry")
	b.Fault(t, "stop_joints")
	silent(t, joints, "joints")
	b.Fault(t, "stop_imu")
	silent(t, imu, "inertial data")
	b.Fault(t, "clear")
	b.wait(t, odom, "odometry again", func(wire.OdometryMsg) bool { return true })
	await(t, joints, "joints again", func(wire.JointStateMsg) bool { return true })
	await(t, imu, "inertial data again", func(wire.ImuMsg) bool { return true })
}

func TestSecondSourcesSeeMotion(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	joints := subscribe(t, b, "/joint_states", wire.JointState, wire.ParseJointState)
	imu := subscribe(t, b, "/imu/data", wire.Imu, wire.ParseImu)
	swinging := func(j wire.JointStateMsg) bool { return slices.Max(j.Velocity) > 1 }
	shaking := func(m wire.ImuMsg) bool { return math.Abs(m.Acceleration[0]) > 0.2 }
	if j := await(t, joints, "joints", func(wire.JointStateMsg) bool { return true }); swinging(j) {
		t.Errorf("joints swing at rest: %+v", j)
	}
	b.drive(t, 0.6, 0)
	b.cruise(t, 0.6)
	await(t, joints, "swinging joints", swinging)
	await(t, imu, "shaking", shaking)
	b.Fault(t, "freeze_joints")
	await(t, joints, "frozen joints", func(j wire.JointStateMsg) bool { return !swinging(j) })
}

func TestStopServiceFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	b.drive(t, 0.5, 0)
	b.cruise(t, 0.5)
	for fault, want := range map[string]bool{"ignore_stop_service": true, "refuse_stop_service": false} {
		b.Fault(t, fault)
		if ok, _ := b.service(t, "/motor_stop", wire.SetBool, wire.BoolBody(true)); ok != want {
			t.Errorf("%s: answer %v, want %v", fault, ok, want)
		}
		b.Fault(t, "clear "+fault)
	}
	b.Fault(t, "hang_stop_service")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := wire.CallService(ctx, b.m.URI(), "/hand", "/motor_stop", wire.SetBool, wire.BoolBody(true)); err == nil {
		t.Error("the service answered although it hangs")
	}
	// None of these calls stopped the robot, and a hanging call holds up neither commands nor faults.
	at := b.cruise(t, 0.5)
	b.WaitTruth(t, 5*time.Second, "driving on", func(s oracle.Sample) bool { return s.X > at.X+0.3 })
	b.Fault(t, "clear")
	if ok, _ := b.service(t, "/motor_stop", wire.SetBool, wire.BoolBody(true)); !ok {
		t.Error("refused after the fault was cleared")
	}
	b.rest(t)
}

func TestRunawayObeysNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{LockTopic: "/safety_lock"})
	stop := repeat(t, 50*time.Millisecond, func() { b.lock.Send(wire.BoolBody(false)) })
	b.drive(t, 0.5, 0)
	b.cruise(t, 0.5)
	b.Fault(t, "keep_moving")
	b.drive(t, 0, 0)
	stop()
	b.service(t, "/motor_stop", wire.SetBool, wire.BoolBody(true))
	at := b.WaitTruth(t, 5*time.Second, "all stops in force", func(s oracle.Sample) bool {
		return s.Flags&oracle.Locked != 0 && s.Flags&oracle.Stopped != 0 && s.CmdZero()
	})
	b.WaitTruth(t, 5*time.Second, "a metre more", func(s oracle.Sample) bool { return s.X > at.X+1 })
	// It does not have to hear what takes its drive's power.
	b.Fault(t, "brake")
	if end := b.rest(t); end.Flags&oracle.Runaway == 0 || end.Flags&oracle.Braked == 0 {
		t.Errorf("at rest with flags %b: expected a runaway that is braked", end.Flags)
	}
	b.Fault(t, "clear")
	b.rest(t)
}

func TestTruthSurvivesAKill(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	b.WaitTruth(t, 5*time.Second, "some rows", func(oracle.Sample) bool { return len(b.Truth(t).Samples) > 50 })
	b.Kill()
	if truth := b.Truth(t); len(truth.Samples) < 50 {
		t.Errorf("%d samples after the kill", len(truth.Samples))
	}
}

func TestBadArgumentsAreNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	for _, arg := range []string{"--decel=-1", "--speed=3", "decel=1", "--lag=nan", "--decel=1x", "--odom-jitter=0.5"} {
		p := b.m.Node(t, b.spec(t, arg))
		exit, err := p.Wait(within(t, 10*time.Second))
		if err != nil || exit.Code != 2 {
			t.Errorf("%s: %v, %v; want exit 2", arg, exit, err)
		}
		if _, err := p.WaitOutput(within(t, time.Second), `plant: .*--|expected --key`); err != nil {
			t.Errorf("%s: %v", arg, errors.Unwrap(err))
		}
	}
}
