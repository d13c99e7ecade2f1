// Package hostile attacks a ROS 1 node and the graph around it, each attack a function with a bounded load that stops
// by itself; it aims only at the target that it is given, and only ever at loopback addresses.
//
// What each attack does to an ordinary node is stated in Attack.Claims and proven by this package's own tests against
// rospy, roscpp and goroslib nodes. What a hardened node makes of it is for the end-to-end tests to see.
package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// Name is under which attackers appear on the graph, unless they pose as somebody else.
const Name = "/intruder"

// ForgedX is the x coordinate in metres of all forged poses, far from where any test's robot is.
const ForgedX = 42.0

// ErrNoSurface means that the target has nothing that this attack could be aimed at: no slave API, no such topic.
var ErrNoSurface = errors.New("target has no such surface")

// ErrRefused means that the target answered no, or did not take the bait in time.
var ErrRefused = errors.New("target refused")

// Deflected says whether the error tells of the target's strength. Any other error means that the attack did not take
// place as meant, so that a test which sees one has proven nothing.
func Deflected(err error) bool { return errors.Is(err, ErrNoSurface) || errors.Is(err, ErrRefused) }

// Target says whom to attack and what it is on the graph.
type Target struct {
	// Master is the URI of the ROS master.
	Master string
	// Node is the target's name on the graph.
	Node string
	// PoseTopic is a topic that the target subscribes to, PoseType its type: one of those that forge.go knows.
	PoseTopic string
	PoseType  wire.Type
	// ServedTopic is a topic that the target publishes, ServedType its type.
	ServedTopic string
	ServedType  wire.Type
	// CommandIn and CommandOut are the Twist topics before and behind the gate, LockTopic is the base's lock.
	CommandIn, CommandOut, LockTopic string
	// Base is the name of the node that listens on CommandOut and LockTopic.
	Base string
	// Trusted is the name of the node that rightly publishes CommandIn.
	Trusted string
	// Service is a std_srvs/SetBool service that the target calls.
	Service string
	// ChallengeTopic and AnswerTopic carry the heartbeat, OrderTopic signed orders, all as std_msgs/String.
	ChallengeTopic, AnswerTopic, OrderTopic string
	// CommandVX is the forward speed in m/s of injected commands; default 1.
	CommandVX float64
	// Duration is how long an attack goes on; default 2s.
	Duration time.Duration
	// Seed starts all chance; an attack that uses it logs it. Default 1.
	Seed uint64
	// Logf takes what an attack has to tell; default: nobody.
	Logf func(format string, args ...any)
}

func (t Target) duration() time.Duration {
	if t.Duration <= 0 {
		return 2 * time.Second
	}
	return t.Duration
}

func (t Target) seed() uint64 { return max(t.Seed, 1) }

func (t Target) logf(format string, args ...any) {
	if t.Logf != nil {
		t.Logf(format, args...)
	}
}

// Need is what a target must have for an attack to make sense.
type Need uint

// Needs of attacks, as fields of Target.
const (
	// NeedNode is a node with Master and Node.
	NeedNode Need = 1 << iota
	// NeedPose is PoseTopic, NeedServed ServedTopic.
	NeedPose
	NeedServed
	// NeedCommands is CommandIn, CommandOut and Base; NeedLock is LockTopic.
	NeedCommands
	NeedLock
	// NeedService is Service, NeedTrusted is Trusted.
	NeedService
	NeedTrusted
	// NeedAnswers is ChallengeTopic and AnswerTopic, NeedOrders OrderTopic.
	NeedAnswers
	NeedOrders
)

// has says whether the target has all that the need asks for.
func (t Target) has(n Need) bool {
	missing := map[Need]bool{
		NeedNode:     t.Master == "" || t.Node == "",
		NeedPose:     t.PoseTopic == "",
		NeedServed:   t.ServedTopic == "",
		NeedCommands: t.CommandIn == "" || t.CommandOut == "" || t.Base == "",
		NeedLock:     t.LockTopic == "" || t.Base == "",
		NeedService:  t.Service == "",
		NeedTrusted:  t.Trusted == "",
		NeedAnswers:  t.ChallengeTopic == "" || t.AnswerTopic == "",
		NeedOrders:   t.OrderTopic == "",
	}
	for need, lacks := range missing {
		if n&need != 0 && lacks {
			return false
		}
	}
	return true
}

