//go:build !qualify

package console

import "time"

// eventBar is not held on shared machines: test tiers with bars are qualify's.
const eventBar time.Duration = 0

// eventHours is a part of the long shift: the page's list is full after an hour as it is after eight.
const eventHours = 1

// allWindows is false: each page in one window of each size and each scheme.
const allWindows = false
