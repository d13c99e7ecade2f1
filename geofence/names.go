package geofence

import (
	"slices"
	"strings"
)

func named[T ~uint8](v T, names []string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "invalid"
}

// String is the VDA 5050 word where it has one.
func (k Kind) String() string {
	return named(k, []string{
		"UNSET", "BLOCKED", "SPEED_LIMIT", "KEEP_IN", "NO_MANIPULATION", "PRIVACY", "DWELL_LIMIT", "RELEASE", "DOOR", "NO_STOP",
		"DIRECTED", "BIDIRECTED",
	})
}

// String is the VDA 5050 word.
func (l Loss) String() string { return named(l, []string{"UNSET", "STOP", "CONTINUE", "EVACUATE"}) }

// String is the VDA 5050 word.
func (l Limitation) String() string {
	return named(l, []string{"UNSET", "SOFT", "RESTRICTED", "STRICT"})
}

// String is the VDA 5050 word for the state of a request, NONE if there is none.
func (s LeaseState) String() string {
	return named(s, []string{"NONE", "REQUESTED", "QUEUED", "GRANTED", "REJECTED", "REVOKED", "EXPIRED"})
}

// factNames are the facts as policies and grants write them, by bit.
func factNames() []string { return []string{"badge", "door", "task"} }

// ParseFact finds a fact by its name.
func ParseFact(name string) (FactSet, bool) {
	i := slices.Index(factNames(), name)
	if i < 0 {
		return 0, false
	}
	return 1 << i, true
}

// String lists the facts, joined by "+".
func (f FactSet) String() string {
	var list []string
	for i, name := range factNames() {
		if f>>uint(i)&1 != 0 {
			list = append(list, name)
		}
	}
	if f >= factEnd {
		list = append(list, "invalid")
	}
	return strings.Join(list, "+")
}

// String is "outside", "margin", "inside" or "unknown".
func (p Place) String() string {
	return named(p, []string{"unknown", "outside", "margin", "inside"})
}

// String is "untrusted", "holdover" or "trusted".
func (t ClockTrust) String() string {
	return named(t, []string{"untrusted", "holdover", "trusted"})
}

// String is the reason in kebab case, a stable key for logs.
func (r Reason) String() string {
	return named(r, []string{
		"none", "not-ready", "pose-fault", "command-not-finite", "profile-speed", "pose-quality",
		"speed-zone", "speed-ahead", "edge-ahead", "margin", "inside", "egress", "egress-direction",
		"floor-denied", "measured-motion", "budget",
		"no-manipulation", "privacy", "dwell", "door-held", "place-unknown", "release-continue", "release-evacuate", "refuge",
		"part-inside", "part-margin", "part-unknown", "view", "warn", "direction", "direction-ahead",
	})
}

// faultNames are the stable keys of the faults, by bit.
func faultNames() []string {
	return []string{
		"pose-missing", "pose-stale", "pose-future", "pose-not-finite", "quaternion", "frame", "floor", "range",
		"covariance-unknown", "covariance-large", "jump", "frozen", "stamp-order", "velocity-unknown",
		"velocity-range", "clock", "not-valid", "disagree", "second-lost",
	}
}

// String lists the faults in kebab case, joined by "+"; no fault is "".
func (f FaultSet) String() string {
	var list []string
	for i, name := range faultNames() {
		if f>>uint(i)&1 != 0 {
			list = append(list, name)
		}
	}
	if f >= faultEnd {
		list = append(list, "invalid")
	}
	return strings.Join(list, "+")
}
