package dds

import (
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/netns"
)

// twist is the content of a forged command with the forged number.
func twist() []byte {
	b := []byte{0, 1, 0, 0}
	for _, v := range []float64{forged, 0, 0, 0, 0, -0.5} {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// effect is what a forgery does to a subscriber.
type effect struct {
	// accepted says that the forged sample came through, gone that the writer was taken for gone, starved that the genuine
	// samples stopped.
	accepted, gone, starved bool
}

func (e effect) String() string {
	return fmt.Sprintf("accepted %t, writer gone %t, starved %t", e.accepted, e.gone, e.starved)
}

// attacks is how often a forgery is said.
const attacks = 5

// suffer has a publisher on one computer, a subscriber on the next and an attacker on the third, and says what a forgery
// did. From the source means that the forgery has the victim's own address and port.
func suffer(t *testing.T, pub, sub Vendor, f Forgery, fromSource bool) (effect, *Peer) {
	t.Helper()
	h := netns.Switch(t, 3)
	x := NewAttacker(t, h[2], h[0])
	s := Start(t, h[1], sub, "ddssub", "--topic=/cmd_vel", "--type=twist", "--each=on")
	s.Ready(t)
	Start(t, h[0], pub, "ddspub", "--topic=/cmd_vel", "--type=twist", "--rate=10", "--wait=1")
	s.Await(t, patience, `(?m)^sample 3 `)
	for range attacks {
		// Between two samples of the victim, so that the next number is free.
		last := x.Writer(t, "rt/cmd_vel").Last
		for v := x.Writer(t, "rt/cmd_vel"); ; v = x.Writer(t, "rt/cmd_vel") {
			if v.Last <= last {
				time.Sleep(time.Millisecond) // The pause of a poll.
				continue
			}
			if p, to := f.Make(x.Eye, v); fromSource {
				x.Forge(t, v.From, p, to...)
			} else {
				x.Send(t, p, to...)
			}
			break
		}
	}
	before := strings.Count(s.Output(), "\nsample ")
	time.Sleep(1500 * time.Millisecond) // For how long the effect is looked at, not a wait for it.
	out := s.Output()
	return effect{
		accepted: strings.Contains(out, fmt.Sprintf("sample %d ", forged)),
		gone:     regexp.MustCompile(`(?m)^matched 0 `).MatchString(out),
		starved:  strings.Count(out, "\nsample ")-before < 10,
	}, s
}

// proven are the effects of the forgeries on CycloneDDS 0.10.2 and Fast DDS 2.9.1, in this order; far-sample has none.
var proven = map[string][2]effect{
	"guid-spoofing":       {{accepted: true}, {accepted: true}},
	"participant-dispose": {{gone: true}, {gone: true}},
	"writer-dispose":      {{gone: true}, {gone: true}},
	"far-heartbeat":       {{starved: true}, {starved: true}},
	"far-gap":             {{}, {starved: true}},
}

// victims are the vendors that the i-th forgery is tried with: all in make qualify, in turns in make test.
func victims(i int) []Vendor {
	if longTier() {
		return udpPeers
	}
	return udpPeers[i%len(udpPeers):][:1]
}

// TestForgeriesOnVendors proves each forgery on the real vendors, so that what ours does about it means something.
func TestForgeriesOnVendors(t *testing.T) {
	t.Parallel()
	for n, f := range Forgeries(twist()) {
		for _, v := range victims(n) {
			want, known := proven[f.Name]
			if !known {
				continue
			}
			i := slices.Index(udpPeers, v)
			t.Run(f.Name+" "+string(v), func(t *testing.T) {
				t.Parallel()
				got, _ := suffer(t, v, v, f, false)
				t.Log(got)
				if want := want[i]; want.accepted && !got.accepted || want.gone && !got.gone || want.starved && !got.starved {
					t.Errorf("expected %s", want)
				}
			})
		}
	}
}

// noticed are the events that tell of a forgery.
var noticed = regexp.MustCompile(`(?m)^event (source-conflict|foreign-dispose|foreign-endpoint|payload-conflict|sequence-jump) `)

// TestForgeriesOnOurs: what another socket says in a publisher's name changes nothing and is told.
func TestForgeriesOnOurs(t *testing.T) {
	t.Parallel()
	for n, f := range Forgeries(twist()) {
		for _, v := range victims(n) {
			t.Run(f.Name+" "+string(v), func(t *testing.T) {
				t.Parallel()
				got, s := suffer(t, v, Ours, f, false)
				if got != (effect{}) {
					t.Errorf("expected none; found %s", got)
				}
				if !noticed.MatchString(s.Output()) {
					t.Error("no event tells of it")
				}
			})
		}
	}
}

// TestForgeriesFromTheSource have the victim's address and port too: the real feed goes on, or its loss is told. That a
// single one of these was forged cannot be known without looking at the wire; that two speak as one can.
func TestForgeriesFromTheSource(t *testing.T) {
	t.Parallel()
	for n, f := range Forgeries(twist()) {
		for _, v := range victims(n + 1) {
			t.Run(f.Name+" "+string(v), func(t *testing.T) {
				t.Parallel()
				got, s := suffer(t, v, Ours, f, true)
				t.Log(got)
				out := s.Output()
				told := noticed.MatchString(out)
				if got.accepted && !told {
					t.Error("a forged sample was taken and nothing told")
				}
				if got.starved && !told && !regexp.MustCompile(`(?m)^(event (participant-left|endpoint-removed)|matched 0) `).MatchString(out) {
					t.Error("the feed is gone and nothing told")
				}
			})
		}
	}
}
