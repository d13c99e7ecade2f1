package cdr

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr/cdrtest"
)

// drawn is a message as fields to write, and as what a decoder must make of them.
type drawn struct {
	write func(w *cdrtest.Writer)
	want  []any
}

func drawHeader(t *rapid.T) (stamp int64, frame string) {
	return rapid.Int64Range(0, math.MaxInt32*1e9+999999999).Draw(t, "stamp"), rapid.StringN(0, 16, MaxFrame).Draw(t, "frame")
}

func drawFloats(t *rapid.T, n int) []float64 {
	return rapid.SliceOfN(rapid.Float64(), n, n).Draw(t, "numbers")
}

func vecOf(f []float64) msg.Vec3  { return msg.Vec3{X: f[0], Y: f[1], Z: f[2]} }
func quatOf(f []float64) msg.Quat { return msg.Quat{X: f[0], Y: f[1], Z: f[2], W: f[3]} }

func headerOf(stamp int64, frame string) msg.Header {
	return msg.Header{Boot: 3, Stamp: stamp, Seq: 5, Frame: frame, Peer: testPeer}
}

// checkDecode decodes in both byte orders, padded and not, and makes sure that no shorter payload decodes.
func checkDecode(t *rapid.T, d Decoder, got *[]any, m drawn) {
	t.Helper()
	for _, big := range []bool{false, true} {
		w := cdrtest.New(big)
		m.write(w)
		body := w.Bytes()
		*got = nil
		cut := rapid.IntRange(0, len(body)-1).Draw(t, "cut")
		if err := d.Decode(body[:cut], 3, 5); err == nil || *got != nil {
			t.Fatalf("%d of %d bytes decode", cut, len(body))
		}
		if err := d.Decode(append(bytes.Clone(body), 0, 0, 0, 0), 3, 5); err == nil {
			t.Fatal("a message with a word too many decodes")
		}
		for _, b := range [][]byte{body, w.Padded()} {
			*got = nil
			if err := d.Decode(b, 3, 5); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m.want, *got, nanEqual); diff != "" {
				t.Fatal(diff)
			}
		}
	}
}

func TestPosesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom([]string{bus.TypeOdometry, bus.TypePoseStamped, bus.TypePoseWithCovarianceStamped}).Draw(t, "type")
		stamp, frame := drawHeader(t)
		child := rapid.StringN(0, 16, MaxFrame).Draw(t, "child")
		pose, cov, twist, twistCov := drawFloats(t, 7), drawFloats(t, 36), drawFloats(t, 6), drawFloats(t, 36)
		want := msg.Pose{Header: headerOf(stamp, frame), Position: vecOf(pose), Orientation: quatOf(pose[3:])}
		if typ != bus.TypePoseStamped {
			want.HasCovariance, want.Covariance = true, [36]float64(cov)
		}
		if typ == bus.TypeOdometry {
			want.Child, want.HasTwist, want.Twist = child, true, msg.Twist{Linear: vecOf(twist), Angular: vecOf(twist[3:])}
		}
		var got []any
		d := must(NewPose(typ, testPeer, func(m *msg.Pose) { got = append(got, *m) }))
		checkDecode(t, d, &got, drawn{func(w *cdrtest.Writer) {
			w.Header(stamp, frame)
			if typ == bus.TypeOdometry {
				w.Str(child)
			}
			w.F64(pose...)
			if typ != bus.TypePoseStamped {
				w.F64(cov...)
			}
			if typ == bus.TypeOdometry {
				w.F64(twist...).F64(twistCov...)
			}
		}, []any{want}})
	})
}

