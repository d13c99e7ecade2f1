package agent

import (
	"sync"
	"time"
)

// Bounds of an inbox.
const (
	// inboxSenders is how many senders are remembered; the one that has been silent for longest is forgotten.
	inboxSenders = 32
	// inboxEach is how many orders of one sender wait.
	inboxEach = 4
	// inboxBytes is the largest order that is taken from the bus. Only stops are, and they are small.
	inboxBytes = 32 << 10
	// inboxBurst orders of one sender are looked at together, then one in each inboxEvery: a signature costs about a
	// hundred microseconds to refuse, and anybody may send.
	inboxBurst = 5
	inboxEvery = 200 * time.Millisecond
)

// inbox keeps the orders from the bus until they are looked at, each sender's apart from the others': whoever floods it
// loses its own, not somebody's stop.
type inbox struct {
	now  func() time.Duration
	wake chan struct{}

	mu      sync.Mutex
	senders map[uint32]*sender
	// turns are the senders with orders that wait, in the order in which they are served.
	turns   []uint32
	dropped uint64
}

type sender struct {
	heard   time.Duration
	tokens  int
	filled  time.Duration
	waiting [][]byte
}

func newInbox(now func() time.Duration) *inbox {
	return &inbox{now: now, wake: make(chan struct{}, 1), senders: map[uint32]*sender{}}
}

// put takes a copy of an order and never waits. It returns false if the order was dropped.
func (b *inbox) put(peer uint32, envelope []byte) bool {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sender(peer, now)
	if n := int((now - s.filled) / inboxEvery); n > 0 {
		s.tokens, s.filled = min(s.tokens+n, inboxBurst), s.filled+time.Duration(n)*inboxEvery
	}
	if len(envelope) > inboxBytes || s.tokens == 0 || len(s.waiting) == inboxEach {
		b.dropped++
		return false
	}
	s.tokens--
	if len(s.waiting) == 0 {
		b.turns = append(b.turns, peer)
	}
	s.waiting = append(s.waiting, append([]byte(nil), envelope...))
	select {
	case b.wake <- struct{}{}:
	default: // It is awake already and will look again.
	}
	return true
}

func (b *inbox) sender(peer uint32, now time.Duration) *sender {
	s := b.senders[peer]
	if s == nil {
		b.forget()
		s = &sender{tokens: inboxBurst, filled: now}
		b.senders[peer] = s
	}
	s.heard = now
	return s
}

// forget makes room for a sender: the one that has been silent for longest goes, and one whose orders wait only if all do.
func (b *inbox) forget() {
	if len(b.senders) < inboxSenders {
		return
	}
	var oldest uint32
	var found *sender
	for id, s := range b.senders {
		better := found == nil || len(s.waiting) == 0 && len(found.waiting) > 0 ||
			(len(s.waiting) == 0) == (len(found.waiting) == 0) && s.heard < found.heard
		if better {
			oldest, found = id, s
		}
	}
	b.dropped += uint64(len(found.waiting))
	delete(b.senders, oldest)
}

// next gives the order of the sender whose turn it is, nil if none waits.
func (b *inbox) next() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.turns) > 0 {
		peer := b.turns[0]
		b.turns = b.turns[1:]
		s := b.senders[peer]
		if s == nil || len(s.waiting) == 0 {
			continue // Forgotten meanwhile.
		}
		envelope := s.waiting[0]
		s.waiting = s.waiting[1:]
		if len(s.waiting) > 0 {
			b.turns = append(b.turns, peer)
		}
		return envelope
	}
	return nil
}
