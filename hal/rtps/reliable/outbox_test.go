package reliable

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// desk is an Outbox with one reader, whose id is 1, and what goes out to it.
type desk struct {
	t   testing.TB
	out *Outbox
	now time.Duration
	max int
}

func newDesk(t testing.TB, c OutboxConfig, reliable, history bool, before int) *desk {
	t.Helper()
	d := &desk{t: t, out: NewOutbox(c), now: time.Hour, max: 1500}
	for range before {
		d.add("old")
	}
	if !d.out.Match(d.now, 1, reliable, history) {
		t.Fatal("not matched")
	}
	return d
}

func (d *desk) add(payload string) wire.SeqNum {
	d.t.Helper()
	seq, err := d.out.Add(d.now, wire.Time{Seconds: 5}, []byte(payload))
	if err != nil {
		d.t.Fatal(err)
	}
	return seq
}

// next is one datagram's submessages.
func (d *desk) next() []wire.Submessage {
	d.t.Helper()
	head := wire.AppendHeader(nil, writerPrefix)
	b := d.out.Next(d.now, 1, head, d.max, readerID, writerID)
	if len(b) > d.max {
		d.t.Fatalf("%d bytes, expected at most %d", len(b), d.max)
	}
	return parse(d.t, b)
}

// all is what goes out now, in few words: D4 for a DATA, F4.2 for a fragment, H1-4 for a heartbeat, G1-3 for a gap.
func (d *desk) all() (words []string) {
	d.t.Helper()
	for n := 0; ; n++ {
		s := d.next()
		if len(s) == 0 {
			return words
		}
		if n > 10_000 {
			d.t.Fatal("goes on forever")
		}
		for k := range s {
			words = append(words, word(&s[k]))
		}
	}
}

func word(s *wire.Submessage) string {
	switch s.Kind {
	case wire.Data:
		return fmt.Sprintf("D%d", s.Seq)
	case wire.DataFrag:
		return fmt.Sprintf("F%d.%d", s.Seq, s.FirstFrag)
	case wire.Heartbeat:
		return fmt.Sprintf("H%d-%d", s.First, s.Last)
	case wire.HeartbeatFrag:
		return fmt.Sprintf("HF%d.%d", s.Seq, s.FragLast)
	case wire.Gap:
		return fmt.Sprintf("G%d-%d", s.Seq, s.Set.Base-1)
	default:
		return s.Kind.String()
	}
}

func (d *desk) wants(want ...string) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.all()); diff != "" {
		d.t.Fatal(diff)
	}
}

// due is how long it takes until something is due.
func (d *desk) due() time.Duration {
	d.t.Helper()
	at, ok := d.out.Due(1)
	if !ok {
		return -1
	}
	return max(0, at-d.now)
}

func TestANewSampleGoesOutAtOnce(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true, Depth: 3}, true, false, 0)
	d.wants("H1-0")
	d.out.AckNack(d.now, 1, ack(1, 1, true))
	if d.due() >= 0 || !d.out.AllAcked() {
		t.Fatal("due though nothing was sent")
	}
	d.add("a")
	if d.due() != 0 || d.out.AllAcked() || d.out.Acked(1) {
		t.Fatal("not due, or acknowledged, after a new sample")
	}
	d.wants("D1", "H1-1")
	d.out.AckNack(d.now, 1, ack(2, 2, true))
	if d.due() >= 0 || !d.out.AllAcked() || !d.out.Acked(1) {
		t.Fatal("not acknowledged")
	}
	d.add("b")
	d.add("c")
	d.wants("D2", "D3", "H1-3")
	d.out.AckNack(d.now, 1, ack(2, 3, false, 2))
	d.wants("D2", "H1-3")
	d.out.AckNack(d.now, 1, ack(4, 4, true))
	if !d.out.AllAcked() {
		t.Fatal("not acknowledged")
	}
}

