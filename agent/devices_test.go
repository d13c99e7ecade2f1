package agent

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/agent/replay"
	"github.com/robowarden/robowarden/hal/actuator"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/gpio"
	"github.com/robowarden/robowarden/hal/modbus/modbustest"
)

// newRelaySite is a site whose last rung is a relay on TCP, and the only one that works without ROS.
func newRelaySite(t *testing.T, relay string) *testSite {
	t.Helper()
	pin := ""
	return newSiteOf(t, "diff-drive", func(name string, raw []byte) []byte {
		text := string(raw)
		switch name {
		case "profile.yaml":
			text = strings.Replace(text, "kind: lock, without_ros: true", "kind: lock, without_ros: false", 1)
			text = strings.Replace(text, "\nrequired_inputs:",
				"  - {name: relay, kind: relay, actuator: stop-relay, ack_within: 200ms, without_ros: true, stop_category: 2}\n"+
					"actuators:\n  - {name: stop-relay, modbus: {address: \""+relay+"\", unit: 1, coil: 3, stop_value: 0, refresh: 50ms}}\n"+
					"commissioning: {enabled: false, reason: nobody drives this robot}\n\nrequired_inputs:", 1)
			pin = fmt.Sprintf(`  profile: "sha256:%x"`, sha256.Sum256([]byte(text)))
		case "policy.yaml":
			text = regexp.MustCompile(`(?m)^  profile: "sha256:[0-9a-f]{64}"`).ReplaceAllString(text, pin)
		}
		return []byte(text)
	})
}

// reader is a topic with as many readers as it says.
type reader struct {
	publisher
	readers int
	said    []bool
}

func (r *reader) PublishBool(_ uint64, v bool) (bus.Sent, error) {
	r.said = append(r.said, v)
	return bus.Sent{Delivered: r.readers}, nil
}

// TestEStopTopicCountsOnceSomebodyReadsIt: what nobody takes has stopped nobody.
func TestEStopTopicCountsOnceSomebodyReadsIt(t *testing.T) {
	for name, c := range map[string]struct {
		readers int
		fault   actuator.Fault
	}{"read": {1, actuator.None}, "unread": {0, actuator.Silent}} {
		r := &reader{readers: c.readers}
		e := &estopTopic{out: r}
		for _, s := range []actuator.State{actuator.Stop, actuator.Run} {
			if f := actuator.FaultOf(e.Apply(t.Context(), s)); f != c.fault {
				t.Errorf("%s: found %v, expected %v", name, f, c.fault)
			}
		}
		if !slices.Equal(r.said, []bool{true, false}) {
			t.Errorf("%s: said %v", name, r.said)
		}
	}
}

// TestEStopTopicStopsARobotWhoseGuardStandsStill: "may run", said again and again beside a loop that hangs, would be a permit
// that nobody gives.
func TestEStopTopicStopsARobotWhoseGuardStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{readers: 1}
		b := &wiring{sink: &busSink{estop: &estopTopic{out: r}}, cfg: &config.Config{
			Profile: &config.Profile{Ladder: []config.Rung{{Name: "e-stop", Kind: config.RungTopic}}},
			Topics:  &config.Topics{EStop: &config.EStopTopic{Period: 100 * time.Millisecond}},
		}}
		b.openDevices(guard.New(guard.Options{})) // it never ticks
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		b.sink.devices.set(0, 1, false, 0)
		go func() { done <- b.sink.devices.rungs[0].runner.Run(ctx, func() bool { return false }) }()
		time.Sleep(2 * stallAfter)
		synctest.Wait()
		if !slices.Contains(r.said, false) || !r.said[len(r.said)-1] {
			t.Errorf("said %v, expected first false and at last true", r.said)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestFaultsHaveOneVocabulary: the drivers' words and the guard's are the same.
func TestFaultsHaveOneVocabulary(t *testing.T) {
	for f := actuator.None + 1; f < actuator.NumFaults; f++ {
		if got := deviceFault(f); got.String() != f.String() {
			t.Errorf("%v became %v", f, got)
		}
	}
	for s, want := range map[gpio.InputState]guard.InputState{
		gpio.Unreadable: guard.InputUnreadable, gpio.Released: guard.InputReleased, gpio.Active: guard.InputActive,
		gpio.Differ: guard.InputDiffers, gpio.Chatter: guard.InputChatters, 99: guard.InputUnreadable,
	} {
		if got := inputState(s); got != want {
			t.Errorf("%v became %v", s, got)
		}
	}
}

// TestDevicesOfEveryKindAreMade from what a profile can say.
func TestDevicesOfEveryKindAreMade(t *testing.T) {
	second, answer := 23, 0x81
	for _, c := range []struct {
		a       config.Actuator
		refresh time.Duration
	}{
		{config.Actuator{Modbus: &config.ModbusRelay{Address: "[::1]:502", Timeout: 80 * time.Millisecond, Refresh: 200 * time.Millisecond, StopValue: 1}}, 200 * time.Millisecond},
		{config.Actuator{Modbus: &config.ModbusRelay{Serial: "/dev/ttyS9", Timeout: 80 * time.Millisecond, Refresh: 100 * time.Millisecond, Parity: "none"}}, 100 * time.Millisecond},
		{config.Actuator{GPIO: &config.PermitLine{Chip: "/dev/gpiochip9", StopLevel: "high"}}, levelRefresh},
		{config.Actuator{GPIO: &config.PermitLine{Chip: "/dev/gpiochip9", Toggle: 20 * time.Millisecond}}, 20 * time.Millisecond},
		{config.Actuator{CAN: &config.StopFrame{Interface: "can9", StopData: "00", RunData: "01", Period: 30 * time.Millisecond, AnswerID: &answer, AnswerStop: "00"}}, 30 * time.Millisecond},
		{config.Actuator{Watchdog: &config.WatchdogTimer{Device: "/dev/watchdog9", Timeout: 2 * time.Second}}, 250 * time.Millisecond},
	} {
		dev, cfg := newDevice(&c.a)
		if cfg.Refresh != c.refresh || cfg.Timeout <= 0 || 2*cfg.Timeout > 200*time.Millisecond {
			t.Errorf("%+v: refreshed every %v, %v for one exchange", c.a, cfg.Refresh, cfg.Timeout)
		}
		ctx, cancel := context.WithTimeout(t.Context(), cfg.Timeout)
		// None of them is there: each says so, and none waits.
		if f := actuator.FaultOf(dev.Apply(ctx, actuator.Run)); f != actuator.Gone {
			t.Errorf("%+v: found %v, expected gone", c.a, f)
		}
		cancel()
	}
	if got := newInputs([]config.InputLine{{Chip: "/dev/gpiochip9", SecondLine: &second, Bias: "pull-down"}}); len(got) != 1 {
		t.Errorf("%d inputs", len(got))
	}
}

// soon waits for what takes as long as a ladder.
func soon(t *testing.T, what string, a *Agent, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) { // The pause of a poll.
		if time.Now().After(end) {
			t.Fatalf("waited for: %s; status %+v", what, a.guard.Status())
		}
	}
}

