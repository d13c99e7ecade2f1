package guard

import (
	"slices"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
)

// This file keeps what the bus says about load, task, operator, doors and badges. A fact loosens only if its sender is
// known as well as the policy demands; what anybody else says can only make it unknown, or close a door. A fact that is
// older than its max_age is unknown, and unknown is the most restrictive reading.

// FactKind is what a fact is about. The numbers are those of config.FactKinds, from 1.
type FactKind uint8

// Kinds of facts.
const (
	// FactLoad is what the robot carries.
	FactLoad FactKind = iota + 1
	// FactTask is what it is doing.
	FactTask
	// FactOperator is who has it do so.
	FactOperator
	// FactDoor is whether a door is open.
	FactDoor
	// FactBadge is whether an authorised badge was shown at a door.
	FactBadge
)

// MaxFacts is the largest number of sources of facts.
const MaxFacts = 16

// MaxSignedLeases is how many leases are answers to requests; the other places are for doors that facts open or close.
const MaxSignedLeases = geofence.MaxLeases - MaxFacts

// FactParams is one source of facts.
type FactParams struct {
	Name   string
	Kind   FactKind
	MaxAge time.Duration
	// Need is how well a sender must be known whose word loosens; StrengthUnknown lets nobody's.
	Need msg.Strength
	// Loads are those that the source speaks for.
	Loads geofence.LoadSet
	// Door is the number in Doors that a door or a badge is about.
	Door int
	// Values are what the mapping's values mean, by their number.
	Values []FactMeaning
}

// FactMeaning is what one value means, for the source's kind.
type FactMeaning struct {
	// Text is the meaning's word.
	Text  string
	Loads geofence.LoadSet
	// Index is the task's or operator's, geofence.Other for none.
	Index int
	// Open is true for an open door and a shown badge.
	Open bool
}

// DoorParams is a DOOR that facts are about, or that a task opens.
type DoorParams struct {
	Zone  int
	Facts geofence.FactSet
	// MaxSpeedMPS is the speed at which facts let the robot pass, 0 if they can only close it.
	MaxSpeedMPS float64
	// Tasks open it.
	Tasks []int
}

// Fact is one message of a source.
type Fact struct {
	Source int
	// Value is the number of the mapping's value, -1 for one that it does not list.
	Value int
	// Peer and Strength are the sender's.
	Peer     uint32
	Strength msg.Strength
}

// factState is what is kept of a source.
type factState struct {
	heard bool
	// value is the number of the value that counts, -1 for unknown; boot is when it was said.
	value int
	boot  time.Duration
	// strength is how well its sender was known.
	strength msg.Strength
	// lost is when a door or badge was last open and then was not; wasOpen says that there was such a time.
	lost    time.Duration
	wasOpen bool
}

// fresh says whether the source's last word still counts.
func (s *factState) fresh(now time.Duration, p *FactParams) bool {
	return s.heard && now >= s.boot && now-s.boot < p.MaxAge
}

// meaning is what the source says now, nil for unknown.
func (s *factState) meaning(now time.Duration, p *FactParams) *FactMeaning {
	if !s.fresh(now, p) || s.value < 0 || s.value >= len(p.Values) {
		return nil
	}
	return &p.Values[s.value]
}

// open says whether a door or badge is open now.
func (s *factState) open(now time.Duration, p *FactParams) bool {
	m := s.meaning(now, p)
	return m != nil && m.Open
}

// set takes a value and notes when a door closed.
func (s *factState) set(boot time.Duration, p *FactParams, value int, strength msg.Strength) {
	was, stale := s.heard && s.value >= 0 && s.value < len(p.Values) && p.Values[s.value].Open, !s.fresh(boot, p)
	lost := boot
	if stale {
		lost = min(boot, s.boot+p.MaxAge)
	}
	first := !s.heard
	s.heard, s.value, s.boot, s.strength = true, value, boot, strength
	if is := s.open(boot, p); was && !is || first && !is {
		s.lost = lost
		if first {
			s.lost = boot
		}
	}
	s.wasOpen = s.wasOpen || was
}

