package cdr

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// padded is a sample padded to words, as the encoders make them and Cyclone DDS does.
func padded(b []byte) []byte {
	b = bytes.Clone(b)
	for b[3] = 0; len(b)%4 != 0; b[3]++ {
		b = append(b, 0)
	}
	return b
}

func goldenTwist() *msg.Twist {
	c := newCounter()
	return &msg.Twist{Linear: c.vec3(), Angular: c.vec3()}
}

func goldenStatus() []bus.DiagnosticStatus {
	return []bus.DiagnosticStatus{
		{Name: "guard", Message: "ok", HardwareID: "h1"},
		{Level: bus.LevelWarn, Name: "base: motors", Message: "look", HardwareID: "h1", Values: []bus.KeyValue{{Key: "k0", Value: "value"}}},
		{Level: bus.LevelError, Name: "x", Message: "look", HardwareID: "h1", Values: []bus.KeyValue{{Key: "k0", Value: "value"}, {Key: "k1"}}},
	}
}

func goldenGoal() *NavigateGoal {
	c := newCounter()
	return &NavigateGoal{Stamp: goldenStamp, Frame: "map", Position: c.vec3(), Orientation: c.quat(), BehaviorTree: "bt.xml"}
}

func goldenEntities() *Entities {
	gid := func(base int) GID { return GID(goalID(base)) }
	e := &Entities{Participant: gid(1)}
	for i, name := range []string{"robowarden", "nav", "c"} {
		n := NodeEntities{Namespace: []string{"/", "/robot/base", "/"}[i], Name: name}
		for k := range i + 1 {
			n.Readers = append(n.Readers, gid(16+i*8+k))
		}
		for k := range 2 - i {
			n.Writers = append(n.Writers, gid(128+i*8+k))
		}
		e.Nodes = append(e.Nodes, n)
	}
	return e
}

func TestEncodersMakeWhatOthersMake(t *testing.T) {
	for name, got := range map[string][]byte{
		"Twist":                     AppendTwist(nil, goldenTwist()),
		"TwistStamped":              AppendTwistStamped(nil, goldenStamp, "base_link", goldenTwist()),
		"Bool":                      AppendBool(nil, true),
		"AckermannDriveSent":        AppendDrive(nil, false, goldenStamp, "base_link", -1.5, 0.25),
		"AckermannDriveStampedSent": AppendDrive(nil, true, goldenStamp, "base_link", -1.5, 0.25),
		"String0":                   AppendString(nil, nil),
		"String3":                   AppendString(nil, []byte("abc")),
		"String10":                  AppendString(nil, []byte("rw1 answer")),
		"DiagnosticArray":           AppendDiagnostics(nil, goldenStamp, goldenStatus()),
		"SetBoolRequest":            AppendSetBool(nil, nil, true),
		"EmptyRequest":              AppendEmpty(nil, nil),
		"SendGoalRequest":           AppendNavigate(nil, nil, goalID(1), goldenGoal()),
		"CancelRequest":             AppendCancel(nil, nil, GoalInfo{goalID(1), 7*1e9 + 8}),
		"Entities16":                AppendEntities(nil, goldenEntities(), false),
		"Entities24":                AppendEntities(nil, goldenEntities(), true),
	} {
		if want := padded(payloadOf(t, name, "le")); !bytes.Equal(got, want) {
			t.Errorf("%s:\n%x, want\n%x", name, got, want)
		}
	}
	id := goalID(3)
	if got, want := AppendGetResult(nil, nil, id), append([]byte{0, 1, 0, 0}, id[:]...); !bytes.Equal(got, want) {
		t.Errorf("get result: %x, want %x", got, want)
	}
	for _, s := range samples(t) {
		if s.by == "cyclone" && !bytes.Equal(s.payload, padded(payloadOf(t, s.name, "le"))) {
			t.Errorf("%s: Cyclone DDS pads in another way", s.name)
		}
	}
}

