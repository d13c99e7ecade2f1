// Command worker is what a benchmark needs beside the peers: the product's own transports doing the same job as they do, and
// a load for the processors.
//
//	worker gate IN OUT   Twist in, forward speed clamped, Twist out
//	worker load          keeps every processor and some memory busy until it is killed
//
// On DDS, in a domain and at an address:
//
//	worker participant DOMAIN ADDRESS IN OUT   the participant alone: Twist in reliably, the same bytes out
//	worker node DOMAIN ADDRESS IN OUT          the guard's node: Twist in as the guard reads it, clamped, Twist out
//	worker reader DOMAIN ADDRESS TOPIC         the participant alone: Odometry in reliably, decoded
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/host"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch {
	case len(os.Args) == 4 && os.Args[1] == "gate":
		return gate(ctx, os.Args[2], os.Args[3])
	case len(os.Args) == 2 && os.Args[1] == "load":
		load(ctx)
		return nil
	case len(os.Args) >= 5:
		return onDDS(ctx, os.Args[1], os.Args[2], os.Args[3], os.Args[4:])
	}
	return fmt.Errorf("usage: see the package; found %q", os.Args[1:])
}

// clampMPS is the highest forward speed that gets through, as in the other peers.
const clampMPS = 0.5

// gate passes commands on until ctx ends.
func gate(ctx context.Context, in, out string) error {
	n, err := ros1.New(ros1.Config{
		Name: "/bench_worker_" + fmt.Sprint(os.Getpid()), MasterURI: os.Getenv("ROS_MASTER_URI"), Host: "127.0.0.1",
		Clock: host.Clock{}.Boot, Log: zerolog.Nop(),
	})
	if err != nil {
		return err
	}
	pub, err := n.Advertise(bus.Publication{Topic: out, Type: bus.TypeTwist})
	if err != nil {
		return err
	}
	var seq uint64
	if _, err := n.SubscribeCommand(bus.Subscription{Topic: in, Allow: []string{"/bench_driver"}}, 0, func(m *msg.Command) {
		seq++
		_, _ = pub.PublishTwist(seq, clamped(m)) // a reader that is gone is the driver's matter
	}); err != nil {
		return err
	}
	return n.Run(ctx)
}

// clamped is the command as it is passed on.
func clamped(m *msg.Command) *msg.Twist {
	m.Twist.Linear.X = math.Min(math.Max(m.Twist.Linear.X, -clampMPS), clampMPS)
	return &m.Twist
}

// load works on more memory than caches hold, one goroutine for each processor.
func load(ctx context.Context) {
	const words = 4 << 20
	for range runtime.NumCPU() {
		go func() {
			memory := make([]uint64, words)
			for x := uint64(1); ; x = x*6364136223846793005 + 1442695040888963407 {
				memory[x>>42%words] += x
			}
		}()
	}
	<-ctx.Done()
}
