// Command ours is the product's participant in the place of a counting peer: the same arguments and the same lines as
// ddspub and ddssub (../src), and "event <kind> <detail>" for what the participant notices.
//
//	ours ddspub --topic=/odom --type=odometry --count=1000 --rate=1000 --wait=1
//	ours ddssub --topic=/odom --type=odometry --count=1000
//	ours relay
//	ours call --topic=/robot/stop --count=3
//	ours body --mapping=../configs/examples/humanoid-dds/topics.yaml
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/hal/rtps"
)

// options are those of the C++ peers.
type options struct {
	domain, depth, size                      int
	count, first                             int64
	host, peers, topic, typ, mapping         string
	multicast, reliable, latched, each       onOff
	rate, idle, settle, flush, linger, lease float64
	wait, maxSample                          int
}

type onOff bool

func (o *onOff) String() string { return map[bool]string{true: "on", false: "off"}[bool(*o)] }

func (o *onOff) Set(s string) error {
	if s != "on" && s != "off" {
		return errors.New("expected on or off")
	}
	*o = s == "on"
	return nil
}

func parse(args []string) (options, error) {
	o := options{multicast: true, reliable: true}
	f := flag.NewFlagSet("ours", flag.ContinueOnError)
	f.IntVar(&o.domain, "domain", 0, "DDS domain")
	f.StringVar(&o.host, "host", "127.0.0.1", "address of the interface")
	f.StringVar(&o.peers, "peers", "", "addresses to announce to, separated by commas")
	f.Var(&o.multicast, "multicast", "on or off")
	f.StringVar(&o.topic, "topic", "/odom", "topic")
	f.StringVar(&o.typ, "type", "odometry", "odometry, twist, string or image")
	f.StringVar(&o.mapping, "mapping", "", "topic mapping whose sensors body reads")
	f.Int64Var(&o.count, "count", 0, "samples, 0 for no end")
	f.Int64Var(&o.first, "first", 1, "number of the first sample")
	f.Float64Var(&o.rate, "rate", 50, "samples a second")
	f.IntVar(&o.size, "size", 0, "bytes of content")
	f.Var(&o.reliable, "reliable", "on or off")
	f.Var(&o.latched, "latched", "on or off")
	f.IntVar(&o.depth, "depth", 0, "samples that are kept, 0 for as many as can be")
	f.IntVar(&o.wait, "wait", 0, "readers to wait for")
	f.Float64Var(&o.settle, "settle", 0.3, "seconds after them")
	f.Float64Var(&o.flush, "flush", 10, "seconds to wait for acknowledgements")
	f.Float64Var(&o.linger, "linger", 0, "seconds to stay")
	f.Float64Var(&o.lease, "lease", 0, "seconds of the participant's lease, 0 for the default")
	f.Float64Var(&o.idle, "idle", 0, "seconds without samples that end it")
	f.Var(&o.each, "each", "on or off")
	f.IntVar(&o.maxSample, "max-sample", 2<<20, "cap of a sample's bytes")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("ours: unknown argument %q", f.Arg(0))
	}
	return o, nil
}

// out writes lines of several goroutines.
type out struct{ mu sync.Mutex }

func (w *out) line(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

func boot() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // cannot fail with a clock that exists
	return time.Duration(ts.Nano())
}

func (o options) participant(w *out) (*rtps.Participant, error) {
	host, err := netip.ParseAddr(o.host)
	if err != nil {
		return nil, fmt.Errorf("ours: --host: %w", err)
	}
	c := rtps.Config{
		Domain: o.domain, Host: host, Multicast: bool(o.multicast), UserData: []byte("enclave=/;"), Name: "/",
		Lease: time.Duration(o.lease * float64(time.Second)), Clock: boot, Civil: func() int64 { return time.Now().UnixNano() },
		OnEvent: func(e *rtps.Event) {
			w.line("event %s %s %q suppressed=%d source=%s", e.Kind, e.Topic, e.Detail, e.Suppressed, e.Source)
		},
	}
	for _, p := range strings.FieldsFunc(o.peers, func(r rune) bool { return r == ',' }) {
		a, err := netip.ParseAddr(p)
		if err != nil {
			return nil, fmt.Errorf("ours: --peers: %w", err)
		}
		c.Peers = append(c.Peers, a)
	}
	return rtps.New(c)
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("ours: expected ddspub, ddssub, relay, body or call")
	}
	o, err := parse(args[1:])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	w := &out{}
	switch args[0] {
	case "body":
		return body(ctx, w, o)
	case "call":
		return call(ctx, w, o)
	}
	w.line("created %d", boot())
	p, err := o.participant(w)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(context.Background()) }()
	switch args[0] {
	case "ddspub":
		err = publish(ctx, w, p, o)
	case "ddssub":
		err = subscribe(ctx, w, p, o)
	case "relay":
		err = relay(ctx, w, p)
	default:
		err = fmt.Errorf("ours: unknown program %q", args[0])
	}
	return errors.Join(err, p.Close(), <-ended)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
