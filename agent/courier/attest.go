package courier

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// Hello is the data of a hello message.
type Hello struct {
	Header
	evidence.Hello
}

// LogMessage is the data of a log message.
type LogMessage struct {
	Header
	evidence.LogPart
}

// EvidenceMessage is the data of an evidence message.
type EvidenceMessage struct {
	Header
	evidence.Answer
}

// documents makes a verifier of challenges from the roots that the robot was enrolled with and these key lists.
func (c *Courier) documents(w *contract.Welcome, lists [][]byte) (*order.Verifier, error) {
	text, err := os.ReadFile(filepath.Join(c.dep.Paths.Keys, "roots.pem"))
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	roots, err := order.ParsePublicKeys(text)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	v, err := order.NewVerifier(order.Config{
		Robot: w.Robot, Groups: c.dep.Groups, BootID: w.BootID, Nonce: w.Nonce, Roots: roots, RequiredRoots: 1, KeyLists: lists, AllowDemo: c.o.AllowDemo,
	}, order.NewFloors())
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return v, v.Fault()
}

// delivered reads the key lists that the robot was delivered with, oldest first.
func (c *Courier) delivered() ([][]byte, error) {
	names, err := filepath.Glob(filepath.Join(c.dep.Paths.Keys, "keylist*.dsse.json"))
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	slices.Sort(names)
	var lists [][]byte
	for _, name := range names {
		list, err := os.ReadFile(name) //nolint:gosec // the deployment names the folder
		if err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		lists = append(lists, list)
	}
	return lists, nil
}

// vouch makes the verifier of challenges from the newest key list that there is: delivered, or told by the guard before.
func (l *loop) vouch(w *contract.Welcome) {
	lists, err := l.c.delivered()
	if err == nil {
		l.docs, err = l.c.documents(w, lists)
	}
	if l.docsFault = err; err != nil {
		l.docs = nil
	}
	if l.lists != nil {
		l.newKeys(w, l.lists)
	}
	if l.docs == nil {
		l.note(KindFault, Fault{"keys", l.docsFault.Error()})
		l.log.Error().Err(l.docsFault).Msg("no challenge can be checked, so none is answered")
	}
}

// newKeys takes key lists that the guard tells. They are signed, so it is not believed: what does not lead from the robot's
// own roots, or is older than what counts, changes nothing.
func (l *loop) newKeys(w *contract.Welcome, lists [][]byte) {
	told, err := l.c.documents(w, lists)
	if err != nil {
		l.note(KindFault, Fault{"key lists of the guard", err.Error()})
		l.log.Error().Err(err).Msg("the guard's key lists do not count")
		return
	}
	if l.docs == nil || sequence(told) >= sequence(l.docs) {
		l.lists, l.docs, l.docsFault = lists, told, nil
	}
}

// sequence is that of the key list in force.
func sequence(v *order.Verifier) uint64 {
	if last := v.InForce(); last != nil {
		return last.Order.Sequence
	}
	return 0
}

// times tells what is known about civil time.
func times(c Clock) order.Times {
	now, trust := c.Civil()
	t := order.Times{Civil: now}
	switch trust {
	case TimeTrusted:
		t.Trust, t.Uncertainty = order.Trusted, time.Second
	case TimeHoldover:
		t.Trust, t.Uncertainty = order.Holdover, holdoverDrift
	}
	return t
}

// hello asks the verifier for a challenge.
func (l *loop) hello() {
	id, w := l.identity.Load(), l.welcome
	l.try(func() func() {
		logs := l.proof.logs()
		return func() {
			if l.welcome != w {
				return
			}
			h := &Hello{Hello: evidence.Hello{
				Robot: w.Robot, BootID: w.BootID, GuardNonce: w.Nonce, Tier: id.tier, KeyID: id.keyID, Logs: map[string]string{},
			}}
			if id.tpm != nil {
				h.AKName = hex.EncodeToString(id.tpm.AKName())
			}
			for _, f := range logs {
				h.Logs[f.name] = f.sum
			}
			l.urge(TopicHello, h)
		}
	})
}

