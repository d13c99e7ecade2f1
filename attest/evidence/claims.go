package evidence

import (
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/robowarden/robowarden/attest/order"
)

// Profile is the EAT profile of the claims: who knows it knows what the private claim keys mean.
const Profile = "https://github.com/robowarden/robowarden/attest/evidence/v1"

// Label says what stands behind a claim.
type Label uint8

// The labels.
const (
	// SelfReported means that the claim is the robot's own word: whoever controls the robot can make it say anything.
	SelfReported Label = iota
	// PCRBacked means that the value was extended into a PCR before what it describes was started.
	PCRBacked
)

// String names the label as documents write it.
func (l Label) String() string {
	switch l {
	case SelfReported:
		return "self-reported"
	case PCRBacked:
		return "pcr-backed"
	}
	return fmt.Sprintf("label %d", uint8(l))
}

// The logs that claims name by their digest.
const (
	// LogFirmware is the firmware's event log (TCG crypto-agile).
	LogFirmware = "firmware"
	// LogMeasured is the launch step's log of what it extended before the agent was started.
	LogMeasured = "measured"
)

// Sizes that both sides hold to.
const (
	// NonceBytes is the length of a challenge's nonce.
	NonceBytes = 32
	// MaxKernel is the longest kernel version in bytes.
	MaxKernel = 256
	// MaxLogs is the largest number of logs that claims name.
	MaxLogs = 8
	// MaxArtifacts and MaxDebug are the most artifacts and debug interfaces that claims name.
	MaxArtifacts = 16
	MaxDebug     = 16
	// MaxLog is the largest log in bytes that is sent; one of a server's firmware has about 60 KiB.
	MaxLog = 512 << 10
	// MaxEvidence is the largest evidence in bytes; with a quote of all 24 PCRs it has about 2 KiB.
	MaxEvidence = 16 << 10
	maxClaims   = 4 << 10
)

// Claims are what a robot says about itself in answer to one challenge.
type Claims struct {
	// Nonce is the challenge's.
	Nonce [NonceBytes]byte
	// Robot is the robot's id, "manufacturer/serial".
	Robot string
	// BootID is the kernel's boot id, a lower-case UUID.
	BootID string
	// GuardNonce is what the guard drew when it started, 32 to 64 lower-case hexadecimal digits.
	GuardNonce string
	// Tier says what the evidence rests on.
	Tier order.Tier
	// Agent is the digest of the agent's executable.
	Agent Measured
	// Policy, Profile and Topics are the digests of the documents in force.
	Policy, Profile, Topics Measured
	// Kernel is the kernel's release, printable, at most MaxKernel bytes.
	Kernel string
	// Journal is the head of the guard's journal.
	Journal Head
	// Logs are the logs that explain the PCRs, sorted by name, each once.
	Logs []Log
	// Config is the digest of the deployment document, CommandLine that of the kernel's command line. Both may be left out.
	Config, CommandLine Measured
	// Artifacts are what is active of models and firmware, sorted by name, each once, at most MaxArtifacts. May be left out.
	Artifacts []Artifact
	// Debug are the debug interfaces that are open, sorted, each once, at most MaxDebug. Nil means that nobody has looked,
	// which is left out; empty that none was found.
	Debug []string
	// Recovery says that the robot's recovery signs, since its own key does not: such evidence is never accepted, also by a verifier that does
	// not know the two keys apart. May be left out.
	Recovery bool
}

// Artifact is what is active of one model or firmware.
type Artifact struct {
	// Name is the artifact's, as in releases: 1 to 64 of a-z, 0-9 and "._-".
	Name string
	// SHA256 is the digest of its content as it was measured, 64 lower-case hexadecimal digits.
	SHA256 string
	// SVN is the security version of the release that this content belongs to, 0 if it is not that of the release in force.
	SVN uint64
}

// Measured is a digest and what stands behind it.
type Measured struct {
	// SHA256 is 64 lower-case hexadecimal digits, or "" when the robot does not know.
	SHA256 string
	// Label says what stands behind the digest.
	Label Label
}

// Head is the last record of a journal.
type Head struct {
	// Seq is its sequence, at most [order.MaxSequence].
	Seq uint64
	// Digest is the journal's chain after it, 64 lower-case hexadecimal digits.
	Digest string
}

// Log names one log by its digest.
type Log struct {
	// Name is LogFirmware, LogMeasured, or another name of 1 to 64 of a-z, 0-9 and "._-".
	Name string
	// SHA256 is that of the whole log, 64 lower-case hexadecimal digits.
	SHA256 string
}

// Log returns the digest of the log of a name, or "" when the claims name none.
func (c *Claims) Log(name string) string {
	for _, l := range c.Logs {
		if l.Name == name {
			return l.SHA256
		}
	}
	return ""
}

