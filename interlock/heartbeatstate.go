package interlock

const (
	heartbeatMagic = "RWIH"
	// heartbeatVersion is that of this part alone: it remembers more challenges than the first did.
	heartbeatVersion = stateVersion + 1
)

// AppendState appends the watch's state, without its configuration.
func (h *Heartbeat) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, heartbeatMagic, heartbeatVersion)
	for i := range h.challenges {
		c := &h.challenges[i]
		b = append(b, c.nonce[:]...)
		b = appendStored(b, c.at)
		b = appendBool(b, c.issued)
		b = appendBool(b, c.closed)
	}
	b = append(b, uint8(h.next)) //nolint:gosec // below outstanding
	b = appendBool(b, h.some)
	b = appendStored(b, h.issued)
	b = append(b, uint8(h.phase))
	b = appendStored(b, h.fed)
	b = appendBool(b, h.ran)
	b = h.hostile.append(b)
	b = append(b, uint8(h.bad), uint8(h.bad>>8))
	return seal(b, start)
}

// RestoreState puts the watch into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (h *Heartbeat) RestoreState(b []byte) error {
	r, err := open(b, heartbeatMagic, heartbeatVersion)
	if err != nil {
		return err
	}
	n := Heartbeat{cfg: h.cfg}
	for i := range n.challenges {
		c := &n.challenges[i]
		copy(c.nonce[:], r.take(len(c.nonce)))
		c.at = r.duration(maxStored, "a time")
		c.issued = r.bool("issued")
		c.closed = r.bool("closed")
	}
	n.next = int(r.enum(outstanding, "a place"))
	n.some = r.bool("some")
	n.issued = r.duration(maxStored, "a time")
	n.phase = HeartbeatPhase(r.enum(uint8(HeartbeatStopped)+1, "the phase"))
	n.fed = r.duration(maxStored, "a time")
	n.ran = r.bool("ran")
	n.hostile = r.bucket()
	n.bad = Cause(r.u16())
	if err := r.close(); err != nil {
		return err
	}
	*h = n
	return nil
}
