package interlock

import "fmt"

// named is an enumeration whose values have names.
type named interface {
	~uint8
	fmt.Stringer
}

// parse returns the value below n with that name.
func parse[T named](name string, n T) (T, bool) {
	for v := range n {
		if v.String() == name {
			return v, true
		}
	}
	return n, false
}

// ParseTrigger returns the trigger with that code.
func ParseTrigger(code string) (Trigger, bool) { return parse(code, NumTriggers) }

// ParseRole returns the role with that name.
func ParseRole(name string) (Role, bool) { return parse(name, NumRoles) }

// ParseClearCondition returns the clear condition with that name.
func ParseClearCondition(name string) (ClearCondition, bool) { return parse(name, NumClearConditions) }

// ParseMotion returns the value with that name.
func ParseMotion(name string) (Motion, bool) { return parse(name, MotionFree+1) }

// ParseManipulators returns the value with that name.
func ParseManipulators(name string) (Manipulators, bool) { return parse(name, ManipulatorsFree+1) }

// ParsePerception returns the value with that name.
func ParsePerception(name string) (Perception, bool) { return parse(name, PerceptionFree+1) }

// ParseRemote returns the value with that name.
func ParseRemote(name string) (Remote, bool) { return parse(name, RemoteFree+1) }

// ParseRungKind returns the kind of rung with that name.
func ParseRungKind(name string) (RungKind, bool) {
	k, ok := parse(name, NumRungKinds)
	return k, ok && k != RungUnknown
}

// ParseChannelKind returns the kind of channel with that name.
func ParseChannelKind(name string) (ChannelKind, bool) {
	k, ok := parse(name, ChannelAutonomy+1)
	return k, ok && k != ChannelUnknown
}

// ParseLevel returns the level with that name.
func ParseLevel(name string) (Level, bool) { return parse(name, LevelRun+1) }
