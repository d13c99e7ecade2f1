package verifier

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
)

// IMAPoint is a place in a robot's log of files that was proven, and all before it judged.
type IMAPoint struct {
	Offset int64  `json:"offset"`
	PCR    string `json:"pcr"`
	// Violations is true where a file before it was read while somebody wrote it, which the rules let pass.
	Violations bool `json:"violations,omitempty"`
}

// IMAState is how far a robot's log of files has been judged.
type IMAState struct {
	// Of is the digest of what it holds for: one start of the machine, and the rules by which the entries were judged.
	Of string `json:"of"`
	// Points are the newest, one for each answer that may be under way and one more; rising.
	Points []IMAPoint `json:"points"`
	// Ahead is how far a log has been read that is too long for one evidence, nil if it has been read to its end: all before it was
	// judged, and nothing proves it until the register does with what comes next.
	Ahead *IMAPoint `json:"ahead,omitempty"`
}

func (p IMAPoint) value() (out [sha256.Size]byte) {
	if b, err := hex.DecodeString(p.PCR); err == nil && len(b) == len(out) {
		copy(out[:], b)
	}
	return out
}

// imaFrom is where the log of files is asked for from: behind what was judged, if that still holds.
func (r *References) imaFrom(now time.Time, boot string, s *State) int64 {
	known := s.imaState(r.imaOf(now, boot, s.ResetCount))
	if known.Ahead != nil {
		return known.Ahead.Offset
	}
	if p := known.Points; len(p) > 0 {
		return p[len(p)-1].Offset
	}
	return 0
}

// imaState is what is known of a log of files, if that still holds.
func (s *State) imaState(of string) IMAState {
	if s.IMA == nil || of == "" || s.IMA.Of != of {
		return IMAState{Of: of}
	}
	return *s.IMA
}

// imaData joins the pieces that the claims name: they have to follow each other.
func (a *appraisal) imaData(parts []int64) ([]byte, bool) {
	var out []byte
	for _, at := range parts {
		if at != parts[0]+int64(len(out)) {
			a.refuse(EventlogMalformed, evidence.LogIMA, fmt.Sprintf("a piece from byte %d", parts[0]+int64(len(out))), fmt.Sprintf("one from byte %d", at), "compare the versions of robot and verifier")
			return nil, false
		}
		piece, ok := a.log(evidence.IMAPart(at))
		if !ok {
			return nil, false
		}
		out = append(out, piece...)
	}
	return out, true
}

// replayTo returns the entries that lead from a point to a PCR's value, and where they end. What the kernel has logged since is not
// proven yet, and left for the next time.
func replayTo(from IMAPoint, entries []eventlog.IMAEntry, want [sha256.Size]byte) (proven []eventlog.IMAEntry, end int64, ok bool) {
	value, at := from.value(), from.Offset
	if value == want {
		end, ok = at, true
	}
	for i := range entries {
		e := &entries[i]
		at += int64(e.Size())
		if value = eventlog.ReplayIMA(value, eventlog.IMAPCR, entries[i:i+1]); value == want {
			proven, end, ok = entries[:i+1], at, true
		}
	}
	return proven, end, ok
}

// after adds points to those of before, and keeps as many of the farthest as answers may be under way, and one more.
func after(before []IMAPoint, points ...IMAPoint) []IMAPoint {
	for _, p := range before {
		if !slices.ContainsFunc(points, func(o IMAPoint) bool { return o.Offset == p.Offset }) {
			points = append(points, p)
		}
	}
	slices.SortFunc(points, func(a, b IMAPoint) int { return cmp.Compare(a.Offset, b.Offset) })
	points = slices.CompactFunc(points, func(a, b IMAPoint) bool { return a.Offset == b.Offset })
	return points[max(0, len(points)-MaxOpen-1):]
}

// refuseOffset refuses a log that begins where nothing is known of it.
func (a *appraisal) refuseOffset(newest, offset int64) bool {
	want, found := fmt.Sprintf("the log of files from byte %d, or from its start", newest), fmt.Sprintf("from byte %d", offset)
	// Of another start, or a TPM that was reset under the kernel, no challenge has asked for it: that is refused.
	asked := a.State.BootID == "" || a.State.BootID == a.e.Claims.BootID && a.State.ResetCount == a.TPM.ResetCount
	if !a.Authentic || a.Recorded || !asked {
		a.refuse(EventlogMissing, evidence.LogIMA, want, found, "let the robot say hello again")
		return true
	}
	// The challenge may have asked for just that, before the robot was judged anew or by other rules.
	return a.overtaken(want, found)
}
