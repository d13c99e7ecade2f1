package geofence

import (
	"fmt"
	"strings"
)

// SpecError is one thing wrong in a Spec or a Robot. Compile joins all of them
// with errors.Join; its fields let the reader of a file point at the place.
type SpecError struct {
	// Section is "floors", "zones", "shifts", "roles", "location", "validity" or "robot".
	Section string
	// Index is the position within that section, -1 where it has none.
	Index int
	// ID is the item's own id, as far as it has one.
	ID string
	// Field is the name of the Go field that is wrong, for example "MaxSpeedMPS".
	Field string
	// Ring is 0 for the outer ring, 1 and up for Holes[Ring-1], -1 where no ring is meant.
	Ring int
	// Vertex is an index in the ring or in Footprint, -1 where none is meant.
	Vertex int
	// Element is an index in a list field (Roles, Shifts, Windows), -1 where none is meant.
	Element int
	// Problem says what was found, what was expected, and what to do.
	Problem string
}

// Error names the place and the problem in one line.
func (e *SpecError) Error() string {
	var b strings.Builder
	b.WriteString(e.Section)
	if e.Index >= 0 {
		fmt.Fprintf(&b, "[%d]", e.Index)
	}
	if e.ID != "" {
		fmt.Fprintf(&b, " %q", e.ID)
	}
	if e.Field != "" {
		b.WriteString(" " + e.Field)
	}
	if e.Element >= 0 {
		fmt.Fprintf(&b, "[%d]", e.Element)
	}
	if e.Ring == 0 {
		b.WriteString(", outer ring")
	} else if e.Ring > 0 {
		fmt.Fprintf(&b, ", hole %d", e.Ring-1)
	}
	if e.Vertex >= 0 {
		fmt.Fprintf(&b, ", vertex %d", e.Vertex)
	}
	b.WriteString(": " + e.Problem)
	return b.String()
}
