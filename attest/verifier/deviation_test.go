package verifier_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
	"github.com/robowarden/robowarden/attest/verifier"
)

// What is here knows the logs from their specifications, and nothing of how the verifier reads and explains them.

// measurement is one event of the firmware: what is extended is the digest of its content.
type measurement struct {
	pcr     int
	kind    uint32
	data    string
	content string // The data, unless the specification measures something else.
}

func (m measurement) digest() [32]byte {
	if m.content != "" {
		return sha256.Sum256([]byte(m.content))
	}
	return sha256.Sum256([]byte(m.data))
}

// artefact is one file that `robowarden measure` extends into PCR 14.
type artefact struct{ path, content string }

func (f artefact) digest() [32]byte {
	d := sha256.Sum256([]byte(f.content))
	text := "robowarden/measured/v1\x00" + string(d[:]) + string(binary.LittleEndian.AppendUint64(nil, uint64(len(f.content)))) + f.path
	return sha256.Sum256([]byte(text))
}

// world is a robot as it really is, and what it says about itself.
type world struct {
	boot     []measurement
	files    []artefact
	claims   evidence.Claims
	bootID   string
	locality int
	// shown and shownFiles are what the logs say, if that is not the truth.
	shown      []measurement
	shownFiles []artefact
	// hidden is extended after all else.
	hidden map[int]string
	logs   func(map[string][]byte)
	rules  func(*verifier.References)
	now    time.Time
}

const (
	efiGUID   = "\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c"
	otherGUID = "\xcb\xb2\x19\xd7\x3a\x3d\x96\x45\xa3\xbc\xda\xd0\x0e\x67\x65\x6f"
)

func utf16le(s string) string {
	var b []byte
	for _, c := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(c))
	}
	return string(b)
}

func uefiVariable(guid, name, value string) string {
	b := binary.LittleEndian.AppendUint64([]byte(guid), uint64(len(name)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(value)))
	return string(b) + utf16le(name) + value
}

// image is what the firmware writes about a program: where it lay, not what it was.
func image(path string) string {
	name := utf16le(path + "\x00")
	node := append([]byte{4, 4}, binary.LittleEndian.AppendUint16(nil, uint16(4+len(name)))...)
	node = append(append(node, name...), 0x7f, 0xff, 4, 0)
	head := make([]byte, 24)
	return string(binary.LittleEndian.AppendUint64(head, uint64(len(node)))) + string(node)
}

func tag(id uint32, text string) string {
	b := binary.LittleEndian.AppendUint32(nil, id)
	return string(binary.LittleEndian.AppendUint32(b, uint32(len(text)))) + text
}

// The places of what deviations change, in the standard start.
const (
	atVersion = iota
	atSecureBoot
	atPK
	atDB
	atDBX
	atEndOf7
	atSetup
	atBootOrder
	atBootEntry
	atOptionROM
	atCalling
	atEndOf4
	atAuthority
	atPartitions
	atLoader
	atCommand
	atCommandLine
	atKernelFile
	atKernelImage
	atInitrd
)

func standardBoot() []measurement {
	const end = "\x00\x00\x00\x00"
	return []measurement{
		{0, 0x08, utf16le("board firmware 1.4\x00"), ""},
		{7, 0x80000001, uefiVariable(efiGUID, "SecureBoot", "\x01"), ""},
		{7, 0x80000001, uefiVariable(efiGUID, "PK", "platform key"), ""},
		{7, 0x80000001, uefiVariable(otherGUID, "db", "maker's key"), ""},
		{7, 0x80000001, uefiVariable(otherGUID, "dbx", "revoked"), ""},
		{7, 0x04, end, ""},
		{1, 0x80000001, uefiVariable(otherGUID, "Setup", "settings"), ""},
		{1, 0x80000002, uefiVariable(efiGUID, "BootOrder", "\x01\x00\x02\x00"), "\x01\x00\x02\x00"},
		{1, 0x80000002, uefiVariable(efiGUID, "Boot0001", "disk"), "disk"},
		{2, 0x80000004, image("network.rom"), "network card's driver"},
		{4, 0x80000007, "Calling EFI Application from Boot Option", ""},
		{4, 0x04, end, ""},
		{7, 0x800000e0, uefiVariable(otherGUID, "db", "maker's key"), ""},
		{5, 0x80000006, "partition table", ""},
		{4, 0x80000003, image(`\EFI\BOOT\BOOTX64.EFI`), "boot loader 2.12"},
		{8, 0x0d, "grub_cmd: linux /vmlinuz quiet\x00", "linux /vmlinuz quiet"},
		{8, 0x0d, "kernel_cmdline: /vmlinuz quiet\x00", "/vmlinuz quiet"},
		{9, 0x0d, "(hd0,gpt2)/vmlinuz\x00", "kernel 6.1"},
		{4, 0x80000003, image(`\vmlinuz`), "kernel 6.1"},
		{9, 0x06, tag(0x8f3b22ec, "Linux initrd\x00"), "initial file system"},
	}
}