func TestSizesAreExact(t *testing.T) {
	if n := len(AppendTwist(nil, &msg.Twist{})); n != TwistBytes {
		t.Errorf("twist %d, want %d", n, TwistBytes)
	}
	if n := len(AppendBool(nil, false)); n != BoolBytes {
		t.Errorf("bool %d, want %d", n, BoolBytes)
	}
	text := make([]byte, 20)
	for i := range text {
		if n := len(AppendString(nil, text[:i])); n != StringSize(i) {
			t.Errorf("string of %d: %d, want %d", i, n, StringSize(i))
		}
		frame := string(text[:i])
		if n := len(AppendTwistStamped(nil, 0, frame, &msg.Twist{})); n != TwistStampedSize(frame) {
			t.Errorf("frame of %d: %d, want %d", i, n, TwistStampedSize(frame))
		}
		if n := len(AppendDrive(nil, true, 0, frame, 1, 0)); n != DriveSize(frame) {
			t.Errorf("frame of %d: a drive of %d, want %d", i, n, DriveSize(frame))
		}
		status := goldenStatus()
		status[0].Name, status[1].Values[0].Value = frame, frame+frame
		if n := len(AppendDiagnostics(nil, 0, status)); n != DiagnosticsSize(status) {
			t.Errorf("diagnostics with %d: %d, want %d", i, n, DiagnosticsSize(status))
		}
	}
}

// TestEncodersAppend: alignment counts from the payload's own beginning, wherever that is in the buffer.
func TestEncodersAppend(t *testing.T) {
	for lead := range 9 {
		b := AppendTwistStamped(make([]byte, lead), 5, "map", goldenTwist())
		if want := AppendTwistStamped(nil, 5, "map", goldenTwist()); !bytes.Equal(b[lead:], want) {
			t.Errorf("behind %d bytes:\n%x, want\n%x", lead, b[lead:], want)
		}
	}
}

func TestStampsBeforeTheEpoch(t *testing.T) {
	b := AppendTwistStamped(nil, -1, "", &msg.Twist{})
	d := must(NewCommand(TypeTwistStamped, testPeer, 0, func(m *msg.Command) {
		if m.Stamp != -1 {
			t.Errorf("stamp %d, want -1", m.Stamp)
		}
	}))
	if err := d.Decode(b, 1, 1); err != nil {
		t.Fatal(err)
	}
}

// reply is a payload with a request's header, as rmw_cyclonedds sends it; the sample's alignment does not change by it,
// for the header has 16 bytes.
func reply(b []byte, id *RequestID) []byte {
	w := begin(nil)
	copy(w.b, b[:HeaderBytes])
	if b[1] == encapBE {
		turned := id.Client
		slices.Reverse(turned[:])
		w.bytes(turned[:])
		w.bytes([]byte{byte(id.Seq >> 56), 0, 0, 0, 0, 0, 0, byte(id.Seq)})
	} else {
		w.bytes(id.Client[:])
		w.u64(uint64(id.Seq))
	}
	return append(w.b, b[HeaderBytes:]...)
}

func TestRepliesDecode(t *testing.T) {
	type result struct {
		v   any
		err error
	}
	for _, c := range []struct {
		name  string
		parse func(b []byte, id *RequestID) result
		want  any
	}{
		{"SetBoolResponse", func(b []byte, id *RequestID) result { v, err := ParseResult(b, id); return result{v, err} }, bus.ServiceResult{Success: true, Message: "damping"}},
		{"EmptyRequest", func(b []byte, id *RequestID) result { return result{nil, ParseEmpty(b, id)} }, nil},
		{"SendGoalResponse", func(b []byte, id *RequestID) result {
			ok, at, err := ParseAccepted(b, id)
			return result{[]any{ok, at}, err}
		}, []any{true, int64(1700000000000000005)}},
		{"ResultHumble", func(b []byte, id *RequestID) result { v, err := ParseNavigateResult(b, id); return result{v, err} }, NavigateResult{Status: GoalSucceeded}},
		{"ResultJazzy", func(b []byte, id *RequestID) result { v, err := ParseNavigateResult(b, id); return result{v, err} }, NavigateResult{Status: GoalAborted, Code: 9002, HasCode: true}},
		{"ResultKilted", func(b []byte, id *RequestID) result { v, err := ParseNavigateResult(b, id); return result{v, err} }, NavigateResult{GoalAborted, 9003, true, "timed out"}},
		{"CancelResponse", func(b []byte, id *RequestID) result { v, err := ParseCancel(b, id); return result{v, err} }, CancelResult{Goals: []GoalInfo{{goalID(0), 0}, {goalID(32), 1e9}}}},
	} {
		for _, order := range []string{"le", "be"} {
			sample := payloadOf(t, c.name, order)
			want := &RequestID{Client: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Seq: 77}
			for _, b := range [][]byte{sample, padded(sample)} {
				if r := c.parse(b, nil); r.err != nil || !cmp.Equal(r.v, c.want) {
					t.Errorf("%s %s: %v, %v; want %v", c.name, order, r.v, r.err, c.want)
				}
				var id RequestID
				if r := c.parse(reply(b, want), &id); r.err != nil || !cmp.Equal(r.v, c.want) || id != *want {
					t.Errorf("%s %s with header: %v, %v, %v; want %v", c.name, order, r.v, id, r.err, c.want)
				}
			}
			if c.name == "ResultKilted" || c.name == "ResultJazzy" {
				continue // cut short they are an older server's
			}
			for cut := range len(sample) {
				if r := c.parse(sample[:cut], nil); r.err == nil {
					t.Errorf("%s %s: %d of %d bytes decode", c.name, order, cut, len(sample))
				}
			}
		}
	}
}

