package hostile

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// commandAttacks try to drive the robot.
func commandAttacks() []Attack {
	attacks := []Attack{
		{"inject-odd-twists", "commands NaN, infinities and speeds beyond all measure", NeedNode | NeedCommands, injectOddTwists},
		{"inject-malformed", "sends commands that are too short or too long", NeedNode | NeedCommands, injectMalformed},
		{"inject-impostor", "commands under the name of the trusted planner", NeedNode | NeedCommands | NeedTrusted, injectImpostor},
		{"bypass-base", "commands the base directly; the master knows nothing of it", NeedNode | NeedCommands, bypassBase},
		{"lock-release", "tells the lock to let go, beside the real writer", NeedNode | NeedLock, lockRelease},
		{"lock-release-bypass", "tells the lock to let go; the master knows nothing of it", NeedNode | NeedLock, lockReleaseBypass},
	}
	for _, hz := range []float64{10, 100, 1000} {
		attacks = append(attacks,
			Attack{
				fmt.Sprintf("inject-before-%.0f", hz), "commands the gate from a second publisher", NeedNode | NeedCommands,
				func(ctx context.Context, t Target) error { return inject(ctx, t, t.CommandIn, nil, hz) },
			},
			Attack{
				fmt.Sprintf("inject-behind-%.0f", hz), "commands the base from a second publisher", NeedNode | NeedCommands,
				func(ctx context.Context, t Target) error { return inject(ctx, t, t.CommandOut, nil, hz) },
			})
	}
	return attacks
}

// command is the twist that attackers want.
func (t Target) command() []byte {
	v := t.CommandVX
	if v == 0 {
		v = 1
	}
	return wire.TwistMsg{Linear: [3]float64{v}}.Append(nil)
}

// inject publishes the command on a topic at a rate.
func inject(ctx context.Context, t Target, topic string, header []string, hz float64) error {
	n, pub, err := lure(ctx, t, wire.PublisherConfig{Topic: topic, Type: wire.Twist, Header: header})
	if err != nil {
		return err
	}
	command := t.command()
	repeat(ctx, hz, t.duration(), func() { pub.Send(command) })
	return n.Close()
}

func injectImpostor(ctx context.Context, t Target) error {
	return inject(ctx, t, t.CommandIn, []string{"callerid", t.Trusted}, 100)
}

func injectOddTwists(ctx context.Context, t Target) error {
	n, pub, err := lure(ctx, t, wire.PublisherConfig{Topic: t.CommandIn, Type: wire.Twist})
	if err != nil {
		return err
	}
	odd := []float64{
		math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.Copysign(0, -1), 1e6, math.Float64frombits(0x7ff0000000000001),
	}
	i := 0
	repeat(ctx, 100, t.duration(), func() {
		m := wire.TwistMsg{Linear: [3]float64{0.1}}
		axis, v := i/len(odd)%6, odd[i%len(odd)]
		if axis < 3 {
			m.Linear[axis] = v
		} else {
			m.Angular[axis-3] = v
		}
		i++
		pub.Send(m.Append(nil))
	})
	return n.Close()
}

func injectMalformed(ctx context.Context, t Target) error {
	good := t.command()
	var bad [][]byte
	for n := 0; n < len(good); n += 5 {
		bad = append(bad, good[:n])
	}
	bad = append(bad, append(append([]byte(nil), good...), good...), make([]byte, 49), make([]byte, 1<<20))
	var i int
	n, pub, err := lure(ctx, t, wire.PublisherConfig{Topic: t.CommandIn, Type: wire.Twist})
	if err != nil {
		return err
	}
	repeat(ctx, 100, t.duration(), func() {
		pub.Send(bad[i%len(bad)])
		i++
	})
	return n.Close()
}

func bypassBase(ctx context.Context, t Target) error {
	return bypass(ctx, t, t.CommandOut, wire.Twist, t.command())
}

func lockReleaseBypass(ctx context.Context, t Target) error {
	return bypass(ctx, t, t.LockTopic, wire.Bool, wire.BoolBody(false))
}

// bypass tells the base that the topic's publishers are the ones that the master knows and one more, so that nothing
// is missed by anybody.
func bypass(ctx context.Context, t Target, topic string, typ wire.Type, body []byte) error {
	base, err := t.slave(ctx, t.Base)
	if err != nil {
		return err
	}
	names, err := publishers(ctx, t.Master, topic)
	if err != nil {
		return err
	}
	n, err := wire.NewNode(wire.NodeConfig{Name: Name})
	if err != nil {
		return err
	}
	defer func() { _ = n.Close() }()
	pub := n.Offer(wire.PublisherConfig{Topic: topic, Type: typ})
	uris := []string{n.URI()}
	for _, name := range names {
		uri, err := t.slave(ctx, name)
		if err == nil {
			uris = append(uris, uri)
		}
	}
	if _, err := wire.CallROS(ctx, base, "publisherUpdate", "/master", topic, uris); err != nil {
		return outcome(err)
	}
	if err := bait(ctx, pub); err != nil {
		return err
	}
	repeat(ctx, 100, t.duration(), func() { pub.Send(body) })
	// Leave no trace: the base forgets the intruder at once, also where the attack was called off.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err = wire.CallROS(ctx, base, "publisherUpdate", "/master", topic, uris[1:])
	return outcome(err)
}

func lockRelease(ctx context.Context, t Target) error {
	n, pub, err := lure(ctx, t, wire.PublisherConfig{Topic: t.LockTopic, Type: wire.Bool})
	if err != nil {
		return err
	}
	repeat(ctx, 100, t.duration(), func() { pub.Send(wire.BoolBody(false)) })
	return n.Close()
}
