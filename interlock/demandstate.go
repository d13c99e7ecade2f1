package interlock

import "encoding/binary"

const (
	demandMagic = "RWID"
	// demandVersion is that of this part alone: it tells controllers again, which the first did not, and has one more reason.
	demandVersion = stateVersion + 2
)

// AppendState appends the gate's state, without its configuration: a gate of the same configuration that restores it goes
// on exactly as this one does.
func (g *DemandGate) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, demandMagic, demandVersion)
	b = appendBool(b, g.open)
	b = appendBool(b, g.begun)
	b = appendStored(b, g.released)
	b = appendBool(b, g.armed)
	b = appendBool(b, g.any)
	b = appendStored(b, g.heard)
	b = appendBool(b, g.running)
	b = appendStored(b, g.until)
	b = appendFloat(b, g.share)
	b = appendBool(b, g.ending)
	b = appendBool(b, g.stands)
	b = appendStored(b, g.told)
	b = appendStored(b, g.still)
	b = append(b, uint8(g.why))
	for _, n := range g.counts {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = binary.LittleEndian.AppendUint64(b, g.ends)
	return seal(b, start)
}

// RestoreState puts the gate into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (g *DemandGate) RestoreState(b []byte) error {
	r, err := open(b, demandMagic, demandVersion)
	if err != nil {
		return err
	}
	n := DemandGate{cfg: g.cfg, open: r.bool("open"), begun: r.bool("begun")}
	n.released = r.duration(maxStored, "a time")
	n.armed, n.any = r.bool("armed"), r.bool("any")
	n.heard = r.duration(maxStored, "a time")
	n.running = r.bool("running")
	n.until = r.duration(maxStored, "a time")
	n.share = r.f64()
	if !(n.share >= 0) {
		r.fail("a share is no number from 0 up")
	}
	n.ending, n.stands = r.bool("ending"), r.bool("standing")
	n.told, n.still = r.duration(maxStored, "a time"), r.duration(maxStored, "a time")
	n.why = DemandReason(r.enum(uint8(NumDemandReasons), "a reason"))
	for i := range n.counts {
		n.counts[i] = r.u64()
	}
	n.ends = r.u64()
	if err := r.close(); err != nil {
		return err
	}
	*g = n
	return nil
}
