package interlock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// onlyTheKeyFeeds checks that somebody without the key, who sees and may send again everything, does not keep a
// channel alive: it is lost within its time after the last authentic answer of its own.
func onlyTheKeyFeeds(t *rapid.T, authentic func(bool) bool) error {
	h, _ := NewHeartbeat(heartbeatConfig())
	now, n := time.Hour, uint64(0)
	var seen []Nonce
	issue := func() error {
		if !h.Due(now) {
			return nil
		}
		n++
		seen = append(seen, nonce(n))
		return h.Issue(now, nonce(n))
	}
	for _, level := range []Level{LevelStop, LevelRun} {
		now += 100 * ms
		if err := issue(); err != nil {
			return err
		}
		if got := h.Answer(now, seen[len(seen)-1], true, level); got != AnswerAccepted {
			return fault("the operator's answer: %v", got)
		}
	}
	end, answered := now+heartbeatConfig().LostAfter, len(seen)
	for now < end {
		now += time.Duration(rapid.IntRange(1, 10).Draw(t, "wait")) * 10 * ms
		if err := issue(); err != nil {
			return err
		}
		i := rapid.IntRange(0, len(seen)-1).Draw(t, "which")
		// A recorded answer is authentic; to another challenge the attacker can only guess.
		h.Answer(now, seen[i], authentic(i < answered), Level(rapid.IntRange(0, 1).Draw(t, "level"))) //nolint:gosec // small
	}
	if s := h.Status(now); s.Lost.State != Present {
		return fault("kept alive without the key: %+v", s)
	}
	return nil
}

func TestOnlyTheKeyFeeds(t *testing.T) {
	check(t, func(t *rapid.T) error { return onlyTheKeyFeeds(t, func(recorded bool) bool { return recorded }) })
	refuted(t, func(t *rapid.T) error { return onlyTheKeyFeeds(t, func(bool) bool { return true }) })
}

func TestHeartbeatStateRoundTrip(t *testing.T) {
	check(t, func(t *rapid.T) error {
		a, _ := NewHeartbeat(heartbeatConfig())
		b, _ := NewHeartbeat(heartbeatConfig())
		now, n := time.Hour, uint64(0)
		both := false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 20).Draw(t, "wait")) * 10 * ms
			if !both && rapid.IntRange(0, 9).Draw(t, "restore") == 9 {
				if err := b.RestoreState(a.AppendState(nil)); err != nil {
					return err
				}
				both = true
			}
			n++
			which := nonce(n - uint64(rapid.IntRange(0, 3).Draw(t, "which")))                                               //nolint:gosec // small
			authentic, level := rapid.IntRange(0, 5).Draw(t, "authentic") > 0, Level(rapid.IntRange(0, 1).Draw(t, "level")) //nolint:gosec // small
			_ = a.Issue(now, nonce(n))
			x := a.Answer(now, which, authentic, level)
			if both {
				_ = b.Issue(now, nonce(n))
				if y := b.Answer(now, which, authentic, level); x != y || a.Status(now) != b.Status(now) {
					return fault("%v %+v, restored %v %+v", x, a.Status(now), y, b.Status(now))
				}
			} else {
				a.Status(now)
			}
		}
		return nil
	})
}