func TestRequestsCarryTheirHeader(t *testing.T) {
	id := &RequestID{Client: [8]byte{9, 8, 7, 6, 5, 4, 3, 2}, Seq: -3}
	for name, b := range map[string][]byte{
		"set bool": AppendSetBool(nil, id, true), "empty": AppendEmpty(nil, id), "goal": AppendNavigate(nil, id, goalID(1), goldenGoal()),
		"result": AppendGetResult(nil, id, goalID(1)), "cancel": AppendCancel(nil, id, GoalInfo{}),
	} {
		var got RequestID
		if c := openReply(b, &got); c.err != nil || got != *id {
			t.Errorf("%s: %v, %v", name, got, c.err)
		}
		if got, err := ParseReplyID(b); err != nil || got != *id {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if _, err := ParseReplyID(b[:19]); !errors.Is(err, ErrShort) {
			t.Errorf("%s cut: %v", name, err)
		}
	}
	// The header does not move what follows it.
	with, without := AppendNavigate(nil, id, goalID(1), goldenGoal()), AppendNavigate(nil, nil, goalID(1), goldenGoal())
	if !bytes.Equal(with[20:], without[4:]) {
		t.Error("the goal differs behind a header")
	}
}

func TestEntities(t *testing.T) {
	for _, name := range []string{"Entities16", "Entities24"} {
		for _, order := range []string{"le", "be"} {
			b := payloadOf(t, name, order)
			var e Entities
			for range 2 { // the second time into the first one's lists
				if err := ParseEntities(b, &e, 0, 0); err != nil {
					t.Fatal(name, order, err)
				}
				want := goldenEntities()
				want.Long = name == "Entities24"
				if diff := cmp.Diff(want, &e, cmpopts.EquateEmpty()); diff != "" {
					t.Error(name, order, diff)
				}
			}
			if n := testing.AllocsPerRun(100, func() { _ = ParseEntities(b, &e, 0, 0) }); n != 0 {
				t.Errorf("%s %s: %v allocations for the same again", name, order, n)
			}
			for cut := range len(b) {
				if cut == 24 {
					continue // a gid and no nodes: whole, of one size or the other
				}
				if err := ParseEntities(b[:cut], &e, 0, 0); err == nil || len(e.Nodes) != 0 {
					t.Errorf("%s %s: %d of %d bytes decode", name, order, cut, len(b))
				}
			}
			for _, caps := range [][2]int{{2, 9}, {3, 8}} {
				if err := ParseEntities(b, &e, caps[0], caps[1]); !errors.Is(err, ErrCount) {
					t.Errorf("%s %s with caps %v: %v", name, order, caps, err)
				}
			}
			if err := ParseEntities(b, &e, 3, 9); err != nil {
				t.Errorf("%s %s at its caps: %v", name, order, err)
			}
		}
	}
	long := &Entities{Nodes: []NodeEntities{{Namespace: "/", Name: string(make([]byte, MaxName+1))}}}
	if err := ParseEntities(AppendEntities(nil, long, false), &Entities{}, 0, 0); !errors.Is(err, ErrText) {
		t.Errorf("name of %d bytes: %v", MaxName+1, err)
	}
}

func TestTerminalStates(t *testing.T) {
	for s := GoalStatus(-1); s < 9; s++ {
		if got, want := s.Terminal(), s >= 4 && s <= 6; got != want {
			t.Errorf("status %d: %v", s, got)
		}
	}
}
