package agent

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/host"
)

func TestClockTrust(t *testing.T) {
	const floor = int64(1_000_000) * int64(time.Hour)
	day := int64(24 * time.Hour)
	type reading struct {
		sync  host.Sync
		boot  time.Duration
		civil int64
		want  uint8
	}
	tests := map[string][]reading{
		"synchronised":                          {{host.Synchronised, 0, floor + 1, 2}},
		"before the floor":                      {{host.Synchronised, 0, floor - 1, 0}},
		"1970":                                  {{host.Unsynchronised, 0, 5, 0}},
		"holdover":                              {{host.Unsynchronised, 0, floor + day, 1}},
		"kernel does not say":                   {{host.SyncUnknown, 0, floor + day, 1}},
		"too long without discipline":           {{host.Unsynchronised, 0, floor + 31*day, 0}},
		"stepped forward in holdover":           {{host.Unsynchronised, 0, floor + 1, 1}, {host.Unsynchronised, time.Second, floor + day, 0}},
		"stepped back in holdover":              {{host.Unsynchronised, 0, floor + day, 1}, {host.Unsynchronised, time.Second, floor + 1, 0}},
		"runs on in holdover":                   {{host.Unsynchronised, 0, floor + 1, 1}, {host.Unsynchronised, time.Hour, floor + int64(time.Hour), 1}},
		"stepped, then synchronised":            {{host.Unsynchronised, 0, floor + 1, 1}, {host.Unsynchronised, 1, floor + day, 0}, {host.Synchronised, 2, floor + day, 2}},
		"suspended for a night":                 {{host.Unsynchronised, 0, floor + 1, 1}, {host.Unsynchronised, 8 * time.Hour, floor + int64(8*time.Hour), 1}},
		"the floor rises with trust":            {{host.Synchronised, 0, floor + day, 2}, {host.Unsynchronised, time.Hour, floor + 1, 0}},
		"set back a little by the service":      {{host.Synchronised, 0, floor + day, 2}, {host.Synchronised, time.Second, floor + day + int64(time.Second)/2, 2}},
		"set back a little below a signed time": {{host.Synchronised, 0, floor + 1, 2}, {host.Synchronised, 1, floor - 1, 0}},
		"a step stays until disciplined":        {{host.Unsynchronised, 0, floor + 1, 1}, {host.Unsynchronised, 1, floor + day, 0}, {host.Unsynchronised, 2, floor + day + 1, 0}},
	}
	for name, readings := range tests {
		c := clockTrust{floor: floor}
		for i, r := range readings {
			if got := c.judge(r.sync, r.boot, r.civil); got != r.want {
				t.Errorf("%s: reading %d: got trust %d, want %d", name, i, got, r.want)
			}
		}
	}
}