func TestWhatGoesOut(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true, Depth: 3}, true, false, 0)
	d.out.AckNack(d.now, 1, ack(1, 1, true))
	of := wire.GUID{Prefix: wire.Prefix{7}}
	if _, err := d.out.AddRelated(d.now, wire.Time{Seconds: 5}, []byte("\x00\x01\x00\x00answer\x00\x00"), of, 99); err != nil {
		t.Fatal(err)
	}
	d.out.AddDispose(d.now, wire.Time{Seconds: 6}, of, wire.StatusDisposed)
	s := d.next()
	if len(s) != 3 || !s[0].HasRelated || s[0].Related != of || s[0].RelatedSeq != 99 || string(s[0].Payload[4:10]) != "answer" {
		t.Errorf("%+v", s)
	}
	if s[1].Seq != 2 || !s[1].Dispose || s[1].Unregister || s[1].KeyHash != of.Bytes() {
		t.Errorf("%+v", s[1])
	}
	for _, e := range []error{
		second(d.out.Add(d.now, wire.Time{}, make([]byte, DefaultOutSample+1))),
		second(d.out.AddRelated(d.now, wire.Time{}, make([]byte, DefaultFragmentSize+1), of, 1)),
	} {
		if !errors.Is(e, ErrTooLarge) {
			t.Errorf("found %v", e)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestLatecomers(t *testing.T) {
	for name, c := range map[string]struct {
		transient, reliable, history bool
		want                         []string
	}{
		"volatile":                               {true, true, false, []string{"G1-5", "H6-5"}},
		"transient-local":                        {true, true, true, []string{"D3", "D4", "D5", "H3-5"}},
		"wants what a volatile writer has not":   {false, true, true, []string{"G1-5", "H6-5"}},
		"best effort":                            {true, false, true, nil},
		"best effort at a transient-local topic": {true, false, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, OutboxConfig{Reliable: true, TransientLocal: c.transient, Depth: 3}, c.reliable, c.history, 5)
			d.wants(c.want...)
			d.out.AckNack(d.now, 1, ack(6, 1, true))
			d.add("new")
			if c.reliable {
				d.wants("D6", map[bool]string{true: "H4-6", false: "H6-6"}[c.history && c.transient])
			} else {
				d.wants("D6")
			}
		})
	}
}

// TestGoneSamples: what is overwritten, removed, or from before a reader's time is told in a GAP, whatever is asked.
func TestGoneSamples(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true, TransientLocal: true, Depth: 4}, true, true, 0)
	for range 10 {
		d.add("x")
	}
	d.wants("D7", "D8", "D9", "D10", "H7-10")
	d.out.Remove(9)
	d.out.Remove(9)
	d.out.Remove(1)
	d.out.AckNack(d.now, 1, ack(1, 1, false, 1, 2, 3, 6, 7, 8, 9, 10))
	d.wants("G1-6", "D7", "D8", "G9-9", "D10", "H7-10")
	d = newDesk(t, OutboxConfig{Reliable: true, Depth: 4}, true, false, 3)
	d.wants("G1-3", "H4-3")
	d.add("x")
	d.wants("D4", "G1-3", "H4-4")
	d.out.AckNack(d.now, 1, ack(1, 1, false, 1, 2, 3, 4))
	d.wants("G1-3", "D4", "H4-4")
	d.now += time.Second
	d.out.Remove(4)
	d.out.AckNack(d.now, 1, ack(4, 2, false, 4))
	d.wants("G4-4", "H5-4")
}

