package e2e

import (
	"fmt"
	"testing"

	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/ros"
)

// meet makes a bus of the kind, with nobody on it.
func meet(t testing.TB, kind bus.Kind) bus.Bus {
	t.Helper()
	if kind == bus.ROS {
		return ros.StartMaster(t, ros.Options{})
	}
	return domain.Start(t, kind)
}

// onBuses runs a scenario on ROS 1 and on DDS: in make test with the vendors that are named, in make qualify with both.
func onBuses(t *testing.T, vendors []bus.Kind, f func(t *testing.T, b bus.Bus)) {
	t.Helper()
	for _, kind := range append([]bus.Kind{bus.ROS}, onDDS(vendors...)...) {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f(t, meet(t, kind))
		})
	}
}

// onDDS are the vendors to run a scenario with.
func onDDS(short ...bus.Kind) []bus.Kind {
	if longTier() {
		return []bus.Kind{bus.Cyclone, bus.Fast}
	}
	return short
}

// busYAML is the deployment's section that says how to reach the bus, and the profile's word for it.
func busYAML(b bus.Bus) (section, name string) {
	switch b := b.(type) {
	case *ros.Master:
		return fmt.Sprintf("ros: {master_uri: %q, host: 127.0.0.1, node: /robowarden}", b.URI()), "ros1"
	case *domain.Domain:
		return fmt.Sprintf("dds: {domain: %d, host: %s, multicast: %t, node: /robowarden}", b.Number, b.Address(), b.Multicast), "ros2"
	default:
		return fmt.Sprintf("# a bus of kind %q", b.Kind()), "unknown"
	}
}
