package interlock

import "encoding/binary"

const overrideMagic = "RWIO"

// AppendState appends the overrides, without the policy.
func (o *Overrides) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, overrideMagic, stateVersion)
	for i := range o.active {
		b = o.active[i].append(b)
	}
	b = o.waiting.append(b)
	return seal(b, start)
}

func (a *Override) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, a.ID)
	b = appendSet(b, a.Triggers)
	b = appendStored(b, a.Since)
	b = appendStored(b, a.Until)
	b = appendFloat(b, a.MaxSpeedMPS)
	b = binary.LittleEndian.AppendUint64(b, a.First)
	return binary.LittleEndian.AppendUint64(b, a.Second)
}

// RestoreState puts back what AppendState wrote. Bytes that cannot be read change nothing.
func (o *Overrides) RestoreState(b []byte) error {
	r, err := open(b, overrideMagic, stateVersion)
	if err != nil {
		return err
	}
	n := Overrides{policy: o.policy}
	for i := range n.active {
		n.active[i] = r.override()
	}
	n.waiting = r.override()
	if err := r.close(); err != nil {
		return err
	}
	*o = n
	return nil
}

func (r *reader) override() Override {
	return Override{
		ID: r.u64(), Triggers: r.triggers(), Since: r.duration(maxStored, "a time"), Until: r.duration(maxStored, "a time"),
		MaxSpeedMPS: r.f64(), First: r.u64(), Second: r.u64(),
	}
}
