package agent

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/vendorfields"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2"
)

// holdIn is when a hold at the measured positions is due: a controller's own cycle later, so that the point is not in the
// past when it arrives.
const holdIn = 50 * time.Millisecond

// gateOut is where one gate's decisions go: out for what passes, or goals for those of an action, and lock for its flag; nil
// where its mode has none.
type gateOut struct {
	out, lock publisher
	goals     *ros2.GoalGate
	// holds is what is sent at the moment of a hold: see config.Gate.Holds.
	holds string
	// order are the profile's numbers of the gate's joints, names their names.
	order []int
	names []string

	// mu guards hold, which is what the publisher is given. It is held while nothing waits.
	mu   sync.Mutex
	hold bus.Hold
}

// advertiseGates offers what gates write.
func (b *wiring) advertiseGates() error {
	var errs []error
	b.sink.gates = make([]gateOut, len(b.cfg.Topics.Gates))
	for i := range b.cfg.Topics.Gates {
		g, o := &b.cfg.Topics.Gates[i], &b.sink.gates[i]
		var err error
		switch {
		case g.Inline() && g.Action(): // see connectGoals
		case g.Inline():
			o.out, err = b.node.Advertise(bus.Publication{
				Topic: g.Out, Type: g.Type, Forward: true, MD5: g.MD5, Consumers: []string{g.Consumer}, MaxBytes: g.MaxBytes,
			})
			o.prepare(b.cfg, g)
		case g.Mode == config.GateLock:
			o.lock, err = b.node.Advertise(bus.Publication{Topic: g.Lock, Type: bus.TypeBool, Consumers: []string{g.Consumer}})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("gate %s: %w", g.Name, err))
		}
	}
	return errors.Join(errs...)
}

// prepare makes all that a hold needs, so that nothing is made when it is due.
func (o *gateOut) prepare(cfg *config.Config, g *config.Gate) {
	o.holds = g.Holds(cfg.Profile.Bus)
	if o.holds == "" {
		return
	}
	o.order = g.Order(cfg.Profile)
	all := vendorfields.JointNames(cfg.Profile)
	for _, i := range o.order {
		o.names = append(o.names, all[i])
	}
	o.hold.In = holdIn
	switch o.holds {
	case "zeros":
		o.hold.Zeros = len(o.order)
	case "measured":
		o.hold.Names, o.hold.Positions = make([]string, 0, len(o.order)), make([]float64, 0, len(o.order))
	}
}

// connectGates subscribes to what gates judge.
func (b *wiring) connectGates(try try) {
	forms := map[string]msg.Form{config.ReadsJoints: msg.FormJoints, config.ReadsGoal: msg.FormGoal, config.ReadsNothing: msg.FormOpaque}
	quantities := map[string]msg.Quantity{"positions": msg.Positions, "velocities": msg.Velocities, "efforts": msg.Efforts}
	for i := range b.cfg.Topics.Gates {
		g := &b.cfg.Topics.Gates[i]
		s := bus.DemandSubscription{
			Subscription: bus.Subscription{
				Topic: g.Topic, Type: g.Type, Allow: g.Publishers, MaxBytes: g.MaxBytes, MaxRateHz: g.MaxRateHz, IdleTimeout: time.Hour,
			},
			Form: forms[g.Reads], Channel: i, MD5: g.MD5, Quantity: quantities[g.Quantity],
		}
		if g.Reads == config.ReadsJoints {
			s.Joints, s.Order = vendorfields.JointNames(b.cfg.Profile), g.Order(b.cfg.Profile)
		}
		if g.Action() {
			try(g.Topic, b.connectGoals(g, s.Subscription, i))
			continue
		}
		try(g.Topic, b.node.SubscribeDemand(s, b.guard.Demand))
	}
}

// connectGoals takes the requests for goals of an action, whose gate offers what its clients call.
func (b *wiring) connectGoals(g *config.Gate, s bus.Subscription, i int) error {
	if b.dds == nil {
		return fmt.Errorf("gate %s: %s is an action of ROS 2; the profile's bus is %s", g.Name, g.Type, b.cfg.Profile.Bus)
	}
	gate, err := b.dds.GateGoals(ros2.GoalGateConfig{Subscription: s, Server: g.Out, Trees: g.BehaviorTrees, Channel: i}, b.guard.Demand)
	if err != nil {
		return fmt.Errorf("gate %s: %w", g.Name, err)
	}
	b.sink.gates[i].goals = gate
	return nil
}

// goalServices are the services by which goals come to a gate and go on from it, by every name that the bus tells of them.
func goalServices(g *config.Gate) []string {
	if !g.Action() {
		return nil
	}
	var out []string
	for _, name := range []string{g.Topic, g.Out} {
		for _, part := range config.ActionParts(name) {
			out = append(out, part, part+"Request", part+"Reply")
		}
	}
	return out
}

// Pass sends a demand on unless something newer went out there.
func (s *busSink) Pass(gate int, seq uint64, d *msg.Demand) {
	switch o := &s.gates[gate]; {
	case o.goals != nil:
		o.goals.Pass(seq, d)
	case o.out != nil:
		_, _ = o.out.PublishRaw(seq, d.Raw)
	}
}

// End tells the consumer of a gate to stop what is under way. A joint whose position is not known is left out of a hold at
// the measured positions; without any known, an empty trajectory is all that can be said.
func (s *busSink) End(gate int, seq uint64, at [msg.MaxJoints]float64, known uint64) {
	o := &s.gates[gate]
	if o.goals != nil {
		o.goals.End(seq)
		return
	}
	if o.out == nil || o.holds == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.holds == "measured" {
		o.hold.Names, o.hold.Positions = o.hold.Names[:0], o.hold.Positions[:0]
		for i, j := range o.order {
			if known&(1<<j) != 0 {
				o.hold.Names, o.hold.Positions = append(o.hold.Names, o.names[i]), append(o.hold.Positions, at[j])
			}
		}
	}
	_, _ = o.out.PublishHold(seq, &o.hold)
}

// GateLock publishes the value of a gate's lock unless a newer one went out.
func (s *busSink) GateLock(gate int, seq uint64, locked bool) {
	if o := &s.gates[gate]; o.lock != nil {
		_, _ = o.lock.PublishBool(seq, locked)
	}
}
