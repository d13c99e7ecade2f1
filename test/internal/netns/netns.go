// Package netns makes networks in which nothing but one test's programs are; it needs root and leaves nothing behind,
// since a network ends with the last program in it.
package netns

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// cable is the interface's name at both ends of a cable.
const cable = "cable"

// Host is a computer with a network and a shared memory of its own.
type Host struct {
	// Address is the one that its programs use: of the loopback, or of the cable.
	Address string

	holder *proc.Process
	device string
}

// setup brings up a loopback that carries multicast, and hides the machine's shared memory, over which Fast DDS would
// find others in spite of the network.
const setup = `set -e
ip link set lo up
ip link set lo multicast on
ip route add 224.0.0.0/4 dev lo
mount -t tmpfs none /dev/shm
echo up
exec sleep infinity`

// New makes a computer that has a loopback only.
func New(t testing.TB) *Host {
	t.Helper()
	need.Networks(t)
	h := &Host{Address: "127.0.0.1", device: "lo"}
	h.holder = proc.StartT(t, proc.Spec{Name: "network", Argv: []string{"unshare", "--net", "--mount", "--", "sh", "-c", setup}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := h.holder.WaitOutput(ctx, `up\n`); err != nil {
		t.Fatal(err)
	}
	return h
}

// Pair makes two computers with a cable between them.
func Pair(t testing.TB) (a, b *Host) {
	t.Helper()
	a, b = New(t), New(t)
	a.run(t, "ip", "link", "add", cable, "type", "veth", "peer", "name", cable, "netns", strconv.Itoa(b.holder.PID()))
	for i, h := range []*Host{a, b} {
		h.plug(t, i)
	}
	a.awaitCarrier(t)
	b.awaitCarrier(t)
	return a, b
}

// Switch makes some computers whose cables all go to one switch.
func Switch(t testing.TB, computers int) []*Host {
	t.Helper()
	s := New(t)
	s.run(t, "ip", "link", "add", "switch", "type", "bridge", "mcast_snooping", "0")
	s.run(t, "ip", "link", "set", "switch", "up")
	var hosts []*Host
	for i := range computers {
		h := New(t)
		port := fmt.Sprintf("port%d", i)
		s.run(t, "ip", "link", "add", port, "type", "veth", "peer", "name", cable, "netns", strconv.Itoa(h.holder.PID()))
		s.run(t, "ip", "link", "set", port, "master", "switch", "up")
		h.plug(t, i)
		hosts = append(hosts, h)
	}
	for _, h := range hosts {
		h.awaitCarrier(t)
	}
	return hosts
}

// awaitCarrier waits until the kernel says that the cable is in at both ends: Fast DDS takes no interface before that, and
// does not look again.
func (h *Host) awaitCarrier(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) { // the pause of a poll
		if strings.Contains(h.run(t, "ip", "-o", "link", "show", "dev", cable), " state UP ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("netns: the cable does not come up")
		}
	}
}

// plug gives the cable's end the i-th address.
func (h *Host) plug(t testing.TB, i int) {
	t.Helper()
	h.Address, h.device = fmt.Sprintf("10.77.0.%d", i+1), cable
	h.run(t, "ip", "addr", "add", h.Address+"/24", "dev", cable)
	h.run(t, "ip", "link", "set", cable, "up")
	h.run(t, "ip", "route", "replace", "224.0.0.0/4", "dev", cable)
}

// In makes a program that is to be started start on this computer.
func (h *Host) In(spec proc.Spec) proc.Spec {
	if spec.Name == "" && len(spec.Argv) > 0 {
		spec.Name = spec.Argv[0]
	}
	spec.Argv = append(h.enter(), spec.Argv...)
	return spec
}

// Start starts a program on this computer, for the length of the test.
func (h *Host) Start(t testing.TB, spec proc.Spec) *proc.Process {
	t.Helper()
	return proc.StartT(t, h.In(spec))
}

func (h *Host) enter() []string {
	return []string{"nsenter", "--target", strconv.Itoa(h.holder.PID()), "--net", "--mount", "--"}
}

// run runs a command on the host to its end and returns what it wrote.
func (h *Host) run(t testing.TB, argv ...string) string {
	t.Helper()
	full := append(h.enter(), argv...)
	out, err := exec.CommandContext(t.Context(), full[0], full[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("netns: %q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// Lose drops the shares of UDP datagrams that come in and that go out, in per cent, each by chance.
func (h *Host) Lose(t testing.TB, in, out int) {
	t.Helper()
	rule := func(chain string, percent int) string {
		return fmt.Sprintf(` chain %s { type filter hook %s priority 0; policy accept; meta l4proto udp numgen random mod 100 < %d counter drop; }
`, chain, chain, percent)
	}
	text := "table inet loss {\n" + rule("input", in) + rule("output", out) + "}\n"
	h.run(t, "nft", "add table inet loss; delete table inet loss; "+text)
}

// NoMulticast takes multicast away, as many a wireless network does: the interface says so, and what is sent all the same
// is lost.
func (h *Host) NoMulticast(t testing.TB) {
	t.Helper()
	h.run(t, "ip", "link", "set", h.device, "multicast", "off")
	h.run(t, "nft", `table inet unicast {
 chain input { type filter hook input priority 0; policy accept; ip daddr 224.0.0.0/4 drop; }
 chain output { type filter hook output priority 0; policy accept; ip daddr 224.0.0.0/4 drop; }
}`)
}
