package order

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Override suspends for a while what named triggers demand.
type Override struct {
	// Triggers names them, at most [MaxTriggers]. Whether they can be overridden, the robot's policy says.
	Triggers []string
	// End ends every override of one of the triggers instead; then nothing else is set. It only tightens.
	End bool
	// MaxSpeedMPS is the highest speed meanwhile, in metres per second, above 0 and at most [MaxSpeedMPS].
	MaxSpeedMPS float64
	// Expires is when the override ends by itself, in UTC, whole seconds, after NotBefore.
	Expires time.Time
}

// Level says what a session of remote control allows.
type Level string

// The levels.
const (
	// LevelView lets somebody look.
	LevelView Level = "view"
	// LevelControl lets somebody command the robot.
	LevelControl Level = "control"
	// LevelEnd ends the channel's session. It only tightens.
	LevelEnd Level = "end"
)

// Session opens a session of remote control over one channel, or ends it.
type Session struct {
	// Channel is the channel's name in the topic mapping.
	Channel string
	// Level is what the session allows.
	Level Level
	// Who drives, in which role and from where: texts on one line, 1 to 64 bytes each. A session's end has none of them.
	Who, Role, From string
	// Expires is when the session ends by itself, in UTC, whole seconds, after NotBefore; an end has none.
	Expires time.Time
}

// Tightens says whether the order can only tighten, though its kind may loosen.
func (o *Order) Tightens() bool {
	return o.Override != nil && o.Override.End || o.Session != nil && o.Session.Level == LevelEnd
}

func (r *Override) check(o *Order) error {
	if err := (&Reset{Triggers: r.Triggers}).check(); err != nil {
		return err
	}
	if r.End {
		if r.MaxSpeedMPS != 0 || !r.Expires.IsZero() {
			return errors.New("body.end: goes without max_speed_mps and expires")
		}
		return nil
	}
	if !(r.MaxSpeedMPS > 0 && r.MaxSpeedMPS <= MaxSpeedMPS) {
		return fmt.Errorf("body.max_speed_mps: found %v: expected above 0 and at most %v", r.MaxSpeedMPS, MaxSpeedMPS)
	}
	return checkExpires(o, r.Expires)
}

func checkExpires(o *Order, expires time.Time) error {
	if err := checkMoment("body.expires", expires); err != nil {
		return err
	}
	if span := expires.Sub(o.NotBefore); span <= 0 || span > day {
		return fmt.Errorf("body.expires: is %s after not_before: expected more than 0 and at most %s", span, day)
	}
	return nil
}

func (s *Session) check(o *Order) error {
	if !isWord(s.Channel, "._-") {
		return fmt.Errorf("body.channel: found %q: expected a channel of the topic mapping", clip(s.Channel))
	}
	texts := []struct{ name, text string }{{"who", s.Who}, {"role", s.Role}, {"from", s.From}}
	if s.Level == LevelEnd {
		if s.Who+s.Role+s.From != "" || !s.Expires.IsZero() {
			return errors.New("body.level: an end goes without who, role, from and expires")
		}
		return nil
	}
	if !slices.Contains([]Level{LevelView, LevelControl}, s.Level) {
		return fmt.Errorf("body.level: found %q: expected %q, %q or %q", clip(string(s.Level)), LevelView, LevelControl, LevelEnd)
	}
	for _, t := range texts {
		if len(t.text) > maxName {
			return fmt.Errorf("body.%s: has %d bytes: expected at most %d", t.name, len(t.text), maxName)
		}
		if err := checkReason(t.text); err != nil {
			return fmt.Errorf("body.%s: %w", t.name, err)
		}
	}
	return checkExpires(o, s.Expires)
}

func (r *Override) effect() string {
	names := strings.Join(r.Triggers, ", ")
	if r.End {
		return "ends every override of " + names
	}
	return fmt.Sprintf("SUSPENDS what the triggers %s demand, at up to %v m/s, until %s", names, r.MaxSpeedMPS, stamp(r.Expires))
}

func (s *Session) effect() string {
	switch s.Level {
	case LevelEnd:
		return "ends the session of remote control on channel " + s.Channel
	case LevelControl:
		return fmt.Sprintf("lets %s (%s) DRIVE the robot from %s over channel %s until %s", s.Who, s.Role, s.From, s.Channel, stamp(s.Expires))
	case LevelView:
	}
	return fmt.Sprintf("lets %s (%s) look from %s over channel %s until %s", s.Who, s.Role, s.From, s.Channel, stamp(s.Expires))
}

type wireOverride struct {
	Triggers    []string `json:"triggers"`
	End         bool     `json:"end,omitempty"`
	MaxSpeedMPS float64  `json:"max_speed_mps,omitempty"`
	Expires     string   `json:"expires,omitempty"`
}

type wireSession struct {
	Channel string `json:"channel"`
	Level   Level  `json:"level"`
	Who     string `json:"who,omitempty"`
	Role    string `json:"role,omitempty"`
	From    string `json:"from,omitempty"`
	Expires string `json:"expires,omitempty"`
}

func (r *Override) wire() wireOverride {
	w := wireOverride{Triggers: r.Triggers, End: r.End, MaxSpeedMPS: r.MaxSpeedMPS}
	if !r.Expires.IsZero() {
		w.Expires = stamp(r.Expires)
	}
	return w
}

func (s *Session) wire() wireSession {
	w := wireSession{Channel: s.Channel, Level: s.Level, Who: s.Who, Role: s.Role, From: s.From}
	if !s.Expires.IsZero() {
		w.Expires = stamp(s.Expires)
	}
	return w
}

func decodeOverride(b *object) *Override {
	r := &Override{Triggers: b.strs("triggers", MaxTriggers), End: b.optTrue("end")}
	if b.optional("max_speed_mps") != nil {
		r.MaxSpeedMPS = b.float("max_speed_mps")
	}
	if b.optional("expires") != nil {
		r.Expires = b.moment("expires")
	}
	return r
}

func decodeSession(b *object) *Session {
	s := &Session{
		Channel: b.str("channel"), Level: Level(b.str("level")), Who: b.optStr("who"), Role: b.optStr("role"), From: b.optStr("from"),
	}
	if b.optional("expires") != nil {
		s.Expires = b.moment("expires")
	}
	return s
}
