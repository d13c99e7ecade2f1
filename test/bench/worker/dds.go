package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/host"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
)

const (
	twist    = "geometry_msgs::msg::dds_::Twist_"
	odometry = "nav_msgs::msg::dds_::Odometry_"
	// anyRate is above what any driver sends.
	anyRate = 1 << 20
)

// onDDS does one of the jobs on DDS until ctx ends.
func onDDS(ctx context.Context, job, domain, address string, topics []string) error {
	number, err := strconv.Atoi(domain)
	if err != nil {
		return fmt.Errorf("domain %q: %w", domain, err)
	}
	host, err := netip.ParseAddr(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	switch {
	case job == "participant" && len(topics) == 2:
		return participant(ctx, number, host, topics[0], topics[1])
	case job == "node" && len(topics) == 2:
		return node(ctx, number, host, topics[0], topics[1])
	case job == "reader" && len(topics) == 1:
		return reader(ctx, number, host, topics[0])
	}
	return fmt.Errorf("job %q with topics %q: see the package's comment", job, topics)
}

func join(domain int, address netip.Addr) (*rtps.Participant, error) {
	return rtps.New(rtps.Config{
		Domain: domain, Host: address, Multicast: true, UserData: []byte("enclave=/;"), Clock: host.Clock{}.Boot, Civil: host.Clock{}.Civil,
	})
}

// participant hands what it reads to its writer, on the goroutine that reads.
func participant(ctx context.Context, domain int, address netip.Addr, in, out string) error {
	p, err := join(domain, address)
	if err != nil {
		return err
	}
	w, err := p.NewWriter(rtps.WriterConfig{Topic: "rt" + out, Type: twist, Reliable: true, Depth: 10})
	if err != nil {
		return err
	}
	var seq uint64
	if _, err := p.NewReader(rtps.ReaderConfig{
		Topic: "rt" + in, Type: twist, Reliable: true, MaxRateHz: anyRate,
		Handler: func(s *rtps.Sample) {
			seq++
			_, _ = w.Write(seq, s.Payload) // a reader that is gone is the driver's matter
		},
	}); err != nil {
		return err
	}
	fmt.Println("ready")
	return p.Run(ctx)
}

// node is gate on DDS.
func node(ctx context.Context, domain int, address netip.Addr, in, out string) error {
	n, err := ros2.New(ros2.Config{
		Name: "/bench_worker_" + fmt.Sprint(os.Getpid()), Domain: domain, Host: address.String(), Multicast: true,
		Clock: host.Clock{}.Boot, Civil: host.Clock{}.Civil, Log: zerolog.Nop(),
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
	fmt.Println("ready")
	return n.Run(ctx)
}

// reader decodes all of what it reads.
func reader(ctx context.Context, domain int, address netip.Addr, topic string) error {
	p, err := join(domain, address)
	if err != nil {
		return err
	}
	var count, bad uint64
	decoder, err := cdr.NewPose(bus.TypeOdometry, nil, func(*msg.Pose) { count++ })
	if err != nil {
		return err
	}
	if _, err := p.NewReader(rtps.ReaderConfig{
		Topic: "rt" + topic, Type: odometry, Reliable: true, MaxRateHz: anyRate,
		Handler: func(s *rtps.Sample) {
			if err := decoder.Decode(s.Payload, s.Boot, uint64(s.Seq)); err != nil {
				bad++
			}
		},
	}); err != nil {
		return err
	}
	fmt.Println("ready")
	if err := p.Run(ctx); err != nil {
		return err
	}
	fmt.Printf("read %d, malformed %d\n", count, bad)
	return nil
}
