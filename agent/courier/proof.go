package courier

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// MeasuredLog is where the launch step leaves the log of what it has extended.
const MeasuredLog = "/run/robowarden/measured"

// holdoverDrift bounds how far a clock in holdover may be off.
const holdoverDrift = 2 * time.Minute

// proof is what evidence is made from. It belongs to whoever works for the loop.
type proof struct {
	firmware, measured, ima string // paths, firmware and ima may be empty
	agent                   string // digest of the executable, once it is known
	// config and commandLine are digests of what the courier was started with, kernel is where the kernel's files are.
	config, commandLine string
	kernel              kernelFiles
}

// logFile is a log as it was read.
type logFile struct {
	name, sum string
	data      []byte
}

// logs reads the logs that there are. One that cannot be read, is empty or too large is left out, and the claims say so
// by not naming it.
func (p *proof) logs() []logFile {
	var out []logFile
	for _, l := range []struct{ name, path string }{{evidence.LogFirmware, p.firmware}, {evidence.LogMeasured, p.measured}} {
		if l.path == "" {
			continue
		}
		f, err := os.Open(l.path)
		if err != nil {
			continue
		}
		// The kernel's files say that they have no size.
		data, err := io.ReadAll(io.LimitReader(f, evidence.MaxLog+1))
		_ = f.Close()
		if err == nil && len(data) > 0 && len(data) <= evidence.MaxLog {
			out = append(out, logFile{l.name, fingerprint(data), data})
		}
	}
	return out
}

// executable is the digest of the program that runs, "" if it cannot be read.
func (p *proof) executable() string {
	if p.agent != "" {
		return p.agent
	}
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	p.agent = hex.EncodeToString(h.Sum(nil))
	return p.agent
}

// facts are what only the loop knows.
type facts struct {
	robot, boot, nonce      string
	policy, profile, topics string
	head                    contract.Head
	artifacts               []evidence.Artifact
}

// errBusy says that no evidence can be made that counts, for now.
var errBusy = errors.New("the kernel goes on reading files that it measures, faster than the TPM can quote: trying again later")

// build makes the evidence for a challenge and says which logs go along. The kernel's log of files may grow while the TPM quotes what
// it has led to; then all is made once more. What would have to be refused is not handed out: errBusy.
func (p *proof) build(id *identity, c *order.Challenge, f facts) ([]byte, []logFile, error) {
	from, asked := evidence.IMAAsked(c.Logs)
	for n := 1; ; n++ {
		var files imaPieces
		if asked {
			files = p.readIMA(from)
		}
		msg, logs, err := p.buildOnce(id, c, f, files.pieces)
		switch {
		case err != nil:
			return nil, nil, err
		case !files.grown():
			return msg, append(logs, files.sent()...), nil
		case n == imaTries:
			return nil, nil, errBusy
		}
	}
}

func (p *proof) buildOnce(id *identity, c *order.Challenge, f facts, files []logFile) ([]byte, []logFile, error) {
	logs := p.logs()
	claims := &evidence.Claims{
		Robot: f.robot, BootID: f.boot, GuardNonce: f.nonce, Tier: id.tier, Kernel: kernel(),
		Journal: evidence.Head{Seq: f.head.Seq, Digest: f.head.Digest}, Artifacts: f.artifacts, Debug: p.kernel.debug(), Recovery: id.recovery != "",
	}
	claims.Config.SHA256, claims.CommandLine.SHA256 = p.config, p.commandLine
	var err error
	if claims.Nonce, err = evidence.Nonce(c); err != nil {
		return nil, nil, err
	}
	var measured *eventlog.Measured
	var wanted []logFile
	for _, l := range logs {
		claims.Logs = append(claims.Logs, evidence.Log{Name: l.name, SHA256: l.sum})
		if slices.Contains(c.Logs, l.name) {
			wanted = append(wanted, l)
		}
		if l.name == evidence.LogMeasured {
			measured, _ = eventlog.ParseMeasured(l.data) // one that cannot be read backs nothing
		}
	}
	for _, l := range files {
		claims.Logs = append(claims.Logs, evidence.Log{Name: l.name, SHA256: l.sum})
	}
	evidence.SortLogs(claims.Logs)
	claims.Agent.SHA256 = p.executable()
	for _, d := range []struct {
		to   *evidence.Measured
		from string
	}{{&claims.Policy, f.policy}, {&claims.Profile, f.profile}, {&claims.Topics, f.topics}} {
		if d.to.SHA256, err = evidence.Digest(d.from); err != nil {
			return nil, nil, err
		}
	}
	for _, m := range []*evidence.Measured{&claims.Agent, &claims.Policy, &claims.Profile, &claims.Topics, &claims.Config} {
		if id.tier == order.TierTPM && backs(measured, c.PCRs, m.SHA256) {
			m.Label = evidence.PCRBacked
		}
	}
	var quote evidence.Quoter
	if id.tpm != nil {
		quote = func(data []byte, pcrs []int) (evidence.Quote, error) {
			q, err := id.tpm.Quote(data, pcrs)
			return evidence.Quote(q), err
		}
	}
	msg, err := evidence.Build(claims, c.PCRs, id.key, quote)
	return msg, wanted, err
}

// backs says whether a quoted PCR stands for a file with this digest.
func backs(m *eventlog.Measured, pcrs []int, digest string) bool {
	if m == nil || digest == "" || !slices.Contains(pcrs, m.PCR) {
		return false
	}
	return slices.ContainsFunc(m.Files, func(f eventlog.MeasuredFile) bool { return hex.EncodeToString(f.Digest[:]) == digest })
}

// kernel is the release of the kernel that runs.
func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
