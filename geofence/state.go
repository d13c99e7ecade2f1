package geofence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// stateVersion is the first byte of a state. A change of layout raises it.
const stateVersion = 4

// ErrState means that a state cannot be restored: it is damaged, of another
// version, or of a fence with another set. The fence keeps the state it had.
var ErrState = errors.New("geofence state cannot be restored")

// codec walks over fields, writing or reading them, so that both directions
// share one list. Numbers are little-endian.
type codec struct {
	buf  []byte
	read bool
	bad  bool
}

func (c *codec) uint(v *uint64) {
	if !c.read {
		c.buf = binary.LittleEndian.AppendUint64(c.buf, *v)
		return
	}
	if len(c.buf) < 8 {
		c.bad, *v = true, 0
		return
	}
	*v, c.buf = binary.LittleEndian.Uint64(c.buf), c.buf[8:]
}

func whole[T ~int | ~int32 | ~int64 | ~uint8 | ~uint32 | ~uint64](c *codec, v *T) {
	u := uint64(*v)
	c.uint(&u)
	*v = T(u)
	if uint64(*v) != u {
		c.bad = true
	}
}

func (c *codec) flag(v *bool) {
	var u uint64
	if *v {
		u = 1
	}
	c.uint(&u)
	*v = u == 1
	c.bad = c.bad || u > 1
}

func (c *codec) floats(vs ...*float64) {
	for _, v := range vs {
		u := math.Float64bits(*v)
		c.uint(&u)
		*v = math.Float64frombits(u)
		// No state holds a NaN; an infinite depth means that there is none yet.
		c.bad = c.bad || math.IsNaN(*v)
	}
}

func (c *codec) frame(p *frame) { c.floats(&p.x, &p.y, &p.c, &p.s) }
func (c *codec) twist(u *twist) { c.floats(&u.vx, &u.vy, &u.w) }

// memory walks over all of a memory's fields.
func (c *codec) memory(m *memory) {
	c.flag(&m.stepped)
	whole(c, &m.now)
	whole(c, &m.faults)
	c.uint(&m.plan.roles)
	c.uint(&m.plan.running)
	c.uint(&m.plan.task)
	c.uint(&m.plan.operator)
	c.flag(&m.plan.known)
	c.flag(&m.egress.Active)
	whole(c, &m.egress.Zone)
	c.floats(&m.egressDepth)
	whole(c, &m.leaves)
	c.floats(&m.leaveDepth)
	for i := range m.leases {
		c.lease(&m.leases[i])
	}
	whole(c, &m.loads)
	c.flag(&m.loadsKnown)
	whole(c, &m.warned)
	c.track(&m.track)
	c.history(&m.issued)
	c.brakes(&m.brakes)
	c.agreement(&m.agreement)
}

func (c *codec) agreement(a *agreement) {
	whole(c, &a.differs)
	whole(c, &a.lost)
	whole(c, &a.goodSince)
	c.flag(&a.apart)
	c.flag(&a.good)
}

func (c *codec) lease(l *Lease) {
	whole(c, &l.State)
	whole(c, &l.Zone)
	whole(c, &l.Until)
	c.floats(&l.MaxSpeedMPS)
	whole(c, &l.Facts)
}

func (c *codec) stays(stays []stay) {
	for i := range stays {
		c.flag(&stays[i].on)
		whole(c, &stays[i].since)
		c.bad = c.bad || !stays[i].on && stays[i].since != 0
	}
}

func (c *codec) track(t *track) {
	c.flag(&t.have)
	c.flag(&t.seen)
	c.flag(&t.timed)
	c.flag(&t.velocityOK)
	for _, d := range []*time.Duration{&t.boot, &t.delay, &t.atBoot, &t.goodSince, &t.moving, &t.velocityBoot} {
		whole(c, d)
	}
	whole(c, &t.stamp)
	whole(c, &t.least)
	whole(c, &t.atStamp)
	whole(c, &t.floor)
	whole(c, &t.good)
	whole(c, &t.content)
	whole(c, &t.latched)
	c.frame(&t.at)
	c.frame(&t.anchor)
	c.floats(&t.sigma, &t.spread, &t.tilt.x, &t.tilt.y, &t.tilt.z, &t.tilt.w)
	c.twist(&t.velocity)
}

func (c *codec) history(h *history) {
	c.flag(&h.known)
	whole(c, &h.slot)
	whole(c, &h.count)
	whole(c, &h.at)
	c.twist(&h.last)
	for i := range h.sent {
		c.twist(&h.sent[i])
	}
}