// challenge takes a challenge from the network. A forged one costs a signature's check, no more.
func (l *loop) challenge(now time.Duration, envelope []byte) {
	id, w := l.identity.Load(), l.welcome
	if id == nil || w == nil || l.attester == nil {
		return
	}
	var docs evidence.Documents = nobody{l.docsFault}
	if l.docs != nil {
		docs = l.docs
	}
	c, err := l.attester.Accept(times(l.clock), now, docs, envelope)
	if err != nil {
		l.challengeFault(err)
		return
	}
	if !l.session.challenged(now) {
		return
	}
	f := facts{
		robot: w.Robot, boot: w.BootID, nonce: w.Nonce, policy: w.Policy, profile: w.Profile, topics: w.Topics, head: l.head,
	}
	if s, err := readStatus(l.status); err == nil {
		if s.Policy.Digest != "" {
			f.policy = s.Policy.Digest // newer than the welcome
		}
		f.artifacts = s.content()
	}
	if !l.try(func() func() {
		msg, logs, err := l.proof.build(id, c, f)
		return func() { l.proved(c.Session, msg, logs, err) }
	}) {
		l.session.proved(now, errors.New("too much to do"))
	}
}

// challengeFault notes why a challenge is not answered, once for each reason in a row.
func (l *loop) challengeFault(err error) {
	code := string(evidence.CodeOf(err))
	if code == l.lastChallenge {
		return
	}
	l.lastChallenge = code
	l.session.detail = "challenge refused: " + code
	l.note(KindCarried, Carried{Topic: TopicChallenge, Reason: code})
	l.log.Warn().Err(err).Msg("a challenge is not answered")
}

// nobody vouches for anything, since the keys could not be read.
type nobody struct{ err error }

// VerifyDocument implements [evidence.Documents].
func (n nobody) VerifyDocument(order.Times, string, order.Role, []byte) ([]byte, []order.Signer, error) {
	return nil, nil, n.err
}

// proved sends what the challenge asked for.
func (l *loop) proved(session string, msg []byte, logs []logFile, err error) {
	now := l.clock.Boot()
	if err != nil {
		l.log.Error().Err(err).Msg("evidence could not be made")
	}
	if !l.session.proved(now, err) {
		return
	}
	l.lastChallenge = ""
	for _, f := range logs {
		l.urge(TopicLog, &LogMessage{LogPart: evidence.LogPart{Name: f.name, SHA256: f.sum, Log: f.data}})
	}
	l.urge(TopicEvidence, &EvidenceMessage{Answer: evidence.Answer{Session: session, Evidence: msg}})
	if end := pieceEnd(logs); end > 0 {
		l.session.goesOn(now, end)
	}
}

// attesterFor prepares what judges challenges for this run of the guard.
func (l *loop) attesterFor(w *contract.Welcome) {
	id := l.identity.Load()
	if id == nil {
		return
	}
	var err error
	if l.attester, err = evidence.NewAttester(w.Robot, w.BootID, id.tier); err != nil {
		l.note(KindFault, Fault{"attestation", err.Error()})
		l.log.Error().Err(err).Msg("attestation")
	}
	l.vouch(w)
}

// judged takes the guard's answer to an attestation result. Only what the guard has accepted counts here as well; when it
// ends is read from the result itself.
func (l *loop) judged(envelope []byte, r *contract.Receipt) {
	now := l.clock.Boot()
	e, err := order.ParseEnvelope(envelope)
	if err != nil || !r.Accepted {
		return
	}
	o, err := order.Decode(e.Payload)
	if err != nil || o.AttestationResult == nil {
		return
	}
	switch {
	case o.AttestationResult.Verdict != order.VerdictAccepted:
		l.session.refused(now, strings.Join(o.AttestationResult.Reasons, ", "))
	case l.recovering():
		l.session.detail = "in recovery no result accepts"
		l.session.rest(now)
	default:
		civil, _ := l.clock.Civil()
		l.session.accepted(now, o.NotAfter.Sub(civil))
		l.result = fingerprint(envelope)
	}
}

// turned notes a change of the attestation's state.
func (l *loop) turned(now time.Duration) {
	state := l.session.state(now)
	if state == l.shown {
		return
	}
	l.shown, l.stateDue = state, true
	l.note(KindAttestation, Change{State: state, Detail: clip(l.session.why())})
	l.log.Info().Str("state", state).Str("detail", l.session.why()).Msg("attestation")
}
