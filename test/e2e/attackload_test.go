package e2e

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// loadTick is the period at which the machine is looked at.
	loadTick = 10 * time.Millisecond
	// lateTick is how late the look may come before the machine counts as starved: more than twice the longest slice of
	// the kernel's scheduler.
	lateTick = 20 * time.Millisecond
)

// machineLoad tells when this process, which has the same priority as the robots, their planners and the attackers, was kept waiting for a
// processor. Figures that were measured meanwhile are the machine's as much as the guard's.
type machineLoad struct {
	mu sync.Mutex
	// late are the moments on CLOCK_BOOTTIME at which a look came too late, and by how much.
	late []lateLook
}

type lateLook struct{ due, at time.Duration }

// machine is the one on which all lanes run.
var machine machineLoad

// watch looks at the machine until its result is called, which says in one line how busy it was.
func (m *machineLoad) watch() func() string {
	stop := make(chan struct{})
	var looks, late int
	var worst time.Duration
	var all sync.WaitGroup
	busy0, total0 := processors()
	all.Go(func() {
		tick := time.NewTicker(loadTick)
		defer tick.Stop()
		last := boottime()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			now := boottime()
			if by := now - last - loadTick; by > lateTick {
				m.mu.Lock()
				m.late = append(m.late, lateLook{last + loadTick, now})
				m.mu.Unlock()
				late++
				worst = max(worst, by)
			}
			looks++
			last = now
		}
	})
	return func() string {
		close(stop)
		all.Wait()
		busy, total := processors()
		return fmt.Sprintf("processors busy %.0f %%; of %d looks at the machine %d came more than %v late, at worst %v",
			100*float64(busy-busy0)/max(float64(total-total0), 1), looks, late, lateTick, worst.Round(time.Millisecond))
	}
}

// starved says whether somebody waited for a processor in that time.
func (m *machineLoad) starved(from, to time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.late, func(l lateLook) bool { return l.due < to && l.at > from })
}

// processors is the time that all processors were busy, and all of it, in the kernel's ticks.
func processors() (busy, total uint64) {
	raw, _ := os.ReadFile("/proc/stat") // Without it the figure is 0.
	line, _, _ := strings.Cut(string(raw), "\n")
	for i, f := range strings.Fields(line) {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil || i > 8 {
			continue // the name, and what guests had, which is counted already
		}
		total += n
		if i != 4 && i != 5 { // idle, and waiting for a disk
			busy += n
		}
	}
	return busy, total
}
