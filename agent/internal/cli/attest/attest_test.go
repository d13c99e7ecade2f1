package attest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// feed is a connection that gives bytes in pieces.
type feed struct {
	net.Conn
	data   []byte
	piece  int
	closed bool
}

func (f *feed) Read(p []byte) (int, error) {
	if len(f.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.data[:min(len(f.data), f.piece)])
	f.data = f.data[n:]
	return n, nil
}

func (f *feed) Close() error { f.closed = true; return nil }

// packet writes an MQTT packet with n bytes of content.
func packet(n int) []byte {
	out := []byte{0x30}
	for length := n; ; {
		b := byte(length & 0x7f)
		if length >>= 7; length > 0 {
			b |= 0x80
		}
		out = append(out, b)
		if length == 0 {
			return append(out, make([]byte, n)...)
		}
	}
}

func TestPacketsAreBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var data []byte
		for _, n := range rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 127, 128, 16383, 16384, maxPacket}), 1, 4).Draw(rt, "packets") {
			data = append(data, packet(n)...)
		}
		f := &feed{data: bytes.Clone(data), piece: rapid.SampledFrom([]int{1, 7, 4096, 1 << 20}).Draw(rt, "piece")}
		if f.piece == 1 && len(data) > 1<<16 {
			f.piece = 1000
		}
		if got, err := io.ReadAll(&limited{Conn: f}); err != nil || !bytes.Equal(got, data) {
			rt.Fatalf("%d of %d bytes: %v", len(got), len(data), err)
		}
		f.data = append(append(packet(0), packet(5)...), packet(maxPacket + 1)[:5]...)
		if _, err := io.ReadAll(&limited{Conn: f}); err == nil || !f.closed {
			rt.Fatalf("a large packet passes: %v", err)
		}
	})
	f := &feed{data: []byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x01}, piece: 100}
	l := &limited{Conn: f}
	if _, err := io.ReadAll(l); err == nil {
		t.Error("a length of five bytes passes")
	}
	if _, err := l.Read(make([]byte, 1)); err == nil {
		t.Error("reading goes on after a fault")
	}
}

func TestMessagesThatAreNotUnderstood(t *testing.T) {
	s := newServer(nil, prefix, nil, zerolog.Nop())
	good := `{"specversion":"1.0","type":"io.robowarden.attestation.hello.v1","source":"robowarden:` + robot + `","data":{"manufacturer":"unitree","serialNumber":"g1-0007"}}`
	topic := prefix + "/v1/" + robot + "/attestation/hello"
	if r, kind, _, err := s.parse(message{topic, []byte(good)}); err != nil || r != robot || kind != topicHello {
		t.Fatal(r, kind, err)
	}
	for name, m := range map[string]message{
		"another prefix":     {"x/v1/" + robot + "/attestation/hello", []byte(good)},
		"another version":    {prefix + "/v2/" + robot + "/attestation/hello", []byte(good)},
		"a level too many":   {topic + "/x", []byte(good)},
		"another topic":      {prefix + "/v1/" + robot + "/state/hello", []byte(good)},
		"no robot":           {prefix + "/v1/a b/c/attestation/hello", []byte(good)},
		"another robot":      {prefix + "/v1/unitree/g1-0008/attestation/hello", []byte(good)},
		"another type":       {topic, []byte(strings.Replace(good, "hello.v1", "evidence.v1", 1))},
		"another source":     {topic, []byte(strings.Replace(good, "robowarden:unitree/g1-0007", "robowarden:unitree/g1-0008", 1))},
		"another serial":     {topic, []byte(strings.Replace(good, `"g1-0007"`, `"g1-0008"`, 1))},
		"another CloudEvent": {topic, []byte(strings.Replace(good, `"1.0"`, `"0.3"`, 1))},
		"no JSON":            {topic, []byte("hello")},
		"nothing":            {topic, nil},
	} {
		if _, _, _, err := s.parse(m); err == nil {
			t.Errorf("%s: understood", name)
		}
		if _, _, answer := s.handle(m); answer != nil {
			t.Errorf("%s: answered", name)
		}
	}
}

func FuzzMessage(f *testing.F) {
	s := newServer(nil, prefix, nil, zerolog.Nop())
	f.Add(prefix+"/v1/"+robot+"/attestation/evidence", []byte(`{"specversion":"1.0","data":{"evidence":"AA==","session":"00"}}`))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		robot, _, _, err := s.parse(message{topic, payload})
		if err == nil && !order.IsRobotID(robot) {
			t.Errorf("robot %q", robot)
		}
	})
}

