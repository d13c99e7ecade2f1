package agent

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/host"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// domainSite is a guard that runs on a DDS domain of its own, on the loopback.
type domainSite struct {
	*testSite
	domain int
	agent  *Agent
}

// freeDomain is a domain that nobody of this computer is on; another test holds its own by a port of it.
func freeDomain(t *testing.T) int {
	t.Helper()
	for range 200 {
		d := rand.IntN(100)
		// The ports of the last participant, which no test has so many to use.
		held, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7410 + 250*d + 2*119})
		if err != nil {
			continue
		}
		first, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7410 + 250*d})
		if err != nil {
			held.Close()
			continue
		}
		first.Close()
		t.Cleanup(func() { held.Close() })
		t.Logf("domain %d", d)
		return d
	}
	t.Fatal("no free domain")
	return 0
}

// newDomainSite runs a guard; edits are pairs of what to replace in the topic mapping, and by what.
func newDomainSite(t *testing.T, edits ...string) *domainSite {
	t.Helper()
	return newDomainSiteOf(t, "diff-drive-ros2", edits...)
}

func newDomainSiteOf(t *testing.T, example string, edits ...string) *domainSite {
	t.Helper()
	s := &domainSite{domain: freeDomain(t)}
	pin := ""
	s.testSite = newSiteOf(t, example, func(name string, raw []byte) []byte {
		text := strings.Replace(string(raw), "domain: 0", fmt.Sprintf("domain: %d", s.domain), 1)
		text = strings.Replace(text, "humanoid-01", "diff-01", 1) // orders of the test are for this serial
		switch name {
		case "deployment.yaml":
			text = strings.NewReplacer("host: 192.168.123.164, multicast: true", "host: 127.0.0.1, multicast: false").Replace(text)
		case "topics.yaml":
			text = strings.NewReplacer(edits...).Replace(text)
			pin = fmt.Sprintf(`  topics: "sha256:%x"`, sha256.Sum256([]byte(text)))
		case "policy.yaml":
			text = regexp.MustCompile(`(?m)^  topics: "sha256:[0-9a-f]{64}"`).ReplaceAllString(text, pin)
		}
		return []byte(text)
	})
	var err error
	s.agent, err = s.start()
	s.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.agent.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.agent.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// join starts another node on the domain.
func (s *domainSite) join(name string) *ros2.Node {
	s.t.Helper()
	n, err := ros2.New(ros2.Config{
		Name: name, Domain: s.domain, Host: "127.0.0.1", Clock: host.Clock{}.Boot, Civil: host.Clock{}.Civil, Log: zerolog.Nop(),
	})
	s.must(err)
	done := make(chan error, 1)
	go func() { done <- n.Run(context.Background()) }()
	s.t.Cleanup(func() {
		if err := n.Close(); err != nil {
			s.t.Error(err)
		}
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	return n
}

func (s *domainSite) advertise(n *ros2.Node, topic, typ string) *ros2.Publisher {
	s.t.Helper()
	p, err := n.Advertise(bus.Publication{Topic: topic, Type: typ})
	s.must(err)
	return p
}

// eventually is longer than elsewhere: discovery waits for names, and the settling time is part of it.
func (s *domainSite) eventually(what string, cond func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waited for: %s; status %+v", what, s.agent.Status())
		}
	}
}

func (s *domainSite) trigger(code string) (present, latched bool) {
	for _, t := range s.agent.guard.Status().Triggers {
		if t.Code == code {
			return t.Present, t.Latched
		}
	}
	return false, false
}

func (s *domainSite) publisher(node string) (PublisherStatus, bool) {
	for _, p := range s.agent.publishers() {
		if p.Node == node {
			return p, true
		}
	}
	return PublisherStatus{}, false
}

// plant is the base: it takes commands and the lock.
type plant struct {
	commands, locks atomic.Int64
	moved           atomic.Bool
}

func (s *domainSite) plant() *plant {
	s.t.Helper()
	p := &plant{}
	n := s.join("/plant")
	_, err := n.SubscribeCommand(bus.Subscription{Topic: "/cmd_vel", Allow: []string{"/robowarden"}}, 0, func(c *msg.Command) {
		p.commands.Add(1)
		if c.Linear != (msg.Vec3{}) || c.Angular != (msg.Vec3{}) {
			p.moved.Store(true)
		}
	})
	s.must(err)
	_, err = n.SubscribeBool(bus.Subscription{Topic: "/robowarden/lock", Allow: []string{"/robowarden"}}, func(m *msg.Bool) {
		if m.Value {
			p.locks.Add(1)
		}
	})
	s.must(err)
	return p
}

// TestGuardOnADomain: on DDS the guard feeds base and lock, knows whom it listens to, lets nothing through while it is
// closed, and says what it cannot see.
func TestGuardOnADomain(t *testing.T) {
	t.Parallel()
	s := newDomainSite(t)
	base := s.plant()
	planner := s.join("/planner")
	cmd := s.advertise(planner, "/cmd_vel_raw", bus.TypeTwist)
	s.eventually("the planner is heard", func() bool { _, ok := s.publisher("/planner"); return ok })
	for seq := range uint64(50) {
		_, err := cmd.PublishTwist(seq+1, &msg.Twist{Linear: msg.Vec3{X: 1}})
		s.must(err)
	}
	s.eventually("zeros and a closed lock at the base", func() bool { return base.commands.Load() > 20 && base.locks.Load() > 5 })
	if base.moved.Load() {
		t.Error("a command passed a gate that is closed")
	}
	p, _ := s.publisher("/planner")
	if !p.Gated || p.Topic != "/cmd_vel_raw" || p.Strength != msg.SourceBound.String() || !strings.HasPrefix(p.Remote, "127.0.0.1:") {
		t.Errorf("the planner is %+v", p)
	}
	list := s.agent.peers.list()
	for i := range list {
		if list[i].Transport != "udp" || list[i].Local == "" {
			t.Errorf("peer %+v, expected both ends of UDP", list[i])
		}
	}
	st := s.agent.Status().(Status)
	if st.Bus.Kind != config.BusROS2 || len(st.Bus.NotSeen) != len(config.NotSeen(config.BusROS2)) || len(st.Bus.NotSeen) == 0 {
		t.Errorf("bus %+v", st.Bus)
	}
	for _, code := range []string{"gate.bypass", "publisher.unknown", "publisher.second", "publisher.conflict", "lock.contested", "bus.lost"} {
		if present, latched := s.trigger(code); present || latched {
			t.Errorf("%s without a reason", code)
		}
	}
}

// TestStrangersOnADomain: who is on the guard's topics is known from discovery alone, whether he says anything or not.
func TestStrangersOnADomain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, node, topic, typ, code string
	}{
		{"behind the gate", "/evil", "/cmd_vel", bus.TypeTwist, "gate.bypass"},
		{"behind the gate under the guard's name", "/robowarden", "/cmd_vel", bus.TypeTwist, "gate.bypass"},
		{"on an input", "/evil", "/cmd_vel_raw", bus.TypeTwist, "publisher.unknown"},
		{"on the lock", "/evil", "/robowarden/lock", bus.TypeBool, "lock.contested"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newDomainSite(t)
			s.eventually("the graph is known", func() bool { present, _ := s.trigger("bus.lost"); return !present && s.agent.guard.Ticks() > 0 })
			s.advertise(s.join(c.node), c.topic, c.typ)
			s.eventually(c.code, func() bool { _, latched := s.trigger(c.code); return latched })
		})
	}
}

