package config

import (
	"fmt"
	"slices"
	"time"
)

// What a policy may say about the authenticity of a channel's commands.
const (
	// AuthenticityRequired lets a command pass only with an envelope that proves who sent it.
	AuthenticityRequired = "required"
	// AuthenticityNone takes the bus's word for it.
	AuthenticityNone = "none"
)

// ChallengeTopic is where the guard tells the challenges for a command input whose commanders have to prove themselves.
func ChallengeTopic(topic string) string { return topic + "/robowarden_challenge" }

// Commander is what the policy demands of whoever commands over one channel of the topic mapping.
type Commander struct {
	// Channel is the channel of one of the mapping's commands.
	Channel string `cfg:"channel" form:"id" eg:"channel: planner"`
	// Authenticity required lets a command pass only in an envelope that proves who sent it; none says so, with a reason.
	Authenticity string `cfg:"authenticity" enum:"required|none" eg:"authenticity: required"`
	// Reason is required where authenticity is none, and shown wherever the robot's state is.
	Reason string `cfg:"reason,optional" len:"8..256" eg:"reason: the planner of this vendor cannot sign its commands"`
	// Keys are the names of the keys that may command this way, as in the deployment's command_keys.
	Keys []string `cfg:"keys,optional" len:"1..4" form:"id" eg:"keys: [planner]"`
	// ChallengePeriod is how often the guard draws a fresh challenge; the default is 1 s.
	ChallengePeriod time.Duration `cfg:"challenge_period,optional" range:"[100ms,10s]" default:"1s" eg:"challenge_period: 1s"`
	// ChallengeLifetime is how long one may be answered, and so the most by which anybody can hold back a command; two to
	// eight periods, the default is 4 s.
	ChallengeLifetime time.Duration `cfg:"challenge_lifetime,optional" range:"[200ms,80s]" default:"4s" eg:"challenge_lifetime: 4s"`
	// Session required lets commands pass only while a signed session of control is open for the channel, for operator, fleet
	// and vendor channels; none, or absent, takes them whenever they come.
	Session string `cfg:"session,optional" enum:"required|none" eg:"session: required"`
	// Strength is the weakest identity of a sender that counts: claimed by itself, source-bound by the bus, process-bound by
	// the mapping's processes and the steward, authenticated by its key.
	Strength string `cfg:"strength" enum:"claimed|source-bound|process-bound|authenticated" eg:"strength: authenticated"`
}

// Commander returns what the policy demands of a channel's commanders, nil where it says nothing about them.
func (p *Policy) Commander(channel string) *Commander {
	for i := range p.Commanders {
		if p.Commanders[i].Channel == channel {
			return &p.Commanders[i]
		}
	}
	return nil
}

// Proven says whether commands of the channel have to come in envelopes.
func (p *Policy) Proven(channel string) bool {
	c := p.Commander(channel)
	return c != nil && c.Authenticity == AuthenticityRequired
}

// CommandKey names the file with one commander's key.
type CommandKey struct {
	// Key is its name in the policy's commanders.
	Key string `cfg:"key" form:"id" eg:"key: planner"`
	// File holds the key as 64 hexadecimal digits; only its owner may read it (mode 0600 or 0400).
	File string `cfg:"file" form:"path" eg:"file: planner.key"`
}

// checkCommanders checks what the types cannot say about commanders.
func (d *document) checkCommanders(p *Policy) {
	d.unique("commanders", "channel", names(p.Commanders, func(c Commander) string { return c.Channel }))
	for i := range p.Commanders {
		c := &p.Commanders[i]
		where := func(key string) *path { return at("commanders", i, key) }
		switch c.Authenticity {
		case AuthenticityNone:
			if c.Reason == "" {
				d.wrong(at("commanders", i), "missing-reason", "a reason beside authenticity: none", "nothing",
					`say why anybody who gets onto the bus as this publisher may command the robot: reason: "…"`)
			}
			if len(c.Keys) > 0 {
				d.wrong(where("keys"), "no-effect", "no keys beside authenticity: none", fmt.Sprint(c.Keys), "demand the proof, or delete the keys")
			}
			if c.Strength == "authenticated" {
				d.wrong(where("strength"), "unreachable", "authenticity: required beside strength: authenticated", AuthenticityNone,
					"without an envelope nobody on this channel is authenticated")
			}
		case AuthenticityRequired:
			if len(c.Keys) == 0 {
				d.wrong(at("commanders", i), "missing-key", "keys: one to four names beside authenticity: required", "nothing",
					"without a key nobody could command this way: keys: ["+c.Channel+"]")
			}
			if c.Reason != "" {
				d.wrong(where("reason"), "no-effect", "no reason beside authenticity: required", c.Reason, "delete it")
			}
		}
		for j, k := range c.Keys {
			if slices.Contains(c.Keys[:j], k) {
				d.wrong(where("keys").item(j), "duplicate", "each key once", k, "delete it")
			}
		}
		if least, most := 2*c.ChallengePeriod, 8*c.ChallengePeriod; c.ChallengePeriod > 0 && (c.ChallengeLifetime < least || c.ChallengeLifetime > most) {
			d.wrong(at("commanders", i), ruleOrder, "a challenge_lifetime of two to eight challenge_periods, "+shortDuration(least)+" to "+shortDuration(most),
				shortDuration(c.ChallengeLifetime), "one lost challenge must not silence a commander, and a recorded command must not live long")
		}
	}
}