// TestHostileAcks: they cost nothing but themselves, and change nothing that the reader itself could not change.
func TestHostileAcks(t *testing.T) {
	for name, c := range map[string]struct {
		s     []*wire.Submessage
		want  []string
		acked bool
		bad   uint64
	}{
		"ahead of the last":             {[]*wire.Submessage{ack(7, 1, true)}, nil, false, 1},
		"at the top":                    {[]*wire.Submessage{ack(wire.MaxSeqNum, 1, false, wire.MaxSeqNum, wire.MaxSeqNum+255)}, nil, false, 1},
		"above the top":                 {[]*wire.Submessage{{Kind: wire.AckNack, Set: wire.SeqSet{Base: 1<<63 - 1, Bits: 256, Map: [8]uint32{^uint32(0)}}, Count: 1}}, nil, false, 1},
		"below zero":                    {[]*wire.Submessage{{Kind: wire.AckNack, Set: wire.SeqSet{Base: -1 << 63, Bits: 32, Map: [8]uint32{^uint32(0)}}, Count: 1}}, []string{"H1-5"}, false, 0},
		"zero":                          {[]*wire.Submessage{ack(0, 1, false)}, []string{"H1-5"}, false, 0},
		"asks for what was never":       {[]*wire.Submessage{ack(6, 1, true, 6, 7, 100)}, nil, true, 0},
		"asks for the last and further": {[]*wire.Submessage{ack(5, 1, true, 5, 6, 7)}, []string{"D5", "H1-5"}, false, 0},
		"a count again":                 {[]*wire.Submessage{ack(6, 7, true), ack(1, 7, false, 1, 2, 3)}, nil, true, 0},
		"a lower count":                 {[]*wire.Submessage{ack(6, 7, true), ack(1, 6, false, 1, 2, 3)}, nil, true, 0},
		"a bad one with a high count":   {[]*wire.Submessage{ack(99, 1<<30, true), ack(6, 1, true)}, nil, true, 1},
		"takes back":                    {[]*wire.Submessage{ack(6, 1, true), ack(2, 2, true, 2, 3)}, []string{"D2", "D3", "H1-5"}, false, 0},
		"fragments of a whole sample":   {[]*wire.Submessage{nackFrag(5, 1, 1, 1, 2)}, []string{"D5", "H1-5"}, false, 0},
		"fragments of what was never":   {[]*wire.Submessage{nackFrag(6, 1, 1, 1), nackFrag(0, 2, 1, 1), nackFrag(wire.MaxSeqNum, 3, 1, 1)}, nil, false, 3},
		"no such fragments":             {[]*wire.Submessage{nackFrag(4, 1, 3, 3, 4), nackFrag(4, 2, 1<<32-300, 1<<32-300), nackFrag(4, 3, 1)}, nil, false, 3},
		"fragments there and beyond":    {[]*wire.Submessage{nackFrag(4, 1, 2, 2, 3)}, []string{"F4.2", "H1-5"}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, OutboxConfig{Reliable: true, Depth: 8, ResendAfter: time.Second}, true, false, 0)
			d.add("1")
			d.add("2")
			d.add("3")
			d.add(string(pattern(2000, 0)))
			d.add("5")
			d.wants("D1", "D2", "D3", "H1-3", "F4.1", "F4.2", "D5", "H1-5")
			d.now += 10 * time.Millisecond
			for _, s := range c.s {
				toOutbox(d.out, d.now, 1, s)
			}
			d.now += time.Second - 10*time.Millisecond
			got := d.all()
			if len(c.want) == 0 && len(got) == 1 && !c.acked {
				got = nil // the heartbeat that is due anyway
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if s := d.out.Stats(); s.BadAcks != c.bad || d.out.AllAcked() != c.acked {
				t.Errorf("%+v, acknowledged: %v", s, d.out.AllAcked())
			}
		})
	}
}

// TestHeartbeatsBackOff: to a reader that says nothing, until it is stalled; then it costs one datagram for a new sample.
func TestHeartbeatsBackOff(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true, Depth: 3}, true, false, 0)
	d.out.AckNack(d.now, 1, ack(1, 1, true))
	d.all()
	d.add("a")
	d.wants("D1", "H1-1")
	begun := d.now
	var at []time.Duration
	for d.due() >= 0 {
		d.now += d.due()
		if s := d.next(); len(s) > 0 {
			at = append(at, d.now-begun)
		}
	}
	ms := time.Millisecond
	want := []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1300 * ms, 1800 * ms, 2300 * ms, 2800 * ms, 3300 * ms, 3800 * ms, 4300 * ms, 4800 * ms}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Error(diff)
	}
	if !d.out.Stalled(1) || d.out.AllAcked() || d.out.Stats().Stalls != 1 {
		t.Fatalf("stalled: %v, %+v", d.out.Stalled(1), d.out.Stats())
	}
	d.now += time.Hour
	d.add("b")
	d.wants("D2", "H1-2")
	if d.due() >= 0 {
		t.Errorf("a stalled reader costs something in %v", d.due())
	}
	d.out.AckNack(d.now, 1, ack(1, 2, false, 1, 2))
	d.wants("D1", "D2", "H1-2")
	d.out.AckNack(d.now, 1, ack(3, 3, true))
	if d.out.Stalled(1) || !d.out.AllAcked() || d.due() >= 0 {
		t.Error("still stalled")
	}
}

// TestAReaderNeverHeardOf is stalled as well, and owes again from its first word on.
func TestAReaderNeverHeardOf(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true}, true, false, 0)
	for d.due() >= 0 {
		d.now += d.due()
		d.all()
	}
	if !d.out.Stalled(1) || d.now-time.Hour > DefaultStallAfter+DefaultHeartbeatMax {
		t.Fatalf("stalled: %v after %v", d.out.Stalled(1), d.now-time.Hour)
	}
	d.now += time.Minute
	d.out.AckNack(d.now, 1, ack(1, 1, false))
	d.wants("H1-0")
	d.add("a")
	d.wants("D1", "H1-1")
	d.now += DefaultStallAfter - time.Millisecond
	if d.all(); d.out.Stalled(1) {
		t.Error("stalled too early")
	}
}

