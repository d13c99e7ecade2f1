package guard

import (
	"time"

	"github.com/robowarden/robowarden/geofence"
)

// This file keeps the answers to requests for RELEASE and DOOR zones: signed, verified, bound to this robot and this run.
// They live in memory only, so a restart of the guard ends them all.

// leaseSlot is one answer.
type leaseSlot struct {
	geofence.Lease
	// once ends the lease when the robot has left the zone again; entered is true once it was inside.
	once, entered bool
}

// LeaseOrder is the answer to a request for a zone.
type LeaseOrder struct {
	State       geofence.LeaseState
	MaxSpeedMPS float64
	Facts       geofence.FactSet
	// Once ends the lease when the robot has left the zone once.
	Once bool
}

// takeLease applies an answer. A lease that was in force and is answered otherwise is revoked now, whatever the answer
// says: the robot may be in the zone. It returns whether anything changed.
func (c *Core) takeLease(boot time.Duration, o *Order) bool {
	if k := c.params.Set.Zone(o.Zone).Kind; k != geofence.Release && k != geofence.Door {
		return false
	}
	s := c.leaseFor(boot, o.Zone)
	if s == nil {
		return false
	}
	l := leaseSlot{
		Lease: geofence.Lease{
			State: o.Lease.State, Zone: o.Zone, Until: o.Expires, MaxSpeedMPS: o.Lease.MaxSpeedMPS, Facts: o.Lease.Facts,
		},
		once: o.Lease.Once,
	}
	if o.Lease.State == geofence.Granted {
		if o.Expires <= boot {
			return false
		}
		*s = l
		return true
	}
	switch s.State {
	case geofence.Granted:
		s.State, s.Until = geofence.Revoked, min(s.Until, boot)
	case geofence.Revoked, geofence.Expired:
		// It stays lost, with the moment at which it was: what a robot inside may do counts from then.
	default:
		*s = l
	}
	return true
}

// leaseFor finds the place of a zone's lease: its own, a free one, or that of an answer that says no more than none would.
func (c *Core) leaseFor(boot time.Duration, zone int) *leaseSlot {
	var free *leaseSlot
	for i := range c.leases {
		s := &c.leases[i]
		if s.State != geofence.NoLease && s.Zone == zone {
			return s
		}
		if free == nil && (s.State == geofence.NoLease || c.spent(boot, s)) {
			free = s
		}
	}
	if free != nil {
		*free = leaseSlot{}
	}
	return free
}

// spent says whether an answer can be forgotten: it allows nothing, and the robot is not in its zone.
func (c *Core) spent(boot time.Duration, s *leaseSlot) bool {
	return (s.State != geofence.Granted || s.Until <= boot) && c.fence.Place(s.Zone) == geofence.Outside
}

// moveLeases ends what has run out and what was used once, after the geofence has looked.
func (c *Core) moveLeases(boot time.Duration) {
	for i := range c.leases {
		s := &c.leases[i]
		if s.State != geofence.Granted {
			continue
		}
		switch place := c.fence.Place(s.Zone); {
		case boot >= s.Until:
			s.State = geofence.Expired
		case place == geofence.Inside:
			s.entered = true
		case place == geofence.Outside && s.entered && s.once:
			s.State, s.Until = geofence.Expired, boot
		}
	}
}

// fenceLeases gives the geofence the leases.
func (c *Core) fenceLeases(out *[geofence.MaxLeases]geofence.Lease) {
	for i := range c.leases {
		out[i] = c.leases[i].Lease
	}
	c.doorLeases(out)
}

// renumber gives leases the zone indices of another set. What it does not have, or has as another kind, is dropped.
func renumber(leases *[geofence.MaxLeases]geofence.Lease, from, to *geofence.Set) {
	for i := range leases {
		l := &leases[i]
		if l.State == geofence.NoLease {
			continue
		}
		zone, ok := to.ZoneIndex(from.Zone(l.Zone).ID)
		if l.Zone = zone; !ok || to.Zone(zone).Kind != geofence.Release && to.Zone(zone).Kind != geofence.Door {
			*l = geofence.Lease{}
		}
	}
}

