package config

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// withDevices is the good profile with a ladder of devices.
func withDevices(t *testing.T, inputs string) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/good/profile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	at := strings.Index(text, "stop_ladder:")
	end := strings.Index(text, "required_inputs:")
	if at < 0 || end < at {
		t.Fatal("the good profile has another order")
	}
	rest := strings.Replace(text[:at], "balance_elsewhere: false", "balance_elsewhere: true", 1)
	return rest + `stop_ladder:
  - {name: zeros, kind: zero-velocity, without_ros: false, stop_category: 2}
  - {name: relay, kind: relay, actuator: relay, ack_within: 200ms, without_ros: true, stop_category: 2}
  - {name: drive, kind: can, actuator: drive, ack_within: 100ms, without_ros: true, stop_category: 2}
  - {name: permit, kind: gpio, actuator: permit, ack_within: 100ms, without_ros: true, stop_category: 1}
  - {name: dog, kind: watchdog, actuator: dog, ack_within: 200ms, without_ros: true, stop_category: 1}
actuators:
  - {name: dog, watchdog: {device: /dev/watchdog0, timeout: 10s}}
  - {name: relay, modbus: {serial: /dev/ttyS1, unit: 1, coil: 0, stop_value: 0, refresh: 200ms}}
  - {name: drive, can: {interface: can0, id: 128, stop_data: "00", run_data: "01", period: 50ms, silence_stops: 200ms}}
  - {name: permit, gpio: {chip: /dev/gpiochip0, line: 17, stop_level: low, toggle: 20ms, drops_after: 100ms}}
` + inputs + text[end:]
}

func TestDevicesOfAProfile(t *testing.T) {
	file := t.TempDir() + "/profile.yaml"
	write(t, file, withDevices(t, ""))
	cfg, err := Load(nil, file)
	if err != nil {
		t.Fatal(err)
	}
	p := cfg.Profile
	if !p.Enforcing() {
		t.Error("advisory with four devices")
	}
	m := p.Actuators[1].Modbus
	if m.Baud != 19200 || m.Parity != "even" || m.Timeout != 80*time.Millisecond {
		t.Errorf("defaults: %+v", m)
	}
	spec := p.LadderSpec()
	want := []interlock.Rung{
		{Kind: interlock.RungZeroVelocity},
		{Kind: interlock.RungRelay, AckWithin: 200 * time.Millisecond, Independent: true},
		{Kind: interlock.RungCAN, AckWithin: 100 * time.Millisecond, Independent: true},
		{Kind: interlock.RungGPIO, AckWithin: 100 * time.Millisecond, Independent: true, Effect: 100 * time.Millisecond},
		{Kind: interlock.RungWatchdog, AckWithin: 200 * time.Millisecond, Independent: true, Effect: 10 * time.Second},
	}
	for i, w := range want {
		if spec.Rungs[i] != w {
			t.Errorf("rung %d: %+v, want %+v", i, spec.Rungs[i], w)
		}
	}
	if _, err := interlock.NewLadder(spec); err != nil {
		t.Error(err)
	}
	for i, name := range []string{"dog", "relay", "drive", "permit", "teapot"} {
		if n := p.ActuatorIndex(name); n != i && (i < 4 || n != -1) {
			t.Errorf("%s is number %d", name, n)
		}
	}
}

// TestSingleContactIsWarnedOf: what is stuck released with one contact, nothing finds.
func TestSingleContactIsWarnedOf(t *testing.T) {
	for name, c := range map[string]struct {
		input string
		warns int
	}{
		"e-stop with one contact":        {"means: estop, line: 20", 1},
		"e-stop with two contacts (off)": {"means: estop, line: 20, second_line: 21", 0},
		"bumper with one contact":        {"means: bumper, line: 20", 0},
	} {
		file := t.TempDir() + "/profile.yaml"
		write(t, file, withDevices(t, "inputs:\n  - {name: rear, "+c.input+", chip: /dev/gpiochip0, active_level: low, debounce: 20ms}\n"))
		cfg, err := Load(nil, file)
		if err != nil {
			t.Fatal(err)
		}
		if len(cfg.Warnings) != c.warns {
			t.Errorf("%s: warnings %v", name, cfg.Warnings)
		}
	}
}
