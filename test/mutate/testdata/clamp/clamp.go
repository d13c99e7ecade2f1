// Package clamp is a subject for the mutation driver's own test.
package clamp

// Clamp bounds v; its tests are good.
func Clamp(v, low, top int) int {
	if v < low {
		return low
	}
	return min(v, top)
}

// Half is not tested at all.
func Half(v int) int { return v / 2 }
