package agent

import (
	"errors"
	"fmt"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1"
	"github.com/robowarden/robowarden/hal/ros2"
)

// open makes the node of the bus that the profile names. It binds the node's ports and talks to nobody.
func (b *wiring) open(clock guard.Clock) error {
	switch b.cfg.Profile.Bus {
	case config.BusROS1:
		return b.openROS1(clock)
	case config.BusROS2:
		return b.openROS2(clock)
	}
	return fmt.Errorf("the profile's bus: expected %q or %q, found %q", config.BusROS1, config.BusROS2, b.cfg.Profile.Bus)
}

// transport is how messages come in on a bus.
func transport(bus string) string {
	if bus == config.BusROS2 {
		return contract.TransportUDP
	}
	return contract.TransportTCP
}

func (b *wiring) openROS1(clock guard.Clock) error {
	d := b.cfg.Deployment.ROS
	n, err := ros1.New(ros1.Config{
		Name: d.Node, MasterURI: d.MasterURI, Host: d.Host, Clock: clock.Boot, Log: b.log, OnEvent: b.event,
	})
	if err != nil {
		return fmt.Errorf("ros 1: %w", err)
	}
	b.node = anyNode[*ros1.Sub, *ros1.Publisher, *ros1.Watch]{n}
	// The guard hears itself, over a connection to its own address. A name alone could be anybody's.
	b.own = func(p *msg.Peer) bool { return p.Name == d.Node && p.Strength >= msg.SourceBound }
	return nil
}

func (b *wiring) openROS2(clock guard.Clock) error {
	d := b.cfg.Deployment.DDS
	n, err := ros2.New(ros2.Config{
		Name: d.Node, Domain: d.Domain, Host: d.Host, Multicast: d.Multicast, Peers: d.Peers, Computers: d.Computers,
		Clock: clock.Boot, Civil: clock.Civil, Log: b.log, OnEvent: b.event,
	})
	if err != nil {
		return fmt.Errorf("dds: %w", err)
	}
	b.node, b.dds = anyNode[*ros2.Sub, *ros2.Publisher, *ros2.Watch]{n}, n
	v := &b.cfg.Topics.Services
	for _, s := range v.Mapped() {
		if s == v.Private {
			continue
		}
		// Found long before it is called: a rung must not wait for discovery.
		if err := n.PrepareService(s.Name, s.Type); err != nil {
			return errors.Join(fmt.Errorf("dds: %w", err), n.Close())
		}
	}
	// A participant does not hear itself: whoever speaks under the guard's name is somebody else.
	b.own = func(*msg.Peer) bool { return false }
	b.blind = n.Blind
	return nil
}

// status is the bus, and what goes on there unseen.
func (b *wiring) status() BusStatus {
	s := BusStatus{Kind: b.cfg.Profile.Bus, NotSeen: config.NotSeen(b.cfg.Profile.Bus)}
	c := b.unseen()
	s.Secured, s.SharedMemory, s.Refused, s.Fleeting = c.Secured, c.SharedMemory, c.Refused, c.Fleeting
	return s
}

// unseen counts what limits the guard's sight. It allocates nothing while the participants are the same.
func (b *wiring) unseen() ros2.Blindness {
	if b.blind == nil {
		return ros2.Blindness{}
	}
	return b.blind()
}

// String is the status in one line, for diagnostics: what limits the guard's sight now.
func (s BusStatus) String() string {
	out := s.Kind
	if s.Secured > 0 {
		out += fmt.Sprintf(", %d secured participants not seen", s.Secured)
	}
	if s.SharedMemory > 0 {
		out += fmt.Sprintf(", shared memory of %d participants not seen", s.SharedMemory)
	}
	if s.Refused > 0 {
		out += fmt.Sprintf(", %d participants not taken in", s.Refused)
	}
	if s.Fleeting > 0 {
		out += fmt.Sprintf(", %d writers of watched topics left before they were known", s.Fleeting)
	}
	return out
}