// takeBusFact takes a message of a source.
func (c *Core) takeBusFact(boot time.Duration, f *Fact) {
	if f.Source < 0 || f.Source >= len(c.params.Facts) {
		return
	}
	p, s := &c.params.Facts[f.Source], &c.facts[f.Source]
	strength := f.Strength
	if strength < msg.ProcessBound && c.Proven(f.Peer) {
		strength = msg.ProcessBound
	}
	value := f.Value
	if value >= len(p.Values) {
		value = -1
	}
	switch {
	case p.Need != msg.StrengthUnknown && strength >= p.Need:
		s.set(boot, p, value, strength)
	case p.Kind == FactDoor && (value < 0 || !p.Values[value].Open):
		s.set(boot, p, value, strength) // Anybody may say that a door is shut.
	case s.fresh(boot, p) && value != s.value:
		s.set(boot, p, -1, strength) // Somebody contradicts: nobody knows, until it is said again by who may.
	}
}

// reweigh makes facts unknown whose senders are not known well enough for another policy.
func (c *Core) reweigh() {
	for i := range c.params.Facts {
		p, s := &c.params.Facts[i], &c.facts[i]
		if s.heard && (p.Need == msg.StrengthUnknown || s.strength < p.Need) && s.meaning(c.now.Boot, p) != nil && (p.Kind != FactDoor || s.open(c.now.Boot, p)) {
			s.set(c.now.Boot, p, -1, s.strength)
		}
	}
}

// carried is what the robot carries: known only if every load has a source that speaks for it, and all of them are known.
func (c *Core) carried() geofence.Carried {
	var covered, present geofence.LoadSet
	for i := range c.params.Facts {
		p := &c.params.Facts[i]
		if p.Kind != FactLoad {
			continue
		}
		m := c.facts[i].meaning(c.now.Boot, p)
		if m == nil {
			return geofence.Carried{}
		}
		covered, present = covered|p.Loads, present|m.Loads
	}
	return geofence.Carried{Known: covered == c.params.Set.AllLoads(), Loads: present}
}

// awaitsLoad says whether sources have yet to say for the first time what the robot carries, which they may as long as other
// inputs. Meanwhile nobody knows where the contour is: that holds the robot, and a latch for a load that was never there would be a
// nuisance at every start.
func (c *Core) awaitsLoad() bool {
	if c.loadKnown || c.now.Boot-c.started > c.params.InputTimeout {
		return false
	}
	var promised geofence.LoadSet
	for i := range c.params.Facts {
		if p := &c.params.Facts[i]; p.Kind == FactLoad && p.Need != msg.StrengthUnknown {
			promised |= p.Loads
		}
	}
	all := c.params.Set.AllLoads()
	return all != 0 && promised == all
}

// named is the task or the operator.
func (c *Core) named(kind FactKind) geofence.Fact {
	for i := range c.params.Facts {
		if p := &c.params.Facts[i]; p.Kind == kind {
			if m := c.facts[i].meaning(c.now.Boot, p); m != nil {
				return geofence.Fact{Known: true, Index: m.Index}
			}
		}
	}
	return geofence.Fact{}
}

// doorLeases adds what facts mean for doors, as leases behind those that were signed. A door that is said to be shut, or that
// nobody speaks of any more, takes every lease for it back; a badge and a task only open.
func (c *Core) doorLeases(out *[geofence.MaxLeases]geofence.Lease) {
	n := MaxSignedLeases
	add := func(l geofence.Lease) {
		if n < len(out) { // there are as many places as sources, and one for each door that tasks open
			out[n] = l
			n++
		}
	}
	now := c.now.Boot
	for i := range c.params.Facts {
		p, s := &c.params.Facts[i], &c.facts[i]
		if p.Kind != FactDoor && p.Kind != FactBadge {
			continue
		}
		d := &c.params.Doors[p.Door]
		fact := geofence.FactDoor
		if p.Kind == FactBadge {
			fact = geofence.FactBadge
		}
		switch {
		case s.open(now, p):
			if d.MaxSpeedMPS > 0 && d.Facts&fact != 0 {
				add(geofence.Lease{State: geofence.Granted, Zone: d.Zone, Until: s.boot + p.MaxAge, MaxSpeedMPS: d.MaxSpeedMPS, Facts: fact})
			}
		case p.Kind == FactDoor && s.heard:
			add(geofence.Lease{State: geofence.Revoked, Zone: d.Zone, Until: s.closed(p), MaxSpeedMPS: c.closedSpeed(s, p, d, out), Facts: d.Facts})
		}
	}
	if task := c.named(FactTask); task.Known {
		until := c.taskUntil()
		for i := range c.params.Doors {
			if d := &c.params.Doors[i]; d.MaxSpeedMPS > 0 && d.opens(task.Index) {
				add(geofence.Lease{State: geofence.Granted, Zone: d.Zone, Until: until, MaxSpeedMPS: d.MaxSpeedMPS, Facts: geofence.FactTask})
			}
		}
	}
	c.badgesOver(out, add)
}

