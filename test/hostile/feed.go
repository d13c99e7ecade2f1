package hostile

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// feedAttacks are publishers that the target finds through the master and that are not what they should be.
func feedAttacks() []Attack {
	feed := func(name, claims string, run func(context.Context, Target) error) Attack {
		return Attack{name, claims, NeedNode | NeedPose, run}
	}
	return []Attack{
		feed("feed-forged", "adds forged poses to the real ones", feedForged),
		feed("feed-impostor", "adds forged poses under the name of the real publisher", feedImpostor),
		feed("feed-wrong-md5", "has another checksum than the topic: refused again and again (rospy: taken)", feedWrongMD5),
		feed("feed-slow-loris", "keeps a connection that never completes a message", feedSlowLoris),
		feed("feed-slow-header", "keeps a connection that never completes its header", feedSlowHeader),
		feed("feed-huge-length", "announces messages of up to 4 GiB", feedHugeLength),
		feed("feed-giant", "sends legal messages of 16 MiB that cost far more to decode", feedGiant),
		feed("feed-malformed", "sends messages whose inner lengths do not fit", feedMalformed),
		feed("feed-hang-up", "hangs up on every connection, so that the node connects for ever", feedHangUp),
		feed("feed-odd-values", "sends NaN, infinities, zero quaternions and covariances that cannot be", feedOddValues),
		feed("feed-future-stamps", "sends poses from the future", feedStamps(5*time.Second)),
		feed("feed-past-stamps", "sends poses from the past", feedStamps(-5*time.Second)),
		feed("feed-repeated-stamps", "sends the same stamp and number over and over, and then an earlier one", feedRepeated),
		feed("feed-burst", "sends thousands of old poses at once, so that a node that drops the newest acts on old ones", feedBurst),
		feed("feed-bad-address", "answers requestTopic with places that are none", feedBadAddress),
		feed("feed-silent-address", "never answers requestTopic", feedSilentAddress),
	}
}

// lure registers a publisher and waits until the target is connected. The caller closes the node.
func lure(ctx context.Context, t Target, cfg wire.PublisherConfig) (*wire.Node, *wire.Publisher, error) {
	n, err := t.intruder(Name)
	if err != nil {
		return nil, nil, err
	}
	if cfg.Topic == "" {
		cfg.Topic, cfg.Type = t.PoseTopic, t.PoseType
	}
	pub, err := n.Advertise(ctx, cfg)
	if err == nil {
		err = bait(ctx, pub)
	}
	if err != nil {
		_ = n.Close()
		return nil, nil, err
	}
	return n, pub, nil
}

// served runs the script on every connection that the target makes, for the attack's duration.
func served(ctx context.Context, t Target, header []string, script func(ctx context.Context, c *wire.Conn)) error {
	n, pub, err := lure(ctx, t, wire.PublisherConfig{Header: header, Serve: script})
	if err != nil {
		return err
	}
	sleep(ctx, t.duration())
	t.logf("%d connections", pub.Accepted())
	return n.Close()
}

// sent sends what make gives, 100 times a second.
func sent(ctx context.Context, t Target, header []string, message func(i int) []byte) error {
	n, pub, err := lure(ctx, t, wire.PublisherConfig{Header: header})
	if err != nil {
		return err
	}
	i := 0
	repeat(ctx, 100, t.duration(), func() {
		pub.Send(message(i))
		i++
	})
	return n.Close()
}

func feedForged(ctx context.Context, t Target) error {
	return sent(ctx, t, nil, func(i int) []byte { return forged(t.PoseType, uint32(i), time.Now()) })
}

