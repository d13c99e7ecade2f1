package envelope

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/msg"
)

var (
	testBinding = Binding{Robot: "acme/hum-0007", Boot: [16]byte{1, 2, 3}, Topic: "/cmd_vel_raw", Type: "geometry_msgs/Twist"}
	testKey     = Key{ID: "planner", Secret: bytes.Repeat([]byte{7}, 32)}
	testNonce   = [16]byte{9, 8, 7}
)

const testMax = 4096

func sealer(tb testing.TB, b Binding, k Key) *Sealer {
	tb.Helper()
	s, err := NewSealer(b, k)
	if err != nil {
		tb.Fatal(err)
	}
	s.Challenge(testNonce)
	return s
}

func opener(tb testing.TB, keys ...Key) *Opener {
	tb.Helper()
	o, err := NewOpener(testBinding, testMax, keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

func sealed(tb testing.TB, s *Sealer, message []byte) []byte {
	tb.Helper()
	b, err := s.Append(nil, message)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestBytes writes an envelope by ENVELOPE.md's table and nothing else of this package.
func TestBytes(t *testing.T) {
	message := []byte("forty-eight bytes of a twist, as they would come")
	tag := func(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:8] }
	head := append([]byte("RWE1"), 1, 0, 0, 0)
	head = binary.LittleEndian.AppendUint64(head, 1)
	head = append(head, testBinding.Boot[:]...)
	head = append(head, testNonce[:]...)
	for _, s := range []string{"acme/hum-0007", "/cmd_vel_raw", "planner"} {
		head = append(head, tag(s)...)
	}
	mac := hmac.New(sha256.New, testKey.Secret)
	mac.Write([]byte("robowarden/command/v1\x00acme/hum-0007\x00/cmd_vel_raw\x00geometry_msgs/Twist\x00"))
	mac.Write(head)
	mac.Write(message)
	want := append(mac.Sum(head), message...)
	if got := sealed(t, sealer(t, testBinding, testKey), message); !bytes.Equal(got, want) {
		t.Fatalf("found %x\nexpected %x", got, want)
	}
	got, p := opener(t, testKey).Open(want)
	if p != (msg.Proof{Verdict: msg.ProofAuthentic, Key: 1, Challenge: testNonce, Seq: 1}) || !bytes.Equal(got, message) {
		t.Fatalf("found %+v, %x", p, got)
	}
}

func TestRefusals(t *testing.T) {
	message := make([]byte, 48)
	with := func(change func(b *Binding, k *Key)) []byte {
		b, k := testBinding, testKey
		change(&b, &k)
		return sealed(t, sealer(t, b, k), message)
	}
	good := with(func(*Binding, *Key) {})
	for name, c := range map[string]struct {
		envelope []byte
		want     msg.ProofVerdict
	}{
		"as it should be": {good, msg.ProofAuthentic},
		"nothing":         {nil, msg.ProofMalformed},
		"a bare twist":    {message, msg.ProofMalformed},
		"another version": {append([]byte("RWE2"), good[4:]...), msg.ProofMalformed},
		"oversized":       {append(bytes.Clone(good), make([]byte, testMax)...), msg.ProofOversize},
		"another robot":   {with(func(b *Binding, _ *Key) { b.Robot = "acme/hum-0008" }), msg.ProofWrongRobot},
		"the boot before": {with(func(b *Binding, _ *Key) { b.Boot[0]++ }), msg.ProofWrongBoot},
		"another topic":   {with(func(b *Binding, _ *Key) { b.Topic = "/operator/cmd_vel" }), msg.ProofWrongTopic},
		"another type":    {with(func(b *Binding, _ *Key) { b.Type = "geometry_msgs/TwistStamped" }), msg.ProofWrongCode},
		"an unknown key":  {with(func(_ *Binding, k *Key) { k.ID = "somebody" }), msg.ProofUnknownKey},
		"a stranger's secret": {with(func(_ *Binding, k *Key) {
			k.Secret = bytes.Repeat([]byte{8}, 32)
		}), msg.ProofWrongCode},
		"more after it": {append(bytes.Clone(good), 0), msg.ProofWrongCode},
	} {
		got, p := opener(t, testKey).Open(c.envelope)
		if p.Verdict != c.want || (got != nil) != (c.want == msg.ProofAuthentic) {
			t.Errorf("%s: found verdict %d, %d bytes; expected verdict %d", name, p.Verdict, len(got), c.want)
		}
	}
}

// TestEveryBit flips each bit and cuts at each length.
func TestEveryBit(t *testing.T) {
	good := sealed(t, sealer(t, testBinding, testKey), make([]byte, 48))
	o := opener(t, testKey)
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			if got, p := o.Open(b); p.Verdict == msg.ProofAuthentic || got != nil {
				t.Fatalf("byte %d, bit %d: taken", i, bit)
			}
		}
		if got, p := o.Open(good[:i]); p.Verdict == msg.ProofAuthentic || got != nil {
			t.Fatalf("cut at %d: taken", i)
		}
	}
	if _, p := o.Open(good); p.Verdict != msg.ProofAuthentic {
		t.Fatal("the untouched envelope was refused: this test cannot fail")
	}
}

