package config

import (
	"fmt"
	"slices"
)

// check checks each document by itself and all against each other.
func (l *loader) check() {
	c := l.cfg
	profile, topics, policy, deployment := l.docs[KindProfile], l.docs[KindTopics], l.docs[KindPolicy], l.docs[KindDeployment]
	if profile != nil {
		profile.checkProfile(c.Profile)
		l.checkKinematics(profile, c.Profile)
	}
	if topics != nil {
		topics.checkTopics(c.Topics)
		topics.checkVendor(c)
	}
	if policy != nil {
		var robot *profileDocument
		if profile != nil {
			robot = &profileDocument{profile, c.Profile}
		}
		policy.checkPolicy(c.Policy, robot, c.Topics)
		l.checkPins(policy, c.Policy)
		l.checkSigned(policy, c.Policy)
	}
	if deployment != nil {
		l.checkDeployment(deployment, c.Deployment)
	}
	if profile != nil && topics != nil {
		profile.checkMapped(c.Profile, c.Topics)
		topics.checkFrames(c.Profile, c.Topics)
		topics.checkJointNames(c.Profile, c.Topics)
		topics.checkGateJoints(c.Profile, c.Topics)
	}
	if policy != nil && topics != nil {
		policy.checkAgainstTopics(topics, c.Policy, c.Topics)
		policy.checkCommandersMapped(topics, c.Policy, c.Topics)
	}
	if topics != nil {
		topics.checkFacts(policy, c.Topics, c.Profile, c.Policy)
	}
	if policy != nil && profile != nil {
		policy.checkAgainstProfile(c.Policy, c.Profile)
	}
	if deployment != nil && topics != nil {
		topics.checkSelf(c.Topics, c.Deployment, c.Profile)
	}
	if deployment != nil {
		deployment.checkBus(c.Deployment, c.Profile)
	}
	if topics != nil && profile != nil {
		topics.checkNames(c.Topics, c.Profile.Bus)
	}
	if deployment != nil && policy != nil {
		deployment.checkAgainstPolicy(policy, c.Deployment, c.Policy)
		deployment.checkCommandKeys(policy, c.Deployment, c.Policy)
	}
}

// checkPins compares the digests that the policy was written for with those of the documents.
func (l *loader) checkPins(d *document, p *Policy) {
	for _, pin := range []struct {
		key, kind string
		want      Digest
	}{{"profile", KindProfile, p.Pins.Profile}, {"topics", KindTopics, p.Pins.Topics}} {
		other := l.docs[pin.kind]
		if other == nil || pin.want == (Digest{}) && !d.clean("pins") || other.digest == pin.want {
			continue
		}
		where := at("pins", pin.key)
		d.about(where.find(d.root), where, Problem{
			Rule: "pin-mismatch", Expected: "the digest of the " + pin.kind + " that is loaded, " + other.digest.String(), Found: pin.want.String(),
			Hint:    "if the change to that document is meant, review it, put its digest here and sign the policy anew",
			Example: pin.key + `: "` + other.digest.String() + `"`,
		})
	}
}

// checkSigned compares the policy document with the signed set around it.
func (l *loader) checkSigned(d *document, p *Policy) {
	s := l.signed
	if s == nil {
		return
	}
	hint := "sign the policy anew"
	if s.Revision != p.Revision && p.Revision > 0 {
		d.wrong(at("revision"), "signed-set", fmt.Sprintf("the set's sequence (%d)", s.Revision), fmt.Sprint(p.Revision), hint)
	}
	if s.Pins.Profile != p.Pins.Profile && d.clean("pins") {
		d.wrong(at("pins", "profile"), "signed-set",
			"the set's digest ("+s.Pins.Profile.String()+")", p.Pins.Profile.String(), hint)
	}
	if s.Pins.Topics != p.Pins.Topics && d.clean("pins") {
		d.wrong(at("pins", "topics"), "signed-set", "the set's digest ("+s.Pins.Topics.String()+")", p.Pins.Topics.String(), hint)
	}
}

