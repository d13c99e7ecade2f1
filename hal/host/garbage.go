package host

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How often what was allocated is looked at while work is done aside, and how many bytes of it are collected.
const (
	collectEvery = 2 * time.Millisecond
	collectAt    = 4 << 20
)

// garbage keeps the collector from running beside work that is done aside.
//
// The collector stops one thread after the other to look at its stack. It sends a signal and spins until that one answers, in
// the guard's real-time class. An ordinary thread that is queued on the very processor on which the collector spins cannot
// answer: the kernel gives starved classes their 50 ms after 0.95 s, and until then the path finds no processor of the
// runtime's either. On a computer that is busy with ordinary work, half of the flight recordings held up the guard so.
//
// So the collector does not run by itself meanwhile. A goroutine in the guard's class looks what was allocated, and when it is
// time it gives the work's threads that class as well, for the milliseconds that a collection takes.
var garbage heap

// heap is the process's heap, its collector held off by works that go on.
type heap struct {
	mu      sync.Mutex // held while garbage is collected: work that begins or ends meanwhile waits
	works   int
	threads []int // of works that are ordinary now
	percent int
	prio    int32 // of the process's threads
	ended   chan struct{}
	off     bool // in a test: the collector is left as it is
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
	h.ended = make(chan struct{})
	go h.watch(h.ended)
}

// release has the collector run by itself again once the last work is done.
func (h *heap) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.works--; h.works > 0 || h.off {
		return
	}
	close(h.ended)
	debug.SetGCPercent(h.percent)
}

// leave makes the calling thread, which the caller has locked, an ordinary one. It returns its number for [heap.back].
func (h *heap) leave() (tid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	tid = unix.Gettid()
	h.threads = append(h.threads, tid)
	_ = setThreadClass(0, ordinary, 0)
	return tid
}

// back gives the calling thread the class of the others for what is left, its end: the collector runs again.
func (h *heap) back(tid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.threads = slices.DeleteFunc(h.threads, func(t int) bool { return t == tid })
	_ = setThreadClass(0, roundRobin, h.prio)
}

// watch collects what gathers until the last work has ended.
func (h *heap) watch(ended <-chan struct{}) {
	look := time.NewTicker(collectEvery)
	defer look.Stop()
	left := allocated()
	for {
		select {
		case <-ended:
			return
		case <-look.C:
		}
		if allocated()-left >= collectAt {
			h.collect()
			left = allocated()
		}
	}
}

// collect collects garbage while the works' threads have the class of the others. Where they may not have it, it collects all
// the same: memory is what the robot needs as well.
func (h *heap) collect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, tid := range h.threads {
		_ = setThreadClass(tid, roundRobin, h.prio)
	}
	runtime.GC()
	for _, tid := range h.threads {
		_ = setThreadClass(tid, ordinary, 0)
	}
}

// allocated is how many bytes were ever allocated on the heap.
func allocated() uint64 {
	s := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s[:])
	return s[0].Value.Uint64()
}
