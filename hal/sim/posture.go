package sim

import "time"

// RestTime is how long a stopped robot stands before it kneels; KneelTime and RiseTime are the ways down and up.
const (
	RestTime  = 3 * time.Second
	KneelTime = 2500 * time.Millisecond
	RiseTime  = 3 * time.Second
)

// posture is the whole body's state after a stop: standing, going down, kneeling, rising.
type posture struct {
	height  float64 // 1 upright, 0 kneeling.
	stopped bool
	rising  bool
	rest    float64 // Seconds at rest since the stop.
}

func (p *posture) stop(on bool) {
	switch {
	case on && p.stopped && !p.rising:
		// It is on its way down already.
	case on:
		p.stopped, p.rising, p.rest = true, false, 0
	case p.stopped:
		p.rising = true
	}
}

func (p *posture) step(dt float64, still, wanted bool) {
	switch {
	case !p.stopped:
	case p.rising:
		p.height = min(1, p.height+dt/RiseTime.Seconds())
		if p.height >= 1 {
			p.stopped, p.rising = false, false
		}
	case !still:
		p.rest = 0
	case p.rest < RestTime.Seconds():
		p.rest += dt
	case p.height > 0:
		p.height = max(0, p.height-dt/KneelTime.Seconds())
	case wanted:
		p.rising = true
	}
}

// rate is the change of height per second now.
func (p *posture) rate() float64 {
	switch {
	case p.stopped && p.rising:
		return 1 / RiseTime.Seconds()
	case p.stopped && p.rest >= RestTime.Seconds() && p.height > 0:
		return -1 / KneelTime.Seconds()
	}
	return 0
}
