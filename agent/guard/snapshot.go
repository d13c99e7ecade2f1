package guard

import (
	"errors"
	"fmt"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// A snapshot is everything that the next event's outcome depends on, so that a core restored from it goes on exactly as
// the one that wrote it. Parts of the cores write their own state, each behind its length.

// snapshotVersion is 11 since these are remembered: the program's report on itself, devices of a private robot, artifacts,
// actuators and inputs, proofs of commanders, overrides and sessions, facts and loads, channels' health, floods on the bus,
// demands at gates with whether what they ended has come to rest, and which of them named a program that nobody listed, the
// proof test with its record, the robot's lean, whether it may have moved, the age of the state on disk, its way down with
// the number of each request, and why the gate passes nothing between two commands. A replay of a journal with older ones is refused by this number; the program that wrote it replays it.
const snapshotVersion = 11

// ErrPendingSnapshot is why a snapshot cannot be restored.
var ErrPendingSnapshot = errors.New("the snapshot was taken while a policy waited for standstill; start from an earlier one")

// AppendLatches appends what must survive a restart.
func (c *Core) AppendLatches(b []byte) []byte { return c.machine.AppendLatches(b) }

// errTrial is why a snapshot cannot be true: its proof test has a step that none has.
var errTrial = errors.New("the proof test's step or rung does not exist")

// errDemand is why a snapshot does not fit: it was taken under another topic mapping.
var errDemand = errors.New("a connection's process is demanded by an entry that the topic mapping does not have")

// errLease is why a snapshot does not fit: it was taken under another policy.
var errLease = errors.New("a lease is for a zone that the policy does not have")

// part is a piece of state that writes and restores itself.
type part interface {
	AppendState(b []byte) []byte
	RestoreState(b []byte) error
}

// each calls f with every part, in the order of the snapshot. It is a loop over a switch, since a slice of interfaces
// would be a fresh allocation for every snapshot.
func (c *Core) each(f func(name string, p part) error) error {
	steps := [...]struct {
		name string
		part part
	}{
		{"fence", c.fence},
		{"machine", c.machine},
		{"gate", c.gate},
		{"ladder", c.ladder},
		{"standstill", c.still},
		{"loop", c.loop},
		{"clock", c.clock},
		{"overrides", c.authority.overrides},
		{"follow", c.follow},
		{"fall", c.fall},
		{"posture", c.down.core},
	}
	for _, s := range steps {
		if err := f(s.name, s.part); err != nil {
			return err
		}
	}
	for i := range c.beats {
		if err := f("heartbeat", c.beats[i]); err != nil {
			return err
		}
	}
	for i := range c.watches {
		if err := f("watch", c.watches[i].core); err != nil {
			return err
		}
	}
	for _, w := range c.proofs {
		if w == nil {
			continue
		}
		if err := f("proof", w); err != nil {
			return err
		}
	}
	for i := range c.health {
		if err := f("channel", c.health[i]); err != nil {
			return err
		}
	}
	for i := range c.demands.gates {
		if err := f("demand gate", c.demands.gates[i].core); err != nil {
			return err
		}
	}
	return nil
}

// AppendState appends the snapshot.
func (c *Core) AppendState(b []byte) []byte {
	e := encoder{b}
	e.u8(snapshotVersion)
	e.flag(c.pending != nil)
	_ = c.each(func(_ string, p part) error {
		at := len(e.b)
		e.u32(0)
		e.b = p.AppendState(e.b)
		n := uint32(len(e.b) - at - 4) //nolint:gosec // bounded by the parts
		e.b[at], e.b[at+1], e.b[at+2], e.b[at+3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
		return nil
	})
	e.own(c)
	return e.b
}

// RestoreState puts a core with the same parameters into the snapshot's state.
func (c *Core) RestoreState(b []byte) error {
	d := decoder{b: b}
	if v := d.u8(); v != snapshotVersion && d.err == nil {
		return fmt.Errorf("snapshot: expected version %d, found %d", snapshotVersion, v)
	}
	if d.flag() {
		return ErrPendingSnapshot
	}
	err := c.each(func(name string, p part) error {
		if err := p.RestoreState(d.take(int(d.u32()))); err != nil {
			return fmt.Errorf("snapshot: %s: %w", name, err)
		}
		return d.err
	})
	if err != nil {
		return err
	}
	d.own(c)
	if err := d.end(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// own encodes what the core itself remembers.
func (e *encoder) own(c *Core) {
	e.body(&c.body)
	for i := range c.chain.edges {
		g := &c.chain.edges[i]
		e.flag(g.seen)
		e.flag(g.static)
		e.duration(g.boot)
		e.i64(g.stamp)
		e.vec(g.t)
		e.quat(g.r)
	}
	e.u16(uint16(int16(c.grant.zone))) //nolint:gosec // Compile caps zones at 10 000
	e.duration(c.grant.expires)
	e.leases(&c.leases)
	e.authority(&c.authority)
	e.verdict(&c.verdict)
	e.axes(c.decision.Axes)
	e.flag(c.decision.Refuge)
	e.u8(uint8(c.because()))
	e.u64(c.decision.LatchedSet[0])
	e.u64(c.decision.LatchedSet[1])
	e.u64(c.decision.ActiveSet[0])
	e.u64(c.decision.ActiveSet[1])
	e.u8(uint8(c.decision.Category))
	e.u64(c.decision.Seq)
	e.u8(uint8(c.motion.State))
	e.duration(c.badCommand.boot)
	e.condition(c.badCommand.condition)
	e.duration(c.weak.boot)
	e.condition(c.weak.condition)
	e.condition(c.rungs.Unconfirmed)
	e.condition(c.rungs.Untold)
	e.flag(c.rungs.DockRefused)
	e.u8(uint8(c.rungs.Assert))
	for _, a := range c.acks {
		e.u8(uint8(a))
	}
	e.condition(c.loopFault)
	e.condition(c.clockFault)
	e.u64(c.seq)
	e.u64(c.digest)
	e.duration(c.lockDue)
	e.u8(uint8(c.lockSent))
	e.duration(c.tick.Late)
	e.u8(c.tick.Trust)
	e.u8(uint8(c.tick.Journal))
	for _, f := range [...]bool{c.tick.BusOK, c.tick.Heard, c.unclean, c.ending, c.order.stop} {
		e.flag(f)
	}
	e.duration(c.tickBoot)
	e.duration(c.loadedAt)
	e.u64(c.attacks)
	e.duration(c.conflict)
	e.duration(c.now.Boot)
	e.u16(uint16(c.inside))
	e.f64s([]float64{c.passing.VX, c.passing.VY, c.passing.YawRate})
	e.trust(&c.trust)
	e.host(&c.host)
	e.privacy(&c.privacy)
	e.u16(uint16(c.policyFault))
	e.duration(c.started)
	for i := range c.watches {
		e.watch(&c.watches[i])
	}
	e.artifacts(&c.trust)
	e.devices(&c.devices)
	e.facts(&c.facts)
	e.u8(uint8(c.loads))
	e.flag(c.loadKnown)
	e.flag(c.stirred)
	e.f64s(c.told.Linear[:])
	e.f64s(c.told.Angular[:])
	e.demands(&c.demands)
	e.trial(c)
	e.ageFound(c.age.Age)
	e.flag(c.age.fired)
	e.posture(&c.down)
}

func (d *decoder) own(c *Core) {
	d.body(&c.body)
	for i := range c.chain.edges {
		c.chain.edges[i] = edge{seen: d.flag(), static: d.flag(), boot: d.duration(), stamp: d.i64(), t: d.vec(), r: d.quat()}
	}
	c.grant = grant{zone: int(int16(d.u16())), expires: d.duration()} //nolint:gosec // as written
	d.leases(&c.leases, c.params.Set.Zones())
	d.authority(&c.authority)
	d.verdict(&c.verdict)
	c.decision = interlock.Decision{Axes: d.axes(), Refuge: d.flag()}
	if t := interlock.Trigger(d.u8()); t < interlock.NumTriggers {
		c.decision.N, c.decision.Active[0].Trigger = 1, t
	}
	c.decision.LatchedSet = interlock.TriggerSet{d.u64(), d.u64()}
	c.decision.ActiveSet = interlock.TriggerSet{d.u64(), d.u64()}
	c.decision.Category, c.decision.Seq = interlock.StopCategory(d.u8()), d.u64()
	c.motion.State = interlock.MotionState(d.u8())
	c.badCommand = badCommand{boot: d.duration(), condition: d.condition()}
	c.weak = badCommand{boot: d.duration(), condition: d.condition()}
	c.rungs.Unconfirmed, c.rungs.Untold = d.condition(), d.condition()
	c.rungs.DockRefused, c.rungs.Assert = d.flag(), interlock.RungSet(d.u8())
	for i := range c.acks {
		c.acks[i] = interlock.Ack(d.u8())
	}
	c.loopFault, c.clockFault = d.condition(), d.condition()
	c.seq, c.digest, c.lockDue, c.lockSent = d.u64(), d.u64(), d.duration(), lockValue(d.u8())
	c.tick.Late, c.tick.Trust, c.tick.Journal = d.duration(), d.u8(), JournalState(d.u8())
	for _, f := range [...]*bool{&c.tick.BusOK, &c.tick.Heard, &c.unclean, &c.ending, &c.order.stop} {
		*f = d.flag()
	}
	c.tickBoot, c.loadedAt, c.attacks, c.conflict = d.duration(), d.duration(), d.u64(), d.duration()
	c.now.Boot = d.duration() // A policy may be loaded before the next event.
	c.inside = interlock.Cause(d.u16())
	c.passing = geofence.Velocity{VX: d.f64(), VY: d.f64(), YawRate: d.f64()}
	d.trust(&c.trust, len(c.params.Processes))
	d.host(&c.host)
	d.privacy(&c.privacy)
	c.policyFault, c.started = interlock.Cause(d.u16()), d.duration()
	for i := range c.watches {
		d.watch(&c.watches[i])
	}
	d.artifacts(&c.trust)
	d.devices(&c.devices)
	d.facts(&c.facts)
	c.loads, c.loadKnown, c.stirred = geofence.LoadSet(d.u8()), d.flag(), d.flag()
	d.f64s(c.told.Linear[:])
	d.f64s(c.told.Angular[:])
	d.demands(&c.demands)
	d.trial(c)
	c.age = age{d.ageFound(), d.flag()}
	d.posture(&c.down)
}
