package verifier

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// wants reports whether a challenge has asked for a log with this digest. What comes of the log of files is known once the evidence
// names it, or not at all: a piece that somebody else has sent is another than the claims name.
func (o *opened) wants(name, sum string) bool {
	if at, ok := evidence.IMAOffset(name); ok {
		from, asked := evidence.IMAAsked(o.challenge.Logs)
		return asked && at >= from && at-from < evidence.MaxIMAParts*evidence.MaxLog
	}
	return slices.Contains(o.challenge.Logs, name) && o.logs[name] == sum
}

// storedAs is the name under which a log is kept: of the log of files, one piece in each of a few places.
func storedAs(name string) string {
	if at, ok := evidence.IMAOffset(name); ok {
		return evidence.IMAPart(at / evidence.MaxLog % evidence.MaxIMAParts)
	}
	return name
}

// gather adds the logs that the claims name, and names those that are needed, named, and not there.
func (v *Verifier) gather(robot string, in *Input, e *evidence.Evidence) (waiting []string, err error) {
	have, err := StoredLogs(v.store, robot, &e.Claims)
	if err != nil {
		return nil, err
	}
	names := in.References.logs()
	if in.References.IMA != nil {
		for _, at := range e.Claims.IMAParts() {
			names = append(names, evidence.IMAPart(at))
		}
	}
	for _, name := range names {
		want := e.Claims.Log(name)
		if data := have[name]; data != nil && digest(data) == want {
			in.Logs[name] = data
		} else if want != "" {
			waiting = append(waiting, name)
		}
	}
	return waiting, nil
}

// StoredLogs are the logs of a robot that a store has, by the names that its claims give them; whether they are those that the
// claims name, their digests say.
func StoredLogs(store Store, robot string, c *evidence.Claims) (map[string][]byte, error) {
	out := map[string][]byte{}
	names := []string{evidence.LogFirmware, evidence.LogMeasured}
	for _, at := range c.IMAParts() {
		names = append(names, evidence.IMAPart(at))
	}
	for _, name := range names {
		data, err := store.Log(robot, storedAs(name))
		if err != nil {
			return nil, err
		}
		if _, piece := evidence.IMAOffset(name); piece && c.Log(name) == digest(nil) {
			data = []byte{} // The kernel has read nothing since, and nothing is sent.
		}
		if data != nil {
			out[name] = data
		}
	}
	return out, nil
}

// conclude makes the judgement durable, then signs it, unless it is not finished.
func (v *Verifier) conclude(now time.Time, robot string, message []byte, in *Input, out *Outcome, e *evidence.Evidence) error {
	a := out.Appraisal
	next := a.Next
	next.Evidence, next.Verdict, next.Codes, next.At = e.SHA256, a.Verdict, a.IDs(), now.UTC().Format(stampMS)
	if !a.Partial() {
		next.Results++
	}
	if err := v.store.Advance(robot, in.State, next); err != nil {
		return fmt.Errorf("no result is signed: %w", err)
	}
	if err := v.store.SaveEvidence(robot, message, in.Challenge); err != nil {
		return fmt.Errorf("no result is signed: %w", err)
	}
	if a.Partial() {
		return nil
	}
	result, err := v.result(now, e, a)
	if err != nil {
		return fmt.Errorf("signing the result: %w", err)
	}
	out.Result = result
	return nil
}

// result signs an appraisal for the robot's guard.
func (v *Verifier) result(now time.Time, e *evidence.Evidence, a *Appraisal) ([]byte, error) {
	var id [16]byte
	if _, err := io.ReadFull(v.cfg.Random, id[:]); err != nil {
		return nil, fmt.Errorf("drawing an id: %w", err)
	}
	ids := a.IDs()
	reason := "the robot runs what it shall run"
	if a.Verdict == order.VerdictRefused {
		reason = "refused for " + strings.Join(ids, ", ")
	}
	from := now.UTC().Truncate(time.Second)
	return order.Sign(&order.Order{
		Kind: order.KindAttestationResult, ID: hex.EncodeToString(id[:]), Audience: []string{e.Claims.Robot},
		NotBefore: from.Add(-early), NotAfter: from.Add(v.cfg.ResultLife.Truncate(time.Second)),
		Binding: order.Binding{BootID: e.Claims.BootID, Nonce: e.Claims.GuardNonce}, Reason: reason[:min(len(reason), order.MaxReason)],
		AttestationResult: &order.AttestationResult{Verdict: a.Verdict, Tier: e.Claims.Tier, EvidenceSHA256: e.SHA256, Reasons: ids},
	}, v.cfg.Key)
}