func TestTransformsRoundTrip(t *testing.T) {
	names := rapid.SampledFrom([]string{"map", "/map", "odom", "base", "", "a rather long frame"})
	rapid.Check(t, func(t *rapid.T) {
		filter := rapid.Bool().Draw(t, "filter")
		type transform struct {
			stamp         int64
			parent, child string
			f             []float64
		}
		var list []transform
		var want []any
		for range rapid.IntRange(0, 6).Draw(t, "transforms") {
			stamp, _ := drawHeader(t)
			tr := transform{stamp, names.Draw(t, "parent"), names.Draw(t, "child"), drawFloats(t, 7)}
			list = append(list, tr)
			m := msg.Transform{Header: headerOf(stamp, tr.parent), Child: tr.child, Translation: vecOf(tr.f), Rotation: quatOf(tr.f[3:])}
			if filter {
				if tr.child != "base" || tr.parent != "map" && tr.parent != "/map" {
					continue
				}
				m.Frame = "map"
			}
			want = append(want, m)
		}
		var edges []bus.Edge
		if filter {
			edges = []bus.Edge{{Parent: "x", Child: "y"}, {Parent: "map", Child: "base"}}
		}
		var got []any
		d := NewTransforms(testPeer, false, edges, 6, func(m *msg.Transform) { got = append(got, *m) })
		checkDecode(t, d, &got, drawn{func(w *cdrtest.Writer) {
			w.U32(uint32(len(list)))
			for _, tr := range list {
				w.Header(tr.stamp, tr.parent).Str(tr.child).F64(tr.f...)
			}
		}, want})
	})
}

// TestJointsRoundTrip sends several messages through one decoder, since it remembers their order.
func TestJointsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := goldenNames()[:rapid.IntRange(1, 61).Draw(t, "joints")]
		var got []any
		tab, err := NewJointTable(names)
		if err != nil {
			t.Fatal(err)
		}
		d := NewJoints(testPeer, tab, 0, func(m *msg.Joints) { got = append(got, *m) })
		pool := append([]string{"wheel", "", "gripper"}, names...)
		for range rapid.IntRange(1, 4).Draw(t, "messages") {
			stamp, frame := drawHeader(t)
			sent := rapid.SliceOfDistinct(rapid.SampledFrom(pool), func(s string) string { return s }).Draw(t, "names")
			var arrays [3][]float64
			for i := range arrays {
				if rapid.Bool().Draw(t, "there") {
					arrays[i] = drawFloats(t, len(sent))
				}
			}
			want := msg.Joints{Header: headerOf(stamp, frame), N: len(names)}
			want.HasVelocity, want.HasEffort = len(arrays[1]) > 0, len(arrays[2]) > 0
			for i, dst := range []*[msg.MaxJoints]float64{&want.Position, &want.Velocity, &want.Effort} {
				for j, name := range names {
					dst[j] = math.NaN()
					if k := slices.Index(sent, name); k >= 0 && len(arrays[i]) > 0 {
						dst[j] = arrays[i][k]
						if i == 0 {
							want.Seen |= 1 << j
						}
					}
				}
			}
			for _, name := range sent {
				if !slices.Contains(names, name) {
					want.Unknown++
				}
			}
			checkDecode(t, d, &got, drawn{func(w *cdrtest.Writer) {
				w.Header(stamp, frame).Strs(sent).F64s(arrays[0]).F64s(arrays[1]).F64s(arrays[2])
			}, []any{want}})
		}
	})
}