func TestCommandsUsedWrongly(t *testing.T) {
	dir := t.TempDir()
	soft := &evidence.Identity{Robot: robot, Tier: order.TierSoftwareKey, Key: must(order.GenerateKey(order.ECDSAP256))(t).Public()}
	identity := write(t, dir, "soft.json", must(soft.MarshalJSON())(t), 0o600)
	values := "name: soft\ntier: software-key\nagent: {allowed: [\"" + sum("agent") + "\"]}\n"
	const anything = ": {any: true, why: a test}\n"
	values += "policy" + anything + "profile" + anything + "topics" + anything + "kernel" + anything
	file := write(t, dir, "soft.yaml", []byte(values), 0o600)
	bad := write(t, dir, "bad.yaml", []byte(strings.Replace(values, "name", "names", 1)), 0o600)
	state := filepath.Join(dir, "state")
	if out, err := station(t.Context(), NewVerifier(), "enrol", identity, "--references", file, "--state-dir", state); err != nil || !strings.Contains(out, "NO TPM") {
		t.Fatal(out, err)
	}
	junk := write(t, dir, "junk", []byte("junk"), 0o600)
	open := write(t, dir, "open.key", nil, 0o644)
	for _, x := range []struct {
		name string
		args string
		code int
		want string
	}{
		{"enrol twice", "verifier enrol " + identity + " --references soft --state-dir " + state, answer.No, "enrolled already"},
		{"enrol without values", "verifier enrol " + identity + " --state-dir " + state, answer.Misused, "--references"},
		{"enrol without a folder", "verifier enrol " + identity + " --references soft", answer.Misused, "--state-dir"},
		{"enrol with unknown values", "verifier enrol " + identity + " --references nobody --state-dir " + state, answer.No, "no reference values of that name"},
		{"enrol nothing", "verifier enrol --state-dir " + state, answer.Misused, "arg"},
		{"enrol junk", "verifier enrol " + junk + " --references soft --state-dir " + state, answer.No, "identity"},
		{"bad values", "verifier reference " + bad + " --state-dir " + state, answer.No, "names"},
		{"serve without a key", "verifier --state-dir " + state, answer.Misused, "--key"},
		{"serve without TLS", "verifier --state-dir " + state + " --key k --broker tcp://127.0.0.1:1883 --prefix p --ca c --certificate c --certificate-key c", answer.Misused, "tls://"},
		{"serve with a key that others can read", "verifier --state-dir " + state + " --key " + open + " --broker tls://127.0.0.1:1 --prefix p --ca c --certificate c --certificate-key c", answer.No, "0644"},
		{"verify nothing", "verify", answer.Misused, "arg"},
		{"verify by nothing", "verify " + junk, answer.Misused, "--state-dir"},
		{"verify by both", "verify " + junk + " --state-dir " + state + " --identity " + identity + " --references " + file, answer.Misused, "either"},
		{"verify in another language", "verify " + junk + " --state-dir " + state + " --output xml", answer.Misused, "xml"},
		{"verify junk", "verify " + junk + " --state-dir " + state, answer.No, ""},
		{"verify a file that is not there", "verify " + junk + "2 --state-dir " + state, answer.No, "no such file"},
		{"an unknown flag", "verify --fast", answer.Misused, "fast"},
	} {
		args := strings.Fields(x.args)
		cmd := NewVerify()
		if args[0] == "verifier" {
			cmd = NewVerifier()
		}
		_, err := station(t.Context(), cmd, args[1:]...)
		code := answer.No
		var coded interface{ ExitCode() int }
		if errors.As(err, &coded) {
			code = coded.ExitCode()
		}
		if err == nil || code != x.code || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: ends with %d, %v; want %d, %q", x.name, code, err, x.code, x.want)
		}
	}
}

// TestVerifyFromFiles judges a software key's evidence from files, also out of the message that carried it.
func TestVerifyFromFiles(t *testing.T) {
	dir := t.TempDir()
	key := must(order.GenerateKey(order.ECDSAP256))(t)
	soft := &evidence.Identity{Robot: robot, Tier: order.TierSoftwareKey, Key: key.Public()}
	identity := write(t, dir, "soft.json", must(soft.MarshalJSON())(t), 0o600)
	anything := `{any: true, why: "a test"}`
	values := write(t, dir, "soft.yaml", fmt.Appendf(nil, "name: soft\ntier: software-key\nagent: {allowed: [%q]}\npolicy: %[2]s\nprofile: %[2]s\ntopics: %[2]s\nkernel: %[2]s\n",
		sum("agent"), anything), 0o600)
	claims := &evidence.Claims{
		Robot: robot, BootID: bootID, GuardNonce: guardNonce, Tier: order.TierSoftwareKey, Agent: evidence.Measured{SHA256: sum("agent")},
		Kernel: "6.1.0", Journal: evidence.Head{Digest: sum("journal")},
	}
	message := must(evidence.Build(claims, nil, key, nil))(t)
	question := &order.Challenge{Session: order.NewID(), Robot: robot, BootID: bootID, Nonce: strings.Repeat("00", 32), NotAfter: must(parseTime("2026-11-22T12:00:00Z"))(t)}
	asked := write(t, dir, "challenge.json", must(question.Encode())(t), 0o600)
	for name, content := range map[string][]byte{
		"evidence.cose": message,
		"message.json":  fmt.Appendf(nil, `{"data":{"evidence":%q}}`, base64Of(message)),
	} {
		file := write(t, dir, name, content, 0o600)
		out, err := station(t.Context(), NewVerify(), file, "--identity", identity, "--references", values)
		if err != nil || !strings.Contains(out, "NO TPM") || !strings.Contains(out, "not checked    freshness") || !strings.Contains(out, "ACCEPTED") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if out, err = station(t.Context(), NewVerify(), file, "--identity", identity, "--references", values, "--challenge", asked); err != nil || strings.Contains(out, "freshness") {
			t.Errorf("%s with its challenge: %v\n%s", name, err, out)
		}
	}
	question.Nonce = strings.Repeat("11", 32)
	asked = write(t, dir, "challenge2.json", must(question.Encode())(t), 0o600)
	out, err := station(t.Context(), NewVerify(), filepath.Join(dir, "evidence.cose"), "--identity", identity, "--references", values, "--challenge", asked)
	if err == nil || !strings.Contains(out, "stale-nonce: expected nonce 1111") || !strings.Contains(out, "REFUSED") || !strings.Contains(out, "as it says, self-reported") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "lock")); err == nil {
		t.Error("verify has written something")
	}
}
