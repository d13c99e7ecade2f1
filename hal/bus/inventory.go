package bus

import (
	"cmp"
	"slices"
)

// Bounds of an [Inventory]: whoever takes one leaves out what is beyond, and says so.
const (
	MaxInventoryTopics = 4096
	MaxInventoryNodes  = 64
)

// Inventory is what a bus shows of itself at one moment: the word of those who announced themselves, proven by nobody. It
// is for a person who writes a robot's first topic mapping, never for a decision.
type Inventory struct {
	// Topics and Services are sorted by name.
	Topics   []TopicEntry
	Services []ServiceEntry
	// Omitted counts what was left out beyond the bounds.
	Omitted int
}

// TopicEntry is one topic.
type TopicEntry struct {
	// Name is absolute; Type is "package/Type", empty where the bus does not know it.
	Name, Type string
	// Publishers and Subscribers are node names, sorted.
	Publishers, Subscribers []string
}

// ServiceEntry is one service. Type is empty on ROS 1, whose master does not know it.
type ServiceEntry struct{ Name, Type string }

// Topic returns the entry of a topic's name, made where there is none, or nil where there is no room for one more.
func (v *Inventory) Topic(name string) *TopicEntry {
	i, ok := slices.BinarySearchFunc(v.Topics, name, func(t TopicEntry, s string) int { return cmp.Compare(t.Name, s) })
	if !ok {
		if len(v.Topics) == MaxInventoryTopics {
			v.Omitted++
			return nil
		}
		v.Topics = slices.Insert(v.Topics, i, TopicEntry{Name: name})
	}
	return &v.Topics[i]
}

// Service notes a service.
func (v *Inventory) Service(name, typ string) {
	i, ok := slices.BinarySearchFunc(v.Services, name, func(s ServiceEntry, n string) int { return cmp.Compare(s.Name, n) })
	switch {
	case ok:
	case len(v.Services) == MaxInventoryTopics:
		v.Omitted++
	default:
		v.Services = slices.Insert(v.Services, i, ServiceEntry{name, typ})
	}
}

// Publisher notes who publishes a topic.
func (v *Inventory) Publisher(t *TopicEntry, node string) { v.note(&t.Publishers, node) }

// Subscriber notes who reads one.
func (v *Inventory) Subscriber(t *TopicEntry, node string) { v.note(&t.Subscribers, node) }

func (v *Inventory) note(list *[]string, node string) {
	i, ok := slices.BinarySearch(*list, node)
	switch {
	case ok:
	case len(*list) == MaxInventoryNodes:
		v.Omitted++
	default:
		*list = slices.Insert(*list, i, node)
	}
}
