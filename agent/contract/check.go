package contract

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Bounds on the content of bodies.
const (
	// MaxLeaseMS is the longest lease in milliseconds: what is not renewed for a minute is not known.
	MaxLeaseMS = 60_000
	// MaxPeers is the largest number of connections in [Peers] and [Processes].
	MaxPeers = 256
	// MaxText is the longest text in bytes.
	MaxText = 1024
	// MaxRecorders is the largest number of patterns in [Peers], MaxDevices that of named devices in [Devices].
	MaxRecorders = 16
	MaxDevices   = 64
	// MaxKeyLists is the largest number of key lists in [Keys].
	MaxKeyLists = 16
	// MaxEnvelope is the largest acknowledgement in bytes.
	MaxEnvelope = 32 << 10
	// MaxArtifacts is the largest number of artifacts in [Artifacts].
	MaxArtifacts = 64
)

func (Hello) frame() byte          { return FrameHello }
func (Welcome) frame() byte        { return FrameWelcome }
func (Peers) frame() byte          { return FramePeers }
func (Processes) frame() byte      { return FrameProcesses }
func (Devices) frame() byte        { return FrameDevices }
func (Session) frame() byte        { return FrameSession }
func (Artifacts) frame() byte      { return FrameArtifacts }
func (Head) frame() byte           { return FrameHead }
func (Checkpoint) frame() byte     { return FrameCheckpoint }
func (Acknowledged) frame() byte   { return FrameAcknowledged }
func (Keys) frame() byte           { return FrameKeys }
func (CounterRequest) frame() byte { return FrameCounterRequest }
func (Counter) frame() byte        { return FrameCounter }
func (Receipt) frame() byte        { return FrameReceipt }
func (Failure) frame() byte        { return FrameError }

func (h Hello) check() error {
	switch {
	case h.Role != Steward && h.Role != Courier:
		return fmt.Errorf("role: expected %q or %q, found %q", Steward, Courier, h.Role)
	case h.Min < 1 || h.Max < h.Min:
		return fmt.Errorf("versions: expected 1 or more, the oldest first, found %d to %d", h.Min, h.Max)
	}
	return text("program", h.Program)
}

func (w Welcome) check() error {
	if w.Version < 1 {
		return fmt.Errorf("version: expected 1 or more, found %d", w.Version)
	}
	return errors.Join(
		text("robot", w.Robot), uuid("boot_id", w.BootID), hexDigits("nonce", w.Nonce, 32),
		longText("journal", w.Journal, 4096), text("policy", w.Policy), text("profile", w.Profile), text("topics", w.Topics),
	)
}

func (p Peers) check() error {
	if len(p.Peers) > MaxPeers {
		return fmt.Errorf("peers: expected at most %d, found %d", MaxPeers, len(p.Peers))
	}
	if len(p.Recorders) > MaxRecorders {
		return fmt.Errorf("recorders: expected at most %d, found %d", MaxRecorders, len(p.Recorders))
	}
	for _, r := range p.Recorders {
		if err := text("recorders", r); err != nil {
			return err
		}
	}
	seen := make(map[uint32]bool, len(p.Peers))
	for i := range p.Peers {
		q := &p.Peers[i]
		if q.ID == 0 || seen[q.ID] {
			return fmt.Errorf("peers: expected every id once and none 0, found %d", q.ID)
		}
		seen[q.ID] = true
		if q.Transport != TransportTCP && q.Transport != TransportUDP {
			return fmt.Errorf("peer %d: transport: expected %q or nothing, found %q", q.ID, TransportUDP, q.Transport[:min(len(q.Transport), 80)])
		}
		if err := errors.Join(text("topic", q.Topic), text("node", q.Node), address("local", q.Local, true), address("remote", q.Remote, false)); err != nil {
			return fmt.Errorf("peer %d: %w", q.ID, err)
		}
	}
	return nil
}

// maxCount bounds a number of devices: one process may have many descriptors, and all are counted.
const maxCount = 1 << 20

