package order

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// Bounds of a release.
const (
	// MaxArtifacts is the largest number of artifacts in one release.
	MaxArtifacts = 16
	// MaxFallbacks is the largest number of older digests that one artifact may still have.
	MaxFallbacks = 8
	// MaxCriteria is the largest number of health criteria.
	MaxCriteria = 16
	// MaxSettleS is the longest time in seconds that a release may take to prove itself, MaxWindowS the longest in which it
	// may do so.
	MaxSettleS = 7 * 24 * 3600
	MaxWindowS = 4 * MaxSettleS
	// maxProfiles is the largest number of robot profiles that a release fits.
	maxProfiles = 16
)

// Release is one state that everything beside the policy shall have: which artifacts, with which content. Its order's
// audience says for which robots and groups it is, and its sequence that it is newer than the one before.
type Release struct {
	// Version names the release for people, 1 to 64 of A-Z, a-z, 0-9 and "._+-". It orders nothing.
	Version string
	// SVN is the security version: it rises when an older one must not run any more. RollbackFloor is the least SVN to
	// which a robot may go back once this release has proven itself, at most SVN.
	SVN, RollbackFloor uint64
	// Profiles are the SHA-256 digests of the robot profiles that the release fits; empty means any.
	Profiles []string
	// SettleS is how long in seconds the robot must be healthy before the release counts as good, 1 to [MaxSettleS], and
	// Criteria name what healthy means, each 1 to 64 of a-z, 0-9 and "._-".
	SettleS  int
	Criteria []string
	// WindowS is for how long in seconds the robot is observed at most, SettleS to [MaxWindowS]; 0 means four times SettleS.
	WindowS int
	// AtEnd is what becomes of it when the window ends without proof.
	AtEnd AtEnd
	// RampPercent is the share of the robots of the audience that may install it, 1 to 100; see [Release.Ramp].
	RampPercent int
	// Artifacts are what the release consists of, each name once, sorted by name.
	Artifacts []Artifact
}

// Artifact is one part of a release.
type Artifact struct {
	// Name is the artifact's, the same from release to release: 1 to 64 of a-z, 0-9 and "._-".
	Name string
	// Version is for people, as a release's.
	Version string
	// SHA256 is the digest of its files in hexadecimal digits: the SHA-256 of what sha256sum prints for them, sorted by path.
	SHA256 string
	// Size is the sum of its files in bytes, Files their number.
	Size  uint64
	Files int
	// Fallbacks are digests of older content that still counts, so that a robot can go back to it. What is not listed any
	// more counts no longer.
	Fallbacks []string
}

// Find returns the artifact with a name, or nil.
func (r *Release) Find(name string) *Artifact {
	if r == nil {
		return nil
	}
	for i := range r.Artifacts {
		if r.Artifacts[i].Name == name {
			return &r.Artifacts[i]
		}
	}
	return nil
}

// Counts says whether content with this digest is the artifact, or one that it may still be.
func (a *Artifact) Counts(digest string) bool {
	return a != nil && (a.SHA256 == digest || slices.Contains(a.Fallbacks, digest))
}

func (r *Release) check() error {
	switch {
	case !isWord(r.Version, "._+-"):
		return fmt.Errorf("body.version: found %q: expected 1 to 64 letters, digits or \"._+-\"", clip(r.Version))
	case r.SVN > MaxSequence:
		return fmt.Errorf("body.svn: found %d: expected at most %d", r.SVN, uint64(MaxSequence))
	case r.RollbackFloor > r.SVN:
		return fmt.Errorf("body.rollback_floor: found %d: expected at most the release's own svn %d", r.RollbackFloor, r.SVN)
	case r.SettleS < 1 || r.SettleS > MaxSettleS:
		return fmt.Errorf("body.health.settle_s: found %d: expected 1 to %d", r.SettleS, MaxSettleS)
	case len(r.Artifacts) == 0 || len(r.Artifacts) > MaxArtifacts:
		return fmt.Errorf("body.artifacts: has %d entries: expected 1 to %d", len(r.Artifacts), MaxArtifacts)
	}
	switch {
	case r.WindowS != 0 && (r.WindowS < r.SettleS || r.WindowS > MaxWindowS):
		return fmt.Errorf("body.health.window_s: found %d: expected settle_s, %d, to %d", r.WindowS, r.SettleS, MaxWindowS)
	case r.AtEnd != "" && r.AtEnd != AtEndRollBack && r.AtEnd != AtEndHold:
		return fmt.Errorf("body.health.at_end: found %q: expected %q or %q", clip(string(r.AtEnd)), AtEndRollBack, AtEndHold)
	case r.RampPercent < 0 || r.RampPercent > 100:
		return fmt.Errorf("body.ramp_percent: found %d: expected 1 to 100", r.RampPercent)
	}
	if err := checkList("body.profiles", r.Profiles, maxProfiles, isSHA256, "64 lower-case hexadecimal digits"); err != nil {
		return err
	}
	if err := checkList("body.health.criteria", r.Criteria, MaxCriteria, isCode, "1 to 64 of a-z, 0-9 and \"._-\""); err != nil {
		return err
	}
	for i := range r.Artifacts {
		if err := r.Artifacts[i].check(); err != nil {
			return fmt.Errorf("body.artifacts[%d].%w", i, err)
		}
		if i > 0 && r.Artifacts[i].Name <= r.Artifacts[i-1].Name {
			return fmt.Errorf("body.artifacts[%d].name: %q: expected names in rising order, each once", i, r.Artifacts[i].Name)
		}
	}
	return nil
}

func (a *Artifact) check() error {
	switch {
	case !isName(a.Name, "._-") || a.Name[0] == '.':
		return fmt.Errorf("name: found %q: expected 1 to 64 of a-z, 0-9 and \"._-\", no dot first", clip(a.Name))
	case !isWord(a.Version, "._+-"):
		return fmt.Errorf("version: found %q: expected 1 to 64 letters, digits or \"._+-\"", clip(a.Version))
	case !isSHA256(a.SHA256):
		return fmt.Errorf("sha256: found %q: expected 64 lower-case hexadecimal digits", clip(a.SHA256))
	case a.Size > MaxSequence:
		return fmt.Errorf("size_bytes: found %d: expected at most %d", a.Size, uint64(MaxSequence))
	case a.Files < 1 || a.Files > maxArtifactFiles:
		return fmt.Errorf("files: found %d: expected 1 to %d", a.Files, maxArtifactFiles)
	}
	if err := checkList("fallbacks", a.Fallbacks, MaxFallbacks, isSHA256, "64 lower-case hexadecimal digits"); err != nil {
		return err
	}
	if slices.Contains(a.Fallbacks, a.SHA256) {
		return errors.New("fallbacks: names the artifact's own digest")
	}
	return nil
}

// maxArtifactFiles is the largest number of files of one artifact.
const maxArtifactFiles = 50_000

func isSHA256(s string) bool { return isHex(s, 64, 64) }
func isCode(s string) bool   { return isName(s, "._-") }

// checkList checks a list that may be empty and has no entry twice.
func checkList(where string, list []string, most int, ok func(string) bool, want string) error {
	if len(list) > most {
		return fmt.Errorf("%s: has %d entries: expected at most %d", where, len(list), most)
	}
	for i, s := range list {
		if !ok(s) {
			return fmt.Errorf("%s[%d]: found %q: expected %s", where, i, clip(s), want)
		}
		if slices.Contains(list[:i], s) {
			return fmt.Errorf("%s[%d]: %q comes twice", where, i, s)
		}
	}
	return nil
}

