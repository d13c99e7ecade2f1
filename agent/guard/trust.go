package guard

import (
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// This file joins what the other roles bring: the verifier's signed results, and the unsigned facts of courier and
// steward. An unsigned fact, and the loss of one, only ever tightens: a failure that was claimed and a wrong process that
// was named stay, until a signed result or the end of the connection.

// Verdict is what a verifier concluded.
type Verdict uint8

// Verdicts.
const (
	// VerdictNone means that no result has come.
	VerdictNone Verdict = iota
	// VerdictAccepted means that the evidence was accepted.
	VerdictAccepted
	// VerdictRefused means that it was not.
	VerdictRefused
)

// Tier says what the evidence was signed by.
type Tier uint8

// Tiers.
const (
	// TierNone means that no result has been accepted.
	TierNone Tier = iota
	// TierSoftwareKey means a key in a file: it proves who has the file.
	TierSoftwareKey
	// TierTPM means a key that a TPM keeps.
	TierTPM
)

// String names the tier as results and messages write it.
func (t Tier) String() string {
	switch t {
	case TierSoftwareKey:
		return "software-key"
	case TierTPM:
		return "tpm"
	case TierNone:
	}
	return "none"
}

// Attestation is a verifier's result that was signed, verified and made durable.
type Attestation struct {
	Verdict Verdict
	Tier    Tier
	// Until is when an accepted result ends, on CLOCK_BOOTTIME.
	Until time.Duration
}

// SessionState is what the courier says about its attestation.
type SessionState uint8

// States of a session. That a robot is attested is no word of the courier's.
const (
	// SessionUnattested means that no attestation is under way, or that nobody says.
	SessionUnattested SessionState = iota
	// SessionAttesting means that one is.
	SessionAttesting
	// SessionFailed means that it failed.
	SessionFailed
)

// String names the state as the contract writes it.
func (s SessionState) String() string {
	switch s {
	case SessionAttesting:
		return "attesting"
	case SessionFailed:
		return "failed"
	case SessionUnattested:
	}
	return "unattested"
}

// Session is the courier's claim about its session.
type Session struct {
	State SessionState
	// Connected is true while the broker is there.
	Connected bool
	// Until is when the claim ends, on CLOCK_BOOTTIME.
	Until time.Duration
}

// Process is the steward's fact about the process behind one connection.
type Process struct {
	// ID is the connection's, as in [PeerEvent].
	ID uint32
	// Found is true if a process of this computer is behind it.
	Found bool
	// UID is the process's user, Unit its systemd unit.
	UID  uint32
	Unit string
	// Exe is the SHA-256 of its executable if HasExe is true.
	HasExe bool
	Exe    [32]byte
	// Until is when the fact ends, on CLOCK_BOOTTIME.
	Until time.Duration
}

// ProcessDemand is what the topic mapping demands of the process behind a publisher. At least one of unit and uid is set:
// an executable alone proves little, since many nodes are run by an interpreter.
type ProcessDemand struct {
	// Node is the publisher's name on the bus.
	Node string
	// Unit is the systemd unit, empty for any.
	Unit string
	// HasUID says that UID counts.
	HasUID bool
	UID    uint32
	// HasExe says that Exe, the executable's SHA-256, counts.
	HasExe bool
	Exe    [32]byte
}

// judge says whether the fact fits the demand, and if not, why. wrong is false where something is missing only.
func (d *ProcessDemand) judge(p *Process) (wrong bool, cause interlock.Cause) {
	switch {
	case !p.Found:
		return false, interlock.CauseProcessAbsent
	case d.Unit != "" && p.Unit != d.Unit:
		return true, interlock.CauseWrongUnit
	case d.HasUID && p.UID != d.UID:
		return true, interlock.CauseWrongUser
	case d.HasExe && p.HasExe && p.Exe != d.Exe:
		return true, interlock.CauseWrongExecutable
	case d.HasExe && !p.HasExe:
		return false, interlock.CauseIncomplete
	}
	return false, interlock.CauseNone
}

// maxProven is how many connections are followed of publishers whose process is demanded.
const maxProven = 32

// proven is one of them.
type proven struct {
	id uint32 // 0: a free place
	// demand is the number of the demand, from 1.
	demand uint16
	// wrong is true once a wrong process was named; it stays until the connection is gone.
	wrong bool
	// cause says why the process is wrong or not known, CauseNone if it fits until the lease ends.
	cause interlock.Cause
	until time.Duration
}

// trust is what the core remembers of all this.
type trust struct {
	// accepted is true once a result was accepted, which counts until; refused and claimed stay until the next one.
	accepted, refused, claimed bool
	tier                       Tier
	until                      time.Duration
	session                    Session
	peers                      [maxProven]proven
	// more counts connections beyond the table.
	more uint16
	// artifacts are the facts about the artifacts that the policy demands.
	artifacts [MaxArtifacts]artifactFact
}

// takeAttestation takes a verifier's result.
func (t *trust) takeAttestation(boot time.Duration, a *Attestation) {
	if a.Verdict == VerdictAccepted {
		t.accepted, t.refused, t.claimed = true, false, false
		t.tier, t.until = a.Tier, a.Until
		return
	}
	// A refusal ends what was accepted before: the robot is as far as one whose result ran out, and worse.
	t.refused = true
	t.until = min(t.until, boot)
}

func (t *trust) takeSession(s *Session) {
	t.session = *s
	t.claimed = t.claimed || s.State == SessionFailed
}

// takePeer follows connections of publishers whose process is demanded.
func (t *trust) takePeer(p *PeerEvent, demands []ProcessDemand) {
	switch p.Change {
	case PeerConnected:
		if d := demandFor(p.Name, demands); d != 0 {
			t.connect(p.ID, d)
		}
	case PeerGone:
		for i := range t.peers {
			if t.peers[i].id == p.ID && p.ID != 0 {
				t.peers[i] = proven{}
				return
			}
		}
		if demandFor(p.Name, demands) != 0 && t.more > 0 {
			t.more--
		}
	case PeerRefused, PeerAttack, PeerConflict, PeerMismatch, PeerMalformed:
	}
}

func (t *trust) connect(id uint32, demand uint16) {
	for i := range t.peers {
		if t.peers[i].id == 0 {
			t.peers[i] = proven{id: id, demand: demand, cause: interlock.CauseProcessUnsaid}
			return
		}
	}
	if t.more < 1<<16-1 {
		t.more++
	}
}

// demandFor is the number of the demand for a node, from 1, or 0.
func demandFor(node string, demands []ProcessDemand) uint16 {
	for i := range demands {
		if demands[i].Node == clip(node) {
			return uint16(i + 1) //nolint:gosec // the mapping has at most 64
		}
	}
	return 0
}

// takeProcess takes a fact about a connection. One about a connection that is not there, or whose process nobody demands,
// says nothing.
func (t *trust) takeProcess(p *Process, demands []ProcessDemand) {
	for i := range t.peers {
		q := &t.peers[i]
		if q.id != p.ID || p.ID == 0 {
			continue
		}
		q.until = p.Until
		if wrong, cause := demands[q.demand-1].judge(p); !q.wrong {
			q.wrong, q.cause = wrong, cause
		}
		return
	}
}

// trustConditions says what attestation and the processes behind publishers mean now.
func (c *Core) trustConditions(boot time.Duration, set *[interlock.NumTriggers]interlock.Condition) {
	t := &c.trust
	set[interlock.AttestationMissing] = present(!t.accepted, interlock.CauseNoResult)
	set[interlock.AttestationExpired] = present(t.accepted && boot >= t.until, interlock.CauseExpired)
	set[interlock.AttestationFailed] = present(t.claimed, interlock.CauseClaimedFailed)
	if t.refused {
		set[interlock.AttestationFailed] = interlock.Fault(interlock.CauseVerifierRefused, 0)
	}
	wrong, unproven := interlock.OK(), interlock.OK()
	if t.more > 0 {
		unproven = interlock.Fault(interlock.CauseTooMany, 0)
	}
	for i := range t.peers {
		switch p := &t.peers[i]; {
		case p.id == 0:
		case p.wrong:
			wrong = interlock.Worse(wrong, interlock.Fault(p.cause, p.demand))
		case p.cause != interlock.CauseNone:
			unproven = interlock.Worse(unproven, interlock.Fault(p.cause, p.demand))
		case boot >= p.until:
			unproven = interlock.Worse(unproven, interlock.Fault(interlock.CauseExpired, p.demand))
		}
	}
	set[interlock.PublisherProcess], set[interlock.PublisherUnproven] = wrong, unproven
	c.artifactConditions(boot, set)
}

// Proven says of the connection with this id whether the process behind it is the demanded one now.
func (c *Core) Proven(id uint32) bool {
	for i := range c.trust.peers {
		if p := &c.trust.peers[i]; p.id == id && id != 0 {
			return !p.wrong && p.cause == interlock.CauseNone && c.now.Boot < p.until
		}
	}
	return false
}

// attested says whether a verifier's accepted result counts now, and nothing speaks against it.
func (t *trust) attested(now time.Duration) bool {
	return t.accepted && !t.refused && !t.claimed && now < t.until
}

func (t *trust) status(now time.Duration) AttestationStatus {
	s := AttestationStatus{State: "unattested", Tier: TierNone.String()}
	if t.accepted {
		s.Tier = t.tier.String()
	}
	switch {
	case t.refused || t.claimed:
		s.State = "failed"
	case t.attested(now):
		s.State, s.LeftS = "attested", (t.until - now).Seconds()
	case t.accepted:
		s.State = "expired"
	}
	return s
}

func (e *encoder) trust(t *trust) {
	for _, f := range [...]bool{t.accepted, t.refused, t.claimed, t.session.Connected} {
		e.flag(f)
	}
	e.u8(uint8(t.tier))
	e.duration(t.until)
	e.u8(uint8(t.session.State))
	e.duration(t.session.Until)
	for i := range t.peers {
		p := &t.peers[i]
		e.u32(p.id)
		e.u16(p.demand)
		e.flag(p.wrong)
		e.u16(uint16(p.cause))
		e.duration(p.until)
	}
	e.u16(t.more)
}

// trust reads what the encoder wrote, for a mapping with so many demands.
func (d *decoder) trust(t *trust, demands int) {
	for _, f := range [...]*bool{&t.accepted, &t.refused, &t.claimed, &t.session.Connected} {
		*f = d.flag()
	}
	t.tier, t.until = Tier(d.u8()), d.duration()
	t.session.State, t.session.Until = SessionState(d.u8()), d.duration()
	for i := range t.peers {
		p := proven{id: d.u32(), demand: d.u16(), wrong: d.flag(), cause: interlock.Cause(d.u16()), until: d.duration()}
		if p.id != 0 && (p.demand == 0 || int(p.demand) > demands) {
			d.err = cmpErr(d.err, errDemand)
			p = proven{}
		}
		t.peers[i] = p
	}
	t.more = d.u16()
}
