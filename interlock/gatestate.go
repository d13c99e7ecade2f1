package interlock

import "encoding/binary"

const (
	gateMagic = "RWIG"
	// gateVersion is that of this part alone: it counts more reasons than the first did.
	gateVersion = stateVersion + 1
)

// AppendState appends the gate's state, without its configuration: a gate of the same configuration that restores it
// goes on exactly as this one does.
func (g *Gate) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, gateMagic, gateVersion)
	b = appendBool(b, g.any)
	b = appendVelocity(b, g.current.Velocity)
	b = binary.LittleEndian.AppendUint16(b, g.current.Channel)
	b = append(b, uint8(g.current.Kind))
	b = appendBool(b, g.current.Dock)
	b = appendStored(b, g.current.Received)
	b = appendBool(b, g.open)
	b = appendStored(b, g.released)
	b = binary.LittleEndian.AppendUint64(b, g.armed)
	b = binary.LittleEndian.AppendUint64(b, g.known)
	for _, at := range g.heard {
		b = appendStored(b, at)
	}
	b = appendBool(b, g.sent)
	b = appendStored(b, g.sentAt)
	b = appendVelocity(b, g.out)
	b = append(b, uint8(g.why))
	for _, n := range g.counts {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return seal(b, start)
}

// RestoreState puts the gate into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (g *Gate) RestoreState(b []byte) error {
	r, err := open(b, gateMagic, gateVersion)
	if err != nil {
		return err
	}
	n := Gate{cfg: g.cfg, any: r.bool("any")}
	n.current.Velocity = r.velocity()
	n.current.Channel = r.u16()
	n.current.Kind = ChannelKind(r.enum(uint8(ChannelAutonomy)+1, "a channel's kind"))
	n.current.Dock = r.bool("dock")
	n.current.Received = r.duration(maxStored, "a time")
	n.open = r.bool("open")
	n.released = r.duration(maxStored, "a time")
	n.armed, n.known = r.u64(), r.u64()
	for i := range n.heard {
		n.heard[i] = r.duration(maxStored, "a time")
	}
	n.sent = r.bool("sent")
	n.sentAt = r.duration(maxStored, "a time")
	n.out = r.velocity()
	n.why = GateReason(r.enum(uint8(NumGateReasons), "a reason"))
	for i := range n.counts {
		n.counts[i] = r.u64()
	}
	if err := r.close(); err != nil {
		return err
	}
	*g = n
	return nil
}

func appendVelocity(b []byte, v Velocity) []byte {
	for i := range 3 {
		b = appendFloat(b, v.Linear[i])
	}
	for i := range 3 {
		b = appendFloat(b, v.Angular[i])
	}
	return b
}

// velocity takes a velocity of finite numbers.
func (r *reader) velocity() Velocity {
	var v Velocity
	for i := range 3 {
		v.Linear[i] = r.f64()
	}
	for i := range 3 {
		v.Angular[i] = r.f64()
	}
	if !finite(v) {
		r.fail("a velocity is not finite")
		return Velocity{}
	}
	return v
}