func decodeRelease(b *object) *Release {
	r := &Release{Version: b.str("version"), SVN: b.integer("svn"), RollbackFloor: b.integer("rollback_floor")}
	if b.optional("profiles") != nil {
		r.Profiles = b.strs("profiles", maxProfiles)
	}
	if b.optional("ramp_percent") != nil {
		if r.RampPercent = b.small("ramp_percent", 100); r.RampPercent == 0 {
			b.fail("ramp_percent", "is 0: a release that nobody shall install is not sent")
		}
	}
	h := b.object("health")
	r.SettleS, r.Criteria = h.small("settle_s", MaxSettleS), nil
	if h.optional("criteria") != nil {
		r.Criteria = h.strs("criteria", MaxCriteria)
	}
	if h.optional("window_s") != nil {
		if r.WindowS = h.small("window_s", MaxWindowS); r.WindowS == 0 {
			h.fail("window_s", "is 0: leave the key out instead")
		}
	}
	r.AtEnd = AtEnd(h.optStr("at_end"))
	h.done()
	for i, v := range b.array("artifacts", MaxArtifacts) {
		e := asObject(&v, join(b.path, fmt.Sprintf("artifacts[%d]", i)), b.fault)
		a := Artifact{
			Name: e.str("name"), Version: e.str("version"), SHA256: e.str("sha256"), Size: e.integer("size_bytes"), Files: e.small("files", maxArtifactFiles),
		}
		if e.optional("fallbacks") != nil {
			a.Fallbacks = e.strs("fallbacks", MaxFallbacks)
		}
		e.done()
		r.Artifacts = append(r.Artifacts, a)
	}
	return r
}

type wireRelease struct {
	Version       string         `json:"version"`
	SVN           uint64         `json:"svn"`
	RollbackFloor uint64         `json:"rollback_floor"`
	Profiles      []string       `json:"profiles,omitempty"`
	RampPercent   int            `json:"ramp_percent,omitempty"`
	Health        wireHealth     `json:"health"`
	Artifacts     []wireArtifact `json:"artifacts"`
}

type wireHealth struct {
	SettleS  int      `json:"settle_s"`
	Criteria []string `json:"criteria,omitempty"`
	WindowS  int      `json:"window_s,omitempty"`
	AtEnd    AtEnd    `json:"at_end,omitempty"`
}

type wireArtifact struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	SHA256    string   `json:"sha256"`
	Size      uint64   `json:"size_bytes"`
	Files     int      `json:"files"`
	Fallbacks []string `json:"fallbacks,omitempty"`
}

func (r *Release) wire() wireRelease {
	w := wireRelease{
		Version: r.Version, SVN: r.SVN, RollbackFloor: r.RollbackFloor, Profiles: r.Profiles, RampPercent: r.RampPercent,
		Health: wireHealth{SettleS: r.SettleS, Criteria: r.Criteria, WindowS: r.WindowS, AtEnd: r.AtEnd},
	}
	for i := range r.Artifacts {
		w.Artifacts = append(w.Artifacts, wireArtifact(r.Artifacts[i]))
	}
	return w
}

func (r *Release) effects() []string {
	out := []string{fmt.Sprintf("makes release %s the one to run: svn %d, no way back below svn %d", r.Version, r.SVN, r.RollbackFloor)}
	for i := range r.Artifacts {
		a := &r.Artifacts[i]
		s := fmt.Sprintf("artifact %s %s: %d files, %d bytes, sha256:%s", a.Name, a.Version, a.Files, a.Size, a.SHA256)
		if len(a.Fallbacks) > 0 {
			s += fmt.Sprintf(", %d older ones still count", len(a.Fallbacks))
		}
		out = append(out, s)
	}
	if r.RampPercent != 0 {
		out = append(out, fmt.Sprintf("only %d in 100 of these robots may install it; the others wait", r.RampPercent))
	}
	end := "goes back by itself"
	if r.AtEnd == AtEndHold {
		end = "stays unproven until a person decides"
	}
	return append(out, fmt.Sprintf("counts as good after %d s of health %v, within %d s; without proof it %s", r.SettleS, r.Criteria, r.Window(), end))
}

// AtEnd says what becomes of a release that has proven neither health nor sickness when its window ends.
type AtEnd string

// What a release may say of it; nothing said is [AtEndRollBack].
const (
	AtEndRollBack AtEnd = "roll-back"
	AtEndHold     AtEnd = "hold"
)

// Window is for how long in seconds the robot is observed at most.
func (r *Release) Window() int {
	if r.WindowS == 0 {
		return min(4*r.SettleS, MaxWindowS)
	}
	return r.WindowS
}

// Ramp returns the robot's place on the ramp of this release, 0 to 99, and whether it may install it yet. The place is the
// first eight bytes of SHA-256("robowarden-ramp\n" ‖ version ‖ "\n" ‖ robot) modulo 100. So a wider order of the same
// version keeps every robot that had it, and the next version begins with other robots.
func (r *Release) Ramp(robot string) (place int, in bool) {
	sum := sha256.Sum256([]byte("robowarden-ramp\n" + r.Version + "\n" + robot))
	place = int(binary.BigEndian.Uint64(sum[:8]) % 100) //nolint:gosec // below 100
	return place, r.RampPercent == 0 || place < r.RampPercent
}