// feedImpostor takes the real publisher's name into its connection header; at the master it has another name, since
// the master would end the real one otherwise.
func feedImpostor(ctx context.Context, t Target) error {
	names, err := publishers(ctx, t.Master, t.PoseTopic)
	if err != nil {
		return fmt.Errorf("hostile: nobody to pose as on %s: %w", t.PoseTopic, err)
	}
	if len(names) == 0 {
		return fmt.Errorf("hostile: nobody to pose as on %s: the master lists no publisher", t.PoseTopic)
	}
	header := []string{"callerid", names[0]}
	return sent(ctx, t, header, func(i int) []byte { return forged(t.PoseType, uint32(i), time.Now()) })
}

func feedWrongMD5(ctx context.Context, t Target) error {
	return served(ctx, t, []string{"md5sum", strings.Repeat("d", 32)}, func(ctx context.Context, c *wire.Conn) {
		_, _ = c.Write(wire.Frame(forged(t.PoseType, 1, time.Now())))
		readFor(ctx, c, t.duration())
	})
}

func feedSlowLoris(ctx context.Context, t Target) error {
	return served(ctx, t, nil, func(ctx context.Context, c *wire.Conn) {
		message := wire.Frame(forged(t.PoseType, 1, time.Now()))
		repeat(ctx, 10, t.duration(), func() {
			if len(message) > 1 {
				_, _ = c.Write(message[:1])
				message = message[1:]
			}
		})
	})
}

// feedSlowHeader cannot use the node's own handshake: it answers one byte at a time.
func feedSlowHeader(ctx context.Context, t Target) error {
	l, err := newListener(ctx, func(ctx context.Context, c *wire.Conn) {
		if _, err := wire.ReadHeader(c); err != nil {
			return
		}
		header := wire.EncodeHeader("callerid", Name, "md5sum", t.PoseType.MD5, "type", t.PoseType.Name)
		repeat(ctx, 10, t.duration(), func() {
			if len(header) > 1 {
				_, _ = c.Write(header[:1])
				header = header[1:]
			}
		})
	})
	if err != nil {
		return err
	}
	defer l.close()
	return addressed(ctx, t, func() any { return []any{"TCPROS", "127.0.0.1", l.port()} }, l.accepted)
}

func feedHugeLength(ctx context.Context, t Target) error {
	sizes := []uint32{math.MaxUint32, math.MaxInt32, math.MaxInt32 + 1, 1 << 30, 1<<30 - 1, 17 << 20}
	var n atomic.Int64
	return served(ctx, t, nil, func(ctx context.Context, c *wire.Conn) {
		size := sizes[int(n.Add(1)-1)%len(sizes)]
		_, _ = c.Write(binary.LittleEndian.AppendUint32(nil, size))
		_, _ = c.Write(make([]byte, 1<<16))
		readFor(ctx, c, 300*time.Millisecond)
	})
}

// feedGiant sends the costliest legal message of its type: joints without names, or a pose with an endless frame id.
func feedGiant(ctx context.Context, t Target) error {
	const size = 16<<20 - 64
	body := wire.HeaderMsg{}.Append(nil)
	if t.PoseType == wire.JointState {
		body = binary.LittleEndian.AppendUint32(body, (size-64)/4)
		body = append(body, make([]byte, (size-64)/4*4+12)...)
	} else {
		body = wire.PlanarOdometry(wire.HeaderMsg{Frame: strings.Repeat("m", size-1000)}, ForgedX, 0, 0, 0, 0).Append(nil)
	}
	message := wire.Frame(body)
	return served(ctx, t, nil, func(ctx context.Context, c *wire.Conn) {
		for range 5 {
			_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
			if _, err := c.Write(message); err != nil || ctx.Err() != nil {
				return
			}
		}
		readFor(ctx, c, t.duration())
	})
}

// feedMalformed sends each spoilt message on a connection of its own, in case the target hangs up, and all in a row.
func feedMalformed(ctx context.Context, t Target) error {
	bad := malformed(t.PoseType)
	var n atomic.Int64
	return served(ctx, t, nil, func(ctx context.Context, c *wire.Conn) {
		i := int(n.Add(1) - 1)
		if i < len(bad) {
			_, _ = c.Write(wire.Frame(bad[i]))
			readFor(ctx, c, 20*time.Millisecond)
		}
		for _, b := range bad {
			if _, err := c.Write(wire.Frame(b)); err != nil {
				return
			}
		}
		readFor(ctx, c, 20*time.Millisecond)
	})
}

