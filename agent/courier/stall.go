package courier

import (
	"errors"
	"time"

	"github.com/robowarden/robowarden/agent/evidencelog"
)

// stall is a stream's dealing with a consumer that acknowledges, but nothing new. It does so when it comes back, since what
// was published meanwhile is lost: then there is nothing to wait for. And it does so when something is missing, or when its
// store was set back: then sending again may help or may not, and somebody has to hear of it.
type stall struct {
	heard bool                 // any acknowledgement of the log has come
	told  evidencelog.Position // the last one that moved nothing, since the last that did
	// askedAt is when the first of those came since what is out was sent, and askedFor how long something may still move.
	askedAt, askedFor time.Duration
	asks              backoff
	vain              uint64 // how often the log was sent again since something moved
}

const (
	// askedFraction is how much sooner than without a word a log is sent again whose consumer says where it is.
	askedFraction = 5
	// askedQuiet is how long nothing may have moved then.
	askedQuiet = time.Second
)

// repeats takes an acknowledgement of what is acknowledged already: what was sent since may not have arrived. That it is an
// old one which comes late, or again, cannot be told, so that it hurries little and ever less.
func (s *stream) repeats(now time.Duration, p evidencelog.Position) bool {
	if s.sent == 0 || s.following {
		return false
	}
	if head := s.items[0].pos; p != s.at && (p.BootID != head.BootID || p.Seq >= head.Seq) {
		return false
	}
	s.told = p
	if s.askedAt == 0 {
		s.askedAt, s.askedFor = now, s.asks.wait()
	}
	return true
}

// asked says whether the consumer is to be sent again what it says that it has not.
func (s *stream) asked(now time.Duration) bool {
	return s.askedAt > 0 && now-s.askedAt >= s.askedFor && now-s.active >= askedQuiet
}

// moves notes that the consumer has more than before.
func (s *stream) moves() {
	s.told, s.askedAt, s.vain = evidencelog.Position{}, 0, 0
	s.asks.reset()
}

// Why a log is sent again. None has numbers in it, so that each is noted once.
var (
	errGuardAway  = errors.New("the guard is away, and nobody else verifies acknowledgements: start it")
	errUnheard    = errors.New("no acknowledgement of this log has come since the courier started: look whether a consumer runs, whether the broker lets it hear the robot and publish, and whether it still has its store")
	errSetBack    = errors.New("the consumer acknowledges less than it did before, so its store was lost or set back: restore it, or stop the courier and remove its cursor.json, and everything that the journal holds is sent again")
	errNotTaken   = errors.New("the consumer says where it is, and does not take what comes next: read its alarms")
	errNotArrived = errors.New("the consumer acknowledges nothing: look whether it runs, whether the broker keeps up, and whether it still has its store")
)

// why says what is known about why nothing moves.
func (s *stream) why() error {
	switch {
	case !s.heard:
		return errUnheard
	case s.told == (evidencelog.Position{}):
		return errNotArrived
	case s.told != s.at && s.told.BootID == s.at.BootID && s.told.Seq < s.at.Seq:
		return errSetBack
	}
	return errNotTaken
}

// again notes that the log is sent again, and says why in the log, and in the journal from the second time on.
func (l *loop) again(s *reading) {
	l.resends++
	s.vain++
	why := s.why()
	switch {
	case l.welcome == nil:
		why = errGuardAway
	case l.ackFault != "":
		why = errors.New("the guard accepts no acknowledgement of the consumer, and says: " + l.ackFault)
	}
	first := s.items[0].pos
	l.log.Warn().Err(why).Str("log", s.log).Str("boot", evidencelog.FormatBoot(first.BootID)).Uint64("first", first.Seq).
		Int("records", s.sent).Uint64("acknowledged", s.at.Seq).Uint64("consumer_at", s.told.Seq).Uint64("repetitions", s.vain).
		Msg("the consumer acknowledged nothing new; sending again")
	if text := why.Error(); s.vain > 1 && text != s.stalled {
		s.stalled = text
		l.note(KindFault, Fault{"reporting of " + s.log, text})
	}
}