// Validate checks the form of the claims and gives the first fault.
func (c *Claims) Validate() error {
	switch {
	case !order.IsRobotID(c.Robot):
		return fmt.Errorf("robot: found %q: expected \"manufacturer/serial\"", clip(c.Robot))
	case !isBootID(c.BootID):
		return fmt.Errorf("boot id: found %q: expected a lower-case UUID", clip(c.BootID))
	case !isHex(c.GuardNonce, 32, 64):
		return fmt.Errorf("guard's nonce: found %q: expected 32 to 64 lower-case hexadecimal digits", clip(c.GuardNonce))
	case c.Tier != order.TierTPM && c.Tier != order.TierSoftwareKey:
		return fmt.Errorf("tier: found %q: expected %q or %q", clip(string(c.Tier)), order.TierTPM, order.TierSoftwareKey)
	case !isLine(c.Kernel, MaxKernel):
		return fmt.Errorf("kernel: has %d bytes: expected 1 to %d printable ones", len(c.Kernel), MaxKernel)
	case c.Journal.Seq > order.MaxSequence || !isHex(c.Journal.Digest, 64, 64):
		return fmt.Errorf("journal: found %d, %q: expected at most %d and 64 lower-case hexadecimal digits",
			c.Journal.Seq, clip(c.Journal.Digest), uint64(order.MaxSequence))
	}
	for _, m := range []struct {
		name string
		Measured
	}{{"agent", c.Agent}, {"policy", c.Policy}, {"profile", c.Profile}, {"topics", c.Topics}, {"config", c.Config}, {"command line", c.CommandLine}} {
		if m.SHA256 != "" && !isHex(m.SHA256, 64, 64) {
			return fmt.Errorf("%s: found %q: expected 64 lower-case hexadecimal digits, or nothing", m.name, clip(m.SHA256))
		}
		if m.Label > PCRBacked || (m.Label == PCRBacked && (m.SHA256 == "" || c.Tier != order.TierTPM)) {
			return fmt.Errorf("%s: is labelled %s: only a known digest on a robot with a TPM can be %s", m.name, m.Label, PCRBacked)
		}
	}
	if err := c.checkLists(); err != nil {
		return err
	}
	return checkLogs(c.Logs)
}

// ArtifactsFit reports whether artifacts and debug interfaces have the form that claims demand.
func (c *Claims) ArtifactsFit() bool { return c.checkLists() == nil }

// checkLists checks artifacts and debug interfaces.
func (c *Claims) checkLists() error {
	if len(c.Artifacts) > MaxArtifacts || len(c.Debug) > MaxDebug {
		return fmt.Errorf("has %d artifacts and %d debug interfaces: expected at most %d and %d", len(c.Artifacts), len(c.Debug), MaxArtifacts, MaxDebug)
	}
	for i, a := range c.Artifacts {
		switch {
		case !isName(a.Name) || !isHex(a.SHA256, 64, 64) || a.SVN > order.MaxSequence:
			return fmt.Errorf("artifacts[%d]: found %q, %q, %d: expected 1 to 64 of a-z, 0-9 and \"._-\", 64 lower-case hexadecimal digits, at most %d",
				i, clip(a.Name), clip(a.SHA256), a.SVN, uint64(order.MaxSequence))
		case i > 0 && a.Name <= c.Artifacts[i-1].Name:
			return fmt.Errorf("artifacts[%d]: %q does not follow %q: expected names sorted, each once", i, a.Name, c.Artifacts[i-1].Name)
		}
	}
	for i, d := range c.Debug {
		if !isName(d) || (i > 0 && d <= c.Debug[i-1]) {
			return fmt.Errorf("debug[%d]: found %q: expected 1 to 64 of a-z, 0-9 and \"._-\", sorted, each once", i, clip(d))
		}
	}
	return nil
}

func checkLogs(logs []Log) error {
	if len(logs) > MaxLogs {
		return fmt.Errorf("logs: has %d entries: expected at most %d", len(logs), MaxLogs)
	}
	for i, l := range logs {
		if !isName(l.Name) || !isHex(l.SHA256, 64, 64) {
			return fmt.Errorf("logs[%d]: found %q, %q: expected 1 to 64 of a-z, 0-9 and \"._-\", and 64 lower-case hexadecimal digits",
				i, clip(l.Name), clip(l.SHA256))
		}
		if i > 0 && l.Name <= logs[i-1].Name {
			return fmt.Errorf("logs[%d]: %q does not follow %q: expected names sorted, each once", i, l.Name, logs[i-1].Name)
		}
	}
	return nil
}

// SortLogs puts logs into the order that claims demand.
func SortLogs(logs []Log) {
	// sort.Slice sorts all types by the same code; slices.SortFunc is 9 KB more of the robot's program for each.
	sort.Slice(logs, func(i, j int) bool { return logs[i].Name < logs[j].Name })
}

// SortArtifacts puts artifacts into the order that claims demand.
func SortArtifacts(artifacts []Artifact) {
	sort.Slice(artifacts, func(i, j int) bool { return artifacts[i].Name < artifacts[j].Name }) // As above.
}

// Digest turns "sha256:" and hexadecimal digits, as the guard's welcome writes digests, into what claims hold; the
// empty text stays empty.
func Digest(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	d, ok := strings.CutPrefix(s, "sha256:")
	if !ok || !isHex(d, 64, 64) {
		return "", fmt.Errorf("found %q: expected \"sha256:\" and 64 lower-case hexadecimal digits", clip(s))
	}
	return d, nil
}

// isHex reports whether s is from shortest to longest lower-case hexadecimal digits, an even number of them.
func isHex(s string, shortest, longest int) bool {
	if len(s) < shortest || len(s) > longest || s != strings.ToLower(s) {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}

// isBootID reports whether s has the form of a lower-case UUID.
func isBootID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	return isHex(strings.ReplaceAll(s, "-", ""), 32, 32)
}

// isName reports whether s is 1 to 64 of a-z, 0-9 and "._-".
func isName(s string) bool {
	return s != "" && len(s) <= 64 &&
		!strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) })
}

// isLine reports whether s is one printable line: tools show it on terminals.
func isLine(s string, longest int) bool {
	return s != "" && len(s) <= longest && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// clip shortens foreign text for an error message.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
