package attest

import (
	"strings"
	"sync"
	"time"
)

// Bounds of what waits to be judged. Robots ask again for what is dropped.
const (
	maxWaiting      = 4096
	maxWaitingBytes = 32 << 20
	// maxOfOne is more than a robot sends for one attestation, and repeats of it.
	maxOfOne = 8
	// staleHello is how old a hello may be when its turn comes: the robot soon gives up waiting, and asks again.
	staleHello = 20 * time.Second
)

// message is one message from a robot.
type message struct {
	topic   string
	payload []byte
}

// sender is what stands for the robot in a topic, before anybody has looked at it.
func (m message) sender() string {
	name, _, _ := strings.Cut(m.topic, "/attestation/")
	return name
}

// arrival is a message that waits, and since when.
type arrival struct {
	message
	came time.Time
}

// stale says that a message has waited for so long that nobody waits for its answer. Evidence says itself until when it counts.
func (a arrival) stale(now time.Time) bool {
	return strings.HasSuffix(a.topic, "/"+topicHello) && now.Sub(a.came) > staleHello
}

// inbox is what waits to be judged, first come first served, and so much of each sender that one that floods takes no
// other's place. Nobody who puts something in waits.
type inbox struct {
	// ready has an element while there may be messages.
	ready   chan struct{}
	mu      sync.Mutex
	list    []arrival
	of      map[string]int // By sender; none is there without a message.
	bytes   int
	dropped int64
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1), of: map[string]int{}} }

// put takes a message in, or drops it.
func (i *inbox) put(m message, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	from := m.sender()
	if len(i.list) == maxWaiting || i.bytes+len(m.payload) > maxWaitingBytes || i.of[from] == maxOfOne {
		i.dropped++
		return
	}
	i.list, i.bytes = append(i.list, arrival{m, now}), i.bytes+len(m.payload)
	i.of[from]++
	i.wake()
}

// drop counts a message that is not even looked at.
func (i *inbox) drop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.dropped++
}

func (i *inbox) wake() {
	select {
	case i.ready <- struct{}{}:
	default:
	}
}

// take gives the message that has waited longest.
func (i *inbox) take() (arrival, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.list) == 0 {
		return arrival{}, false
	}
	m := i.list[0]
	i.list[0] = arrival{}
	i.list, i.bytes = i.list[1:], i.bytes-len(m.payload)
	from := m.sender()
	if i.of[from]--; i.of[from] == 0 {
		delete(i.of, from)
	}
	if len(i.list) == 0 {
		i.list = nil // What was behind it is free.
	} else {
		i.wake()
	}
	return m, true
}

// lag is how long the first message has waited.
func (i *inbox) lag(now time.Time) time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.list) == 0 {
		return 0
	}
	return now.Sub(i.list[0].came)
}

// lost gives how many messages were dropped since it was last asked.
func (i *inbox) lost() int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := i.dropped
	i.dropped = 0
	return n
}
