package verifier

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// Input is all that a judgement rests on.
type Input struct {
	// Robot and References are what the robot was enrolled with.
	Robot      *Enrolment
	References *References
	// State is what is known from before; the zero value for a robot's first evidence.
	State State
	// Evidence is the message as it was sent.
	Evidence []byte
	// Challenge is the open challenge that the evidence claims to answer, nil if there is none. Replayed says that there
	// was one and that it has been answered.
	Challenge *order.Challenge
	Replayed  bool
	// Made is when the challenge was made, in ms since 1970; 0 where that is not known.
	Made uint64
	// Recorded judges evidence that lies on a disk: whether it was fresh is not asked, and noted.
	Recorded bool
	// Now is the verifier's time: it decides about values that are allowed until a moment. They are not at the zero time.
	Now time.Time
	// Logs are the logs that the verifier has, by name.
	Logs map[string][]byte
}

// appraisal is a judgement under way.
type appraisal struct {
	Input
	Appraisal
	off      Code // Reasons with this code are not seen: tests set it, and who asks only what the robot has started.
	e        *evidence.Evidence
	firmware *eventlog.Log
	measured *eventlog.Measured
}

// Appraise judges evidence. It reads no clock and changes nothing.
func Appraise(in Input) (*Appraisal, *evidence.Evidence) { return appraise(in, "") }

func appraise(in Input, off Code) (*Appraisal, *evidence.Evidence) {
	return appraiseWith(&appraisal{Input: in, off: off})
}

func appraiseWith(a *appraisal) (*Appraisal, *evidence.Evidence) {
	a.Next = a.State
	// A check that returns false ends the judgement: what comes after it would be about an attacker's words.
	for _, check := range []func(*appraisal) bool{
		(*appraisal).checkForm, (*appraisal).checkKey, (*appraisal).checkSubject, (*appraisal).checkNonce, (*appraisal).checkTier, (*appraisal).checkRecovery,
		(*appraisal).checkQuote, (*appraisal).checkSelection, (*appraisal).checkLearning, (*appraisal).checkLogs, (*appraisal).checkIMA, (*appraisal).checkPCRs, (*appraisal).checkEvents, (*appraisal).checkFiles,
		(*appraisal).checkClaims, (*appraisal).checkRejected, (*appraisal).checkContinuity,
	} {
		if !check(a) {
			break
		}
	}
	a.Verdict = order.VerdictAccepted
	if len(a.Reasons) > 0 {
		a.Verdict = order.VerdictRefused
	}
	return &a.Appraisal, a.e
}

// refuse records a reason and reports whether it is seen.
func (a *appraisal) refuse(code Code, subject, expected, found, remedy string) bool {
	return a.refuseValue(code, subject, expected, found, remedy, nil)
}

// refuseValue records a reason that is about one value of a file or a claim.
func (a *appraisal) refuseValue(code Code, subject, expected, found, remedy string, v *value) bool {
	if code == a.off {
		return false
	}
	a.Reasons = append(a.Reasons, Reason{Code: code, Subject: subject, Expected: expected, Found: found, Remedy: remedy, value: v})
	return true
}

// checkForm reads the evidence.
func (a *appraisal) checkForm() bool {
	e, err := evidence.Parse(a.Evidence)
	if err != nil {
		a.refuse(Malformed, "", "evidence as attest/evidence/FORMAT.md describes it", err.Error(), "compare the versions of robot and verifier")
		return false
	}
	a.e = e
	return true
}

// checkKey checks the robot's own signature. Nothing in the evidence is believed before.
func (a *appraisal) checkKey() bool {
	if err := a.e.Verify(a.Robot.Identity.Key); err != nil {
		if k := a.Robot.Identity.Recovery; k != nil && a.e.Verify(k) == nil {
			a.Appraisal.Recovery = true
			return true
		}
		return !a.refuse(WrongDeviceKey, "", "a signature by the key that "+a.Robot.Identity.Robot+" was enrolled with", err.Error(),
			"if the robot has a new TPM or a new software key, enrol it again; otherwise somebody else speaks in its name, perhaps from a copy of its disk")
	}
	return true
}

