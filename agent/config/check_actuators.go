package config

import (
	"fmt"
	"slices"
	"time"
)

// deviceRungs are the kinds of rung that need a device.
var deviceRungs = []string{RungGPIO, RungCAN, RungRelay, RungWatchdog}

// maxAck is the longest that a device may take to acknowledge.
const maxAck = 200 * time.Millisecond

// checkActuators checks devices, inputs, and the rungs that use them.
func (d *document) checkActuators(p *Profile) {
	names := make([]string, len(p.Actuators))
	for i := range p.Actuators {
		names[i] = p.Actuators[i].Name
		d.checkActuator(p, i)
	}
	d.unique("actuators", "name", names)
	lines := map[string]string{}
	d.permitLines(p, lines)
	d.checkInputs(p, lines)
	used := map[string]int{}
	for i := range p.Ladder {
		d.checkDeviceRung(p, i, names, used)
	}
	for i, name := range names {
		if _, ok := used[name]; !ok && name != "" {
			d.wrong(at("actuators", i, "name"), "unused", "a rung of stop_ladder with actuator: "+name, "none",
				"a device that no rung uses would never be asked to stop the robot")
		}
	}
}

func (d *document) checkActuator(p *Profile, i int) {
	a, where := &p.Actuators[i], at("actuators", i)
	if a.sections() != 1 {
		d.wrong(where, ruleExclusive, "one of modbus, gpio, can, watchdog", fmt.Sprintf("%d of them", a.sections()), "one entry is one device")
		return
	}
	switch {
	case a.Modbus != nil:
		if (a.Modbus.Address == "") == (a.Modbus.Serial == "") {
			d.wrong(where.child("modbus"), ruleExclusive, "address, or serial", "both or neither", "a relay is on TCP or on a serial line")
		}
	case a.GPIO != nil:
		if (a.GPIO.Toggle == 0) != (a.GPIO.DropsAfter == 0) {
			d.wrong(where.child("gpio"), ruleMissing, "toggle and drops_after together", "one of them",
				"who toggles has to say when a line that stands still counts as withdrawn, and the other way round")
		} else if a.GPIO.Toggle > 0 && a.GPIO.DropsAfter < 2*a.GPIO.Toggle {
			d.wrong(where.child("gpio").child("drops_after"), ruleOrder, "at least twice toggle ("+shortDuration(2*a.GPIO.Toggle)+")",
				shortDuration(a.GPIO.DropsAfter), "one late edge would take the permit")
		}
	case a.CAN != nil:
		d.checkFrame(a.CAN, where.child("can"))
	case a.Watchdog != nil:
		if !p.Rest.BalanceElsewhere && d.has("rest", "balance_elsewhere") {
			d.wrong(where.child("watchdog"), "power-cut", "no watchdog while rest.balance_elsewhere is false", "one",
				"it resets the computer, and this robot would fall; leave it out, or move the balance to another computer")
		}
		if w := a.Watchdog; w.Pretimeout >= w.Timeout && w.Timeout > 0 && w.Pretimeout > 0 {
			d.wrong(where.child("watchdog").child("pretimeout"), ruleOrder, "less than timeout ("+shortDuration(w.Timeout)+")", shortDuration(w.Pretimeout), "")
		}
	}
}

func (d *document) checkFrame(c *StopFrame, where *path) {
	const short = 0x7ff
	if c.ID > short && !c.Extended {
		d.wrong(where.child("id"), ruleOrder, fmt.Sprintf("at most %d without extended: true", short), fmt.Sprint(c.ID), "")
	}
	if c.StopData == c.RunData && c.StopData != "" {
		d.wrong(where.child("run_data"), ruleExclusive, "another content than stop_data", c.RunData, "the drive could not tell them apart")
	}
	if (c.AnswerID == nil) != (c.AnswerStop == "") {
		d.wrong(where, ruleMissing, "answer_id and answer_stop together", "one of them", "an answer is a frame and what it says")
	}
}

// permitLines notes which line belongs to which permit.
func (d *document) permitLines(p *Profile, lines map[string]string) {
	for i := range p.Actuators {
		if g := p.Actuators[i].GPIO; g != nil {
			d.line(lines, at("actuators", i, "gpio", "line"), g.Chip, g.Line, p.Actuators[i].Name)
		}
	}
}

