package interlock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// Model exploration: every state that the machine, the gate and the ladder can come to is visited, breadth first, until
// there is no new one, with every event in every state. It is the product itself that runs, not a model of it: a state is
// put together from AppendState's bytes and taken apart by RestoreState.
//
// Two things make the states finite. Time goes by in quanta, and every duration of the rules is a whole number of them.
// And a state is brought into one canonical form: its clock is set back to the epoch, and what nothing decides on any
// more is forgotten. An age counts no further once it is past the longest time that anything compares it with; counters
// and texts are cleared; what belongs to a trigger that is not active, or to a rung that has been passed, is cleared as
// well. That this loses nothing is not only argued, beside each line in explorestate_test.go: TestCanonicalFormLosesNothing
// runs the product with and without it side by side.
//
// The rules that the states are held against are in explorespec_test.go. They keep a memory of their own, written from
// TRIGGERS.md and the doc comments, so a machine that forgets something cannot make them forget it too.
const (
	quantum = 100 * ms
	epoch   = time.Hour
	// maxSubjects bounds the triggers of one plan: those that its events move, and those that the parts themselves raise.
	maxSubjects = 9
)

// plan is one exploration: what takes part, and what can happen.
type plan struct {
	name string
	// moved are the triggers whose conditions the events change.
	moved []Trigger
	// start is the state of all of them in the beginning.
	start State
	// subjects are moved and those that machine and ladder raise by themselves; filled in by newExplorer.
	subjects []Trigger
	rules    func(p *Policy)
	// gate and ladder say whether these take part.
	gate, ladder bool
	cfg          LadderConfig
	// overrides say who may override what; the zero value lets nobody.
	overrides OverridePolicy
	events    []event
	// most is the largest number of states; more of them is a failure, for then the plan has not been finished.
	most int
	// wrong makes a part wrong on purpose.
	wrong wrong
}

// event is one thing that can happen. act changes the surroundings or asks for something; false says that it cannot
// happen in this state.
type event struct {
	name string
	act  func(x *explorer, s *system) bool
	// worse says that no decision may become looser by it; moves is the place of the trigger whose condition changes, from 1.
	worse bool
	moves int
}

// wrong are places at which an off run goes wrong.
type wrong struct {
	after  func(x *explorer, s *system)                    // after it
	reset  func(x *explorer, s *system, req *ResetRequest) // before a reset
	gate   func(s *system, in *GateInput)                  // before the gate's step
	ladder func(s *system, in *LadderInput)                // before the ladder's step
	reboot func(stored []byte, m *Machine) (keep bool)     // instead of restoring the latches
	early  bool                                            // resets are judged by the time of the last look
	look   func(in *Inputs)                                // what the machine is told
	late   func(s *system)                                 // after the ladder's step
	over   func(s *system, req *OverrideRequest)           // before an override
	lasts  func(s *system)                                 // before the overrides' step
}

// node is a state that waits for its events.
type node struct {
	id   int32
	diff []byte
	env  surroundings
	spec spec
}

// origin says how a state was first come to.
type origin struct {
	from  int32
	event int16
}

// explorer runs one plan.
type explorer struct {
	plan
	policy Policy
	in     Inputs
	gcfg   GateConfig
	base   []byte
	known  map[[2]uint64]int32
	first  []origin
	// rest is the state to which a state comes when only time passes.
	rest        []int32
	transitions int
	buf         []byte
	seeds       [2]maphash.Seed
	calm        []bool // nothing is present and everything is seen
	docks       bool   // some rule of a subject asks to dock
	flaps       bool   // as many trips as latch find room in the window
}

// rules that every plan shares: each duration a whole number of quanta.
func quantised(change func(p *Policy)) Policy {
	p := DefaultPolicy()
	p.FlapTrips, p.FlapWindow, p.FlapMerge, p.MaxGap, p.DockDwell, p.SecondPerson = 2, quantum, quantum, quantum, quantum, 2*quantum
	for t := range NumTriggers {
		r := &p.Rules[t]
		r.StartDelay = 0
		if r.Dwell > 0 {
			r.Dwell = quantum
		}
	}
	change(&p)
	return p
}

func newExplorer(p plan) (*explorer, error) {
	x := &explorer{plan: p, policy: quantised(p.rules).Effective(), known: map[[2]uint64]int32{}, in: *calm()}
	x.subjects = append(append(x.subjects, p.moved...), Startup, LatchUnreadable)
	if p.ladder {
		x.subjects = append(x.subjects, StopUnconfirmed, MotionUntold)
	}
	if len(x.subjects) > maxSubjects {
		return nil, fmt.Errorf("%d subjects, expected at most %d", len(x.subjects), maxSubjects)
	}
	for _, t := range x.subjects {
		x.docks = x.docks || x.policy.Rules[t].Constraint.Motion == MotionDockOnly
	}
	x.flaps = int(x.policy.FlapWindow/x.policy.FlapMerge) >= x.policy.FlapTrips
	x.gcfg = GateConfig{CommandTimeout: 2 * quantum, MaxSkew: quantum, ZeroPeriod: quantum, RadiusM: 0.5}
	x.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	return x, nil
}