// checkSubject checks that the evidence is about this robot, and this boot of it.
func (a *appraisal) checkSubject() bool {
	if found, want := a.e.Claims.Robot, a.Robot.Identity.Robot; found != want {
		return !a.refuse(OtherRobot, "", want, found, "give each robot its own serial number and its own keys")
	}
	if c := a.Challenge; c != nil && c.BootID != a.e.Claims.BootID {
		a.refuse(OtherBoot, "", "boot "+c.BootID+", which said hello", "boot "+a.e.Claims.BootID, "let the robot say hello again after a restart")
	}
	return true
}

// checkNonce checks that the evidence is fresh: it answers a challenge that is open.
func (a *appraisal) checkNonce() bool {
	found := fmt.Sprintf("nonce %x", a.e.Claims.Nonce)
	switch {
	case a.Recorded && a.Challenge == nil:
		a.Notes = append(a.Notes, "freshness")
	case a.Replayed:
		a.refuse(Replayed, "", "an answer to an open challenge", found+", which has been answered",
			"if the broker delivers twice, nothing; otherwise look who records and sends again")
	case a.Challenge == nil:
		a.refuse(StaleNonce, "", "an answer to an open challenge", found+", which is none of them",
			"let the robot say hello again; compare the clocks if it answers late")
	default:
		want, err := evidence.Nonce(a.Challenge)
		if err != nil || want != a.e.Claims.Nonce {
			a.refuse(StaleNonce, "", "nonce "+a.Challenge.Nonce, found, "let the robot say hello again")
		}
	}
	a.Authentic = len(a.Reasons) == 0 && a.Challenge != nil
	return true
}

// checkTier demands what the robot was enrolled with: a robot with a TPM must not get by without it.
func (a *appraisal) checkTier() bool {
	found := a.e.Claims.Tier
	for _, want := range []order.Tier{a.Robot.Identity.Tier, a.References.Tier} {
		if found != want {
			return !a.refuse(WrongTier, "", "evidence of tier "+string(want), "tier "+string(found),
				"check that the agent may open the TPM; if the robot has changed for good, enrol it again")
		}
	}
	return true
}

// checkRecovery refuses what the robot's recovery has signed, whatever it shows: that is for people, and loosens nothing. What comes after
// is judged all the same, and says what to do. A record that was made before the robot's key was bound knows the recovery's key as the robot's
// own: then the robot's signed word says what it is.
func (a *appraisal) checkRecovery() bool {
	remedy := "if the robot is to run what it runs, approve the state (verifier approve) and send the robot the approval; otherwise bring back what it ran before"
	if a.Robot.Identity.Recovery == nil {
		remedy = "the robot's key is bound by now, and its record here is from before: enrol it again with both keys (ca identity, verifier enrol --replace)"
	}
	if a.Appraisal.Recovery || a.e.Claims.Recovery {
		a.Appraisal.Recovery = true
		a.refuse(Recovery, "", "a signature by the robot's own key, which is bound to approved states", "one by its recovery: the key does not sign in the state that the robot is in", remedy)
	}
	return true
}

// checkQuote checks the TPM's word with the enrolled attestation key.
func (a *appraisal) checkQuote() bool {
	if a.e.Quote == nil {
		return true
	}
	ak, err := a.Robot.ak()
	if err != nil {
		a.refuse(WrongAK, "", "an enrolled attestation key", err.Error(), "enrol the robot again")
		return false
	}
	data := a.e.QualifyingData(a.e.Claims.Nonce)
	info, err := tpm.VerifyQuote(ak.Key(), tpm.Quote(*a.e.Quote), data[:])
	if err != nil {
		return !a.refuseQuote(err)
	}
	if want := ak.EndorsementSigner(); !bytes.Equal(info.QualifiedSigner, want) {
		return !a.refuse(WrongAK, "", fmt.Sprintf("a quote by %x, the enrolled key in the endorsement hierarchy", want),
			fmt.Sprintf("one by %x", info.QualifiedSigner), "let the robot's own agent make the attestation key, then enrol it again")
	}
	a.TPM = &info
	return true
}

