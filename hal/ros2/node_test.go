package ros2

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

func TestConfigurationsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no boot clock":                     {func(c *Config) { c.Clock = nil }, "clock"},
		"no civil clock":                    {func(c *Config) { c.Civil = nil }, "clock"},
		"relative name":                     {func(c *Config) { c.Name = "robowarden" }, "fully qualified"},
		"domain too high":                   {func(c *Config) { c.Domain = 233 }, "0 to 232"},
		"domain below zero":                 {func(c *Config) { c.Domain = -1 }, "0 to 232"},
		"host name":                         {func(c *Config) { c.Host = "localhost" }, "IP address"},
		"any host":                          {func(c *Config) { c.Host = "0.0.0.0" }, "IP address"},
		"multicast host":                    {func(c *Config) { c.Host = "239.255.0.1" }, "IP address"},
		"somebody else's":                   {func(c *Config) { c.Host = "192.0.2.1" }, "ros2"},
		"peer by name":                      {func(c *Config) { c.Peers = []string{"robot"} }, "peer"},
		"relative enclave":                  {func(c *Config) { c.Enclave = "x" }, "enclave"},
		"negative limit":                    {func(c *Config) { c.Limits.MaxNodes = -1 }, "MaxNodes"},
		"negative time":                     {func(c *Config) { c.Limits.SettleTime = -1 }, "SettleTime"},
		"negative limit of the participant": {func(c *Config) { c.Limits.RTPS.Endpoints = -1 }, "Endpoints"},
	} {
		cfg := Config{Name: "/robowarden", Domain: 1, Host: "127.0.0.1", Clock: boot, Civil: civil}
		c.change(&cfg)
		if n, err := New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; expected an error with %q", name, err, c.want)
			if err == nil {
				n.Close()
			}
		}
	}
}

