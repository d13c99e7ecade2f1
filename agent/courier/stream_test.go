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
	next    int // of the journal, to be read
	cursor  *cursor
	saved   []map[string][]evidencelog.Position // what may be on the disk
	events  []([]int)                           // messages on the way, as indices of the journal
	acks    []evidencelog.Position
	taken   map[[16]byte][]int
	now     time.Duration
}

func newModel() *model {
	m := &model{taken: map[[16]byte][]int{}, cursor: &cursor{Marks: map[string][]evidencelog.Position{}}}
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
	return m.moved(m.stream.add(&entry{record: raw, pos: p, kind: journal.Kind(guard.RecordOrder)}))
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
		boot, seq := byte(1), uint64(0)
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "which") }
		ops := []string{"grow", "boot", "read", "read", "send", "deliver", "double", "drop", "ack", "got", "gotagain", "lost", "rewind", "restart", "later"}
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
				if len(m.saved) > 0 {
					m.cursor.Marks = m.saved[pick(len(m.saved))]
				}
				m.start()
			case "later":
				m.now += time.Minute
				if m.stream.stale(m.now) {
					m.stream.rewind(m.now)
					m.seek()
				}
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

// settle lets an honest network do its work and checks the result.
func (m *model) settle(rt *rapid.T) {
	m.acks, m.events = nil, nil
	for range 4 {
		for range 20 + len(m.journal)/8 {
			for range aheadRecords {
				if err := m.read(); err != nil {
					rt.Fatal(err)
				}
			}
			m.send()
			for i := range m.events {
				m.deliver(i)
			}
			m.events = nil
			for boot := range m.taken {
				m.acknowledge(boot)
			}
			for _, a := range m.acks {
				if err := m.moved(m.stream.ack(m.now, a)); err != nil {
					rt.Fatal(err)
				}
			}
			m.acks = nil
		}
		m.now += time.Hour
		if m.stream.stale(m.now) {
			m.stream.rewind(m.now)
			m.seek()
		}
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
			_, _ = s.add(&entry{record: big, pos: evidencelog.Position{Seq: uint64(i + 1)}, kind: 4})
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