func (v Devices) check() error {
	if err := lease(v.LeaseMS); err != nil {
		return err
	}
	switch {
	case len(v.Open) > MaxDevices:
		return fmt.Errorf("open: expected at most %d, found %d", MaxDevices, len(v.Open))
	case v.Total < len(v.Open) || v.Total > maxCount || v.Total > 0 && len(v.Open) == 0:
		return fmt.Errorf("total: expected %d or more, none without a name, and at most %d, found %d", len(v.Open), maxCount, v.Total)
	case v.Complete != (v.Why == ""):
		return fmt.Errorf("why: expected a reason if and only if the look was not complete, found %q", v.Why[:min(len(v.Why), 80)])
	}
	const maxID = 1<<32 - 1
	for i := range v.Open {
		o := &v.Open[i]
		if o.PID < 1 || o.PID > maxID || o.UID < 0 || o.UID > maxID {
			return fmt.Errorf("open[%d]: expected a pid of 1 or more and a uid, found %d and %d", i, o.PID, o.UID)
		}
		if err := errors.Join(text("path", o.Path), text("unit", o.Unit), longText("exe", o.Exe, 4096)); err != nil {
			return fmt.Errorf("open[%d]: %w", i, err)
		}
	}
	return text("why", v.Why)
}

func (p Processes) check() error {
	if err := lease(p.LeaseMS); err != nil {
		return err
	}
	if len(p.Processes) > MaxPeers {
		return fmt.Errorf("processes: expected at most %d, found %d", MaxPeers, len(p.Processes))
	}
	seen := make(map[uint32]bool, len(p.Processes))
	for i := range p.Processes {
		q := &p.Processes[i]
		if q.ID == 0 || seen[q.ID] {
			return fmt.Errorf("processes: expected every id once and none 0, found %d", q.ID)
		}
		seen[q.ID] = true
		if err := q.check(); err != nil {
			return fmt.Errorf("process behind connection %d: %w", q.ID, err)
		}
	}
	return nil
}

// check refuses half a fact: what was not found has no content, what was found has a process and a user.
func (p *Process) check() error {
	if !p.Found && (p.PID != 0 || p.UID != 0 || p.Unit != "" || p.Cgroup != "" || p.Exe != "" || p.ExeSHA256 != "" || p.Interpreter) {
		return errors.New("expected nothing but why about a process that was not found")
	}
	if p.Found && p.PID < 1 {
		return fmt.Errorf("pid: expected 1 or more, found %d", p.PID)
	}
	const maxID = 1<<32 - 1
	if p.UID < 0 || p.UID > maxID || p.PID > maxID {
		return fmt.Errorf("pid and uid: expected 0 to %d, found %d and %d", maxID, p.PID, p.UID)
	}
	err := errors.Join(text("why", p.Why), text("unit", p.Unit), longText("cgroup", p.Cgroup, 4096), longText("exe", p.Exe, 4096))
	if p.ExeSHA256 != "" {
		err = errors.Join(err, hexDigits("exe_sha256", p.ExeSHA256, 64))
	}
	return err
}

func (a Artifacts) check() error {
	if err := lease(a.LeaseMS); err != nil {
		return err
	}
	if len(a.Artifacts) > MaxArtifacts {
		return fmt.Errorf("artifacts: expected at most %d, found %d", MaxArtifacts, len(a.Artifacts))
	}
	seen := make(map[string]bool, len(a.Artifacts))
	for i := range a.Artifacts {
		q := &a.Artifacts[i]
		if q.Name == "" || len(q.Name) > 64 || seen[q.Name] {
			return fmt.Errorf("artifacts[%d]: name: expected 1 to 64 bytes, each name once", i)
		}
		seen[q.Name] = true
		err := errors.Join(text("name", q.Name), text("why", q.Why))
		if q.SHA256 != "" {
			err = errors.Join(err, hexDigits("sha256", q.SHA256, 64))
		}
		if err != nil {
			return fmt.Errorf("artifact %q: %w", q.Name, err)
		}
	}
	return nil
}

func (s Session) check() error {
	switch s.State {
	case SessionUnattested, SessionAttesting, SessionFailed:
	default:
		return fmt.Errorf("state: expected %q, %q or %q, found %q; that a robot is attested is said by a signed result only",
			SessionUnattested, SessionAttesting, SessionFailed, s.State)
	}
	return errors.Join(lease(s.LeaseMS), text("detail", s.Detail))
}