// parts returns the bytes of machine, gate and ladder, each after its length.
func (x *explorer) parts(s *system) []byte {
	b := x.buf[:0]
	for _, appendState := range []func([]byte) []byte{s.m.AppendState, s.g.AppendState, s.l.AppendState, s.o.AppendState} {
		at := len(b)
		b = appendState(append(b, 0, 0, 0, 0))
		binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4)) //nolint:gosec // a few kilobytes
	}
	x.buf = b
	return b
}

// restore puts the system of a node together again.
func (x *explorer) restore(n *node, s *system) error {
	b := undiff(x.base, n.diff)
	for _, restoreState := range []func([]byte) error{s.m.RestoreState, s.g.RestoreState, s.l.RestoreState, s.o.RestoreState} {
		size := binary.LittleEndian.Uint32(b)
		if err := restoreState(b[4 : 4+size]); err != nil {
			return err
		}
		b = b[4+size:]
	}
	s.env, s.spec = n.env, n.spec
	return nil
}

// diff stores b as what differs from base; undiff is its reverse. A state has kilobytes, of which some tens differ.
func diff(base, b []byte) []byte {
	out := binary.AppendUvarint(nil, uint64(len(b)))
	for i, last := 0, 0; i < len(b); {
		if i < len(base) && b[i] == base[i] {
			i++
			continue
		}
		j := i
		for j < len(b) && (j >= len(base) || b[j] != base[j]) {
			j++
		}
		out = binary.AppendUvarint(out, uint64(i-last)) //nolint:gosec // grows
		out = binary.AppendUvarint(out, uint64(j-i))    //nolint:gosec // grows
		out = append(out, b[i:j]...)
		i, last = j, j
	}
	return append([]byte(nil), out...)
}

func undiff(base, d []byte) []byte {
	size, n := binary.Uvarint(d)
	b := make([]byte, size)
	copy(b, base)
	at := 0
	for d = d[n:]; len(d) > 0; {
		skip, n := binary.Uvarint(d)
		length, m := binary.Uvarint(d[n:])
		d = d[n+m:]
		at += int(skip)                     //nolint:gosec // as written
		at += copy(b[at:], d[:int(length)]) //nolint:gosec // as written
		d = d[int(length):]                 //nolint:gosec // as written
	}
	return b
}

// visit takes a state in its canonical form; fresh says that it was not known.
func (x *explorer) visit(s *system, from int32, event int) (id int32, n node, fresh bool) {
	b := x.parts(s)
	if x.base == nil {
		x.base = append([]byte(nil), b...)
	}
	var key [2]uint64
	for i, seed := range x.seeds {
		var h maphash.Hash
		h.SetSeed(seed)
		_, _ = h.Write(b)
		maphash.WriteComparable(&h, s.env)
		maphash.WriteComparable(&h, s.spec)
		key[i] = h.Sum64()
	}
	if id, ok := x.known[key]; ok {
		return id, node{}, false
	}
	id = int32(len(x.first)) //nolint:gosec // bounded by most
	x.known[key] = id
	x.first = append(x.first, origin{from, int16(event)}) //nolint:gosec // a few tens
	x.rest = append(x.rest, -1)
	x.calm = append(x.calm, s.env.calm(len(x.moved)))
	return id, node{id: id, diff: diff(x.base, b), env: s.env, spec: s.spec}, true
}

// path names the events that lead to a state by the shortest way.
func (x *explorer) path(id int32) []string {
	var out []string
	for ; x.first[id].from >= 0; id = x.first[id].from {
		out = append([]string{x.events[x.first[id].event].name}, out...)
	}
	return out
}

// counterexample is a broken rule with the shortest way to it.
type counterexample struct {
	rule string
	way  []string
}

func (c *counterexample) Error() string {
	return fmt.Sprintf("%s\n  by: %s", c.rule, strings.Join(c.way, " → "))
}

// run explores until nothing is new. It returns a *counterexample for a broken rule.
func (x *explorer) run() error {
	s, err := x.begin()
	if err != nil {
		return err
	}
	x.canonical(s)
	_, n, _ := x.visit(s, -1, -1)
	level := []node{n}
	for len(level) > 0 {
		var next []node
		for i := range level {
			more, err := x.expand(&level[i], s)
			if err != nil {
				return err
			}
			next = append(next, more...)
			level[i].diff = nil
		}
		if len(x.first) > x.most {
			return fmt.Errorf("%s: %d states, of them %d new in the last level, and no fixpoint: expected at most %d; make the plan smaller", x.name, len(x.first), len(next), x.most)
		}
		level = next
	}
	return x.rests(s)
}

