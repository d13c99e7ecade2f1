//go:build qualify

package interlock

import (
	"slices"
	"testing"
)

// TestExploreFiveClasses has five classes of trigger at once: what ends by itself, what does so after a delay, what one
// person resets, what two have to, and what asks for the dock.
func TestExploreFiveClasses(t *testing.T) {
	moved := []Trigger{PoseMissing, BusLost, HeartbeatLost, PublisherProcess, BatteryLow}
	explore(t, plan{
		name: "five classes", moved: moved, most: 3_000_000,
		rules: func(p *Policy) {
			p.Rules[BusLost].StartDelay = quantum
			p.Rules[PublisherProcess].Clear = ClearByTwoPersons
			p.Rules[BatteryLow].Clear = ClearOnClear
			p.SecondPerson = quantum
		},
		events: slices.Concat([]event{passing(1)}, conditions(moved, Present, Clear, Unknown), resets()[1:3], reboots()[:1]),
	})
}
