package oracle

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// sweepM is how far any corner of the contour may move between two looks, in metres. The rows of the truth are
// farther apart, so poses between them are interpolated.
const sweepM = 0.001

// farM is the distance in metres from which on the rows alone are looked at.
const farM = 0.05

// Stopping holds what the distance to stand before an edge depends on.
type Stopping struct {
	// SpeedMPS is the speed in m/s, DecelMPS2 the deceleration of the controlled stop in m/s².
	SpeedMPS, DecelMPS2 float64
	// Age of the pose, Detect and Actuate are the delays until the robot begins to slow down.
	Age, Detect, Actuate time.Duration
	// K times SigmaM is the position's uncertainty in metres, MapErrorM the map's.
	K, SigmaM, MapErrorM float64
}

// Required is the distance in metres that must lie between the contour and an edge:
// v·(age + detect + actuate) + v²/2a + k·σ + map error.
func (s Stopping) Required() float64 {
	delay := (s.Age + s.Detect + s.Actuate).Seconds()
	return s.SpeedMPS*delay + s.SpeedMPS*s.SpeedMPS/(2*s.DecelMPS2) + s.K*s.SigmaM + s.MapErrorM
}

// KeepOut is how a run went with respect to zones that the robot must stay out of.
type KeepOut struct {
	// Inside says that some part of the contour touched a zone; Zone and At are the first.
	Inside bool
	Zone   string
	At     Sample
	// MinGapM is the smallest distance to any zone over the run, FinalGapM the one at the end, in metres.
	MinGapM, FinalGapM float64
	// FinalSpeedMPS and MaxSpeedMPS are speeds over ground at the end and at most.
	FinalSpeedMPS, MaxSpeedMPS float64
}

// JudgeKeepOut looks at every moment of the run. An empty run is an error, not a success.
func JudgeKeepOut(t Truth, c Contour, zones []Zone) (KeepOut, error) {
	k := KeepOut{MinGapM: math.Inf(1), FinalGapM: math.Inf(1)}
	if len(t.Samples) == 0 || len(zones) == 0 || len(c) == 0 {
		return k, errors.New("oracle: keep-out: expected samples, zones and a contour, found none of one")
	}
	for _, z := range zones {
		gap, at := sweep(t.Samples, c, z)
		if gap == 0 && (!k.Inside || at.T < k.At.T) {
			k.Inside, k.Zone, k.At = true, z.ID, at
		}
		k.MinGapM = min(k.MinGapM, gap)
	}
	last := t.Samples[len(t.Samples)-1]
	for _, z := range zones {
		k.FinalGapM = min(k.FinalGapM, c.At(last.X, last.Y, last.Yaw).Distance(z))
	}
	k.FinalSpeedMPS = last.Speed()
	for _, s := range t.Samples {
		k.MaxSpeedMPS = max(k.MaxSpeedMPS, s.Speed())
	}
	return k, nil
}

// sweep finds the smallest distance of the moving contour from the zone and when it was, or the first touch.
func sweep(samples []Sample, c Contour, z Zone) (float64, Sample) {
	radius := c.Radius()
	least, at := math.Inf(1), samples[0]
	safe := 0.0 // no corner can reach the zone before it has moved this far
	last := 0.0 // distance at the last look
	for i, s := range samples {
		parts := 1
		if i > 0 {
			moved := travel(samples[i-1], s, radius)
			if moved < safe && safe-moved > least {
				safe -= moved
				continue
			}
			// Far off, the rows themselves are close enough together.
			if last < farM+10*moved {
				parts = max(1, int(math.Ceil(moved/sweepM)))
			}
			safe = 0
		}
		for p := 1; p <= parts; p++ {
			pose := s
			if p < parts {
				pose = blend(samples[i-1], s, float64(p)/float64(parts))
			}
			gap := c.At(pose.X, pose.Y, pose.Yaw).Distance(z)
			if gap < least {
				least, at = gap, pose
			}
			if gap == 0 {
				return 0, pose
			}
			safe, last = gap, gap
		}
	}
	return least, at
}

// travel bounds how far any point within the radius moves from one pose to the next.
func travel(a, b Sample, radius float64) float64 {
	return math.Hypot(b.X-a.X, b.Y-a.Y) + math.Abs(angle(b.Yaw-a.Yaw))*radius
}

func angle(a float64) float64 { return math.Remainder(a, 2*math.Pi) }

func blend(a, b Sample, share float64) Sample {
	m := a
	mix := func(x, y float64) float64 { return x + share*(y-x) }
	m.T += time.Duration(share * float64(b.T-a.T))
	m.X, m.Y = mix(a.X, b.X), mix(a.Y, b.Y)
	m.Yaw = a.Yaw + share*angle(b.Yaw-a.Yaw)
	m.VX, m.VY, m.W = mix(a.VX, b.VX), mix(a.VY, b.VY), mix(a.W, b.W)
	return m
}

