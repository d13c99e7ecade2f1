package geofence

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// star is a simple polygon of n vertices round a centre.
func star(rng *rand.Rand, cx, cy, size float64, n int) []Vertex {
	ring := make([]Vertex, n)
	for i := range ring {
		a := (float64(i) + 0.6*rng.Float64()) / float64(n) * 2 * math.Pi
		r := size * (0.5 + 0.5*rng.Float64())
		ring[i] = Vertex{int32(math.Round(cx + r*math.Cos(a))), int32(math.Round(cy + r*math.Sin(a)))}
	}
	return ring
}

// estate is a grid of n zones of 20 vertices, 6 m apart, 3 to 4 m wide; the
// robot drives in the aisles, always near to some.
func estate(n int) Spec {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	side := int(math.Ceil(math.Sqrt(float64(n))))
	var zones []ZoneSpec
	for i := range n {
		z := ZoneSpec{ID: fmt.Sprint("z", i), Kind: Blocked, Outer: star(rng, float64(i%side)*6000, float64(i/side)*6000, 2000, 20)}
		if i%4 == 3 {
			z.Kind, z.MaxSpeedMPS = SpeedLimit, 0.5
		}
		zones = append(zones, z)
	}
	return site(zones...)
}

func BenchmarkStepAndLimit(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRig(b, estate(n), wheels())
			length := math.Ceil(math.Sqrt(float64(n))) * 6
			y := 3 + 6*math.Floor(length/12)
			x, dir, cut := 0.0, 1.0, 0
			b.ReportAllocs()
			for b.Loop() {
				r.pass(20 * time.Millisecond)
				if x += 0.02 * dir; x > length || x < 0 {
					dir = -dir
				}
				r.in.Velocity.VX = dir
				r.at(x, y, 0)
				l := r.limit(Velocity{VX: dir, YawRate: 0.1})
				r.Issued(r.now, Velocity{VX: dir * l.Ratio})
				if l.Ratio < 1 {
					cut++
				}
			}
			b.ReportMetric(float64(cut)/float64(b.N), "cut/op")
		})
	}
}

func BenchmarkStep(b *testing.B) {
	r := newRig(b, estate(100), wheels())
	x, dir := 0.0, 1.0
	for b.Loop() {
		r.pass(20 * time.Millisecond)
		if x += 0.02 * dir; x > 60 || x < 0 {
			dir = -dir
		}
		r.in.Velocity.VX = dir
		r.at(x, 27, 0)
	}
}

func BenchmarkLimit(b *testing.B) {
	for _, x := range []float64{0, 13.2, 14.5} {
		b.Run(fmt.Sprint(x), func(b *testing.B) {
			r := newRig(b, estate(100), wheels())
			r.in.Velocity.VX = 1
			r.at(x, 27, 0)
			for i := range 50 {
				r.Issued(Instant{Boot: r.now.Boot - time.Duration(50-i)*10*time.Millisecond}, Velocity{VX: 1})
			}
			for b.Loop() {
				r.limit(Velocity{VX: 1, YawRate: 0.1})
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			spec := estate(n)
			for b.Loop() {
				set := compile(b, spec, wheels())
				b.ReportMetric(float64(set.Bytes())/1e6, "MB")
			}
		})
	}
}
