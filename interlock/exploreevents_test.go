package interlock

import (
	"fmt"
	"time"
)

// The events of the plans. Time passing comes first in each: it is what rest is judged by.

func passing(n int) event {
	name := "a quantum passes"
	if n != 1 {
		name = fmt.Sprintf("%d quanta pass, and nobody looks", n)
	}
	return event{name: name, act: func(_ *explorer, s *system) bool {
		s.now += time.Duration(n) * quantum
		s.quanta = n
		return true
	}}
}

// conditions bring each trigger's condition into each of the states.
func conditions(moved []Trigger, states ...State) []event {
	var out []event
	for i, t := range moved {
		for _, to := range states {
			out = append(out, event{
				name: fmt.Sprintf("%v: %v", t, to), worse: to != Clear, moves: i + 1,
				act: func(_ *explorer, s *system) bool {
					if s.env.cond[i] == to {
						return false
					}
					s.env.cond[i] = to
					return true
				},
			})
		}
	}
	return out
}

// request asks the machine, first without effect, then with it.
func (x *explorer) request(s *system, triggers TriggerSet, persons ...Person) bool {
	req := ResetRequest{Triggers: triggers, Persons: persons}
	s.ask = &ResetRequest{Triggers: triggers, Persons: persons}
	if x.wrong.reset != nil {
		x.wrong.reset(x, s, &req)
	}
	now := s.now
	if x.wrong.early {
		now = s.m.last
	}
	s.res = s.m.Reset(now, req)
	return true
}

// resets are requests by everybody who may come: the right role, a wrong one, one person in two roles, two persons.
func resets(singles ...Trigger) []event {
	one := func(name string, set TriggerSet, persons ...Person) event {
		return event{name: "reset " + name, act: func(x *explorer, s *system) bool { return x.request(s, set, persons...) }}
	}
	all := every()
	out := []event{
		one("by the operator", all, anna), one("by the supervisor", all, ben), one("by security", all, cleo),
		one("by service, who may not", all, dirk), one("by nobody", all, Person{0, RoleSupervisor}),
		one("by the supervisor in two roles", all, ben, Person{ben.ID, RoleSecurity}),
		one("by supervisor and security", all, ben, cleo),
	}
	for _, t := range singles {
		out = append(out, one("of "+t.String()+" alone by supervisor and security", Set(t), ben, cleo))
	}
	return append(out, event{name: "reset by supervisor and security before anybody looked again", act: func(x *explorer, s *system) bool {
		s.now += 3 * quantum
		s.quanta = 3
		return x.request(s, all, ben, cleo)
	}})
}

// reboots end the process and start it again from what is on disk: as it was, damaged, and with a reset before the first
// look.
func reboots() []event {
	start := func(name string, damage, ask bool) event {
		return event{name: name, act: func(x *explorer, s *system) bool {
			stored := s.m.AppendLatches(nil)
			if damage {
				stored[len(stored)/2] ^= 1
			}
			if err := x.boot(s); err != nil {
				return false
			}
			if x.wrong.reboot == nil || x.wrong.reboot(stored, &s.m) {
				_ = s.m.RestoreLatches(s.now, stored)
			}
			s.spec.reboot(x, damage)
			if ask {
				return x.request(s, every(), ben, cleo)
			}
			return true
		}}
	}
	return []event{start("reboot", false, false), start("reboot, latches damaged", true, false), start("reboot and reset at once", false, true)}
}

// commands arrive on channels, by their places, moving and neutral, fresh and from a queue.
func commands(places ...int) []event {
	var out []event
	for _, i := range places {
		c := exploredChannels[i]
		for _, speed := range []float64{0, 1} {
			for _, late := range []time.Duration{0, quantum} {
				if late > 0 && speed == 0 {
					continue
				}
				name := fmt.Sprintf("channel %d commands %v m/s", c.number, speed)
				if late > 0 {
					name += " from a queue"
				}
				out = append(out, event{name: name, act: func(_ *explorer, s *system) bool {
					s.gin.New = true
					s.gin.Command = Command{
						Velocity: Velocity{Linear: [3]float64{speed}}, Channel: c.number, Kind: c.kind, Dock: c.dock, Received: s.now - late,
					}
					return true
				}})
			}
		}
	}
	return out
}

// motions are what measurements may say.
func motions(states ...MotionState) []event {
	var out []event
	for _, m := range states {
		out = append(out, event{name: "the robot is seen " + m.String(), act: func(_ *explorer, s *system) bool {
			if s.env.motion == m {
				return false
			}
			s.env.motion = m
			return true
		}})
	}
	return out
}

// answers are those of each rung that can answer; one that hangs gives none.
func answers(cfg *LadderConfig) []event {
	var out []event
	for i, r := range cfg.Rungs[:cfg.N] {
		if r.AckWithin == 0 {
			continue
		}
		for _, a := range []Ack{AckOK, AckFailed} {
			out = append(out, event{name: fmt.Sprintf("rung %d (%v) answers %v", i, r.Kind, a), act: func(_ *explorer, s *system) bool {
				if r := &s.l.records[i]; !r.WasRequested || r.WasAcked || r.WasFailed || i < s.l.rung {
					return false
				}
				s.env.acks[i] = a
				return true
			}})
		}
	}
	return out
}
