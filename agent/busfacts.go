package agent

import (
	"bytes"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// factBytes is the largest message of a source of facts.
const factBytes = 4 << 10

// connectFacts subscribes to what the bus says about load, task, operator, doors and badges.
func (b *wiring) connectFacts(try try) {
	for i := range b.cfg.Topics.Facts {
		s := &b.cfg.Topics.Facts[i]
		sub := bus.Subscription{
			Topic: s.Topic, Type: s.Type, Allow: s.Publishers, MaxBytes: factBytes, IdleTimeout: max(s.MaxAge, time.Second),
			Latched: true, // what changes seldom is told once
		}
		if s.Type == config.TypeBool {
			try(s.Topic, b.node.SubscribeBool(sub, func(m *msg.Bool) { b.guard.Fact(fact(i, boolIndex(s, m.Value), m.Peer)) }))
			continue
		}
		try(s.Topic, b.node.SubscribeText(sub, func(m *msg.Text) { b.guard.Fact(fact(i, textIndex(s, m.Data), m.Peer)) }))
	}
}

func fact(source, value int, p *msg.Peer) guard.Fact {
	return guard.Fact{Source: source, Value: value, Peer: p.ID, Strength: p.Strength}
}

// textIndex finds a text among a source's values without allocating, -1 for another one.
func textIndex(s *config.FactSource, text []byte) int {
	text = bytes.TrimSpace(text)
	for i := range s.Values {
		if string(text) == s.Values[i].Value {
			return i
		}
	}
	return -1
}

func boolIndex(s *config.FactSource, v bool) int {
	if v {
		return s.Index("true")
	}
	return s.Index("false")
}