func (c *codec) brakes(b *brakes) {
	l := &b.sent
	c.flag(&l.known)
	whole(c, &l.slot)
	whole(c, &l.count)
	whole(c, &l.at)
	for i := range l.last {
		c.floats(&l.last[i])
		for n := range latelySlots {
			c.floats(&l.hi[i][n], &l.lo[i][n])
		}
	}
	c.flag(&b.timed)
	whole(c, &b.boot)
	for i := range b.axis {
		s := &b.axis[i]
		c.flag(&s.on)
		c.floats(&s.share, &s.speed, &s.top, &s.promised, &s.asked, &s.over, &s.time, &s.idle, &s.delivered)
	}
}

func (c *codec) levels(levels []level, held int) {
	n := held
	whole(c, &n)
	if c.read {
		c.readLevels(levels, n)
		return
	}
	for i := range levels {
		if l := &levels[i]; l.place >= Margin {
			whole(c, &i)
			whole(c, &l.place)
			c.flag(&l.timing)
			whole(c, &l.since)
		}
	}
}

func (c *codec) readLevels(levels []level, n int) {
	last := -1
	for ; n > 0 && !c.bad; n-- {
		var slot int
		var l level
		whole(c, &slot)
		whole(c, &l.place)
		c.flag(&l.timing)
		whole(c, &l.since)
		if slot <= last || slot >= len(levels) || l.place < Margin || l.place > Inside {
			c.bad = true
			return
		}
		levels[slot], last = l, slot
	}
	c.bad = c.bad || n < 0
}

// AppendState appends all that the fence remembers. A fence of the same set
// that restores it decides exactly as this one would.
func (f *Fence) AppendState(dst []byte) []byte {
	start := len(dst)
	c := codec{buf: append(dst, stateVersion)}
	digest, m := f.set.digest, f.mem
	c.uint(&digest)
	c.memory(&m)
	c.levels(f.levels, f.held)
	c.stays(f.stays)
	c.limbs(&f.limb.posture, f.limb.levels, f.limb.held)
	sum := checksum(c.buf[start:])
	c.uint(&sum)
	return c.buf
}

// RestoreState replaces what the fence remembers by what AppendState wrote. The
// error wraps ErrState and leaves the fence as it was.
func (f *Fence) RestoreState(state []byte) error {
	if len(state) < 17 || state[0] != stateVersion {
		return fmt.Errorf("%w: expected version %d and at least 17 bytes, found %d bytes", ErrState, stateVersion, len(state))
	}
	body, tail := state[:len(state)-8], state[len(state)-8:]
	if binary.LittleEndian.Uint64(tail) != checksum(body) {
		return fmt.Errorf("%w: its checksum does not match; take an older snapshot", ErrState)
	}
	c := codec{buf: body[1:], read: true}
	var digest uint64
	if c.uint(&digest); digest != f.set.digest {
		return fmt.Errorf("%w: it belongs to the set with digest %016x, this fence has %016x", ErrState, digest, f.set.digest)
	}
	var m memory
	c.memory(&m)
	levels := make([]level, len(f.levels))
	c.levels(levels, 0)
	stays := make([]stay, len(f.stays))
	c.stays(stays)
	var limb limbs
	limb.levels = make([]level, len(f.limb.levels))
	c.limbs(&limb.posture, limb.levels, 0)
	if c.bad || len(c.buf) != 0 || !f.sane(&m) || !limb.posture.sane() {
		return fmt.Errorf("%w: its fields do not hold together; take an older snapshot", ErrState)
	}
	f.stays = stays
	f.adopt(&m, levels)
	f.adoptLimbs(&limb)
	for i := range f.cands {
		f.cands[i].place = max(f.levels[f.cands[i].slot].place, Outside)
	}
	return nil
}

func checksum(b []byte) uint64 {
	h := newHasher()
	for _, v := range b {
		h.byte(v)
	}
	return uint64(h)
}

