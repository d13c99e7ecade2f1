package guard

import (
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// take stores what the event says.
func (c *Core) take(ev *Event) {
	switch ev.Kind {
	case EventTick:
		c.tick, c.tickBoot = ev.Tick, ev.Boot
		c.loopFault = c.loop.Observe(ev.Boot-ev.Tick.Late, ev.Tick.Late)
		c.clockFault = c.clock.Observe(ev.Boot, ev.Civil)
	case EventPose:
		c.body.takePose(ev.Pose, ev.Boot, &c.params.Pose)
		if c.params.Pose.OdometryIsPose {
			c.body.takeVelocity(ev.Pose, ev.Boot)
		}
	case EventSecondPose:
		c.body.takeSecond(ev.Pose, ev.Boot, &c.params.Pose)
	case EventOdometry:
		c.body.takeVelocity(ev.Pose, ev.Boot)
	case EventTransform:
		if c.chain.put(ev.Transform, ev.Boot) {
			c.chain.pose(&c.composed)
			c.body.takePose(&c.composed, c.composed.Boot, &c.params.Pose)
		}
	case EventJoints:
		c.body.takeJoints(ev.Joints, ev.Boot, &c.params.Joints)
		c.takePosture(ev.Joints, ev.Boot)
		c.down.takeJoints(ev)
		c.demands.takeMeasured(ev.Joints, ev.Boot, &c.params.Joints)
	case EventIMU:
		c.body.takeIMU(ev.IMU, ev.Boot)
		c.takeLean(ev.IMU, ev.Boot)
	case EventDevice:
		c.body.takeDevice(ev.Device, ev.Boot)
		if k := ev.Device.Kind; k == msg.Camera || k == msg.Microphone {
			c.privacy.take(ev.Device, ev.Boot)
		} else if k == msg.Heat {
			c.down.takeHeat(ev)
		}
	case EventFloor:
		c.body.setFloor(ev.Floor)
	case EventCommand:
		// A stranger's command says nothing about how well the channel works: else whoever can send rubbish to it could hold
		// the robot by much of it.
		c.refused, c.mark = c.sender(ev), interlock.ArrivalNew
		if c.refused == interlock.GatePassed {
			c.mark = c.arrive(ev)
		}
	case EventEnd:
		c.ending = true
	default:
		c.takeFact(ev)
	}
}

// takeFact stores what does not come from the robot's sensors.
func (c *Core) takeFact(ev *Event) {
	switch ev.Kind {
	case EventGraph:
		for i := range c.watches {
			c.watches[i].takeGraph(ev)
		}
		c.body.seen |= InputGraph
	case EventPeer:
		if ev.Peer.Change == PeerAttack || ev.Peer.Change == PeerConflict {
			c.attacks++
		}
		if ev.Peer.Change == PeerConflict && ev.Peer.Input < 0 {
			c.conflict = ev.Boot
		}
		for i := range c.watches {
			c.watches[i].takePeer(ev.Boot, &ev.Peer)
		}
		c.trust.takePeer(&ev.Peer, c.params.Processes)
		c.takeRefusal(ev)
	case EventLock:
		for i := range c.watches {
			c.watches[i].takeLock(ev)
		}
	case EventChallenge:
		if i := ev.Challenge.Endpoint; i < len(c.beats) {
			// A challenge that cannot be issued is one too many: the endpoint answers an older one.
			_ = c.beats[i].Issue(ev.Boot, ev.Challenge.Value)
		}
	case EventCommandChallenge:
		if i := ev.Challenge.Endpoint; i < len(c.proofs) && c.proofs[i] != nil {
			// As above: commanders answer older ones, and those run out.
			_ = c.proofs[i].Issue(ev.Boot, ev.Challenge.Value)
		}
	case EventAnswer:
		if i := ev.Answer.Endpoint; i < len(c.beats) {
			level := interlock.LevelRun
			if ev.Answer.Stop {
				level = interlock.LevelStop
			}
			c.beats[i].Answer(ev.Boot, ev.Answer.Value, ev.Answer.Valid, level)
		}
	case EventAck:
		c.takeAck(&ev.Ack)
	case EventOrder:
		c.obey(ev)
	case EventAttestation:
		c.trust.takeAttestation(ev.Boot, &ev.Attestation)
	case EventSession:
		c.trust.takeSession(&ev.Session)
	case EventFact:
		c.takeBusFact(ev.Boot, &ev.Fact)
	case EventProcess:
		c.trust.takeProcess(&ev.Process, c.params.Processes)
	case EventHost:
		c.host.take(ev.Boot, &ev.Host)
	case EventRecorders:
		c.privacy.fact, c.privacy.told = ev.Recorders, ev.Boot
	case EventArtifact:
		c.trust.takeArtifact(&ev.Artifact, c.params.Artifacts)
	case EventActuator, EventInput:
		c.devices.take(ev)
	case EventCommissioned:
		c.commissioned = ev.Commissioned
	case EventAge:
		c.age.take(ev.Age)
	default:
	}
}
