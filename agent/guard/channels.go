package guard

import (
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// This file gives interlock's watches of command channels and of the base what they look at, and passes on what they say.

// arrive tells a channel's watch of a command, before the decision that the command meets.
func (c *Core) arrive(ev *Event) interlock.ArrivalMark {
	m := ev.Command
	if m.Channel < 0 || m.Channel >= len(c.health) || m.Peer == nil || m.Peer.Strength == msg.StrengthUnknown {
		return interlock.ArrivalNew // the gate drops it for its own reason
	}
	return c.health[m.Channel].Arrive(&interlock.Arrival{
		Received: ev.Boot, Civil: ev.Civil, Peer: m.Peer.ID, Seq: m.Seq, Stamp: m.Stamp, Frame: frameDigest(m.Frame),
		Moving: m.Twist != msg.Twist{},
	})
}

// frameDigest tells frames apart: FNV-1a, 0 for none.
func frameDigest(frame string) uint64 {
	if frame == "" {
		return 0
	}
	h := uint64(0xcbf29ce484222325)
	for i := range len(frame) {
		h = (h ^ uint64(frame[i])) * 0x100000001b3
	}
	return max(h, 1)
}

// takeRefusal tells a channel's watch of a sender that the bus turned away for what it sends.
func (c *Core) takeRefusal(ev *Event) {
	p := &ev.Peer
	if p.Input < 0 || p.Input >= len(c.health) || !p.Gated {
		return
	}
	switch p.Change {
	case PeerMismatch:
		c.health[p.Input].Refuse(ev.Boot, interlock.CauseWrongType)
	case PeerMalformed:
		c.health[p.Input].Refuse(ev.Boot, interlock.CauseMalformed)
	case PeerConnected, PeerGone, PeerRefused, PeerAttack, PeerConflict:
	}
}

// watchChannels asks the watches how channels and base are.
func (c *Core) watchChannels(boot time.Duration) {
	for i, h := range c.health {
		c.healthStatus[i] = h.Status(boot)
	}
	v := &c.body.velocity
	c.followStatus = c.follow.Step(boot, &interlock.FollowInput{
		Told: c.told, Seen: c.body.seen&InputOdometry != 0, Received: v.boot, MPS: v.speed(), RadPS: v.wz,
	})
}

// healthConditions joins what the watches of all channels say.
func (c *Core) healthConditions(set *[interlock.NumTriggers]interlock.Condition) {
	degraded, lost, hostile := interlock.OK(), interlock.OK(), interlock.OK()
	join := func(s *interlock.ChannelStatus) {
		degraded, lost, hostile = interlock.Worse(degraded, s.Degraded), interlock.Worse(lost, s.Lost), interlock.Worse(hostile, s.Hostile)
	}
	// A trigger names one channel. What is wrong with the dock's commander must not stand behind another's fault: it decides
	// whether the robot may still be driven to the dock.
	dock := int(c.dockChannel()) - 1
	if dock >= 0 && dock < len(c.healthStatus) && !c.healthStatus[dock].Stranger() {
		join(&c.healthStatus[dock])
	}
	for i := range c.healthStatus {
		join(&c.healthStatus[i])
	}
	set[interlock.ChannelDegraded], set[interlock.ChannelLost], set[interlock.ChannelHostile] = degraded, lost, hostile
}

// channelName is what the number of a channel means: heartbeats and commands are numbered by themselves.
func (c *Core) channelName(t interlock.Trigger, n int) string {
	switch t {
	case interlock.CommandInvalid, interlock.ChannelDegraded, interlock.ChannelLost, interlock.ChannelHostile:
		if n < len(c.params.Channels) {
			return c.params.Channels[n].Name
		}
	default:
		if n < len(c.params.HeartbeatNames) {
			return c.params.HeartbeatNames[n]
		}
	}
	return ""
}

// commandStatus names the command channels.
func (c *Core) commandStatus() []CommandStatus {
	out := make([]CommandStatus, 0, len(c.health))
	for i := range c.health {
		h := c.healthStatus[i]
		s := CommandStatus{
			Name: c.params.Channels[i].Name, Kind: c.params.Channels[i].Kind.String(), Health: h.Health.String(),
			SilentS: -1, JitterMS: milliseconds(h.Jitter), LossRatio: float64(h.LossPerMille) / 1000,
		}
		if h.Cause != interlock.CauseNone {
			s.Cause = h.Cause.Text()
		}
		if h.Heard {
			s.SilentS = h.Silent.Seconds()
		}
		if h.Period > 0 {
			s.RateHz = 1 / h.Period.Seconds()
		}
		if h.Timed {
			latency, skew := milliseconds(h.Latency), milliseconds(h.Skew)
			s.LatencyMS, s.SkewMS = &latency, &skew
		}
		out = append(out, s)
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
