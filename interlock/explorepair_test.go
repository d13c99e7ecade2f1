package interlock

import (
	"errors"
	"fmt"
	"hash/maphash"
)

// pairNode is two states that differ by one trigger.
type pairNode struct {
	id   int32
	half [2]node
}

// explorePairs explores two machines side by side, with the same events in both, but that the condition of the plan's first
// trigger changes in the second alone: now or later, that one is never looser. Where a reset ends another trigger in
// one of the two only, people have decided something else for each, and the pair is not followed any further. It returns
// the number of pairs.
func explorePairs(p plan, wrong func(s *system)) (int, error) {
	x, err := newExplorer(p)
	if err != nil {
		return 0, err
	}
	begun, err := x.begin()
	if err != nil {
		return 0, err
	}
	x.canonical(begun)
	x.base = append([]byte(nil), x.parts(begun)...)
	w := &pairs{x: x, wrong: wrong}
	level := []pairNode{w.see(begun, begun, -1, -1)}
	for len(level) > 0 {
		var next []pairNode
		for i := range level {
			more, err := w.expand(&level[i])
			if err != nil {
				return len(x.first), err
			}
			next = append(next, more...)
		}
		if len(x.first) > x.most {
			return len(x.first), fmt.Errorf("%s: %d pairs and no fixpoint, expected at most %d", x.name, len(x.first), x.most)
		}
		level = next
	}
	return len(x.first), nil
}

// pairs is such an exploration under way.
type pairs struct {
	x     *explorer
	wrong func(s *system)
}

// see takes a pair; its id is -1 if it was known.
func (w *pairs) see(a, b *system, from int32, event int) pairNode {
	var key [2]uint64
	var n pairNode
	for i, s := range [2]*system{a, b} {
		bytes := w.x.parts(s)
		n.half[i] = node{diff: diff(w.x.base, bytes), env: s.env, spec: s.spec}
		for j, seed := range w.x.seeds {
			var h maphash.Hash
			h.SetSeed(seed)
			maphash.WriteComparable(&h, key[j])
			_, _ = h.Write(n.half[i].diff)
			maphash.WriteComparable(&h, s.env)
			maphash.WriteComparable(&h, s.spec)
			key[j] = h.Sum64()
		}
	}
	if _, ok := w.x.known[key]; ok {
		return pairNode{id: -1}
	}
	n.id = int32(len(w.x.first)) //nolint:gosec // bounded by most
	w.x.known[key] = n.id
	w.x.first = append(w.x.first, origin{from, int16(event)}) //nolint:gosec // a few tens
	return n
}

func (w *pairs) expand(n *pairNode) ([]pairNode, error) {
	var a0, b0, a, b system
	if err := errors.Join(w.x.restore(&n.half[0], &a0), w.x.restore(&n.half[1], &b0)); err != nil {
		return nil, err
	}
	a0.clock, b0.clock = epoch, epoch
	var fresh []pairNode
	for i := range w.x.events {
		ev := &w.x.events[i]
		a, b = a0, b0
		errA := w.x.apply(&a, either(ev))
		errB := w.x.apply(&b, ev)
		if errors.Is(errB, errCannot) {
			continue
		}
		if err := errors.Join(errA, errB); err != nil {
			return nil, &counterexample{err.Error(), append(w.x.path(n.id), ev.name)}
		}
		wrong := b
		w.wrong(&wrong)
		if !wrong.d.Axes.TightAs(a.d.Axes) {
			return nil, &counterexample{
				fmt.Sprintf("one more trigger never loosens: with %v %v, without it %v", w.x.moved[0], &wrong, &a), append(w.x.path(n.id), ev.name),
			}
		}
		if a.ask != nil && a.res.Done != without(b.res.Done, w.x.moved[0]) {
			continue
		}
		w.x.canonical(&a)
		w.x.canonical(&b)
		if more := w.see(&a, &b, n.id, i); more.id >= 0 {
			fresh = append(fresh, more)
		}
	}
	return fresh, nil
}

// either is what happens to the first of two machines: nothing, where the second's one more trigger changes.
func either(ev *event) *event {
	if ev.moves == 1 {
		return &event{act: func(*explorer, *system) bool { return true }}
	}
	return ev
}

func without(s TriggerSet, t Trigger) TriggerSet {
	s.Remove(t)
	return s
}
