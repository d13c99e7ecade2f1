package bus

import (
	"testing"
	"time"
)

// heard records what a reporter tells.
type heard []Event

func (h *heard) add(e *Event) { *h = append(*h, *e) }

func (h *heard) count(k EventKind) int {
	n := 0
	for i := range *h {
		if (*h)[i].Kind == k {
			n += 1 + int((*h)[i].Suppressed)
		}
	}
	return n
}

// TestEventsAreBoundedAndNoneIsLost: a flood is a few events a second, and their counts add up.
func TestEventsAreBoundedAndNoneIsLost(t *testing.T) {
	now := 10 * time.Second
	var ev heard
	r := NewReporter(func() time.Duration { return now }, ev.add, 20)
	for range 3 {
		for range 1000 {
			r.Emit(&Event{Kind: RequestRefused})
		}
		r.Emit(&Event{Kind: BusLost}) // another kind is not held up
		now += time.Second
	}
	if len(ev) != 3*21 {
		t.Errorf("%d events; want 20 of the flood and 1 beside it in each second", len(ev))
	}
	r.Flush()
	r.Flush()
	if c := ev.count(RequestRefused); c != 3000 {
		t.Errorf("%d events in all; want 3000", c)
	}
	for range 100 {
		r.Emit(&Event{Kind: PublisherGone})
	}
	if c := len(ev); c != 3*21+1+100 {
		t.Errorf("%d events; want every PublisherGone among them", c)
	}
	if c := ev.count(BusLost); c != 3 {
		t.Errorf("%d events of the other kind; want 3", c)
	}
}

// TestReporterWithoutListener: events without anybody to hear them are still stamped, and nothing breaks.
func TestReporterWithoutListener(t *testing.T) {
	r := NewReporter(func() time.Duration { return 7 * time.Second }, nil, 20)
	e := Event{Kind: PublisherConflict}
	r.Emit(&e)
	r.Flush()
	if e.Boot != 7*time.Second {
		t.Errorf("event stamped %v; want 7s", e.Boot)
	}
}

func TestEveryEventKindHasAName(t *testing.T) {
	for k := EventUnknown + 1; int(k) < EventKinds; k++ {
		if k.String() == "" || k.String() == "unknown" {
			t.Errorf("kind %d has no name", k)
		}
	}
	if EventKind(200).String() != "unknown" || EventUnknown.String() != "unknown" {
		t.Error("a kind that is none has a name")
	}
}

// TestOwnEventsAreThoseThatNoStrangerCauses: what anybody can cause at will is bounded.
func TestOwnEventsAreThoseThatNoStrangerCauses(t *testing.T) {
	own := map[EventKind]bool{
		PublisherConnected: true, PublisherGone: true, Registered: true, RegistrationLost: true, BusLost: true, BusBack: true,
	}
	for k := range EventKind(EventKinds) {
		if k.Own() != own[k] {
			t.Errorf("%v: own %v; want %v", k, k.Own(), own[k])
		}
	}
}