// sane checks what the code relies on, for a state that somebody made up.
func (f *Fence) sane(m *memory) bool {
	t, h := &m.track, &m.issued
	ok := t.floor >= -1 && t.floor < len(f.set.floors) && (!t.have || t.floor >= 0)
	ok = ok && m.now >= 0 && t.delay >= 0 && t.moving >= 0 && t.good >= 0
	ok = ok && m.egress.Zone >= NoZone && m.egress.Zone < len(f.set.zones) && m.egress.Active == (m.egress.Zone != NoZone)
	ok = ok && m.loads&^f.set.AllLoads() == 0 && m.warned >= -1 && m.warned < len(f.levels)
	ok = ok && m.leaves >= NoZone && m.leaves < len(f.set.zones) && m.leaveDepth >= 0
	ok = ok && h.slot >= 0 && h.count >= 0 && int64(h.count) <= min(ringSlots, h.slot+1) && h.at >= 0
	for _, p := range []frame{t.at, t.anchor} {
		n := float64(p.c*p.c) + float64(p.s*p.s)
		ok = ok && math.Abs(p.x) <= MaxCoordinateMM && math.Abs(p.y) <= MaxCoordinateMM && (n == 0 && !t.have || math.Abs(n-1) < 1e-6)
	}
	q := t.tilt
	n := float64(q.x*q.x) + float64(q.y*q.y) + float64(q.z*q.z) + float64(q.w*q.w)
	ok = ok && (n == 0 && !t.have || math.Abs(n-1) < 1e-6)
	// Two variances of 10^12 m² that are wholly correlated make 1.42·10^9 mm.
	ok = ok && t.sigma >= 0 && t.sigma <= 1.5e9 && t.spread >= 0 && t.spread <= 1e6 && m.egressDepth >= 0
	for _, u := range append([]twist{t.velocity, h.last}, h.sent[:]...) {
		ok = ok && math.Abs(u.vx) <= 1e5 && math.Abs(u.vy) <= 1e5 && math.Abs(u.w) <= 100
	}
	a := &m.agreement
	ok = ok && a.differs >= 0 && a.lost >= 0 && a.goodSince >= 0
	return ok && m.brakes.sane()
}

// sane checks ranges only: what a phase adds up is no more than a wrong share.
func (b *brakes) sane() bool {
	l := &b.sent
	ok := l.slot >= 0 && l.count >= 0 && int64(l.count) <= min(latelySlots, l.slot+1) && l.at >= 0 && b.boot >= 0
	for i := range b.axis {
		s := &b.axis[i]
		ok = ok && s.share >= leastShare && s.share <= 1
		for _, v := range [...]float64{s.speed, s.top, s.promised, s.asked, s.time, s.idle, s.delivered} {
			ok = ok && v >= 0 && v <= 1e9
		}
		ok = ok && math.Abs(s.over) <= 1e9
	}
	return ok
}

// adopt takes over a memory and levels and recomputes what depends on them.
func (f *Fence) adopt(m *memory, levels []level) {
	f.mem, f.levels, f.held = *m, levels, 0
	for i := range levels {
		if levels[i].place >= Margin {
			f.held++
		}
	}
	f.minute, f.work, f.cands = math.MinInt64, 0, f.cands[:0]
	f.wear()
	f.bind()
	if f.usable() {
		f.survey()
	}
}

// Carry takes over from the fence of an earlier set what must survive a reload:
// the pose feed's history and faults, the commands in flight, and every hold of
// a zone that both sets have. It is called on a new fence, before its first
// Step. Until that Step, zones bind as if roles and clock were unknown.
func (f *Fence) Carry(from *Fence) {
	m := from.mem
	m.plan = schedule{}
	m.loads, m.loadsKnown, m.warned = f.set.AllLoads(), false, -1 // until the next Step brings the new set's numbers
	m.egress, m.egressDepth = Egress{Zone: NoZone}, 0
	m.leaves, m.leaveDepth, m.leases = NoZone, 0, [MaxLeases]Lease{} // The next Step brings the leases by the new set's numbers.
	if n, ok := f.set.FloorIndex(from.set.Floor(m.track.floor)); ok {
		m.track.floor = n
	} else {
		// The pose is on a floor that is gone: wait for one that says where it is.
		m.track.floor, m.track.have = -1, false
	}
	if f.slotWidth() != from.slotWidth() {
		m.issued = history{}
	}
	f.inherit(from, &m.brakes)
	levels := make([]level, len(f.levels))
	for i := range from.levels {
		if slot, ok := f.slotOf(from, i); ok {
			levels[slot] = from.levels[i]
		}
	}
	for k, i := range from.set.stays {
		if n, ok := f.set.zoneByID[from.set.zones[i].info.ID]; ok {
			if to := slices.Index(f.set.stays, int32(n)); to >= 0 { //nolint:gosec // Compile caps zones at 10 000
				f.stays[to] = from.stays[k]
			}
		}
	}
	f.adopt(&m, levels)
	f.carryLimbs(from)
	if f.usable() {
		f.settle()
	}
}

// slotOf finds the level that corresponds to another fence's, by id.
func (f *Fence) slotOf(from *Fence, i int) (int, bool) {
	if n := len(from.set.zones); i >= n {
		slot, ok := f.set.FloorIndex(from.set.floors[i-n].id)
		return slot + len(f.set.zones), ok
	}
	return f.set.ZoneIndex(from.set.zones[i].info.ID)
}
