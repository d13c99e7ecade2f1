package ros1

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// graphs keeps the last graph that a watch reported.
type graphs struct {
	mu   sync.Mutex
	last msg.Graph
	n    int
}

func (g *graphs) add(m *msg.Graph) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = *m
	g.n++
}

func (g *graphs) is(cond func(*msg.Graph) bool) func() bool {
	return func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.n > 0 && cond(&g.last)
	}
}

// TestWatchSeesWhoFeedsTheConsumer lets the base be fed by us, by a listed stranger and by one whom nobody lists.
func TestWatchSeesWhoFeedsTheConsumer(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, nil)
	stranger := startPublisher(t, b.master.URI(), "/stranger", "/cmd_vel", bus.TypeTwist, nil)
	var mu sync.Mutex
	var info []any
	base := startPublisher(t, b.master.URI(), "/base", "/odom", bus.TypeOdometry, func(p *rostest.Publisher) {
		p.Answer = func(method string) []any {
			mu.Lock()
			defer mu.Unlock()
			if method != "getBusInfo" {
				return nil
			}
			return []any{1, "bus info", slices.Clone(info)}
		}
	})
	set := func(entries ...[]any) {
		mu.Lock()
		defer mu.Unlock()
		info = nil
		for i, e := range entries {
			info = append(info, append([]any{i}, e...))
		}
	}
	in := func(uri string) []any { return []any{uri, "i", "TCPROS", "/cmd_vel", true, "x"} }
	set(in(b.n.URI()))
	var g graphs
	if _, err := b.n.WatchTopic("/cmd_vel", "/base", g.add); err != nil {
		t.Fatal(err)
	}
	sources := func(want ...string) func(*msg.Graph) bool {
		return func(m *msg.Graph) bool {
			return m.ConsumerKnown && m.SourcesTotal == len(want) && slices.Equal(m.Sources[:len(want)], want)
		}
	}
	eventually(t, "we are listed and the base's only source", g.is(func(m *msg.Graph) bool {
		return m.Known && m.Registered && m.Topic == "/cmd_vel" && m.Boot > 0 && m.Total == 2 &&
			m.Publishers[0] == "/robowarden" && m.Publishers[1] == "/stranger" && sources("/robowarden")(m)
	}))
	set(in(b.n.URI()), in(stranger.URI()), in("http://127.0.0.1:1/"),
		[]any{"/x", "o", "TCPROS", "/cmd_vel", true, "x"}, // not a source
		[]any{stranger.URI(), "i", "TCPROS", "/other", true, "x"},
		[]any{stranger.URI(), "i", "TCPROS", "/cmd_vel", false, "x"})
	eventually(t, "a stranger and somebody unlisted are seen", g.is(sources(`"http://127.0.0.1:1/"`, "/robowarden", "/stranger")))
	set()
	eventually(t, "the base hears nobody", g.is(sources()))
	base.Kill()
	eventually(t, "the base cannot be asked", g.is(func(m *msg.Graph) bool { return m.Known && !m.ConsumerKnown }))
	b.master.Close()
	eventually(t, "the master cannot be asked", g.is(func(m *msg.Graph) bool { return !m.Known && !m.Registered && !m.ConsumerKnown }))
}

// TestWatchLooksAtTheConsumerBetweenPolls: who feeds the base is seen although the master is not asked again, and a base that
// does not answer is left to the next poll.
func TestWatchLooksAtTheConsumerBetweenPolls(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist}, func(c *Config) { c.Limits.PollInterval = time.Hour })
	var fed atomic.Bool
	base := startPublisher(t, b.master.URI(), "/base", "/odom", bus.TypeOdometry, func(p *rostest.Publisher) {
		p.Answer = func(method string) []any {
			if method != "getBusInfo" {
				return nil
			}
			info := []any{[]any{0, b.n.URI(), "i", "TCPROS", "/cmd_vel", true, "x"}}
			if fed.Load() {
				info = append(info, []any{1, "http://127.0.0.1:1/", "i", "TCPROS", "/cmd_vel", true, "x"})
			}
			return []any{1, "bus info", info}
		}
	})
	var g graphs
	if _, err := b.n.WatchTopic("/cmd_vel", "/base", g.add); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gate is the base's only source", func() bool {
		b.n.Poke() // The master takes its time to list us.
		return g.is(func(m *msg.Graph) bool { return m.ConsumerKnown && m.SourcesTotal == 1 && m.Registered })()
	})
	looks := base.Calls("getBusInfo")
	eventually(t, "looks that find nothing new", func() bool { return base.Calls("getBusInfo") > looks+5 })
	if g.is(func(*msg.Graph) bool { return g.n > b.master.Calls("getSystemState") })() {
		t.Error("a look that found nothing new was reported: there are more reports than polls")
	}
	fed.Store(true)
	eventually(t, "a stranger is seen", g.is(func(m *msg.Graph) bool { return m.ConsumerKnown && m.SourcesTotal == 2 && m.Known }))
	base.Kill()
	eventually(t, "the base cannot be asked", func() bool {
		b.n.Poke()
		return g.is(func(m *msg.Graph) bool { return m.Known && !m.ConsumerKnown })()
	})
}

func TestWatchCountsMoreThanItNames(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Publication{Topic: "/x", Type: bus.TypeTwist}, nil)
	for i := range 40 {
		if _, err := rostest.Call(b.master.URI(), "registerPublisher", fmt.Sprintf("/n%02d", 39-i), "/cmd_vel", bus.TypeTwist, "http://127.0.0.1:9/"); err != nil {
			t.Fatal(err)
		}
	}
	var g graphs
	w, err := b.n.WatchTopic("/cmd_vel", "", g.add)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are counted", g.is(func(m *msg.Graph) bool {
		return m.Total == 40 && m.Publishers[0] == "/n00" && m.Publishers[msg.MaxPublishers-1] == "/n15" && !m.Registered
	}))
	w.Close()
	before := g.n
	polls := b.master.Calls("getSystemState")
	eventually(t, "polls", func() bool { return b.master.Calls("getSystemState") > polls+2 })
	if g.n != before {
		t.Error("a closed watch reports")
	}
	if _, err := b.n.WatchTopic("cmd_vel", "", g.add); err == nil {
		t.Error("a topic that is not global is watched")
	}
}