func (h Head) check() error {
	if h.EvidenceSeq > h.Seq {
		return fmt.Errorf("evidence_seq: expected at most seq %d, found %d", h.Seq, h.EvidenceSeq)
	}
	return errors.Join(uuid("boot_id", h.BootID), hexDigits("digest", h.Digest, 64), hexDigits("evidence", h.Evidence, 64))
}

func (c Checkpoint) check() error {
	if n := len(c.Signature); n < 1 || n > MaxText {
		return fmt.Errorf("signature: expected 1 to %d bytes, found %d", MaxText, n)
	}
	if c.Log != "guard" {
		return fmt.Errorf("log: expected %q, found %q", "guard", c.Log)
	}
	return errors.Join(
		uuid("boot_id", c.BootID), hexDigits("digest", c.Digest, 64), hexDigits("evidence", c.Evidence, 64), text("key_id", c.KeyID),
	)
}

func (a Acknowledged) check() error {
	if n := len(a.Envelope); n < 1 || n > MaxEnvelope {
		return fmt.Errorf("envelope: expected 1 to %d bytes, found %d", MaxEnvelope, n)
	}
	return nil
}

func (k Keys) check() error {
	if n := len(k.Lists); n < 1 || n > MaxKeyLists {
		return fmt.Errorf("lists: expected 1 to %d, found %d", MaxKeyLists, n)
	}
	for i, l := range k.Lists {
		if len(l) == 0 {
			return fmt.Errorf("lists[%d]: expected an envelope, found nothing", i)
		}
	}
	return nil
}

func (c CounterRequest) check() error { return hexDigits("nonce", c.Nonce, 64) }

func (c Counter) check() error {
	if stated := c.Fault == ""; stated != (len(c.Attest) > 0) || stated != (len(c.Signature) > 0) || stated != (len(c.Key) > 0) {
		return fmt.Errorf("counter: expected a fault, or attest, signature and key, found fault %q and %d, %d and %d bytes",
			c.Fault[:min(len(c.Fault), 80)], len(c.Attest), len(c.Signature), len(c.Key))
	}
	switch c.Fault {
	case "", CounterNoTPM, CounterUnavailable, CounterRefused, CounterMissing, CounterReplaced:
	default:
		return fmt.Errorf("fault: found %q, which is none", c.Fault[:min(len(c.Fault), 80)])
	}
	if most := max(len(c.Attest), len(c.Signature), len(c.Key)); most > MaxText {
		return fmt.Errorf("counter: expected at most %d bytes for each part, found %d", MaxText, most)
	}
	return errors.Join(hexDigits("nonce", c.Nonce, 64), text("detail", c.Detail))
}

func (Receipt) check() error { return nil }

func (f Failure) check() error { return text("code", f.Code) }

func lease(ms int64) error {
	if ms < 1 || ms > MaxLeaseMS {
		return fmt.Errorf("lease_ms: expected 1 to %d, found %d", MaxLeaseMS, ms)
	}
	return nil
}

func text(name, s string) error { return longText(name, s, MaxText) }

func longText(name, s string, most int) error {
	if len(s) > most || !utf8.ValidString(s) {
		return fmt.Errorf("%s: expected at most %d bytes of UTF-8, found %d bytes", name, most, len(s))
	}
	return nil
}

func hexDigits(name, s string, n int) error {
	if len(s) != n || strings.Trim(s, "0123456789abcdef") != "" {
		return fmt.Errorf("%s: expected %d lower-case hexadecimal digits, found %q", name, n, s[:min(len(s), 80)])
	}
	return nil
}

func uuid(name, s string) error {
	const form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	ok := len(s) == len(form)
	for i := 0; ok && i < len(s); i++ {
		if form[i] == '-' {
			ok = s[i] == '-'
		} else {
			ok = strings.IndexByte("0123456789abcdef", s[i]) >= 0
		}
	}
	if !ok {
		return fmt.Errorf("%s: expected a lower-case UUID, found %q", name, s[:min(len(s), 80)])
	}
	return nil
}

func address(name, s string, mayMiss bool) error {
	if s == "" && mayMiss {
		return nil
	}
	if _, err := netip.ParseAddrPort(s); err != nil || len(s) > MaxText {
		return fmt.Errorf("%s: expected ip:port, found %q", name, s[:min(len(s), 80)])
	}
	return nil
}
