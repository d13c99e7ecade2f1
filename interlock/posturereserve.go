package interlock

import (
	"math"
	"time"
)

// reserve is what is known of something that balance uses up.
type reserve struct {
	seen, paused bool
	value        float64
	// from is the value with which it was first said to be filled.
	from float64
	at   time.Duration
}

// take keeps a reading that can be true. Others change nothing: what was known last goes on running out.
func (r *reserve) take(now time.Duration, cfg *ReserveConfig, g *Gauge) {
	if cfg.Used && g.Seen && g.Received <= now && g.Value >= cfg.Least && g.Value <= cfg.Most {
		from := g.Value
		if r.paused && g.Paused {
			from = r.from
		}
		*r = reserve{seen: true, paused: g.Paused, value: g.Value, from: from, at: g.Received}
	}
}

// ends is when the reserve is used up at worst; ok is false if it is not used, or is being filled. Of that a charger's word is no
// proof: it counts while what is left has not fallen since, and is enough for the whole way down.
func (r *reserve) ends(now time.Duration, cfg *ReserveConfig, unseen, need time.Duration) (at time.Duration, ok bool) {
	switch {
	case !cfg.Used:
		return 0, false
	case !r.seen:
		return unseen, true
	case r.paused && since(now, r.at) <= cfg.MaxAge && r.value >= r.from && r.value > cfg.Floor+float64(cfg.PerSecond*need.Seconds()):
		return 0, false
	}
	left := (r.value - cfg.Floor) / cfg.PerSecond
	if !(left > 0) {
		return r.at, true
	}
	return r.at + time.Duration(min(left, maxDuration.Seconds())*float64(time.Second)), true
}

// least is what the reserve is at worst now, NaN if nobody knows.
func (r *reserve) least(now time.Duration, cfg *ReserveConfig) float64 {
	if !cfg.Used || !r.seen {
		return math.NaN()
	}
	return r.value - float64(cfg.PerSecond*since(now, r.at).Seconds())
}

// deadline is when the first of the reserves is used up.
func (p *Postures) deadline(now time.Duration) (at time.Duration, cause Cause, ok bool) {
	unseen := p.first + p.cfg.Unseen
	at, ok = p.battery.ends(now, &p.cfg.Battery, unseen, p.need)
	cause = CauseBatteryEnds
	if h, hot := p.heat.ends(now, &p.cfg.Heat, unseen, p.need); hot && (!ok || h < at) {
		at, cause, ok = h, CauseTooHot, true
	}
	return at, cause, ok
}

// why says why the robot has to go down, CauseNone while it need not.
func (p *Postures) why(now time.Duration, in *PostureInput) Cause {
	if !in.Held {
		p.isHeld = false
	} else if !p.isHeld {
		p.isHeld, p.held = true, now
	}
	at, cause, ok := p.deadline(now)
	was, dt := p.isDue, since(now, p.last)
	// A gauge that flaps takes a while to be believed either way.
	if p.isDue, p.last = ok && now >= at-p.need, now; !p.isDue {
		p.due -= min(dt/4, p.due)
	} else if was {
		p.due = min(p.due+dt, p.cfg.Confirm)
	}
	switch most := p.cfg.Steps[0].Within; {
	case p.isDue && (p.committed || p.due >= p.cfg.Confirm):
		return cause
	case most > 0 && p.isHeld && since(now, p.held) >= most && !p.down():
		return CauseStoodLong
	}
	return CauseNone
}
