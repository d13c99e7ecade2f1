package host

import (
	"testing"
	"time"
)

func TestBootNeverGoesBackAndCivilIsNow(t *testing.T) {
	var c Clock
	last := c.Boot()
	if last <= 0 {
		t.Fatalf("boot clock reads %v", last)
	}
	for range 10_000 {
		now := c.Boot()
		if now < last {
			t.Fatalf("boot clock went from %v back to %v", last, now)
		}
		last = now
	}
	if d := time.Since(time.Unix(0, c.Civil())).Abs(); d > time.Second {
		t.Errorf("civil time is %v away from time.Now", d)
	}
}

func TestClockReadsDoNotAllocate(t *testing.T) {
	var c Clock
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Boot(), c.Civil() }); n != 0 {
		t.Errorf("%v allocations per read, want 0: the clocks are read for every message", n)
	}
}

func TestBootIDIsStableWithinOneBoot(t *testing.T) {
	a, err := BootID()
	if err != nil {
		t.Fatal(err)
	}
	b, err := BootID()
	if err != nil {
		t.Fatal(err)
	}
	if a != b || a == ([16]byte{}) {
		t.Errorf("boot ids %x and %x: want the same non-zero id twice", a, b)
	}
}

func TestSyncSaysSomething(t *testing.T) {
	if s := (Clock{}).Sync(); s != Unsynchronised && s != Synchronised && s != SyncUnknown {
		t.Errorf("state %d is not declared", s)
	}
}

func BenchmarkBoot(b *testing.B) {
	var c Clock
	for b.Loop() {
		c.Boot()
	}
}
