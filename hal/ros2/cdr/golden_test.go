package cdr

import (
	"bytes"
	"encoding/hex"
	"maps"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// sample is a payload that another implementation serialised.
type sample struct {
	by, name, order string
	payload         []byte
}

func samples(tb testing.TB) (list []sample) {
	tb.Helper()
	for _, by := range []string{"fastcdr", "cyclone"} {
		text, err := os.ReadFile("testdata/" + by + ".txt")
		if err != nil {
			tb.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if f[0] == "#" {
				continue
			}
			b, err := hex.DecodeString(f[2])
			if err != nil {
				tb.Fatal(err)
			}
			list = append(list, sample{by, f[0], f[1], b})
		}
	}
	return list
}

// payloadOf is Fast CDR's payload of that name.
func payloadOf(tb testing.TB, name, order string) []byte {
	tb.Helper()
	for _, s := range samples(tb) {
		if s.name == name && s.order == order {
			return bytes.Clone(s.payload)
		}
	}
	tb.Fatalf("no sample %s %s", name, order)
	return nil
}

var testPeer = &msg.Peer{ID: 1, Name: "/p", Strength: msg.SourceBound}

// nanEqual treats NaN as equal to itself, for it has to arrive as it was sent; a peer is the same or it is not.
var nanEqual = cmp.Options{cmpopts.EquateNaNs(), cmp.Comparer(func(a, b *msg.Peer) bool { return a == b })}

// counter gives the numbers of the samples in their order.
type counter float64

func (c *counter) next() float64 {
	*c += 0.5
	return float64(*c)
}

func newCounter() *counter {
	c := counter(-7)
	return &c
}

func (c *counter) vec3() msg.Vec3 { return msg.Vec3{X: c.next(), Y: c.next(), Z: c.next()} }

func (c *counter) quat() msg.Quat {
	return msg.Quat{X: c.next(), Y: c.next(), Z: c.next(), W: c.next()}
}

func (c *counter) cov() (a [36]float64) {
	for i := range a {
		a[i] = c.next()
	}
	return a
}

func (c *counter) skip(n int) {
	for range n {
		c.next()
	}
}

const (
	goldenBoot  = 7 * time.Second
	goldenSeq   = 1<<32 + 9
	goldenStamp = 1700000000123456789
)

func goldenHeader(frame string) msg.Header {
	return msg.Header{Boot: goldenBoot, Stamp: goldenStamp, Seq: 9, Frame: frame, Peer: testPeer}
}

// goldenNames are the joints of the JointState samples, each with as many underscores as its number leaves over nine.
func goldenNames() []string {
	names := make([]string, 61)
	for i := range names {
		names[i] = "j" + itoa(i) + strings.Repeat("_", i%9)
	}
	return names
}

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return itoa(i/10) + itoa(i%10)
}

func must(d Decoder, err error) Decoder {
	if err != nil {
		panic(err)
	}
	return d
}

// golden is what a sample's decoder must hand over, message by message.
type golden struct {
	decoder func(tb testing.TB, take func(any)) Decoder
	want    func() []any
}

func take[T any](f func(any)) func(*T) { return func(m *T) { f(*m) } }

func poseGolden(typ string, want func() msg.Pose) golden {
	return golden{
		func(_ testing.TB, f func(any)) Decoder { return must(NewPose(typ, testPeer, take[msg.Pose](f))) },
		func() []any { return []any{want()} },
	}
}

func jointsGolden(want func() msg.Joints) golden {
	return golden{
		func(tb testing.TB, f func(any)) Decoder {
			return NewJoints(testPeer, table(tb, goldenNames()), 0, take[msg.Joints](f))
		},
		func() []any { return []any{want()} },
	}
}