// rungTimes reads a rung's last times from the journal.
func rungTimes(t *testing.T, dir string, rung int) string {
	t.Helper()
	r, err := journal.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	last := ""
	for {
		rec, err := r.Next()
		if err != nil {
			return last
		}
		if rec.Kind != journal.Kind(guard.RecordRung) {
			continue
		}
		text, err := guard.DescribeLadder(rec.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, fmt.Sprintf("rung %d acknowledged", rung)) {
			last = text
		}
	}
}

// TestRelayThroughTheWholeGuard: a relay from the configuration through ladder, driver, acknowledgement, status, journal
// and replay. Nothing measures this robot's motion, so the ladder comes to its last rung by itself.
func TestRelayThroughTheWholeGuard(t *testing.T) {
	t.Parallel()
	relay := modbustest.New(1)
	at, err := relay.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	s := newRelaySite(t, at.String())
	a, err := s.start()
	s.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	state := func() guard.DeviceStatus {
		if st := a.guard.Status(); len(st.Actuators) == 1 {
			return st.Actuators[0]
		}
		return guard.DeviceStatus{}
	}
	soon(t, "a permit while the ladder tries softer rungs", a, func() bool { return relay.Coil(3) && state().State == "works" })
	if a.guard.Status().Advisory {
		t.Error("advisory, with a relay that works")
	}
	soon(t, "the relay opens", a, func() bool { return !relay.Coil(3) })
	soon(t, "the device confirms its stop", a, func() bool { d := state(); return d.Asked == "stop" && d.State == "works" })

	relay.Close()
	soon(t, "a relay that is gone makes it advisory", a, func() bool { return a.guard.Status().Advisory })
	codes := map[string]string{}
	for _, tr := range a.guard.Status().Triggers {
		codes[tr.Code] = tr.Subject
	}
	if codes["actuator.silent"] != "stop-relay" {
		t.Errorf("expected actuator.silent of stop-relay, found %v", codes)
	}
	if _, ok := codes["actuator.advisory"]; !ok {
		t.Error("actuator.advisory is not told")
	}
	if _, err := relay.Listen(at.String()); err != nil {
		t.Fatal(err)
	}
	soon(t, "a relay that is back makes it enforcing again", a, func() bool { return !a.guard.Status().Advisory })

	cancel()
	s.must(<-done)
	s.must(a.Close())
	if relay.Coil(3) {
		t.Error("the permit stays after the guard's end")
	}
	folder := filepath.Join(s.dir, "journal")
	if text := rungTimes(t, folder, 3); text == "" {
		t.Error("the journal does not tell when the relay acknowledged")
	} else {
		t.Log(text)
	}
	res, err := replay.Dir(folder, replay.Documents(filepath.Join(s.dir, "state", "documents")))
	s.must(err)
	if !res.OK() {
		t.Errorf("the replay differs: %+v", res)
	}
}
