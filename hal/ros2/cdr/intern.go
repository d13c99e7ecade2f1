package cdr

// lastText holds the last value of one string field. While a peer repeats itself, reading it allocates nothing.
type lastText string

func (l *lastText) get(b []byte) string {
	if string(*l) == string(b) {
		return string(*l)
	}
	if len(b) > MaxFrame {
		return "?"
	}
	*l = lastText(b)
	return string(*l)
}

// interner does the same for the frames of a tf tree. It is direct mapped, so a peer that invents names costs an
// allocation each and no memory.
type interner [128]string

func (in *interner) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > MaxFrame {
		return "?"
	}
	h := uint32(2166136261) // FNV-1a
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	s := &in[(h^h>>16)%uint32(len(in))]
	if *s != string(b) {
		*s = string(b)
	}
	return *s
}