func TestSecondKey(t *testing.T) {
	second := Key{ID: "spare", Secret: bytes.Repeat([]byte{1}, 32)}
	if _, p := opener(t, testKey, second).Open(sealed(t, sealer(t, testBinding, second), nil)); p.Key != 2 || p.Verdict != msg.ProofAuthentic {
		t.Fatalf("found %+v", p)
	}
	for name, keys := range map[string][]Key{
		"none": nil, "short": {{ID: "a", Secret: make([]byte, 15)}}, "twice": {testKey, testKey}, "nameless": {{Secret: testKey.Secret}},
		"five": {{"a", testKey.Secret}, {"b", testKey.Secret}, {"c", testKey.Secret}, {"d", testKey.Secret}, {"e", testKey.Secret}},
	} {
		if _, err := NewOpener(testBinding, testMax, keys...); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestNoChallenge(t *testing.T) {
	s, err := NewSealer(testBinding, testKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(nil, nil); err == nil {
		t.Fatal("sealed without a challenge")
	}
}

func TestChallengeLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := testBinding
		var nonce [16]byte
		copy(nonce[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "nonce"))
		robot, boot, topic, got, err := ParseChallenge(b.AppendChallenge(nil, nonce))
		if err != nil || robot != b.Robot || boot != b.Boot || topic != b.Topic || got != nonce {
			t.Fatalf("found %q %x %q %x, %v", robot, boot, topic, got, err)
		}
	})
	for _, line := range []string{"", "rw1 challenge a b c d", "rw1 command-challenge acme/1 00 /t 00", "rw1 command-challenge  " + string(make([]byte, 90))} {
		if _, _, _, _, err := ParseChallenge([]byte(line)); err == nil {
			t.Errorf("%q: taken", line)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	good := sealed(t, sealer(t, testBinding, testKey), make([]byte, 48))
	bad := bytes.Clone(good)
	bad[100] ^= 1
	o := opener(t, testKey)
	if n := testing.AllocsPerRun(1000, func() { _, _ = o.Open(good); _, _ = o.Open(bad); _, _ = o.Open(bad[:10]) }); n != 0 {
		t.Fatalf("found %v allocations, expected none", n)
	}
}

// FuzzOpen looks for anything that is taken without the key.
func FuzzOpen(f *testing.F) {
	good := sealed(f, sealer(f, testBinding, testKey), make([]byte, 48))
	f.Add(good)
	f.Add(good[:Overhead])
	f.Add([]byte(magic))
	o := opener(f, testKey)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, p := o.Open(b)
		if p.Verdict == msg.ProofAuthentic && !bytes.Equal(b, good) || (got == nil) == (p.Verdict == msg.ProofAuthentic) && len(b) > Overhead {
			t.Fatalf("found %+v for %x", p, b)
		}
		_, _, _, _, _ = ParseChallenge(b)
	})
}

func BenchmarkOpen(b *testing.B) {
	good := sealed(b, sealer(b, testBinding, testKey), make([]byte, 48))
	o := opener(b, testKey)
	b.ReportAllocs()
	for b.Loop() {
		if _, p := o.Open(good); p.Verdict != msg.ProofAuthentic {
			b.Fatal(p)
		}
	}
}
