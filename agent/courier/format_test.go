package courier

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/configs"
)

var update = flag.Bool("update", false, "write the examples of FORMAT.md anew")

const examplesMark = "## Examples\n"

// schemas compiles the schema of every topic.
func schemas(t testing.TB) map[string]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	dir, err := fs.Sub(configs.FS(), configs.Messages)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	err = fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return err
		}
		id, _ := doc.(map[string]any)["$id"].(string)
		ids[strings.TrimSuffix(name, ".schema.json")] = id
		return c.AddResource(id, doc)
	})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*jsonschema.Schema{}
	for _, topic := range []string{TopicConnection, TopicState, TopicEvent, TopicHello, TopicEvidence, TopicLog, TopicReceipt} {
		s, err := c.Compile(ids[strings.ReplaceAll(topic, "/", "-")])
		if err != nil {
			t.Fatal(err)
		}
		out[topic] = s
	}
	return out
}

// conforms holds a message against the schema of its topic.
func conforms(all map[string]*jsonschema.Schema, topic string, message []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(message))
	if err != nil {
		return err
	}
	return all[topic].Validate(doc)
}

// stillClock stands still.
type stillClock struct{}

func (stillClock) Boot() time.Duration { return 42 * time.Second }
func (stillClock) Civil() (time.Time, string) {
	return time.Date(2026, 11, 22, 12, 30, 0, 250e6, time.UTC), TimeTrusted
}
func (stillClock) After(time.Duration) (<-chan time.Time, func()) { return nil, func() {} }

var exampleBoot = [16]byte{0xb0, 0x07, 0x1d, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}

// exampleDecision is a decision with one trigger, as the guard writes it.
func exampleDecision() []byte {
	b := []byte{2, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0xd0, 0x3f, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1}
	return append(b, 1, 1, 1, 0, 0, 0, 0, 0, 0xca, 0x9a, 0x3b, 0, 0, 0, 0)
}

func exampleRecords(t testing.TB) []json.RawMessage {
	t.Helper()
	var out []json.RawMessage
	at := evidencelog.Origin(evidencelog.Guard, exampleBoot)
	for _, r := range []journal.Record{
		{Seq: 7, Kind: journal.Kind(guard.RecordDecision), Boot: 1500 * time.Millisecond, Payload: exampleDecision()},
		{Seq: 12, Kind: journal.Kind(guard.RecordOrder), Boot: 2500 * time.Millisecond, Payload: []byte(`{"kind":"stop","accepted":true}`)},
	} {
		e := evidencelog.Record{Record: &r, BootID: exampleBoot, Prev: at, Value: evidencelog.Next(at, r.Kind, r.Seq, r.Boot, r.Payload)}
		raw, err := encodeRecord(evidencelog.Guard, &e)
		if err != nil {
			t.Fatal(err)
		}
		at = e.Value
		out = append(out, raw)
	}
	return out
}

// examples are one message of each topic.
func examples(t testing.TB) (topics []string, messages map[string][]byte) {
	t.Helper()
	w := &writer{clock: stillClock{}, robot: testRobot, tier: "software-key", ids: map[string]uint32{}}
	boot := evidencelog.FormatBoot(exampleBoot)
	receipt := contract.Receipt{Digest: strings.Repeat("ab", 32), Kind: "stop", Accepted: true, Applied: true, Text: "the robot stops", Signers: []string{"otto"}}
	raw, _ := json.Marshal(receipt)
	messages = map[string][]byte{}
	for _, m := range []struct {
		topic, id string
		attested  bool
		data      headed
	}{
		{TopicConnection, "5e3a01f07c1b9f2b6f5a1d2c3b4a5968", false, &Connection{ConnectionState: Online}},
		{TopicHello, "0c4f3f9f0d5c4e1f8a7b6c5d4e3f2a1b", false, &Hello{Hello: evidence.Hello{
			BootID: boot, GuardNonce: strings.Repeat("0f", 16), KeyID: "SHA256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg",
			Logs: map[string]string{"measured": strings.Repeat("5a", 32)},
		}}},
		{TopicLog, "11aa22bb33cc44dd55ee66ff77008899", false, &LogMessage{LogPart: evidence.LogPart{
			Name: "measured", SHA256: strings.Repeat("5a", 32), Log: []byte("robowarden-measured 1\n"),
		}}},
		{TopicEvidence, "99aa22bb33cc44dd55ee66ff77008899", false, &EvidenceMessage{Answer: evidence.Answer{
			Session: strings.Repeat("1d", 16), Evidence: []byte{0xd2, 0x84},
		}}},
		{TopicEvent, eventID(evidencelog.Guard, exampleBoot, 7, 12), true, &Event{Log: evidencelog.Guard, BootID: boot, Records: exampleRecords(t)}},
		{TopicState, "a0b1c2d3e4f5061728394a5b6c7d8e9f", true, &State{
			Attestation: Attested, Until: "2026-11-22T13:30:00.000Z", Enforcement: "enforcing",
			Oldest: []Oldest{{evidencelog.Guard, boot, 12}}, Guard: json.RawMessage(`{"mode":"normal","advisory":false}`),
		}},
		{TopicReceipt, "b0b1c2d3e4f5061728394a5b6c7d8e9f", true, &ReceiptMessage{
			BootID: boot, Receipt: raw, Outcome: receipt, KeyID: "SHA256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg", Signature: []byte{0x30, 0x44},
		}},
	} {
		out, err := w.write(m.topic, m.id, m.attested, m.data)
		if err != nil {
			t.Fatal(err)
		}
		topics, messages[m.topic] = append(topics, m.topic), out
	}
	return topics, messages
}