// keepLeases takes the leases over to a new set.
func (c *Core) keepLeases(from, to *geofence.Set) {
	var all [geofence.MaxLeases]geofence.Lease
	for i := range c.leases {
		all[i] = c.leases[i].Lease
	}
	renumber(&all, from, to)
	for i := range c.leases {
		if c.leases[i].Lease = all[i]; all[i].State == geofence.NoLease {
			c.leases[i] = leaseSlot{}
		}
	}
}

// lease finds the answer for a zone.
func (c *Core) lease(zone int) (geofence.Lease, bool) {
	for i := range c.leases {
		if s := &c.leases[i]; s.State != geofence.NoLease && s.Zone == zone {
			return s.Lease, true
		}
	}
	return geofence.Lease{}, false
}

// LeaseStatus is the answer to a request for a RELEASE or DOOR zone.
type LeaseStatus struct {
	Zone string `json:"zone"`
	// State is REQUESTED, QUEUED, GRANTED, REJECTED, REVOKED or EXPIRED (VDA 5050). REQUESTED is a zone without an answer at
	// which the robot was last refused.
	State string `json:"state"`
	// LeftS is for how long a granted lease counts, in seconds.
	LeftS       float64 `json:"left_s,omitempty"`
	MaxSpeedMPS float64 `json:"max_speed_mps,omitempty"`
	// Facts are what the lease vouches for.
	Facts string `json:"facts,omitempty"`
}

// leaseStatus lists all answers, and the zone that the robot asks for.
func (c *Core) leaseStatus() []LeaseStatus {
	out := []LeaseStatus{}
	for i := range c.leases {
		s := &c.leases[i]
		if s.State == geofence.NoLease {
			continue
		}
		one := LeaseStatus{Zone: c.params.Set.Zone(s.Zone).ID, State: s.State.String()}
		if s.State == geofence.Granted {
			one.LeftS, one.MaxSpeedMPS, one.Facts = (s.Until - c.now.Boot).Seconds(), number(s.MaxSpeedMPS), s.Facts.String()
		}
		out = append(out, one)
	}
	if z := c.params.Set.Zone(c.limit.Zone); c.limit.Reason != geofence.ReasonNone && (z.Kind == geofence.Release || z.Kind == geofence.Door) {
		if _, answered := c.lease(c.limit.Zone); !answered {
			out = append(out, LeaseStatus{Zone: z.ID, State: geofence.Requested.String()})
		}
	}
	return out
}

func (e *encoder) leases(leases *[MaxSignedLeases]leaseSlot) {
	for i := range leases {
		s := &leases[i]
		e.u8(uint8(s.State))
		e.u16(uint16(s.Zone)) //nolint:gosec // Compile caps zones at 10 000
		e.duration(s.Until)
		e.f64(s.MaxSpeedMPS)
		e.u8(uint8(s.Facts))
		e.flag(s.once)
		e.flag(s.entered)
	}
}

// leases reads what the encoder wrote, for a set with so many zones.
func (d *decoder) leases(leases *[MaxSignedLeases]leaseSlot, zones int) {
	for i := range leases {
		s := leaseSlot{Lease: geofence.Lease{
			State: geofence.LeaseState(d.u8()), Zone: int(d.u16()), Until: d.duration(), MaxSpeedMPS: d.f64(), Facts: geofence.FactSet(d.u8()),
		}}
		s.once, s.entered = d.flag(), d.flag()
		if s.Zone >= zones && s.State != geofence.NoLease {
			d.err = cmpErr(d.err, errLease)
			s = leaseSlot{}
		}
		leases[i] = s
	}
}

func (e *encoder) restriction(r *geofence.Restriction) {
	e.flag(r.On)
	e.u16(uint16(int16(r.Zone))) //nolint:gosec // Compile caps zones at 10 000
	e.u8(uint8(r.Reason))
	e.flag(r.Certain)
}

func (d *decoder) restriction() geofence.Restriction {
	return geofence.Restriction{On: d.flag(), Zone: int(int16(d.u16())), Reason: geofence.Reason(d.u8()), Certain: d.flag()} //nolint:gosec // as written
}
