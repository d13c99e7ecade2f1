package rtps

import (
	"net/netip"
	"time"
)

// breath keeps a goroutine that reads a socket from computing without ever waiting: under a flood the socket is never empty,
// and the kernel kills a real-time process of which a thread has not waited for half a second (RLIMIT_RTTIME). So whoever
// has found something to read at once for a whole breathEvery rests for breathFor; all rest at the same time, for a thread
// that finds another goroutine to run does not wait. What comes meanwhile is in the socket's buffer.
type breath struct {
	reads  int
	period time.Duration
	waited bool
}

const (
	breathEvery = 100 * time.Millisecond
	breathFor   = time.Millisecond
	// breathLook is on every how many-th read it is looked whether it waits, and breathWait how long it takes if it does.
	breathLook = 16
	breathWait = 20 * time.Microsecond
)

// timed says whether the next read is to be timed.
func (b *breath) timed() bool {
	b.reads++
	return b.reads%breathLook == 0
}

// took notes how long a timed read took.
func (b *breath) took(d time.Duration) { b.waited = b.waited || d >= breathWait }

// due says how long to rest before the next read; now is when the last one ended.
func (b *breath) due(now time.Duration) time.Duration {
	period := now.Truncate(breathEvery)
	if period == b.period {
		return 0
	}
	// A goroutine that read little in the last period has waited, whether that was seen or not.
	rest := !b.waited && b.reads >= 2*breathLook && period == b.period+breathEvery
	*b = breath{period: period}
	if rest {
		return breathFor
	}
	return 0
}

// receive reads a datagram into e.buf; before, it rests if the socket is never empty. e.now is when the one before was read.
func (s *socket) receive(e *ear) (n int, from netip.AddrPort, err error) {
	if rest := e.breath.due(e.now); rest > 0 {
		time.Sleep(rest)
	}
	if !e.breath.timed() {
		return s.read(e)
	}
	start := e.p.cfg.Clock()
	n, from, err = s.read(e)
	e.breath.took(e.p.cfg.Clock() - start)
	return n, from, err
}