func feedHangUp(ctx context.Context, t Target) error {
	return served(ctx, t, nil, func(context.Context, *wire.Conn) {})
}

func feedOddValues(ctx context.Context, t Target) error {
	return sent(ctx, t, nil, func(i int) []byte { return oddValues(t.PoseType, i) })
}

func feedStamps(offset time.Duration) func(context.Context, Target) error {
	return func(ctx context.Context, t Target) error {
		return sent(ctx, t, nil, func(i int) []byte { return forged(t.PoseType, uint32(i), time.Now().Add(offset)) })
	}
}

func feedRepeated(ctx context.Context, t Target) error {
	start := time.Now()
	return sent(ctx, t, nil, func(i int) []byte {
		return forged(t.PoseType, 7, start.Add(-time.Duration(i/50)*time.Second))
	})
}

func feedBurst(ctx context.Context, t Target) error {
	var all []byte
	for i := range 5000 {
		all = append(all, wire.Frame(forged(t.PoseType, uint32(i), time.Now().Add(-time.Second)))...)
	}
	return served(ctx, t, nil, func(ctx context.Context, c *wire.Conn) {
		_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		_, _ = c.Write(all)
		readFor(ctx, c, t.duration())
	})
}

// addressed registers a publisher whose requestTopic answers what reply says, and waits until it was asked or, if hits
// is given, until the target came to the place that the reply names.
func addressed(ctx context.Context, t Target, reply func() any, hits func() int) error {
	var asked atomic.Int64
	n, err := wire.NewNode(wire.NodeConfig{
		Name: Name, Master: t.Master,
		OnCall: func(method string, _ []any) (any, bool) {
			if method != "requestTopic" {
				return nil, false
			}
			asked.Add(1)
			return []any{1, "ready", reply()}, true
		},
	})
	if err != nil {
		return err
	}
	if _, err := n.Advertise(ctx, wire.PublisherConfig{Topic: t.PoseTopic, Type: t.PoseType}); err != nil {
		_ = n.Close()
		return err
	}
	sleep(ctx, t.duration())
	t.logf("asked %d times", asked.Load())
	if asked.Load() == 0 || hits != nil && hits() == 0 {
		err = fmt.Errorf("hostile: did not come: %w", ErrRefused)
	}
	if closeErr := n.Close(); closeErr != nil {
		return closeErr
	}
	return err
}

func feedBadAddress(ctx context.Context, t Target) error {
	replies := []any{
		[]any{"TCPROS", "127.0.0.1", 1},
		[]any{"TCPROS", "127.0.0.1", -1},
		[]any{"TCPROS", "127.0.0.1", 70000},
		[]any{"TCPROS", "", 0},
		[]any{"TCPROS", strings.Repeat("h", 1<<16), 4711},
		[]any{"TCPROS", "127.0.0.1", "4711"},
		[]any{"UDPROS", "127.0.0.1", 4711, 1, 1500, []byte{1, 2}},
		[]any{},
		[]any{1, 2, 3},
		"TCPROS", 0,
		[]any{"TCPROS", []any{"127.0.0.1"}, 4711},
		[]any{"TCPROS", "127.0.0.1\r\nX: y", 4711},
	}
	var n atomic.Int64
	return addressed(ctx, t, func() any { return replies[int(n.Add(1)-1)%len(replies)] }, nil)
}

func feedSilentAddress(ctx context.Context, t Target) error {
	ctx, cancel := context.WithTimeout(ctx, t.duration())
	defer cancel()
	// The answer is held back until the end of the attack.
	return addressed(ctx, t, func() any {
		<-ctx.Done()
		return []any{}
	}, nil)
}
