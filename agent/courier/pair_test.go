package courier

import (
	"crypto"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/fleet"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/attest/order"
)

// pair is a stream of the courier and the real consumer, with a clock that the test moves and no network.
type pair struct {
	t        testing.TB
	o        fleet.Options
	consumer *fleet.Consumer
	stream   *stream
	writer   writer
	log      []entry // the journal
	next     int
	now      time.Duration
	away     bool // the consumer: what is sent to it is lost
}

const pairLog = evidencelog.Courier

func newPair(t testing.TB, records int) *pair {
	t.Helper()
	key, err := order.GenerateKey(order.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t, o: fleet.DefaultOptions(), writer: writer{clock: testClock{}, robot: testRobot, ids: map[string]uint32{}}, now: time.Hour}
	p.o.Prefix, p.o.Dir, p.o.Key = "site", t.TempDir(), key
	p.o.Devices = map[string]crypto.PublicKey{testRobot: key.Public()}
	p.o.OnAlarm = func(a fleet.Alarm) { t.Errorf("alarm %v", a) }
	p.stream = newStream(pairLog, backoff{first: 15 * time.Second, most: 10 * time.Minute, random: half})
	p.start()
	t.Cleanup(func() { _ = p.consumer.Close() })
	boot := [16]byte{1}
	prev := evidencelog.Origin(pairLog, boot)
	for i := range records {
		r := evidencelog.Record{Record: &journal.Record{Seq: uint64(i + 1), Kind: KindLink, Payload: fmt.Appendf(nil, "%d", i)}, BootID: boot, Prev: prev}
		r.Value = evidencelog.Next(prev, r.Kind, r.Seq, r.Boot, r.Payload)
		raw, err := encodeRecord(pairLog, &r)
		if err != nil {
			t.Fatal(err)
		}
		prev, p.log = r.Value, append(p.log, entry{record: raw, pos: r.Position(), kind: r.Kind})
	}
	return p
}

// civil is the consumer's time.
func (p *pair) civil() time.Time { return time.Unix(0, 0).Add(p.now) }

// start opens the consumer, which then says where it is, as after each connection.
func (p *pair) start() {
	p.t.Helper()
	var err error
	if p.consumer, err = fleet.Open(p.civil(), p.o); err != nil {
		p.t.Fatal(err)
	}
	p.consumer.Reconnected()
}

// step is a tenth of a second in which up to n records of the journal may be read.
func (p *pair) step(n int) {
	p.t.Helper()
	p.now += 100 * time.Millisecond
	if p.stream.stale(p.now) {
		p.stream.rewind(p.now)
		for p.next = 0; p.next < len(p.log) && p.log[p.next].pos.Seq <= p.stream.at.Seq; p.next++ {
		}
	}
	for ; p.next < min(n, len(p.log)) && p.stream.wants(); p.next++ {
		e := p.log[p.next]
		p.acted(p.stream.add(p.now, &e))
	}
	for some, _ := p.stream.ready(); some; some, _ = p.stream.ready() {
		b := p.stream.take(p.now)
		message, err := p.writer.write(TopicEvent, "x", false, &Event{Log: pairLog, BootID: evidencelog.FormatBoot(b.boot), Records: b.records})
		if err != nil {
			p.t.Fatal(err)
		}
		if !p.away {
			p.consumer.Take(p.civil(), "site/v1/"+testRobot+"/event", message)
		}
	}
	if !p.away {
		p.hear()
	}
}

// hear carries the consumer's acknowledgements.
func (p *pair) hear() {
	p.t.Helper()
	list, err := p.consumer.Commit(p.civil())
	if err != nil {
		p.t.Fatal(err)
	}
	p.consumer.Tick(p.civil())
	for _, m := range list {
		a, err := readAck(m.Payload)
		if err != nil {
			p.t.Fatal(err)
		}
		at := evidencelog.Position{Seq: a.Seq}
		if at.BootID, err = evidencelog.ParseBoot(a.BootID); err != nil {
			p.t.Fatal(err)
		}
		if _, err = hex.Decode(at.Digest[:], []byte(a.Digest)); err != nil {
			p.t.Fatal(err)
		}
		p.acted(p.stream.ack(p.now, at))
	}
}

func (p *pair) acted(to *evidencelog.Position, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	if to != nil {
		p.stream.at = *to
	}
}

// TestConsumerStartsAnew: while the consumer is being started anew, what the courier sends is lost, and nobody tells it. It
// sends it again as soon as the consumer says where it is, and not when its patience has ended, however long that was.
func TestConsumerStartsAnew(t *testing.T) {
	for name, away := range map[string]time.Duration{"for a moment": 300 * time.Millisecond, "for a day": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, 40)
			for range 20 {
				p.step(35)
			}
			if p.stream.at.Seq != 35 {
				t.Fatalf("acknowledged up to %d, expected 35", p.stream.at.Seq)
			}
			p.away = true
			if err := p.consumer.Close(); err != nil {
				t.Fatal(err)
			}
			for end := p.now + away; p.now < end; {
				p.step(40)
			}
			p.start()
			p.away = false
			const soon = 5 * time.Second
			for end := p.now + soon; p.now < end; {
				p.step(40)
			}
			if p.stream.at.Seq != 40 || p.consumer.Positions()[0].Seq != 40 {
				t.Errorf("%v after the consumer came back %d records are acknowledged, and it has %d: expected 40", soon, p.stream.at.Seq, p.consumer.Positions()[0].Seq)
			}
		})
	}
}
