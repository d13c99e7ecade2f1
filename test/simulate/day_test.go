package simulate

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
	"github.com/robowarden/robowarden/interlock"
)

// newDay is a robot that walks to and fro.
func newDay(t *testing.T, seed uint64) *Walker {
	t.Helper()
	k := NewWalker(t, seed)
	open := func() bool { return k.Motion() >= interlock.MotionLimited }
	for i := 0; !open(); i++ {
		if i == 300 {
			t.Fatalf("does not open: %s", k.State())
		}
		k.Run(100 * time.Millisecond)
	}
	return k
}

func (k *Walker) walk() {
	if p := k.World.Planner(); p.Pending() < 2 {
		p.Do(sim.Drive(0.8, sim.Point{X: 12, Y: 12}), sim.Wait(3*time.Second), sim.Drive(0.6, sim.Point{X: 5, Y: 12}), sim.Wait(20*time.Second))
	}
}

// until runs until the condition holds, and fails after limit.
func (k *Walker) until(what string, limit time.Duration, cond func() bool) {
	k.tb.Helper()
	for end := k.World.Now() + limit; !cond(); k.Run(50 * time.Millisecond) {
		if k.World.Now() > end {
			k.tb.Fatalf("not within %v: %s; %+v; %s", limit, what, k.World.Truth(), k.State())
		}
	}
}

// low is a charge from which the way down begins within a minute or so.
func (k *Walker) low() float64 {
	c := &k.Params.Posture.Config
	return c.Battery.Floor + c.Battery.PerSecond*c.Need().Seconds() + 0.0005
}

// TestWalkerKneelsInTime: end to end, the simulated humanoid is held while its battery runs low, or its motors get hot; its stop service
// hangs, refuses and lies for a while. It kneels before it would fall, and only once it stands.
func TestWalkerKneelsInTime(t *testing.T) {
	s := seed(t)
	type scene struct {
		begin func(k *Walker)
		fault sim.Fault
		cause interlock.Trigger
	}
	scenes := map[string]scene{
		"battery, held": {func(k *Walker) { k.World.Desk().SetAway(true); k.World.SetCharge(k.low()) }, 0, interlock.PostureDue},
		"heat":          {func(k *Walker) { k.Celsius, k.Warm = 70, 0.19 }, 0, interlock.PostureDue},
		"service hangs": {func(k *Walker) { k.World.SetCharge(k.low()) }, sim.FaultStopHangs, interlock.PostureFailed},
	}
	if long {
		scenes["battery, on a walk"] = scene{func(k *Walker) { k.World.SetCharge(k.low()) }, 0, interlock.PostureDue}
		scenes["service refuses"] = scene{func(k *Walker) { k.World.SetCharge(k.low()) }, sim.FaultStopRefused, interlock.PostureFailed}
		scenes["service lies"] = scene{func(k *Walker) { k.World.SetCharge(k.low()) }, sim.FaultStopLies, interlock.PostureFailed}
	}
	for name, c := range scenes {
		t.Run(name, func(t *testing.T) {
			k := newDay(t, s)
			k.walk()
			k.Run(4 * time.Second)
			c.begin(k)
			if c.fault != 0 {
				k.World.SetFault(c.fault, true)
			}
			k.until(c.cause.String(), 4*time.Minute, func() bool { return k.Has(c.cause) })
			begun := k.World.Now()
			if c.fault != 0 {
				k.Run(5 * time.Second)
				if !k.Up() {
					t.Error("off: it kneels although its service does not work")
				}
				k.World.SetFault(c.fault, false)
			}
			k.until("kneels", time.Minute, func() bool { return !k.Up() })
			floor := k.Params.Posture.Config.Battery.Floor
			if charge := k.charge(); charge <= floor || k.Celsius >= 90 {
				t.Errorf("too late: a charge of %.4f, %.1f °C", charge, k.Celsius)
			}
			t.Logf("figures: %s: kneels %v after %s, with %.4f of charge left above empty, at %.0f °C", name, k.World.Now()-begun, c.cause, k.charge()-floor, k.Celsius)
			k.Run(20 * time.Second)
			if k.Has(interlock.MotionUntold) || k.Up() || k.OffStanding > 0 {
				t.Errorf("up %t, off standing %d: %s", k.Up(), k.OffStanding, k.State())
			}
			if _, lost, err := k.CloseRecords(); err != nil || lost > 0 {
				t.Errorf("records: %d lost, %v", lost, err)
			}
		})
	}
}

