//go:build qualify

package console

import "time"

// eventBar is how long an event may take from its publishing to the screen.
const eventBar = 200 * time.Millisecond

// eventHours is for how long events come in the test of a long shift.
const eventHours = 8