// refuseQuote says what is wrong with a quote.
func (a *appraisal) refuseQuote(err error) bool {
	switch {
	case errors.Is(err, tpm.ErrSignature), errors.Is(err, tpm.ErrKey):
		return a.refuse(WrongAK, "", "a quote by the attestation key that the robot was enrolled with", err.Error(),
			"if the robot has a new TPM, enrol it again; otherwise its claims come with another machine's quote")
	case errors.Is(err, tpm.ErrQualifyingData):
		return a.refuse(ClaimsSwapped, "", "a quote over this challenge and these claims", err.Error(),
			"somebody between agent and TPM puts parts together that do not belong to each other: examine the robot")
	case errors.Is(err, tpm.ErrPCRDigest), errors.Is(err, tpm.ErrPCRSelection):
		return a.refuse(PCRDigest, "", "the values that the TPM has quoted", err.Error(), "somebody has changed the values beside the quote: examine the robot")
	}
	return a.refuse(QuoteMalformed, "", "a TPM's quote", err.Error(), "compare the versions of robot and verifier; the attestation key has signed something else")
}

// checkSelection demands exactly the PCRs that the reference values name.
func (a *appraisal) checkSelection() bool {
	if a.e.Quote == nil {
		return true
	}
	for _, p := range a.References.PCRs {
		if _, ok := a.e.Quote.PCRs[p.PCR]; !ok {
			a.refuse(PCRMissing, strconv.Itoa(p.PCR), "a quote of PCR "+strconv.Itoa(p.PCR), fmt.Sprintf("one of PCRs %v", sortedPCRs(a.e.Quote)),
				"let the robot say hello again; the reference values may have changed meanwhile")
		}
	}
	for _, n := range sortedPCRs(a.e.Quote) {
		if !slices.ContainsFunc(a.References.PCRs, func(p PCRRule) bool { return p.PCR == n }) {
			a.refuse(PCRUnasked, strconv.Itoa(n), "a quote of the PCRs that the reference values name", "PCR "+strconv.Itoa(n)+" as well",
				"let the robot say hello again; the reference values may have changed meanwhile")
		}
	}
	return true
}

// checkLearning ends the judgement while nothing is known to judge by.
func (a *appraisal) checkLearning() bool {
	if !a.References.Learning {
		return true
	}
	a.refuse(NotLearned, "", "reference values for this kind of robot", "none: "+a.References.Name+" is being learned",
		"learn them from this evidence, look through them, and put them in force")
	a.checkContinuity()
	return false
}

func sortedPCRs(q *evidence.Quote) []int { return slices.Sorted(maps.Keys(q.PCRs)) }

// checkContinuity compares the evidence with what the robot has proven before, and remembers it if it goes on from there.
func (a *appraisal) checkContinuity() bool {
	prev, c := a.State, &a.e.Claims
	before := len(a.Reasons)
	if a.Recorded && prev.BootID == "" {
		a.Notes = append(a.Notes, "continuity")
	}
	if a.wasOvertaken() {
		return a.overtaken("evidence made after what was judged last, at "+prev.At, "older evidence, for a challenge of before")
	}
	if a.TPM != nil && prev.BootID != "" {
		a.checkTPM(prev, a.TPM, prev.BootID == c.BootID)
	}
	if prev.BootID == c.BootID && prev.GuardNonce == c.GuardNonce {
		switch {
		case c.Journal.Seq < prev.JournalSeq:
			a.refuse(JournalWentBack, "", fmt.Sprintf("record %d or later", prev.JournalSeq), fmt.Sprintf("record %d", c.Journal.Seq),
				"the guard has not restarted, so its journal cannot be shorter: examine the robot")
		case c.Journal.Seq == prev.JournalSeq && c.Journal.Digest != prev.JournalDigest:
			a.refuse(JournalForked, "", prev.JournalDigest+" at record "+strconv.FormatUint(prev.JournalSeq, 10), c.Journal.Digest,
				"a record that was proven has been changed: examine the robot")
		}
	}
	if len(a.Reasons) > before || (a.e.Quote != nil && a.TPM == nil) {
		return true
	}
	a.Next.BootID, a.Next.GuardNonce = c.BootID, c.GuardNonce
	a.Next.JournalSeq, a.Next.JournalDigest = c.Journal.Seq, c.Journal.Digest
	if a.TPM != nil {
		a.Next.ResetCount, a.Next.RestartCount, a.Next.ClockMS = a.TPM.ResetCount, a.TPM.RestartCount, a.TPM.Clock
	}
	return true
}

