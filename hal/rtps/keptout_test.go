package rtps

import (
	"net/netip"
	"testing"
	"time"
)

// floodOf makes a participant hear forged announcements from the addresses that source gives, ten for each millisecond, for
// the time. Each is another participant's.
func floodOf(p *Participant, w *warp, e *ear, span time.Duration, first int, source func(i int) netip.AddrPort) (last int) {
	i := first
	for range int(span / time.Millisecond) {
		for range 10 {
			hearFrom(p, e, hello(prefix(i), source(i)), source(i))
			i++
		}
		w.forward(time.Millisecond)
		p.discoveryTimers(p.cfg.Clock())
	}
	return i
}

func hearFrom(p *Participant, e *ear, b []byte, from netip.AddrPort) {
	e.now, e.from = p.cfg.Clock(), from
	e.hear(b)
	p.tellAll()
}

// TestFloodKeepsNobodyOut: a flood of forged announcements displaces nobody who is known, a newcomer on another computer is
// taken in, and it does not count as somebody kept out; it is told, and it is known when it was.
func TestFloodKeepsNobodyOut(t *testing.T) {
	one := netip.MustParseAddr("10.0.0.1")
	for name, source := range map[string]func(i int) netip.AddrPort{
		"from one address": func(i int) netip.AddrPort { return netip.AddrPortFrom(one, uint16(20_000+i%40_000)) },
		"from our computer's own addresses": func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 20_000)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var w warp
			told := map[EventKind]int{}
			p := quiet(t, func(c *Config) { c.Clock, c.OnEvent = w.clock, func(e *Event) { told[e.Kind]++ } })
			e := &ear{p: p}
			known := prefix(1 << 20)
			hearFrom(p, e, hello(known, source(1<<20)), source(1<<20))
			p.remotes[known].answers.Store(true)
			if f := p.Flooded(); f != 0 {
				t.Errorf("flooded at %v before anything came", f)
			}
			n := floodOf(p, &w, e, 3*time.Second, 0, source)
			// In the midst of it: no time passes for a budget to recover.
			for range 20 {
				hearFrom(p, e, hello(prefix(n), source(n)), source(n))
				n++
			}
			newcomer, at := prefix(1<<20+1), netip.MustParseAddrPort("10.0.0.2:7412")
			hearFrom(p, e, hello(newcomer, at), at)
			if p.remotes[newcomer] == nil {
				t.Error("a newcomer on another computer is not taken in")
			} else {
				p.remotes[newcomer].answers.Store(true)
			}
			// Longer than the forged ones may leave us without an answer: they give way to each other.
			for range 10 {
				n = floodOf(p, &w, e, time.Second, n, source)
				hearFrom(p, e, hello(known, source(1<<20)), source(1<<20))
				hearFrom(p, e, hello(newcomer, at), at)
			}
			if p.remotes[known] == nil || p.remotes[newcomer] == nil {
				t.Errorf("known still there: %t, newcomer: %t", p.remotes[known] != nil, p.remotes[newcomer] != nil)
			}
			if k := p.KeptOut(); k != 0 {
				t.Errorf("somebody counts as kept out, %v ago", p.cfg.Clock()-k)
			}
			if f := p.Flooded(); p.cfg.Clock()-f > time.Second {
				t.Errorf("flooded at %v, and it is %v", f, p.cfg.Clock())
			}
			if told[Flood] == 0 || told[CapReached] == 0 {
				t.Errorf("told: %v; expected the flood and the cap", told)
			}
		})
	}
}

// TestCrowdKeepsOut: where those who have the room have answered, whoever is not taken in counts as kept out; and so does who
// is not listened to for lack of time, or whose own announcements are too many.
func TestCrowdKeepsOut(t *testing.T) {
	at := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(20_000+i))
	}
	for name, crowd := range map[string]func(p *Participant, w *warp, e *ear){
		"no room": func(p *Participant, w *warp, e *ear) {
			for i := range DefaultParticipantsPerAddress + 1 {
				hearFrom(p, e, hello(prefix(i), at(i)), at(i))
				if r := p.remotes[prefix(i)]; r != nil {
					r.answers.Store(true)
				}
				w.forward(10 * time.Millisecond)
			}
		},
		"no time": func(p *Participant, _ *warp, e *ear) {
			for i := range DefaultUnknownPerAddress + 10 {
				hearFrom(p, e, hello(prefix(i), at(i)), at(i))
				if r := p.remotes[prefix(i)]; r != nil {
					r.answers.Store(true)
				}
			}
		},
		"too many of one": func(p *Participant, _ *warp, e *ear) {
			hearFrom(p, e, hello(prefix(0), at(0)), at(0))
			p.remotes[prefix(0)].answers.Store(true)
			for range 2*DefaultKnownPerParticipant + 10 {
				hearFrom(p, e, hello(prefix(0), at(0)), at(0))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var w warp
			p := quiet(t, func(c *Config) { c.Clock = w.clock })
			crowd(p, &w, &ear{p: p})
			if p.KeptOut() == 0 || p.Flooded() != 0 {
				t.Errorf("kept out at %v, flooded at %v; expected that somebody is kept out, and no flood", p.KeptOut(), p.Flooded())
			}
		})
	}
}

// TestRobotOfOneComputer: 200 participants of one computer are a robot, all of which is known.
func TestRobotOfOneComputer(t *testing.T) {
	var w warp
	p := quiet(t, func(c *Config) { c.Clock = w.clock })
	e := &ear{p: p}
	for i := range 200 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i/100)}), uint16(20_000+i))
		hearFrom(p, e, hello(prefix(i), from), from)
		if r := p.remotes[prefix(i)]; r != nil {
			r.answers.Store(true)
		}
		w.forward(10 * time.Millisecond)
	}
	if p.KeptOut() != 0 || p.Flooded() != 0 || len(p.remotes) != 200 {
		t.Errorf("%d of 200 taken in, kept out at %v, flooded at %v", len(p.remotes), p.KeptOut(), p.Flooded())
	}
}
