package verifier

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // For logs of the old format.
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

const (
	robot      = "unitree/g1-0007"
	bootID     = "5f0c3a52-9a3e-4f0e-8f1b-1d2c3b4a5968"
	otherBoot  = "00000000-9a3e-4f0e-8f1b-1d2c3b4a5968"
	guardNonce = "000102030405060708090a0b0c0d0e0f"
	kernel     = "6.1.0-28-arm64"
	agentPath  = "/usr/bin/robowarden"
	policyPath = "/etc/robowarden/policy.yaml"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func sum(s string) string { return digest([]byte(s)) }

// skip leaves a test out, or fails it where everything must run.
func skip(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		tb.Fatalf("REQUIRE_ALL=1, but %s", why)
	}
	tb.Skip(why)
}

// machine is a software TPM with its state, as a computer's.
type machine struct {
	tb     testing.TB
	dir    string
	socket string
	cmd    *exec.Cmd
	tpm    *tpm.TPM
}

func newMachine(tb testing.TB) *machine {
	tb.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		skip(tb, "no swtpm here: run test/setup/install.sh")
	}
	dir, err := os.MkdirTemp("", "verifier") // Short: unix sockets' paths are.
	if err != nil {
		tb.Fatal(err)
	}
	m := &machine{tb: tb, dir: dir, socket: filepath.Join(dir, "s")}
	tb.Cleanup(func() { m.off(); _ = os.RemoveAll(dir) })
	m.on()
	return m
}

// on starts the TPM from its state: the reset of a computer.
func (m *machine) on() {
	m.tb.Helper()
	_ = os.Remove(m.socket)
	m.cmd = exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+m.dir, "--server", "type=unixio,path="+m.socket, "--flags", "not-need-init,startup-clear")
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		m.tb.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if c, err := net.Dial("unix", m.socket); err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			m.tb.Fatal("swtpm does not listen within 10 s")
		}
		time.Sleep(2 * time.Millisecond)
	}
	t, err := tpm.Open(m.socket)
	if err != nil {
		m.tb.Fatal(err)
	}
	m.tpm = t
}

// off is a power cut.
func (m *machine) off() {
	if m.cmd == nil {
		return
	}
	_ = m.tpm.Close()
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
	m.cmd = nil
}

func (m *machine) extend(pcr int, digest [32]byte) {
	m.tb.Helper()
	if err := m.tpm.Extend(pcr, digest); err != nil {
		m.tb.Fatal(err)
	}
}

// install is what a robot has started: the firmware's events and the measured files. Two robots of one kind have the same.
type install struct {
	secureBoot byte
	pcr        int // Of the measured log.
	files      []eventlog.MeasuredFile
	firmware   []event // Instead of the standard ones, unless nil.
}

func file(path, content string) eventlog.MeasuredFile {
	return eventlog.MeasuredFile{Path: path, Size: int64(len(content)), Digest: sha256.Sum256([]byte(content))}
}

func standard() install {
	return install{secureBoot: 1, pcr: 14, files: []eventlog.MeasuredFile{file(agentPath, "agent"), file(policyPath, "policy")}}
}

// event is one event of a firmware's log; its digest is that of its data.
type event struct {
	pcr  uint32
	kind uint32
	data []byte
}

func (i install) events() []event {
	if i.firmware != nil {
		return i.firmware
	}
	variable := []byte("\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c")
	variable = binary.LittleEndian.AppendUint64(variable, 10)
	variable = binary.LittleEndian.AppendUint64(variable, 1)
	for _, c := range "SecureBoot" {
		variable = binary.LittleEndian.AppendUint16(variable, uint16(c))
	}
	return []event{
		{0, 0x08, []byte("firmware 1.0")}, {7, 0x80000001, append(variable, i.secureBoot)}, {7, 0x04, make([]byte, 4)}, {4, 0x80000007, []byte("boot loader")},
	}
}

// firmwareLog writes the log by the specification and not by the parser.
func firmwareLog(events []event) []byte {
	le := binary.LittleEndian
	spec := append([]byte("Spec ID Event03\x00"), 0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 0x0b, 0, 32, 0, 0)
	out := append(le.AppendUint32(le.AppendUint32(nil, 0), 3), make([]byte, 20)...)
	out = append(le.AppendUint32(out, uint32(len(spec))), spec...)
	for _, e := range events {
		out = le.AppendUint32(le.AppendUint32(le.AppendUint32(out, e.pcr), e.kind), 1)
		out = le.AppendUint16(out, 0x0b)
		d := sha256.Sum256(e.data)
		if e.kind == 3 {
			d = [32]byte{}
		}
		out = append(out, d[:]...)
		out = append(le.AppendUint32(out, uint32(len(e.data))), e.data...)
	}
	return out
}