// charge is the battery's true one.
func (k *Walker) charge() float64 { return k.World.Charge() }

// trouble is something that goes wrong for a while.
type trouble struct {
	name       string
	begin, end func(k *Walker)
	// moves is true for what makes the base go on whatever anybody says; kneelFails for what keeps it from kneeling.
	moves, kneelFails bool
}

// troubles are all of them: the world's, and those of battery, motors, guard, disk and people.
func troubles() []trouble {
	var out []trouble
	for _, f := range sim.Faults() {
		out = append(out, trouble{
			f.String(), func(k *Walker) { k.World.SetFault(f, true) }, func(k *Walker) { k.World.SetFault(f, false) },
			f == sim.FaultRunaway || f == sim.FaultCommandsIgnored || f == sim.FaultForeignSource || f == sim.FaultForeignLock,
			f == sim.FaultStopHangs || f == sim.FaultStopRefused || f == sim.FaultStopLies,
		})
	}
	mute := func(name string) trouble {
		return trouble{name: name + " silent", begin: func(k *Walker) { k.Mute[name] = true }, end: func(k *Walker) { k.Mute[name] = false }}
	}
	none := func(*Walker) {}
	return append(out, mute("battery"), mute("heat"), mute("tick"),
		trouble{name: "battery low", begin: func(k *Walker) { k.World.SetCharge(k.low()) }, end: none},
		trouble{name: "battery low, held", begin: func(k *Walker) { k.World.Desk().SetAway(true); k.World.SetCharge(k.low()) }, end: func(k *Walker) { k.World.Desk().SetAway(false) }},
		trouble{name: "motors hot", begin: func(k *Walker) { k.Celsius, k.Warm = max(k.Celsius, 74), 0.19 }, end: func(k *Walker) { k.Warm = 0 }},
		trouble{name: "battery says NaN", begin: func(k *Walker) { k.Gauge = func(float64) float64 { return math.NaN() } }, end: func(k *Walker) { k.Gauge = func(r float64) float64 { return r } }},
		trouble{name: "guard killed", begin: func(k *Walker) { k.Kill() }, end: func(k *Walker) { k.Start() }},
		trouble{name: "disk fails", begin: func(k *Walker) { k.records.disk.broken.Store(true) }, end: func(k *Walker) { k.records.disk.broken.Store(false) }},
		trouble{name: "off does not answer", begin: func(k *Walker) { k.OffWorks = false }, end: func(k *Walker) { k.OffWorks = true }},
		trouble{name: "operator away", begin: func(k *Walker) { k.World.Desk().SetAway(true) }, end: func(k *Walker) { k.World.Desk().SetAway(false) }},
		trouble{name: "encoder lost", begin: func(k *Walker) { k.World.LoseEncoder(3, true) }, end: func(k *Walker) { k.World.LoseEncoder(3, false) }},
		trouble{name: "encoder NaN", begin: func(k *Walker) { k.World.SpoilEncoder(9, true) }, end: func(k *Walker) { k.World.SpoilEncoder(9, false) }},
		trouble{name: "planner mad", begin: func(k *Walker) { k.World.Planner().Fix(&msg.Twist{Linear: msg.Vec3{X: 0.9}}) }, end: func(k *Walker) { k.World.Planner().Fix(nil) }},
		trouble{name: "planner silent", begin: func(k *Walker) { k.World.Planner().Silence(true) }, end: func(k *Walker) { k.World.Planner().Silence(false) }},
	)
}

// judge holds against a robot what is unsafe, by the truth alone.
type judge struct {
	k *Walker
	// holds is since when the guard demands a hold, moving since when something makes the robot go; -1 while not so.
	holds, moving time.Duration
	bound         time.Duration
	dead          bool
	// gone is when something that makes the base go was there last.
	gone        time.Duration
	found       []string
	said        int
	stops, down int
	wasUp       bool
}