func TestPublicationsThatAreRefused(t *testing.T) {
	n := startNode(t, freeDomain(t))
	good := bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}
	p, err := n.Advertise(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]bus.Publication{
		"relative topic":  {Topic: "cmd_vel", Type: bus.TypeTwist},
		"unknown type":    {Topic: "/x", Type: bus.TypeOdometry},
		"no type":         {Topic: "/x"},
		"bad consumer":    {Topic: "/x", Type: bus.TypeBool, Consumers: []string{"base"}},
		"negative cap":    {Topic: "/x", Type: bus.TypeBool, MaxBytes: -1},
		"cap too high":    {Topic: "/x", Type: bus.TypeBool, MaxBytes: 1 << 20},
		"advertised once": good,
	} {
		if _, err := n.Advertise(c); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if _, err := p.PublishBool(1, true); !errors.Is(err, ErrWrongType) {
		t.Errorf("another type: %v", err)
	}
	s, err := n.Advertise(bus.Publication{Topic: "/say", Type: bus.TypeString, MaxBytes: 16})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PublishString(1, []byte("more than sixteen bytes")); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	p.Close()
	if _, err := p.PublishTwist(1, &msg.Twist{}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := n.Advertise(good); err != nil {
		t.Errorf("advertised again after it was closed: %v", err)
	}
	n.stop()
	if _, err := n.Advertise(bus.Publication{Topic: "/y", Type: bus.TypeBool}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed node: %v", err)
	}
	if _, err := n.SubscribeBool(bus.Subscription{Topic: "/y", AllowAny: true}, func(*msg.Bool) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed node: %v", err)
	}
}

// TestEveryPublication: what is published arrives as the type says, in the node's own decoders.
func TestEveryPublication(t *testing.T) {
	d := freeDomain(t)
	a, b := startNode(t, d, func(c *Config) { c.Name = "/guard" }), startNode(t, d)
	var got collected[string]
	in := func(topic, typ string) bus.Subscription {
		return bus.Subscription{Topic: topic, Type: typ, Allow: []string{"/guard"}}
	}
	_, err1 := b.SubscribeCommand(in("/stamped", cdr.TypeTwistStamped), 0, func(m *msg.Command) { got.add(line("twist", m.Linear.X, m.Stamp > 0)) })
	_, err2 := b.SubscribeBool(in("/lock", ""), func(m *msg.Bool) { got.add(line("bool", m.Value)) })
	_, err3 := b.SubscribeText(in("/challenge", ""), func(m *msg.Text) { got.add(line("text", string(m.Data))) })
	_, err4 := b.SubscribeDiagnostics(in("/diagnostics", ""), func(m *msg.Diagnostic) { got.add(line("diagnostic", string(m.Message), m.Stamp)) })
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	offer := func(topic, typ string) *Publisher {
		p, err := a.Advertise(bus.Publication{Topic: topic, Type: typ})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	twist, flag := offer("/stamped", cdr.TypeTwistStamped), offer("/lock", bus.TypeBool)
	words, diag := offer("/challenge", bus.TypeString), offer("/diagnostics", bus.TypeDiagnosticArray)
	for _, s := range b.subscriptions() {
		eventually(t, "a publisher of "+s.topic, func() bool { return hears(s) })
	}
	for name, p := range map[string]*Publisher{"/stamped": twist, "/lock": flag, "/challenge": words, "/diagnostics": diag} {
		eventually(t, "a subscriber of "+name, func() bool { return p.Subscribers() > 0 })
	}
	_, err1 = twist.PublishTwist(1, &msg.Twist{Linear: msg.Vec3{X: 0.5}})
	_, err2 = flag.PublishBool(1, true)
	_, err3 = words.PublishString(1, []byte("who goes there"))
	_, err4 = diag.PublishDiagnostics(1, 42, []bus.DiagnosticStatus{{Name: "guard", Message: "fine"}})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"twist 0.5 true", "bool true", "text who goes there", "diagnostic fine 42"} {
		eventually(t, want, func() bool {
			return slices.Contains(got.all(), want)
		})
	}
}

// TestLatchedPublication: a reader that comes late and asks for it gets the last value.
func TestLatchedPublication(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	p, err := n.Advertise(bus.Publication{Topic: "/lock", Type: bus.TypeBool, Latch: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range []bool{false, true} {
		if _, err := p.PublishBool(uint64(i), v); err != nil {
			t.Fatal(err)
		}
	}
	late := startProcess(t, d, true)
	var got collected[string]
	late.reader("/lock", bus.TypeBool, quality{reliable: true, local: true}, func(x *rtps.Sample) { got.add(string(x.Payload[4:5])) })
	eventually(t, "the last value", func() bool { return got.len() > 0 })
	if all := got.all(); len(all) != 1 || all[0] != "\x01" {
		t.Errorf("%q, expected the last value only", all)
	}
}

func TestRunAndClose(t *testing.T) {
	n := startNode(t, freeDomain(t))
	n.ev.await(t, bus.BusBack, "", "")
	if err := n.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("run again: %v", err)
	}
	n.stop()
	if err := errors.Join(n.Close(), n.Close()); err != nil {
		t.Error(err)
	}
	// One that never ran gives its sockets back too.
	m, err := New(Config{Name: "/x", Domain: freeDomain(t), Host: "127.0.0.1", Clock: boot, Civil: civil})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := m.Run(context.Background()); err != nil {
		t.Errorf("run after close: %v", err)
	}
}

// TestWhatOthersSeeOfUs: participant and endpoints carry what ROS 2 puts into their user data.
func TestWhatOthersSeeOfUs(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d, func(c *Config) { c.Enclave = "/warden" })
	if _, err := n.Advertise(bus.Publication{Topic: "/lock", Type: bus.TypeBool}); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	var seen *rtps.Endpoint
	eventually(t, "our writer", func() bool {
		p.VisitEndpoints(func(e *rtps.Endpoint) {
			if e.Topic == "rt/lock" {
				seen = e
			}
		})
		return seen != nil
	})
	// The hash is the one that ROS 2 itself has for std_msgs/msg/Bool since Iron.
	want := []string{
		"enclave=/warden;", "std_msgs::msg::dds_::Bool_", "typehash=RIHS01_feb91e995ff9ebd09c0cb3d2aed18b11077585839fb5db80193b62d74528f6c9;",
	}
	if diff := cmp.Diff(want, []string{string(seen.Participant.UserData), seen.Type, string(seen.UserData)}); diff != "" {
		t.Errorf("expected -, got +\n%s", diff)
	}
	if !seen.QoS.Reliable || seen.QoS.Durability != 0 {
		t.Errorf("%+v; expected reliable and volatile", seen.QoS)
	}
}

func TestBlindness(t *testing.T) {
	at := func(ip byte, vendor [2]byte, secured bool) *rtps.RemoteParticipant {
		return &rtps.RemoteParticipant{Vendor: vendor, Secured: secured, Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, ip}), 7410)}
	}
	for _, c := range []struct {
		name string
		list []*rtps.RemoteParticipant
		want Blindness
	}{
		{"nobody", nil, Blindness{}},
		{"one of Fast DDS per computer", []*rtps.RemoteParticipant{at(1, vendorFastDDS, false), at(2, vendorFastDDS, false)}, Blindness{}},
		{"two of Fast DDS on one", []*rtps.RemoteParticipant{at(1, vendorFastDDS, false), at(1, vendorFastDDS, false)}, Blindness{SharedMemory: 2}},
		{"two of Cyclone on one", []*rtps.RemoteParticipant{at(1, vendorCyclone, false), at(1, vendorCyclone, false)}, Blindness{}},
		{"a secured one", []*rtps.RemoteParticipant{at(1, vendorCyclone, true)}, Blindness{Secured: 1}},
	} {
		if got := blindness(c.list); got != c.want {
			t.Errorf("%s: %+v, expected %+v", c.name, got, c.want)
		}
	}
	n := startNode(t, freeDomain(t))
	if b := n.Blind(); b != (Blindness{}) {
		t.Errorf("alone: %+v", b)
	}
}

