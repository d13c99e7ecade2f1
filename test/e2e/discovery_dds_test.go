package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/dds"
	"github.com/robowarden/robowarden/test/internal/netns"
)

// meeting is a subscriber and a publisher on two computers, and which of them is there first.
type meeting struct {
	pub, sub dds.Vendor
	subFirst bool
}

// BenchmarkDDSDiscovery measures how long participants take to find each other: from the start of the later one until each
// knows of the other's endpoint, over a cable, with ours beside the vendors among themselves.
func BenchmarkDDSDiscovery(b *testing.B) {
	var all []meeting
	for _, v := range []dds.Vendor{dds.Cyclone, dds.Fast, dds.FastDefault} {
		for _, subFirst := range []bool{true, false} {
			all = append(all, meeting{v, dds.Ours, subFirst}, meeting{dds.Ours, v, subFirst}, meeting{v, v, subFirst})
		}
	}
	x, y := netns.Pair(b)
	took := map[meeting][]time.Duration{}
	for b.Loop() {
		for range roundsOr(10) {
			for _, m := range all {
				took[m] = append(took[m], m.meet(b, x, y))
			}
		}
		var text strings.Builder
		text.WriteString("\n### discovery over DDS\n\nFrom the later one's start until both know the other's endpoint, in milliseconds: median (least to most).\n\n" +
			"| publisher | subscriber | subscriber there first | publisher there first |\n|---|---|---:|---:|\n")
		for _, m := range all {
			if m.subFirst {
				late := m
				late.subFirst = false
				fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", m.pub, m.sub, spread(took[m]), spread(took[late]))
			}
		}
		text.WriteString("\n")
		b.Log("\n" + text.String())
		keepText(b, text.String())
	}
}

// meet lets the two find each other once.
func (m meeting) meet(b *testing.B, x, y *netns.Host) time.Duration {
	b.Helper()
	pub := func() *dds.Peer { return dds.Start(b, x, m.pub, "ddspub", "--wait=2") }
	sub := func() *dds.Peer { return dds.Start(b, y, m.sub, "ddssub") }
	if !m.subFirst {
		pub, sub = sub, pub
	}
	first := sub()
	first.Ready(b)
	later := pub()
	// Ours says when it begins, before it binds anything; the vendors' programs when they have made their endpoints.
	since := later.At(b, 20*time.Second, map[bool]string{true: `(?m)^created (\d+)$`, false: `(?m)^ready (\d+)$`}[m.later() == dds.Ours])
	took := max(first.Matched(b, 1), later.Matched(b, 1)) - since
	later.Stop(3 * time.Second)
	first.Stop(3 * time.Second)
	return took
}

// later is who comes later.
func (m meeting) later() dds.Vendor {
	if m.subFirst {
		return m.pub
	}
	return m.sub
}

func spread(d []time.Duration) string {
	slices.Sort(d)
	return fmt.Sprintf("%.1f (%.1f to %.1f)", ms((d[(len(d)-1)/2]+d[len(d)/2])/2), ms(d[0]), ms(d[len(d)-1]))
}
