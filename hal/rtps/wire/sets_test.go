package wire

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestSeqSet compares a set with a map of its numbers, through the wire and back.
func TestSeqSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := SeqNum(rapid.Int64Range(1, int64(MaxSeqNum)).Draw(t, "base"))
		set, model := SeqSet{Base: base}, map[SeqNum]bool{}
		for _, d := range rapid.SliceOf(rapid.Int64Range(-300, 300)).Draw(t, "numbers") {
			n := base + SeqNum(d)
			fits := d >= 0 && d < MaxSetBits
			if set.Add(n) != fits {
				t.Fatalf("adding %d to a set from %d", n, base)
			}
			if fits {
				model[n] = true
			}
		}
		b := AppendAckNack(AppendHeader(nil, testPrefix), testReader, testWriter, &set, 1, false)
		var m Message
		var s Submessage
		if err := m.Reset(b); err != nil {
			t.Fatal(err)
		}
		if ok, err := m.Next(&s); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if diff := cmp.Diff(set, s.Set); diff != "" {
			t.Fatal(diff)
		}
		var got, want []SeqNum
		for n := range s.Set.All() {
			got = append(got, n)
		}
		for n := base - 2; n < base+MaxSetBits+2; n++ {
			if s.Set.Has(n) != model[n] {
				t.Fatalf("has %d: %v", n, s.Set.Has(n))
			}
			if model[n] {
				want = append(want, n)
			}
		}
		if !slices.Equal(got, want) || s.Set.Empty() != (len(want) == 0) {
			t.Fatalf("%v, expected %v", got, want)
		}
	})
}

// TestFragSet is TestSeqSet for fragments.
func TestFragSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Uint32Range(1, ^uint32(0)-MaxSetBits).Draw(t, "base")
		set, model := FragSet{Base: base}, map[uint32]bool{}
		for _, d := range rapid.SliceOf(rapid.Uint32Range(0, 300)).Draw(t, "numbers") {
			if fits := set.Add(base + d); fits != (d < MaxSetBits && base+d >= base) {
				t.Fatalf("adding %d to a set from %d", base+d, base)
			} else if fits {
				model[base+d] = true
			}
		}
		b := AppendNackFrag(AppendHeader(nil, testPrefix), testReader, testWriter, 1, &set, 1)
		var m Message
		var s Submessage
		if err := m.Reset(b); err != nil {
			t.Fatal(err)
		}
		if ok, err := m.Next(&s); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if diff := cmp.Diff(set, s.FragSet); diff != "" {
			t.Fatal(diff)
		}
		n := 0
		for f := range s.FragSet.All() {
			if !model[f] || !s.FragSet.Has(f) {
				t.Fatalf("%d is not in the set", f)
			}
			n++
		}
		if n != len(model) || s.FragSet.Empty() != (n == 0) || s.FragSet.Has(base-1) || s.FragSet.Has(base+MaxSetBits) {
			t.Fatalf("%d numbers, expected %d", n, len(model))
		}
	})
}

// TestSetStops: the loop over a set ends when its body says so, and bits behind the count do not count.
func TestSetStops(t *testing.T) {
	set := seqSet(10, 33, 0xffffffff, 0xffffffff)
	n := 0
	for range set.All() {
		if n++; n == 5 {
			break
		}
	}
	if n != 5 || !set.Has(42) || set.Has(43) {
		t.Errorf("%d numbers; 42 %v, 43 %v", n, set.Has(42), set.Has(43))
	}
	full, frags := SeqSet{Base: 10}, FragSet{Base: 10}
	if full.Add(9) || full.Add(10+MaxSetBits) || !full.Add(9+MaxSetBits) || full.Bits != MaxSetBits {
		t.Errorf("a full set: %+v", full)
	}
	if frags.Add(9) || frags.Add(10+MaxSetBits) || !frags.Add(9+MaxSetBits) || frags.Bits != MaxSetBits {
		t.Errorf("a full set: %+v", frags)
	}
	short := SeqSet{Base: 1, Bits: 4, Map: bitmap{0x0fffffff}} // bits behind the count, which only a caller's mistake can make
	for n := range short.All() {
		t.Errorf("%d is not in the set", n)
	}
	wide := SeqSet{Base: 1, Bits: 1 << 31} // only a caller's mistake can make it
	if wide.Has(1 << 20) {
		t.Error("a set reaches beyond its words")
	}
	var m bitmap
	if bits, _, f := readBits(true, []byte{33, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255}, &m); f != FaultNone || bits != 33 || m[1] != 1<<31 {
		t.Errorf("%d bits %x %v", bits, m, f)
	}
}
