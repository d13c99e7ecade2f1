package guard

import (
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/envelope"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// This file says who may command the robot: what a channel demands of its commanders, beside what the bus says of them.

// CommanderParams is what the policy demands of whoever commands over one channel.
type CommanderParams struct {
	// Proven is true if each command has to prove its sender by an envelope; Proof sets up the watch then.
	Proven bool
	Proof  interlock.ProofConfig
	// Least is the weakest identity that counts.
	Least msg.Strength
	// Reason says why no proof is demanded; Unstated is true where the policy says nothing about the channel.
	Reason   string
	Unstated bool
	// Session is true if commands pass only while a session of control is open for the channel.
	Session bool
}

// MaxChannels is the largest number of command inputs, as the topic mapping has them.
const MaxChannels = 16

// proofReasons is what an envelope's verdict means to the core; a test holds it to be total.
var proofReasons = [msg.NumProofVerdicts]interlock.ProofReason{
	msg.ProofAbsent:       interlock.ProofMissing,
	msg.ProofAuthentic:    interlock.ProofAccepted,
	msg.ProofMalformed:    interlock.ProofMalformed,
	msg.ProofOversize:     interlock.ProofOversize,
	msg.ProofUnknownKey:   interlock.ProofUnknownKey,
	msg.ProofWrongRobot:   interlock.ProofWrongRobot,
	msg.ProofWrongBoot:    interlock.ProofWrongBoot,
	msg.ProofWrongTopic:   interlock.ProofWrongTopic,
	msg.ProofWrongCode:    interlock.ProofWrongCode,
	msg.ProofWrongContent: interlock.ProofWrongContent,
}

// proof gives the watch a proof in its own terms.
func proof(p *msg.Proof) interlock.Proof {
	out := interlock.Proof{Found: interlock.ProofMalformed, Key: p.Key, Challenge: p.Challenge, Seq: p.Seq}
	if p.Verdict < msg.NumProofVerdicts {
		out.Found = proofReasons[p.Verdict]
	}
	return out
}

// newProofs makes the watches of the channels that demand a proof, nil for the others.
func newProofs(channels []ChannelParams) ([]*interlock.ProofWatch, error) {
	out := make([]*interlock.ProofWatch, len(channels))
	for i := range channels {
		if !channels[i].Proven {
			continue
		}
		var err error
		if out[i], err = interlock.NewProofWatch(channels[i].Proof); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sender says why this sender may not command over the channel, [interlock.GatePassed] if it may. It uses the command's proof
// up, so it is asked once for each.
func (c *Core) sender(ev *Event) interlock.GateReason {
	boot, channel, h := ev.Boot, ev.Command.Channel, &ev.Command.Header
	if channel < 0 || channel >= len(c.params.Channels) {
		return interlock.GatePassed // There is no such channel, which the gate says.
	}
	p := &c.params.Channels[channel]
	known := msg.StrengthUnknown
	if h.Peer != nil {
		known = h.Peer.Strength
		if c.Proven(h.Peer.ID) {
			known = max(known, msg.ProcessBound)
		}
	}
	if w := c.proofs[channel]; w != nil {
		q := proof(&h.Proof)
		if w.Check(boot, &q) != interlock.ProofAccepted {
			return interlock.GateUnproven
		}
		known = msg.Authenticated
	}
	if known < p.Least {
		c.weak = badCommand{boot, interlock.Fault(interlock.CauseTooWeak, uint16(channel+1))} //nolint:gosec // at most MaxChannels
		return interlock.GateWeak
	}
	return interlock.GatePassed
}

// commanderConditions says whether somebody commands who may not.
func (c *Core) commanderConditions(boot time.Duration, set *[interlock.NumTriggers]interlock.Condition) {
	worst := interlock.OK()
	for _, w := range c.proofs {
		if w != nil {
			worst = interlock.Worse(worst, w.Condition(boot))
		}
	}
	if w := &c.weak; w.condition.State == interlock.Present && boot-w.boot < badCommandHold {
		worst = interlock.Worse(worst, w.condition)
	}
	set[interlock.CommandUnproven] = worst
}

// askCommanders says which channels are due for a challenge.
func (c *Core) askCommanders(boot time.Duration, fx *Effects) {
	for i, w := range c.proofs {
		if w != nil && w.Due(boot) {
			fx.CommandChallenge |= 1 << i
		}
	}
}

// CommanderStatus is how one channel's commanders prove themselves.
type CommanderStatus struct {
	Channel string `json:"channel"`
	// Authenticity is "required", or "none" where commands prove nothing.
	Authenticity string `json:"authenticity"`
	// Warning says it plainly where they do not.
	Warning string `json:"warning,omitempty"`
	// Reason is the policy's for demanding none.
	Reason string `json:"reason,omitempty"`
	// Strength is the weakest identity that counts.
	Strength string `json:"strength"`
	// Session is "required" where a session of control has to be open.
	Session string `json:"session,omitempty"`
	// Counts says how many commands met each reason, of those that any met.
	Counts map[string]uint64 `json:"counts,omitempty"`
	// LastRefusal is why the last command without proof was refused.
	LastRefusal string `json:"last_refusal,omitempty"`
}

func (c *Core) commanderStatus() []CommanderStatus {
	var out []CommanderStatus
	for i, w := range c.proofs {
		p := &c.params.Channels[i]
		s := CommanderStatus{Channel: p.Name, Authenticity: "none", Reason: p.Reason, Strength: max(p.Least, msg.Claimed).String()}
		if p.Session {
			s.Session = "required"
		}
		if w == nil {
			s.Warning = config.NoAuthenticity
		}
		if p.Unstated {
			s.Reason = "the policy does not say"
		}
		if w != nil {
			s.Authenticity, s.Strength, s.Counts = "required", msg.Authenticated.String(), map[string]uint64{}
			for r, n := range w.Counts() {
				if n > 0 {
					s.Counts[interlock.ProofReason(r).String()] = n //nolint:gosec // an enumeration
				}
			}
			if last := w.Last(); last != interlock.ProofAccepted {
				s.LastRefusal = last.String()
			}
		}
		out = append(out, s)
	}
	return out
}

// Envelopes are the openers of the channels that demand a proof, by the channel's number, nil for the others.
type Envelopes []*envelope.Opener

// commandChallenge draws a fresh challenge for a channel's commanders, tells the core and sends the line, in this order:
// so no command can answer what the core does not know.
func (g *Guard) commandChallenge(channel int, value [16]byte) {
	ev := g.begin(EventCommandChallenge)
	if !g.opt.Core.proofs[channel].Due(ev.Boot) {
		g.mu.Unlock()
		return // Another goroutine saw the same and was quicker.
	}
	ev.Challenge = Challenge{Endpoint: channel, Value: value}
	g.finish()
	g.hbMu.Lock()
	defer g.hbMu.Unlock()
	g.line = g.opt.Envelopes[channel].AppendChallenge(g.line[:0], value)
	g.opt.Sink.CommandChallenge(channel, g.line)
}
