//go:build !qualify

package console

import "time"

// eventBar is not held on shared machines: test tiers with bars are qualify's.
const eventBar time.Duration = 0