func table(tb testing.TB, names []string) *JointTable {
	tb.Helper()
	t, err := NewJointTable(names)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func textGolden(text string) golden {
	return golden{
		func(_ testing.TB, f func(any)) Decoder {
			return NewText(testPeer, func(m *msg.Text) {
				c := *m
				c.Data = bytes.Clone(c.Data)
				f(c)
			})
		},
		func() []any {
			h := goldenHeader("")
			h.Stamp = 0
			return []any{msg.Text{Header: h, Data: []byte(text)}}
		},
	}
}

func odometry(bare bool) golden {
	return poseGolden(bus.TypeOdometry, func() msg.Pose {
		c := newCounter()
		m := msg.Pose{Header: goldenHeader("odom"), Child: "base_link", HasCovariance: true, HasTwist: true}
		m.Position, m.Orientation, m.Covariance = c.vec3(), c.quat(), c.cov()
		m.Twist = msg.Twist{Linear: c.vec3(), Angular: c.vec3()}
		if bare {
			m.Frame, m.Child, m.Stamp, m.Position.X = "", "", -5*1e9+999999999, math.NaN()
		}
		return m
	})
}

// goldens are the samples that decode into messages.
func goldens() map[string]golden {
	all := map[string]golden{
		"Odometry": odometry(false), "OdometryBare": odometry(true),
		"PoseStamped": poseGolden(bus.TypePoseStamped, func() msg.Pose {
			c := newCounter()
			return msg.Pose{Header: goldenHeader("map1"), Position: c.vec3(), Orientation: c.quat()}
		}),
		"PoseWithCovarianceStamped": poseGolden(bus.TypePoseWithCovarianceStamped, func() msg.Pose {
			c := newCounter()
			return msg.Pose{
				Header: goldenHeader("mapframe"), Position: c.vec3(), Orientation: c.quat(), Covariance: c.cov(), HasCovariance: true,
			}
		}),
		"JointState": jointsGolden(func() msg.Joints {
			c := newCounter()
			m := msg.Joints{Header: goldenHeader(""), N: 61, Seen: 1<<61 - 1, HasVelocity: true, HasEffort: true}
			for i := range m.N {
				m.Position[i], m.Velocity[i], m.Effort[i] = c.next(), c.next(), c.next()
			}
			return m
		}),
		"JointStatePositions": jointsGolden(func() msg.Joints {
			m := msg.Joints{Header: goldenHeader("abc"), N: 61, Seen: 3}
			for i := range m.N {
				m.Position[i], m.Velocity[i], m.Effort[i] = math.NaN(), math.NaN(), math.NaN()
			}
			m.Position[0], m.Position[1] = -6.5, -6
			return m
		}),
	}
	for _, text := range []string{"", "a", "ab", "abc", "abcd", "rw1 answer"} {
		all["String"+itoa(len(text))] = textGolden(text)
	}
	maps.Copy(all, moreGoldens())
	return all
}

func TestSamplesOfOtherImplementationsDecode(t *testing.T) {
	all, seen := goldens(), map[string]bool{}
	for _, s := range samples(t) {
		g, ok := all[s.name]
		if !ok {
			continue // requests and answers, which have tests of their own
		}
		seen[s.name] = true
		t.Run(s.by+"/"+s.name+"/"+s.order, func(t *testing.T) {
			var got []any
			d := g.decoder(t, func(m any) { got = append(got, m) })
			if err := d.Decode(s.payload, goldenBoot, goldenSeq); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(g.want(), got, nanEqual); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name := range all {
		if !seen[name] {
			t.Errorf("no sample of %s", name)
		}
	}
}

// TestSamplesCutOrExtendedAreRefused cuts each sample at every byte, and appends to it.
func TestSamplesCutOrExtendedAreRefused(t *testing.T) {
	all := goldens()
	for _, s := range samples(t) {
		g, ok := all[s.name]
		if !ok {
			continue
		}
		calls := 0
		d := g.decoder(t, func(any) { calls++ })
		// What a sender pads with may be missing; everything else may not.
		for cut := range len(s.payload) - int(s.payload[3]&3) {
			if err := d.Decode(s.payload[:cut], 1, 1); err == nil {
				t.Errorf("%s %s %s: %d of %d bytes decode", s.by, s.name, s.order, cut, len(s.payload))
			}
		}
		for _, more := range []int{4, 8, 64} {
			if s.name == "Feedback" && more == 8 {
				continue // newer servers send two more numbers
			}
			long := append(bytes.Clone(s.payload), make([]byte, more)...)
			if err := d.Decode(long, 1, 1); err == nil {
				t.Errorf("%s %s %s: %d bytes too many decode", s.by, s.name, s.order, more)
			}
		}
		if calls != 0 {
			t.Errorf("%s %s %s: %d messages of refused payloads", s.by, s.name, s.order, calls)
		}
	}
}
