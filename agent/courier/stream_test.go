package courier

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
)

// model is a journal in memory, a network that does what it likes, and a consumer that takes each record once, in order.
type model struct {
	journal []evidencelog.Position
	prev    []evidencelog.Digest // of each
	stream  *stream
	window  int // of the stream, in records
	next    int // of the journal, to be read
	cursor  *cursor
	saved   []map[string][]evidencelog.Position // what may be on the disk
	events  []([]int)                           // messages on the way, as indices of the journal
	acks    []evidencelog.Position
	taken   map[[16]byte][]int
	now     time.Duration
}

func newModel() *model {
	m := &model{window: 64, taken: map[[16]byte][]int{}, cursor: &cursor{Marks: map[string][]evidencelog.Position{}}}
	m.start()
	return m
}

// grow appends a record; its number may be one that an earlier boot has used.
func (m *model) grow(boot byte, seq uint64) {
	id := [16]byte{boot}
	prev := evidencelog.Origin(evidencelog.Guard, id)
	if n := len(m.journal); n > 0 && m.journal[n-1].BootID == id {
		prev = m.journal[n-1].Digest
	}
	m.prev = append(m.prev, prev)
	m.journal = append(m.journal, evidencelog.Position{BootID: id, Seq: seq, Digest: evidencelog.Next(prev, 4, seq, 0, []byte{boot})})
}

func (m *model) start() {
	m.stream = newStream(evidencelog.Guard, backoff{first: 10 * time.Second, most: time.Minute, random: half})
	m.stream.window, m.stream.lookahead = m.window, m.window
	if marks := m.cursor.Marks[evidencelog.Guard]; len(marks) > 0 {
		m.stream.at = marks[0]
	}
	m.seek()
}

// seek goes to the record behind the cursor, as following a journal does.
func (m *model) seek() {
	m.next = 0
	for _, mark := range m.cursor.Marks[evidencelog.Guard] {
		for i, p := range m.journal {
			if p == mark {
				m.next = i + 1
				return
			}
		}
	}
}

func (m *model) moved(to *evidencelog.Position, err error) error {
	if to != nil {
		m.cursor.move(evidencelog.Guard, *to)
		m.stream.at = *to
		list := append([]evidencelog.Position(nil), m.cursor.Marks[evidencelog.Guard]...)
		m.saved = append(m.saved, map[string][]evidencelog.Position{evidencelog.Guard: list})
	}
	return err
}

func (m *model) read() error {
	if m.next == len(m.journal) || !m.stream.wants() {
		return nil
	}
	raw, _ := json.Marshal(m.next)
	p := m.journal[m.next]
	m.next++
	err := m.moved(m.stream.add(m.now, &entry{record: raw, pos: p, kind: journal.Kind(guard.RecordOrder)}))
	if m.stream.astray {
		m.stream.rewind(m.now)
		m.seek()
	}
	return err
}

// patience is what the loop does when time has passed.
func (m *model) patience() {
	if m.stream.stuck(m.now); m.stream.astray || m.stream.stale(m.now) {
		m.stream.rewind(m.now)
		m.seek()
	}
}

func (m *model) send() {
	if some, _ := m.stream.ready(); !some {
		return
	}
	var list []int
	for _, raw := range m.stream.take(m.now).records {
		var i int
		_ = json.Unmarshal(raw, &i)
		list = append(list, i)
	}
	m.events = append(m.events, list)
}

// deliver lets the consumer have a message.
func (m *model) deliver(i int) {
	for _, r := range m.events[i] {
		boot := m.journal[r].BootID
		list := m.taken[boot]
		value := evidencelog.Origin(evidencelog.Guard, boot)
		if len(list) > 0 {
			value = m.journal[list[len(list)-1]].Digest
		}
		if m.prev[r] == value {
			m.taken[boot] = append(list, r)
		}
	}
}

func (m *model) acknowledge(boot [16]byte) {
	if list := m.taken[boot]; len(list) > 0 {
		m.acks = append(m.acks, m.journal[list[len(list)-1]])
	}
}

