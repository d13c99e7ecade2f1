//go:build qualify

package e2e

import (
	"syscall"
	"testing"

	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/plant"
)

// TestTerminatedGuardDoesNotWaitForEver: a robot that does not stop keeps its guard for as long as an orderly end may last, and no
// longer. Until then the guard goes on telling it to stand.
func TestTerminatedGuardDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Cyclone}, func(t *testing.T, b bus.Bus) {
		r := driving(t, b, siteConfig{lock: true}, plant.Config{})
		r.p.Fault(t, "keep_moving")
		asked := boottime()
		if err := r.g.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		exit, ended := r.g.exited(t, settleLimit+4*endLimit)
		t.Logf("figures: the guard of a robot that does not stop gone after %v: %v", ended-asked, exit)
		if took := ended - asked; exit.Code != 0 || took < settleLimit || took > settleLimit+endLimit {
			t.Errorf("the guard ended after %v with %v: expected 0, after %v to %v", took, exit, settleLimit, settleLimit+endLimit)
		}
		if _, err := endedAtRest(r.watchedFor(t, ended), asked, ended); err == nil {
			t.Error("off run: the judge takes a robot that never stopped for one that stands")
		}
		r.farewell(t)
	})
}

// TestTerminatedRunSettlesFirst is the same by way of the supervisor: robowarden run ends last, after a guard that has settled.
func TestTerminatedRunSettlesFirst(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Cyclone}, func(t *testing.T, b bus.Bus) {
		r := driving(t, b, siteConfig{lock: true, role: "run"}, plant.Config{})
		asked := boottime()
		if err := r.g.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		exit, ended := r.g.exited(t, settleLimit+4*endLimit)
		took, err := endedAtRest(r.watchedFor(t, ended), asked, ended)
		t.Logf("figures: at rest %v after SIGTERM to the supervisor, which ended after %v: %v", took, ended-asked, exit)
		if err != nil || exit != (proc.Exit{At: exit.At}) {
			t.Errorf("%v; the supervisor ended with %v, expected 0", err, exit)
		}
		r.farewell(t)
	})
}
