package e2e

import (
	"bytes"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/dds"
	"github.com/robowarden/robowarden/test/internal/bus"
)

// ddsStrikes are the attacks that only DDS knows, or that are made by other means there.
func ddsStrikes() []strike {
	var all []strike
	intruder := func(name, node, topic, hz string, want ...string) {
		all = append(all, strike{name: name, want: want, begin: func(t testing.TB, l *lane, _ bool) (time.Duration, func()) {
			p := l.b.Node(t, bus.Peer(t, l.b, "ddspub", node, "--topic="+topic, "--type=twist", "--rate="+hz, "--wait=1", "--flush=0"))
			var ready time.Duration
			until(t, noticed, "an intruder on the bus", func() bool {
				m, err := p.WaitOutput(t.Context(), `(?m)^ready (\d+)$`)
				if err != nil {
					t.Fatal(err)
				}
				ns, err := strconv.ParseInt(m[1], 10, 64)
				ready = time.Duration(ns)
				return err == nil
			})
			// It says goodbye: the bus would keep one that is killed for as long as its lease.
			return ready, func() { p.Stop(5 * time.Second) }
		}})
	}
	for _, hz := range []string{"10", "100", "1000"} {
		intruder("commands injected at "+hz+" Hz", "/intruder", "/cmd_vel_raw", hz, "publisher.unknown", "publisher.second")
	}
	for _, hz := range []string{"10", "100", "1000"} {
		intruder("base commanded past the gate at "+hz+" Hz", "/intruder", "/cmd_vel", hz, "gate.bypass")
	}
	intruder("commands injected in the planner's name", "/planner", "/cmd_vel_raw", "100", "publisher.second", "publisher.conflict")
	forged := func(name string, short []bus.Kind, change func(l *lane, payload []byte) []byte) {
		all = append(all, strike{
			name: name, want: []string{"publisher.conflict"}, short: short,
			begin: func(t testing.TB, l *lane, _ bool) (time.Duration, func()) { return l.forge(t, change) },
		})
	}
	forged("planner's commands replayed under its GUID", nil, func(_ *lane, payload []byte) []byte { return payload })
	forged("planner's commands with a bit flipped under its GUID", []bus.Kind{bus.Cyclone}, func(l *lane, payload []byte) []byte {
		out := bytes.Clone(payload)
		bit := l.r.IntN(8 * len(out))
		out[bit/8] ^= 1 << (bit % 8)
		return out
	})
	return append(all, strike{
		name: "recorded commands replayed after a reboot", kit: kit{proven: true}, want: []string{"channel.command-unproven"}, shards: 2,
		begin: func(t testing.TB, l *lane, _ bool) (time.Duration, func()) {
			l.commander.Fault(t, "keep")
			l.reboot(t)
			l.open(t)
			began := boottime()
			l.commander.Fault(t, "kept")
			return began, func() { l.commander.Fault(t, "clear") }
		},
	})
}

// forge sends samples as if the planner's writer had sent them, from a socket beside it.
func (l *lane) forge(t testing.TB, change func(l *lane, payload []byte) []byte) (time.Duration, func()) {
	t.Helper()
	victim := l.attacker.Writer(t, "rt/cmd_vel_raw")
	stop := make(chan struct{})
	var all sync.WaitGroup
	began := boottime()
	all.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			p, to := dds.Forgeries(change(l, victim.Payload))[0].Make(l.attacker.Eye, victim)
			l.attacker.Send(t, p, to...)
			select {
			case <-stop:
				return
			case <-tick.C:
				victim.Last++
			}
		}
	})
	return began, func() {
		close(stop)
		all.Wait()
	}
}