// legacyLog writes the same events in the old format.
func legacyLog(events []event) []byte {
	le := binary.LittleEndian
	var out []byte
	for _, e := range events {
		d := sha1.Sum(e.data) //nolint:gosec // The old format's digest.
		out = append(le.AppendUint32(le.AppendUint32(out, e.pcr), e.kind), d[:]...)
		out = append(le.AppendUint32(out, uint32(len(e.data))), e.data...)
	}
	return out
}

func (i install) measuredLog() []byte {
	m := eventlog.Measured{PCR: i.pcr, Files: i.files}
	return m.Bytes()
}

func (i install) logs() map[string][]byte {
	return map[string][]byte{evidence.LogFirmware: firmwareLog(i.events()), evidence.LogMeasured: i.measuredLog()}
}

// boot starts an install on a machine.
func (m *machine) boot(i install) {
	m.tb.Helper()
	for _, e := range i.events() {
		m.extend(int(e.pcr), sha256.Sum256(e.data))
	}
	for _, f := range i.files {
		m.extend(i.pcr, f.Extended())
	}
}

func (m *machine) quote(data []byte, pcrs []int) (evidence.Quote, error) {
	q, err := m.tpm.Quote(data, pcrs)
	return evidence.Quote(q), err
}

func (m *machine) enrolment() *Enrolment {
	return &Enrolment{
		Identity:   &evidence.Identity{Robot: robot, Tier: order.TierTPM, AK: m.tpm.AKPublic(), Key: m.tpm.Device().Public()},
		References: "g1",
	}
}

// references are what the standard install is judged by.
func references(tb testing.TB) *References {
	tb.Helper()
	pcr0 := sha256.Sum256([]byte("firmware 1.0"))
	pcr0 = sha256.Sum256(append(make([]byte, 32), pcr0[:]...))
	r := &References{
		Name: "g1", Tier: order.TierTPM, FirmwareLog: FirmwareLogRequired, SecureBoot: SecureBootOn,
		PCRs: []PCRRule{
			{PCR: 0, Set: Set{Allowed: []string{hex.EncodeToString(pcr0[:])}}},
			{PCR: 4, Logs: true},
			{PCR: 7, Logs: true},
			{PCR: 13, Set: Set{Any: true, Why: "the boot loader's own"}},
			{PCR: 14, Logs: true},
		},
		Files: []FileRule{{Path: policyPath, Set: Set{Any: true, Why: "the policy claim is judged"}}},
		Agent: Rule{Set: Set{Allowed: []string{sum("agent"), sum("next agent")}}, File: agentPath}, Policy: Rule{Set: Set{Allowed: []string{sum("policy"), sum("next policy")}}},
		Profile: Rule{Set: Set{Allowed: []string{sum("profile")}}}, Topics: Rule{Set: Set{Allowed: []string{sum("topics")}}},
		Kernel: Rule{Set: Set{Allowed: []string{kernel}}},
	}
	if err := r.Validate(); err != nil {
		tb.Fatal(err)
	}
	return r
}

// challenge asks the robot for the PCRs that the reference values name.
func challenge(tb testing.TB) *order.Challenge {
	tb.Helper()
	return &order.Challenge{
		Session: order.NewID(), Robot: robot, BootID: bootID, Nonce: order.NewID() + order.NewID(), PCRs: []int{0, 4, 7, 13, 14}, NotAfter: noon.Add(time.Minute),
	}
}

// claims are what an honest robot with an install answers.
func (i install) claims(tb testing.TB, c *order.Challenge) *evidence.Claims {
	tb.Helper()
	nonce, err := evidence.Nonce(c)
	if err != nil {
		tb.Fatal(err)
	}
	out := &evidence.Claims{
		Nonce: nonce, Robot: robot, BootID: bootID, GuardNonce: guardNonce, Tier: order.TierTPM, Kernel: kernel,
		Agent:  evidence.Measured{SHA256: sum("agent"), Label: evidence.PCRBacked},
		Policy: evidence.Measured{SHA256: sum("policy"), Label: evidence.PCRBacked}, Profile: evidence.Measured{SHA256: sum("profile")}, Topics: evidence.Measured{SHA256: sum("topics")},
		Journal: evidence.Head{Seq: 712, Digest: sum("journal")},
	}
	logs := i.logs()
	for _, name := range slices.Sorted(maps.Keys(logs)) {
		out.Logs = append(out.Logs, evidence.Log{Name: name, SHA256: digest(logs[name])})
	}
	return out
}

func build(tb testing.TB, c *evidence.Claims, pcrs []int, key crypto.Signer, q evidence.Quoter) []byte {
	tb.Helper()
	out, err := evidence.Build(c, pcrs, key, q)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func codes(a *Appraisal) []Code {
	var out []Code
	for _, r := range a.Reasons {
		if !slices.Contains(out, r.Code) {
			out = append(out, r.Code)
		}
	}
	slices.Sort(out)
	return out
}
