package guard

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

var update = flag.Bool("update", false, "write docs/ladder.md anew")

// Every rung meets every fault: the real core decides, a robot follows nobody's commands any more (ROS is hostile), and only
// what a rung really does can stop it. All in virtual time, so that the table of times is the same on every computer.

// rungFault is how a rung's means fails.
type rungFault string

const (
	noFault    rungFault = "works"
	refuses    rungFault = "refuses"
	hangs      rungFault = "hangs"
	lies       rungFault = "lies"
	slow       rungFault = "is slow"
	gone       rungFault = "is gone"
	simAnswers           = 30 * time.Millisecond
	simLate              = 700 * time.Millisecond
	simReport            = 500 * time.Millisecond
)

var rungFaults = []rungFault{noFault, refuses, hangs, lies, slow, gone}

// rungKinds are the rungs that stop a robot, as a profile could have them.
var rungKinds = []interlock.Rung{
	{Kind: interlock.RungService, AckWithin: 200 * time.Millisecond},
	{Kind: interlock.RungZeroVelocity},
	{Kind: interlock.RungLock, Independent: true},
	{Kind: interlock.RungTopic, AckWithin: 200 * time.Millisecond},
	{Kind: interlock.RungRelay, AckWithin: 200 * time.Millisecond, Independent: true},
	{Kind: interlock.RungCAN, AckWithin: 200 * time.Millisecond, Independent: true},
	{Kind: interlock.RungGPIO, AckWithin: 200 * time.Millisecond, Independent: true, Effect: 100 * time.Millisecond},
	{Kind: interlock.RungWatchdog, AckWithin: 200 * time.Millisecond, Independent: true, Effect: 2 * time.Second},
}

func isDevice(k interlock.RungKind) bool {
	switch k {
	case interlock.RungRelay, interlock.RungCAN, interlock.RungGPIO, interlock.RungWatchdog:
		return true
	default:
		return false
	}
}

// means is what a rung does in the simulation.
type means struct {
	rung     interlock.Rung
	fault    rungFault
	device   int // its number among the actuators, -1 for none
	asserted bool
	since    time.Duration
	answered bool
	reported time.Duration
}

// effective says whether it brakes the robot now.
func (m *means) effective(now time.Duration) bool {
	delay := simAnswers + m.rung.Effect
	if m.fault == slow {
		delay = simLate + m.rung.Effect
	}
	return m.asserted && (m.fault == noFault || m.fault == slow) && now-m.since >= delay
}

// step does what the device's driver would do in this moment.
func (m *means) step(r *rig, i int) {
	on := r.asserted&(1<<i) != 0
	if on != m.asserted {
		m.asserted, m.since, m.answered = on, r.now, false
	}
	m.report(r)
	if !m.asserted || m.answered || m.rung.AckWithin == 0 || m.fault == hangs {
		return
	}
	after := simAnswers
	if m.fault == slow {
		after = simLate
	}
	if r.now-m.since < after {
		return
	}
	m.answered = true
	ok := m.fault == noFault || m.fault == slow || m.fault == lies
	r.apply(Event{Kind: EventAck, Ack: Ack{Rung: i, OK: ok}})
}

// report tells the device's health as its runner does; who hangs tells nothing.
func (m *means) report(r *rig) {
	if m.device < 0 || m.fault == hangs && m.asserted || r.now-m.reported < simReport && m.reported != 0 {
		return
	}
	m.reported = r.now
	f := DeviceWorks
	switch {
	case m.fault == gone:
		f = DeviceGone
	case m.fault == refuses && m.asserted:
		f = DeviceRefused
	}
	r.apply(Event{Kind: EventActuator, Actuator: ActuatorReport{Actuator: m.device, Fault: f, Running: !m.asserted}})
}

// cell is what one rung with one fault came to.
type cell struct {
	acked, rested time.Duration // after the stop order; -1 for never
	by            string
	advisory      bool
	unconfirmed   bool
	bound         time.Duration
}

