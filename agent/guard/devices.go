package guard

import (
	"fmt"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// MaxDevices is the largest number of actuators, and of inputs.
const MaxDevices = 8

// deviceMaxAge is how long the report of an actuator or input counts. They report at least every half second; a driver
// that hangs in its device reports nothing.
const deviceMaxAge = 1500 * time.Millisecond

// DeviceFault is why an actuator does not do what it is asked. The numbers are part of the journal's format.
type DeviceFault uint8

// Faults of an actuator.
const (
	// DeviceWorks means that the device has confirmed what it was asked for.
	DeviceWorks DeviceFault = iota
	// DeviceGone means that it is not there.
	DeviceGone
	// DeviceSilent means that it did not answer in time.
	DeviceSilent
	// DeviceRefused means that it answered with a refusal.
	DeviceRefused
	// DeviceMismatch means that it reads back as something else than it was told.
	DeviceMismatch
	// DeviceBusOff means that its controller has left the bus.
	DeviceBusOff
	// DeviceMalformed means that its answer cannot be understood.
	DeviceMalformed
	numDeviceFaults
)

// String names the fault.
func (f DeviceFault) String() string {
	if f >= numDeviceFaults {
		return "unknown"
	}
	return [numDeviceFaults]string{"works", "gone", "silent", "refused", "mismatch", "bus-off", "malformed"}[f]
}

// cause is the fault in the cores' words; an unknown one is the worst.
func (f DeviceFault) cause() interlock.Cause {
	switch f {
	case DeviceWorks:
		return interlock.CauseNone
	case DeviceGone:
		return interlock.CauseDeviceGone
	case DeviceRefused:
		return interlock.CauseRefused
	case DeviceMismatch:
		return interlock.CauseNoReadBack
	case DeviceBusOff:
		return interlock.CauseBusOff
	case DeviceSilent, DeviceMalformed, numDeviceFaults:
	}
	return interlock.CauseNoAck
}

// ActuatorReport is what an actuator's driver says about it.
type ActuatorReport struct {
	// Actuator numbers the device in the profile's order.
	Actuator int
	Fault    DeviceFault
	// Running is true if it was asked to let the robot run.
	Running bool
}

// InputState is what an input line says.
type InputState uint8

// States of an input. The numbers are part of the journal's format.
const (
	// InputUnreadable means that nobody can read the line.
	InputUnreadable InputState = iota
	// InputReleased means that a contact is as it should be.
	InputReleased
	// InputActive means pressed, open or touching.
	InputActive
	// InputDiffers means that the two contacts of the input disagree.
	InputDiffers
	// InputChatters means that it changes too often to be believed.
	InputChatters
	numInputStates
)

// String names the state.
func (s InputState) String() string {
	if s >= numInputStates {
		return "unknown"
	}
	return [numInputStates]string{"unreadable", "released", "active", "contacts-differ", "chatters"}[s]
}

// InputReport is what an input's driver read.
type InputReport struct {
	// Input numbers the input in the profile's order.
	Input int
	State InputState
}

// ActuatorParams is one device of the stop ladder.
type ActuatorParams struct {
	Name string
	// Rung is the place of the rung that uses it.
	Rung int
}

// InputParams is one input line.
type InputParams struct {
	Name string
	// Means is the trigger that an active line is.
	Means interlock.Trigger
}

// deviceReports is what the drivers of actuators and inputs said last.
type deviceReports struct {
	actuators [MaxDevices]actuatorState
	inputs    [MaxDevices]inputState
}

type actuatorState struct {
	seen, running bool
	boot          time.Duration
	fault         DeviceFault
}

type inputState struct {
	seen  bool
	boot  time.Duration
	state InputState
}

// take stores a report; one about a device that the profile does not have says nothing.
func (d *deviceReports) take(ev *Event) {
	switch ev.Kind {
	case EventActuator:
		if r := &ev.Actuator; r.Actuator >= 0 && r.Actuator < MaxDevices {
			d.actuators[r.Actuator] = actuatorState{seen: true, running: r.Running, boot: ev.Boot, fault: r.Fault}
		}
	case EventInput:
		if r := &ev.Input; r.Input >= 0 && r.Input < MaxDevices {
			d.inputs[r.Input] = inputState{seen: true, boot: ev.Boot, state: r.State}
		}
	default:
	}
}

// works says whether an actuator has lately confirmed what it was asked for.
func (a *actuatorState) works(boot time.Duration) bool {
	return fresh(boot, a.boot, a.seen, deviceMaxAge) && a.fault == DeviceWorks
}

// available are the rungs that can be believed to do something: all but those whose device does not work.
func (c *Core) available(boot time.Duration) interlock.RungSet {
	set := ^interlock.RungSet(0)
	for i := range c.params.Actuators {
		if !c.devices.actuators[i].works(boot) {
			set &^= 1 << c.params.Actuators[i].Rung
		}
	}
	return set
}

// advisory is true while no rung that works would stop the robot if everything on ROS were hostile. That the robot moves
// after every rung was asked proves it, whatever the devices say.
func (c *Core) advisory(boot time.Duration) bool {
	failed := c.rungs.Unconfirmed == interlock.Fault(interlock.CauseStillMoving, 0)
	return c.params.Advisory || failed || c.unproven(boot) || c.ladder.Advisory(c.available(boot))
}

// deviceConditions passes on what actuators and inputs report.
func (c *Core) deviceConditions(boot time.Duration, set *[interlock.NumTriggers]interlock.Condition) {
	for _, t := range [...]interlock.Trigger{
		interlock.InputEStop, interlock.InputDoor, interlock.InputBumper, interlock.InputStuck,
		interlock.ActuatorSilent, interlock.ActuatorBusOff, interlock.PermitLost,
	} {
		set[t] = interlock.OK()
	}
	for i := range c.params.Inputs {
		t, of := c.inputCondition(boot, i)
		set[t] = interlock.Worse(set[t], of)
	}
	for i := range c.params.Actuators {
		t, of := c.actuatorCondition(boot, i)
		set[t] = interlock.Worse(set[t], of)
	}
}

// inputCondition says which trigger an input is about now. One that has been read once and is not any more is unknown,
// which answers as a line that cannot be believed.
func (c *Core) inputCondition(boot time.Duration, i int) (interlock.Trigger, interlock.Condition) {
	p, s := &c.params.Inputs[i], &c.devices.inputs[i]
	subject := uint16(i + 1) //nolint:gosec // at most MaxDevices
	if !fresh(boot, s.boot, s.seen, deviceMaxAge) {
		return p.Means, interlock.Condition{}
	}
	switch s.state {
	case InputReleased:
		return p.Means, interlock.OK()
	case InputActive:
		return p.Means, interlock.Fault(interlock.CauseInputActive, subject)
	case InputDiffers:
		return interlock.InputStuck, interlock.Fault(interlock.CauseChannelsDiffer, subject)
	case InputChatters:
		return interlock.InputStuck, interlock.Fault(interlock.CauseChatter, subject)
	case InputUnreadable, numInputStates:
	}
	return interlock.InputStuck, interlock.Fault(interlock.CauseDeviceGone, subject)
}

// actuatorCondition says which trigger an actuator is about now. A permit that is off although it is given was taken by
// somebody else; everything else is a device that cannot be relied on.
func (c *Core) actuatorCondition(boot time.Duration, i int) (interlock.Trigger, interlock.Condition) {
	s := &c.devices.actuators[i]
	subject := uint16(i + 1) //nolint:gosec // at most MaxDevices
	switch {
	case !s.seen && boot-c.started <= deviceMaxAge:
		return interlock.ActuatorSilent, interlock.Condition{} // its driver has not come round yet; startup holds the robot
	case !fresh(boot, s.boot, s.seen, deviceMaxAge):
		return interlock.ActuatorSilent, interlock.Fault(interlock.CauseNoAck, subject)
	case s.fault == DeviceWorks:
		return interlock.ActuatorSilent, interlock.OK()
	case s.fault == DeviceMismatch && s.running:
		return interlock.PermitLost, interlock.Fault(interlock.CauseNoReadBack, subject)
	case s.fault == DeviceBusOff:
		return interlock.ActuatorBusOff, interlock.Fault(interlock.CauseBusOff, subject)
	}
	return interlock.ActuatorSilent, interlock.Fault(s.fault.cause(), subject)
}

// deviceName names the device that a trigger's number means.
func (c *Core) deviceName(t interlock.Trigger, n int) string {
	switch t {
	case interlock.InputEStop, interlock.InputDoor, interlock.InputBumper, interlock.InputStuck:
		if n < len(c.params.Inputs) {
			return c.params.Inputs[n].Name
		}
	case interlock.ActuatorSilent, interlock.ActuatorBusOff, interlock.PermitLost:
		if n < len(c.params.Actuators) {
			return c.params.Actuators[n].Name
		}
	case interlock.PerceptionOpen:
		// Cameras are numbered from 1, microphones behind the last camera that there could be.
		if kind := n / maxDevices; kind < len(c.params.Devices) && n%maxDevices < len(c.params.Devices[kind].Names) {
			return c.params.Devices[kind].Names[n%maxDevices]
		}
	default:
	}
	return ""
}

// DeviceStatus is one actuator or input.
type DeviceStatus struct {
	Name string `json:"name"`
	// State is the fault's or the input's word; "not reported" while nothing, or nothing lately, was heard.
	State string `json:"state"`
	// Asked is "run" or "stop" for an actuator, and empty for an input.
	Asked string `json:"asked,omitempty"`
}

func (c *Core) deviceStatus(boot time.Duration) (actuators, inputs []DeviceStatus) {
	const unheard = "not reported"
	for i, p := range c.params.Actuators {
		s, out := &c.devices.actuators[i], DeviceStatus{Name: p.Name, State: unheard, Asked: "stop"}
		if s.running {
			out.Asked = "run"
		}
		if fresh(boot, s.boot, s.seen, deviceMaxAge) {
			out.State = s.fault.String()
		}
		actuators = append(actuators, out)
	}
	for i, p := range c.params.Inputs {
		s, out := &c.devices.inputs[i], DeviceStatus{Name: p.Name, State: unheard}
		if fresh(boot, s.boot, s.seen, deviceMaxAge) {
			out.State = s.state.String()
		}
		inputs = append(inputs, out)
	}
	return actuators, inputs
}

func (e *encoder) devices(d *deviceReports) {
	for i := range d.actuators {
		a, in := &d.actuators[i], &d.inputs[i]
		e.flag(a.seen)
		e.flag(a.running)
		e.duration(a.boot)
		e.u8(uint8(a.fault))
		e.flag(in.seen)
		e.duration(in.boot)
		e.u8(uint8(in.state))
	}
}

func (d *decoder) devices(out *deviceReports) {
	for i := range out.actuators {
		out.actuators[i] = actuatorState{seen: d.flag(), running: d.flag(), boot: d.duration(), fault: DeviceFault(d.u8())}
		out.inputs[i] = inputState{seen: d.flag(), boot: d.duration(), state: InputState(d.u8())}
	}
}

// describeDevice is a report in a few words.
func (ev *Event) describeDevice() string {
	if ev.Kind == EventInput {
		return fmt.Sprintf("input %d %s", ev.Input.Input, ev.Input.State)
	}
	asked := "stop"
	if ev.Actuator.Running {
		asked = "run"
	}
	return fmt.Sprintf("actuator %d asked to %s: %s", ev.Actuator.Actuator, asked, ev.Actuator.Fault)
}

// Actuator takes an actuator's report.
func (g *Guard) Actuator(r ActuatorReport) { g.begin(EventActuator).Actuator = r; g.finish() }

// Input takes an input's report.
func (g *Guard) Input(r InputReport) { g.begin(EventInput).Input = r; g.finish() }
