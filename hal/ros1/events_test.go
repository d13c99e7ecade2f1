package ros1

import (
	"testing"
	"time"
)

// TestEventsAreBoundedAndNoneIsLost: a flood is a few events a second, and their counts add up.
func TestEventsAreBoundedAndNoneIsLost(t *testing.T) {
	now := 10 * time.Second
	var ev events
	r := &reporter{clock: func() time.Duration { return now }, sink: ev.add, rate: 20}
	for range 3 {
		for range 1000 {
			r.emit(&Event{Kind: RequestRefused})
		}
		r.emit(&Event{Kind: MasterLost}) // another kind is not held up
		now += time.Second
	}
	if len(ev.list) != 3*21 {
		t.Errorf("%d events; want 20 of the flood and 1 beside it in each second", len(ev.list))
	}
	r.flush()
	r.flush()
	if c := ev.count(RequestRefused); c != 3000 {
		t.Errorf("%d events in all; want 3000", c)
	}
	for range 100 {
		r.emit(&Event{Kind: PublisherGone})
	}
	if c := len(ev.all()); c != 3*21+1+100 {
		t.Errorf("%d events; want every PublisherGone among them", c)
	}
	if c := ev.count(MasterLost); c != 3 {
		t.Errorf("%d events of the other kind; want 3", c)
	}
}

func TestEveryEventKindHasAName(t *testing.T) {
	for k := EventUnknown + 1; int(k) < len(eventNames); k++ {
		if k.String() == "" || k.String() == "unknown" {
			t.Errorf("kind %d has no name", k)
		}
	}
	if EventKind(200).String() != "unknown" || EventUnknown.String() != "unknown" {
		t.Error("a kind that is none has a name")
	}
}