// TestAmplification: what one reader can make us send by asking is bounded, however often it asks.
func TestAmplification(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true, Depth: 100, MaxSample: 1000}, true, false, 0)
	for range 100 {
		d.add(string(pattern(1000, 0)))
	}
	d.all()
	datagrams, first := 0, 0
	all := numbers(1, 100)
	for k := range 100_000 {
		d.now += 100 * time.Microsecond
		d.out.AckNack(d.now, 1, ack(1, int32(k+1), false, all...))
		d.out.NackFrag(d.now, 1, nackFrag(1, int32(k+1), 1, 1))
		for len(d.next()) > 0 {
			datagrams++
		}
		if d.now < time.Hour+time.Second {
			first = datagrams
		}
	}
	if perSecond := (datagrams - first) / 9; first > 4000 || perSecond > 200 || perSecond < 50 {
		t.Errorf("%d datagrams in the first second, %d in each later one, for 20,000 requests", first, perSecond)
	}
}

// TestABudgetOfDatagrams: a large sample, new or asked for again, goes on where it stopped, also if it is asked for again
// in between.
func TestABudgetOfDatagrams(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true, Depth: 2, MaxSample: 1 << 20}, true, false, 0)
	d.out.AckNack(d.now, 1, ack(1, 1, true))
	d.add(string(pattern(1344*300, 0)))
	var got []string
	for k := range int32(700) {
		if s := d.next(); len(s) > 0 {
			for n := range s {
				got = append(got, word(&s[n]))
			}
		}
		if k == 310 {
			if diff := cmp.Diff([]string{"F1.1", "F1.128", "HF1.128", "F1.256", "HF1.256", "F1.300", "H1-1"},
				[]string{got[0], got[127], got[128], got[256], got[257], got[301], got[302]}); diff != "" {
				t.Fatal(diff)
			}
			got = nil
		}
		if k >= 310 && k < 500 {
			d.out.AckNack(d.now, 1, ack(1, k, false, 1))
		}
	}
	if len(got) != 301 || got[0] != "F1.1" || got[299] != "F1.300" || got[300] != "H1-1" {
		t.Errorf("repeated %d submessages", len(got))
	}
}

// TestOverwrittenUnderWay: a sample that is overwritten while it goes out is left; the next one is whole.
func TestOverwrittenUnderWay(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true, MaxSample: 1 << 20}, true, false, 0)
	d.out.AckNack(d.now, 1, ack(1, 1, true))
	d.add(string(pattern(5000, 0)))
	d.next()
	d.next()
	d.out.NackFrag(d.now, 1, nackFrag(1, 1, 1, 1, 2, 3, 4))
	d.add(string(pattern(2000, 1)))
	d.wants("G1-1", "H2-1", "F2.1", "F2.2", "H2-2")
	if s := d.out.Stats(); s.Overwritten != 1 {
		t.Errorf("%+v", s)
	}
}

// TestRemovedBeforeItWentOut: the reader is told, so that it can acknowledge.
func TestRemovedBeforeItWentOut(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true}, true, false, 0)
	d.out.AckNack(d.now, 1, ack(1, 1, true))
	d.out.Remove(d.add("a"))
	if d.due() != 0 {
		t.Error("not due")
	}
	d.wants("H2-1")
	if d.out.AckNack(d.now, 1, ack(2, 2, true)); !d.out.AllAcked() || d.due() >= 0 {
		t.Error("not acknowledged")
	}
}

// TestFragmentsUnderWay: of a sample that is going out, only what went out is repeated.
func TestFragmentsUnderWay(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true}, true, false, 0)
	d.out.AckNack(d.now, 1, ack(1, 1, true))
	d.add(string(pattern(5000, 0)))
	d.next()
	d.next()
	d.out.NackFrag(d.now, 1, nackFrag(1, 1, 1, 2, 3, 4))
	d.wants("F1.2", "H1-0", "F1.3", "F1.4", "H1-1")
}

// TestAnotherRepetition: one that is under way is left when the reader asks for another sample, which goes out whole.
func TestAnotherRepetition(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true, Depth: 2}, true, false, 0)
	d.add(string(pattern(3000, 0)))
	d.add(string(pattern(3000, 0)))
	d.all()
	d.out.AckNack(d.now, 1, ack(1, 1, false, 1, 2))
	d.next()
	d.out.AckNack(d.now, 1, ack(2, 2, false, 2))
	d.wants("F2.1", "F2.2", "F2.3", "H1-2")
}

