package idl

import "strings"

// AddSrv takes a service definition in ROS 2's .srv format: request and response, parted by a line of "---". They become
// the types pkg/srv/Type_Request and pkg/srv/Type_Response.
func (s *Set) AddSrv(name, file, text string) error {
	return s.addROS(name, "srv", file, text, []string{"_Request", "_Response"}, func(full string) {
		s.services[full] = true
	})
}

// AddAction takes an action definition in ROS 2's .action format: goal, result and feedback, parted by lines of "---". They
// become pkg/action/Type_Goal, _Result and _Feedback, and what an action server really exchanges besides: the services
// _SendGoal and _GetResult, and _FeedbackMessage.
func (s *Set) AddAction(name, file, text string) error {
	return s.addROS(name, "action", file, text, []string{"_Goal", "_Result", "_Feedback"}, func(full string) {
		derive := func(suffix string, fields ...Field) {
			st := &Struct{Name: full + suffix, Fields: fields, where: place{file: file}}
			var out problems
			s.add(st, &out) // the names are as new as the action's
		}
		part := func(name, suffix string) Field {
			return Field{Name: name, Type: &Type{Kind: Composite, Name: full + suffix}}
		}
		id := Field{Name: "goal_id", Type: &Type{Kind: Composite, Name: "unique_identifier_msgs/msg/UUID"}}
		stamp := Field{Name: "stamp", Type: &Type{Kind: Composite, Name: "builtin_interfaces/msg/Time"}}
		derive("_SendGoal_Request", id, part("goal", "_Goal"))
		derive("_SendGoal_Response", Field{Name: "accepted", Type: &Type{Kind: Bool}}, stamp)
		derive("_GetResult_Request", id)
		derive("_GetResult_Response", Field{Name: "status", Type: &Type{Kind: Int8}}, part("result", "_Result"))
		derive("_FeedbackMessage", id, part("feedback", "_Feedback"))
		s.services[full+"_SendGoal"], s.services[full+"_GetResult"] = true, true
	})
}

// addROS takes a text of as many parts as there are suffixes and, if all are sound, calls done with the whole name.
func (s *Set) addROS(name, usual, file, text string, suffixes []string, done func(full string)) error {
	var out problems
	pkg, kind, typ, ok := rosName(name, usual)
	if !ok {
		out.add(place{file: file}, "a name such as pkg/"+usual+"/Type", clip(name), "name the package and the type")
		return out.err()
	}
	m := msgParser{file: file, pkg: pkg, out: &out}
	if !m.fits(text) {
		return out.err()
	}
	full := pkg + "/" + kind + "/" + typ
	lines := strings.Split(text, "\n")
	var found []*Struct
	for first := 0; first <= len(lines); {
		end := first
		for end < len(lines) && strings.TrimRight(lines[end], " \t\r") != "---" {
			end++
		}
		if len(found) == len(suffixes) {
			out.add(place{file, first, 1}, parts(len(suffixes)), "one more", "a message has 1 part, a service 2, an action 3")
			break
		}
		found = append(found, m.parse(strings.Join(lines[first:end], "\n"), first+1, full+suffixes[len(found)]))
		first = end + 1
	}
	if len(found) < len(suffixes) {
		out.add(place{file: file}, parts(len(suffixes)), number(len(found)), "a message has 1 part, a service 2, an action 3")
	}
	if len(out.list) > 0 {
		return out.err()
	}
	for _, st := range found {
		s.add(st, &out)
	}
	if err := out.err(); err != nil {
		return err
	}
	if done != nil {
		done(full)
	}
	return nil
}

func parts(n int) string {
	if n == 1 {
		return "1 part"
	}
	return number(n) + " parts with a line of --- between them"
}
