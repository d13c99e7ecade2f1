package dds

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/rtps"
)

// What ours may use under any attack: memory, and processor time beside what the genuine stream costs.
const (
	maxRSS = 64 << 20
	maxCPU = 0.5 // of one core
)

// chance is seeded and says so.
func chance(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number does
	if v, err := strconv.ParseUint(os.Getenv("ROBOWARDEN_SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("seed %d (repeat with ROBOWARDEN_SEED=%d)", seed, seed)
	return rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // not a secret
}

// stage is a genuine stream from one computer to ours on the next, and a third and fourth for whoever disturbs it.
type stage struct {
	hosts []*netns.Host
	x     *Attacker
	sub   *Peer
	pub   Stream
}

const streamRate = 100

// onStage runs a disturbance beside a genuine stream from CycloneDDS, and in make qualify beside one from Fast DDS, too.
func onStage(t *testing.T, name string, f func(t *testing.T, s *stage, r *rand.Rand)) {
	t.Helper()
	streams := []Vendor{Cyclone}
	if longTier() {
		streams = udpPeers
	}
	for _, v := range streams {
		t.Run(strings.TrimSpace(name+" "+string(v)), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, v)
			f(t, s, chance(t))
		})
	}
}

// newStage starts a stage whose genuine stream is from the vendor's publisher.
func newStage(t *testing.T, v Vendor) *stage {
	t.Helper()
	s := &stage{hosts: netns.Switch(t, 4)}
	s.x = NewAttacker(t, s.hosts[2], s.hosts[0])
	s.sub = Start(t, s.hosts[1], Ours, "ddssub")
	s.sub.Ready(t)
	Start(t, s.hosts[0], v, "ddspub", "--depth=0", fmt.Sprintf("--rate=%d", streamRate), "--wait=1")
	m := s.sub.Await(t, patience, `(?m)^from ([0-9a-f]+)$`)
	s.pub = s.x.Stream(t, m[1])
	return s
}

// oursAt are the addresses at which ours hears discovery and data: the first participant's on its computer.
func (s *stage) oursAt() (meta, user netip.AddrPort) {
	a := netip.MustParseAddr(s.hosts[1].Address)
	const base = 7400 + 250*domain.ID
	return netip.AddrPortFrom(a, base+10), netip.AddrPortFrom(a, base+11)
}

// under measures ours while f disturbs it for the time, and judges: the stream goes on in order, memory and time are bounded.
func (s *stage) under(t *testing.T, span time.Duration, f func(until time.Time) (sent int)) {
	t.Helper()
	before, err := s.sub.Usage()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	sent := f(start.Add(span))
	time.Sleep(time.Until(start.Add(span))) // What is left of what is measured.
	took := time.Since(start)
	after, err := s.sub.Usage()
	if err != nil {
		t.Fatalf("ours is gone: %v\n%s", err, s.sub.Output())
	}
	cpu := float64(after.CPU-before.CPU) / float64(took)
	t.Logf("%d datagrams in %v (%.0f a second); ours: %.1f %% of a core, resident %.1f MB, peak %.1f MB", sent, took.Round(time.Millisecond),
		float64(sent)/took.Seconds(), 100*cpu, mb(after.RSSBytes), mb(after.HWMBytes))
	if cpu > maxCPU {
		t.Errorf("%.0f %% of a core: expected at most %.0f", 100*cpu, 100*maxCPU)
	}
	if after.HWMBytes > maxRSS {
		t.Errorf("%.1f MB: expected at most %.1f", mb(after.HWMBytes), mb(int64(maxRSS)))
	}
	s.sub.Stop(3 * time.Second)
	s.sub.Done(t, patience)
	// Of the genuine writer's numbers each has to be there; what a disturber wrote itself is its own affair.
	m := s.sub.Await(t, patience, `(?m)^writer `+s.pub.GUID.String()+` (received=(\d+) .*)$`)
	t.Logf("the genuine stream: %s", m[1])
	least := int64(took.Seconds() * streamRate / 2) // a busy machine slows the publisher
	if number(t, m[2]) < least || !strings.Contains(m[1], " missing=0 disordered=0 wrong=0") {
		t.Errorf("the genuine stream suffered: %s; expected at least %d samples and none missing", m[1], least)
	}
}

func mb(n int64) float64 { return float64(n) / 1e6 }

// told checks that one of the events was told.
func (s *stage) told(t *testing.T, kinds string) {
	t.Helper()
	if kinds == "" {
		return // nothing that somebody has to know
	}
	if !regexp.MustCompile(`(?m)^event (` + kinds + `) `).MatchString(s.sub.Output()) {
		t.Errorf("none of the events %s was told; told were %v", kinds, eventKinds(s.sub.Process))
	}
}