// safe: nothing is behind the cursor that the consumer does not have.
func (m *model) safe() error {
	marks := m.cursor.Marks[evidencelog.Guard]
	if len(marks) == 0 {
		return nil
	}
	for i, p := range m.journal {
		has := false
		for _, r := range m.taken[p.BootID] {
			has = has || r == i
		}
		if !has {
			return fmt.Errorf("the cursor is at %v, and the consumer has no record %d", marks[0].Seq, i)
		}
		if p == marks[0] {
			return nil
		}
	}
	return errors.New("the cursor is at a record that the journal does not hold")
}

func remove[T any](list *[]T, i int) { *list = append((*list)[:i], (*list)[i+1:]...) }

// TestEveryRecordReachesTheConsumer: whatever the order of messages and acknowledgements, drops, duplicates, reconnections
// and restarts with an old cursor, the consumer gets every record once, in order, and the cursor never goes past what it has.
func TestEveryRecordReachesTheConsumer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel()
		// Small, so that a restart with an old cursor leads back further than it reaches.
		m.window = rapid.IntRange(1, 20).Draw(rt, "window")
		m.start()
		boot, seq := byte(1), uint64(0)
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "which") }
		ops := []string{"grow", "boot", "read", "read", "send", "deliver", "double", "drop", "ack", "got", "gotagain", "lost", "rewind", "restart", "later", "work"}
		for range rapid.IntRange(10, 150).Draw(rt, "steps") {
			var err error
			switch rapid.SampledFrom(ops).Draw(rt, "op") {
			case "grow":
				for range pick(20) + 1 {
					seq += uint64(pick(3) + 1)
					m.grow(boot, seq)
				}
			case "boot":
				boot++
				seq = uint64(max(0, int(seq)-pick(5))) // numbers that were not durable come again
			case "read":
				for range pick(30) + 1 {
					err = errors.Join(err, m.read())
				}
			case "send":
				m.send()
			case "deliver", "double":
				if len(m.events) > 0 {
					i := pick(len(m.events))
					m.deliver(i)
				}
			case "drop":
				if len(m.events) > 0 {
					remove(&m.events, pick(len(m.events)))
				}
			case "ack":
				m.acknowledge([16]byte{byte(pick(int(boot)) + 1)})
			case "got", "gotagain":
				if len(m.acks) > 0 {
					err = m.moved(m.stream.ack(m.now, m.acks[pick(len(m.acks))]))
				}
			case "lost":
				if len(m.acks) > 0 {
					remove(&m.acks, pick(len(m.acks)))
				}
			case "rewind":
				m.stream.rewind(m.now)
				m.seek()
			case "restart":
				m.cursor.Marks = map[string][]evidencelog.Position{}
				if n := pick(len(m.saved) + 1); n > 0 { // 0: the file is gone
					m.cursor.Marks = m.saved[n-1]
				}
				m.start()
			case "work": // a while in which nothing goes wrong
				for range pick(10) {
					err = errors.Join(err, m.round())
				}
			case "later":
				m.now += time.Minute
				m.patience()
			}
			if err == nil {
				err = m.safe()
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		m.settle(rt)
	})
}

// round lets everything that is on its way arrive.
func (m *model) round() (err error) {
	for range aheadRecords {
		err = errors.Join(err, m.read())
	}
	m.send()
	for i := range m.events {
		m.deliver(i)
	}
	m.events = nil
	for boot := byte(1); boot != 0; boot++ {
		m.acknowledge([16]byte{boot})
	}
	for _, a := range m.acks {
		err = errors.Join(err, m.moved(m.stream.ack(m.now, a)))
	}
	m.acks = nil
	return err
}

