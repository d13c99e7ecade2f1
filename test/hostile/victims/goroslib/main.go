// Command goroslib is an ordinary goroslib node to be attacked, with the library's own defaults: it listens to poses or
// joints, publishes a text, and prints what it has seen and what it uses.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bluenviron/goroslib/v2"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/nav_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/sensor_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/std_msgs"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "victim:", err)
		os.Exit(1)
	}
}

func run() error {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	master := strings.Trim(strings.TrimPrefix(os.Getenv("ROS_MASTER_URI"), "http://"), "/")
	node, err := goroslib.NewNode(goroslib.NodeConf{Name: "victim", MasterAddress: master, Host: "127.0.0.1"})
	if err != nil {
		return err
	}
	var total, forged atomic.Int64
	var onPose any = func(m *nav_msgs.Odometry) {
		total.Add(1)
		if m.Pose.Pose.Position.X > 40 {
			forged.Add(1)
		}
	}
	if len(os.Args) > 1 && os.Args[1] == "--joints" {
		onPose = func(*sensor_msgs.JointState) { total.Add(1) }
	}
	if _, err := goroslib.NewSubscriber(goroslib.SubscriberConf{Node: node, Topic: "/odom", Callback: onPose}); err != nil {
		return err
	}
	pub, err := goroslib.NewPublisher(goroslib.PublisherConf{Node: node, Topic: "/served", Msg: &std_msgs.String{}})
	if err != nil {
		return err
	}
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			pub.Write(&std_msgs.String{Data: "tick"})
		}
	}()
	for {
		select {
		case <-term:
			start := time.Now()
			node.Close()
			fmt.Printf("closed in %d ms\n", time.Since(start).Milliseconds())
			return nil
		case <-time.After(50 * time.Millisecond):
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		fmt.Printf("status total=%d forged=%d heap=%d allocated=%d udp=%v\n", total.Load(), forged.Load(),
			m.HeapSys>>20, m.TotalAlloc>>20, strings.Contains(string(stacks), "runUdprosServer"))
	}
}
