package desk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/host"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1"
	"github.com/robowarden/robowarden/hal/ros2"
)

// Line says how the desk reaches the robot.
type Line struct {
	// ROS2 takes DDS, else ROS 1.
	ROS2 bool
	// Node is the desk's name on the bus: the topic mapping's heartbeats list it as publisher.
	Node string
	// Host is this computer's address on the robot's network.
	Host string
	// MasterURI is the ROS 1 master's.
	MasterURI string
	// Domain is the DDS domain; Peers are addresses to look at where multicast does not reach, and then Multicast is false.
	Domain    int
	Multicast bool
	Peers     []string
	// Guard is the guard's node name, the only one whose challenges are listened to.
	Guard string
	// Challenge and Response are the two topics.
	Challenge, Response string
	Log                 zerolog.Logger
}

// textPublisher is what a desk needs of a topic that it offers.
type textPublisher interface {
	PublishString(seq uint64, text []byte) (bus.Sent, error)
}

// Link is an open line.
type Link struct {
	desk  *Desk
	out   textPublisher
	run   func(context.Context) error
	close func() error
	seq   uint64
	// Heard is told of each challenge that was answered, and of each line that was not, with its error. It must not block.
	heard func(error)
	// say makes what is sent of an answer.
	say func(answer []byte) [][]byte
}

// Open opens a line for a desk. Nothing is sent before Run. Heard is told of each challenge that was answered, with nil, and
// of each line that was not. It must not block.
func Open(l Line, d *Desk, heard func(error)) (*Link, error) {
	return OpenWith(l, d, heard, func(answer []byte) [][]byte { return [][]byte{answer} })
}

// OpenWith is Open for drills: say makes what is sent of each answer, so that a link may lose, repeat or spoil them.
func OpenWith(l Line, d *Desk, heard func(error), say func(answer []byte) [][]byte) (*Link, error) {
	k := &Link{desk: d, heard: heard, say: say}
	clock := host.Clock{}
	sub := bus.Subscription{Topic: l.Challenge, Allow: []string{l.Guard}, IdleTimeout: time.Minute}
	pub := bus.Publication{Topic: l.Response, Type: bus.TypeString, Consumers: []string{l.Guard}}
	if l.ROS2 {
		n, err := ros2.New(ros2.Config{
			Name: l.Node, Domain: l.Domain, Host: l.Host, Multicast: l.Multicast, Peers: l.Peers, Clock: clock.Boot, Civil: clock.Civil, Log: l.Log,
		})
		if err != nil {
			return nil, fmt.Errorf("dds: %w", err)
		}
		p, e1 := n.Advertise(pub)
		k.out, k.run, k.close = p, n.Run, n.Close
		_, e2 := n.SubscribeText(sub, k.take)
		return k, k.undo(errors.Join(e1, e2))
	}
	n, err := ros1.New(ros1.Config{Name: l.Node, MasterURI: l.MasterURI, Host: l.Host, Clock: clock.Boot, Log: l.Log})
	if err != nil {
		return nil, fmt.Errorf("ros 1: %w", err)
	}
	p, e1 := n.Advertise(pub)
	k.out, k.run, k.close = p, n.Run, n.Close
	_, e2 := n.SubscribeText(sub, k.take)
	return k, k.undo(errors.Join(e1, e2))
}

func (k *Link) undo(err error) error {
	if err != nil {
		return errors.Join(err, k.close())
	}
	return nil
}

// take answers a challenge on the goroutine that read it.
func (k *Link) take(m *msg.Text) {
	answer, err := k.desk.Answer(m.Data)
	if err == nil {
		for _, line := range k.say(answer) {
			k.seq++
			_, err = k.out.PublishString(k.seq, line)
		}
	}
	k.heard(err)
}

// Run keeps the line until the context ends, and closes it.
func (k *Link) Run(ctx context.Context) error {
	err := k.run(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, k.close())
}
