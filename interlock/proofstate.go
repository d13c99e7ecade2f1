package interlock

import "encoding/binary"

const proofMagic = "RWIP"

// AppendState appends the watch's state, without its configuration.
func (w *ProofWatch) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, proofMagic, stateVersion)
	for i := range w.nonces {
		b = append(b, w.nonces[i][:]...)
		b = appendStored(b, w.issuedAt[i])
	}
	b = binary.LittleEndian.AppendUint64(b, w.issued)
	for _, k := range w.keys {
		for _, v := range [...]uint64{k.challenge, k.high, k.seen} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	b = appendBool(b, w.any)
	b = append(b, uint8(w.bad))
	b = appendStored(b, w.badAt)
	for _, n := range w.counts {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return seal(b, start)
}

// RestoreState puts the watch into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (w *ProofWatch) RestoreState(b []byte) error {
	r, err := open(b, proofMagic, stateVersion)
	if err != nil {
		return err
	}
	n := ProofWatch{cfg: w.cfg}
	for i := range n.nonces {
		copy(n.nonces[i][:], r.take(len(n.nonces[i])))
		n.issuedAt[i] = r.duration(maxStored, "a time")
	}
	n.issued = r.u64()
	for i := range n.keys {
		n.keys[i] = keyWindow{challenge: r.u64(), high: r.u64(), seen: r.u64()}
	}
	n.any = r.bool("any")
	n.bad = ProofReason(r.enum(uint8(NumProofReasons), "a reason"))
	n.badAt = r.duration(maxStored, "a time")
	for i := range n.counts {
		n.counts[i] = r.u64()
	}
	if err := r.close(); err != nil {
		return err
	}
	*w = n
	return nil
}
