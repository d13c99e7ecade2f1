package reliable

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// TestTheFirstQuestion: a reader asks from number 1, and from 0 where the writer's implementation wants that; once it knows
// the beginning, from there.
func TestTheFirstQuestion(t *testing.T) {
	for name, c := range map[string]struct {
		fromZero bool
		want     wire.SeqNum
	}{"by the specification": {false, 1}, "Fast DDS": {true, 0}} {
		t.Run(name, func(t *testing.T) {
			i := NewInbox(InboxConfig{Reliable: true, AskFromZero: c.fromZero})
			ask := func(now time.Duration) wire.SeqSet {
				s := parse(t, i.Reply(now, wire.AppendHeader(nil, readerPrefix), readerID, writerID))
				if len(s) != 1 || s[0].Kind != wire.AckNack || s[0].Final {
					t.Fatalf("%+v; expected one question", s)
				}
				return s[0].Set
			}
			if set := ask(0); set.Base != c.want || set.Bits != 0 {
				t.Errorf("the first question is from %d, %d bits; expected from %d", set.Base, set.Bits, c.want)
			}
			i.Heartbeat(time.Second, &wire.Submessage{Kind: wire.Heartbeat, First: 5, Last: 6, Count: 1}, func(*Sample) {})
			if set := ask(2 * time.Second); set.Base != 5 {
				t.Errorf("after a heartbeat it asks from %d; expected 5", set.Base)
			}
		})
	}
}
