package evidence_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

const (
	robot      = "unitree/g1-0007"
	bootID     = "5f0c3a52-9a3e-4f0e-8f1b-1d2c3b4a5968"
	guardNonce = "000102030405060708090a0b0c0d0e0f"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sum(s string) string {
	d := sha256.Sum256([]byte(s))
	return hex.EncodeToString(d[:])
}

func sample() *evidence.Claims {
	return &evidence.Claims{
		Nonce: [evidence.NonceBytes]byte{1, 2, 3}, Robot: robot, BootID: bootID, GuardNonce: guardNonce, Tier: order.TierTPM,
		Agent:  evidence.Measured{SHA256: sum("agent"), Label: evidence.PCRBacked},
		Policy: evidence.Measured{SHA256: sum("policy")}, Profile: evidence.Measured{SHA256: sum("profile")},
		Kernel: "6.1.0-28-arm64", Journal: evidence.Head{Seq: 712, Digest: sum("journal")},
		Logs:   []evidence.Log{{Name: evidence.LogFirmware, SHA256: sum("firmware log")}, {Name: evidence.LogMeasured, SHA256: sum("measured log")}},
		Config: evidence.Measured{SHA256: sum("config"), Label: evidence.PCRBacked}, CommandLine: evidence.Measured{SHA256: sum("quiet")},
		Artifacts: []evidence.Artifact{{Name: "arm", SHA256: sum("arm"), SVN: 3}, {Name: "grasp", SHA256: sum("grasp")}}, Debug: []string{"ptrace", "serial-console"}, Recovery: true,
	}
}

// software is what a robot without a TPM says.
func software() *evidence.Claims {
	c := sample()
	c.Tier, c.Agent.Label, c.Logs = order.TierSoftwareKey, evidence.SelfReported, nil
	c.Config, c.CommandLine, c.Artifacts, c.Debug, c.Recovery = evidence.Measured{}, evidence.Measured{}, nil, nil, false
	return c
}

// quoteOf is what a quoter gives; attest/tpm's tests and the verifier's have real ones.
func quoteOf(data []byte, pcrs []int) (evidence.Quote, error) {
	q := evidence.Quote{Attest: append([]byte("attest"), data...), Signature: []byte("signature"), PCRs: map[int][32]byte{}}
	for _, n := range pcrs {
		q.PCRs[n] = sha256.Sum256([]byte{byte(n)})
	}
	return q, nil
}

func build(t testing.TB, c *evidence.Claims, key crypto.Signer) []byte {
	t.Helper()
	message, err := evidence.Build(c, []int{0, 4, 14}, key, quoteOf)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func TestBuildAndParse(t *testing.T) {
	key := newKey(t)
	for _, claims := range []*evidence.Claims{sample(), software()} {
		t.Run(string(claims.Tier), func(t *testing.T) {
			message := build(t, claims, key)
			e, err := evidence.Parse(message)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*claims, e.Claims, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if err := e.Verify(key.Public()); err != nil {
				t.Error(err)
			}
			if err := e.Verify(newKey(t).Public()); err == nil {
				t.Error("evidence verifies with any key")
			}
			if e.SHA256 != sum(string(message)) {
				t.Errorf("digest is %s", e.SHA256)
			}
			if (e.Quote != nil) != (claims.Tier == order.TierTPM) {
				t.Fatalf("tier %s has quote %v", claims.Tier, e.Quote)
			}
			if e.Quote == nil {
				return
			}
			want := e.QualifyingData(claims.Nonce)
			if !bytes.Equal(e.Quote.Attest, append([]byte("attest"), want[:]...)) || len(e.Quote.PCRs) != 3 {
				t.Errorf("quoted %x over PCRs %v", e.Quote.Attest, e.Quote.PCRs)
			}
			t.Logf("%d bytes", len(message))
		})
	}
}

// TestQualifyingDataIsWhatFormatSays computes the binding with other means.
func TestQualifyingDataIsWhatFormatSays(t *testing.T) {
	nonce := [evidence.NonceBytes]byte{9}
	claims := sha256.Sum256([]byte("claims"))
	want := sha256.Sum256(fmt.Appendf(nil, "robowarden/evidence/v1\x00%s%s", nonce[:], claims[:]))
	if got := evidence.QualifyingData(nonce, []byte("claims")); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestWhatIsNotBuilt(t *testing.T) {
	key := newKey(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, err := order.GenerateKey(order.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no TPM")
	for name, try := range map[string]func() ([]byte, error){
		"a TPM's claims without a TPM": func() ([]byte, error) { return evidence.Build(sample(), []int{0}, key, nil) },
		"a failing TPM": func() ([]byte, error) {
			return evidence.Build(sample(), []int{0}, key, func([]byte, []int) (evidence.Quote, error) { return evidence.Quote{}, broken })
		},
		"an empty quote": func() ([]byte, error) {
			return evidence.Build(sample(), []int{0}, key, func([]byte, []int) (evidence.Quote, error) { return evidence.Quote{}, nil })
		},
		"a key on P-384": func() ([]byte, error) { return evidence.Build(software(), nil, p384, nil) },
		"an Ed25519 key": func() ([]byte, error) { return evidence.Build(software(), nil, ed, nil) },
		"claims of no robot": func() ([]byte, error) {
			c := software()
			c.Robot = "g1"
			return evidence.Build(c, nil, key, nil)
		},
	} {
		if out, err := try(); err == nil || out != nil {
			t.Errorf("%s: built %d bytes", name, len(out))
		}
	}
}

func TestClaimsThatAreNone(t *testing.T) {
	for name, change := range map[string]func(*evidence.Claims){
		"robot":                      func(c *evidence.Claims) { c.Robot = "a/b/c" },
		"boot id in capitals":        func(c *evidence.Claims) { c.BootID = strings.ToUpper(bootID) },
		"boot id without dashes":     func(c *evidence.Claims) { c.BootID = strings.ReplaceAll(bootID, "-", "") },
		"guard's nonce short":        func(c *evidence.Claims) { c.GuardNonce = "00" },
		"tier":                       func(c *evidence.Claims) { c.Tier = "hsm" },
		"agent short":                func(c *evidence.Claims) { c.Agent.SHA256 = "ab" },
		"agent in capitals":          func(c *evidence.Claims) { c.Agent.SHA256 = strings.ToUpper(sum("agent")) },
		"unknown agent backed":       func(c *evidence.Claims) { c.Agent.SHA256 = "" },
		"backed without a TPM":       func(c *evidence.Claims) { c.Tier = order.TierSoftwareKey },
		"label unknown":              func(c *evidence.Claims) { c.Policy.Label = 2 },
		"kernel empty":               func(c *evidence.Claims) { c.Kernel = "" },
		"kernel with terminal codes": func(c *evidence.Claims) { c.Kernel = "6.1\x1b[2J" },
		"kernel too long":            func(c *evidence.Claims) { c.Kernel = strings.Repeat("x", evidence.MaxKernel+1) },
		"journal sequence":           func(c *evidence.Claims) { c.Journal.Seq = order.MaxSequence + 1 },
		"journal digest":             func(c *evidence.Claims) { c.Journal.Digest = "" },
		"logs unsorted":              func(c *evidence.Claims) { c.Logs[0], c.Logs[1] = c.Logs[1], c.Logs[0] },
		"log twice":                  func(c *evidence.Claims) { c.Logs[1].Name = c.Logs[0].Name },
		"log name":                   func(c *evidence.Claims) { c.Logs[0].Name = "../x" },
		"log digest":                 func(c *evidence.Claims) { c.Logs[0].SHA256 = "" },
		"too many logs":              func(c *evidence.Claims) { c.Logs = make([]evidence.Log, evidence.MaxLogs+1) },
	} {
		c := sample()
		change(c)
		if _, err := c.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

// drawClaims draws any claims that are well-formed.
func drawClaims(t *rapid.T) *evidence.Claims {
	hex64 := rapid.StringMatching(`[0-9a-f]{64}`)
	c := &evidence.Claims{
		Robot:      rapid.StringMatching(`[A-Za-z0-9_.:-]{1,64}/[A-Za-z0-9_.:-]{1,64}`).Draw(t, "robot"),
		BootID:     rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`).Draw(t, "boot"),
		GuardNonce: rapid.StringMatching(`([0-9a-f]{2}){16,32}`).Draw(t, "guard's nonce"),
		Tier:       rapid.SampledFrom([]order.Tier{order.TierTPM, order.TierSoftwareKey}).Draw(t, "tier"),
		Kernel:     rapid.StringMatching(`[ -~é]{1,100}`).Draw(t, "kernel"),
		Journal:    evidence.Head{Seq: rapid.Uint64Max(order.MaxSequence).Draw(t, "seq"), Digest: hex64.Draw(t, "head")},
	}
	copy(c.Nonce[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "nonce"))
	for _, m := range []*evidence.Measured{&c.Agent, &c.Policy, &c.Profile, &c.Topics} {
		if rapid.Bool().Draw(t, "known") {
			m.SHA256 = hex64.Draw(t, "digest")
			if c.Tier == order.TierTPM && rapid.Bool().Draw(t, "backed") {
				m.Label = evidence.PCRBacked
			}
		}
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9._-]{1,64}`), 0, evidence.MaxLogs, rapid.ID[string]).Draw(t, "logs") {
		c.Logs = append(c.Logs, evidence.Log{Name: name, SHA256: hex64.Draw(t, "log")})
	}
	evidence.SortLogs(c.Logs)
	for _, m := range []*evidence.Measured{&c.Config, &c.CommandLine} {
		if rapid.Bool().Draw(t, "left out") {
			*m = evidence.Measured{SHA256: hex64.Draw(t, "digest")}
		}
	}
	names := rapid.StringMatching(`[a-z0-9._-]{1,64}`)
	for _, name := range rapid.SliceOfNDistinct(names, 0, evidence.MaxArtifacts, rapid.ID[string]).Draw(t, "artifacts") {
		c.Artifacts = append(c.Artifacts, evidence.Artifact{Name: name, SHA256: hex64.Draw(t, "content"), SVN: rapid.Uint64Max(order.MaxSequence).Draw(t, "svn")})
	}
	evidence.SortArtifacts(c.Artifacts)
	c.Recovery = rapid.Bool().Draw(t, "recovery")
	if rapid.Bool().Draw(t, "debug") {
		c.Debug = slices.Sorted(slices.Values(rapid.SliceOfNDistinct(names, 0, evidence.MaxDebug, rapid.ID[string]).Draw(t, "interfaces")))
		if c.Debug == nil {
			c.Debug = []string{}
		}
	}
	return c
}

func TestAnyClaimsSurviveEncoding(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := drawClaims(rt)
		data, err := c.Encode()
		if err != nil {
			rt.Fatal(err)
		}
		back, err := evidence.DecodeClaims(data)
		if err != nil {
			rt.Fatalf("%v\n%x", err, data)
		}
		if diff := cmp.Diff(c, back, cmpopts.EquateEmpty()); diff != "" || (c.Debug == nil) != (back.Debug == nil) {
			rt.Fatal(diff)
		}
	})
}

// TestNoChangedMessageVerifies edits a message at random: whatever still parses and verifies is the message.
func TestNoChangedMessageVerifies(t *testing.T) {
	key := newKey(t)
	good := build(t, sample(), key)
	rapid.Check(t, func(rt *rapid.T) {
		bad := bytes.Clone(good)
		i := rapid.IntRange(0, len(bad)-1).Draw(rt, "at")
		switch rapid.IntRange(0, 2).Draw(rt, "how") {
		case 0:
			bad[i] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		case 1:
			bad = append(bad[:i], bad[i+1:]...)
		case 2:
			bad = append(bad[:i], append([]byte{rapid.Byte().Draw(rt, "byte")}, bad[i:]...)...)
		}
		if bytes.Equal(bad, good) {
			return
		}
		if e, err := evidence.Parse(bad); err == nil && e.Verify(key.Public()) == nil {
			rt.Fatalf("a changed message verifies: %x", bad)
		}
	})
}

// TestTheDocumentedTables compares FORMAT.md with the bytes.
func TestTheDocumentedTables(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	data, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	var claims map[int]cbor.RawMessage
	if err := cbor.Unmarshal(data, &claims); err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (-?\d+) \| ([a-z_' ]+) \| .* \|(.*)\|$`).FindAllStringSubmatch(string(text), -1)
	if len(rows) != len(claims) {
		t.Errorf("FORMAT.md explains %d claims, there are %d", len(rows), len(claims))
	}
	for _, row := range rows {
		key, err := strconv.Atoi(row[1])
		if err != nil || claims[key] == nil {
			t.Errorf("FORMAT.md explains claim %s, which there is not", row[1])
		}
	}
	for _, want := range []string{evidence.Profile, evidence.ContentType, "robowarden/evidence/v1", "| 10 | eat_nonce |", "| 265 | eat_profile |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("FORMAT.md does not say %q", want)
		}
	}
	for _, code := range []evidence.Code{
		evidence.OtherRobot, evidence.OtherBoot, evidence.ChallengeExpired, evidence.ChallengeTooLong, evidence.Answered, evidence.TooMany, evidence.NoPCRs,
	} {
		if !strings.Contains(string(text), "`"+string(code)+"`") {
			t.Errorf("FORMAT.md does not explain %s", code)
		}
	}
}

// TestClaimsOfAnotherForm changes the CBOR: there is one way to write claims.
func TestClaimsOfAnotherForm(t *testing.T) {
	data, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	// The map's head in two bytes, an indefinite map, a tag in front, text behind, another order of keys.
	forms := map[string][]byte{
		"a longer head":      append([]byte{0xb8, data[0] & 0x1f}, data[1:]...),
		"an indefinite map":  append(append([]byte{0xbf}, data[1:]...), 0xff),
		"a tag":              append([]byte{0xc1}, data...),
		"text behind":        append(bytes.Clone(data), 0),
		"nothing":            {},
		"an array":           {0x80},
		"an unknown claim":   append(append([]byte{data[0] + 1}, data[1:]...), 0x3a, 0x7f, 0xff, 0xff, 0xff, 0xf6),
		"half of it":         data[:len(data)/2],
		"a claim twice":      append(append([]byte{data[0] + 1}, data[1:]...), data[1:36]...),
		"more than is read":  make([]byte, 5<<10),
		"another EAT's form": {0xa1, 0x0a, 0x41, 0x00},
	}
	for name, form := range forms {
		if _, err := evidence.DecodeClaims(form); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}
