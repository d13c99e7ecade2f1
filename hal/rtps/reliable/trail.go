package reliable

import (
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

const (
	// trailLength is how many numbers elsewhere are needed to believe in them.
	trailLength = 4
	// trailSlack is how far behind the trail's highest number a number may be that was overtaken on its way.
	trailSlack = 64
)

// trail follows numbers that come elsewhere than expected, until they are believed.
type trail struct {
	began time.Duration
	high  wire.SeqNum
	n     int
}

// follow notes a number. It tells whether trailLength of them, each at most window ahead of the last, have come over at
// least the time after. again lets the same number count as another sign, as with a heartbeat.
func (t *trail) follow(now time.Duration, seq wire.SeqNum, again bool, window int64, after time.Duration) bool {
	switch ahead := int64(seq - t.high); {
	case t.n == 0 || ahead < -trailSlack || ahead > window:
		*t = trail{began: now, high: seq, n: 1}
	case ahead > 0 || ahead == 0 && again:
		t.high = seq
		t.n = min(t.n+1, trailLength)
	}
	return t.n >= trailLength && now-t.began >= after
}

// reset forgets the trail: what is expected came.
func (t *trail) reset() { t.n = 0 }
