//go:build qualify

package console

import "time"

// eventBar is how long an event may take from its publishing to the screen.
const eventBar = 200 * time.Millisecond

// eventHours is for how long events come in the test of a long shift.
const eventHours = 8

// allWindows is for pages on desk and phone, light and dark, each with each.
const allWindows = true
