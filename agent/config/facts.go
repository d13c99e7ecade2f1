package config

import (
	"slices"
	"strings"
	"time"
)

// Kinds of facts.
const (
	// FactLoad is what the robot carries.
	FactLoad = "load"
	// FactTask is what the robot is doing.
	FactTask = "task"
	// FactOperator is who has it do so.
	FactOperator = "operator"
	// FactDoor is whether a door is open.
	FactDoor = "door"
	// FactBadge is whether an authorised badge was shown at a door.
	FactBadge = "badge"
)

// FactKinds lists the kinds, in the order of [FactSource].Kind.
func FactKinds() []string { return []string{FactLoad, FactTask, FactOperator, FactDoor, FactBadge} }

// Meanings that every document shares.
const (
	// FactNone is no load, no task, no operator, no badge.
	FactNone = "none"
	// FactOpen is a door that is.
	FactOpen = "open"
	// FactClosed is a door that is shut.
	FactClosed = "closed"
	// FactShown is a badge's.
	FactShown = "shown"
)

// FactSource is a topic that says something about load, task, operator, a door or a badge. It holds until it is older than
// max_age; then nobody knows, and the most restrictive reading holds.
type FactSource struct {
	// ID is the source's name in status and logs.
	ID string `cfg:"id" form:"id" eg:"id: tray"`
	// Kind is what it is about.
	Kind string `cfg:"kind" enum:"load|task|operator|door|badge" eg:"kind: load"`
	// Topic is the absolute name.
	Topic string `cfg:"topic" form:"topic" eg:"topic: /tray"`
	// Type is the message type.
	Type string `cfg:"type" kin:"msg" enum:"std_msgs/Bool|std_msgs/String" eg:"type: std_msgs/Bool"`
	// Publishers are the only nodes that are listened to.
	Publishers []string `cfg:"publishers" len:"1..16" form:"publisher" eg:"publishers: [/tray]"`
	// MaxAge is the age by receive time beyond which the fact is unknown.
	MaxAge time.Duration `cfg:"max_age" range:"[50ms,24h]" eg:"max_age: 2s"`
	// Zone is the DOOR that a door or a badge is about.
	Zone string `cfg:"zone,optional" form:"id" eg:"zone: pharmacy-door"`
	// Values say what each text, or true and false, means: the id of a load, a task or an operator, none, open, closed or
	// shown. Any other text is unknown.
	Values []FactValue `cfg:"values" len:"1..64" eg:"values: [{value: \"true\", means: tray}, {value: \"false\", means: none}]"`
}

// FactValue is one text and its meaning.
type FactValue struct {
	// Value is what the bus says, true or false for a std_msgs/Bool.
	Value string `cfg:"value" len:"1..64" form:"text" eg:"value: \"true\""`
	// Means is what that means.
	Means string `cfg:"means" form:"id" eg:"means: tray"`
}

// Index is the number of a value, -1 for one that is not listed.
func (s *FactSource) Index(value string) int {
	return slices.IndexFunc(s.Values, func(v FactValue) bool { return v.Value == value })
}

// checkFactSources checks what the types cannot say about sources of facts.
func (d *document) checkFactSources(t *Topics) {
	d.unique("facts", "id", names(t.Facts, func(s FactSource) string { return s.ID }))
	once := map[string]int{}
	for i := range t.Facts {
		s := &t.Facts[i]
		where := at("facts", i)
		if first, twice := once[s.Kind]; twice {
			d.wrong(where.child("kind"), ruleDuplicate, "one source of the "+s.Kind, "another beside "+t.Facts[first].ID, "who of two that differ is right?")
		} else if s.Kind == FactTask || s.Kind == FactOperator {
			once[s.Kind] = i
		}
		about := s.Kind == FactDoor || s.Kind == FactBadge
		switch given := d.has("facts", i, "zone"); {
		case about && !given:
			d.about(where.find(d.root), where.child("zone"), Problem{
				Rule: ruleMissing, Expected: "zone: the DOOR that it is about", Found: "nothing", Example: "zone: pharmacy-door",
			})
		case !about && given && s.Kind != "":
			d.wrong(where.child("zone"), ruleExclusive, "zone for a door or a badge only", "a "+s.Kind, "delete the key")
		}
		d.checkFactValues(where, s)
	}
}

// checkFactValues checks the values by themselves; which loads, tasks and operators there are, other documents say.
func (d *document) checkFactValues(where *path, s *FactSource) {
	words := map[string][]string{FactDoor: {FactOpen, FactClosed}, FactBadge: {FactShown, FactNone}}[s.Kind]
	seen := map[string]bool{}
	for n, v := range s.Values {
		item := where.child("values").item(n)
		if seen[v.Value] && v.Value != "" {
			d.wrong(item.child("value"), ruleDuplicate, "each value once", v.Value+" again", "")
		}
		seen[v.Value] = true
		if s.Type == TypeBool && v.Value != "true" && v.Value != "false" && v.Value != "" {
			d.wrong(item.child("value"), ruleExclusive, `"true" or "false" for a `+TypeBool, v.Value, "")
		}
		if words != nil && !slices.Contains(words, v.Means) && v.Means != "" {
			d.wrong(item.child("means"), ruleExclusive, strings.Join(words, " or ")+" for a "+s.Kind, v.Means, "")
		}
	}
}

