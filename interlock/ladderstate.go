package interlock

import "time"

const ladderMagic = "RWID"

// AppendState appends the ladder's state, without its configuration.
func (l *Ladder) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, ladderMagic, stateVersion)
	b = appendBool(b, l.ran)
	b = appendStored(b, l.last)
	b = append(b, uint8(l.demand), uint8(l.phase), uint8(l.rung+1), uint8(l.asserted)) //nolint:gosec // below MaxRungs
	for i := range MaxRungs {
		r := &l.records[i]
		for _, d := range [...]time.Duration{r.Requested, r.Acked, r.Failed, r.Confirmed, l.ackBy[i], l.stopBy[i]} {
			b = appendStored(b, d)
		}
		for _, v := range [...]bool{r.WasRequested, r.WasAcked, r.WasFailed, r.WasConfirmed} {
			b = appendBool(b, v)
		}
	}
	b = appendBool(b, l.stands)
	b = appendStored(b, l.standing)
	b = append(b, uint8(l.motion))
	b = appendStored(b, l.lost)
	for _, v := range [...]bool{l.moved, l.untold, l.dockRefused} {
		b = appendBool(b, v)
	}
	return seal(b, start)
}

// RestoreState puts the ladder into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (l *Ladder) RestoreState(b []byte) error {
	r, err := open(b, ladderMagic, stateVersion)
	if err != nil {
		return err
	}
	n := Ladder{cfg: l.cfg, ran: r.bool("ran"), last: r.duration(maxStored, "the last step")}
	n.demand = Demand(r.enum(uint8(DemandStop)+1, "the demand"))
	n.phase = LadderPhase(r.enum(uint8(LadderUnconfirmed)+1, "the phase"))
	n.rung = int(r.enum(uint8(l.cfg.N)+1, "the rung")) - 1 //nolint:gosec // at most MaxRungs
	n.asserted = RungSet(r.u8())
	for i := range MaxRungs {
		c := &n.records[i]
		for _, d := range [...]*time.Duration{
			&c.Requested, &c.Acked, &c.Failed, &c.Confirmed, &n.ackBy[i], &n.stopBy[i],
		} {
			*d = r.duration(maxStored, "a time")
		}
		for _, v := range [...]*bool{&c.WasRequested, &c.WasAcked, &c.WasFailed, &c.WasConfirmed} {
			*v = r.bool("a mark")
		}
	}
	n.stands = r.bool("stands")
	n.standing = r.duration(maxStored, "a time")
	n.motion = MotionState(r.enum(uint8(Standing)+1, "the motion"))
	n.lost = r.duration(maxStored, "the grace")
	for _, v := range [...]*bool{&n.moved, &n.untold, &n.dockRefused} {
		*v = r.bool("a mark")
	}
	if n.demand >= DemandHold && n.rung < 0 {
		r.fail("a stop is demanded and no rung is tried")
	}
	if err := r.close(); err != nil {
		return err
	}
	*l = n
	return nil
}