func newJudge(k *Walker) *judge {
	l, err := interlock.NewLadder(k.Params.Ladder)
	if err != nil {
		k.tb.Fatal(err)
	}
	return &judge{k: k, holds: -1, moving: -1, bound: l.Bound() + 2*time.Second, wasUp: true}
}

// look judges this moment. moves says that something makes the base go whatever anybody says: then the robot has to say so within the
// ladder's bound, and that is all that it can do.
func (j *judge) look(moves bool) {
	k := j.k
	now, v := k.World.Now(), k.speed()
	note := func(what string) {
		if len(j.found) < 20 {
			j.found = append(j.found, fmt.Sprintf("%v: %s (%.2f m/s): %s", now, what, v, k.State()))
		}
	}
	since := func(t *time.Duration, on bool) time.Duration {
		switch {
		case !on:
			*t = -1
			return 0
		case *t < 0:
			*t = now
		}
		return now - *t
	}
	if j.dead != k.dead {
		j.dead, j.holds, j.moving = k.dead, -1, -1 // a guard that has just started has its own time to stop the robot
	}
	const goes = 0.15 // m/s; what stands sways
	going := since(&j.moving, moves && v > goes)
	held := k.dead || k.Motion() <= interlock.MotionHold
	if j.holds < 0 && held {
		j.stops++
	}
	if since(&j.holds, held) > j.bound && v > goes {
		switch {
		case moves && (k.dead || going <= j.bound):
		case moves && (k.Has(interlock.StopUnconfirmed) || k.Has(interlock.MotionUntold)):
			j.said++
		default:
			note("goes although it is held")
		}
	}
	j.balance(note)
}

// balance judges whether it stands where it must not, and whether power was taken from it.
func (j *judge) balance(note func(what string)) {
	k := j.k
	up := k.Up()
	if j.wasUp && !up {
		j.down++
	}
	j.wasUp = up
	c := &k.Params.Posture.Config
	if up && (k.charge() <= c.Battery.Floor || k.Celsius >= -c.Heat.Floor) {
		if !k.dead && k.Has(interlock.PostureFailed) {
			j.said++
		} else {
			note(fmt.Sprintf("stands with %.4f of charge, at %.1f °C", k.charge(), k.Celsius))
		}
	}
	if k.OffStanding > 0 {
		note("its power is taken while it stands")
		k.OffStanding = 0
	}
}

// day runs a robot with troubles that come at random, gap apart on average, two at a time at most, and somebody who comes once
// each has gone: he charges and resets.
func (k *Walker) day(j *judge, d, gap time.Duration, seen map[string]int) {
	const slice = 200 * time.Millisecond
	list := troubles()
	type active struct {
		t   trouble
		end time.Duration
	}
	var now []active
	next := k.World.Now() + gap/2
	var calm time.Duration
	for end := k.World.Now() + d; k.World.Now() < end; {
		k.walk()
		k.Run(slice)
		at := k.World.Now()
		moves := at-j.gone < j.bound
		for _, a := range now {
			if a.t.moves {
				moves, j.gone = true, at
			}
		}
		j.look(moves)
		now = slices.DeleteFunc(now, func(a active) bool {
			if at < a.end {
				return false
			}
			a.t.end(k)
			return true
		})
		if at >= next && len(now) < 2 {
			t := list[k.rng.IntN(len(list))]
			if !slices.ContainsFunc(now, func(a active) bool { return a.t.name == t.name }) {
				seen[t.name]++
				t.begin(k)
				now = append(now, active{t, at + time.Duration(1+k.rng.IntN(60))*time.Second})
			}
			next = at + time.Duration(k.rng.Int64N(int64(2*gap)))
		}
		if len(now) > 0 {
			calm = at
		}
		if at-calm > 30*time.Second && !k.dead {
			if k.charge() < 0.2 {
				k.World.SetCharge(0.9)
			}
			if at-calm > 40*time.Second && k.Motion() <= interlock.MotionHold {
				k.World.Call(sim.Call{Service: sim.ServiceStop, ID: 0, On: false}) // it rises by its own
				k.Reset()
				calm = at
			}
		}
	}
	for _, a := range now {
		a.t.end(k)
	}
}

// resources are what a leak would make more.
type resources struct {
	objects    uint64
	goroutines int
	files      int
}