// checkMapped reports what the profile needs and the mapping does not have.
func (d *document) checkMapped(p *Profile, t *Topics) {
	have := map[string]bool{
		"joints": t.Joints != nil, "imu": t.IMU != nil, "battery": t.Battery != nil,
		"cameras": len(t.Cameras) > 0, "microphones": len(t.Microphones) > 0,
	}
	for i, input := range p.RequiredInputs {
		if mapped, known := have[input]; known && !mapped {
			d.wrong(at("required_inputs", i), "unmapped", input+" in the topic mapping", "a mapping without it",
				"map it, or do not require it")
		}
	}
	if p.Motion.Standstill.IMU != nil && t.IMU == nil {
		d.wrong(at("motion", "standstill", "imu"), "unmapped", "imu in the topic mapping", "a mapping without it",
			"standstill could not be confirmed by it")
	}
	if p.Motion.Standstill.Joints != nil && t.Joints == nil {
		d.wrong(at("motion", "standstill", "joints"), "unmapped", "joints in the topic mapping", "a mapping without it",
			"standstill could not be confirmed by them")
	}
	d.checkFallMapped(p, t)
	d.checkPostureMapped(p, t)
	needs := map[string]struct {
		key    string
		mapped bool
	}{
		RungLock: {"lock", t.Lock != nil}, RungService: {"services.stop", t.Services.Stop != nil}, RungDockService: {"services.dock", t.Services.Dock != nil},
		RungTopic: {"estop", t.EStop != nil},
	}
	for i, r := range p.Ladder {
		if n, ok := needs[r.Kind]; ok && !n.mapped {
			d.wrong(at("stop_ladder", i, "kind"), "unmapped", n.key+" in the topic mapping", "a mapping without it",
				"this rung could not do anything")
		}
	}
}

func (d *document) checkFrames(p *Profile, t *Topics) {
	if t.TF == nil || len(t.TF.Chain) == 0 || p.Body.BaseFrame == "" {
		return
	}
	last := len(t.TF.Chain) - 1
	if frame := t.TF.Chain[last]; frame != p.Body.BaseFrame && frame != "" {
		d.wrong(at("tf", "chain", last), "chain", p.Body.BaseFrame+", the profile's base_frame", frame,
			"the chain leads from the map to the base")
	}
}

// checkAgainstTopics compares floors, channels and dock with the mapping.
func (d *document) checkAgainstTopics(topics *document, p *Policy, t *Topics) {
	floors := names(p.Floors, func(f Floor) string { return f.ID })
	mapped := map[string]bool{t.Floor.Fixed: true}
	if d.clean("floors") {
		if f := t.Floor.Fixed; f != "" && !slices.Contains(floors, f) {
			topics.unknownName(at("floor", "fixed"), f, floors, "the policy's floors")
		}
		for key, list := range map[string][]FloorName{"values": t.Floor.Values, "frames": t.Floor.Frames} {
			for i, n := range list {
				mapped[n.Floor] = true
				if n.Floor != "" && !slices.Contains(floors, n.Floor) {
					topics.unknownName(at("floor", key, i, "floor"), n.Floor, floors, "the policy's floors")
				}
			}
		}
		for i, f := range floors {
			if !mapped[f] && topics.clean("floor") {
				d.warn(at("floors", i, "id"), "unused", "a floor that the topic mapping knows", f, "the robot can never be on it")
			}
		}
	}
	endpoints := names(t.Heartbeats, func(h Heartbeat) string { return h.Endpoint })
	for i, c := range p.Channels {
		if c.Endpoint != "" && !slices.Contains(endpoints, c.Endpoint) && topics.clean("heartbeats") {
			d.unknownName(at("channels", i, "endpoint"), c.Endpoint, endpoints, "the topic mapping's heartbeats")
		}
	}
	for i, e := range endpoints {
		if e != "" && !slices.ContainsFunc(p.Channels, func(c Channel) bool { return c.Endpoint == e }) && d.clean("channels") {
			topics.warn(at("heartbeats", i, "endpoint"), "unused", "a channel of the policy with this endpoint", "none",
				"nothing happens when it falls silent")
		}
	}
	d.checkCommandChannels(topics, p, t)
	if slices.ContainsFunc(t.Commands, func(c CommandIn) bool { return c.Dock }) {
		return
	}
	for i, tr := range p.Triggers {
		if tr.Constraint != nil && tr.Constraint.Motion == "dock-only" {
			d.wrong(at("triggers", i, "constraint", "motion"), "unmapped", "a command input with dock: true in the topic mapping", "none",
				"the robot would only hold")
		}
	}
}