// runRungs stops a robot that drives on whatever ROS says.
func runRungs(t *testing.T, base *Params, rungs []interlock.Rung, fault rungFault) cell {
	t.Helper()
	p := *base
	p.Ladder.Rungs, p.Ladder.N, p.Actuators, p.Advisory = [interlock.MaxRungs]interlock.Rung{}, len(rungs), nil, true
	all := make([]*means, len(rungs))
	for i, rung := range rungs {
		p.Ladder.Rungs[i] = rung
		all[i] = &means{rung: rung, fault: noFault, device: -1}
		if isDevice(rung.Kind) {
			all[i].device = len(p.Actuators)
			p.Actuators = append(p.Actuators, ActuatorParams{Name: rung.Kind.String(), Rung: i})
		}
		p.Advisory = p.Advisory && !rung.Independent
	}
	// That it drives untold is another trigger's business, which would ask for the rungs before they are asked here.
	slow := interlock.Unrestricted()
	slow.Motion, slow.MaxSpeedMPS = interlock.MotionLimited, 0.5
	p.Rules.Rules[interlock.MotionExcess].Constraint = slow
	r := newRig(t, &p, Start{})
	r.off["actuators"] = true // they report for themselves
	r.plant.x = 4.2
	hostile := false
	step := func() {
		r.step()
		braked := false
		for i, m := range all {
			m.step(r, i)
			braked = braked || m.effective(r.now)
		}
		if !hostile {
			return
		}
		r.plant.ignore, r.plant.queue = true, nil
		if r.plant.want.v = 0.5; braked {
			r.plant.want.v = 0
		}
	}
	span := func(d time.Duration, done func() bool) bool {
		for end := r.now + d; r.now < end; step() {
			if done() {
				return true
			}
		}
		return done()
	}
	if !span(20*time.Second, r.open) {
		t.Fatalf("does not open: %s", r.state())
	}
	span(2*time.Second, func() bool { return false })
	all[0].fault = fault // what breaks at the start holds the robot anyway
	if hostile = true; !span(3*time.Second, func() bool { return r.plant.v > 0.45 }) {
		t.Fatalf("does not drive: %v m/s", r.plant.v)
	}
	ordered := r.now
	r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderStop, Category: 2, Zone: geofence.NoZone}})
	c := cell{acked: -1, rested: -1, bound: r.core.ladder.Bound()}
	span(c.bound+4*time.Second, func() bool {
		out := &r.core.rungs
		if rec := out.Records[0]; rec.WasAcked && c.acked < 0 {
			c.acked = r.now - ordered
		}
		if c.rested < 0 && out.Phase == interlock.LadderConfirmed && r.plant.v == 0 {
			c.rested, c.by = r.now-ordered, rungs[out.Rung].Kind.String()
		}
		return false
	})
	s := r.core.status()
	c.advisory, c.unconfirmed = s.Advisory && r.active(interlock.Advisory), r.latched(interlock.StopUnconfirmed)
	if c.rested >= 0 && (r.plant.v != 0 || !s.AtRest || r.motion() != interlock.MotionStop) {
		t.Errorf("came to rest and left it: %v m/s, %s", r.plant.v, r.state())
	}
	checkTimes(t, r, rungs, ordered)
	return c
}

// checkTimes reads the rungs' times from the record that the journal gets.
func checkTimes(t *testing.T, r *rig, rungs []interlock.Rung, ordered time.Duration) {
	t.Helper()
	text, err := DescribeLadder(r.core.AppendLadder(nil))
	if err != nil {
		t.Fatal(err)
	}
	for i := range rungs {
		rec := &r.core.rungs.Records[i]
		if said := strings.Contains(text, fmt.Sprintf("rung %d requested", i)); said != rec.WasRequested || rec.WasRequested && rec.Requested < ordered {
			t.Errorf("rung %d requested %t at %v, journalled %t: %s", i, rec.WasRequested, rec.Requested-ordered, said, text)
		}
	}
}

