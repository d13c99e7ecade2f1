package courier

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// reading is a stream and who reads its journal.
type reading struct {
	*stream
	dir     string
	entries chan entry
	stop    context.CancelFunc
	again   time.Duration // when to start reading again after it has ended, 0 while it runs
	fault   string        // the last one that was noted
	stalled string        // why nothing moved, as it was noted last
}

// entriesOf is the channel of a stream that wants more; nil, which is never ready, for any other.
func (l *loop) entriesOf(i int) <-chan entry {
	if s := l.streams[i]; s != nil && s.wants() {
		return s.entries
	}
	return nil
}

// read starts to read a journal behind the cursor.
func (l *loop) read(ctx context.Context, s *reading) {
	if s == nil {
		return
	}
	ctx, s.stop = context.WithCancel(ctx)
	entries := make(chan entry, 16)
	s.entries, s.again = entries, 0
	from := slices.Clone(l.c.cursor.Marks[s.log])
	log, dir := s.log, s.dir
	l.group.Go(func() { follow(ctx, log, dir, from, entries) })
}

// rewind forgets what is not acknowledged and reads it again.
func (l *loop) rewind(ctx context.Context, s *reading) {
	if s.stop != nil {
		s.stop()
	}
	s.stop, s.entries = nil, nil
	s.stream.rewind(l.clock.Boot())
	l.read(ctx, s)
}

// onEntry takes what was read from a journal.
func (l *loop) onEntry(ctx context.Context, s *reading, e entry) {
	switch {
	case e.ended != nil:
		if ctx.Err() != nil {
			return
		}
		l.fault(s, fmt.Errorf("journal of %s: %w", s.log, e.ended))
		s.stop()
		s.stop, s.entries = nil, nil
		s.stream.rewind(l.clock.Boot())
		s.again = l.clock.Boot() + 5*time.Second
	case e.damage != nil:
		l.fault(s, e.damage)
	case e.loss != nil:
		l.lose(s, e.loss)
	default:
		to, err := s.add(l.clock.Boot(), &e)
		l.moved(s, to, err)
		if s.astray {
			l.rewind(ctx, s)
			return
		}
		l.watch(s.log, &e)
	}
}

// fault notes what is wrong with a journal, once.
func (l *loop) fault(s *reading, err error) {
	if text := err.Error(); text != s.fault {
		s.fault = text
		l.note(KindFault, Fault{s.log, text})
		l.log.Error().Err(err).Str("log", s.log).Msg("a journal cannot be read")
	}
}
