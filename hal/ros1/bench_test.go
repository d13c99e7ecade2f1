package ros1

import (
	"io"
	"testing"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

func BenchmarkDecode(b *testing.B) {
	for _, c := range typed(b) {
		b.Run(c.typ, func(b *testing.B) {
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.dec.decode(c.body, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEcho is one command in and one command out over the loopback, through a node, one at a time. The direct
// way, without a node, is what the kernel and the Go scheduler take of it.
func BenchmarkEcho(b *testing.B) {
	b.Run("direct", func(b *testing.B) {
		near, far := tcpPair(b)
		defer near.Close()
		defer far.Close()
		frame, back := rostest.Frame(twistBody(1)), make([]byte, 4+twistBytes)
		for b.Loop() {
			if _, err := near.Write(frame); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(far, back); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("node", func(b *testing.B) {
		k := newBench(b, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, nil)
		pub := startPublisher(b, k.master.URI(), "/pub", "/cmd", bus.TypeTwist, nil)
		seq := uint64(0)
		if _, err := k.n.SubscribeCommand(bus.Subscription{Topic: "/cmd", Allow: []string{"/pub"}}, 0, func(c *msg.Command) {
			seq++
			if _, err := k.p.PublishTwist(seq, &c.Twist); err != nil {
				b.Error(err)
			}
		}); err != nil {
			b.Fatal(err)
		}
		eventually(b, "connected", func() bool { return pub.Subscribers() == 1 })
		base := k.join(b, "/base")
		frame, back := rostest.Frame(twistBody(1)), make([]byte, 4+twistBytes)
		b.ReportAllocs()
		for b.Loop() {
			pub.SendRaw(frame)
			if _, err := io.ReadFull(base, back); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPublishTwist(b *testing.B) {
	k := newBench(b, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, nil)
	base := k.join(b, "/base")
	go func() { _, _ = io.Copy(io.Discard, base) }()
	t := twistOf(1)
	seq := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		seq++
		if _, err := k.p.PublishTwist(seq, t); err != nil {
			b.Fatal(err)
		}
	}
}
