package ros2

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/rtps"
)

// graphs keeps the last report of a watch.
type graphs struct{ collected[msg.Graph] }

func (g *graphs) take(m *msg.Graph) { g.add(*m) }

func (g *graphs) last() msg.Graph {
	all := g.all()
	if len(all) == 0 {
		return msg.Graph{}
	}
	return all[len(all)-1]
}

// await waits until the graph is known and lists exactly the given publishers.
func (g *graphs) await(t *testing.T, registered bool, want ...string) {
	t.Helper()
	var last msg.Graph
	defer func() {
		if t.Failed() {
			t.Logf("last graph: %+v", last)
		}
	}()
	eventually(t, fmt.Sprintf("publishers %q, registered %v", want, registered), func() bool {
		last = g.last()
		return last.Known && last.Registered == registered && last.Total == len(want) && slices.Equal(last.Publishers[:last.Total], want)
	})
}

// TestWatchSeesEverybody: every writer of our own output is listed, of whatever type and quality of service.
func TestWatchSeesEverybody(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var g graphs
	if _, err := n.WatchTopic("/cmd_vel", "", g.take); err != nil {
		t.Fatal(err)
	}
	g.await(t, false)
	p, err := n.Advertise(bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist})
	if err != nil {
		t.Fatal(err)
	}
	g.await(t, true, "/robowarden")
	bypass := startProcess(t, d, true)
	w := bypass.writer("/cmd_vel", bus.TypeTwist, quality{})
	bypass.node("/bypass", w)
	g.await(t, true, "/bypass", "/robowarden")
	raw := startProcess(t, d, false)
	raw.writer("/cmd_vel", bus.TypeString, quality{}) // another type
	g.await(t, true, "/bypass", "/robowarden", "dds:127.0.0.1")
	// One that says that it is us counts beside us.
	twin := startProcess(t, d, true)
	twin.node("/robowarden", twin.writer("/cmd_vel", bus.TypeTwist, quality{reliable: true}))
	g.await(t, true, "/bypass", "/robowarden", "/robowarden", "dds:127.0.0.1")
	twin.stop()
	raw.stop()
	w.Close()
	g.await(t, true, "/robowarden")
	p.Close()
	g.await(t, false)
	if m := g.last(); m.ConsumerKnown || m.SourcesTotal != 0 || m.Topic != "/cmd_vel" {
		t.Errorf("%+v: DDS cannot know whom a reader listens to", m)
	}
}

// TestWatchOfAnInputWaitsForNames: a writer of somebody else's topic is not called a stranger before its node can be known.
func TestWatchOfAnInputWaitsForNames(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	var g graphs
	if _, err := n.WatchTopic("/cmd_vel_raw", "", g.take); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	p.node("/planner", p.writer("/cmd_vel_raw", bus.TypeTwist, quality{}))
	g.await(t, false, "/planner")
	for _, m := range g.all() {
		if m.Total > 0 && m.Publishers[0] != "/planner" {
			t.Errorf("it was called %q before", m.Publishers[0])
		}
	}
	// One that never says whose its writer is, is listed by its address in the end.
	q := startProcess(t, d, true)
	q.writer("/cmd_vel_raw", bus.TypeTwist, quality{})
	q.node("/something")
	g.await(t, false, "/planner", "dds:127.0.0.1")
}