// JudgeKeepIn finds the first moment at which the contour was not wholly inside the zone.
func JudgeKeepIn(t Truth, c Contour, z Zone) (ok bool, at Sample, err error) {
	if len(t.Samples) == 0 || len(c) == 0 {
		return false, Sample{}, errors.New("oracle: keep-in: expected samples and a contour, found none of one")
	}
	for i, s := range t.Samples {
		parts := 1
		if i > 0 {
			parts = max(1, int(math.Ceil(travel(t.Samples[i-1], s, c.Radius())/sweepM)))
		}
		for p := 1; p <= parts; p++ {
			pose := s
			if p < parts {
				pose = blend(t.Samples[i-1], s, float64(p)/float64(parts))
			}
			if !c.At(pose.X, pose.Y, pose.Yaw).Within(z) {
				return false, pose, nil
			}
		}
	}
	return true, Sample{}, nil
}

// TimeToZeroCommand is how long after the trigger the base received the zero command after which none other came.
func TimeToZeroCommand(t Truth, trigger time.Duration) (time.Duration, error) {
	// Events tell the moments at which commands turned to zero and back, the rows what held at the trigger.
	zero, since, known := false, trigger, false
	for _, s := range t.Samples {
		if s.T > trigger {
			break
		}
		zero, known = s.CmdZero(), true
	}
	for _, e := range t.Events {
		if e.Kind != "cmd" {
			continue
		}
		zero, known = e.Text == "zero", true
		since = max(trigger, e.T)
	}
	if !known || !zero {
		return 0, errors.New("oracle: zero command: the last command of the run was not zero")
	}
	return since - trigger, nil
}

// Rest says what counts as standing still, and for how long it must last.
type Rest struct {
	// SpeedMPS and YawRateRPS bound the speeds, in m/s and rad/s.
	SpeedMPS, YawRateRPS float64
	// Hold is how long they must hold at least.
	Hold time.Duration
}

// TimeToRest is how long after the trigger the robot came to a rest that lasted to the end of the run.
func TimeToRest(t Truth, trigger time.Duration, r Rest) (time.Duration, error) {
	if len(t.Samples) == 0 {
		return 0, errors.New("oracle: rest: no samples")
	}
	last := t.Samples[len(t.Samples)-1]
	if last.T < trigger {
		return 0, fmt.Errorf("oracle: rest: the run ended %v before the trigger", trigger-last.T)
	}
	since := last.T + 1
	for _, s := range slices.Backward(t.Samples) {
		if s.Speed() > r.SpeedMPS || math.Abs(s.W) > r.YawRateRPS || s.T < trigger {
			break
		}
		since = s.T
	}
	if held := last.T - since; held < r.Hold {
		return 0, fmt.Errorf("oracle: rest: at the end %.3f m/s and %.3f rad/s, at rest for %v of %v",
			last.Speed(), last.W, max(0, held), r.Hold)
	}
	return since - trigger, nil
}

// DriveBy is how a run past zones went.
type DriveBy struct {
	// MinDistanceM is the smallest distance to a zone in metres.
	MinDistanceM float64
	// SlowestShare is the smallest ratio of speed to free speed while the robot had at least the required distance.
	SlowestShare float64
	// Counted is how many samples that is; with none, SlowestShare says nothing.
	Counted int
}

// JudgeDriveBy looks at a stretch that the robot should have driven at freeSpeed (m/s), were it not for the zones: cut
// speeding up and slowing down away with Since first. required gives the distance that a speed needs.
func JudgeDriveBy(t Truth, c Contour, zones []Zone, freeSpeed float64, required func(speed float64) float64) DriveBy {
	d := DriveBy{MinDistanceM: math.Inf(1), SlowestShare: math.Inf(1)}
	for _, s := range t.Samples {
		gap := math.Inf(1)
		for _, z := range zones {
			gap = min(gap, c.At(s.X, s.Y, s.Yaw).Distance(z))
		}
		d.MinDistanceM = min(d.MinDistanceM, gap)
		if gap > required(freeSpeed) {
			d.Counted++
			d.SlowestShare = min(d.SlowestShare, s.Speed()/freeSpeed)
		}
	}
	return d
}

// MissionRatio is the time a mission took with the agent over the time without.
func MissionRatio(with, without time.Duration) (float64, error) {
	if with <= 0 || without <= 0 {
		return 0, fmt.Errorf("oracle: mission ratio: expected two positive times, found %v and %v", with, without)
	}
	return with.Seconds() / without.Seconds(), nil
}