const (
	agentFile  = "/usr/bin/robowarden"
	policyFile = "/etc/robowarden/policy.bundle"
	configFile = "/etc/robowarden/deployment.yaml"
	modelFile  = "/var/lib/models/grasp.onnx"
)

const (
	atAgent = iota
	atPolicy
	atConfig
	atModel
)

func standardWorld() *world {
	w := &world{boot: standardBoot(), bootID: "5f0c3a52-9a3e-4f0e-8f1b-1d2c3b4a5968", hidden: map[int]string{}, now: noon}
	w.files = []artefact{{agentFile, "agent"}, {policyFile, "policy"}, {configFile, "config"}, {modelFile, "grasp model"}}
	w.claims = evidence.Claims{
		Robot: robot, GuardNonce: "000102030405060708090a0b0c0d0e0f", Tier: order.TierTPM, Kernel: "6.1.0-28-amd64",
		Agent: backed("agent"), Policy: backed("policy"), Config: backed("config"),
		Profile: evidence.Measured{SHA256: hexSum("profile")}, Topics: evidence.Measured{SHA256: hexSum("topics")}, CommandLine: evidence.Measured{SHA256: hexSum("/vmlinuz quiet")},
		Journal:   evidence.Head{Seq: 712, Digest: hexSum("journal")},
		Artifacts: []evidence.Artifact{{Name: "arm", SHA256: hexSum("arm"), SVN: 7}, {Name: "grasp", SHA256: hexSum("grasp"), SVN: 7}}, Debug: []string{"serial-console"},
	}
	return w
}

const robot = "unitree/g1-0007"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func hexSum(s string) string {
	d := sha256.Sum256([]byte(s))
	return hex.EncodeToString(d[:])
}

func backed(s string) evidence.Measured {
	return evidence.Measured{SHA256: hexSum(s), Label: evidence.PCRBacked}
}

// firmwareLog writes a crypto-agile log, or one of the old format.
func firmwareLog(events []measurement, locality int) []byte {
	le := binary.LittleEndian
	spec := "Spec ID Event03\x00" + "\x00\x00\x00\x00\x00\x02\x00\x02" + "\x01\x00\x00\x00" + "\x0b\x00\x20\x00" + "\x00"
	b := append(le.AppendUint32(le.AppendUint32(nil, 0), 3), make([]byte, 20)...)
	b = append(le.AppendUint32(b, uint32(len(spec))), spec...)
	put := func(pcr, kind uint32, digest [32]byte, data string) {
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, pcr), kind), 1)
		b = append(le.AppendUint16(b, 0x0b), digest[:]...)
		b = append(le.AppendUint32(b, uint32(len(data))), data...)
	}
	if locality > 0 {
		put(0, 3, [32]byte{}, "StartupLocality\x00"+string([]byte{byte(locality)}))
	}
	for _, e := range events {
		put(uint32(e.pcr), e.kind, e.digest(), e.data)
	}
	return b
}

func measuredLog(files []artefact) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "robowarden-measured 1\npcr 14 start %064d\n", 0)
	for _, f := range files {
		fmt.Fprintf(&b, "file %s %d %s\n", hexSum(f.content), len(f.content), f.path)
	}
	return b.Bytes()
}

// computer is a software TPM whose disk can be put back.
type computer struct {
	t      *testing.T
	dir    string
	socket string
	cmd    *exec.Cmd
	tpm    *tpm.TPM
}

func newComputer(t *testing.T) *computer {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal("REQUIRE_ALL=1, but no swtpm here: run test/setup/install.sh")
		}
		t.Skip("no swtpm here: run test/setup/install.sh")
	}
	dir, err := os.MkdirTemp("", "verifier") // Short: unix sockets' paths are.
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := &computer{t: t, dir: dir, socket: filepath.Join(dir, "s")}
	t.Cleanup(func() { c.off(); _ = os.RemoveAll(dir) })
	return c
}

func (c *computer) off() {
	if c.cmd != nil {
		_ = c.tpm.Close()
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
		c.cmd = nil
	}
}

// reset is a restart of the computer: the TPM's registers begin anew.
func (c *computer) reset() {
	c.t.Helper()
	c.off()
	_ = os.Remove(c.socket)
	c.cmd = exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+filepath.Join(c.dir, "state"), "--server", "type=unixio,path="+c.socket, "--flags", "not-need-init,startup-clear")
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if conn, err := net.Dial("unix", c.socket); err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			c.t.Fatal("swtpm does not listen within 10 s")
		}
		time.Sleep(time.Millisecond)
	}
	var err error
	if c.tpm, err = tpm.Open(c.socket); err != nil {
		c.t.Fatal(err)
	}
}

