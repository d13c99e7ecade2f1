package guard

import (
	"strconv"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// SnapshotPart names the part of a snapshot that holds the byte at offset, for people who look for a difference.
func SnapshotPart(b []byte, offset int) string {
	names := []string{"fence", "machine", "gate", "ladder", "standstill", "loop", "clock", "overrides", "follow", "fall", "posture"}
	at := 2
	for i := 0; at+4 <= len(b); i++ {
		n := int(b[at]) | int(b[at+1])<<8 | int(b[at+2])<<16 | int(b[at+3])<<24
		if i >= len(names)+64 || n > len(b)-at-4 {
			break
		}
		if offset < at+4+n {
			if i < len(names) {
				return names[i] + " byte " + strconv.Itoa(offset-at-4)
			}
			return "heartbeat, watch or channel " + strconv.Itoa(i-len(names)) + " byte " + strconv.Itoa(offset-at-4)
		}
		at += 4 + n
	}
	return "core, byte " + strconv.Itoa(offset)
}

func (e *encoder) body(b *body) {
	e.u16(uint16(b.seen))
	for _, p := range [...]*poseState{&b.pose, &b.second} {
		e.duration(p.boot)
		e.i64(p.stamp)
		e.vec(p.p)
		e.quat(p.q)
		e.flag(p.frameOK)
		e.flag(p.hasCovariance)
		e.f64s(p.cov[:])
	}
	e.u16(uint16(int16(b.floor))) //nolint:gosec // Compile caps floors at 256
	e.duration(b.velocity.boot)
	e.f64(b.velocity.vx)
	e.f64(b.velocity.vy)
	e.f64(b.velocity.wz)
	j := &b.joints
	e.duration(j.boot)
	e.flag(j.complete)
	e.u16(j.bad)
	e.u16(uint16(j.cause))
	e.f64(j.carrying)
	e.f64(j.arms)
	e.duration(b.imu.boot)
	e.f64(b.imu.value)
	e.duration(b.battery.boot)
	e.f64(b.battery.ratio)
	e.flag(b.battery.charging)
}

func (d *decoder) body(b *body) {
	b.seen = InputSet(d.u16())
	for _, p := range [...]*poseState{&b.pose, &b.second} {
		p.boot, p.stamp, p.p, p.q, p.frameOK, p.hasCovariance = d.duration(), d.i64(), d.vec(), d.quat(), d.flag(), d.flag()
		d.f64s(p.cov[:])
	}
	b.floor = int(int16(d.u16())) //nolint:gosec // as written
	b.velocity = velocityState{boot: d.duration(), vx: d.f64(), vy: d.f64(), wz: d.f64()}
	b.joints = jointState{
		boot: d.duration(), complete: d.flag(), bad: d.u16(), cause: interlock.Cause(d.u16()), carrying: d.f64(), arms: d.f64(),
	}
	b.imu = scalar{boot: d.duration(), value: d.f64()}
	b.battery = batteryState{boot: d.duration(), ratio: d.f64(), charging: d.flag()}
}

// verdict encodes what of a verdict later events look at; the rest is for people and comes again with the next look.
func (e *encoder) verdict(v *geofence.Verdict) {
	e.u32(uint32(v.Faults))
	e.u8(uint8(v.Place))
	e.u16(uint16(int16(v.Zone))) //nolint:gosec // Compile caps zones at 10 000
	e.flag(v.Hold)
	e.flag(v.Trip)
	e.flag(v.SpeedLimited)
	e.f64(v.MaxSpeedMPS)
	for _, r := range [...]*geofence.Restriction{&v.Manipulators, &v.Perception, &v.Remote, &v.Dwell, &v.DoorHeld, &v.Lost, &v.Refuge} {
		e.restriction(r)
	}
	e.duration(v.RefugeWithin)
	e.u8(uint8(v.Parts.Place))
	e.u8(uint8(v.Parts.View))
	e.restriction(&v.Warn)
	e.u8(uint8(v.Loads))
}

func (d *decoder) verdict(v *geofence.Verdict) {
	*v = geofence.Verdict{
		Faults: geofence.FaultSet(d.u32()), Place: geofence.Place(d.u8()), Zone: int(int16(d.u16())), //nolint:gosec // as written
		Hold: d.flag(), Trip: d.flag(), SpeedLimited: d.flag(), MaxSpeedMPS: d.f64(),
	}
	for _, r := range [...]*geofence.Restriction{&v.Manipulators, &v.Perception, &v.Remote, &v.Dwell, &v.DoorHeld, &v.Lost, &v.Refuge} {
		*r = d.restriction()
	}
	v.RefugeWithin = d.duration()
	v.Parts.Place, v.Parts.View = geofence.Place(d.u8()), geofence.Place(d.u8())
	v.Warn, v.Loads = d.restriction(), geofence.LoadSet(d.u8())
}

func (e *encoder) axes(a interlock.Axes) {
	e.u8(uint8(a.Motion))
	e.u8(uint8(a.Manipulators))
	e.u8(uint8(a.Perception))
	e.u8(uint8(a.Remote))
	e.f64(a.MaxSpeedMPS)
}

func (d *decoder) axes() interlock.Axes {
	return interlock.Axes{
		Motion: interlock.Motion(d.u8()), Manipulators: interlock.Manipulators(d.u8()),
		Perception: interlock.Perception(d.u8()), Remote: interlock.Remote(d.u8()), MaxSpeedMPS: d.f64(),
	}
}

func (e *encoder) condition(c interlock.Condition) {
	e.u8(uint8(c.State))
	e.u16(uint16(c.Cause))
	e.u16(c.Subject)
}

func (d *decoder) condition() interlock.Condition {
	return interlock.Condition{State: interlock.State(d.u8()), Cause: interlock.Cause(d.u16()), Subject: d.u16()}
}

func (e *encoder) watch(w *watch) {
	r := &w.report
	e.duration(r.At)
	for _, f := range [...]bool{r.Known, r.Flooded, r.ConsumerKnown, r.Registered} {
		e.flag(f)
	}
	e.list(&r.Publishers, r.Total)
	e.list(&r.Sources, r.SourcesTotal)
	for i := range w.peers {
		e.u32(w.peers[i].id)
		e.text(w.peers[i].name)
	}
	e.u16(uint16(w.more)) //nolint:gosec // connections are capped far below
	e.duration(w.foreign)
	e.duration(w.since)
	e.flag(w.clean)
	e.duration(w.conflict)
}

func (d *decoder) watch(w *watch) {
	r := &w.report
	r.At = d.duration()
	for _, f := range [...]*bool{&r.Known, &r.Flooded, &r.ConsumerKnown, &r.Registered} {
		*f = d.flag()
	}
	r.Publishers, r.Total = d.list()
	r.Sources, r.SourcesTotal = d.list()
	for i := range w.peers {
		w.peers[i] = watchedPeer{id: d.u32(), name: d.text()}
	}
	w.more = int(d.u16())
	w.foreign, w.since, w.clean, w.conflict = d.duration(), d.duration(), d.flag(), d.duration()
	w.peerReport()
}

func (e *encoder) list(n *interlock.Names, total int) {
	e.u32(uint32(max(0, total))) //nolint:gosec // a count
	e.u8(uint8(n.N))             //nolint:gosec // at most MaxNames
	for i := range n.N {
		e.text(n.Name[i])
	}
}

func (d *decoder) list() (interlock.Names, int) {
	total := int(d.u32())
	n := interlock.Names{N: min(int(d.u8()), interlock.MaxNames)}
	for i := range n.N {
		n.Name[i] = d.text()
	}
	return n, total
}
