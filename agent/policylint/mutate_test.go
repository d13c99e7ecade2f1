package policylint

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/config"
)

// operator plants one mistake as people make them. It returns false where a policy gives it nothing to do. The operators
// were written before the rules that look for them.
type operator struct {
	name string
	do   func(p *config.Policy, r *rand.Rand) bool
}

// clonePolicy copies what operators change.
func clonePolicy(p *config.Policy) *config.Policy {
	out := *p
	out.Zones = slices.Clone(p.Zones)
	for i := range out.Zones {
		z := &out.Zones[i]
		z.Vertices = slices.Clone(z.Vertices)
		z.Holes = slices.Clone(z.Holes)
	}
	out.Shifts, out.Channels, out.Triggers = slices.Clone(p.Shifts), slices.Clone(p.Channels), slices.Clone(p.Triggers)
	out.Roles, out.Robots = slices.Clone(p.Roles), slices.Clone(p.Robots)
	return &out
}

// pick chooses a zone that fits.
func pick(p *config.Policy, r *rand.Rand, fits func(z *config.Zone) bool) *config.Zone {
	var list []int
	for i := range p.Zones {
		if fits(&p.Zones[i]) {
			list = append(list, i)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return &p.Zones[list[r.IntN(len(list))]]
}

func anyZone(*config.Zone) bool { return true }

func isType(t string) func(*config.Zone) bool {
	return func(z *config.Zone) bool { return z.Type == t }
}

func scheduled(z *config.Zone) bool { return len(z.Shifts)+len(z.OutsideShifts) > 0 }

// zoneOp changes one zone.
func zoneOp(name string, fits func(*config.Zone) bool, change func(p *config.Policy, z *config.Zone, r *rand.Rand)) operator {
	return operator{name, func(p *config.Policy, r *rand.Rand) bool {
		z := pick(p, r, fits)
		if z != nil {
			change(p, z, r)
		}
		return z != nil
	}}
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// triggerOp sets one trigger's rule, in place of one that is there.
func triggerOp(name string, make func(r *rand.Rand) config.Trigger) operator {
	return operator{name, func(p *config.Policy, r *rand.Rand) bool {
		t := make(r)
		p.Triggers = slices.DeleteFunc(p.Triggers, func(o config.Trigger) bool { return o.Code == t.Code })
		p.Triggers = append(p.Triggers, t)
		return true
	}}
}

func one[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func operators() []operator {
	return append(zoneOperators(), otherOperators()...)
}

func zoneOperators() []operator {
	return []operator{
		{"a zone is missing", func(p *config.Policy, r *rand.Rand) bool {
			i := r.IntN(len(p.Zones))
			p.Zones = slices.Delete(p.Zones, i, i+1)
			return true
		}},
		zoneOp("a zone is moved", anyZone, func(_ *config.Policy, z *config.Zone, r *rand.Rand) {
			dx, dy := one(r, -12.0, 12, 9, -9), one(r, -7.0, 7, 0)
			for i := range z.Vertices {
				z.Vertices[i].X, z.Vertices[i].Y = z.Vertices[i].X+dx, z.Vertices[i].Y+dy
			}
			z.Holes = nil
		}),
		zoneOp("x and y are swapped", anyZone, func(_ *config.Policy, z *config.Zone, _ *rand.Rand) {
			for i := range z.Vertices {
				z.Vertices[i].X, z.Vertices[i].Y = z.Vertices[i].Y, z.Vertices[i].X
			}
			z.Holes = nil
		}),
		zoneOp("a zone is far too small", anyZone, func(_ *config.Policy, z *config.Zone, _ *rand.Rand) {
			var cx, cy float64
			for _, v := range z.Vertices {
				cx, cy = cx+v.X/float64(len(z.Vertices)), cy+v.Y/float64(len(z.Vertices))
			}
			for i := range z.Vertices {
				z.Vertices[i].X, z.Vertices[i].Y = round(cx+0.2*(z.Vertices[i].X-cx)), round(cy+0.2*(z.Vertices[i].Y-cy))
			}
			z.Holes = nil
		}),
		zoneOp("a limit is ten times too high", isType(config.ZoneSpeedLimit), func(_ *config.Policy, z *config.Zone, _ *rand.Rand) { z.MaxSpeedMPS *= 10 }),
		zoneOp("a limit is ten times too low", isType(config.ZoneSpeedLimit), func(_ *config.Policy, z *config.Zone, _ *rand.Rand) { z.MaxSpeedMPS /= 10 }),
		zoneOp("a closed zone is of another type", isType(config.ZoneBlocked), func(_ *config.Policy, z *config.Zone, r *rand.Rand) {
			z.Type = one(r, config.ZonePrivacy, config.ZoneNoManipulation, config.ZoneNoStop)
			z.Within = 10 * time.Second
		}),
		zoneOp("inside and outside of shifts are confused", scheduled, func(_ *config.Policy, z *config.Zone, _ *rand.Rand) {
			z.Shifts, z.OutsideShifts = z.OutsideShifts, z.Shifts
		}),
		zoneOp("a zone has lost its shifts", scheduled, func(_ *config.Policy, z *config.Zone, _ *rand.Rand) { z.Shifts, z.OutsideShifts = nil, nil }),
		zoneOp("a permanent zone holds in one shift only", func(z *config.Zone) bool { return !scheduled(z) }, func(p *config.Policy, z *config.Zone, r *rand.Rand) {
			z.Shifts = []string{p.Shifts[r.IntN(len(p.Shifts))].ID}
		}),
		zoneOp("the robot's own role is exempt", isType(config.ZoneBlocked), func(p *config.Policy, z *config.Zone, _ *rand.Rand) {
			z.Roles, z.ExceptRoles = nil, p.Robots[0].Roles
		}),
		zoneOp("a zone is for a role that no robot has", anyZone, func(p *config.Policy, z *config.Zone, _ *rand.Rand) {
			p.Roles = append(p.Roles, "visitor")
			z.ExceptRoles, z.Roles = nil, []string{"visitor"}
		}),
		zoneOp("a zone is on the wrong floor", anyZone, func(p *config.Policy, z *config.Zone, _ *rand.Rand) {
			for _, f := range p.Floors {
				if f.ID != z.Floor {
					z.Floor = f.ID
					return
				}
			}
		}),
		zoneOp("an area that must be kept is too large", isType(config.ZoneKeepIn), func(_ *config.Policy, z *config.Zone, _ *rand.Rand) {
			for i := range z.Vertices {
				z.Vertices[i].X, z.Vertices[i].Y = z.Vertices[i].X*2-10, z.Vertices[i].Y*2-10
			}
		}),
	}
}

func otherOperators() []operator {
	return []operator{
		{"a shift ends or begins hours off", func(p *config.Policy, r *rand.Rand) bool {
			s := &p.Shifts[r.IntN(len(p.Shifts))]
			off := config.TimeOfDay(one(r, 2, 3, 4) * 60)
			if r.IntN(2) == 0 {
				s.End = (s.End + off) % (24 * 60)
			} else {
				s.Start = (s.Start + off) % (24 * 60)
			}
			return true
		}},
		{"the time zone is another", func(p *config.Policy, r *rand.Rand) bool {
			name := one(r, "America/New_York", "Asia/Tokyo", "Pacific/Auckland")
			zone, err := time.LoadLocation(name)
			p.Timezone.Location = zone
			return err == nil
		}},
		{"a channel is missing", func(p *config.Policy, _ *rand.Rand) bool {
			had := len(p.Channels) > 0
			p.Channels = nil
			return had
		}},
		{"a heartbeat is missed far too late", func(p *config.Policy, _ *rand.Rand) bool {
			if len(p.Channels) == 0 {
				return false
			}
			p.Channels[0].HoldAfter, p.Channels[0].StopAfter = 10*p.Channels[0].HoldAfter, 10*p.Channels[0].StopAfter
			return true
		}},
		triggerOp("nobody may reset a trigger", func(r *rand.Rand) config.Trigger {
			return config.Trigger{Code: one(r, "zone.inside", "channel.heartbeat-lost", "publisher.unknown"), Clear: "never"}
		}),
		triggerOp("only the vendor may reset a trigger", func(r *rand.Rand) config.Trigger {
			return config.Trigger{Code: one(r, "zone.inside", "channel.heartbeat-lost", "order.stop"), ResetBy: []string{"service"}}
		}),
		triggerOp("a trigger ends by itself", func(r *rand.Rand) config.Trigger {
			return config.Trigger{Code: one(r, "zone.inside", "channel.heartbeat-lost", "publisher.unknown"), Clear: "on-dwell"}
		}),
		triggerOp("a trigger fires late", func(r *rand.Rand) config.Trigger {
			return config.Trigger{Code: one(r, "pose.stale", "joints.missing", "pose.frozen"), StartDelay: new(time.Second)}
		}),
		triggerOp("a trigger demands a speed that the robot cannot hold", func(*rand.Rand) config.Trigger {
			return config.Trigger{Code: "pose.covariance", Constraint: &config.Constraint{Motion: "limited", MaxSpeedMPS: 0.02}}
		}),
		triggerOp("a trigger is about what the robot does not have", func(r *rand.Rand) config.Trigger {
			return config.Trigger{Code: one(r, "pose.second-missing", "zone.door-held", "zone.dwell"), Dwell: new(3 * time.Second)}
		}),
		triggerOp("a trigger demands less", func(r *rand.Rand) config.Trigger {
			return config.Trigger{Code: one(r, "publisher.unknown", "odometry.missing"), Constraint: &config.Constraint{Motion: "limited", MaxSpeedMPS: 0.5}}
		}),
		triggerOp("a trigger is off", func(r *rand.Rand) config.Trigger {
			off := false
			return config.Trigger{Code: one(r, "joints.missing", "gate.bypass", "battery.low"), Enabled: &off, Reason: "for the time being"}
		}),
		{"a stop of a category that no rung has", func(p *config.Policy, _ *rand.Rand) bool {
			p.StopCategory = 3 - p.StopCategory
			return true
		}},
		{"triggers flap without end", func(p *config.Policy, _ *rand.Rand) bool {
			p.Flap = &config.Flap{Trips: 8, Window: 2 * time.Second, Merge: time.Second}
			return true
		}},
		{"hearsay may do less", func(p *config.Policy, _ *rand.Rand) bool {
			p.Unauthenticated = &config.Unauthenticated{Constraint: &config.Constraint{Motion: "limited", MaxSpeedMPS: 0.5}}
			return true
		}},
		{"a limit within a lower one", func(p *config.Policy, r *rand.Rand) bool {
			z := pick(p, r, func(z *config.Zone) bool { return z.Type == config.ZoneSpeedLimit && !scheduled(z) })
			if z == nil {
				return false
			}
			more := *z
			more.ID, more.MaxSpeedMPS, more.Holes = z.ID+"-more", z.MaxSpeedMPS*1.5, nil
			more.Vertices = slices.Clone(z.Vertices)
			p.Zones = append(p.Zones, more)
			return true
		}},
	}
}