// wasOvertaken says whether evidence is merely late: its challenge was open already when the one that was judged last was, and it was
// made before that one. Whatever was asked since then must go on from there, and so must a journal, which tells no two tales.
func (a *appraisal) wasOvertaken() bool {
	prev, c := a.State, &a.e.Claims
	judged, err := time.Parse(time.RFC3339Nano, prev.At)
	switch {
	case !a.Authentic || prev.BootID == "" || prev.BootID != c.BootID || prev.GuardNonce != c.GuardNonce || err != nil || a.Made == 0:
		return false
	case a.Made >= millis(judged) || ahead(a.Now, millis(judged)): // Or the verifier's clock has gone back since.
		return false
	case c.Journal.Seq == prev.JournalSeq && c.Journal.Digest != prev.JournalDigest:
		return false
	case a.e.Quote == nil:
		return c.Journal.Seq < prev.JournalSeq
	}
	return a.TPM != nil && a.TPM.ResetCount == prev.ResetCount && a.TPM.RestartCount == prev.RestartCount && a.TPM.Clock < prev.ClockMS
}

// overtaken ends the judgement about evidence that is the robot's own and of no use any more: nothing is signed, and the robot asks again.
func (a *appraisal) overtaken(expected, found string) bool {
	a.Authentic, a.Overtaken = false, true
	return !a.refuse(Replayed, "", expected, found, "nothing: the robot asks again")
}

// checkTPM compares the TPM's counters with those of before. A kernel that is started without a reset of the TPM keeps
// the PCRs of the kernel before it; a TPM that is reset under a running kernel can be told anything anew.
func (a *appraisal) checkTPM(prev State, now *tpm.Info, sameBoot bool) {
	resets := func(n uint32) string { return fmt.Sprintf("%d resets", n) }
	const examine = "examine the robot: neither happens in ordinary use"
	switch {
	case now.ResetCount < prev.ResetCount:
		a.refuse(ResetCountWentBack, "", resets(prev.ResetCount)+" or more", resets(now.ResetCount),
			"the TPM's state was put back, or was cleared: enrol the robot again if somebody has cleared it")
	case now.ResetCount > prev.ResetCount && sameBoot:
		a.refuse(ResetWithinBoot, "", resets(prev.ResetCount)+" as before in this boot", resets(now.ResetCount), examine)
	case now.ResetCount > prev.ResetCount:
	case !sameBoot:
		a.refuse(BootWithoutReset, "", "more than "+resets(prev.ResetCount)+" with another boot id", resets(now.ResetCount),
			"restart the robot by its firmware, not by kexec: the PCRs are still those of the kernel before")
	case now.RestartCount < prev.RestartCount:
		a.refuse(RestartCountWentBack, "", fmt.Sprintf("%d restarts or more", prev.RestartCount), fmt.Sprintf("%d", now.RestartCount), examine)
	case now.RestartCount == prev.RestartCount && now.Clock < prev.ClockMS:
		a.refuse(ClockWentBack, "", fmt.Sprintf("%d ms or later", prev.ClockMS), fmt.Sprintf("%d ms", now.Clock), examine)
	}
}
