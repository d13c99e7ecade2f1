package attest

import (
	"strings"
	"sync"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
)

// Bounds of what waits to be judged. Robots ask again for what is dropped.
const (
	// maxOfOne is more than a robot sends for one attestation, which is a hello, its logs and the evidence, and repeats of it.
	maxOfOne = 2 * (evidence.MaxLogs + 2)
	// maxBytesOfOne has room for the largest answer: all logs in base64 with what is around them, and the evidence.
	maxBytesOfOne = 7 << 20
	maxWaiting    = 512 * maxOfOne
	// maxWaitingBytes is for everything, maxLargeBytes for what is larger than small: robots that send logs take no place from the
	// hellos and the evidence of the others.
	maxWaitingBytes = 64 << 20
	maxLargeBytes   = 56 << 20
	small           = 32 << 10
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
	ready chan struct{}
	mu    sync.Mutex
	list  []arrival
	of    map[string]share // By sender; none is there without a message.
	all   share
	// large is how many bytes there are in large messages.
	large   int
	dropped int64
}

// share is how much there is of somebody's.
type share struct{ messages, bytes int }

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1), of: map[string]share{}} }

// put takes a message in, or drops it.
func (i *inbox) put(m message, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	from, size := m.sender(), len(m.payload)
	one, large := i.of[from], i.large
	if size > small {
		large += size
	}
	if i.all.messages == maxWaiting || i.all.bytes+size > maxWaitingBytes || large > maxLargeBytes ||
		one.messages == maxOfOne || one.bytes+size > maxBytesOfOne {
		i.dropped++
		return
	}
	i.list, i.large = append(i.list, arrival{m, now}), large
	i.of[from] = share{one.messages + 1, one.bytes + size}
	i.all = share{i.all.messages + 1, i.all.bytes + size}
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
	i.list = i.list[1:]
	from, size := m.sender(), len(m.payload)
	if size > small {
		i.large -= size
	}
	i.all = share{i.all.messages - 1, i.all.bytes - size}
	one := i.of[from]
	if i.of[from] = (share{one.messages - 1, one.bytes - size}); one.messages == 1 {
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
