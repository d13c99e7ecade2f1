package guard

import (
	"slices"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
)

// doors are the policy's DOOR zones that facts are about, or that a task opens.
func doors(cfg *config.Config, set *geofence.Set) []DoorParams {
	var out []DoorParams
	for i := range cfg.Policy.Zones {
		z := &cfg.Policy.Zones[i]
		zone, ok := set.ZoneIndex(z.ID)
		named := z.BusEntry != nil || slices.ContainsFunc(cfg.Topics.Facts, func(s config.FactSource) bool { return s.Zone == z.ID })
		if !ok || z.Type != config.ZoneDoor || !named {
			continue
		}
		d := DoorParams{Zone: zone, Facts: set.Zone(zone).Facts}
		if e := z.BusEntry; e != nil {
			d.MaxSpeedMPS = e.MaxSpeedMPS
			for _, name := range e.Tasks {
				if n, ok := set.TaskIndex(name); ok {
					d.Tasks = append(d.Tasks, n)
				}
			}
		}
		out = append(out, d)
	}
	return out
}

// facts are the mapping's sources, as the policy takes them.
func facts(cfg *config.Config, set *geofence.Set, doors []DoorParams) []FactParams {
	var out []FactParams
	for i := range cfg.Topics.Facts {
		s := &cfg.Topics.Facts[i]
		p := FactParams{
			Name: s.ID, Kind: FactKind(slices.Index(config.FactKinds(), s.Kind) + 1), MaxAge: s.MaxAge, //nolint:gosec // five kinds
			Door: slices.IndexFunc(doors, func(d DoorParams) bool { return set.Zone(d.Zone).ID == s.Zone }),
		}
		for _, f := range cfg.Policy.Facts {
			if f.Kind == s.Kind {
				p.Need = strength(f.Identity)
			}
		}
		for _, v := range s.Values {
			m := meaning(p.Kind, v.Means, set)
			p.Loads |= m.Loads
			p.Values = append(p.Values, m)
		}
		out = append(out, p)
	}
	return out
}

// meaning is what a word means for a kind of fact.
func meaning(kind FactKind, word string, set *geofence.Set) FactMeaning {
	m := FactMeaning{Text: word, Index: geofence.Other, Open: word == config.FactOpen || word == config.FactShown}
	find := map[FactKind]func(string) (int, bool){FactLoad: set.LoadIndex, FactTask: set.TaskIndex, FactOperator: set.OperatorIndex}[kind]
	if find == nil || word == config.FactNone {
		return m
	}
	if n, ok := find(word); ok && kind == FactLoad {
		m.Loads = 1 << n
	} else if ok {
		m.Index = n
	}
	return m
}

// strength is what an identity's word demands.
func strength(identity string) msg.Strength {
	for s := msg.SourceBound; s <= msg.Authenticated; s++ {
		if s.String() == identity {
			return s
		}
	}
	return msg.StrengthUnknown
}