func eventKinds(p *proc.Process) map[string]int {
	out := map[string]int{}
	for line := range strings.Lines(p.Output()) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "event" {
			out[f[1]]++
		}
	}
	return out
}

func floodSpan() time.Duration {
	if longTier() {
		return 30 * time.Second
	}
	return 1500 * time.Millisecond
}

// paced says something 20 000 times a second, as far as the machine can.
func paced(say func()) func(time.Time) int {
	return func(until time.Time) (sent int) {
		const batch, pause = 50, 2500 * time.Microsecond
		for next := time.Now(); time.Now().Before(until); next = next.Add(pause) {
			time.Sleep(time.Until(next))
			for range batch {
				say()
			}
			sent += batch
		}
		return sent
	}
}

// flooding sends packets at that pace.
func (a *Attacker) flooding(t *testing.T, next func() *rtps.Packet, to ...netip.AddrPort) func(time.Time) int {
	return paced(func() { a.Send(t, next(), to...) })
}

// TestCrowd: 200 participants with 2 000 writers are on the domain.
func TestCrowd(t *testing.T) {
	t.Parallel()
	onStage(t, "", func(t *testing.T, s *stage, r *rand.Rand) {
		s.under(t, 2*floodSpan(), func(time.Time) int {
			Crowd(t, s.hosts[2], r, 100, 10)
			Crowd(t, s.hosts[3], r, 100, 10)
			s.known(t, 200, 2000)
			return 0
		})
	})
}

// known waits until ours has told of so many participants and endpoints, beside those whose events were left out for their
// number.
func (s *stage) known(t *testing.T, participants, endpoints int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		p, e := s.sub.told("participant-joined"), s.sub.told("endpoint-added")
		if p >= participants && e >= endpoints {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d participants, %d of %d endpoints: %v", p, participants, e, endpoints, eventKinds(s.sub.Process))
		}
		time.Sleep(50 * time.Millisecond) // The pause of a poll.
	}
}

// told counts the events of a kind, with those that were only counted.
func (p *Peer) told(kind string) (n int) {
	for _, m := range regexp.MustCompile(`(?m)^event `+kind+` .* suppressed=(\d+) `).FindAllStringSubmatch(p.Output(), -1) {
		more, _ := strconv.Atoi(m[1])
		n += 1 + more
	}
	return n
}

func TestFloods(t *testing.T) {
	t.Parallel()
	floods := map[string]struct {
		told string
		run  func(t *testing.T, s *stage, r *rand.Rand) func(time.Time) int
	}{
		"announcements of nobody": {"flood|cap-reached", func(t *testing.T, s *stage, r *rand.Rand) func(time.Time) int {
			meta, _ := s.oursAt()
			self := netip.AddrPortFrom(netip.MustParseAddr(s.hosts[2].Address), 40000)
			return s.x.flooding(t, func() *rtps.Packet {
				p := rtps.Participant{Prefix: randomPrefix(r), Vendor: [2]byte{1, 16}, Meta: self, User: self, Lease: time.Hour}
				return rtps.NewPacket(p.Prefix).Data(rtps.Unknown, rtps.ParticipantWriter, 1, nil, p.Payload(), false)
			}, meta, group)
		}},
		"samples in the victim's name": {"source-conflict|flood", func(t *testing.T, s *stage, _ *rand.Rand) func(time.Time) int {
			_, user := s.oursAt()
			n := s.pub.Last
			return s.x.flooding(t, func() *rtps.Packet {
				n++
				return rtps.NewPacket(s.pub.GUID.Prefix()).Data(rtps.Unknown, s.pub.GUID.Entity(), n, nil, s.pub.Payload, false)
			}, user)
		}},
		"noise": {"", func(t *testing.T, s *stage, r *rand.Rand) func(time.Time) int {
			meta, user := s.oursAt()
			return s.x.flooding(t, func() *rtps.Packet {
				p := rtps.NewPacket(randomPrefix(r))
				body := make([]byte, r.IntN(400))
				for i := range body {
					body[i] = byte(r.Uint32())
				}
				return p.Submessage(byte(r.IntN(0x20)), byte(r.Uint32())&^1, body)
			}, meta, user)
		}},
		"heartbeats of a proper writer": {"", func(t *testing.T, s *stage, r *rand.Rand) func(time.Time) int {
			f := NewFake(t, s.hosts[2], r, rtps.Endpoint{Topic: "rt/odom", Type: "nav_msgs::msg::dds_::Odometry_", Reliable: true})
			s.sub.Await(t, patience, `(?m)^matched 2 `)
			n := int64(0)
			return paced(func() {
				n++
				f.Say(rtps.NewPacket(f.Prefix).Heartbeat(rtps.Unknown, f.Writers[0].GUID.Entity(), 1, n, uint32(n), false))
			})
		}},
		"fragments that are never completed": {"", func(t *testing.T, s *stage, r *rand.Rand) func(time.Time) int {
			f := NewFake(t, s.hosts[2], r, rtps.Endpoint{Topic: "rt/odom", Type: "nav_msgs::msg::dds_::Odometry_", Reliable: true})
			s.sub.Await(t, patience, `(?m)^matched 2 `)
			n, bytes := int64(0), make([]byte, 1000)
			return paced(func() {
				n++
				f.Say(rtps.NewPacket(f.Prefix).Fragments(rtps.Unknown, f.Writers[0].GUID.Entity(), n, 1, 1, 1000, 2_000_000, bytes))
			})
		}},
	}
	for name, flood := range floods {
		onStage(t, name, func(t *testing.T, s *stage, r *rand.Rand) {
			s.under(t, floodSpan(), flood.run(t, s, r))
			s.told(t, flood.told)
		})
	}
}