// Use says what a certificate authority is believed about.
type Use string

// The uses of an authority.
const (
	// UseArtifact means certificates of those who sign artifacts.
	UseArtifact Use = "artifact"
	// UseTimestamp means timestamps (RFC 3161).
	UseTimestamp Use = "timestamp"
)

// Authority is a certificate authority that a key list believes about artifacts. It never speaks for an order.
type Authority struct {
	// Use says about what.
	Use Use
	// PEM is its certificate.
	PEM string
	// Name says whose it is, 1 to 64 of a-z, 0-9 and "._-@".
	Name string
	// Identities are whose certificates count; none means everybody whom it certified. Only use artifact has them.
	Identities []string
}

// Bounds of the authorities of a key list.
const (
	maxAuthorities = 16
	maxIdentities  = 32
	maxIdentity    = 256
)

// Certificate reads the authority's certificate.
func (a *Authority) Certificate() (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(a.PEM))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
		return nil, errors.New("expected one certificate in PEM and nothing behind it")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	if !c.IsCA {
		return nil, errors.New("the certificate is not that of an authority")
	}
	return c, nil
}

func (a *Authority) check() error {
	if a.Use != UseArtifact && a.Use != UseTimestamp {
		return fmt.Errorf("use: found %q: expected %q or %q", clip(string(a.Use)), UseArtifact, UseTimestamp)
	}
	if !isName(a.Name, "._-@") {
		return fmt.Errorf("name: found %q: expected 1 to 64 of a-z, 0-9 and \"._-@\"", clip(a.Name))
	}
	if a.Use == UseTimestamp && len(a.Identities) > 0 {
		return errors.New("identities: only use artifact has them")
	}
	text := func(s string) bool { return len(s) <= maxIdentity && checkReason(s) == nil }
	if err := checkList("identities", a.Identities, maxIdentities, text, "1 to 256 printable characters"); err != nil {
		return err
	}
	if _, err := a.Certificate(); err != nil {
		return fmt.Errorf("pem: %w", err)
	}
	return nil
}

// ParseArtifactKey reads the public key of somebody who signs artifacts: beside the keys of orders ECDSA P-384 and RSA,
// since vendors sign with those. The id is formed as that of other keys.
func ParseArtifactKey(text []byte) (crypto.PublicKey, string, error) {
	if pub, err := ParsePublicKey(text); err == nil {
		id, err := KeyID(pub)
		return pub, id, err
	}
	der, err := onePEM(text, pemPublic)
	if err != nil {
		return nil, "", err
	}
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, "", fmt.Errorf("the PEM block %q holds no public key: %w", pemPublic, err)
	}
	var fields [][]byte
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P384() {
			return nil, "", errors.New("the ECDSA key is on another curve: expected P-256 or P-384")
		}
		point, err := k.Bytes()
		if err != nil {
			return nil, "", err
		}
		fields = [][]byte{[]byte("ecdsa-sha2-nistp384"), []byte("nistp384"), point}
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < 2048 || n > 8192 {
			return nil, "", fmt.Errorf("the RSA key has %d bits: expected 2048 to 8192", n)
		}
		fields = [][]byte{[]byte("ssh-rsa"), mpint(binary.BigEndian.AppendUint64(nil, uint64(k.E))), mpint(k.N.Bytes())} //nolint:gosec // exponents are positive
	default:
		return nil, "", fmt.Errorf("keys of type %T cannot sign artifacts", pub)
	}
	var wire []byte
	for _, f := range fields {
		wire = binary.BigEndian.AppendUint32(wire, uint32(len(f))) //nolint:gosec // Keys are short.
		wire = append(wire, f...)
	}
	sum := sha256.Sum256(wire)
	return pub, "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]), nil
}

// mpint is a positive number as SSH writes it (RFC 4251): shortest, and with a zero in front where the first bit is set.
func mpint(b []byte) []byte {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	if len(b) > 0 && b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return b
}