// Attack is one way to attack.
type Attack struct {
	// Name is stable and says what is done, such as "slave-shutdown".
	Name string
	// Claims is what it does to an ordinary node.
	Claims string
	// Needs is what the target must have.
	Needs Need
	// Run attacks. It returns nil when the attack was carried through, an error that Deflected accepts when the target
	// warded it off in the open, and any other error when the attack could not be made.
	Run func(ctx context.Context, t Target) error
}

// All are all attacks, in a fixed order.
func All() []Attack {
	return slices.Concat(slaveAttacks(), serverAttacks(), feedAttacks(), graphAttacks(), commandAttacks(), answerAttacks(), fuzzAttacks())
}

// For are the attacks for which the target has all that is needed.
func For(t Target) []Attack {
	return slices.DeleteFunc(All(), func(a Attack) bool { return !t.has(a.Needs) })
}

// Named finds an attack.
func Named(name string) (Attack, error) {
	for _, a := range All() {
		if a.Name == name {
			return a, nil
		}
	}
	return Attack{}, fmt.Errorf("hostile: no attack named %q", name)
}

// slave finds a node's slave API and makes sure that somebody listens there.
func (t Target) slave(ctx context.Context, node string) (string, error) {
	v, err := wire.CallROS(ctx, t.Master, "lookupNode", Name, node)
	if r := (*wire.Refused)(nil); errors.As(err, &r) {
		return "", fmt.Errorf("hostile: %s is not known to the master: %w", node, ErrNoSurface)
	}
	if err != nil {
		return "", fmt.Errorf("hostile: lookup of %s: %w", node, err)
	}
	uri, _ := v.(string)
	addr, err := hostPort(uri)
	if err != nil {
		return "", err
	}
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", fmt.Errorf("hostile: slave API of %s: %w: %w", node, ErrNoSurface, err)
	}
	return uri, c.Close()
}

// hostPort takes the address out of an http URI, and insists on the loopback.
func hostPort(uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Port() == "" {
		return "", fmt.Errorf("hostile: expected http://host:port/, found %q", uri)
	}
	ips, err := net.LookupIP(u.Hostname())
	if err != nil || len(ips) == 0 || !ips[0].IsLoopback() {
		return "", fmt.Errorf("hostile: %q is not on this machine's loopback: not attacked", uri)
	}
	return u.Host, nil
}

// server asks a node where it serves a topic.
func (t Target) server(ctx context.Context, node, topic string) (string, error) {
	uri, err := t.slave(ctx, node)
	if err != nil {
		return "", err
	}
	addr, err := wire.RequestTopic(ctx, uri, Name, topic)
	if err != nil {
		return "", fmt.Errorf("hostile: %s does not serve %s: %w: %w", node, topic, ErrNoSurface, err)
	}
	if _, err := hostPort("http://" + addr + "/"); err != nil {
		return "", err
	}
	return addr, nil
}

// intruder makes an attacker's node that knows the target's master.
func (t Target) intruder(name string) (*wire.Node, error) {
	n, err := wire.NewNode(wire.NodeConfig{Name: name, Master: t.Master})
	if err != nil {
		return nil, fmt.Errorf("hostile: %w", err)
	}
	return n, nil
}

// sleep waits unless the context ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// repeat calls f at the rate for the duration, and makes up for late calls.
func repeat(ctx context.Context, hz float64, d time.Duration, f func()) {
	start := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		due := time.Duration(float64(i) / hz * float64(time.Second))
		if due >= d {
			return
		}
		if wait := due - time.Since(start); wait > 0 {
			sleep(ctx, wait)
		}
		f()
	}
}
