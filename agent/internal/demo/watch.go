package demo

import (
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/console"
)

// watchEvery is how often the guard's own view is looked at, for telling and for the page.
const watchEvery = 100 * time.Millisecond

// said is what was told of the guard last.
type said struct {
	mode     string
	triggers []string
}

// chapter begins a part of the story.
func (s *stage) chapter(title string) {
	if s.tell != nil {
		s.tell.chapter(title)
	}
	s.note("info", title)
}

// say tells what happens in the world.
func (s *stage) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if s.tell != nil {
		s.tell.line(s.clock(), "", "", text)
	}
	s.note("info", text)
}

// guardSays tells what the guard does.
func (s *stage) guardSays(style, level, text string) {
	if s.tell != nil {
		s.tell.line(s.clock(), style, "guard", text)
	}
	s.note(level, text)
}

// clock is the site's civil time.
func (s *stage) clock() time.Time { return s.world.Civil().In(s.opts.Timezone) }

// note keeps a line for the page.
func (s *stage) note(level, text string) {
	s.events = append(s.events, console.Event{Time: s.clock(), Level: level, Text: text})
	if extra := len(s.events) - 2*console.MaxEvents; extra > 0 {
		s.events = slices.Clone(s.events[extra:])
	}
}

// watch looks at the guard's view: changes are told, and the page gets it.
func (s *stage) watch() {
	if s.tell == nil && s.opts.Board == nil || s.world.Now()-s.shown < watchEvery {
		return
	}
	s.shown = s.world.Now()
	snap := s.trial.Guard.Snapshot()
	if snap == nil {
		return
	}
	s.tellChanges(snap)
	if s.opts.Board != nil {
		s.publish(snap)
	}
}

// tellChanges tells triggers that came or went, and a new mode.
func (s *stage) tellChanges(snap *console.Snapshot) {
	var now []string
	for _, t := range snap.Triggers {
		now = append(now, t.Code)
		if !slices.Contains(s.said.triggers, t.Code) {
			text := t.Title
			if t.Text != "" {
				text += ": " + t.Text
			}
			s.guardSays(styleWarn, "warn", text)
		}
	}
	s.said.triggers = now
	if mode := plainMode(snap.Mode); mode != s.said.mode {
		s.said.mode = mode
		s.guardSays(styleGuard, "info", "mode: "+mode)
	}
}

// plainMode is the mode as the story tells it: a place with a speed limit is nothing to speak of.
func plainMode(mode string) string {
	if mode == "limited" {
		return "normal"
	}
	return mode
}

// publish hands a copy with the path, the events and the way so far to the page.
func (s *stage) publish(snap *console.Snapshot) {
	c := *snap
	if c.Floor != s.floor {
		s.floor, s.path = c.Floor, nil
	}
	if p := c.Pose; p != nil {
		at := console.Point{p.X, p.Y}
		if n := len(s.path); n == 0 || moved(s.path[n-1], at) {
			s.path = append(s.path, at)
		}
		if extra := len(s.path) - console.MaxPath; extra > 0 {
			s.path = slices.Clone(s.path[extra:])
		}
	}
	c.Path, c.Events = slices.Clone(s.path), slices.Clone(s.events)
	s.opts.Board.Publish(&c)
}

func moved(a, b console.Point) bool {
	dx, dy := float64(b[0]-a[0]), float64(b[1]-a[1])
	return dx*dx+dy*dy > 0.1*0.1
}