// TestWatchOfTheConsumer: a consumer whose reader we cannot serve is one that we do not reach.
func TestWatchOfTheConsumer(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	if _, err := n.Advertise(bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist, Consumers: []string{"/base"}}); err != nil {
		t.Fatal(err)
	}
	var g graphs
	if _, err := n.WatchTopic("/cmd_vel", "/base", g.take); err != nil {
		t.Fatal(err)
	}
	g.await(t, true, "/robowarden") // nobody there yet: announced is all that can be
	base := startProcess(t, d, true)
	// Our writer keeps nothing for latecomers, as commands must not be.
	r := base.reader("/cmd_vel", bus.TypeTwist, quality{reliable: true, local: true}, func(*rtps.Sample) {})
	base.list.Nodes = nil
	base.node("/base")
	base.list.Nodes[0].Readers = append(base.list.Nodes[0].Readers, r.GUID().Bytes())
	base.say()
	eventually(t, "a refusal", func() bool { return len(n.ev.find(bus.SubscriberRefused, "/cmd_vel")) > 0 })
	g.await(t, false, "/robowarden")
	good := base.reader("/cmd_vel", bus.TypeTwist, quality{reliable: true}, func(*rtps.Sample) {})
	base.list.Nodes[0].Readers = append(base.list.Nodes[0].Readers, good.GUID().Bytes())
	base.say()
	g.await(t, true, "/robowarden")
}

// TestNamesakeOfTheConsumer: whoever takes the base's name does not stand in for it, neither beside the base's own reader, which
// we cannot serve, nor while the base, which we listen to, has none. Without the base he is all that is known.
func TestNamesakeOfTheConsumer(t *testing.T) {
	for name, c := range map[string]struct {
		heard, reads bool // the base is listened to; it has a reader of its own
		reached      bool
	}{
		"beside the base's reader": {false, true, false}, "the base has none": {true, false, false}, "no base": {false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := freeDomain(t)
			n := startNode(t, d)
			if _, err := n.Advertise(bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist, Consumers: []string{"/base"}}); err != nil {
				t.Fatal(err)
			}
			sub, err := n.SubscribeBool(bus.Subscription{Topic: "/moving", Allow: []string{"/base"}}, func(*msg.Bool) {})
			if err != nil {
				t.Fatal(err)
			}
			var g graphs
			if _, err := n.WatchTopic("/cmd_vel", "/base", g.take); err != nil {
				t.Fatal(err)
			}
			reads := func(p *process, q quality) {
				r := p.reader("/cmd_vel", bus.TypeTwist, q, func(*rtps.Sample) {})
				p.list.Nodes[0].Readers = append(p.list.Nodes[0].Readers, r.GUID().Bytes())
				p.say()
			}
			if c.heard || c.reads {
				base := startProcess(t, d, true)
				base.node("/base", base.writer("/moving", bus.TypeBool, quality{}))
				if c.heard {
					eventually(t, "the base is heard, and bound to its source", func() bool { return hears(sub) && len(n.bound("/base")) == 1 })
				}
				if c.reads {
					reads(base, quality{reliable: true, local: true})
				}
			}
			namesake := startProcess(t, d, true)
			namesake.node("/base")
			reads(namesake, quality{reliable: true})
			eventually(t, "the namesake is served", func() bool { return n.publisher("/cmd_vel").Subscribers() == 1 })
			// Readers count once their names are sure to be known.
			at := boot()
			eventually(t, "a graph that counts them", func() bool { return boot()-at > n.cfg.Limits.NameTimeout+time.Second })
			g.await(t, c.reached, "/robowarden")
		})
	}
}

// TestFleetingWriters: a writer of a watched topic that leaves before its node could be known was in no graph; it is counted
// and told. One that stays until then, or on another topic, is not.
func TestFleetingWriters(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d, func(c *Config) { c.Limits.RawTimeout = 5 * time.Second })
	var g graphs
	if _, err := n.WatchTopic("/lowcmd", "", g.take); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, d, true)
	stays := p.writer("/lowcmd", bus.TypeString, quality{})
	p.node("/driver", stays)
	g.await(t, false, "/driver")
	q := startProcess(t, d, false)
	for range 3 {
		here := func(topic string) int {
			k := 0
			n.part.VisitEndpoints(func(e *rtps.Endpoint) {
				if e.Writer && e.Topic == ddsTopic(topic) {
					k++
				}
			})
			return k
		}
		w, other := q.writer("/lowcmd", bus.TypeString, quality{}), q.writer("/other", bus.TypeString, quality{})
		eventually(t, "the writers", func() bool { return here("/lowcmd") == 2 && here("/other") == 1 })
		w.Close()
		other.Close()
		eventually(t, "their end", func() bool { return here("/lowcmd") == 1 && here("/other") == 0 })
	}
	stays.Close()
	g.await(t, false)
	eventually(t, "three of them", func() bool { return n.Blind().Fleeting == 3 })
	if ev := n.ev.find(bus.PublisherRefused, "/lowcmd"); len(ev) != 3 || ev[0].Name != "dds:127.0.0.1" {
		t.Errorf("%+v", ev)
	}
}

