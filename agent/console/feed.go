package console

import "sync"

// Feed is where snapshots come from. It is called by many goroutines.
type Feed interface {
	// Latest returns the newest snapshot, nil before the first, and a channel that is closed once there is a newer one.
	Latest() (*Snapshot, <-chan struct{})
}

// Board is a Feed that holds the newest snapshot for any number of readers. Publishing never waits for them. The zero
// value is ready to use.
type Board struct {
	mu     sync.Mutex
	latest *Snapshot
	newer  chan struct{}
}

// Publish makes s the newest snapshot. The caller does not change it afterwards.
func (b *Board) Publish(s *Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest = s
	if b.newer != nil {
		close(b.newer)
	}
	b.newer = make(chan struct{})
}

// Latest is Feed's.
func (b *Board) Latest() (*Snapshot, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.newer == nil {
		b.newer = make(chan struct{})
	}
	return b.latest, b.newer
}
