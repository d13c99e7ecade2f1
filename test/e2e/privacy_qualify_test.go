//go:build qualify

package e2e

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/bus"
)

// TestCameraThatClosesItsDeviceFile: a camera that ends its stream and closes its device file when it is asked restricts nothing,
// though the steward looks for the file. It runs beside no other test of this package: a robot's computer has time to look.
func TestCameraThatClosesItsDeviceFile(t *testing.T) {
	for _, kind := range []bus.Kind{bus.ROS, bus.Cyclone} {
		t.Run(string(kind), func(t *testing.T) { cameraThatCloses(t, meet(t, kind), privacyCase{}) })
	}
}

// TestCameraUnderALiftedCap: what a driver or the steward say of cameras is hearsay, which holds a robot and no more. A policy that
// lifts the cap has the rule's own constraint, the stop; it ends by itself all the same.
func TestCameraUnderALiftedCap(t *testing.T) {
	t.Parallel()
	const lifted = "unauthenticated: {constraint: {motion: stop, manipulators: disabled}, latch: false}\n"
	onBuses(t, nil, func(t *testing.T, b bus.Bus) {
		r := (&privacyCase{lies: true, held: true, more: lifted}).start(t, b)
		r.caught(t, "a device is active", "stop")
		r.cam.will(t, "obey")
		r.g.await(t, "the device file as what is left", 5*time.Second, func(s agent.Status) bool {
			return causeOf(s, openCode) == "a process has a recording device open"
		})
		r.release()
		r.freed(t)
		r.g.replayed(t)
	})
}

// TestNobodyLooksForCamerasOnDDS are the off runs there.
func TestNobodyLooksForCamerasOnDDS(t *testing.T) {
	t.Parallel()
	for name, c := range offPrivacy {
		for _, kind := range onDDS(bus.Cyclone, bus.Fast) {
			t.Run(name+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				nobodyLooks(t, meet(t, kind), c)
			})
		}
	}
}
