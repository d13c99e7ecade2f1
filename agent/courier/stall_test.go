package courier

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
)

// stalled is a model whose consumer has the first 10 of 20 records and was away for an hour, while the others were sent again
// and again.
func stalled(t *testing.T) *model {
	t.Helper()
	m := newModel()
	m.stream = newStream(evidencelog.Guard, backoff{first: 15 * time.Second, most: 10 * time.Minute, random: half})
	for i := range 10 {
		m.grow(1, uint64(2*i+1))
	}
	if err := errors.Join(m.round(), m.round()); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		m.grow(1, uint64(2*i+21))
	}
	for end := m.now + time.Hour; m.now < end; m.now += 100 * time.Millisecond {
		m.silent(t)
	}
	if n := len(m.taken[[16]byte{1}]); n != 10 {
		t.Fatalf("%d records at the consumer, expected 10", n)
	}
	return m
}

// silent is a while of a tenth of a second in which whatever is sent is lost.
func (m *model) silent(t *testing.T) {
	t.Helper()
	for range aheadRecords {
		if err := m.read(); err != nil {
			t.Fatal(err)
		}
	}
	m.send()
	m.events = nil
	m.patience()
}

// TestConsumerComesBack: a consumer that was away says where it is. It gets what it has not within seconds, not when the
// pause that grew while it was away has passed, and one that stays deaf is not flooded.
func TestConsumerComesBack(t *testing.T) {
	const soon = 5 * time.Second
	for name, c := range map[string]struct {
		says func(m *model) evidencelog.Position
		gets bool
	}{
		"it says where it is":         {func(m *model) evidencelog.Position { return m.journal[9] }, true},
		"an older word comes late":    {func(m *model) evidencelog.Position { return m.journal[4] }, true},
		"off: of another boot":        {func(*model) evidencelog.Position { return evidencelog.Position{BootID: [16]byte{9}, Seq: 19} }, false},
		"off: it says nothing at all": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := stalled(t)
			if c.says != nil {
				if _, err := m.stream.ack(m.now, c.says(m)); err != nil {
					t.Fatal(err)
				}
			}
			for end := m.now + soon; m.now < end; m.now += 100 * time.Millisecond {
				m.patience()
				if err := m.read(); err != nil {
					t.Fatal(err)
				}
				m.send()
				for i := range m.events {
					m.deliver(i)
				}
				m.events = nil
			}
			if n := len(m.taken[[16]byte{1}]); n != 20 == c.gets {
				t.Errorf("%d of 20 records at the consumer after %v", n, soon)
			}
		})
	}
}

// TestConsumerThatOnlyAsks lets somebody say again and again what is acknowledged already: that makes a log be sent again
// less and less often.
func TestConsumerThatOnlyAsks(t *testing.T) {
	m := stalled(t)
	before := m.stream.again
	for end := m.now + time.Hour; m.now < end; m.now += 100 * time.Millisecond {
		if _, err := m.stream.ack(m.now, m.journal[9]); err != nil {
			t.Fatal(err)
		}
		m.silent(t)
	}
	if n := (m.stream.again - before) / 10; n < 6 || n > 30 {
		t.Errorf("sent again %d times in an hour", n)
	}
}

// TestConsumerWithAnotherBoot: the cursor is in an earlier boot, and the consumer has nothing of this one.
func TestConsumerWithAnotherBoot(t *testing.T) {
	m := newModel()
	m.now = time.Hour
	for i := range 5 {
		m.grow(1, uint64(i+1))
	}
	if err := errors.Join(m.round(), m.round()); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		m.grow(2, uint64(i+1))
	}
	m.silent(t)
	if _, err := m.stream.ack(m.now, m.journal[4]); err != nil || len(m.stream.future) != 0 {
		t.Errorf("%v, %v is awaited", err, m.stream.future)
	}
	if m.now += 20 * time.Second; !m.stream.asked(m.now) {
		t.Error("nothing is sent again")
	}
}

// TestWhyNothingMoves: a log that is sent again says what is known about why, and notes it from the second time on, once.
func TestWhyNothingMoves(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(l *loop, m *model)
		says    error
	}{
		{"the guard is away", func(l *loop, _ *model) { l.welcome = nil }, errGuardAway},
		{"the guard refuses", func(l *loop, _ *model) { l.ackFault = "unknown-key" }, errors.New("unknown-key")},
		{"never heard", func(_ *loop, m *model) { m.stream.heard = false }, errUnheard},
		{"away", func(*loop, *model) {}, errNotArrived},
		{"does not take it", func(_ *loop, m *model) { _, _ = m.stream.ack(m.now, m.journal[9]) }, errNotTaken},
		{"set back", func(_ *loop, m *model) { _, _ = m.stream.ack(m.now, m.journal[3]) }, errSetBack},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := stalled(t)
			w := newWorld(t)
			co, err := New(w.options)
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			l := newLoop(co)
			l.log, l.welcome = zerolog.New(&text), &w.guard.welcome
			c.prepare(l, m)
			s := &reading{stream: m.stream}
			for range 3 {
				l.again(s)
			}
			ctx := t.Context()
			go func() { _ = co.journal.Run(ctx) }()
			if err := co.journal.Close(ctx); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(text.String(), c.says.Error()); n != 3 {
				t.Errorf("said %d times in\n%s", n, &text)
			}
			if n := w.count("reporting of guard"); n != 1 {
				t.Errorf("noted %d times, expected once", n)
			}
		})
	}
}

// TestSafetyBehindWhatIsNone: a robot that is not attested reports what matters for safety, and what lies before it, however
// much that is. As long as nothing of the kind may lie behind, it reports nothing else.
func TestSafetyBehindWhatIsNone(t *testing.T) {
	for _, log := range []string{evidencelog.Guard, evidencelog.Courier, evidencelog.Steward} {
		idle := map[string]journal.Kind{evidencelog.Guard: journal.Kind(recordCheckpoint), evidencelog.Courier: KindLink, evidencelog.Steward: 16}[log]
		urgent := map[string]journal.Kind{evidencelog.Guard: journal.Kind(guard.RecordDecision), evidencelog.Courier: KindCheckpoint}[log]
		s := newStream(log, backoff{first: time.Second, most: time.Second, random: half})
		l := &loop{}
		l.streams[1] = &reading{stream: s}
		kinds := append(slices.Repeat([]journal.Kind{idle}, 2*aheadRecords), urgent, idle)
		for seq, sent := 0, 0; seq < len(kinds) || sent == 0; {
			for seq < len(kinds) && s.wants() {
				seq++
				_, _ = s.add(0, &entry{record: []byte("{}"), pos: evidencelog.Position{BootID: [16]byte{1}, Seq: uint64(seq)}, kind: kinds[seq-1]})
				if seq < aheadRecords && l.pick(true, false) != nil {
					t.Fatalf("log %s: record %d is reported before anything that matters", log, seq)
				}
			}
			sent = 1
			for l.pick(true, false) != nil {
				s.take(0)
				sent = 0
			}
			if sent == 1 && seq < len(kinds) {
				break
			}
		}
		if done := s.sent == len(kinds); done != (log != evidencelog.Steward) {
			t.Errorf("log %s: %d of %d records are reported", log, s.sent, len(kinds))
		}
	}
}
