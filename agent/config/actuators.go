package config

import (
	"slices"
	"time"
)

// Actuator is a device that stops the robot past ROS. Exactly one of its sections says what it is.
type Actuator struct {
	// Name is what rungs call it by.
	Name string `cfg:"name" form:"id" eg:"name: stop-relay"`
	// Modbus is a relay, switched by one coil and read back.
	Modbus *ModbusRelay `cfg:"modbus,optional" eg:"modbus: {address: \"192.168.123.50:502\", unit: 1, coil: 0, stop_value: 0, refresh: 200ms}"`
	// GPIO is a permit line of this computer.
	GPIO *PermitLine `cfg:"gpio,optional" eg:"gpio: {chip: /dev/gpiochip0, line: 17, stop_level: low}"`
	// CAN is a frame that is sent again and again.
	CAN *StopFrame `cfg:"can,optional" eg:"can: {interface: can0, id: 128, stop_data: \"00\", run_data: \"01\", period: 50ms}"`
	// Watchdog is a timer that resets the computer once nobody feeds it. It is for robots that keep their balance without it.
	Watchdog *WatchdogTimer `cfg:"watchdog,optional" eg:"watchdog: {device: /dev/watchdog0, timeout: 10s}"`
}

// ModbusRelay is one coil of a Modbus device.
type ModbusRelay struct {
	// Address is the device's IP address and port on TCP; no name, since the guard asks no name server.
	Address string `cfg:"address,optional" form:"ipport" eg:"address: \"192.168.123.50:502\""`
	// Serial is the path of a serial port instead.
	Serial string `cfg:"serial,optional" form:"devicepath" eg:"serial: /dev/ttyUSB0"`
	// Baud is the serial port's rate in bits per second; 8 data bits. The default is 19200.
	Baud int `cfg:"baud,optional" range:"[1200,921600]" default:"19200" eg:"baud: 19200"`
	// Parity is the serial port's parity; with none there are two stop bits. The default is even.
	Parity string `cfg:"parity,optional" enum:"even|odd|none" default:"even" eg:"parity: even"`
	// Unit is the device's number.
	Unit int `cfg:"unit" range:"[0,255]" eg:"unit: 1"`
	// Coil is the coil's number from 0, as on the wire; manuals that count from 1 write one more.
	Coil int `cfg:"coil" range:"[0,65535]" eg:"coil: 0"`
	// StopValue is the coil's value that stops the robot. With 0, lost power and broken wires stop it as well.
	StopValue int `cfg:"stop_value" range:"[0,1]" eg:"stop_value: 0"`
	// Timeout bounds one exchange: write and read back. The default is 80ms.
	Timeout time.Duration `cfg:"timeout,optional" range:"[10ms,200ms]" default:"80ms" eg:"timeout: 80ms"`
	// Refresh is how often the coil is read back while nothing changes.
	Refresh time.Duration `cfg:"refresh" range:"[20ms,500ms]" eg:"refresh: 200ms"`
}

// PermitLine is an output line that lets the robot run.
type PermitLine struct {
	// Chip is the GPIO chip's device.
	Chip string `cfg:"chip" form:"devicepath" eg:"chip: /dev/gpiochip0"`
	// Line is the line's number on the chip.
	Line int `cfg:"line" range:"[0,1023]" eg:"line: 17"`
	// StopLevel is the level that stops the robot. With "low" the line energises to run.
	StopLevel string `cfg:"stop_level" enum:"low|high" eg:"stop_level: low"`
	// Toggle, if given, is how long the line stays at each level while the robot may run; the receiver takes a line that
	// stands still for withdrawn. Only a toggled line falls when the guard dies: the kernel may leave a level as it is.
	Toggle time.Duration `cfg:"toggle,optional" range:"[5ms,500ms]" eg:"toggle: 20ms"`
	// DropsAfter is how long after the last change the receiver takes the permit for withdrawn.
	DropsAfter time.Duration `cfg:"drops_after,optional" range:"[10ms,5s]" eg:"drops_after: 100ms"`
}

// StopFrame is a CAN frame that is sent again and again with one of two contents.
type StopFrame struct {
	// Interface is the network interface.
	Interface string `cfg:"interface" form:"interface" eg:"interface: can0"`
	// ID is the frame's identifier, of 11 bits, or of 29 with extended.
	ID int `cfg:"id" range:"[0,536870911]" eg:"id: 128"`
	// Extended marks an identifier of 29 bits.
	Extended bool `cfg:"extended,optional" eg:"extended: true"`
	// StopData is the content that stops the robot, at most 8 bytes in hexadecimal.
	StopData string `cfg:"stop_data" form:"candata" eg:"stop_data: \"00\""`
	// RunData is the content that lets it run.
	RunData string `cfg:"run_data" form:"candata" eg:"run_data: \"01\""`
	// Period is how often the frame is sent.
	Period time.Duration `cfg:"period" range:"[5ms,500ms]" eg:"period: 50ms"`
	// AnswerID is the identifier of the drive's own frame, by which it says that it has stopped; absent, a frame counts as
	// acknowledged once another node on the bus has taken it.
	AnswerID *int `cfg:"answer_id,optional" range:"[0,536870911]" eg:"answer_id: 129"`
	// AnswerStop is how that frame's content begins while the drive is stopped.
	AnswerStop string `cfg:"answer_stop,optional" form:"candata" eg:"answer_stop: \"00\""`
	// SilenceStops is how long after the last frame the drive stops by itself, 0 if it does not.
	SilenceStops time.Duration `cfg:"silence_stops,optional" range:"[10ms,5s]" eg:"silence_stops: 200ms"`
}