// closedSpeed is at which speed a robot may leave a door that is said to be shut, in m/s: none where nothing had let it in.
// Anybody may say so, and must not give a robot that has no right to be there the rights of one whose right has ended.
func (c *Core) closedSpeed(s *factState, p *FactParams, d *DoorParams, out *[geofence.MaxLeases]geofence.Lease) float64 {
	had := s.wasOpen || s.value >= 0 && s.value < len(p.Values) && p.Values[s.value].Open
	for i := range MaxSignedLeases {
		had = had || out[i].State != geofence.NoLease && out[i].Zone == d.Zone
	}
	task := c.named(FactTask)
	had = had || task.Known && d.MaxSpeedMPS > 0 && d.opens(task.Index)
	for i := range c.params.Facts {
		b, q := &c.facts[i], &c.params.Facts[i]
		had = had || q.Kind == FactBadge && q.Door == p.Door && d.Facts&geofence.FactBadge != 0 && (b.wasOpen || b.open(c.now.Boot, q))
	}
	if !had {
		return 0
	}
	return c.params.CreepMPS
}

// badgesOver lets a robot that a badge has let in leave as the zone says once the badge is over and nothing else opens.
func (c *Core) badgesOver(out *[geofence.MaxLeases]geofence.Lease, add func(geofence.Lease)) {
	for i := range c.params.Facts {
		p, s := &c.params.Facts[i], &c.facts[i]
		if p.Kind != FactBadge || s.open(c.now.Boot, p) || !s.heard {
			continue
		}
		d := &c.params.Doors[p.Door]
		other := d.MaxSpeedMPS == 0 || d.Facts&geofence.FactBadge == 0
		for k := range out {
			other = other || out[k].State != geofence.NoLease && out[k].Zone == d.Zone
		}
		if shown := s.value >= 0 && s.value < len(p.Values) && p.Values[s.value].Open; !other && (s.wasOpen || shown) {
			add(geofence.Lease{State: geofence.Expired, Zone: d.Zone, Until: s.closed(p), MaxSpeedMPS: c.params.CreepMPS, Facts: geofence.FactBadge})
		}
	}
}

// closed is when a door or badge that is not open now ceased to be.
func (s *factState) closed(p *FactParams) time.Duration {
	if s.value >= 0 && s.value < len(p.Values) && p.Values[s.value].Open {
		return s.boot + p.MaxAge // nobody has said so since
	}
	return s.lost
}

func (d *DoorParams) opens(task int) bool {
	return d.Facts&geofence.FactTask != 0 && slices.Contains(d.Tasks, task)
}

// taskUntil is until when the task is known.
func (c *Core) taskUntil() time.Duration {
	for i := range c.params.Facts {
		if p := &c.params.Facts[i]; p.Kind == FactTask {
			return c.facts[i].boot + p.MaxAge
		}
	}
	return 0
}

// FactStatus is what a source of facts says.
type FactStatus struct {
	Name string `json:"name"`
	// Says is what counts: a load, task or operator, none, open, closed, shown, or unknown.
	Says string `json:"says"`
	// LeftS is for how long it counts, in seconds.
	LeftS float64 `json:"left_s,omitempty"`
	// Sender is how well its sender is known.
	Sender string `json:"sender,omitempty"`
}

func (c *Core) factStatus() (out []FactStatus) {
	for i := range c.params.Facts {
		p, s := &c.params.Facts[i], &c.facts[i]
		one := FactStatus{Name: p.Name, Says: "unknown"}
		if m := s.meaning(c.now.Boot, p); m != nil {
			one.Says, one.LeftS, one.Sender = m.Text, (s.boot + p.MaxAge - c.now.Boot).Seconds(), s.strength.String()
		}
		out = append(out, one)
	}
	return out
}

func (e *encoder) facts(facts *[MaxFacts]factState) {
	for i := range facts {
		s := &facts[i]
		e.flag(s.heard)
		e.u16(uint16(int16(s.value))) //nolint:gosec // the mapping has at most 64 values
		e.duration(s.boot)
		e.u8(uint8(s.strength))
		e.duration(s.lost)
		e.flag(s.wasOpen)
	}
}

func (d *decoder) facts(facts *[MaxFacts]factState) {
	for i := range facts {
		facts[i] = factState{
			heard: d.flag(), value: int(int16(d.u16())), boot: d.duration(), strength: msg.Strength(d.u8()), lost: d.duration(), wasOpen: d.flag(), //nolint:gosec // as written
		}
	}
}