// line reports a line that has two uses.
func (d *document) line(lines map[string]string, where *path, chip string, n int, name string) {
	key := fmt.Sprintf("%s line %d", chip, n)
	if by, ok := lines[key]; ok {
		d.wrong(where, ruleDuplicate, "each line once", key+" again", "it belongs to "+by+" already")
		return
	}
	lines[key] = name
}

func (d *document) checkInputs(p *Profile, lines map[string]string) {
	var names []string
	for i := range p.Inputs {
		in := &p.Inputs[i]
		names = append(names, in.Name)
		d.line(lines, at("inputs", i, "line"), in.Chip, in.Line, in.Name)
		if in.SecondLine != nil {
			d.line(lines, at("inputs", i, "second_line"), in.Chip, *in.SecondLine, in.Name)
		} else if in.Means == InputEStop {
			d.warn(at("inputs", i), "single-contact", "second_line for an emergency stop", "one contact",
				"a contact that is stuck cannot be told from a button that nobody presses")
		}
	}
	d.unique("inputs", "name", names)
}

// checkDeviceRung checks a rung against the device that it names.
func (d *document) checkDeviceRung(p *Profile, i int, names []string, used map[string]int) {
	r, where := &p.Ladder[i], at("stop_ladder", i)
	needs := slices.Contains(deviceRungs, r.Kind)
	if d.checkSettle(p, i); r.Kind == RungTopic || needs {
		if r.AckWithin > maxAck {
			d.wrong(where.child("ack_within"), ruleOrder, "at most "+shortDuration(maxAck)+" for a device", shortDuration(r.AckWithin),
				"the next rung would wait for it")
		}
	}
	switch {
	case !needs && r.Actuator != "":
		d.wrong(where.child("actuator"), ruleExclusive, "actuator for the kinds gpio, can, relay and watchdog only", "a "+r.Kind+" rung", "")
		return
	case !needs:
		return
	case r.Actuator == "":
		d.about(where.find(d.root), where.child("actuator"), Problem{
			Rule: ruleMissing, Expected: "actuator: a name of the list actuators", Found: "nothing", Example: "actuator: stop-relay",
		})
		return
	}
	a := p.Actuator(r)
	if a == nil {
		d.unknownName(where.child("actuator"), r.Actuator, names, "the list actuators")
		return
	}
	if first, twice := used[r.Actuator]; twice {
		d.wrong(where.child("actuator"), ruleDuplicate, "each device in one rung", r.Actuator+" again",
			fmt.Sprintf("rung %d uses it already; one release would undo the other's stop", first))
	}
	used[r.Actuator] = i
	if k := a.kind(); k != r.Kind && k != "" {
		d.wrong(where.child("kind"), ruleExclusive, k+", as the device "+a.Name+" is", r.Kind, "")
	}
	if r.Kind == RungWatchdog && r.StopCategory == 2 {
		d.wrong(where.child("stop_category"), "power-cut", "1 for a watchdog", "2", "a reset computer keeps no power on its drives")
	}
	if r.SettleFor > 0 && a.fallsWithTheGuard() {
		d.wrong(where.child("settle_for"), "power-cut", "a device that stays as it is when the guard dies", "one that stops the robot by itself",
			"this robot would lose its power before it has settled; give a relay, or a line without toggle")
	}
}

// checkSettle checks a rung that cuts power after the robot has settled.
func (d *document) checkSettle(p *Profile, i int) {
	r, where := &p.Ladder[i], at("stop_ladder", i, "settle_for")
	if r.SettleFor == 0 {
		return
	}
	told := slices.ContainsFunc(p.Ladder[:i], func(b Rung) bool { return b.Kind == RungService })
	switch {
	case r.StopCategory != 1 || r.Kind != RungGPIO && r.Kind != RungRelay && r.Kind != RungCAN:
		d.wrong(where, ruleExclusive, "settle_for on a gpio, relay or can rung of stop_category 1", "a "+r.Kind+" rung of category "+fmt.Sprint(r.StopCategory),
			"only what cuts power has to wait for the robot to settle")
	case p.Rest.Kind == RestStand:
		d.wrong(where, "power-cut", "rest.kind kneel, sit or park", "stand", "a robot that stands by balance never settles so far that power may go")
	case !told:
		d.wrong(where, "power-cut", "a service rung before this one", "none", "nobody would have told the robot to kneel or sit")
	}
}
