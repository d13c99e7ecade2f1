package interlock

import (
	"encoding/binary"
	"time"
)

const (
	channelMagic = "RWIN"
	// channelVersion is that of this part alone: it learns frames, which the first did not.
	channelVersion = stateVersion + 1
)

// AppendState appends the watch's state, without its configuration.
func (w *ChannelWatch) AppendState(b []byte) []byte {
	start := len(b)
	b = begin(b, channelMagic, channelVersion)
	for _, f := range w.flags() {
		b = appendBool(b, *f)
	}
	for _, d := range w.times() {
		b = appendStored(b, *d)
	}
	for _, n := range w.stamps() {
		b = appendTime(b, clampDuration(*n))
	}
	b = binary.LittleEndian.AppendUint32(b, w.peer)
	b = binary.LittleEndian.AppendUint32(b, w.seq)
	b = binary.LittleEndian.AppendUint64(b, w.frame)
	b = append(binary.LittleEndian.AppendUint64(b, w.other), w.held, w.run)
	b = append(b, uint8(w.samples))                             //nolint:gosec // at most minSamples
	b = binary.LittleEndian.AppendUint16(b, uint16(w.expected)) //nolint:gosec // below maxLossWindow and maxGap
	b = binary.LittleEndian.AppendUint16(b, uint16(w.lost))     //nolint:gosec // at most expected
	for _, k := range w.buckets() {
		b = k.append(b)
	}
	b = append(b, uint8(w.stray), uint8(w.stray>>8), uint8(w.health), uint8(w.cause), uint8(w.cause>>8))
	return seal(b, start)
}

// RestoreState puts the watch into the state that AppendState wrote. Bytes that cannot be read change nothing.
func (w *ChannelWatch) RestoreState(b []byte) error {
	r, err := open(b, channelMagic, channelVersion)
	if err != nil {
		return err
	}
	n := ChannelWatch{cfg: w.cfg}
	for _, f := range n.flags() {
		*f = r.bool("a mark")
	}
	for _, d := range n.times() {
		*d = r.duration(maxStored, "a time")
	}
	for _, v := range n.stamps() {
		*v = int64(r.duration(maxStored, "a stamp"))
	}
	n.peer, n.seq, n.frame, n.other = r.u32(), r.u32(), r.u64(), r.u64()
	n.held, n.run = r.enum(frameRun+1, "a number of commands"), r.enum(frameRun+1, "a number of commands in a row")
	n.samples = int(r.enum(minSamples+1, "a number of intervals"))
	n.expected, n.lost = int(r.u16()), int(r.u16())
	for _, k := range n.buckets() {
		*k = r.bucket()
	}
	n.stray = Cause(r.u16())
	n.health = ChannelHealth(r.enum(uint8(NumChannelHealths), "a health"))
	n.cause = Cause(r.u16())
	if n.period < 0 || n.jitter < 0 || n.lost > n.expected {
		r.fail("an interval, a deviation or a count cannot be")
	}
	if err := r.close(); err != nil {
		return err
	}
	*w = n
	return nil
}

func (w *ChannelWatch) flags() [10]*bool {
	return [...]*bool{
		&w.heard, &w.moving, &w.uneven, &w.numbered, &w.lossy, &w.stamped, &w.timed, &w.hasBefore, &w.skewed, &w.wasLate,
	}
}

func (w *ChannelWatch) times() [7]*time.Duration {
	return [...]*time.Duration{&w.last, &w.period, &w.jitter, &w.began, &w.skew, &w.worst, &w.lateAt}
}

func (w *ChannelWatch) stamps() [4]*int64 {
	return [...]*int64{&w.stamp, &w.now, &w.before, &w.latency}
}

func (w *ChannelWatch) buckets() [8]*bucket {
	return [...]*bucket{&w.flood, &w.replays, &w.frames, &w.dropouts, &w.late, &w.order, &w.strays, &w.steps}
}