// WatchdogTimer is the kernel's interface to a watchdog.
type WatchdogTimer struct {
	// Device is its path.
	Device string `cfg:"device" form:"devicepath" eg:"device: /dev/watchdog0"`
	// Timeout is after how long without feeding it resets the computer.
	Timeout time.Duration `cfg:"timeout" range:"[1s,60s]" eg:"timeout: 10s"`
	// Pretimeout is how long before that the kernel is warned, so that it can write down why; 0 for not at all.
	Pretimeout time.Duration `cfg:"pretimeout,optional" range:"[1s,30s]" eg:"pretimeout: 2s"`
}

// What inputs mean.
const (
	// InputEStop is an emergency stop's contact.
	InputEStop = "estop"
	// InputDoor is a guard door's contact.
	InputDoor = "door"
	// InputBumper is a bumper's contact.
	InputBumper = "bumper"
)

// InputLine is a contact that the guard reads.
type InputLine struct {
	// Name is the input's name in status and journal.
	Name string `cfg:"name" form:"id" eg:"name: rear-estop"`
	// Means says what an active line means.
	Means string `cfg:"means" enum:"estop|door|bumper" eg:"means: estop"`
	// Chip is the GPIO chip's device.
	Chip string `cfg:"chip" form:"devicepath" eg:"chip: /dev/gpiochip0"`
	// Line is the line's number on the chip.
	Line int `cfg:"line" range:"[0,1023]" eg:"line: 22"`
	// ActiveLevel is the level that says pressed or open. With "low", for contacts that open, a broken wire says so too.
	ActiveLevel string `cfg:"active_level" enum:"low|high" eg:"active_level: low"`
	// SecondLine is the number of a second contact of the same device, which always has the other level. Only with it a line
	// that is stuck can be told from a contact that nobody touches.
	SecondLine *int `cfg:"second_line,optional" range:"[0,1023]" eg:"second_line: 23"`
	// Debounce is how long a released contact has to be quiet; a pressed one counts at its second reading in a row.
	Debounce time.Duration `cfg:"debounce" range:"[5ms,500ms]" eg:"debounce: 20ms"`
	// Discrepancy is how long the two contacts may disagree while the device moves. The default is 100ms.
	Discrepancy time.Duration `cfg:"discrepancy,optional" range:"[10ms,2s]" default:"100ms" eg:"discrepancy: 100ms"`
	// Bias is the line's pull resistor. The default is as-is: what the computer's firmware has set.
	Bias string `cfg:"bias,optional" enum:"as-is|none|pull-up|pull-down" default:"as-is" eg:"bias: pull-down"`
}

// Rung kinds that need a device of the list actuators.
const (
	// RungGPIO withdraws a permit line.
	RungGPIO = "gpio"
	// RungCAN sends the stop frame.
	RungCAN = "can"
	// RungRelay switches a relay over Modbus.
	RungRelay = "relay"
	// RungWatchdog stops feeding the watchdog.
	RungWatchdog = "watchdog"
	// RungTopic asserts the topic mapping's e-stop topic.
	RungTopic = "estop-topic"
)

// kind is the kind of rung that the device is for, empty if it has no section.
func (a *Actuator) kind() string {
	switch {
	case a.Modbus != nil:
		return RungRelay
	case a.GPIO != nil:
		return RungGPIO
	case a.CAN != nil:
		return RungCAN
	case a.Watchdog != nil:
		return RungWatchdog
	}
	return ""
}

// sections counts how many kinds of device the entry says it is.
func (a *Actuator) sections() int {
	n := 0
	for _, there := range []bool{a.Modbus != nil, a.GPIO != nil, a.CAN != nil, a.Watchdog != nil} {
		if there {
			n++
		}
	}
	return n
}

// effect is how much later than its request the device acts by construction.
func (a *Actuator) effect() time.Duration {
	switch {
	case a.Watchdog != nil:
		return a.Watchdog.Timeout
	case a.GPIO != nil && a.GPIO.Toggle > 0:
		return a.GPIO.DropsAfter
	}
	return 0
}

// Actuator returns the device that a rung uses, nil for a rung without.
func (p *Profile) Actuator(r *Rung) *Actuator {
	for i := range p.Actuators {
		if p.Actuators[i].Name == r.Actuator && r.Actuator != "" {
			return &p.Actuators[i]
		}
	}
	return nil
}

// ActuatorIndex returns the place of a device in the list, -1 for one that is not there.
func (p *Profile) ActuatorIndex(name string) int {
	return slices.IndexFunc(p.Actuators, func(a Actuator) bool { return a.Name == name })
}

// fallsWithTheGuard says whether the device stops the robot by itself when the guard's process dies.
func (a *Actuator) fallsWithTheGuard() bool {
	return a.Watchdog != nil || a.GPIO != nil && a.GPIO.Toggle > 0 || a.CAN != nil && a.CAN.SilenceStops > 0
}
