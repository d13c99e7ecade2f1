package host

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// Bounds of the garbage that gathers while work is done aside, in bytes: from collectAt on [Collect] collects it, and at
// mostGarbage it is collected whatever the work does, since memory is what the robot needs as well.
const (
	collectAt   = 2 << 20
	mostGarbage = 16 << 20
)

// garbage keeps the collector from running beside work that is done aside.
//
// The collector stops one thread after the other to look at its stack. It sends a signal and spins until that one answers, in
// the guard's real-time class. An ordinary thread that is queued on the very processor on which the collector spins cannot
// answer: the kernel gives starved classes their 50 ms after 0.95 s, and until then the path finds no processor of the
// runtime's either. On a computer that is busy with ordinary work, half of the flight recordings held up the guard so.
var garbage heap

// heap is the process's heap, its collector held off by works that go on.
type heap struct {
	mu      sync.Mutex
	works   int
	percent int
	prio    int32 // the priority of the process's threads
	limit   int64
	left    uint64 // what was allocated in all when garbage was last collected
	off     bool   // in a test: the collector is left as it is
}

// hold begins without garbage, so that what gathers is the work's, and without spans that are still to be swept: those are
// waited for by spinning, too.
func (h *heap) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.works++; h.works > 1 || h.off {
		return
	}
	h.prio = priority()
	runtime.GC()
	h.percent = debug.SetGCPercent(-1)
	total, allocated := inUse()
	h.left = allocated
	h.limit = debug.SetMemoryLimit(int64(min(total+mostGarbage, math.MaxInt64))) //nolint:gosec // bounded here
}

// release has the collector run again once the last work is done.
func (h *heap) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.works--; h.works > 0 || h.off {
		return
	}
	debug.SetMemoryLimit(h.limit)
	debug.SetGCPercent(h.percent)
}

// rise gives the calling thread, which works aside, the class of the others again.
func (h *heap) rise() error { return setThreadClass(roundRobin, h.prio) }

// Collect is called by work aside where it is between two pieces, every few hundred microseconds. It collects garbage, if much
// has gathered. The work's thread has the class of the others meanwhile, so nobody waits for an ordinary one. Beside other
// work, and where the collector runs as always, it does nothing.
func Collect() {
	h := &garbage
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.works != 1 || h.off {
		return
	}
	if _, allocated := inUse(); allocated-h.left < collectAt || h.rise() != nil {
		return
	}
	runtime.GC()
	_, h.left = inUse()
	_ = setThreadClass(ordinary, 0) // As Aside did it.
}

// inUse returns how many bytes the runtime holds of the computer's memory, as its memory limit counts them, and how many
// were ever allocated.
func inUse() (total, allocated uint64) {
	s := [...]metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(s[:])
	return s[0].Value.Uint64() - s[1].Value.Uint64(), s[2].Value.Uint64()
}
