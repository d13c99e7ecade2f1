package geofence

import "math"

// report writes what the Step found.
func (f *Fence) report(usable bool, out *Verdict) {
	*out = Verdict{Faults: f.mem.faults, Floor: -1, Zone: NoZone, ScheduleUntrusted: !f.mem.plan.known, Loads: f.mem.loads}
	t, b := &f.mem.track, &f.mem.brakes
	out.BrakeShare, out.TurnBrakeShare = b.axis[0].share, b.axis[1].share
	if out.Faults&f.holding() != 0 {
		out.Hold, out.Reason = true, ReasonPoseFault
	}
	sure := usable && !f.overrun
	f.overstayed(sure, out)
	if !sure {
		f.blind(out)
	}
	if !usable {
		return
	}
	age := t.age(f.mem.now).Seconds()
	m := f.margin(age)
	out.Floor, out.Place, out.AgeS, out.MarginM = t.floor, Outside, age, m/1000
	if f.poor() {
		out.cap(f.set.robot.CreepMPS, NoZone, ReasonPoseQuality)
	}
	react := age + f.set.robot.Reaction.Seconds()
	for i := range f.cands {
		c := &f.cands[i]
		out.near(f.zoneVerdict(c, m, react))
		f.weigh(c, out)
	}
	if !f.overrun {
		f.motion(m, out)
		f.warn(m, out)
	}
	switch {
	case f.keep.mode == keepDenied:
		out.Place = Inside
		out.hold(NoZone, ReasonFloorDenied)
	case f.overrun:
		out.Place = Inside
		out.hold(NoZone, ReasonBudget)
	}
	f.refuge(m, out)
}

// zoneVerdict describes one candidate.
func (f *Fence) zoneVerdict(c *candidate, m, react float64) ZoneVerdict {
	v := ZoneVerdict{
		Zone: int(c.zone), Place: c.place, MarginM: c.clear / 1000,
		Certain: c.bound == bindsSurely,
	}
	decel, _ := f.decels()
	decel /= 1000
	a, speed := f.access(c, f.mem.now)
	most, late := speed/1000, float64(decel*react)
	if math.IsInf(speed, 1) {
		most = f.set.robot.MaxSpeedMPS
	}
	entry := float64(entryShare * most)
	room := float64(float64(2*decel)*max(c.clear-m-c.margin, 0))/1000 + float64(entry*entry)
	if room > 0 {
		v.AllowedMPS = max(entry, room/(late+math.Sqrt(float64(late*late)+room)))
	}
	switch {
	case a == open && math.IsInf(speed, 1):
		v.Reason, v.AllowedMPS = quietReason(c), most
	case a == open && c.place == Outside:
		v.Reason = ReasonSpeedAhead
	case a == open:
		v.Reason, v.AllowedMPS = ReasonSpeedZone, most
	case c.place == Outside:
		v.Reason = ReasonEdgeAhead
	case c.place == Margin:
		v.Reason, v.AllowedMPS = ReasonMargin, 0
	case f.granted(c):
		v.Reason, v.AllowedMPS = ReasonEgress, 0
	case a == leaving:
		v.Reason, v.AllowedMPS = ReasonEvacuate, 0
	case a == finishing:
		v.Reason, v.AllowedMPS = ReasonContinue, most
	default:
		v.Reason, v.AllowedMPS = ReasonInside, 0
	}
	return v
}

// quietReason is what a zone that does not limit motion does to a robot in it.
func quietReason(c *candidate) Reason {
	switch {
	case c.place == Outside:
		return ReasonNone
	case c.kind == NoManipulation:
		return ReasonNoManipulation
	case c.kind == Privacy:
		return ReasonPrivacy
	case c.kind.lane():
		return ReasonDirection
	}
	return ReasonNone
}

// near keeps the most restrictive zones: the worse place first, then the nearer.
func (v *Verdict) near(z ZoneVerdict) {
	i := v.N
	for i > 0 && (v.Near[i-1].Place < z.Place || v.Near[i-1].Place == z.Place && v.Near[i-1].MarginM > z.MarginM) {
		i--
	}
	if i == MaxNear {
		return
	}
	v.N = min(v.N+1, MaxNear)
	copy(v.Near[i+1:v.N], v.Near[i:v.N-1])
	v.Near[i] = z
}

