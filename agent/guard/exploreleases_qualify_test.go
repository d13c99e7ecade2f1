//go:build qualify

package guard

import "testing"

// TestExploreLeasesApart has a place for each zone: 4 000 states.
func TestExploreLeasesApart(t *testing.T) { exploreLeases(t, 2) }
