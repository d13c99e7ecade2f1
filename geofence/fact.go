package geofence

// MaxNames is the greatest number of tasks, and of operators, of a Spec.
const MaxNames = 63

// Other is the index of a task or an operator that is known and in no list of the Spec, or that there is none.
const Other = -1

// Fact is a task or an operator. The zero value is unknown.
type Fact struct {
	Known bool
	// Index is from [Set.TaskIndex] or [Set.OperatorIndex], or Other.
	Index int
}

// otherBit stands for all that no list has.
const otherBit = 1 << MaxNames

// bit is 0 for what is unknown.
func (f Fact) bit() uint64 {
	switch {
	case !f.Known || f.Index < Other || f.Index >= MaxNames:
		return 0
	case f.Index == Other:
		return otherBit
	}
	return 1 << f.Index
}

// condition says under which facts of one sort a zone binds: only under some, or under all except some; the zero value
// is under all.
type condition struct{ only, except uint64 }

// binds judges a fact. One that is unknown may be any.
func (c condition) binds(fact uint64) bound {
	switch {
	case c == condition{}:
		return bindsSurely
	case fact == 0:
		return bindsMaybe
	case c.only != 0 && c.only&fact == 0 || c.except&fact != 0:
		return bindsNot
	}
	return bindsSurely
}

// facts compiles a zone's conditions.
func (i item) facts(spec *ZoneSpec, z *zone) {
	s := i.c.set
	for _, k := range [...]struct {
		onlyField, exceptField string
		only, except           []string
		names                  map[string]int
		out                    *condition
	}{
		{"Tasks", "ExceptTasks", spec.Tasks, spec.ExceptTasks, s.taskByName, &z.task},
		{"Operators", "ExceptOperators", spec.Operators, spec.ExceptOperators, s.operatorByName, &z.operator},
	} {
		*k.out = condition{i.names(k.onlyField, k.only, k.names), i.names(k.exceptField, k.except, k.names)}
		if len(k.only) > 0 && len(k.except) > 0 {
			i.fail(k.exceptField, -1, "is given together with %s, expected one of them", k.onlyField)
		}
	}
}

// factNamesOf enters the names of one sort.
func (c *compiler) factNamesOf(section string, names []string) map[string]int {
	out := map[string]int{}
	for i, name := range capped(c, section, names, MaxNames) {
		item{c, section, i, name}.name(out, "")
	}
	return out
}

// TaskIndex finds a task for [Fact].
func (s *Set) TaskIndex(name string) (int, bool) { i, ok := s.taskByName[name]; return i, ok }

// OperatorIndex finds an operator for [Fact].
func (s *Set) OperatorIndex(name string) (int, bool) { i, ok := s.operatorByName[name]; return i, ok }