// settle lets an honest network do its work and checks the result.
func (m *model) settle(rt *rapid.T) {
	m.acks, m.events = nil, nil
	for range 4 {
		for range 20 + 8*len(m.journal)/m.window {
			if err := m.round(); err != nil {
				rt.Fatal(err)
			}
		}
		m.now += time.Hour
		m.patience()
	}
	count := 0
	for boot, list := range m.taken {
		for i, r := range list {
			if i > 0 && list[i-1] >= r || m.journal[r].BootID != boot {
				rt.Fatalf("boot %x: records %v", boot[0], list)
			}
		}
		count += len(list)
	}
	if count != len(m.journal) {
		rt.Fatalf("the consumer has %d of %d records", count, len(m.journal))
	}
	if len(m.stream.items) != 0 {
		rt.Fatalf("%d records wait for an acknowledgement that came", len(m.stream.items))
	}
}

// TestModelWithoutRepetitionFails is the off case: the model notices when nothing is sent again.
func TestModelWithoutRepetitionFails(t *testing.T) {
	m := newModel()
	for i := range 10 {
		m.grow(1, uint64(i+1))
	}
	for range 10 {
		if err := m.read(); err != nil {
			t.Fatal(err)
		}
	}
	m.send()
	m.events = nil
	if len(m.taken) != 0 || len(m.stream.items) != 10 || !m.stream.stale(time.Hour) {
		t.Error("a lost message went unnoticed")
	}
}

func filled(n int) (*stream, []evidencelog.Position) {
	m := newModel()
	for i := range n {
		m.grow(1, uint64(i+1))
	}
	for range n {
		_ = m.read()
	}
	return m.stream, m.journal
}

func TestAcknowledgementOfAnotherRecord(t *testing.T) {
	s, list := filled(5)
	s.take(0)
	wrong := list[2]
	wrong.Digest[0] ^= 1
	if to, err := s.ack(0, wrong); to != nil || !errors.Is(err, errFork) {
		t.Errorf("%v, %v", to, err)
	}
	if len(s.items) != 5 {
		t.Error("it moved the cursor")
	}
	if to, err := s.ack(0, list[2]); err != nil || to == nil || *to != list[2] || len(s.items) != 2 {
		t.Errorf("%v, %v", to, err)
	}
	if to, err := s.ack(0, list[1]); to != nil || err != nil {
		t.Errorf("an old one: %v, %v", to, err)
	}
}

func TestStreamBoundsWhatIsOut(t *testing.T) {
	s := newStream(evidencelog.Guard, backoff{first: time.Second, most: time.Second, random: half})
	big := make(json.RawMessage, 100<<10)
	for i := range 1000 {
		for s.wants() {
			_, _ = s.add(0, &entry{record: big, pos: evidencelog.Position{Seq: uint64(i + 1)}, kind: 4})
		}
		if some, _ := s.ready(); !some {
			break
		}
		if b := s.take(0); len(b.records) != 1 {
			t.Fatalf("%d large records in one message", len(b.records))
		}
	}
	if s.bytes > openBytes+len(big) || s.ahead > aheadBytes+len(big) {
		t.Errorf("%d bytes out, %d ahead", s.bytes, s.ahead)
	}
	for i := range s.items[:s.sent] {
		if s.items[i].record != nil {
			t.Fatal("a record is kept in memory after it was sent")
		}
	}
}

// TestCursorFurtherBackThanTheWindow lets a courier begin anew behind records of which the consumer has many more than fit
// into the window: only the acknowledgement of a record that it has not read yet leads out of there.
func TestCursorFurtherBackThanTheWindow(t *testing.T) {
	for name, follows := range map[string]bool{"the cursor is lost": true, "off: no promise is followed": false} {
		t.Run(name, func(t *testing.T) {
			m := newModel()
			m.window = 8
			m.start()
			for i := range 200 {
				m.grow(1, uint64(2*i+1))
			}
			for range 100 {
				if err := m.round(); err != nil {
					t.Fatal(err)
				}
			}
			for i := 200; i < 250; i++ {
				m.grow(1, uint64(2*i+1))
			}
			m.cursor.Marks = map[string][]evidencelog.Position{}
			m.start()
			if !follows {
				m.stream.patience = 1 << 62
			}
			for range 200 {
				if err := m.round(); err != nil {
					t.Fatal(err)
				}
				m.now += 100 * time.Millisecond
				m.patience()
			}
			if done := len(m.taken[[16]byte{1}]) == 250 && len(m.cursor.Marks[evidencelog.Guard]) == 1; done != follows {
				t.Errorf("%d of 250 records at the consumer, cursor %v", len(m.taken[[16]byte{1}]), m.cursor.Marks[evidencelog.Guard])
			}
		})
	}
}