func TestExamplesOfTheFormat(t *testing.T) {
	topics, messages := examples(t)
	all := schemas(t)
	var b strings.Builder
	for _, topic := range topics {
		if err := conforms(all, topic, messages[topic]); err != nil {
			t.Errorf("%s: %v\n%s", topic, err, messages[topic])
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, messages[topic], "", "  "); err != nil {
			t.Fatal(err)
		}
		b.WriteString("\n### `" + topic + "`\n\n```json\n" + pretty.String() + "\n```\n")
	}
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	before, found, ok := strings.Cut(string(text), examplesMark)
	if !ok {
		t.Fatalf("FORMAT.md has no %q", examplesMark)
	}
	if *update {
		if err := os.WriteFile("FORMAT.md", []byte(before+examplesMark+b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(b.String(), found); d != "" {
		t.Errorf("FORMAT.md differs; run with -update and read it: %s", d)
	}
}

// TestSchemasRefuse shows that the schemas can fail.
func TestSchemasRefuse(t *testing.T) {
	_, messages := examples(t)
	all := schemas(t)
	for _, c := range []struct{ topic, from, to string }{
		{TopicConnection, `"ONLINE"`, `"online"`},
		{TopicConnection, `"specversion":"1.0"`, `"specversion":"1.1"`},
		{TopicConnection, `"attested":false,`, ``},
		{TopicConnection, `"connectionState"`, `"more":1,"connectionState"`},
		{TopicEvent, `"seq":7`, `"seq":0`},
		{TopicEvent, `"log":"guard"`, `"log":"other"`},
		{TopicState, `"attestation":"attested"`, `"attestation":"fine"`},
		{TopicState, `"timetrust":"trusted"`, `"timetrust":"yes"`},
		{TopicHello, `"guardNonce":"0f`, `"guardNonce":"0g`},
		{TopicEvidence, `"evidence":"0oQ="`, `"evidence":"0oQ"`},
		{TopicLog, `"name":"measured"`, `"name":"../measured"`},
		{TopicReceipt, `"accepted":true,`, ``},
	} {
		changed := strings.Replace(string(messages[c.topic]), c.from, c.to, 1)
		if changed == string(messages[c.topic]) {
			t.Errorf("%s: %s is not in the example", c.topic, c.from)
		} else if conforms(all, c.topic, []byte(changed)) == nil {
			t.Errorf("%s: %s was taken", c.topic, c.to)
		}
	}
}

// TestFormatNamesEverything holds the tables of FORMAT.md against the code.
func TestFormatNamesEverything(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	names := append(down(true, false), ReasonIdentity, TopicConnection, TopicState, TopicEvent, TopicHello, TopicEvidence, TopicLog, TopicReceipt,
		Unattested, Attesting, Attested, Expired, Failed,
		ReasonDNS, ReasonRefused, ReasonUnreachable, ReasonTimeout, ReasonBrokerExpired, ReasonBrokerUnknown, ReasonBrokerName, ReasonOwnExpired,
		ReasonOwnRefused, ReasonOwnUnusable, ReasonTLS, ReasonNotAuthorised, ReasonProtocol, ReasonSilent, ReasonClosed, ReasonEnded)
	for _, n := range names {
		if !strings.Contains(string(text), n) {
			t.Errorf("FORMAT.md does not name %q", n)
		}
	}
	for kind, name := range courierKinds {
		if !strings.Contains(string(text), "| "+itoa(int(kind))+" | "+name+" |") {
			t.Errorf("FORMAT.md has no row for kind %d, %s", kind, name)
		}
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }
