package zones

import (
	"errors"
	"fmt"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
)

// check asks the geofence itself what it thinks of the imported zones, and points at the source for each complaint.
func (im *importer) check() {
	if len(im.out.Zones) == 0 && len(im.out.Left) == 0 {
		im.wrong(place{file: im.file}, ruleMissing, "at least one zone", "none", "an empty source is often the wrong file")
		return
	}
	for i := range im.out.Zones {
		if z := &im.out.Zones[i]; len(z.Holes) > maxHoles {
			im.wrong(z.at, ruleTooLarge, fmt.Sprintf("at most %d holes in a zone", maxHoles), fmt.Sprint(len(z.Holes)), "split the zone")
		}
	}
	spec := geofence.Spec{}
	for _, f := range im.out.Floors() {
		spec.Floors = append(spec.Floors, geofence.FloorSpec{ID: f, WithoutKeepIn: geofence.Allow})
	}
	if len(spec.Floors) == 0 {
		return
	}
	for i := range im.out.Zones {
		spec.Zones = append(spec.Zones, im.out.Zones[i].spec())
	}
	_, err := geofence.Compile(spec, anyBody())
	for _, err := range unjoin(err) {
		var se *geofence.SpecError
		if !errors.As(err, &se) {
			im.wrong(place{file: im.file}, ruleGeometry, "zones that the geofence takes", err.Error(), "")
			continue
		}
		im.wrong(im.sourceOf(se), ruleGeometry, "a zone that the geofence can judge", se.Problem, "correct the drawing where it came from")
	}
}

// maxPolicy is the largest policy document, in bytes.
const maxPolicy = 4 << 20

// fits refuses what would not fit into a policy.
func (im *importer) fits() {
	n := counter(0)
	if err := im.out.WriteYAML(&n); err == nil && n > maxPolicy {
		im.wrong(place{file: im.file}, ruleTooLarge, fmt.Sprintf("zones that take at most %d bytes of a policy", maxPolicy), fmt.Sprintf("%d bytes", int(n)),
			"simplify outlines, or split the site")
	}
}

// counter counts what is written.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// unjoin lists what errors.Join joined.
func unjoin(err error) []error {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		return many.Unwrap()
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// sourceOf finds where in the source a complaint belongs.
func (im *importer) sourceOf(e *geofence.SpecError) place {
	if e.Section != "zones" || e.Index < 0 || e.Index >= len(im.out.Zones) {
		return place{file: im.file}
	}
	z := &im.out.Zones[e.Index]
	if e.Ring < 0 || e.Ring >= len(z.sources) {
		return z.at
	}
	src := &z.sources[e.Ring]
	at := src.at
	if e.Vertex >= 0 && e.Vertex < len(src.index) {
		at.path = fmt.Sprintf("%s[%d]", at.path, src.index[e.Vertex])
	}
	return at
}

func (z *Zone) spec() geofence.ZoneSpec {
	out := geofence.ZoneSpec{
		ID: z.ID, Floor: z.Floor, Kind: kindOf(z.Type), Outer: z.Outer, MaxSpeedMPS: z.MaxSpeedMPS, MarginM: z.MarginM, Reason: z.Reason,
	}
	if z.Type == config.ZoneRelease {
		out.Loss = geofence.LossStop // judged alike, whichever it is: the geometry is what is looked at
	}
	for _, l := range [...]geofence.Limitation{geofence.Soft, geofence.Restricted, geofence.Strict} {
		if l.String() == z.Limitation {
			out.DirectionRad, out.Limitation = z.DirectionRad, l
		}
	}
	for _, h := range z.Holes {
		out.Holes = append(out.Holes, h)
	}
	return out
}

func kindOf(zoneType string) geofence.Kind { return config.KindOf(zoneType) }

// Floors lists the floors that zones are on, in the order of the zones.
func (r *Result) Floors() []string {
	var out []string
	seen := map[string]bool{}
	for i := range r.Zones {
		if f := r.Zones[i].Floor; !seen[f] {
			seen[f] = true
			out = append(out, f)
		}
	}
	return out
}

// anyBody is a robot that the geofence takes; only the site is judged with it.
func anyBody() geofence.Robot {
	return geofence.Robot{
		Footprint:   []geofence.Vertex{{X: 300, Y: 300}, {X: -300, Y: 300}, {X: -300, Y: -300}, {X: 300, Y: -300}},
		MaxSpeedMPS: 1, MaxYawRateRadPS: 1, AccelMPS2: 1, DecelMPS2: 1, AngularDecelRadPS2: 1,
		Reaction: 100 * time.Millisecond, CommandPeriod: 50 * time.Millisecond,
		CreepMPS: 0.1, CreepYawRateRadPS: 0.1, SigmaK: 3, MapErrorM: 0.05, PoseMaxAge: 300 * time.Millisecond,
		PoseMaxFuture: 50 * time.Millisecond, MinStdDevM: 0.01, SlowStdDevM: 0.1, MaxStdDevM: 0.2,
		FreezeAfter: 500 * time.Millisecond, JumpSlackM: 0.2, JumpSlackRad: 0.2, RecoverPoses: 10, RecoverDwell: time.Second,
		ReleaseMarginM: 0.15, ReleaseDwell: time.Second,
	}
}
