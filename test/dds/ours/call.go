package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros2"
)

// call calls a std_srvs/SetBool service with true, so many times and once a second, and writes down what becomes of it.
func call(ctx context.Context, w *out, o options) error {
	n, err := ros2.New(ros2.Config{
		Name: "/robowarden", Domain: o.domain, Host: o.host, Multicast: bool(o.multicast), Clock: boot,
		Civil: func() int64 { return time.Now().UnixNano() }, Log: zerolog.Nop(),
		OnEvent: func(e *bus.Event) { w.line("event %s %s %q", e.Kind, e.Topic, e.Detail) },
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(context.Background()) }()
	if err := n.PrepareService(o.topic, ros2.TypeSetBool); err != nil {
		return err
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range o.count {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		r, err := n.CallSetBool(ctx, o.topic, true)
		w.line("called success=%t error=%v", r.Success, err)
	}
	if err := n.Close(); err != nil {
		return err
	}
	return <-ended
}
