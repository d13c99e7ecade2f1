package wire

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestValuesSurviveTheRoundTrip(t *testing.T) {
	var value *rapid.Generator[any]
	leaf := rapid.OneOf(
		rapid.StringMatching(`[ -~]{0,12}`).AsAny(), rapid.Int32().AsAny(), rapid.Bool().AsAny(),
		rapid.Float64Range(-1e6, 1e6).AsAny())
	value = rapid.Custom(func(t *rapid.T) any {
		v := rapid.OneOf(leaf, rapid.Map(rapid.SliceOfN(leaf, 0, 4), func(v []any) any { return v }),
			rapid.Map(rapid.MapOfN(rapid.StringMatching(`[a-z]{1,5}`), leaf, 0, 3), func(m map[string]any) any { return m }),
		).Draw(t, "value")
		return widen(v)
	})
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.SliceOfN(value, 0, 5).Draw(t, "args")
		method, got, err := DecodeCall(bytes.NewReader(EncodeCall("someMethod", args...)))
		if err != nil || method != "someMethod" {
			t.Fatalf("method %q, %v", method, err)
		}
		for i := range args {
			if d := cmp.Diff(args[i], got[i]); d != "" {
				t.Fatalf("argument %d (-sent +got):\n%s", i, d)
			}
		}
	})
}

// widen turns drawn int32 into the int that decoding gives, at any depth.
func widen(v any) any {
	switch v := v.(type) {
	case int32:
		return int(v)
	case []any:
		for i := range v {
			v[i] = widen(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = widen(v[k])
		}
	}
	return v
}

func TestUntypedValueIsAString(t *testing.T) {
	_, args, err := DecodeCall(strings.NewReader(
		`<methodCall><methodName> x </methodName><params><param><value>a &lt; b</value></param></params></methodCall>`))
	if err != nil || len(args) != 1 || args[0] != "a < b" {
		t.Fatalf("args %q, %v", args, err)
	}
}

func TestBadCallsAreErrors(t *testing.T) {
	for name, body := range map[string]string{
		"empty":        "",
		"truncated":    `<methodCall><methodName>x</methodName><params><param><value><int>1`,
		"not a number": `<methodCall><methodName>x</methodName><params><param><value><int>z</int></value></param></params></methodCall>`,
		"unknown type": `<methodCall><methodName>x</methodName><params><param><value><nil/></value></param></params></methodCall>`,
		"too deep":     `<methodCall><methodName>x</methodName>` + strings.Repeat("<value><array><data>", 40),
	} {
		if _, _, err := DecodeCall(strings.NewReader(body)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRepliesThatAreNotSuccess(t *testing.T) {
	reply := []byte{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(reply) }))
	defer srv.Close()
	reply = EncodeReply([]any{-1, "no such topic", 0})
	_, err := CallROS(t.Context(), srv.URL, "requestTopic")
	if r := (*Refused)(nil); !errors.As(err, &r) || r.Status != -1 || r.Message != "no such topic" {
		t.Errorf("refusal: %v", err)
	}
	reply = []byte(`<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>4</int></value></member>` +
		`<member><name>faultString</name><value>too much</value></member></struct></value></fault></methodResponse>`)
	_, err = CallROS(t.Context(), srv.URL, "x")
	if f := (*Fault)(nil); !errors.As(err, &f) || f.Code != 4 || f.Text != "too much" {
		t.Errorf("fault: %v", err)
	}
	reply = EncodeReply("just a string")
	if _, err = CallROS(t.Context(), srv.URL, "x"); err == nil || !strings.Contains(err.Error(), "expected (status, message, value)") {
		t.Errorf("bare value: %v", err)
	}
}

func TestMessageRoundTrips(t *testing.T) {
	odom := PlanarOdometry(HeaderMsg{Seq: 7, Sec: 1, Nsec: 2, Frame: "map"}, 1.5, -2.5, 0.7, 0.3, -0.1)
	got, err := ParseOdometry(odom.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(odom, got); d != "" {
		t.Error(d)
	}
	if math.Abs(got.Yaw()-0.7) > 1e-12 {
		t.Errorf("yaw %v, want 0.7", got.Yaw())
	}
	joints := JointStateMsg{Names: []string{"a", "bc"}, Position: []float64{1, 2}, Velocity: []float64{}, Effort: []float64{3}}
	gotJoints, err := ParseJointState(joints.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(joints, gotJoints); d != "" {
		t.Error(d)
	}
	twist := TwistMsg{Linear: [3]float64{1, 2, 3}, Angular: [3]float64{4, 5, 6}}
	if gotTwist, err := ParseTwist(twist.Append(nil)); err != nil || gotTwist != twist {
		t.Errorf("twist %+v, %v", gotTwist, err)
	}
}

func TestShortAndLongBodiesAreErrors(t *testing.T) {
	full := PlanarOdometry(HeaderMsg{Frame: "map"}, 1, 2, 3, 4, 5).Append(nil)
	for n := range len(full) {
		if _, err := ParseOdometry(full[:n]); err == nil {
			t.Fatalf("%d of %d bytes parsed", n, len(full))
		}
	}
	if _, err := ParseOdometry(append(full, 0)); err == nil {
		t.Fatal("one byte too many parsed")
	}
}

// FuzzDecoders feeds bytes to everything that reads from the network.
func FuzzDecoders(f *testing.F) {
	f.Add(PlanarOdometry(HeaderMsg{Frame: "map"}, 1, 2, 3, 4, 5).Append(nil))
	f.Add(EncodeHeader("callerid", "/x", "topic", "/odom"))
	f.Add(EncodeCall("registerPublisher", "/x", []any{1, "two"}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = ParseOdometry(b)
		_, _ = ParseJointState(b)
		_, _ = ParseImu(b)
		_, _ = ParseString(b)
		_, _ = ReadHeader(bytes.NewReader(b))
		_, _, _ = DecodeCall(bytes.NewReader(b))
		_, _ = DecodeReply(bytes.NewReader(b))
	})
}

func TestOfferedTopicReachesADirectSubscriber(t *testing.T) {
	ctx := within(t, 5*time.Second)
	n, err := NewNode(NodeConfig{Name: "/evil"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	p := n.Offer(PublisherConfig{Topic: "/odom", Type: Odometry, Header: []string{"md5sum", "bad", "extra", "1", "latching", ""}})
	addr, err := RequestTopic(ctx, n.URI(), "/someone", "/odom")
	if err != nil {
		t.Fatal(err)
	}
	c, err := DialTopic(ctx, addr, "/someone", "/odom", Odometry)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	want := map[string]string{"callerid": "/evil", "md5sum": "bad", "type": Odometry.Name, "topic": "/odom", "message_definition": "", "extra": "1"}
	if d := cmp.Diff(want, c.Peer); d != "" {
		t.Errorf("reply header (-want +got):\n%s", d)
	}
	if err := p.WaitPeers(ctx, 1); err != nil {
		t.Fatal(err)
	}
	p.Send([]byte("hello"))
	if b, err := ReadFrame(c, 100); err != nil || string(b) != "hello" {
		t.Fatalf("received %q, %v", b, err)
	}
}

func TestUnknownTopicIsAnError(t *testing.T) {
	n, err := NewNode(NodeConfig{Name: "/evil"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	if _, err := DialTopic(within(t, 5*time.Second), n.Addr(), "/x", "/nothing", Bool); err == nil {
		t.Fatal("a topic that nobody offered was served")
	}
}