// TestReflection announces participants that say that they listen at an innocent computer: what ours sends there must not
// be worth an attacker's while.
func TestReflection(t *testing.T) {
	t.Parallel()
	s, r := newStage(t, Cyclone), chance(t)
	innocent := netip.AddrPortFrom(netip.MustParseAddr(s.hosts[3].Address), 9999)
	var hit, bytes atomic.Int64
	s.hosts[3].Listen(t, func(d netns.Datagram) {
		if d.To == innocent {
			hit.Add(1)
			bytes.Add(int64(len(d.Payload)))
		}
	})
	meta, _ := s.oursAt()
	spent := 0
	s.under(t, floodSpan(), func(time.Time) int {
		for range 20 {
			p := rtps.Participant{Prefix: randomPrefix(r), Vendor: [2]byte{1, 16}, Meta: innocent, User: innocent, Lease: time.Hour}
			packet := rtps.NewPacket(p.Prefix).Data(rtps.Unknown, rtps.ParticipantWriter, 1, nil, p.Payload(), false)
			s.x.Send(t, packet, meta)
			spent += len(packet.Bytes())
		}
		return 20
	})
	factor := float64(bytes.Load()) / float64(spent)
	t.Logf("%d bytes of announcements made %d datagrams of %d bytes at the innocent: factor %.1f", spent, hit.Load(), bytes.Load(), factor)
	const most = 10 // within this span; a participant that never answers is given up
	if factor > most {
		t.Errorf("factor %.1f: expected at most %d", factor, most)
	}
}

// TestMutatedPackets sends recorded packets of both vendors, each with a few bytes changed, in the name of a participant
// that is taken in, so that nothing keeps them from the parsers.
func TestMutatedPackets(t *testing.T) {
	t.Parallel()
	s, r := newStage(t, Cyclone), chance(t)
	Start(t, s.hosts[0], Fast, "ddspub", "--topic=/other", "--rate=20")
	Start(t, s.hosts[3], Cyclone, "ddssub", "--topic=/other", "--latched=on")
	f := NewFake(t, s.hosts[2], r, rtps.Endpoint{Topic: "rt/odom", Type: "nav_msgs::msg::dds_::Odometry_", Reliable: true})
	s.sub.Await(t, patience, `(?m)^matched 2 `)
	time.Sleep(time.Second) // For recordings of everything.
	packets := s.x.Packets()
	t.Logf("%d recorded packets", len(packets))
	s.under(t, floodSpan(), paced(func() {
		b := rtps.Raw(mutated(r, packets[r.IntN(len(packets))].Payload, f.Prefix))
		if r.IntN(2) == 0 {
			f.Tell(b)
		} else {
			f.Say(b)
		}
	}))
}

// mutated is a packet in the name of another participant, with up to eight bytes changed, and perhaps cut.
func mutated(r *rand.Rand, packet []byte, source rtps.Prefix) []byte {
	b := append([]byte(nil), packet...)
	copy(b[8:20], source[:])
	for range 1 + r.IntN(8) {
		if len(b) > 20 {
			b[20+r.IntN(len(b)-20)] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(r.Uint32())}[r.IntN(6)]
		}
	}
	if r.IntN(8) == 0 {
		b = b[:20+r.IntN(len(b)-19)]
	}
	return b
}
