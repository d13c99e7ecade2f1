package guard

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// TestAResetResetsNothingThatFiredSince: whoever signed it had not seen that.
func TestAResetResetsNothingThatFiredSince(t *testing.T) {
	mark := func(n uint32) interlock.LatchMark { return interlock.LatchMark{Count: n, Since: time.Second} }
	var was Marks
	was.Latches[interlock.OrderStop], was.Latches[interlock.RestartUnclean], was.Latches[interlock.PoseStale] = mark(1), mark(1), mark(1)
	now := was
	now.Latches[interlock.RestartUnclean], now.Latches[interlock.ZoneInside], now.Latches[interlock.PoseStale] = mark(2), mark(1), interlock.LatchMark{}
	stopped := now
	stopped.Stops++
	set := interlock.Set
	for name, c := range map[string]struct {
		now        *Marks
		asked      interlock.TriggerSet
		all        bool
		set, again interlock.TriggerSet
	}{
		"nothing happened (off)":       {&was, set(), true, set(interlock.OrderStop, interlock.RestartUnclean, interlock.PoseStale), set()},
		"all":                          {&now, set(), true, set(interlock.OrderStop), set(interlock.RestartUnclean, interlock.ZoneInside)},
		"one":                          {&now, set(interlock.OrderStop), false, set(interlock.OrderStop), set()},
		"two, one of them new":         {&now, set(interlock.OrderStop, interlock.ZoneInside), false, set(interlock.OrderStop), set(interlock.ZoneInside)},
		"what is not latched":          {&now, set(interlock.PoseStale), false, set(interlock.PoseStale), set()},
		"a stop on top of one":         {&stopped, set(interlock.OrderStop), false, set(), set(interlock.OrderStop)},
		"a stop, and something else":   {&stopped, set(interlock.PoseStale), false, set(interlock.PoseStale), set()},
		"all, and a stop on top of it": {&stopped, set(), true, set(), set(interlock.OrderStop, interlock.RestartUnclean, interlock.ZoneInside)},
	} {
		if set, again := was.untouched(c.now, c.asked, c.all); set != c.set || again != c.again {
			t.Errorf("%s: %v and %v, expected %v and %v", name, set, again, c.set, c.again)
		}
		if got := was.Fired(c.now); got != (c.now != &was) {
			t.Errorf("%s: fired %t", name, got)
		}
	}
}