// checkCommandChannels compares what is demanded of channels with those that there are.
func (d *document) checkCommandChannels(topics *document, p *Policy, t *Topics) {
	commands := names(t.Commands, func(c CommandIn) string { return c.Channel })
	for i, c := range p.CommandChannels {
		j := slices.Index(commands, c.Channel)
		switch {
		case c.Channel == "" || !topics.clean("commands"):
		case j < 0:
			d.unknownName(at("command_channels", i, "channel"), c.Channel, commands, "the topic mapping's command channels")
		case c.LostAfter > 0 && c.LostAfter <= t.Commands[j].Deadline:
			d.wrong(at("command_channels", i, "lost_after"), ruleOrder, "more than the channel's deadline ("+shortDuration(t.Commands[j].Deadline)+")",
				shortDuration(c.LostAfter), "one late command is no loss")
		}
	}
}

// checkAgainstProfile compares limits and stops with what the robot can do.
func (d *document) checkAgainstProfile(p *Policy, profile *Profile) {
	d.checkBodyNames(p, profile)
	for i, z := range p.Zones {
		if v := profile.Motion.MaxSpeedMPS; z.MaxSpeedMPS > v && v > 0 {
			d.warn(at("zones", i, "max_speed_mps"), "no-effect", "less than the robot's max_speed_mps ("+trimFloat(v)+")", trimFloat(z.MaxSpeedMPS),
				"this limit changes nothing for this robot")
		}
	}
	if p.StopCategory != 1 {
		return
	}
	if !profile.Rest.BalanceElsewhere {
		d.wrong(at("stop_category"), "power-cut", "2 while the profile's rest.balance_elsewhere is false", "1",
			"without power this robot cannot keep its balance")
	} else if !slices.ContainsFunc(profile.Ladder, func(r Rung) bool { return r.StopCategory == 1 }) {
		d.wrong(at("stop_category"), "power-cut", "2, or a rung of category 1 in the profile", "1",
			"no rung of this robot removes power")
	}
}

// checkAgainstPolicy compares serial number and keys with the policy.
func (d *document) checkAgainstPolicy(policy *document, p *Deployment, pol *Policy) {
	serials := names(pol.Robots, func(r RobotRoles) string { return r.Serial })
	if p.Serial != "" && !slices.Contains(serials, p.Serial) && policy.clean("robots") {
		d.unknownName(at("serial"), p.Serial, serials, "the policy's robots")
	}
	for i, c := range pol.Channels {
		if c.Endpoint != "" && !slices.ContainsFunc(p.HeartbeatKeys, func(k HeartbeatKey) bool { return k.Endpoint == c.Endpoint }) && d.clean("heartbeat_keys") {
			policy.wrong(at("channels", i, "endpoint"), ruleUnknownName, "a key for this endpoint among the deployment's heartbeat_keys", c.Endpoint,
				"without its key, nobody can prove to be this endpoint")
		}
	}
	for i, k := range p.HeartbeatKeys {
		if k.Endpoint != "" && !slices.ContainsFunc(pol.Channels, func(c Channel) bool { return c.Endpoint == k.Endpoint }) && policy.clean("channels") {
			d.warn(at("heartbeat_keys", i, "endpoint"), "unused", "a channel of the policy with this endpoint", "none",
				"delete the key if it is not needed")
		}
	}
}