// TestEventsOfTheParticipant: what the participant tells becomes what the agent is told, or only a line in the log.
func TestEventsOfTheParticipant(t *testing.T) {
	ev := &events{}
	part := quiet(t)
	n := &Node{
		cfg: Config{Name: "/robowarden", Clock: boot}, part: part, dir: newDirectory("/robowarden"), poke: make(chan struct{}, 1),
		rep: bus.NewReporter(boot, ev.add, 100),
	}
	p := participant(1)
	d := n.dir
	d.learn(p, listOf(1, node("base", gid(1, 1))))
	e := endpoint(p, 1)
	e.Topic = "rt/cmd_vel"
	from := netip.MustParseAddrPort("10.0.0.9:4711")
	for kind := range rtps.EventKind(rtps.EventKinds) {
		n.event(&rtps.Event{Kind: kind, Endpoint: e, Participant: p, Source: from, Topic: e.Topic, Detail: "why"})
	}
	n.event(&rtps.Event{Kind: rtps.SourceConflict, Participant: p, Source: from, Suppressed: 3})
	n.event(&rtps.Event{Kind: rtps.Malformed, Source: from})
	n.event(&rtps.Event{Kind: rtps.SourceConflict, GUID: part.GUID(), Source: from})
	n.event(&rtps.Event{Kind: rtps.CapReached, GUID: e.GUID, Source: from, Topic: e.Topic})
	n.event(&rtps.Event{Kind: rtps.CapReached, GUID: wire.GUID{Entity: wire.EntitySEDPPubReader}, Source: from, Topic: e.Topic})
	var got []string
	for _, x := range ev.all() {
		got = append(got, strings.TrimSpace(line(x.Kind, x.Topic, x.Name, x.Suppressed)))
	}
	want := []string{
		"request-refused /cmd_vel /base 0", // participant-refused
		"publisher-mismatch /cmd_vel /base 0",
		"publisher-conflict /cmd_vel /base 0", // source-conflict
		"publisher-conflict /cmd_vel /base 0", // foreign-dispose
		"publisher-conflict /cmd_vel /base 0", // foreign-endpoint
		"publisher-conflict /cmd_vel /base 0", // payload-conflict
		"publisher-conflict /cmd_vel /base 0", // sequence-jump
		"request-malformed /cmd_vel /base 0",
		"request-refused /cmd_vel /base 0", // flood
		"request-refused /cmd_vel /base 0", // cap-reached
		"subscriber-stalled /cmd_vel /base 0",
		"accept-failed /cmd_vel /base 0",
		"publisher-conflict  /base 3",
		"request-malformed  dds:10.0.0.9 0",
		"publisher-conflict  /robowarden 0",
		"publisher-refused /cmd_vel dds:10.0.0.9 0",
		"subscriber-refused /cmd_vel dds:10.0.0.9 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("expected -, got +\n%s", diff)
	}
}

// TestBusLostAndBack: the watches and the events say so when the participant does not work.
func TestBusLostAndBack(t *testing.T) {
	ev := &events{}
	n := &Node{cfg: Config{Name: "/robowarden", Clock: boot}, part: quiet(t), rep: bus.NewReporter(boot, ev.add, 100)}
	n.cfg.Limits.SettleTime = time.Second
	k := keeper{n: n, healthy: true}
	n.settledAt.Store(1)
	k.health(time.Minute) // the participant does not run
	if e := ev.find(bus.BusLost, ""); len(e) != 1 || n.known(time.Hour) {
		t.Errorf("%v; known %v; expected one loss", ev, n.known(time.Hour))
	}
	k.health(2 * time.Minute)
	if len(ev.all()) != 1 {
		t.Errorf("told again: %v", ev)
	}
}
