package order_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

// The example keys are public knowledge: test 1 of RFC 8032, section 7.1, and the P-256 key of RFC 6979, A.2.5.
const (
	exampleEd25519 = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
`
	exampleEd25519ID = "SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8"
	exampleSeed      = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
	exampleECDSA     = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7
Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==
-----END PUBLIC KEY-----
`
	exampleECDSAID = "SHA256:hfuNWmjIYvsBGZ6dpCLTTAEa5LxbZABRHHVoynAxFlo"
)

// example is the order that FORMAT.md works through.
func example() *order.Order {
	return &order.Order{
		Kind: order.KindStop, ID: "00112233445566778899aabbccddeeff", Audience: []string{"unitree/g1-0007", "group:ward-3"},
		NotBefore: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), NotAfter: time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC),
		Reason: "water on the floor", Stop: &order.Stop{Category: 2},
	}
}

func format(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// section returns the first fenced block behind a heading of FORMAT.md.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(format(t), "\n"+heading+"\n")
	block := between(rest, "```\n", "```")
	if !ok || block == "" {
		t.Fatalf("FORMAT.md has no block behind %q", heading)
	}
	return block
}

// TestTheWorkedExample makes every byte of the example in FORMAT.md again.
func TestTheWorkedExample(t *testing.T) {
	seed, err := hex.DecodeString(exampleSeed)
	if err != nil {
		t.Fatal(err)
	}
	env, err := order.Sign(example(), ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	if got := section(t, "### The envelope"); got != string(env) {
		t.Errorf("FORMAT.md shows the envelope\n%swe sign\n%s", got, env)
	}
	parsed, err := order.ParseEnvelope(env)
	if err != nil {
		t.Fatal(err)
	}
	if got := section(t, "### The payload"); got != string(parsed.Payload)+"\n" {
		t.Errorf("FORMAT.md shows the payload\n%swe sign\n%s", got, parsed.Payload)
	}
	if got := section(t, "### The text that is signed"); got != string(parsed.PAE())+"\n" {
		t.Errorf("FORMAT.md shows the signed text\n%swe sign\n%s", got, parsed.PAE())
	}
	if got := section(t, "### The key"); got != exampleEd25519 || !strings.Contains(format(t), exampleEd25519ID) {
		t.Errorf("FORMAT.md shows another key: %s", got)
	}
	f := order.NewFloors()
	for _, c := range exampleClaims() {
		if err := f.Use(at(noon), c); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := section(t, "## The record of used orders"), string(f.Marshal(3)); got != want {
		t.Errorf("FORMAT.md shows the record\n%swe write\n%s", got, want)
	}
}

// exampleClaims are what the record in FORMAT.md has used up.
func exampleClaims() []order.Claim {
	return []order.Claim{
		{Kind: order.KindPolicySet, Sequence: 17, Digest: sha256.Sum256([]byte("the payload of revision 17"))},
		{Kind: order.KindReset, ID: "ffeeddccbbaa99887766554433221100", Until: noon.Add(time.Hour)},
		{Kind: order.KindStop, ID: example().ID},
	}
}

// TestTheDocumentedCommandsVerifyTheExample runs the commands of FORMAT.md as they stand there.
func TestTheDocumentedCommandsVerifyTheExample(t *testing.T) {
	tool(t, "openssl")
	tool(t, "python3")
	dir := t.TempDir()
	write(t, dir, "order.dsse", []byte(section(t, "### The envelope")))
	write(t, dir, "key.pem", []byte(section(t, "### The key")))
	script := section(t, "### Checking it by hand")
	out, err := run(t, dir, "/bin/sh", "-ec", script)
	if err != nil || !strings.Contains(out, "Signature Verified Successfully") {
		t.Errorf("the commands say %q (%v)", out, err)
	}
	write(t, dir, "order.dsse", []byte(strings.Replace(section(t, "### The envelope"), "eyJ", "eyI", 1)))
	if out, err := run(t, dir, "/bin/sh", "-ec", script); err == nil {
		t.Errorf("the commands accept a changed order: %s", out)
	}
}

// TestTheDocumentedTables compares the tables of FORMAT.md with the code.
func TestTheDocumentedTables(t *testing.T) {
	doc := format(t)
	for _, kind := range order.Kinds() {
		row := regexp.MustCompile("(?m)^\\| `" + string(kind) + "` \\|.*$").FindString(doc)
		if row == "" {
			t.Errorf("FORMAT.md has no row for %s", kind)
			continue
		}
		cells := strings.Split(row, "|")
		for _, role := range order.Roles() {
			if strings.Contains(cells[2], "`"+string(role)+"`") != role.MaySign(kind) {
				t.Errorf("%s: FORMAT.md and the code disagree whether %s may sign it", kind, role)
			}
		}
		if strings.Contains(cells[3], "sequence") != kind.Sequenced() {
			t.Errorf("%s: FORMAT.md says %q", kind, cells[3])
		}
		if strings.Contains(cells[4], "required") != kind.Bound() {
			t.Errorf("%s: FORMAT.md says %q about the binding", kind, cells[4])
		}
	}
	for _, r := range reasons() {
		if !strings.Contains(doc, "| `"+string(r)+"` |") {
			t.Errorf("FORMAT.md does not explain the reason %s", r)
		}
	}
}

// reasons are all codes that the package exports.
func reasons() []order.Reason {
	return []order.Reason{
		order.Malformed, order.Oversize, order.WrongType, order.UnknownKey, order.BadSignature, order.DemoKey, order.KeyExpired,
		order.WrongRole, order.TooFewSigners, order.WrongAudience, order.BootMismatch, order.NonceMismatch, order.ClockUntrusted,
		order.NotYetValid, order.Expired, order.Replayed, order.SequenceTooOld, order.SequenceTooFar, order.LedgerFull,
		order.StateUnreadable, order.StateUnwritable, order.NoKeyList,
	}
}