// disk is a copy of the TPM's state, to be put back.
func (c *computer) disk() map[string][]byte {
	c.t.Helper()
	out := map[string][]byte{}
	entries, err := os.ReadDir(filepath.Join(c.dir, "state"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		if out[e.Name()], err = os.ReadFile(filepath.Join(c.dir, "state", e.Name())); err != nil {
			c.t.Fatal(err)
		}
	}
	return out
}

func (c *computer) putBack(disk map[string][]byte) {
	c.t.Helper()
	c.off()
	for name, data := range disk {
		if err := os.WriteFile(filepath.Join(c.dir, "state", name), data, 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
}

// start extends what the world really starts into the TPM.
func (c *computer) start(w *world) {
	c.t.Helper()
	extend := func(pcr int, d [32]byte) {
		if err := c.tpm.Extend(pcr, d); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, e := range w.boot {
		extend(e.pcr, e.digest())
	}
	for _, f := range w.files {
		extend(14, f.digest())
	}
	for _, pcr := range slices.Sorted(maps.Keys(w.hidden)) {
		extend(pcr, sha256.Sum256([]byte(w.hidden[pcr])))
	}
}

// attest is the robot's answer to a fresh challenge, with the logs it shows.
func (c *computer) attest(w *world) verifier.Input {
	c.t.Helper()
	shown, files := w.boot, w.files
	if w.shown != nil {
		shown = w.shown
	}
	if w.shownFiles != nil {
		files = w.shownFiles
	}
	logs := map[string][]byte{"firmware": firmwareLog(shown, w.locality), "measured": measuredLog(files)}
	if w.logs != nil {
		w.logs(logs)
	}
	ask := &order.Challenge{
		Session: order.NewID(), Nonce: order.NewID() + order.NewID(), Robot: robot, BootID: w.bootID, NotAfter: noon.Add(time.Minute),
		PCRs: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14},
	}
	claims := w.claims
	claims.BootID = w.bootID
	nonce, err := evidence.Nonce(ask)
	if err != nil {
		c.t.Fatal(err)
	}
	claims.Nonce = nonce
	for _, name := range slices.Sorted(maps.Keys(logs)) {
		claims.Logs = append(claims.Logs, evidence.Log{Name: name, SHA256: hexSum(string(logs[name]))})
	}
	message, err := evidence.Build(&claims, ask.PCRs, c.tpm.Device(), func(data []byte, pcrs []int) (evidence.Quote, error) {
		q, err := c.tpm.Quote(data, pcrs)
		return evidence.Quote(q), err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return verifier.Input{Robot: c.enrolment(), Challenge: ask, Evidence: message, Logs: logs, Now: w.now}
}

func (c *computer) enrolment() *verifier.Enrolment {
	return &verifier.Enrolment{
		Identity:   &evidence.Identity{Robot: robot, Tier: order.TierTPM, AK: c.tpm.AKPublic(), Key: c.tpm.Device().Public()},
		References: "g1",
	}
}

// learned are reference values of a computer in its standard state.
func (c *computer) learned() *verifier.References {
	c.t.Helper()
	r, err := verifier.Learn(c.attest(standardWorld()), "g1")
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// fresh are those values anew, to be changed.
func fresh(t *testing.T, r *verifier.References) *verifier.References {
	t.Helper()
	out := *r
	out.PCRs, out.Files, out.Artifacts = slices.Clone(r.PCRs), slices.Clone(r.Files), slices.Clone(r.Artifacts)
	out.Events = slices.Clone(r.Events)
	return &out
}

// newKey is a key of an attacker's.
func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// named is what an explanation must name: cause, subject and register, and in full what would be accepted.
type named struct {
	cause    string
	subject  string
	pcr      int
	accepted string
}

func names(x *verifier.Explanation) []string {
	var out []string
	for _, f := range x.Findings {
		out = append(out, fmt.Sprintf("%s %s %d", f.Cause, f.Subject, f.PCR))
	}
	return out
}

func mention(x *verifier.Explanation, text string) bool { return strings.Contains(x.Text(), text) }

var errNoneFound = errors.New("nothing is named")

// check compares an explanation with what a deviation must be called.
func (n named) check(x *verifier.Explanation) error {
	want := fmt.Sprintf("%s %s %d", n.cause, n.subject, n.pcr)
	switch got := names(x); {
	case len(got) == 0:
		return errNoneFound
	case len(got) != 1 || got[0] != want:
		return fmt.Errorf("named %q, expected %q alone", got, want)
	case n.accepted != "" && !slices.Contains(x.Findings[0].Accepted, hexSum(n.accepted)):
		return fmt.Errorf("accepted are %v, expected %s", x.Findings[0].Accepted, hexSum(n.accepted))
	case n.accepted != "" && !mention(x, hexSum(n.accepted)):
		return fmt.Errorf("the text does not say %s", hexSum(n.accepted))
	}
	return nil
}
