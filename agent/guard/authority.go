package guard

import (
	"fmt"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// This file holds what signed orders allow for a while: overrides of triggers, and sessions of remote control. Both end by
// themselves and with the process, and a boot begins without any.

// SessionLevel is what a session of remote control allows.
type SessionLevel uint8

// Levels of a session. The numbers are part of the journal's format.
const (
	// SessionNone is no session.
	SessionNone SessionLevel = iota
	// SessionView lets somebody look.
	SessionView
	// SessionControl lets somebody command the robot over the channel.
	SessionControl
)

// String names the level as orders write it.
func (l SessionLevel) String() string {
	switch l {
	case SessionView:
		return "view"
	case SessionControl:
		return "control"
	case SessionNone:
	}
	return "none"
}

// RemoteSession is one session of remote control.
type RemoteSession struct {
	// ID is that of the order that opened it, 0 where none is open.
	ID    uint64
	Level SessionLevel
	// Since and Until bound it, on CLOCK_BOOTTIME.
	Since, Until time.Duration
	// Who drives, in which role and from where, as the signer of the order says.
	Who, Role, From string
}

// AuthorityChange says what became of an override or a session. The numbers are part of the journal's format.
type AuthorityChange uint8

// Changes.
const (
	// AuthorityBegins means that it is in force from here on.
	AuthorityBegins AuthorityChange = iota + 1
	// AuthorityExpires means that its time was over.
	AuthorityExpires
	// AuthorityRevoked means that an order ended it.
	AuthorityRevoked
	// AuthorityStopped means that a stop ended it.
	AuthorityStopped
	// AuthorityPolicy means that a new policy does not allow it.
	AuthorityPolicy
)

// String names the change.
func (a AuthorityChange) String() string {
	if a < AuthorityBegins || a > AuthorityPolicy {
		return "unknown"
	}
	return [...]string{"", "begins", "ends: its time is over", "ends: revoked by order", "ends: by a stop", "ends: the new policy does not allow it"}[a]
}

// Authority is one change, for the journal.
type Authority struct {
	Change AuthorityChange
	// Session is true for a session of remote control, else it is an override.
	Session bool
	// Channel is the session's, Level what it allows.
	Channel int
	Level   SessionLevel
	// ID is that of the order behind it.
	ID uint64
}

// maxAuthority is the largest number of changes that one event can bring.
const maxAuthority = interlock.MaxOverrides + MaxChannels

// authority is the core's memory of all this.
type authority struct {
	overrides *interlock.Overrides
	// listed are the overrides that the journal knows as in force.
	listed   [interlock.MaxOverrides]uint64
	sessions [MaxChannels]RemoteSession
	// reloaded is true from a new policy's coming into force until the next event.
	reloaded bool
	// changes are those of the present event; they are no part of the state.
	changes [maxAuthority]Authority
	n       int
}

func (a *authority) note(c Authority) {
	if a.n < len(a.changes) {
		a.changes[a.n] = c
		a.n++
	}
}

// Authority is what the last event began and ended; it is valid until the next.
func (c *Core) Authority() []Authority { return c.authority.changes[:c.authority.n] }

// SessionOrder is the rest of an OrderSession. Level SessionNone ends the channel's session.
type SessionOrder struct {
	Channel         int
	Level           SessionLevel
	Who, Role, From string
}

// SessionOutcome says what became of an order about a session.
type SessionOutcome uint8

// Outcomes.
const (
	// SessionNotAsked means that the order was about something else.
	SessionNotAsked SessionOutcome = iota
	// SessionOpened means that the session is open.
	SessionOpened
	// SessionEnded means that it was open and is over.
	SessionEnded
	// SessionNotOpen means that there was none to end.
	SessionNotOpen
	// SessionBusy means that another is open for this channel, which has to end first.
	SessionBusy
	// SessionLocal means that the channel is not for remote control.
	SessionLocal
	// SessionOver means that it would have ended before it began.
	SessionOver
	// SessionStopped means that the robot is stopped.
	SessionStopped
)

// String says what the outcome means.
func (o SessionOutcome) String() string {
	if o > SessionStopped {
		return "unknown"
	}
	return [...]string{
		"not asked", "the session is open", "the session is over", "no session is open for this channel", "another session is open for this channel; end it first",
		"the channel is not one of remote control", "its time is over", "the robot is stopped; reset it first",
	}[o]
}

// takeSession opens or ends a session.
func (c *Core) takeSession(boot time.Duration, o *Order) SessionOutcome {
	q := &o.Session
	if q.Channel < 0 || q.Channel >= len(c.params.Channels) || !c.params.Channels[q.Channel].Kind.Remote() {
		return SessionLocal
	}
	s := &c.authority.sessions[q.Channel]
	if q.Level == SessionNone {
		if s.ID == 0 {
			return SessionNotOpen
		}
		c.endSession(q.Channel, AuthorityRevoked)
		return SessionEnded
	}
	switch {
	case s.ID != 0 && s.ID != o.ID && boot < s.Until:
		return SessionBusy
	case o.ID == 0 || o.Expires <= boot || q.Level > SessionControl:
		return SessionOver
	case c.decision.Axes.Motion == interlock.MotionStop:
		return SessionStopped
	}
	*s = RemoteSession{ID: o.ID, Level: q.Level, Since: boot, Until: o.Expires, Who: q.Who, Role: q.Role, From: q.From}
	c.authority.note(Authority{Change: AuthorityBegins, Session: true, Channel: q.Channel, Level: q.Level, ID: o.ID})
	return SessionOpened
}

func (c *Core) endSession(channel int, why AuthorityChange) {
	s := &c.authority.sessions[channel]
	if s.ID == 0 {
		return
	}
	c.authority.note(Authority{Change: why, Session: true, Channel: channel, Level: s.Level, ID: s.ID})
	*s = RemoteSession{}
}

// ageSessions ends the sessions whose time is over.
func (c *Core) ageSessions(boot time.Duration) {
	for i := range c.authority.sessions {
		if s := &c.authority.sessions[i]; s.ID != 0 && (boot >= s.Until || boot < s.Since) {
			c.endSession(i, AuthorityExpires)
		}
	}
}

// stopSessions ends them all after a stop: who resets it may be beside the robot, and not at the other end.
func (c *Core) stopSessions() {
	if c.decision.Axes.Motion != interlock.MotionStop {
		return
	}
	for i := range c.authority.sessions {
		c.endSession(i, AuthorityStopped)
	}
}

// controlled says whether somebody may command over the channel now.
func (c *Core) controlled(channel int) bool {
	return !c.params.Channels[channel].Session || c.authority.sessions[channel].Level == SessionControl
}

// closed are the channels over which nobody may command now, as the gate wants them.
func (c *Core) closed() uint64 {
	var out uint64
	for i := range c.params.Channels {
		if !c.controlled(i) {
			out |= 1 << i
		}
	}
	return out
}

// override asks for an override, or ends what is overridden.
func (c *Core) override(boot time.Duration, o *Order) interlock.OverrideResult {
	a := &c.authority
	if o.End {
		return interlock.OverrideResult{Applied: a.overrides.End(o.Triggers)}
	}
	req := interlock.OverrideRequest{ID: o.ID, Triggers: o.Triggers, Until: o.Expires, MaxSpeedMPS: o.MaxSpeedMPS}
	var persons [MaxPersons]interlock.Person
	for _, s := range o.Signers {
		if s.Person != 0 {
			persons[len(req.Persons)] = interlock.Person{ID: s.Person, Role: s.Role}
			req.Persons = persons[:len(req.Persons)+1]
		}
	}
	return a.overrides.Request(boot, req)
}

// overridden gives the machine what is suspended now, and notes what began and ended.
func (c *Core) overridden(boot time.Duration, in *interlock.Inputs, why AuthorityChange) {
	a := &c.authority
	in.Overridden, in.OverriddenMPS = a.overrides.Step(boot)
	if a.reloaded {
		why, a.reloaded = AuthorityPolicy, false
	}
	active := a.overrides.Active()
	for i := range active {
		if active[i].ID == a.listed[i] {
			continue
		}
		if a.listed[i] != 0 {
			a.note(Authority{Change: why, ID: a.listed[i]})
		}
		if a.listed[i] = active[i].ID; active[i].ID != 0 {
			a.note(Authority{Change: AuthorityBegins, ID: active[i].ID})
		}
	}
}

// whyEnded is why an override that is gone after this event is gone.
func whyEnded(ev *Event) AuthorityChange {
	if ev.Kind == EventOrder && ev.Order.Kind == OrderOverride && ev.Order.End {
		return AuthorityRevoked
	}
	return AuthorityExpires
}

// OverrideStatus is one override in force.
type OverrideStatus struct {
	// Order is the beginning of the order's id, as receipts and the journal have it.
	Order string `json:"order"`
	// Triggers are suspended.
	Triggers []string `json:"triggers"`
	// MaxSpeedMPS is the highest speed meanwhile.
	MaxSpeedMPS float64 `json:"max_speed_mps"`
	// LeftS is after how many seconds it ends.
	LeftS float64 `json:"left_s"`
	// Persons is how many different persons signed for it.
	Persons int `json:"persons"`
}

// SessionStatus is one session of remote control.
type SessionStatus struct {
	Channel string `json:"channel"`
	// Order is the beginning of the id of the order that opened it.
	Order string `json:"order"`
	Level string `json:"level"`
	Who   string `json:"who"`
	Role  string `json:"role"`
	From  string `json:"from"`
	// SinceS and LeftS are for how long it has been open and after how many seconds it ends.
	SinceS float64 `json:"since_s"`
	LeftS  float64 `json:"left_s"`
}

func (c *Core) authorityStatus() (overrides []OverrideStatus, sessions []SessionStatus) {
	for _, o := range c.authority.overrides.Active() {
		if o.ID == 0 {
			continue
		}
		s := OverrideStatus{Order: orderID(o.ID), MaxSpeedMPS: number(o.MaxSpeedMPS), LeftS: (o.Until - c.now.Boot).Seconds(), Persons: 1}
		if o.Second != 0 {
			s.Persons = 2
		}
		for t, ok := o.Triggers.Next(0); ok; t, ok = o.Triggers.Next(t + 1) {
			s.Triggers = append(s.Triggers, t.String())
		}
		overrides = append(overrides, s)
	}
	for i := range c.authority.sessions {
		if s := &c.authority.sessions[i]; s.ID != 0 {
			sessions = append(sessions, SessionStatus{
				Channel: c.params.Channels[i].Name, Order: orderID(s.ID), Level: s.Level.String(), Who: s.Who, Role: s.Role, From: s.From,
				SinceS: (c.now.Boot - s.Since).Seconds(), LeftS: (s.Until - c.now.Boot).Seconds(),
			})
		}
	}
	return overrides, sessions
}

// orderID is how people are told of an order.
func orderID(id uint64) string { return fmt.Sprintf("%016x", id) }

// AppendAuthority appends a change as the journal keeps it, see [RecordAuthority].
func AppendAuthority(b []byte, a *Authority) []byte {
	e := encoder{b}
	e.u8(uint8(a.Change))
	e.flag(a.Session)
	e.u16(uint16(a.Channel)) //nolint:gosec // at most MaxChannels
	e.u8(uint8(a.Level))
	e.u64(a.ID)
	return e.b
}

// DescribeAuthority puts a record by [AppendAuthority] into words.
func DescribeAuthority(b []byte) (string, error) {
	d := decoder{b: b}
	a := Authority{Change: AuthorityChange(d.u8()), Session: d.flag(), Channel: int(d.u16()), Level: SessionLevel(d.u8()), ID: d.u64()}
	if err := d.end(); err != nil {
		return "", fmt.Errorf("authority: %w", err)
	}
	if a.Session {
		return fmt.Sprintf("session of %s on channel %d by order %s %s", a.Level, a.Channel, orderID(a.ID), a.Change), nil
	}
	return fmt.Sprintf("override by order %s %s", orderID(a.ID), a.Change), nil
}

func (e *encoder) authority(a *authority) {
	for _, id := range a.listed {
		e.u64(id)
	}
	for i := range a.sessions {
		s := &a.sessions[i]
		e.u64(s.ID)
		e.u8(uint8(s.Level))
		e.duration(s.Since)
		e.duration(s.Until)
		e.text(s.Who)
		e.text(s.Role)
		e.text(s.From)
	}
}

func (d *decoder) authority(a *authority) {
	for i := range a.listed {
		a.listed[i] = d.u64()
	}
	for i := range a.sessions {
		a.sessions[i] = RemoteSession{
			ID: d.u64(), Level: SessionLevel(d.u8()), Since: d.duration(), Until: d.duration(), Who: d.text(), Role: d.text(), From: d.text(),
		}
	}
}