// TestPromisesThatComeToNothing acknowledges, signed and all, what the journal does not hold: everything is sent again.
func TestPromisesThatComeToNothing(t *testing.T) {
	for name, change := range map[string]func(p *evidencelog.Position){
		"a record to come":     func(p *evidencelog.Position) { p.Seq = 1 << 50 },
		"another record":       func(p *evidencelog.Position) { p.Digest[0] ^= 1 },
		"a number in between":  func(p *evidencelog.Position) { p.Seq++ },
		"off: the very record": func(*evidencelog.Position) {},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModel()
			m.window = 8
			m.start()
			for i := range 100 {
				m.grow(1, uint64(2*i+1))
			}
			for range 20 {
				_ = m.read()
			}
			m.send()
			p := m.journal[60]
			change(&p)
			_, faults := m.stream.ack(m.now, p)
			if !m.stream.following {
				t.Fatal("it is not followed")
			}
			for range 100 {
				faults = errors.Join(faults, m.read())
			}
			m.now += 2 * readWait
			m.patience()
			if p == m.journal[60] {
				if marks := m.cursor.Marks[evidencelog.Guard]; len(marks) != 1 || marks[0] != p || faults != nil {
					t.Errorf("cursor %v, %v", marks, faults)
				}
				return
			}
			if marks := m.cursor.Marks[evidencelog.Guard]; len(marks) != 0 {
				t.Fatalf("the cursor moved to %v", marks)
			}
			if contradicted := p.Seq < 1<<50; contradicted != errors.Is(faults, errFork) {
				t.Errorf("faults %v", faults)
			}
			// The same again, and another one at once, hold nothing up.
			later := p
			later.Seq++
			for _, again := range []evidencelog.Position{p, later} {
				_ = m.read()
				if _, err := m.stream.ack(m.now, again); err != nil || m.stream.following {
					t.Errorf("followed again: %v", err)
				}
			}
			m.events = nil
			for range 100 {
				_ = m.round()
			}
			if n := len(m.taken[[16]byte{1}]); n != 100 {
				t.Errorf("%d of 100 records at the consumer", n)
			}
		})
	}
}

// TestConsumerHasMoreThanTheJournal: a power cut took the end of a boot that was sent already. The next boot goes on.
func TestConsumerHasMoreThanTheJournal(t *testing.T) {
	m := newModel()
	m.window = 8
	m.start()
	for i := range 100 {
		m.grow(1, uint64(i+1))
	}
	for range 60 {
		_ = m.round()
	}
	m.journal, m.prev = m.journal[:90], m.prev[:90]
	last := m.journal[89]
	for i := range 20 {
		m.grow(2, uint64(i+1))
	}
	m.cursor.Marks = map[string][]evidencelog.Position{}
	m.start()
	beyond := evidencelog.Position{BootID: [16]byte{1}, Seq: 100}
	for range 4 {
		_ = m.read()
	}
	if _, err := m.stream.ack(m.now, beyond); err != nil {
		t.Fatal(err)
	}
	m.taken = map[[16]byte][]int{}
	for range 100 {
		_ = m.round()
	}
	marks := m.cursor.Marks[evidencelog.Guard]
	if len(marks) != 2 || marks[1] != last || marks[0].Seq != 20 || len(m.taken[[16]byte{2}]) != 20 {
		t.Errorf("cursor %v, %d records of the next boot", marks, len(m.taken[[16]byte{2}]))
	}
}