// TestStrangersAreCounted: participants that are not taken in count for a while, each once, and a flood of them is bounded.
func TestStrangersAreCounted(t *testing.T) {
	var s strangers
	for k := range 2 * maxStrangers {
		g := rtps.RemoteParticipant{}.GUID
		g.Prefix[0], g.Prefix[1] = byte(k), byte(k>>8)
		s.refuse(g, time.Second)
		s.refuse(g, 2*time.Second)
	}
	if n, _ := s.count(3 * time.Second); n != maxStrangers {
		t.Errorf("%d refused, expected the bound of %d", n, maxStrangers)
	}
	if n, _ := s.count(2*time.Second + refusedFor); n != 0 {
		t.Errorf("%d refused long after", n)
	}
	s.refuse(rtps.RemoteParticipant{}.GUID, time.Hour)
	if n, _ := s.count(time.Hour); n != 1 {
		t.Errorf("%d refused, expected one", n)
	}
}

// TestWatchReportsRegularly: reports come at the pace that was asked for, though nothing changes, and stop with Close.
func TestWatchReportsRegularly(t *testing.T) {
	n := startNode(t, freeDomain(t), func(c *Config) { c.Limits.WatchInterval = 100 * time.Millisecond })
	var g graphs
	w, err := n.WatchTopic("/odom", "", g.take)
	if err != nil {
		t.Fatal(err)
	}
	g.await(t, false)
	from := g.len()
	eventually(t, "ten more reports", func() bool { return g.len() >= from+10 })
	all := g.all()[from:]
	for i := range all[1:] {
		if gap := all[i+1].Boot - all[i].Boot; gap < 50*time.Millisecond || gap > 500*time.Millisecond {
			t.Errorf("%v between two reports; expected about 100ms", gap)
		}
	}
	w.Close()
	after := g.len()
	n.Poke()
	n.Poke()
	if len(n.watching()) != 0 || g.len() != after {
		t.Error("a closed watch goes on")
	}
}

// TestGraphIsUnknownAtFirst: before the node has listened for a while, it does not claim to know who is there.
func TestGraphIsUnknownAtFirst(t *testing.T) {
	n := startNode(t, freeDomain(t), func(c *Config) { c.Limits.SettleTime = time.Hour })
	var g graphs
	if _, err := n.WatchTopic("/odom", "", g.take); err != nil {
		t.Fatal(err)
	}
	eventually(t, "reports", func() bool { return g.len() > 3 })
	for _, m := range g.all() {
		if m.Known {
			t.Fatalf("%+v is known too soon", m)
		}
	}
	n.ev.await(t, bus.BusBack, "", "")
}

func TestWatchesThatAreRefused(t *testing.T) {
	n := startNode(t, freeDomain(t))
	for _, c := range [][2]string{{"rt/odom", ""}, {"", ""}, {"/odom", "base"}, {"/odom", "dds:host"}} {
		if _, err := n.WatchTopic(c[0], c[1], func(*msg.Graph) {}); err == nil {
			t.Errorf("topic %q, consumer %q pass", c[0], c[1])
		}
	}
	n.stop()
	if _, err := n.WatchTopic("/odom", "", func(*msg.Graph) {}); err == nil {
		t.Error("a closed node watches")
	}
}