// weigh joins a candidate's place into the whole verdict.
func (f *Fence) weigh(c *candidate, v *Verdict) {
	a, speed := f.access(c, f.mem.now)
	if c.place >= Margin {
		v.axes(c.kind, c.zone, ReasonNone, c.bound == bindsSurely)
	}
	if a == open {
		if c.place >= Margin && !math.IsInf(speed, 1) {
			v.cap(speed/1000, int(c.zone), ReasonSpeedZone)
		}
		return
	}
	if c.place == Inside && a != closed && !f.granted(c) {
		// It is where it may be for now: no breach, and no better than a margin.
		reason := ReasonContinue
		if a == leaving {
			reason = ReasonEvacuate
		}
		v.Place = max(v.Place, Margin)
		v.Lost.restrict(c.zone, reason, c.bound == bindsSurely)
		v.cap(speed/1000, int(c.zone), reason)
		return
	}
	v.Place = max(v.Place, c.place)
	switch {
	case c.place == Inside && !f.granted(c):
		v.hold(int(c.zone), ReasonInside)
	case c.place == Inside:
		v.name(int(c.zone), ReasonEgress)
	case c.place == Margin:
		v.name(int(c.zone), ReasonMargin)
	}
}

// cap joins a speed limit; the lowest wins.
func (v *Verdict) cap(mps float64, zone int, reason Reason) {
	if v.SpeedLimited && v.MaxSpeedMPS <= mps {
		return
	}
	v.SpeedLimited, v.MaxSpeedMPS = true, mps
	if v.Reason == ReasonNone || v.Reason == ReasonSpeedZone || v.Reason == ReasonPoseQuality {
		v.Zone, v.Reason = zone, reason
	}
}

// hold stops the robot; the first cause keeps the name.
func (v *Verdict) hold(zone int, reason Reason) {
	if !v.Hold {
		v.Zone, v.Reason = zone, reason
	}
	v.Hold = true
}

// name gives the cause of a milder restriction, unless a worse one has it.
func (v *Verdict) name(zone int, reason Reason) {
	if v.Hold || v.Reason == ReasonMeasuredMotion || v.Reason == ReasonEgress {
		return
	}
	if v.Reason != ReasonMargin || reason == ReasonEgress {
		v.Zone, v.Reason = zone, reason
	}
}

// motion asks whether what the robot does now, through the commands in flight
// and then braking, takes the contour into a zone. It looks at the best estimate
// without margins: those are for Limit, which has long refused the motion here,
// and with them the pose's noise would trip at every edge that is approached.
func (f *Fence) motion(m float64, v *Verdict) {
	t := &f.mem.track
	if !t.velocityOK {
		return
	}
	standing := f.tip(t.velocity) <= 1000*freezeMPS
	fl := f.flight(f.mem.now, v.AgeS)
	if fl.odd {
		fl = f.coast(v.AgeS)
	}
	v.RequiredM = (fl.way + float64(f.tip(fl.after)*(fl.holdS+f.stopS(fl.after))) + m) / 1000
	for i := range f.cands {
		c := &f.cands[i]
		if standing || f.passes(c) || !f.trips(&fl, c, min(roundingMM, c.clear/2)) {
			continue
		}
		v.Trip = true
		if !v.Hold {
			v.Zone, v.Reason = int(c.zone), ReasonMeasuredMotion
		}
		return
	}
}

// passes says whether a zone forbids nothing of the motion that the robot has. A
// lease that is about to end counts until it does: it is Limit that brakes then.
func (f *Fence) passes(c *candidate) bool {
	was := c.inside
	c.inside = true
	a, _ := f.access(c, f.mem.now)
	c.inside = was
	return a == open || a != closed && c.inside
}

func (f *Fence) trips(fl *flight, c *candidate, r float64) bool {
	if c.inside {
		return !f.granted(c)
	}
	return f.flies(fl, &c.obstacle, r, c.clear) || !f.stops(fl, &c.obstacle, r, c.clear)
}
