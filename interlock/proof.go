package interlock

import (
	"fmt"
	"time"
)

const (
	// MaxProofKeys is the largest number of keys of one channel.
	MaxProofKeys = 4
	// MaxProofLeap is how far a sequence may leap: a bus may lose a few seconds of commands, no commander counts further.
	MaxProofLeap = 4096
	// proofWindow is how many of a key's newest sequence numbers are remembered one by one.
	proofWindow = 64
	// proofChallenges is how many challenges are remembered, those that count no longer included: enough to tell a late
	// command from one of a challenge that was never issued.
	proofChallenges = 16
	// proofHold is for how long a command without proof counts as the condition of its channel: less than the trigger's
	// start delay, so that a single one does nothing.
	proofHold = 90 * time.Millisecond
)

// ProofReason says why a command proves, or does not prove, who sent it.
type ProofReason uint8

// Reasons. The first ones the caller finds, by looking at the command's envelope alone.
const (
	// ProofAccepted means that a rightful commander sent this very command, now, and for the first time.
	ProofAccepted ProofReason = iota
	// ProofMissing means that the command came without an envelope.
	ProofMissing
	// ProofMalformed means that what came is no envelope.
	ProofMalformed
	// ProofOversize means that the envelope is larger than the channel takes.
	ProofOversize
	// ProofUnknownKey means that the channel has no such key.
	ProofUnknownKey
	// ProofWrongRobot means that it is for another robot.
	ProofWrongRobot
	// ProofWrongBoot means that it is for another boot.
	ProofWrongBoot
	// ProofWrongTopic means that it is for another topic.
	ProofWrongTopic
	// ProofWrongCode means that the authentication code is wrong.
	ProofWrongCode
	// ProofWrongContent means that the code is right and the command cannot be read.
	ProofWrongContent
	// ProofUnknownChallenge means that the guard never issued the challenge, or long ago.
	ProofUnknownChallenge
	// ProofExpired means that the challenge's lifetime is over: the command was held back, or its commander is deaf.
	ProofExpired
	// ProofSuperseded means that the key has answered a newer challenge already.
	ProofSuperseded
	// ProofReplayed means that the command came before, or is too old to tell.
	ProofReplayed
	// ProofReordered means that the command is new, and that a later one has been taken already.
	ProofReordered
	// ProofLeap means that the sequence leaps further than any commander counts.
	ProofLeap
	// NumProofReasons is the number of reasons.
	NumProofReasons
)

// proofTable holds name and cause of each reason. It is never written to.
var proofTable = [NumProofReasons]struct {
	name  string
	cause Cause
}{
	ProofAccepted:         {"accepted", CauseNone},
	ProofMissing:          {"no envelope", CauseNoEnvelope},
	ProofMalformed:        {"malformed envelope", CauseBadEnvelope},
	ProofOversize:         {"oversized envelope", CauseBadEnvelope},
	ProofUnknownKey:       {"unknown key", CauseUnknownKey},
	ProofWrongRobot:       {"for another robot", CauseMisdirected},
	ProofWrongBoot:        {"for another boot", CauseReplayedCommand},
	ProofWrongTopic:       {"for another topic", CauseMisdirected},
	ProofWrongCode:        {"wrong authentication code", CauseWrongCode},
	ProofWrongContent:     {"authentic and unreadable", CauseBadEnvelope},
	ProofUnknownChallenge: {"unknown challenge", CauseReplayedCommand},
	ProofExpired:          {"expired challenge", CauseHeldBack},
	ProofSuperseded:       {"superseded challenge", CauseHeldBack},
	ProofReplayed:         {"replayed", CauseReplayedCommand},
	ProofReordered:        {"overtaken by a later one", CauseHeldBack},
	ProofLeap:             {"sequence leaps", CauseSequenceLeap},
}

// String names the reason.
func (r ProofReason) String() string {
	if r >= NumProofReasons {
		return "unknown"
	}
	return proofTable[r].name
}

// Proof is what one command's envelope says and what the caller found about it.
type Proof struct {
	// Found is ProofAccepted if robot, boot, topic, key and authentication code are right, else why not.
	Found ProofReason
	// Key is the key's number, from 1.
	Key uint8
	// Challenge is the one that the commander answers, Seq its counter under it, from 1.
	Challenge Nonce
	Seq       uint64
}

// ProofConfig sets up a ProofWatch.
type ProofConfig struct {
	// Subject is the channel's number, from 1.
	Subject uint16
	// Keys is the number of the channel's keys, 1 to MaxProofKeys.
	Keys int
	// Period is how often a challenge is issued.
	Period time.Duration
	// Lifetime is how long after its issue a command may answer a challenge: the most by which anybody can hold back a
	// command. At least two periods, at most half of what is remembered.
	Lifetime time.Duration
}

// keyWindow is what one key has used up under the newest challenge that it answered.
type keyWindow struct {
	// challenge is its serial number, 0 before the first; high is the largest sequence taken, seen has bit i set for high-i.
	challenge uint64
	high      uint64
	seen      uint64
}

