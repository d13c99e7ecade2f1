//go:build device

package watchdog

import (
	"os"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/actuator"
)

// TestDevice runs on a real watchdog, and ends in order, so that it does not bite.
func TestDevice(t *testing.T) {
	path := os.Getenv("ROBOWARDEN_WATCHDOG")
	if path == "" {
		t.Skip("ROBOWARDEN_WATCHDOG names no device")
	}
	d := New(Config{Device: path, Timeout: 20 * time.Second})
	for _, s := range []actuator.State{actuator.Stop, actuator.Run, actuator.Run, actuator.Stop, actuator.Run} {
		if err := apply(t, d, s); err != nil {
			t.Fatalf("%v: %v", s, err)
		}
	}
	if f := actuator.FaultOf(apply(t, New(Config{Device: path, Timeout: time.Second}), actuator.Run)); f != actuator.Gone {
		t.Errorf("a second owner: found %v, expected gone", f)
	}
	if err := d.Close(true); err != nil {
		t.Error(err)
	}
	if err := apply(t, d, actuator.Run); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := d.Close(true); err != nil {
		t.Error(err)
	}
}

// TestBite leaves a real watchdog unfed: the computer is reset. It is for a machine that is there to be reset.
func TestBite(t *testing.T) {
	path := os.Getenv("ROBOWARDEN_WATCHDOG_BITE")
	if path == "" {
		t.Skip("ROBOWARDEN_WATCHDOG_BITE names no device")
	}
	d := New(Config{Device: path, Timeout: 2 * time.Second})
	for _, s := range []actuator.State{actuator.Run, actuator.Stop} {
		if err := apply(t, d, s); err != nil {
			t.Fatalf("%v: %v", s, err)
		}
	}
	if err := d.Close(false); err != nil {
		t.Error(err)
	}
}