// TestLockUnderTheGuardsName: the guard does not hear itself, so a value under its own name is somebody else's.
func TestLockUnderTheGuardsName(t *testing.T) {
	t.Parallel()
	s := newDomainSite(t)
	p := s.advertise(s.join("/robowarden"), "/robowarden/lock", bus.TypeBool)
	var seq uint64
	s.eventually("lock.contested", func() bool {
		seq++
		_, err := p.PublishBool(seq, false)
		s.must(err)
		_, latched := s.trigger("lock.contested")
		return latched
	})
}

// TestForgedDatagrams: somebody speaks in the name of a writer, or in the guard's own. Nothing of it is taken, and the
// robot is held.
func TestForgedDatagrams(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		// prefix says in whose name.
		prefix  func(planner *rtps.Participant) wire.Prefix
		subject string
	}{
		{"in a listed writer's name", func(p *rtps.Participant) wire.Prefix { return p.GUID().Prefix }, "planner"},
		{"in the guard's name", func(p *rtps.Participant) wire.Prefix { return p.Participants()[0].GUID.Prefix }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newDomainSite(t, "publishers: [/planner]", `publishers: ["dds:127.0.0.1"]`)
			planner, w := s.rawWriter("rt/cmd_vel_raw", "geometry_msgs::msg::dds_::Twist_")
			s.eventually("the planner is heard", func() bool { _, ok := s.publisher("dds:127.0.0.1"); return ok })
			forger, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			s.must(err)
			t.Cleanup(func() { forger.Close() })
			guard := net.UDPAddrFromAddrPort(planner.Participants()[0].Source)
			packet := wire.AppendData(wire.AppendHeader(nil, c.prefix(planner)), wire.EntityUnknown, w.GUID().Entity, 1, []byte{0, 1, 0, 0, 1, 2, 3, 4})
			if present, _ := s.trigger("publisher.conflict"); present {
				t.Fatal("publisher.conflict before the attack")
			}
			s.eventually("publisher.conflict", func() bool {
				_, err := forger.WriteToUDP(packet, guard)
				s.must(err)
				present, _ := s.trigger("publisher.conflict")
				return present
			})
			for _, tr := range s.agent.guard.Status().Triggers {
				if tr.Code == "publisher.conflict" && (tr.Subject != c.subject || tr.Latched || tr.Clear != "on-dwell") {
					t.Errorf("%+v", tr)
				}
			}
			if _, latched := s.trigger("publisher.unknown"); latched {
				t.Error("the writer that the mapping names by its address counts as unknown")
			}
		})
	}
}

