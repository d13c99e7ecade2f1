package guard

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// MaxChain is the largest number of frames from the map to the base.
const MaxChain = 8

// chain composes the pose of the base in the map from edges of the tf tree. tf is a claim like any other message: the
// result is as old as its oldest moving edge, and it has no covariance.
type chain struct {
	frames []string
	edges  [MaxChain - 1]edge
}

type edge struct {
	seen   bool
	static bool
	boot   time.Duration
	stamp  int64
	t      msg.Vec3
	r      msg.Quat
}

// put stores an edge that belongs to the chain; it returns true if the chain is complete and this edge moved it.
func (c *chain) put(t *msg.Transform, boot time.Duration) bool {
	for i := range len(c.frames) - 1 {
		if t.Header.Frame == c.frames[i] && t.Child == c.frames[i+1] {
			c.edges[i] = edge{seen: true, static: t.Static, boot: boot, stamp: t.Stamp, t: t.Translation, r: t.Rotation}
			return c.complete()
		}
	}
	return false
}

func (c *chain) complete() bool {
	for i := range len(c.frames) - 1 {
		if !c.edges[i].seen {
			return false
		}
	}
	return len(c.frames) > 1
}

// pose composes the chain. Receive time and stamp are those of the oldest edge that moves.
func (c *chain) pose(out *msg.Pose) {
	*out = msg.Pose{Orientation: msg.Quat{W: 1}}
	out.Frame, out.Child = c.frames[0], c.frames[len(c.frames)-1]
	first := true
	for i := range len(c.frames) - 1 {
		e := &c.edges[i]
		out.Position = add(out.Position, rotate(out.Orientation, e.t))
		out.Orientation = multiply(out.Orientation, e.r)
		if e.static {
			continue
		}
		if first || e.boot < out.Boot {
			out.Boot = e.boot
		}
		if first || e.stamp < out.Stamp {
			out.Stamp = e.stamp
		}
		first = false
	}
}

func add(a, b msg.Vec3) msg.Vec3 { return msg.Vec3{X: a.X + b.X, Y: a.Y + b.Y, Z: a.Z + b.Z} }

// Products are rounded one by one (float64(...)), since a fused multiply-add on arm64 would give another pose there.

// multiply is the Hamilton product a·b.
func multiply(a, b msg.Quat) msg.Quat {
	return msg.Quat{
		W: float64(a.W*b.W) - float64(a.X*b.X) - float64(a.Y*b.Y) - float64(a.Z*b.Z),
		X: float64(a.W*b.X) + float64(a.X*b.W) + float64(a.Y*b.Z) - float64(a.Z*b.Y),
		Y: float64(a.W*b.Y) - float64(a.X*b.Z) + float64(a.Y*b.W) + float64(a.Z*b.X),
		Z: float64(a.W*b.Z) + float64(a.X*b.Y) - float64(a.Y*b.X) + float64(a.Z*b.W),
	}
}

func cross(a, b msg.Vec3) msg.Vec3 {
	return msg.Vec3{
		X: float64(a.Y*b.Z) - float64(a.Z*b.Y),
		Y: float64(a.Z*b.X) - float64(a.X*b.Z),
		Z: float64(a.X*b.Y) - float64(a.Y*b.X),
	}
}

// rotate turns v by the unit quaternion q: v + 2w(q×v) + 2 q×(q×v).
func rotate(q msg.Quat, v msg.Vec3) msg.Vec3 {
	u := msg.Vec3{X: q.X, Y: q.Y, Z: q.Z}
	t := cross(u, v)
	t = msg.Vec3{X: 2 * t.X, Y: 2 * t.Y, Z: 2 * t.Z}
	w := cross(u, t)
	return msg.Vec3{
		X: v.X + float64(q.W*t.X) + w.X,
		Y: v.Y + float64(q.W*t.Y) + w.Y,
		Z: v.Z + float64(q.W*t.Z) + w.Z,
	}
}

// norm is the length of v. It is written out since math.Hypot differs between amd64 and arm64.
func norm(v msg.Vec3) float64 {
	return math.Sqrt(float64(v.X*v.X) + float64(v.Y*v.Y) + float64(v.Z*v.Z))
}
