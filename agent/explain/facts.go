package explain

import (
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
)

// leaseLasts is for how long a lease that is in force goes on: longer than any robot takes to stop.
const leaseLasts = time.Hour

// facts finds what the question says about task, operator, loads and leases in the policy and the profile.
func (e *enquiry) facts() error {
	var err error
	if e.task, err = named("task", e.q.Task, e.set.TaskIndex); err != nil {
		return err
	}
	if e.operator, err = named("operator", e.q.Operator, e.set.OperatorIndex); err != nil {
		return err
	}
	e.carried.Known = e.q.LoadsKnown
	for _, name := range e.q.Loads {
		n, ok := e.set.LoadIndex(name)
		if !ok {
			return fmt.Errorf("load %q: the profile has no such load", name)
		}
		e.carried.Loads |= 1 << n
	}
	if len(e.q.Leases) > geofence.MaxLeases {
		return fmt.Errorf("%d leases: a robot has at most %d", len(e.q.Leases), geofence.MaxLeases)
	}
	for _, l := range e.q.Leases {
		i, ok := e.set.ZoneIndex(l.Zone)
		if k := e.set.Zone(i).Kind; !ok || k != geofence.Release && k != geofence.Door {
			return fmt.Errorf("lease for %q: the policy has no RELEASE or DOOR zone of that id", l.Zone)
		}
	}
	return nil
}

func named(what, name string, find func(string) (int, bool)) (geofence.Fact, error) {
	if name == "" {
		return geofence.Fact{}, nil
	}
	if name == config.FactNone {
		return geofence.Fact{Known: true, Index: geofence.Other}, nil
	}
	n, ok := find(name)
	if !ok {
		return geofence.Fact{}, fmt.Errorf("%s %q: the policy has no such %s", what, name, what)
	}
	return geofence.Fact{Known: true, Index: n}, nil
}

// leases gives a fence the leases by its set's numbers; a part of the policy does not have all of their zones.
func (e *enquiry) leases(set *geofence.Set, in *geofence.Inputs) {
	n := 0
	for _, l := range e.q.Leases {
		i, ok := set.ZoneIndex(l.Zone)
		if !ok {
			continue
		}
		in.Leases[n] = geofence.Lease{State: l.State, Zone: i, Until: boot, MaxSpeedMPS: l.MaxSpeedMPS, Facts: l.Facts}
		if l.State == geofence.Granted {
			in.Leases[n].Until += leaseLasts
		}
		n++
	}
}

// exempt says why a zone does not bind by task or operator, "" if it does or may.
func (e *enquiry) exempt(z *config.Zone) string {
	for _, k := range []struct {
		what, is     string
		only, except []string
	}{
		{"task", e.q.Task, z.Tasks, z.ExceptTasks},
		{"operator", e.q.Operator, z.Operators, z.ExceptOperators},
	} {
		switch {
		case k.is == "":
		case len(k.only) > 0 && !slices.Contains(k.only, k.is):
			return fmt.Sprintf("it binds for the %s %s only; this one's is %s", k.what, listOr(k.only, ""), k.is)
		case slices.Contains(k.except, k.is):
			return fmt.Sprintf("it does not bind for the %s %s", k.what, k.is)
		}
	}
	return ""
}

// doubtful says whether a zone may bind only because task or operator are not known.
func (e *enquiry) doubtful(z *config.Zone) bool {
	return e.q.Task == "" && len(z.Tasks)+len(z.ExceptTasks) > 0 || e.q.Operator == "" && len(z.Operators)+len(z.ExceptOperators) > 0
}

// contour is the robot's outline with what it carries, in the base frame.
func (e *enquiry) contour() []config.Point {
	loads := e.set.AllLoads()
	if e.carried.Known {
		loads = e.carried.Loads
	}
	var out []config.Point
	for _, p := range e.set.ContourM(loads) {
		out = append(out, config.Point{X: p[0], Y: p[1]})
	}
	return out
}