// rawWriter is a writer that belongs to no node.
func (s *domainSite) rawWriter(topic, typ string) (*rtps.Participant, *rtps.Writer) {
	s.t.Helper()
	p, err := rtps.New(rtps.Config{Domain: s.domain, Host: netip.MustParseAddr("127.0.0.1"), Clock: host.Clock{}.Boot, Civil: host.Clock{}.Civil})
	s.must(err)
	done := make(chan error, 1)
	go func() { done <- p.Run(context.Background()) }()
	s.t.Cleanup(func() {
		_ = p.Close()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	w, err := p.NewWriter(rtps.WriterConfig{Topic: topic, Type: typ, Reliable: true, Depth: 1})
	s.must(err)
	return p, w
}

// TestWhatIsNotSeenIsSaid: participants that hide from the guard are counted where people look.
func TestWhatIsNotSeenIsSaid(t *testing.T) {
	b := &wiring{cfg: &config.Config{Profile: &config.Profile{Bus: config.BusROS2}}}
	if got := b.status().String(); got != "ros2" {
		t.Errorf("with nobody hidden: %q", got)
	}
	b.blind = func() ros2.Blindness { return ros2.Blindness{Secured: 2, SharedMemory: 3, Refused: 4, Fleeting: 5} }
	s := b.status()
	if s.Secured != 2 || s.SharedMemory != 3 || s.Refused != 4 || s.Fleeting != 5 || len(s.NotSeen) == 0 {
		t.Errorf("%+v", s)
	}
	for _, want := range []string{
		"2 secured participants not seen", "shared memory of 3 participants not seen", "4 participants not taken in", "5 writers of watched topics",
	} {
		if got := s.String(); !strings.Contains(got, want) {
			t.Errorf("for diagnostics: %q without %q", got, want)
		}
	}
	b.cfg.Profile.Bus = config.BusROS1
	if s := b.status(); len(s.NotSeen) != 0 {
		t.Errorf("on ROS 1: %q", s.NotSeen)
	}
}

// TestSecondPlannerOnADomain: two live nodes of one name hold the robot until somebody has looked.
func TestSecondPlannerOnADomain(t *testing.T) {
	t.Parallel()
	s := newDomainSite(t)
	for range 2 {
		p := s.advertise(s.join("/planner"), "/cmd_vel_raw", bus.TypeTwist)
		go func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for seq := uint64(1); ; seq++ {
				select {
				case <-t.Context().Done():
					return
				case <-tick.C:
				}
				if _, err := p.PublishTwist(seq, &msg.Twist{}); err != nil {
					return
				}
			}
		}()
		s.eventually("the planner is heard", func() bool { _, ok := s.publisher("/planner"); return ok })
	}
	s.eventually("publisher.second", func() bool { _, latched := s.trigger("publisher.second"); return latched })
}
