package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// model is what must be true of a log, kept beside it.
type model struct {
	t     *rapid.T
	rng   *rand.Rand
	fsys  *memFS
	l     *Log
	quota int64
	boots byte

	stored map[uint64]string // taken by Append, by number
	gone   map[uint64]bool   // refused by Append
	heads  []Checkpoint      // every head that was ever shown
}

func newModel(t *rapid.T) *model {
	m := &model{
		t: t, fsys: newMemFS(), stored: map[uint64]string{}, gone: map[uint64]bool{},
		rng:   rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)),
		quota: rapid.SampledFrom([]int64{64 << 20, 10 * block}).Draw(t, "quota"),
	}
	m.open()
	return m
}

// open starts a session after whatever happened before, and compares what is
// there with the model.
func (m *model) open() {
	m.fsys.fault = nil
	m.boots++
	o := memOptions(m.fsys)
	o.BootID[15], o.QuotaBytes = m.boots, m.quota
	var err error
	if m.l, err = Open("j", o); err != nil {
		m.t.Fatalf("open: %v", err)
	}
	c, err := contents(m.fsys)
	if err != nil {
		m.t.Fatalf("after open: %v", err)
	}
	durable := uint64(0)
	if n := len(m.heads); n > 0 {
		durable = m.heads[n-1].Seq
	}
	if c.last < durable {
		m.t.Fatalf("record %d was durable, the log ends with %d", durable, c.last)
	}
	m.compare(c, durable)
	// Numbers behind the end are given out again.
	maps.DeleteFunc(m.stored, func(seq uint64, _ string) bool { return c.have[seq] == "" })
	m.gone = c.lost
	m.note()
}

// compare checks every record and gap against what was appended. What was
// durable must be there, unless the quota took it.
func (m *model) compare(c content, durable uint64) {
	for seq, p := range c.have {
		if m.stored[seq] != p {
			m.t.Fatalf("record %d: appended %q, found %q", seq, m.stored[seq], p)
		}
	}
	for seq := range m.stored {
		if seq >= c.first && seq <= durable && c.have[seq] == "" {
			m.t.Fatalf("record %d was durable (up to %d) and is not there", seq, durable)
		}
	}
	for seq := range m.gone {
		if seq >= c.first && seq <= durable && !c.lost[seq] {
			m.t.Fatalf("record %d was lost and no gap says so", seq)
		}
	}
}

// note remembers the head.
func (m *model) note() {
	seq, digest := m.l.Head()
	if n := len(m.heads); n > 0 && m.heads[n-1].Seq > seq {
		m.t.Fatalf("head went back from %d to %d", m.heads[n-1].Seq, seq)
	}
	m.heads = append(m.heads, Checkpoint{seq, digest})
}

// Append adds a few records, sometimes far more than the ring takes.
func (m *model) Append(t *rapid.T) {
	n := rapid.SampledFrom([]int{1, 1, 2, 5, 20, 300}).Draw(t, "n")
	for range n {
		count, _ := m.l.ring.tail()
		p := fmt.Sprintf("%d-%d:%0*d", m.boots, m.l.base+count, rapid.IntRange(0, 300).Draw(t, "size"), 0)
		seq, ok := m.l.Append(2, 0, []byte(p), rapid.Bool().Draw(t, "urgent"))
		if seq != m.l.base+count {
			t.Fatalf("expected number %d, found %d", m.l.base+count, seq)
		}
		delete(m.stored, seq)
		if ok {
			m.stored[seq] = p
		} else {
			m.gone[seq] = true
		}
	}
}

// Pump lets the writer work.
func (m *model) Pump(t *rapid.T) {
	m.l.w.attempt(rapid.Bool().Draw(t, "force"))
	m.note()
}

// Fault makes some of the next changes of the disk fail.
func (m *model) Fault(t *rapid.T) {
	err := rapid.SampledFrom([]error{syscall.ENOSPC, syscall.EIO, errShort}).Draw(t, "error")
	from := m.fsys.ops + rapid.IntRange(0, 10).Draw(t, "from")
	to := from + rapid.IntRange(1, 6).Draw(t, "times")
	m.fsys.fault = func(op, _ string, n int) error {
		if n < from || n >= to || errors.Is(err, errShort) && op != "write" {
			return nil
		}
		return err
	}
}

// PowerCut restarts on what the disk kept.
func (m *model) PowerCut(*rapid.T) {
	m.fsys = m.fsys.powerCut(m.rng)
	m.open()
}

// Kill restarts with all that was written.
func (m *model) Kill(*rapid.T) {
	m.fsys = m.fsys.killed()
	m.open()
}

// Restart closes in order and opens again.
func (m *model) Restart(*rapid.T) {
	m.fsys.fault = nil
	if err := m.l.Close(context.Background()); err != nil {
		m.t.Fatalf("close: %v", err)
	}
	m.note()
	m.open()
}

// Check reads back what is durable.
func (m *model) Check(*rapid.T) {
	if c, err := contents(m.fsys); err == nil { // faults may have left an unfinished end
		seq, _ := m.l.Head()
		m.compare(c, seq)
	}
}

// TestModel interleaves appends, faults and crashes at random: what was durable
// stays, in order, with every loss told, and every head ever shown is on the chain.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"append": m.Append, "append again": m.Append, "pump": m.Pump, "pump again": m.Pump,
			"fault": m.Fault, "power cut": m.PowerCut, "kill": m.Kill, "restart": m.Restart, "": m.Check,
		})
		m.Restart(rt)
		rep, err := verify(m.fsys, m.heads)
		if err != nil || !rep.OK() {
			rt.Fatalf("%v %v", err, rep.Problems)
		}
	})
}