// TestPatienceBeginsWithTheSample: a reader that had nothing to acknowledge for an hour has all of StallAfter for what is
// new, and the first heartbeat comes early.
func TestPatienceBeginsWithTheSample(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true}, true, false, 0)
	d.out.AckNack(d.now, 1, ack(1, 1, true))
	d.all()
	d.now += time.Hour
	d.add("a")
	d.wants("D1", "H1-1")
	if d.due() != DefaultHeartbeatEvery || d.out.Stalled(1) {
		t.Errorf("due in %v, stalled: %v", d.due(), d.out.Stalled(1))
	}
}

// TestRepetitionsAfterProgress: the pause between repetitions, which grows while nothing is acknowledged, is short again.
func TestRepetitionsAfterProgress(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true, Depth: 9}, true, false, 0)
	for range 9 {
		d.add("x")
	}
	d.all()
	pause := func(count int32, base wire.SeqNum) time.Duration {
		d.out.AckNack(d.now, 1, ack(base, count, false, base))
		begun := d.now
		for {
			for _, s := range d.next() {
				if s.Kind == wire.Data {
					return d.now - begun
				}
			}
			d.now += d.due()
		}
	}
	long := time.Duration(0)
	for count := range int32(30) {
		long = pause(count+1, 1)
	}
	pause(50, 2)
	if short := pause(51, 2); long != DefaultHeartbeatMax || short != DefaultResendAfter {
		t.Errorf("pauses of %v and %v", long, short)
	}
}

// TestASmallSampleOvertakesARepetition: what is new does not wait for what is asked for again.
func TestASmallSampleOvertakesARepetition(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true, Depth: 3, MaxSample: 1 << 20}, true, false, 0)
	d.add(string(pattern(134400, 0)))
	d.all()
	d.out.AckNack(d.now, 1, ack(1, 1, false, 1))
	d.next()
	d.add("stop")
	if s := d.next(); s[0].Seq != 2 || s[0].Kind != wire.Data {
		t.Errorf("%v goes first", word(&s[0]))
	}
}

func TestReaderIDs(t *testing.T) {
	o := NewOutbox(OutboxConfig{MaxReaders: 2})
	for _, id := range []int{-1, 2, 1 << 40} {
		if o.Match(0, id, true, true) {
			t.Errorf("id %d is matched", id)
		}
		o.Unmatch(id)
		o.AckNack(0, id, ack(1, 1, false))
		o.NackFrag(0, id, nackFrag(1, 1, 1, 1))
		if _, ok := o.Due(id); ok || len(o.Next(0, id, nil, 1500, readerID, writerID)) > 0 || o.Stalled(id) || o.Acked(id) {
			t.Errorf("id %d has a state", id)
		}
	}
	if !o.Match(0, 1, false, false) || !o.AllAcked() {
		t.Error("a best-effort reader is waited for")
	}
	o.Unmatch(1)
	if _, ok := o.Due(1); ok {
		t.Error("due after the end")
	}
}

// TestABestEffortReaderOfAReliableWriter gets each sample once, and nothing else, whatever it says.
func TestABestEffortReaderOfAReliableWriter(t *testing.T) {
	d := newDesk(t, OutboxConfig{Reliable: true, Depth: 2}, false, false, 0)
	d.add("a")
	d.add(string(pattern(2000, 0)))
	d.out.AckNack(d.now, 1, ack(1, 1, false, 1))
	d.out.NackFrag(d.now, 1, nackFrag(2, 1, 1, 1))
	d.wants("D1", "F2.1", "F2.2")
	if d.due() >= 0 || !d.out.AllAcked() || d.out.Acked(1) || d.out.Stalled(1) {
		t.Error("more is due")
	}
	for range 5 {
		d.add("x")
	}
	d.wants("D6", "D7")
}

// TestADatagramTooSmall: a caller that breaks the rule about its room still gets on.
func TestADatagramTooSmall(t *testing.T) {
	o := NewOutbox(OutboxConfig{Reliable: true, MaxSample: 4000})
	o.Match(0, 0, true, false)
	if _, err := o.Add(0, wire.Time{}, pattern(4000, 0)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		o.Next(0, 0, nil, 100, readerID, writerID)
	}
	if at, ok := o.Due(0); ok && at == 0 {
		t.Error("still due")
	}
}