// ProofWatch judges the commands of one channel that have to prove who sent them. A command counts once, in the order of
// its sequence, under a challenge that this guard issued lately: so whatever was recorded before, in this boot or in one
// before it, is worth nothing, and what is held back is worth nothing after the challenge's lifetime. It draws no random
// bytes and computes no code: the caller does both. It is not safe for use by several goroutines.
type ProofWatch struct {
	cfg ProofConfig
	// nonces and issuedAt are the newest challenges; that with serial number n is at n%proofChallenges. issued is the newest.
	nonces   [proofChallenges]Nonce
	issuedAt [proofChallenges]time.Duration
	issued   uint64
	keys     [MaxProofKeys]keyWindow
	// bad is why the last command without proof was refused, at badAt, if any is true.
	any    bool
	bad    ProofReason
	badAt  time.Duration
	counts [NumProofReasons]uint64
}

// NewProofWatch returns a watch that takes nothing before the first challenge. Every fault of the configuration is a
// *ConfigError.
func NewProofWatch(cfg ProofConfig) (*ProofWatch, error) {
	c := checker{part: "proof"}
	c.duration("Period", cfg.Period)
	c.duration("Lifetime", cfg.Lifetime)
	if cfg.Keys < 1 || cfg.Keys > MaxProofKeys {
		c.bad("Keys", cfg.Keys, fmt.Sprintf("1 to %d", MaxProofKeys))
	}
	if cfg.Subject == 0 || cfg.Subject > MaxChannels {
		c.bad("Subject", cfg.Subject, fmt.Sprintf("a channel, 1 to %d", MaxChannels))
	}
	if least, most := 2*cfg.Period, proofChallenges/2*cfg.Period; cfg.Lifetime < least || cfg.Lifetime > most {
		c.bad("Lifetime", cfg.Lifetime, fmt.Sprintf("two to %d periods: %v to %v", proofChallenges/2, least, most))
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return &ProofWatch{cfg: cfg}, nil
}

// Due says whether a challenge is to be issued at now.
func (w *ProofWatch) Due(now time.Duration) bool {
	if w.issued == 0 {
		return true
	}
	last := w.issuedAt[w.issued%proofChallenges]
	return now < last || since(now, last) >= w.cfg.Period
}

// Issue takes up a challenge that goes out at now. On an error nothing is taken up.
func (w *ProofWatch) Issue(now time.Duration, nonce Nonce) error {
	if nonce == (Nonce{}) {
		return ErrNonceWeak
	}
	if _, known := w.find(nonce); known {
		return ErrNonceReused
	}
	w.issued++
	w.nonces[w.issued%proofChallenges], w.issuedAt[w.issued%proofChallenges] = nonce, now
	return nil
}

// find returns the serial number of a challenge that is remembered.
func (w *ProofWatch) find(nonce Nonce) (uint64, bool) {
	for n := w.issued; n > 0 && w.issued-n < proofChallenges; n-- {
		if w.nonces[n%proofChallenges] == nonce {
			return n, true
		}
	}
	return 0, false
}

// Check judges a command that arrived at now, and uses it up if it is accepted. It does not allocate.
func (w *ProofWatch) Check(now time.Duration, p *Proof) ProofReason {
	r := p.Found
	if r == ProofAccepted {
		r = w.judge(now, p)
	} else if r >= NumProofReasons {
		r = ProofMalformed
	}
	if w.counts[r]++; r != ProofAccepted {
		w.any, w.bad, w.badAt = true, r, now
	}
	return r
}

func (w *ProofWatch) judge(now time.Duration, p *Proof) ProofReason {
	if p.Key == 0 || int(p.Key) > w.cfg.Keys || p.Seq == 0 {
		return ProofUnknownKey
	}
	n, known := w.find(p.Challenge)
	if !known {
		return ProofUnknownChallenge
	}
	if at := w.issuedAt[n%proofChallenges]; now < at || since(now, at) > w.cfg.Lifetime {
		return ProofExpired
	}
	k := &w.keys[p.Key-1]
	var next keyWindow
	switch {
	case n < k.challenge:
		return ProofSuperseded
	case n == k.challenge:
		next = *k
	default:
		next.challenge = n
	}
	if p.Seq <= next.high {
		return next.again(p.Seq, k)
	}
	step := p.Seq - next.high
	if step > MaxProofLeap {
		return ProofLeap
	}
	next.seen = next.seen<<step | 1 // A shift by 64 or more gives 0.
	next.high = p.Seq
	*k = next
	return ProofAccepted
}

// again tells a command that came before from one that was overtaken; the latter is used up as well.
func (k *keyWindow) again(seq uint64, store *keyWindow) ProofReason {
	behind := k.high - seq
	if behind >= proofWindow || k.seen&(1<<behind) != 0 {
		return ProofReplayed
	}
	k.seen |= 1 << behind
	*store = *k
	return ProofReordered
}

// Condition is that of CommandUnproven for this channel at now.
func (w *ProofWatch) Condition(now time.Duration) Condition {
	if w.any && since(now, w.badAt) < proofHold {
		return Fault(proofTable[w.bad].cause, w.cfg.Subject)
	}
	return OK()
}

// Counts returns how many commands met each reason.
func (w *ProofWatch) Counts() [NumProofReasons]uint64 { return w.counts }

// Last returns why the last command without proof was refused, ProofAccepted if none was.
func (w *ProofWatch) Last() ProofReason { return w.bad }
