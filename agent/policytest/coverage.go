package policytest

import (
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/zones"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

type (
	commandIn = config.CommandIn
	joint     = config.Joint
	zone      = config.Zone
)

// Coverage is what the cases have exercised, and what not.
type Coverage struct {
	// Zones are those in which, in whose margin, or before which the robot was restrained.
	Zones Covered `json:"zones"`
	// Shifts are those inside and outside of which a case was played.
	Shifts Covered `json:"shifts"`
	// Rules are the triggers that the policy changes, Triggers all that can fire, Channels the policy's heartbeats.
	Rules    Covered `json:"rules"`
	Triggers Covered `json:"triggers"`
	Channels Covered `json:"channels"`
}

// Covered is one kind of thing.
type Covered struct {
	Of      int      `json:"of"`
	Missing []string `json:"missing"`
}

// cover gathers what was exercised.
type cover struct {
	cfg      *config.Config
	zones    map[string]bool
	shifts   map[string][2]bool
	fired    interlock.TriggerSet
	channels map[string]bool
}

func newCover(cfg *config.Config) *cover {
	return &cover{cfg: cfg, zones: map[string]bool{}, shifts: map[string][2]bool{}, channels: map[string]bool{}}
}

// see takes note of an event.
func (c *cover) see(ev *guard.Event, core *guard.Core) {
	d, v, set := core.Decision(), core.Verdict(), core.Set()
	c.fired = c.fired.Union(d.ActiveSet)
	for i := range d.N {
		if a := &d.Active[i]; a.Trigger == interlock.HeartbeatLate || a.Trigger == interlock.HeartbeatLost {
			c.channels[core.Subject(a)] = true
		}
	}
	for i := range v.N {
		if v.Near[i].Place >= geofence.Margin {
			c.zones[set.Zone(v.Near[i].Zone).ID] = true
		}
	}
	for _, z := range []int{v.Zone, v.Manipulators.Zone, v.Perception.Zone} {
		if z >= 0 && (z == v.Zone || v.Manipulators.On && z == v.Manipulators.Zone || v.Perception.On && z == v.Perception.Zone) {
			c.zones[set.Zone(z).ID] = true
		}
	}
	for i := range v.Parts.N {
		c.zones[set.Zone(v.Parts.Near[i].Zone).ID] = true
	}
	if l := core.Limit(); ev.Kind == guard.EventCommand && l.Zone >= 0 && l.Ratio < 1 {
		c.zones[set.Zone(l.Zone).ID] = true
	}
	if ev.Kind == guard.EventTick {
		c.shift(time.Unix(0, ev.Civil))
	}
}

func (c *cover) shift(at time.Time) {
	for i := range c.cfg.Policy.Shifts {
		id := c.cfg.Policy.Shifts[i].ID
		seen := c.shifts[id]
		if zones.ActiveAt(c.cfg.Policy, &config.Zone{Shifts: []string{id}}, at) {
			seen[0] = true
		} else {
			seen[1] = true
		}
		c.shifts[id] = seen
	}
}

// report says what is missing.
func (c *cover) report() Coverage {
	var out Coverage
	p := c.cfg.Policy
	for i := range p.Zones {
		out.Zones.note(p.Zones[i].ID, c.zones[p.Zones[i].ID])
	}
	for i := range p.Shifts {
		id := p.Shifts[i].ID
		switch seen := c.shifts[id]; seen {
		case [2]bool{true, true}:
			out.Shifts.note(id, true)
		case [2]bool{true, false}:
			out.Shifts.note(id+" (never outside of it)", false)
		default:
			out.Shifts.note(id+" (never inside it)", false)
		}
	}
	var changed []string
	for i := range p.Triggers {
		changed = append(changed, p.Triggers[i].Code)
	}
	rules := p.Interlock()
	for t := range interlock.NumTriggers {
		if slices.Contains(changed, t.String()) {
			out.Rules.note(t.String(), c.fired.Has(t))
		}
		if rules.Rules[t].Enabled {
			out.Triggers.note(t.String(), c.fired.Has(t))
		}
	}
	for i := range p.Channels {
		out.Channels.note(p.Channels[i].Endpoint, c.channels[p.Channels[i].Endpoint])
	}
	return out
}

func (c *Covered) note(id string, done bool) {
	c.Of++
	if !done {
		c.Missing = append(c.Missing, id)
	}
}
