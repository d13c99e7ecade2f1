package cdr

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

func commandGolden(typ string, h msg.Header) golden {
	return golden{
		func(_ testing.TB, f func(any)) Decoder {
			return must(NewCommand(typ, testPeer, 4, take[msg.Command](f)))
		},
		func() []any {
			c := newCounter()
			return []any{msg.Command{Header: h, Channel: 4, Twist: msg.Twist{Linear: c.vec3(), Angular: c.vec3()}}}
		},
	}
}

// driveGolden is a base with axles half a metre apart that goes back at 1.5 m/s and steers by 0.25 rad.
func driveGolden(typ string, h msg.Header) golden {
	return golden{
		func(_ testing.TB, f func(any)) Decoder {
			return must(NewAckermann(typ, 0.5, testPeer, 4, take[msg.Command](f)))
		},
		func() []any {
			return []any{msg.Command{Header: h, Channel: 4, Twist: msg.Twist{Linear: msg.Vec3{X: -1.5}, Angular: msg.Vec3{Z: -1.5 * math.Tan(0.25) / 0.5}}}}
		},
	}
}

func moreGoldens() map[string]golden {
	plain := goldenHeader("")
	plain.Stamp = 0
	return map[string]golden{
		"TFMessage":      {tfDecoderOf, wantTransforms},
		"TFMessageEmpty": {tfDecoderOf, func() []any { return nil }},
		"Imu": {
			func(_ testing.TB, f func(any)) Decoder { return NewIMU(testPeer, take[msg.IMU](f)) },
			func() []any {
				c := newCounter()
				m := msg.IMU{Header: goldenHeader("imu_link"), HasAngularVelocity: true, HasLinearAcceleration: true}
				m.Orientation = c.quat()
				c.skip(9)
				m.AngularVelocity = c.vec3()
				c.skip(9)
				m.LinearAcceleration = c.vec3()
				return []any{m}
			},
		},
		"BatteryState": {
			func(_ testing.TB, f func(any)) Decoder { return NewBattery(testPeer, 2, take[msg.Device](f)) },
			func() []any {
				return []any{msg.Device{
					Header: goldenHeader("bat"), Kind: msg.Battery, Index: 2, Active: true, ChargeRatio: 0.75, Charging: true,
				}}
			},
		},
		"Twist":                     commandGolden(bus.TypeTwist, plain),
		"TwistStamped":              commandGolden(TypeTwistStamped, goldenHeader("base_link")),
		"AckermannDrive":            driveGolden(bus.TypeAckermannDrive, plain),
		"AckermannDriveSent":        driveGolden(bus.TypeAckermannDrive, plain),
		"AckermannDriveStamped":     driveGolden(bus.TypeAckermannDriveStamped, goldenHeader("base_link")),
		"AckermannDriveStampedSent": driveGolden(bus.TypeAckermannDriveStamped, goldenHeader("base_link")),
		"Bool": {
			func(_ testing.TB, f func(any)) Decoder { return NewBool(testPeer, take[msg.Bool](f)) },
			func() []any { return []any{msg.Bool{Header: plain, Value: true}} },
		},
		"JointTrajectory": {
			func(tb testing.TB, f func(any)) Decoder {
				return NewTrajectory(testPeer, table(tb, goldenNames()[:3]), 1, 0, take[msg.Trajectory](f))
			},
			func() []any { return []any{wantTrajectory()} },
		},
		"Float64MultiArray": {
			func(_ testing.TB, f func(any)) Decoder { return NewValues(testPeer, 3, take[msg.Values](f)) },
			func() []any {
				m := msg.Values{Header: plain, Channel: 3, N: 7}
				for i, c := 0, newCounter(); i < m.N; i++ {
					m.Data[i] = c.next()
				}
				return []any{m}
			},
		},
		"DiagnosticArray": {diagnosticDecoderOf, wantDiagnostics},
		"GoalStatusArray": {
			func(_ testing.TB, f func(any)) Decoder { return NewGoalStates(testPeer, take[GoalState](f)) },
			func() []any {
				var all []any
				for i := range 3 {
					all = append(all, GoalState{
						Header: plain, Goal: GoalInfo{goalID(16 * i), int64(100+i)*1e9 + int64(i)}, Status: GoalSucceeded + GoalStatus(i),
						Index: i, Total: 3,
					})
				}
				return all
			},
		},
		"SendGoalRequest": {
			func(_ testing.TB, f func(any)) Decoder {
				return NewGoalRequest(testPeer, 2, []string{"bt.xml"}, false, func(m *GoalRequest) {
					kept := *m
					kept.Raw, kept.Size = nil, 0 // the payload is the caller's, with its padding or without
					f(kept)
				})
			},
			func() []any {
				c := newCounter()
				m := GoalRequest{ID: goalID(1), Demand: msg.Demand{Header: goldenHeader("map"), Channel: 2, Form: msg.FormNavigate}}
				m.Goal = msg.Goal{Position: c.vec3(), Orientation: c.quat()}
				return []any{m}
			},
		},
		"Feedback": {
			func(_ testing.TB, f func(any)) Decoder {
				return NewNavigateFeedback(testPeer, take[NavigateFeedback](f))
			},
			func() []any {
				c := newCounter()
				return []any{NavigateFeedback{
					Header: goldenHeader("map"), Goal: goalID(1), Position: c.vec3(), Orientation: c.quat(),
					Elapsed: 12250 * time.Millisecond, Remaining: 3 * time.Second, Recoveries: -2, DistanceM: 1.5,
				}}
			},
		},
	}
}

