package proc

import (
	"fmt"
	"sync"
)

// Of the output, the first headLimit and the last tailLimit bytes are kept: how it began and how it ended.
const (
	headLimit = 64 << 10
	tailLimit = 256 << 10
)

// capture keeps what a program writes and tells waiters about it.
type capture struct {
	mu      sync.Mutex
	head    []byte
	tail    []byte
	dropped int64
	wake    chan struct{}
}

func newCapture() *capture { return &capture{wake: make(chan struct{})} }

// Write keeps b; it never fails and never blocks the writing program.
func (c *capture) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(b)
	if room := headLimit - len(c.head); room > 0 {
		k := min(room, len(b))
		c.head = append(c.head, b[:k]...)
		b = b[k:]
	}
	c.tail = append(c.tail, b...)
	if over := len(c.tail) - tailLimit; over > 0 {
		c.dropped += int64(over)
		c.tail = append(c.tail[:0], c.tail[over:]...)
	}
	close(c.wake)
	c.wake = make(chan struct{})
	return n, nil
}

// changed is closed at the next write. Take it before reading the text, so that no write is missed.
func (c *capture) changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wake
}

// String is the text kept.
func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped == 0 {
		return string(c.head) + string(c.tail)
	}
	return fmt.Sprintf("%s\n… %d bytes left out …\n%s", c.head, c.dropped, c.tail)
}