// expand tries every event in one state.
func (x *explorer) expand(n *node, s *system) ([]node, error) {
	if err := x.restore(n, s); err != nil {
		return nil, fmt.Errorf("RestoreState refuses what AppendState wrote: %w", err)
	}
	from := *s
	still := *s
	still.now, still.gin = epoch, GateInput{Ratio: 1, MaxSpeedMPS: math.Inf(1)}
	x.step(&still)
	var fresh []node
	for i := range x.events {
		ev := &x.events[i]
		*s = from
		err := x.apply(s, ev)
		if errors.Is(err, errCannot) {
			continue
		}
		x.transitions++
		if err == nil && ev.worse && !s.d.Axes.TightAs(still.d.Axes) {
			err = fmt.Errorf("one more trigger never loosens: %v became %v", still.d.Axes, s.d.Axes)
		}
		if err != nil {
			return nil, &counterexample{err.Error(), append(x.path(n.id), ev.name)}
		}
		x.canonical(s)
		id, more, isNew := x.visit(s, n.id, i)
		if i == 0 {
			x.rest[n.id] = id
		}
		if isNew {
			fresh = append(fresh, more)
		}
	}
	return fresh, nil
}

var errCannot = errors.New("the event cannot happen here")

// rests checks that by time alone every state comes to a state that stays, and that people can then release the robot
// unless what holds it says never.
func (x *explorer) rests(s *system) error {
	const unvisited, under, done = 0, 1, 2
	mark := make([]uint8, len(x.rest))
	for id := range x.rest {
		at := int32(id) //nolint:gosec // bounded by most
		var way []int32
		for mark[at] == unvisited {
			mark[at] = under
			way = append(way, at)
			if x.rest[at] == at {
				if err := x.released(at, s); err != nil {
					return err
				}
				break
			}
			at = x.rest[at]
		}
		if mark[at] == under && x.rest[at] != at {
			return &counterexample{"never comes to rest: by time alone it goes round in a circle", x.path(at)}
		}
		for _, w := range way {
			mark[w] = done
		}
	}
	return nil
}

// released checks a state at rest.
func (x *explorer) released(id int32, s *system) error {
	if !x.calm[id] {
		return nil
	}
	if err := x.replay(id, s); err != nil {
		return err
	}
	if err := x.release(s); err != nil {
		return &counterexample{err.Error(), append(x.path(id), "everybody resets everything, and time passes")}
	}
	return nil
}

// release does what people do in the end: they see the robot stand, and reset all that may be reset.
func (x *explorer) release(s *system) error {
	wait := func(n int) error {
		for range n {
			if err := x.apply(s, &x.events[0]); err != nil {
				return err
			}
		}
		return nil
	}
	s.env.motion = Standing
	if err := wait(8); err != nil {
		return err
	}
	everybody := event{act: func(x *explorer, s *system) bool { return x.request(s, every(), anna, ben, cleo, dirk) }}
	if err := x.apply(s, &everybody); err != nil {
		return err
	}
	if err := wait(8); err != nil {
		return err
	}
	for i, t := range x.subjects {
		if s.spec.t[i].latched && s.m.demand(t) == ClearNever {
			return nil
		}
	}
	if s.d.Axes != Unrestricted() {
		return fmt.Errorf("every state comes to rest and can be released: %v", s)
	}
	return nil
}

// replay brings s into a state again, by the way to it.
func (x *explorer) replay(id int32, s *system) error {
	var way []int16
	for ; x.first[id].from >= 0; id = x.first[id].from {
		way = append(way, x.first[id].event)
	}
	begun, err := x.begin()
	if err != nil {
		return err
	}
	*s = *begun
	x.canonical(s)
	for _, i := range slices.Backward(way) {
		if err := x.apply(s, &x.events[i]); err != nil {
			return err
		}
		x.canonical(s)
	}
	return nil
}

// takesSeconds leaves a test out of -short, with which test/mutate tries hundreds of mutants.
func takesSeconds(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("an exploration takes seconds")
	}
}

// explore runs a plan that must hold, and prints how much there was.
func explore(t *testing.T, p plan) {
	t.Helper()
	takesSeconds(t)
	x, err := newExplorer(p)
	if err != nil {
		t.Fatal(err)
	}
	err = x.run()
	t.Logf("%s: %d states, %d transitions, fixpoint %v", p.name, len(x.first), x.transitions, err == nil)
	if err != nil {
		t.Fatal(err)
	}
}