func goalID(base int) (id GoalID) {
	for i := range id {
		id[i] = byte(base + i)
	}
	return id
}

func tfDecoderOf(_ testing.TB, f func(any)) Decoder {
	return NewTransforms(testPeer, true, nil, 0, take[msg.Transform](f))
}

func wantTransforms() (all []any) {
	frames := []string{"map", "odom", "base_link", "torso", "t"}
	children := []string{"odom", "base_link", "imu", "head_camera_optical", "x"}
	c := newCounter()
	for i := range frames {
		m := msg.Transform{Header: goldenHeader(frames[i]), Child: children[i], Static: true}
		m.Stamp += int64(i) * 1e9
		m.Translation, m.Rotation = c.vec3(), c.quat()
		all = append(all, m)
	}
	return all
}

// wantTrajectory: the sample names joints 1, an unknown one and 0, at 0.5, 1.5 and 2.5 s; its points carry a position
// each, and but for the first a velocity after each position.
func wantTrajectory() msg.Trajectory {
	m := msg.Trajectory{
		Header: goldenHeader(""), Channel: 1, N: 3, Seen: 3, Unknown: 1, Points: 3, Start: 500 * time.Millisecond, Duration: 2500 * time.Millisecond, Monotonic: true,
	}
	nan := math.NaN()
	for i := range 3 {
		m.Effort[i] = nan
	}
	//            joint 0, 1, 2
	copy(m.First[:], []float64{-5.5, -6.5, nan})
	copy(m.Last[:], []float64{0, -2, nan})
	copy(m.Lowest[:], []float64{-5.5, -6.5, nan})
	copy(m.Velocity[:], []float64{2.5, 4.5, nan}) // the first point has none
	// Between the last two points controllers follow a cubic, which swings a little wider and faster.
	copy(m.Highest[:], []float64{1.0 / 6, -2, nan})
	copy(m.Slope[:], []float64{4.375, 4.5, nan})
	return m
}

func diagnosticDecoderOf(_ testing.TB, f func(any)) Decoder {
	return NewDiagnostics(testPeer, func(m *msg.Diagnostic) {
		c := *m
		c.Name, c.Message, c.HardwareID = bytes.Clone(m.Name), bytes.Clone(m.Message), bytes.Clone(m.HardwareID)
		f(c)
	})
}

func wantDiagnostics() (all []any) {
	names, messages := []string{"guard", "base: motors", "x"}, []string{"ok", "look", "look"}
	for i := range names {
		all = append(all, msg.Diagnostic{
			Header: goldenHeader(""), Level: uint8(i), Name: []byte(names[i]), Message: []byte(messages[i]), HardwareID: []byte("h1"),
			Values: i,
		})
	}
	return all
}
