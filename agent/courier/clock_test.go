package courier

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// fakeClock stands still until it is told to jump to its next timer.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Duration
	timers []*fakeTimer
}

type fakeTimer struct {
	at time.Duration
	c  chan time.Time
}

func newFakeClock() *fakeClock { return &fakeClock{} }

func (f *fakeClock) Boot() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeClock) Civil() (time.Time, string) {
	return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).Add(f.Boot()), TimeTrusted
}

func (f *fakeClock) After(d time.Duration) (<-chan time.Time, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	timer := &fakeTimer{at: f.now + d, c: make(chan time.Time, 1)}
	f.timers = append(f.timers, timer)
	return timer.c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.timers = slices.DeleteFunc(f.timers, func(t *fakeTimer) bool { return t == timer })
	}
}

// jump waits for a timer and goes to the first one.
func (f *fakeClock) jump(t testing.TB) {
	t.Helper()
	until(t, "a timer", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.timers) == 0 {
			return false
		}
		first := slices.MinFunc(f.timers, func(a, b *fakeTimer) int { return int(a.at - b.at) })
		f.now = max(f.now, first.at)
		first.c <- time.Time{}
		f.timers = slices.DeleteFunc(f.timers, func(t *fakeTimer) bool { return t == first })
		return true
	})
}