// TestTrajectoriesAreOutlinedAsTheyAre computes the outline from all points at once.
func TestTrajectoriesAreOutlinedAsTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 8).Draw(t, "points")
		times, pos, vel := make([]int64, n), drawFloats(t, n), drawFloats(t, n)
		has := rapid.Bool().Draw(t, "velocities")
		nan := math.NaN()
		want := msg.Trajectory{Header: headerOf(9, ""), N: 1, Seen: 1, Points: n, Monotonic: true}
		for _, a := range []*[msg.MaxJoints]float64{&want.First, &want.Last, &want.Lowest, &want.Highest, &want.Velocity, &want.Effort, &want.Slope} {
			a[0] = nan
		}
		var speeds, slopes []float64
		for i := range n {
			times[i] = rapid.Int64Range(0, 10e9).Draw(t, "time")
			speeds = append(speeds, math.Abs(vel[i]))
			if i > 0 {
				dt := float64(max(times[i]-times[i-1], 0)) / 1e9
				want.Monotonic = want.Monotonic && times[i] > times[i-1]
				if dx := math.Abs(pos[i] - pos[i-1]); dx == 0 {
					slopes = append(slopes, 0)
				} else {
					slopes = append(slopes, dx/dt)
				}
			}
		}
		if n > 0 {
			want.First[0], want.Last[0], want.Lowest[0], want.Highest[0] = pos[0], pos[n-1], slices.Min(pos), slices.Max(pos)
			want.Start, want.Duration = time.Duration(times[0]), time.Duration(times[n-1])
			if has {
				want.Velocity[0] = slices.Max(speeds)
			}
			if n > 1 {
				want.Slope[0] = slices.Max(slopes)
			}
		}
		var got []any
		tab, err := NewJointTable([]string{"j"})
		if err != nil {
			t.Fatal(err)
		}
		d := NewTrajectory(testPeer, tab, 0, 8, func(m *msg.Trajectory) {
			o := *m
			if has && n > 0 { // A cubic goes at least as far, and as fast, as the line, also to the first point; how far is the outliner's own test.
				if o.Lowest[0] > want.Lowest[0] || o.Highest[0] < want.Highest[0] || o.Slope[0] < want.Slope[0]*(1-1e-9) {
					t.Fatalf("%+v, want at least %+v", o, want)
				}
				if o.Lowest[0], o.Highest[0] = want.Lowest[0], want.Highest[0]; n > 1 {
					o.Slope[0] = want.Slope[0]
				}
			} else if n > 1 && math.Abs(o.Slope[0]-want.Slope[0]) <= want.Slope[0]*1e-12 {
				o.Slope[0] = want.Slope[0] // multiplied and divided in another order
			}
			got = append(got, o)
		})
		checkDecode(t, d, &got, drawn{func(w *cdrtest.Writer) {
			w.Header(9, "").Strs([]string{"j"}).U32(uint32(n))
			for i := range n {
				w.F64s(pos[i : i+1])
				if has {
					w.F64s(vel[i : i+1])
				} else {
					w.U32(0)
				}
				w.U32(0, 0).Time(times[i])
			}
		}, []any{want}})
	})
}

// TestWhatIsWrittenIsRead holds encoders to decoders.
func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stamp, frame := drawHeader(t)
		f := drawFloats(t, 6)
		twist := msg.Twist{Linear: vecOf(f), Angular: vecOf(f[3:])}
		var got []any
		cmd := must(NewCommand(TypeTwistStamped, testPeer, 0, func(m *msg.Command) { got = append(got, *m) }))
		if err := cmd.Decode(AppendTwistStamped(nil, stamp, frame, &twist), 3, 5); err != nil {
			t.Fatal(err)
		}
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		str := NewText(testPeer, func(m *msg.Text) { got = append(got, string(m.Data)) })
		if err := str.Decode(AppendString(nil, text), 3, 5); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]any{msg.Command{Header: headerOf(stamp, frame), Twist: twist}, string(text)}, got, nanEqual); diff != "" {
			t.Fatal(diff)
		}
		e := Entities{Participant: GID(goalID(7))}
		for range rapid.IntRange(0, 5).Draw(t, "nodes") {
			n := NodeEntities{Namespace: rapid.StringN(0, 20, MaxName).Draw(t, "namespace"), Name: rapid.StringN(0, 20, MaxName).Draw(t, "name")}
			for range rapid.IntRange(0, 4).Draw(t, "gids") {
				n.Readers = append(n.Readers, GID(goalID(rapid.IntRange(0, 255).Draw(t, "gid"))))
				n.Writers = append(n.Writers, GID(goalID(rapid.IntRange(0, 255).Draw(t, "gid"))))
			}
			e.Nodes = append(e.Nodes, n)
		}
		long := rapid.Bool().Draw(t, "long")
		e.Long = long
		var back Entities
		if err := ParseEntities(AppendEntities(nil, &e, long), &back, 0, 0); err != nil || !cmp.Equal(e, back) {
			t.Fatalf("%v: %v", err, cmp.Diff(e, back))
		}
	})
}
