package guard

import (
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// Host is what the program found out about itself and its computer, once a second. What could not be found out is said to be
// unknown, and never left at zero.
type Host struct {
	// DescriptorsKnown is true if Descriptors, how many files the guard has open, and DescriptorLimit, how many it may, are known.
	DescriptorsKnown             bool
	Descriptors, DescriptorLimit uint32
	// MemoryKnown is true if MemoryLeft is known: how many bytes the guard can still get, of the computer or of its own share.
	MemoryKnown bool
	MemoryLeft  uint64
	// Pause is the longest time for which the collection of garbage has stopped the program since the last report.
	Pause time.Duration
}

// Figures of the guard's own health, which no site has a reason to change.
const (
	// hostMaxAge is how old the newest report may be: it comes every second.
	hostMaxAge = 5 * time.Second
	// leastMemory is the memory in bytes that has to be left: what the reload of a policy takes at its peak.
	leastMemory = 16 << 20
	// leastDescriptors is how many files the guard has to be able to open: the next segments of its journal, its state files
	// and some connections.
	leastDescriptors = 16
	// maxPause is how long the program may stand still for its garbage; a quarter of a tick's period, and fifty times what is usual.
	maxPause = 5 * time.Millisecond
	// pauseCounts is for how long a pause that was too long counts.
	pauseCounts = time.Second
)

// hostState is the newest report.
type hostState struct {
	boot time.Duration
	seen bool
	Host
	// paused is when a pause was too long last.
	paused    time.Duration
	hasPaused bool
}

func (h *hostState) take(boot time.Duration, r *Host) {
	h.boot, h.seen, h.Host = boot, true, *r
	if r.Pause > maxPause {
		h.paused, h.hasPaused = boot, true
	}
}

// hostConditions says whether the guard's own means are nearly used up, and adds to the loop's fault that garbage was its cause.
func (c *Core) hostConditions(boot time.Duration, set *[interlock.NumTriggers]interlock.Condition) {
	h := &c.host
	fresh := h.seen && boot-h.boot <= hostMaxAge
	set[interlock.GuardMemory] = c.scarce(fresh && h.MemoryKnown, h.MemoryLeft < leastMemory)
	free := uint32(0)
	if h.DescriptorLimit > h.Descriptors {
		free = h.DescriptorLimit - h.Descriptors
	}
	set[interlock.GuardDescriptors] = c.scarce(fresh && h.DescriptorsKnown, free < leastDescriptors)
	if h.hasPaused && boot-h.paused < pauseCounts {
		set[interlock.LoopOverrun] = interlock.Worse(set[interlock.LoopOverrun], interlock.Fault(interlock.CausePaused, 0))
	}
}

// scarce is the condition of a means that is low, or of which nobody says how much there is.
func (c *Core) scarce(known, low bool) interlock.Condition {
	switch {
	case !c.host.seen:
		return interlock.OK() // A replay of a program that told nothing. The guard tells before it hears anybody.
	case known && low:
		return interlock.Fault(interlock.CauseBelowLimit, 0)
	case !known:
		return interlock.Fault(interlock.CauseMissing, 0)
	}
	return interlock.OK()
}

// Recorders is the steward's unsigned fact about the recording devices that the profile names.
type Recorders struct {
	// Open counts the devices that a process has open.
	Open uint16
	// Complete is true if every process was looked at; otherwise others may be open as well.
	Complete bool
	// Until is when the fact ends, on CLOCK_BOOTTIME.
	Until time.Duration
}

// maxStreamGap is the longest gap between two messages of a stream that goes on; what is silent for longer has ended.
const maxStreamGap = time.Second

// deviceState is what a camera or a microphone said last.
type deviceState struct {
	boot   time.Duration
	seen   bool
	active bool
}

// privacy is what the core remembers about cameras and microphones.
type privacy struct {
	devices [2][maxDevices]deviceState // cameras, microphones
	// since is when the robot had to become private, on the boot clock; never while it need not be.
	since time.Duration
	fact  Recorders
	// told is when the fact arrived.
	told time.Duration
	// open is true while anything records, or may; asked is when the driver was asked last, said what it was told.
	open  bool
	asked time.Duration
	said  bool
}

// askEvery is how often the driver is asked again while cameras and microphones are not known to be closed.
const askEvery = time.Second

// ask says whether the driver has to be asked now.
func (p *privacy) ask(boot time.Duration) bool {
	private := p.since != never
	again := private && p.open && boot-p.asked >= askEvery
	if private == p.said && !again {
		return false
	}
	p.said, p.asked = private, boot
	return true
}

// take stores what a device's topic says.
func (p *privacy) take(d *msg.Device, boot time.Duration) {
	kind := 0
	if d.Kind == msg.Microphone {
		kind = 1
	}
	if d.Index >= 0 && d.Index < maxDevices {
		p.devices[kind][d.Index] = deviceState{boot: boot, seen: true, active: d.Active}
	}
}

// follow keeps the time from which on the robot has to be private.
func (p *privacy) follow(boot time.Duration, axis interlock.Perception) {
	switch {
	case axis != interlock.PerceptionPrivate:
		p.since = never
	case p.since == never:
		p.since = boot
	}
}

// privacyCondition says whether anything records although the robot has to be private, or may record unseen. A claim on
// the bus never clears what the computer's own devices show, and the other way round.
func (c *Core) privacyCondition(boot time.Duration) interlock.Condition {
	p := &c.privacy
	if p.since == never {
		return interlock.OK()
	}
	unknown := false
	for kind := range p.devices {
		for i := range c.params.Devices[kind].N {
			d := &p.devices[kind][i]
			stream := c.params.Devices[kind].Streams&(1<<i) != 0
			switch {
			case stream && c.streams(d, boot), !stream && d.active:
				return interlock.Fault(interlock.CauseDeviceActive, uint16(kind*maxDevices+i+1)) //nolint:gosec // at most 2 * maxDevices
			case !stream && !d.seen:
				unknown = true // A driver that says nothing may record.
			}
		}
	}
	if !c.params.Recorders {
		return unknownIf(unknown)
	}
	switch f := &p.fact; {
	case boot >= f.Until || p.told < p.since:
		unknown = true // What was seen before the robot had to be private says nothing about now.
	case f.Open > 0:
		return interlock.Fault(interlock.CauseDeviceOpen, 0)
	case !f.Complete:
		unknown = true
	}
	return unknownIf(unknown)
}

// streams says whether a device's stream goes on. That a stream has ended shows only by what does not come any more. One that was
// there when the robot had to become private counts until the time to close is over, and from then on only by a message that came
// later: otherwise it would have to fall silent a whole gap before a device that says that it is closed.
func (c *Core) streams(d *deviceState, boot time.Duration) bool {
	closed := c.privacy.since + c.params.Rules.Rules[interlock.PerceptionOpen].StartDelay
	return d.seen && boot-d.boot < maxStreamGap && (boot < closed || d.boot >= closed)
}

// unknownIf is the unknown condition, or none.
func unknownIf(unknown bool) interlock.Condition {
	if unknown {
		return interlock.Condition{}
	}
	return interlock.OK()
}

// DeviceSet is the cameras, or the microphones, of the topic mapping.
type DeviceSet struct {
	// N counts them.
	N int
	// Names are what the trigger's number means, in their order: the topics.
	Names []string
	// Streams has bit i set if device i has no state but a stream, whose messages show that it records.
	Streams uint32
}

func (e *encoder) host(h *hostState) {
	e.duration(h.boot)
	e.flag(h.seen)
	e.hostReport(&h.Host)
	e.duration(h.paused)
	e.flag(h.hasPaused)
}

func (d *decoder) host(h *hostState) {
	h.boot, h.seen, h.Host = d.duration(), d.flag(), d.hostReport()
	h.paused, h.hasPaused = d.duration(), d.flag()
}

func (e *encoder) hostReport(h *Host) {
	e.flag(h.DescriptorsKnown)
	e.u32(h.Descriptors)
	e.u32(h.DescriptorLimit)
	e.flag(h.MemoryKnown)
	e.u64(h.MemoryLeft)
	e.duration(h.Pause)
}

func (d *decoder) hostReport() Host {
	return Host{
		DescriptorsKnown: d.flag(), Descriptors: d.u32(), DescriptorLimit: d.u32(),
		MemoryKnown: d.flag(), MemoryLeft: d.u64(), Pause: d.duration(),
	}
}

func (e *encoder) recorders(r *Recorders) {
	e.u16(r.Open)
	e.flag(r.Complete)
	e.duration(r.Until)
}

func (d *decoder) recorders() Recorders {
	return Recorders{Open: d.u16(), Complete: d.flag(), Until: d.duration()}
}

func (e *encoder) privacy(p *privacy) {
	for kind := range p.devices {
		for i := range p.devices[kind] {
			s := &p.devices[kind][i]
			e.duration(s.boot)
			e.flag(s.seen)
			e.flag(s.active)
		}
	}
	e.duration(p.since)
	e.recorders(&p.fact)
	e.duration(p.told)
	e.flag(p.open)
	e.duration(p.asked)
	e.flag(p.said)
}

func (d *decoder) privacy(p *privacy) {
	for kind := range p.devices {
		for i := range p.devices[kind] {
			p.devices[kind][i] = deviceState{boot: d.duration(), seen: d.flag(), active: d.flag()}
		}
	}
	p.since, p.fact, p.told = d.duration(), d.recorders(), d.duration()
	p.open, p.asked, p.said = d.flag(), d.duration(), d.flag()
}