// TestEveryRungMeetsEveryFault: alone, a rung that fails leaves a robot that says so; followed by another, it rests.
func TestEveryRungMeetsEveryFault(t *testing.T) {
	base := demoParams(t)
	var b strings.Builder
	b.WriteString(ladderHead)
	for _, rung := range rungKinds {
		for _, fault := range rungFaults {
			alone := runRungs(t, base, []interlock.Rung{rung}, fault)
			last := interlock.Rung{Kind: interlock.RungRelay, AckWithin: 200 * time.Millisecond, Independent: true}
			followed := runRungs(t, base, []interlock.Rung{rung, last}, fault)
			name := fmt.Sprintf("%s %s", rung.Kind, fault)
			judge(t, name, rung, fault, &alone, &followed, base)
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s, by %s | %s |\n", rung.Kind, fault, alone.ack(), alone.rest(), alone.says(), followed.rest(), followed.by,
				followed.says())
		}
	}
	path := filepath.Join("..", "..", "docs", "ladder.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), b.String()); diff != "" {
		t.Errorf("docs/ladder.md is not what the ladder does now (-file +now); go test ./agent/guard -run TestEveryRung -update\n%s", diff)
	}
}

// judge holds one cell against the stop contract.
func judge(t *testing.T, name string, rung interlock.Rung, fault rungFault, alone, followed *cell, base *Params) {
	t.Helper()
	const braking = 715 * time.Millisecond // from 0.5 m/s at 0.7 m/s²
	stand := rung.Effect + (base.Ladder.React+braking)/5*6 + base.Ladder.SettleDwell + base.Ladder.ConfirmDwell
	if fault == slow {
		stand += simLate
	}
	if stops := fault == noFault || fault == slow; stops {
		if alone.rested < 0 || alone.rested > stand+100*time.Millisecond {
			t.Errorf("%s: at rest after %v, expected within %v", name, alone.rested, stand)
		}
	} else if alone.rested >= 0 || !alone.advisory || !alone.unconfirmed {
		t.Errorf("%s alone: expected a robot that drives on and says so, found rest after %v, advisory %t, unconfirmed %t",
			name, alone.rested, alone.advisory, alone.unconfirmed)
	}
	if fault == noFault && rung.AckWithin > 0 && (alone.acked < 0 || alone.acked > 200*time.Millisecond) {
		t.Errorf("%s: acknowledged after %v", name, alone.acked)
	}
	if followed.rested < 0 || followed.rested > followed.bound+100*time.Millisecond || followed.unconfirmed {
		t.Errorf("%s, followed: at rest after %v within %v, unconfirmed %t", name, followed.rested, followed.bound, followed.unconfirmed)
	}
	if followed.advisory {
		t.Errorf("%s, followed: advisory although the last relay works", name)
	}
}

func (c *cell) ack() string { return after(c.acked) }

func (c *cell) rest() string {
	if c.rested < 0 {
		return "no rest"
	}
	return after(c.rested)
}

func (c *cell) says() string {
	switch {
	case c.unconfirmed && c.advisory:
		return "advisory, stop.unconfirmed"
	case c.unconfirmed:
		return "stop.unconfirmed"
	case c.advisory:
		return "advisory"
	}
	return "enforcing"
}

func after(d time.Duration) string {
	if d < 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

const ladderHead = `# Every rung, every fault

Written by ` + "`go test ./agent/guard -run TestEveryRungMeetsEveryFault -update`" + ` in virtual time with the guard's real core; do not edit.

A robot drives at 0.5 m/s and follows nobody's commands any more: ROS is hostile. A stop is ordered. Only what a rung really
does can brake it (0.7 m/s²). *Alone*, the rung is the whole ladder; *followed*, a relay that works comes after it. Times run
from the order: to the acknowledgement, and to the standstill confirmed by two measurements. A rung that *lies* says that it
did it; one that *is slow* answers and acts after 0.7 s; one that *hangs* says nothing any more. A toggled permit line (gpio)
falls 0.1 s after its last change, the watchdog bites after 2 s. Devices of a real kernel on an ARM64 computer, under their own
faults: [qualification/machine.md](qualification/machine.md), written by make machine.

| rung | it | acknowledged | alone: at rest | says | followed: at rest | says |
|---|---|---|---|---|---|---|
`