// NoAuthenticity is how check, lint and the robot's state name a channel whose commands prove nothing.
const NoAuthenticity = "commands are unauthenticated"

// ruleUnauthenticated is the rule of that finding.
const ruleUnauthenticated = "unauthenticated"

// warnUnauthenticated says of each channel that the policy lets anybody command who can speak in the commander's name.
func (d *document) warnUnauthenticated(t *Topics) {
	for _, c := range t.Commands {
		d.warn(at("commanders"), ruleUnauthenticated, "what whoever commands over channel "+c.Channel+" has to prove", "nothing: "+NoAuthenticity,
			"demand the proof, or say why not: {channel: "+c.Channel+`, authenticity: none, strength: source-bound, reason: "…"}`)
	}
}

// checkCommandersMapped compares commanders with the mapping: who states one channel states all.
func (d *document) checkCommandersMapped(topics *document, p *Policy, t *Topics) {
	if !topics.clean("commands") {
		return
	}
	if len(p.Commanders) == 0 {
		if d.clean("commanders") {
			d.warnUnauthenticated(t)
		}
		return
	}
	channels := names(t.Commands, func(c CommandIn) string { return c.Channel })
	for i, c := range p.Commanders {
		if c.Channel != "" && !slices.Contains(channels, c.Channel) {
			d.unknownName(at("commanders", i, "channel"), c.Channel, channels, "the topic mapping's commands")
		}
	}
	for _, ch := range channels {
		if p.Commander(ch) == nil && d.clean("commanders") {
			d.wrong(at("commanders"), "unstated", "an entry for every channel of the mapping", "none for "+ch,
				`demand the proof, or say why not: {channel: `+ch+`, authenticity: none, strength: source-bound, reason: "…"}`)
		}
	}
	for i := range p.Commanders {
		k := &p.Commanders[i]
		at0 := slices.IndexFunc(t.Commands, func(c CommandIn) bool { return c.Channel == k.Channel })
		if k.Session == AuthenticityRequired && at0 >= 0 && t.Commands[at0].Kind == "autonomy" {
			d.wrong(at("commanders", i, "session"), "no-effect", "session: required for an operator, fleet or vendor channel", "an autonomy channel",
				"sessions are for whoever commands from outside the robot")
		}
	}
	for i, c := range t.Commands {
		if k := p.Commander(c.Channel); k != nil && k.Authenticity == AuthenticityRequired && c.MaxBytes < leastEnveloped {
			topics.wrong(at("commands", i, "max_bytes"), ruleOrder, fmt.Sprintf("at least %d bytes for commands in envelopes", leastEnveloped), fmt.Sprint(c.MaxBytes),
				"the envelope alone has 104 bytes and the array around it 12")
		}
	}
}

// leastEnveloped has room for a velocity in an envelope.
const leastEnveloped = 256

// checkCommandKeys compares the deployment's keys with the policy's commanders.
func (d *document) checkCommandKeys(policy *document, p *Deployment, pol *Policy) {
	have := names(p.CommandKeys, func(k CommandKey) string { return k.Key })
	used := map[string]bool{}
	for i, c := range pol.Commanders {
		for j, k := range c.Keys {
			if used[k] = true; k != "" && !slices.Contains(have, k) && d.clean("command_keys") {
				policy.wrong(at("commanders", i, "keys", j), ruleUnknownName, "a file for this key among the deployment's command_keys", k,
					"without its key, nobody can prove to be this commander")
			}
		}
	}
	for i, k := range have {
		if k != "" && !used[k] && policy.clean("commanders") {
			d.warn(at("command_keys", i, "key"), "unused", "a commander of the policy with this key", "none", "delete the key if it is not needed")
		}
	}
}
