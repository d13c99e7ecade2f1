package agent

import (
	"context"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// node is what the guard's side needs of a robot's bus, whichever it is. Handlers are called on the bus's own
// goroutines, and what they are handed is valid only during the call.
type node interface {
	Run(ctx context.Context) error
	Close() error

	SubscribePose(s bus.Subscription, h func(*msg.Pose)) error
	SubscribeTransforms(s bus.Subscription, edges []bus.Edge, h func(*msg.Transform)) error
	SubscribeJoints(s bus.Subscription, names []string, h func(*msg.Joints)) error
	SubscribeIMU(s bus.Subscription, h func(*msg.IMU)) error
	SubscribeBattery(s bus.Subscription, index int, h func(*msg.Device)) error
	SubscribeHeat(s bus.Subscription, h func(*msg.Device)) error
	SubscribeCommand(s bus.Subscription, channel int, h func(*msg.Command)) error
	SubscribeBool(s bus.Subscription, h func(*msg.Bool)) error
	SubscribeDevice(s bus.Subscription, kind msg.DeviceKind, index int, h func(*msg.Device)) error
	SubscribeText(s bus.Subscription, h func(*msg.Text)) error
	SubscribeDemand(s bus.DemandSubscription, h func(*msg.Demand)) error
	WatchTopic(topic, consumer string, h func(*msg.Graph)) error

	Advertise(p bus.Publication) (publisher, error)

	caller
}

// caller calls the vendor's services.
type caller interface {
	CallSetBool(ctx context.Context, name string, v bool) (bus.ServiceResult, error)
	CallTrigger(ctx context.Context, name string) (bus.ServiceResult, error)
	CallEmpty(ctx context.Context, name string) error
}

// publisher is one topic that the guard offers. Publishing never blocks and never allocates; what is older than what
// went out already is dropped.
type publisher interface {
	PublishTwist(seq uint64, t *msg.Twist) (bus.Sent, error)
	PublishBool(seq uint64, v bool) (bus.Sent, error)
	PublishString(seq uint64, text []byte) (bus.Sent, error)
	PublishRaw(seq uint64, message []byte) (bus.Sent, error)
	PublishHold(seq uint64, h *bus.Hold) (bus.Sent, error)
	PublishDiagnostics(seq uint64, stamp int64, status []bus.DiagnosticStatus) (bus.Sent, error)
}

// busNode is a bus's node with the types that its own package returns: S is a subscription, P a publisher and W a watch
// of the graph.
type busNode[S any, P publisher, W any] interface {
	Run(ctx context.Context) error
	Close() error

	SubscribePose(s bus.Subscription, h func(*msg.Pose)) (S, error)
	SubscribeTransforms(s bus.Subscription, edges []bus.Edge, h func(*msg.Transform)) (S, error)
	SubscribeJoints(s bus.Subscription, names []string, h func(*msg.Joints)) (S, error)
	SubscribeIMU(s bus.Subscription, h func(*msg.IMU)) (S, error)
	SubscribeBattery(s bus.Subscription, index int, h func(*msg.Device)) (S, error)
	SubscribeHeat(s bus.Subscription, h func(*msg.Device)) (S, error)
	SubscribeCommand(s bus.Subscription, channel int, h func(*msg.Command)) (S, error)
	SubscribeBool(s bus.Subscription, h func(*msg.Bool)) (S, error)
	SubscribeDevice(s bus.Subscription, kind msg.DeviceKind, index int, h func(*msg.Device)) (S, error)
	SubscribeText(s bus.Subscription, h func(*msg.Text)) (S, error)
	SubscribeDemand(s bus.DemandSubscription, h func(*msg.Demand)) (S, error)
	WatchTopic(topic, consumer string, h func(*msg.Graph)) (W, error)

	Advertise(p bus.Publication) (P, error)

	caller
}

// anyNode makes a node of any bus's own. The guard keeps what it subscribed to for as long as the node lives, and
// closing the node closes it all; so the single subscriptions are forgotten here.
type anyNode[S any, P publisher, W any] struct{ n busNode[S, P, W] }

func (a anyNode[S, P, W]) Run(ctx context.Context) error { return a.n.Run(ctx) }

func (a anyNode[S, P, W]) Close() error { return a.n.Close() }

func (a anyNode[S, P, W]) SubscribePose(s bus.Subscription, h func(*msg.Pose)) error {
	_, err := a.n.SubscribePose(s, h)
	return err
}

func (a anyNode[S, P, W]) SubscribeTransforms(s bus.Subscription, edges []bus.Edge, h func(*msg.Transform)) error {
	_, err := a.n.SubscribeTransforms(s, edges, h)
	return err
}

func (a anyNode[S, P, W]) SubscribeJoints(s bus.Subscription, names []string, h func(*msg.Joints)) error {
	_, err := a.n.SubscribeJoints(s, names, h)
	return err
}

func (a anyNode[S, P, W]) SubscribeIMU(s bus.Subscription, h func(*msg.IMU)) error {
	_, err := a.n.SubscribeIMU(s, h)
	return err
}

func (a anyNode[S, P, W]) SubscribeBattery(s bus.Subscription, index int, h func(*msg.Device)) error {
	_, err := a.n.SubscribeBattery(s, index, h)
	return err
}

func (a anyNode[S, P, W]) SubscribeHeat(s bus.Subscription, h func(*msg.Device)) error {
	_, err := a.n.SubscribeHeat(s, h)
	return err
}

func (a anyNode[S, P, W]) SubscribeCommand(s bus.Subscription, channel int, h func(*msg.Command)) error {
	_, err := a.n.SubscribeCommand(s, channel, h)
	return err
}

func (a anyNode[S, P, W]) SubscribeBool(s bus.Subscription, h func(*msg.Bool)) error {
	_, err := a.n.SubscribeBool(s, h)
	return err
}

func (a anyNode[S, P, W]) SubscribeDevice(s bus.Subscription, kind msg.DeviceKind, index int, h func(*msg.Device)) error {
	_, err := a.n.SubscribeDevice(s, kind, index, h)
	return err
}

func (a anyNode[S, P, W]) SubscribeText(s bus.Subscription, h func(*msg.Text)) error {
	_, err := a.n.SubscribeText(s, h)
	return err
}

func (a anyNode[S, P, W]) SubscribeDemand(s bus.DemandSubscription, h func(*msg.Demand)) error {
	_, err := a.n.SubscribeDemand(s, h)
	return err
}

func (a anyNode[S, P, W]) WatchTopic(topic, consumer string, h func(*msg.Graph)) error {
	_, err := a.n.WatchTopic(topic, consumer, h)
	return err
}

// Advertise keeps a publisher that failed from becoming an interface that is not nil.
func (a anyNode[S, P, W]) Advertise(p bus.Publication) (publisher, error) {
	pub, err := a.n.Advertise(p)
	if err != nil {
		return nil, err
	}
	return pub, nil
}

func (a anyNode[S, P, W]) CallSetBool(ctx context.Context, name string, v bool) (bus.ServiceResult, error) {
	return a.n.CallSetBool(ctx, name, v)
}

func (a anyNode[S, P, W]) CallTrigger(ctx context.Context, name string) (bus.ServiceResult, error) {
	return a.n.CallTrigger(ctx, name)
}

func (a anyNode[S, P, W]) CallEmpty(ctx context.Context, name string) error {
	return a.n.CallEmpty(ctx, name)
}
