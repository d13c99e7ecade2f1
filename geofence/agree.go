package geofence

import (
	"math"
	"time"
)

// Agreement is what is expected of a second source of poses, which is asked for
// nothing but whether it agrees with the first.
type Agreement struct {
	// SlackM and SlackRad are how much the two may differ beyond SigmaK standard
	// deviations of both: calibration, and what one of them lags behind.
	SlackM, SlackRad float64
	// After is how long they may differ by more, or the second may be unusable,
	// before it is a fault. What agrees meanwhile counts against what differs.
	After time.Duration
}

// agreement is how the two sources have stood to each other.
type agreement struct {
	// differs and lost are for how long they have differed, and for how long the
	// second has been unusable, at most After.
	differs, lost time.Duration
	// apart is latched until they have agreed for RecoverDwell since goodSince.
	apart, good bool
	goodSince   time.Duration
}

// agree compares the two sources and returns the faults that hold. A second
// source that is lost says nothing about the first, so it ends no disagreement.
func (f *Fence) agree(now Instant, in *Inputs, faults FaultSet) FaultSet {
	want := f.set.robot.Second
	if want == nil {
		return 0
	}
	a := &f.mem.agreement
	dt := time.Duration(0)
	if f.mem.stepped {
		dt = max(now.Boot-f.mem.now, 0)
	}
	next, sigma, spread, usable := f.second(now, &in.Second)
	switch {
	case !usable:
		a.lost = min(a.lost+dt, want.After)
		a.good = false
	case faults&f.blinding() != 0 || !f.mem.track.have:
		a.lost, a.good = 0, false // there is nothing to compare it with
	default:
		a.lost = 0
		a.compare(now.Boot, dt, f.apart(&in.Second, next, sigma, spread), want.After, f.set.robot.RecoverDwell)
	}
	var out FaultSet
	if a.lost >= want.After {
		out |= FaultSecondLost
	}
	if a.apart {
		out |= FaultDisagree
	}
	return out
}

// compare follows one comparison after the other.
func (a *agreement) compare(now, dt time.Duration, apart bool, after, dwell time.Duration) {
	if apart {
		a.differs = min(a.differs+dt, after)
		a.apart = a.apart || a.differs >= after
		a.good = false
		return
	}
	a.differs = max(a.differs-dt, 0)
	if !a.good {
		a.good, a.goodSince = true, now
	}
	if now-a.goodSince >= dwell {
		a.apart = false
	}
}

// second reads the second source's pose and says whether it can be used. Its
// standard deviation is claimed; beyond MaxStdDevM it could agree with anything.
func (f *Fence) second(now Instant, p *Pose) (at frame, sigma, spread float64, ok bool) {
	r := &f.set.robot
	age := now.Boot - p.Boot
	if !p.Seen || age < 0 || age > r.PoseMaxAge || p.StampNS <= 0 || time.Duration(p.StampNS-now.Civil.UnixNano()) > r.PoseMaxFuture {
		return at, 0, 0, false
	}
	at, sigma, spread, faults := f.read(p)
	return at, sigma, spread, faults&f.holding() == 0
}

// apart says whether the two poses are farther from each other than both may be
// wrong. The second is taken to the first's time by the measured velocity, where
// there is one: its own age widens nothing.
func (f *Fence) apart(p *Pose, next frame, sigma, spread float64) bool {
	t, r := &f.mem.track, &f.set.robot
	if p.Floor != t.floor {
		return true
	}
	if t.velocityOK {
		next = next.advance(t.velocity, (t.atBoot - p.Boot).Seconds())
	}
	way := float64(1000*r.Second.SlackM) + float64(r.SigmaK*(sigma+t.sigma))
	if !(length(next.x-t.at.x, next.y-t.at.y) <= way) {
		return true
	}
	turn := r.Second.SlackRad + float64(r.SigmaK*(spread+t.spread))
	if turn >= math.Pi {
		return false
	}
	_, least := sincos(turn)
	return !(float64(next.c*t.at.c)+float64(next.s*t.at.s) >= least)
}
