package courier

import (
	"encoding/hex"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/evidencelog"
)

// watch notices evidence that is worth a checkpoint of its own.
func (l *loop) watch(log string, e *entry) {
	if log == evidencelog.Guard && isSafety(log, e.kind) && l.welcome != nil && evidencelog.FormatBoot(e.pos.BootID) == l.welcome.BootID {
		l.wanted = max(l.wanted, e.pos.Seq)
	}
}

// checkpoint signs the guard's head. A checkpoint is itself evidence, so that only other evidence asks for the next one at
// once; without any, one a minute shows that the robot is there.
func (l *loop) checkpoint(now time.Duration) {
	h, id := l.head, l.identity.Load()
	if l.signing || id == nil || l.recovering() || l.welcome == nil || h.EvidenceSeq == 0 || h == l.signedHead || now-l.signedAt < checkEvery && l.signedAt > 0 {
		return
	}
	news := l.wanted > l.signedHead.EvidenceSeq && h.EvidenceSeq >= l.wanted
	if !news && l.signedAt > 0 && now-l.signedAt < checkAtLeast {
		return
	}
	boot, err := evidencelog.ParseBoot(h.BootID)
	digest, bad := hex.DecodeString(h.Digest)
	evidence, worse := hex.DecodeString(h.Evidence)
	if err != nil || bad != nil || worse != nil {
		return
	}
	message := checkpointSigned(evidencelog.Guard, boot, h.Seq, digest, evidence)
	l.signing = l.try(func() func() {
		signature, err := id.sign(message)
		return func() { l.signed(h, id, signature, err) }
	})
	if l.signing {
		l.signedAt, l.signedHead = now, h
	}
}

// signed records a checkpoint and returns it to the guard.
func (l *loop) signed(h contract.Head, id *identity, signature []byte, err error) {
	l.signing = false
	if err != nil {
		l.log.Error().Err(err).Msg("a checkpoint could not be signed")
		return
	}
	l.note(KindCheckpoint, Checkpoint{
		Log: evidencelog.Guard, BootID: h.BootID, Seq: h.Seq, Digest: h.Digest, Evidence: h.Evidence,
		KeyID: id.keyID, Tier: string(id.tier), Signature: signature,
	})
	if f, err := contract.New(0, &contract.Checkpoint{
		Log: evidencelog.Guard, BootID: h.BootID, Seq: h.Seq, Digest: h.Digest, Evidence: h.Evidence, KeyID: id.keyID, Signature: signature,
	}); err == nil && l.welcome != nil {
		l.frame(f)
	}
}