func measured(t *testing.T) resources {
	t.Helper()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return resources{m.HeapObjects, runtime.NumGoroutine(), len(fds)}
}

// TestADay lets a robot work a day, accelerated, with random troubles: it never rests unsafely, no record is lost that is not
// counted as lost, and nothing leaks. The journal is closed, read and verified part by part.
func TestADay(t *testing.T) {
	s := seed(t)
	whole := time.Duration(number(t, "ROBOWARDEN_DAY_MINUTES", 6, 24*60)) * time.Minute
	part, gap := 3*time.Minute, 20*time.Second
	if whole > time.Hour {
		part, gap = 15*time.Minute, 3*time.Minute
	}
	k := newDay(t, s)
	j := newJudge(k)
	seen := map[string]int{}
	var kept, lost, given uint64
	begun := time.Now()
	first := resources{}
	parts := int(whole / part)
	for i := range parts {
		k.day(j, part, gap, seen)
		given += k.records.given
		n, l, err := k.CloseRecords()
		kept, lost = kept+n, lost+l
		if err != nil {
			t.Errorf("records of part %d: %v", i, err)
		}
		k.openRecords()
		if i == 0 {
			first = measured(t)
		}
		if i%16 == 15 {
			t.Logf("so far %v: %d unsafe moments, %d times down", time.Duration(i+1)*part, len(j.found), j.down)
		}
	}
	last := measured(t)
	_, _, err := k.CloseRecords()
	if err != nil {
		t.Error(err)
	}
	total := 0
	for _, n := range seen {
		total += n
	}
	hours := (time.Duration(parts) * part).Hours()
	t.Logf("figures: %.2f simulated hours, seed %d: %d troubles of %d kinds; %d holds, %d times down, %d times power taken, all of them down; %d moments at which it could not rest, and said so; %.0f times real time",
		hours, s, total, len(seen), j.stops, j.down, k.Off, j.said, hours*3600/time.Since(begun).Seconds())
	t.Logf("figures: %d records given, %d kept and read again, %d counted as lost; after the first part %d heap objects, %d goroutines, %d descriptors, at the end %d, %d, %d",
		given, kept, lost, first.objects, first.goroutines, first.files, last.objects, last.goroutines, last.files)
	if len(j.found) > 0 {
		t.Errorf("%d unsafe moments, the first: %s", len(j.found), strings.Join(j.found[:min(3, len(j.found))], "\n"))
	}
	if given != kept+lost {
		t.Errorf("%d records given, %d kept and %d said to be lost", given, kept, lost)
	}
	if last.goroutines > first.goroutines || last.files > first.files || float64(last.objects) > 1.05*float64(first.objects)+2000 {
		t.Errorf("more at the end: %+v after %+v", last, first)
	}
	if hours >= 6 && (len(seen) < len(troubles()) || j.down < 5) {
		t.Errorf("only %d of %d kinds of trouble, %d times down", len(seen), len(troubles()), j.down)
	}
}

// TestADayIsJudged is the off case: a robot without a way down, one whose stops do nothing, and a journal with a hole are found.
func TestADayIsJudged(t *testing.T) {
	s := seed(t)
	t.Run("without a way down", func(t *testing.T) {
		k := newDay(t, s)
		k.Params.Posture.Config.Used = false
		k.Start()
		j := newJudge(k)
		k.World.SetCharge(0.0501)
		for range 300 {
			k.Run(200 * time.Millisecond)
			j.look(false)
		}
		if len(j.found) == 0 {
			t.Error("a robot that stands on an empty battery is not found")
		}
	})
	t.Run("goes on", func(t *testing.T) {
		k := newDay(t, s)
		j := newJudge(k)
		k.walk()
		k.Run(4 * time.Second)
		k.World.SetFault(sim.FaultRunaway, true)
		k.World.Desk().SetAway(true)
		for range 300 {
			k.Run(200 * time.Millisecond)
			j.look(false)
		}
		if len(j.found) == 0 {
			t.Error("a robot that goes on is not found")
		}
	})
	t.Run("a record is lost", func(t *testing.T) {
		k := newDay(t, s)
		k.Run(5 * time.Second)
		k.records.accepted[1]++
		if _, _, err := k.CloseRecords(); err == nil {
			t.Error("a record that is missing is not found")
		}
	})
}
