package evidence

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

// Code says why a robot does not answer a challenge.
type Code string

// The codes. Those of [order.Reason] come as well, for challenges that no verifier has signed.
const (
	// OtherRobot means that another robot is asked.
	OtherRobot Code = "other-robot"
	// OtherBoot means that another boot of this robot is asked.
	OtherBoot Code = "other-boot"
	// ChallengeExpired means that the time for an answer is surely over.
	ChallengeExpired Code = "challenge-expired"
	// ChallengeTooLong means that the time for an answer ends suspiciously late.
	ChallengeTooLong Code = "challenge-too-long"
	// Answered means that the challenge has been answered.
	Answered Code = "answered"
	// TooMany means that challenges come faster than they are answered.
	TooMany Code = "too-many"
	// NoPCRs means that the verifier asks a robot with a TPM for no PCR at all.
	NoPCRs Code = "no-pcrs"
)

// Refusal is why a robot does not answer a challenge.
type Refusal struct {
	// Code is stable, for logs and tests.
	Code Code
	// Detail says what was expected and found, Remedy what a person can do.
	Detail, Remedy string
	// Err is the cause below, or nil.
	Err error
}

// Error gives code, detail and remedy in one line.
func (r *Refusal) Error() string {
	s := string(r.Code) + ": " + r.Detail
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	if r.Remedy != "" {
		s += " (" + r.Remedy + ")"
	}
	return s
}

// Unwrap returns the cause below.
func (r *Refusal) Unwrap() error { return r.Err }

// CodeOf returns the code of a refusal, or "" when err is none.
func CodeOf(err error) Code {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

// Limits of what a robot answers.
const (
	// MaxChallengeLife is the longest time that a challenge may leave for the answer.
	MaxChallengeLife = 10 * time.Minute
	// AnswerEvery is the pace of answers, AnswerBurst how many may come at once: each costs the TPM a quote.
	AnswerEvery = 10 * time.Second
	// AnswerBurst is how many answers may come at once.
	AnswerBurst = 4
	// checkEvery and checkBurst bound what a flood of forged challenges may cost.
	checkEvery = 50 * time.Millisecond
	checkBurst = 40
	// remembered is more than can be answered within MaxChallengeLife, so no challenge is forgotten while it is valid.
	remembered = 2*int(MaxChallengeLife/AnswerEvery) + AnswerBurst
)

// Documents verifies signed documents; [order.Verifier] does.
type Documents interface {
	// VerifyDocument is [order.Verifier.VerifyDocument].
	VerifyDocument(now order.Times, payloadType string, role order.Role, envelope []byte) ([]byte, []order.Signer, error)
}

// Attester decides which challenges a robot answers. It does no I/O and reads no clock. It is not safe for concurrent
// use. What it has answered it forgets when the process ends; the verifier refuses a second answer in any case.
type Attester struct {
	robot, boot     string
	tier            order.Tier
	answers, checks bucket
	answered        []string // Nonces, oldest first.
}

// NewAttester returns the attester of one robot in one boot.
func NewAttester(robot, bootID string, tier order.Tier) (*Attester, error) {
	switch {
	case !order.IsRobotID(robot):
		return nil, fmt.Errorf("attester: robot: found %q: expected \"manufacturer/serial\"", clip(robot))
	case !isBootID(bootID):
		return nil, fmt.Errorf("attester: boot id: found %q: expected a lower-case UUID", clip(bootID))
	case tier != order.TierTPM && tier != order.TierSoftwareKey:
		return nil, fmt.Errorf("attester: tier: found %q: expected %q or %q", clip(string(tier)), order.TierTPM, order.TierSoftwareKey)
	}
	return &Attester{
		robot: robot, boot: bootID, tier: tier,
		answers: bucket{every: AnswerEvery, burst: AnswerBurst}, checks: bucket{every: checkEvery, burst: checkBurst},
	}, nil
}

// Accept decides whether to answer a challenge, at a civil time and a time since boot. What it accepts it accepts once:
// a robot that then fails to answer waits for the next challenge. Every refusal is a [Refusal].
func (a *Attester) Accept(now order.Times, sinceBoot time.Duration, docs Documents, envelope []byte) (*order.Challenge, error) {
	if !a.checks.take(sinceBoot) {
		return nil, refuse(TooMany, "look who floods the challenge topic", "more than %d challenges at once, or one each %s", checkBurst, checkEvery)
	}
	payload, _, err := docs.VerifyDocument(now, order.ChallengeType, order.RoleVerifier, envelope)
	var c *order.Challenge
	if err == nil {
		c, err = order.DecodeChallenge(payload)
	}
	if err != nil {
		return nil, &Refusal{Code: Code(order.ReasonOf(err)), Detail: "no verifier's challenge", Err: err}
	}
	if err := a.judge(now, c); err != nil {
		return nil, err
	}
	if !a.answers.take(sinceBoot) {
		return nil, refuse(TooMany, "let the verifier ask less often", "more than %d challenges at once, or one each %s", AnswerBurst, AnswerEvery)
	}
	if len(a.answered) == remembered {
		a.answered = slices.Delete(a.answered, 0, 1)
	}
	a.answered = append(a.answered, c.Nonce)
	return c, nil
}

// judge decides whether a genuine challenge is for this robot, now, and new.
func (a *Attester) judge(now order.Times, c *order.Challenge) error {
	// An answer that comes too late is worth nothing to the verifier, who keeps the deadline; so a robot that knows the time
	// only roughly refuses what is surely over, and answers the rest.
	earliest := now.Civil.Add(-now.Uncertainty)
	switch {
	case c.Robot != a.robot:
		return refuse(OtherRobot, "check the broker's topics and access list", "the challenge is for %s: this is %s", c.Robot, a.robot)
	case c.BootID != a.boot:
		return refuse(OtherBoot, "say hello again", "the challenge is for boot %s: this is boot %s", c.BootID, a.boot)
	case !earliest.Before(c.NotAfter):
		return refuse(ChallengeExpired, "compare the clocks of verifier and robot", "the challenge ended at %s: it is %s, give or take %s",
			c.NotAfter.Format(time.RFC3339), now.Civil.UTC().Format(time.RFC3339), now.Uncertainty)
	case c.NotAfter.Sub(now.Civil) > MaxChallengeLife+now.Uncertainty:
		return refuse(ChallengeTooLong, "compare the clocks of verifier and robot", "the challenge ends at %s: expected at most %s from now, %s",
			c.NotAfter.Format(time.RFC3339), MaxChallengeLife, now.Civil.UTC().Format(time.RFC3339))
	case slices.Contains(a.answered, c.Nonce):
		return refuse(Answered, "", "the challenge of session %s has been answered", c.Session)
	case a.tier == order.TierTPM && len(c.PCRs) == 0:
		return refuse(NoPCRs, "enrol the robot with its tier at the verifier", "the challenge asks for no PCR, and this robot has a TPM")
	}
	return nil
}

func refuse(code Code, remedy, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Remedy: remedy, Detail: fmt.Sprintf(format, args...)}
}

// bucket lets burst through at once and one more each time.
type bucket struct {
	every time.Duration
	burst int
	full  time.Duration // When the bucket is full again.
}

// take takes one, if there is one. A clock that goes back gives nothing.
func (b *bucket) take(now time.Duration) bool {
	next := max(b.full, now) + b.every
	if next-now > b.every*time.Duration(b.burst) {
		return false
	}
	b.full = next
	return true
}