// checkFactDemands checks the policy's own part.
func (d *document) checkFactDemands(p *Policy) {
	d.unique("tasks", "", p.Tasks)
	d.unique("operators", "", p.Operators)
	d.unique("facts", "kind", names(p.Facts, func(f FactDemand) string { return f.Kind }))
	for list, all := range map[string][]string{"tasks": p.Tasks, "operators": p.Operators} {
		for i, name := range all {
			if name == FactNone {
				d.wrong(at(list, i), ruleExclusive, "another name than "+FactNone+", which means that there is none", name, "")
			}
		}
	}
}

// checkZoneFacts checks a zone's conditions by fact.
func (d *document) checkZoneFacts(where *path, i int, z *Zone, p *Policy) {
	for _, k := range [...]struct {
		key, except  string
		only, exempt []string
		declared     []string
		list         string
	}{
		{"tasks", "except_tasks", z.Tasks, z.ExceptTasks, p.Tasks, "tasks"},
		{"operators", "except_operators", z.Operators, z.ExceptOperators, p.Operators, "operators"},
	} {
		d.references(where.child(k.key), k.only, k.declared, k.list)
		d.references(where.child(k.except), k.exempt, k.declared, k.list)
		if len(k.only) > 0 && len(k.exempt) > 0 {
			d.wrong(where.child(k.except), ruleExclusive, k.key+" or "+k.except, "both", "")
		}
	}
	if e := z.BusEntry; e != nil {
		d.references(where.child("bus_entry").child("tasks"), e.Tasks, p.Tasks, "tasks")
		if byTask := slices.Contains(z.OpenedBy, FactTask); byTask != (len(e.Tasks) > 0) && d.clean("zones", i) {
			d.wrong(where.child("bus_entry"), ruleExclusive, "tasks together with opened_by: [task]", "one of them", "the tasks are those that open the door")
		}
	}
	if ringed := z.Type == ZoneBlocked || z.Type == ZoneKeepIn || z.Type == ZoneRelease || z.Type == ZoneDoor; d.has("zones", i, "warn_m") && !ringed && z.Type != "" {
		d.wrong(where.child("warn_m"), ruleExclusive, "warn_m in a zone with an edge: "+strings.Join([]string{ZoneBlocked, ZoneKeepIn, ZoneRelease, ZoneDoor}, ", "),
			"a "+z.Type+" zone", "delete the key")
	}
}

// checkFacts compares what the mapping says about facts with profile and policy, of which each may be nil.
func (d *document) checkFacts(policy *document, t *Topics, profile *Profile, p *Policy) {
	for i := range t.Facts {
		s := &t.Facts[i]
		where := at("facts", i)
		var declared []string
		var list string
		switch {
		case s.Kind == FactLoad && profile != nil:
			declared, list = names(profile.Loads, func(l LoadSpec) string { return l.ID }), "the profile's loads"
		case s.Kind == FactTask && p != nil && policy.clean("tasks"):
			declared, list = p.Tasks, "the policy's tasks"
		case s.Kind == FactOperator && p != nil && policy.clean("operators"):
			declared, list = p.Operators, "the policy's operators"
		case s.Zone != "" && p != nil && policy.clean("zones"):
			doors := names(slices.DeleteFunc(slices.Clone(p.Zones), func(z Zone) bool { return z.Type != ZoneDoor }), func(z Zone) string { return z.ID })
			if !slices.Contains(doors, s.Zone) {
				d.unknownName(where.child("zone"), s.Zone, doors, "the policy's "+ZoneDoor+" zones")
			}
		}
		if list == "" {
			continue
		}
		for n, v := range s.Values {
			if v.Means != "" && v.Means != FactNone && !slices.Contains(declared, v.Means) {
				d.unknownName(where.child("values").item(n).child("means"), v.Means, declared, list)
			}
		}
	}
	if p != nil {
		policy.warnFacts(t, profile, p)
	}
}

// warnFacts warns of conditions that nothing can ever lift.
func (d *document) warnFacts(t *Topics, profile *Profile, p *Policy) {
	vouched := func(kind string) bool {
		return slices.ContainsFunc(t.Facts, func(s FactSource) bool { return s.Kind == kind }) &&
			slices.ContainsFunc(p.Facts, func(f FactDemand) bool { return f.Kind == kind })
	}
	for i, f := range p.Facts {
		if f.Kind != "" && !vouched(f.Kind) {
			d.warn(at("facts", i, "kind"), "unused", "a source of this kind in the topic mapping", f.Kind, "nobody says anything about it")
		}
	}
	for i := range p.Zones {
		z := &p.Zones[i]
		for _, k := range []struct {
			key, kind string
			given     bool
		}{
			{"tasks", FactTask, len(z.Tasks) > 0},
			{"except_tasks", FactTask, len(z.ExceptTasks) > 0},
			{"operators", FactOperator, len(z.Operators) > 0},
			{"except_operators", FactOperator, len(z.ExceptOperators) > 0},
		} {
			if k.given && !vouched(k.kind) {
				d.warn(at("zones", i, k.key), "no-effect", "a source of the "+k.kind+" in the topic mapping, and its kind under the policy's facts", "not both",
					"the zone applies always, since nobody vouches for the "+k.kind)
			}
		}
	}
	if profile != nil && len(profile.Loads) > 0 && !vouched(FactLoad) {
		d.warn(nil, "no-effect", "a source of the load in the topic mapping, and its kind under the policy's facts", "not both",
			"the robot is taken to carry every load always")
	}
}
