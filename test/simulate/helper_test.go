package simulate

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// seed is printed with every run; ROBOWARDEN_SEED repeats one.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := uint64(time.Now().UnixNano()) //nolint:gosec // any number does
	if v, err := strconv.ParseUint(os.Getenv("ROBOWARDEN_SEED"), 10, 64); err == nil {
		s = v
	}
	t.Logf("seed %d (repeat with ROBOWARDEN_SEED=%d)", s, s)
	return s
}

// number is how many a test does: the short run's or the long run's, unless the environment says otherwise.
func number(t *testing.T, variable string, short, full int) int {
	t.Helper()
	n := short
	if long {
		n = full
	}
	if v, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		n = v
	}
	return n
}

// spread calls f for every number below n, on all processors.
func spread(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
