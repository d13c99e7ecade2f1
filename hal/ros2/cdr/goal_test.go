package cdr

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// TestGoalRequests: what a goal names is read behind either kind of header, and a tree counts as listed only as it is listed.
func TestGoalRequests(t *testing.T) {
	id := &RequestID{Client: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Seq: 9}
	for tree, listed := range map[string]bool{
		"": true, "slow.xml": true, "slow.xm": false, "slow.xml2": false, "Slow.xml": false, "./slow.xml": false, "slow.xml\x00": false,
	} {
		for _, h := range []*RequestID{nil, id} {
			var got []GoalRequest
			d := NewGoalRequest(testPeer, 3, []string{"fast.xml", "slow.xml"}, h != nil, func(m *GoalRequest) { got = append(got, *m) })
			b := AppendNavigate(nil, h, GoalID{7}, &NavigateGoal{Stamp: 5, Frame: "map", Position: msg.Vec3{X: math.NaN()}, BehaviorTree: tree})
			if err := d.Decode(b, time.Second, 4); err != nil || len(got) != 1 {
				t.Fatalf("%q: %v, %d goals", tree, err, len(got))
			}
			m := got[0]
			if m.Goal.Unlisted == listed || m.ID != (GoalID{7}) || m.Frame != "map" || m.Stamp != 5 || !math.IsNaN(m.Goal.Position.X) ||
				!bytes.Equal(m.Raw, b) || m.Channel != 3 || m.Boot != time.Second || h != nil && m.Request != *id {
				t.Errorf("%q: %+v", tree, m)
			}
			for cut := range len(b) - 4 {
				if err := d.Decode(b[:cut], 1, 1); err == nil {
					t.Errorf("%q: %d of %d bytes decode", tree, cut, len(b))
				}
			}
		}
	}
}

// TestReheaded: the data behind another header is what it was, in both byte orders, and there and back is the same.
func TestReheaded(t *testing.T) {
	id := &RequestID{Client: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Seq: -9}
	for _, order := range []string{"le", "be"} {
		b := payloadOf(t, "SendGoalRequest", order)
		with, err := AppendReheaded(nil, b, false, id)
		if got, idErr := ParseReplyID(with); err != nil || idErr != nil || got != *id || len(with) != len(b)+16 {
			t.Errorf("%s: %v, %v, %v", order, got, err, idErr)
		}
		seen := false
		d := NewGoalRequest(testPeer, 0, nil, true, func(m *GoalRequest) { seen = m.ID == goalID(1) && m.Frame == "map" })
		if err := d.Decode(with, 1, 1); err != nil || !seen {
			t.Errorf("%s: %v behind a header", order, err)
		}
		if back, err := AppendReheaded([]byte{1}, with, true, nil); err != nil || !bytes.Equal(back[1:], b) {
			t.Errorf("%s: %x, %v; expected %x", order, back, err, b)
		}
		if other, err := AppendReheaded(nil, with, true, &RequestID{}); err != nil || !bytes.Equal(other[20:], b[4:]) {
			t.Errorf("%s: another header: %x, %v", order, other, err)
		}
	}
	for _, bad := range [][]byte{nil, {0, 1, 0}, {0, 6, 0, 0}, make([]byte, 19)} {
		if b, err := AppendReheaded([]byte{5}, bad, true, id); err == nil || !bytes.Equal(b, []byte{5}) {
			t.Errorf("%x: %x, %v", bad, b, err)
		}
	}
	if _, err := AppendReheaded(nil, []byte{0, 6, 0, 0}, false, nil); !errors.Is(err, ErrEncapsulation) {
		t.Errorf("XCDR2: %v", err)
	}
	if ok, at, err := ParseAccepted(AppendAccepted(nil, nil, true, 5e9+3), nil); !ok || at != 5e9+3 || err != nil {
		t.Errorf("accepted: %v at %d, %v", ok, at, err)
	}
}
