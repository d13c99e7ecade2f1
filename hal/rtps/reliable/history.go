package reliable

import (
	"slices"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// slot is one sample of a history.
type slot struct {
	seq   wire.SeqNum
	stamp wire.Time
	buf   []byte // of the history's memory; its length is the payload's

	related    wire.GUID
	relatedSeq wire.SeqNum
	hasRelated bool

	dispose bool
	key     wire.GUID
	status  uint32
}

// frags is how many fragments of a size a sample has; 1 for one that goes out whole.
func (s *slot) frags(size int) uint32 { return uint32(max(1, (len(s.buf)+size-1)/size)) }

// history keeps the last samples, in memory that is allocated once.
type history struct {
	slots []slot
	order []int32 // the slots that hold a sample, by number
	idle  []int32
	last  wire.SeqNum
}

func newHistory(depth, maxSample int) history {
	h := history{slots: make([]slot, depth), order: make([]int32, 0, depth), idle: make([]int32, depth)}
	memory := make([]byte, depth*maxSample)
	for k := range h.slots {
		h.slots[k].buf = memory[k*maxSample : k*maxSample : (k+1)*maxSample]
		h.idle[k] = int32(depth - 1 - k)
	}
	return h
}

// place is where the number seq stands in order, or would stand.
func (h *history) place(seq wire.SeqNum) (k int, ok bool) {
	return slices.BinarySearchFunc(h.order, seq, func(at int32, seq wire.SeqNum) int {
		switch n := h.slots[at].seq; {
		case n < seq:
			return -1
		case n > seq:
			return 1
		}
		return 0
	})
}

// find is the sample with a number, nil if it is not there any more.
func (h *history) find(seq wire.SeqNum) *slot {
	if k, ok := h.place(seq); ok {
		return &h.slots[h.order[k]]
	}
	return nil
}

// from is the lowest number there that is not below seq; last+1 if there is none.
func (h *history) from(seq wire.SeqNum) wire.SeqNum {
	if k, _ := h.place(seq); k < len(h.order) {
		return h.slots[h.order[k]].seq
	}
	return h.last + 1
}

// remove takes a sample out.
func (h *history) remove(seq wire.SeqNum) {
	if k, ok := h.place(seq); ok {
		h.idle = append(h.idle, h.order[k])
		h.order = slices.Delete(h.order, k, k+1)
	}
}

// add takes the next number; the oldest sample gives way if there is no room.
func (h *history) add(stamp wire.Time, payload []byte) *slot {
	if len(h.idle) == 0 {
		h.remove(h.slots[h.order[0]].seq)
	}
	k := h.idle[len(h.idle)-1]
	h.idle = h.idle[:len(h.idle)-1]
	h.order = append(h.order, k)
	h.last++
	s := &h.slots[k]
	*s = slot{seq: h.last, stamp: stamp, buf: append(s.buf[:0], payload...)}
	return s
}
