package agent

import (
	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
)

// openRoles prepares what steward and courier talk with.
func (a *Agent) openRoles(dep *config.Deployment) {
	a.facts = newFacts(a.clock.Boot, a.peers)
	a.facts.guard = a.guard
	a.facts.release = a.releases.current
	a.facts.demands = func() []guard.ArtifactDemand { _, p := a.current(); return p.Artifacts }
	a.heads = &headKeeper{
		dir: dep.Paths.JournalDir, boot: a.boot, state: a.state, log: a.log,
		durable: func() uint64 { return a.journal.Health().DurableSeq },
	}
	a.acks = &acknowledgements{robot: a.robot, boot: bootUUID(a.boot), verify: func(envelope []byte) ([]byte, error) {
		now, _ := a.orders.now()
		payload, _, err := a.orders.verifier.Load().VerifyDocument(now, order.AcknowledgementType, order.RoleConsumer, envelope)
		return payload, err
	}}
	a.roles = &roles{
		welcome: a.welcome, order: a.orders.apply, status: a.Status, facts: a.facts, peers: a.peers, log: a.log,
		head: a.heads.current, acknowledged: a.acks.take,
		recorders: a.recorders, counter: a.age.request, counted: a.age.take,
		keys: func() [][]byte { return a.orders.verifier.Load().Chain() },
		checkpoint: func(c *contract.Checkpoint, raw []byte) error {
			if err := a.heads.knows(c); err != nil {
				return err
			}
			a.guard.Note(guard.RecordCheckpoint, raw)
			return nil
		},
	}
	a.control = &control{
		path: dep.Paths.ControlSocket, users: newUsers(dep.Users, a.log), order: a.orders.apply, status: a.Status, trial: a.trial, roles: a.roles, log: a.log,
	}
}

// welcome tells a role which robot and run it talks with.
func (a *Agent) welcome() contract.Welcome {
	cfg, _ := a.current()
	return contract.Welcome{
		Robot: a.robot, BootID: bootUUID(a.boot), Nonce: a.nonce, Journal: cfg.Deployment.Paths.JournalDir,
		Policy: cfg.Digests.Policy.String(), Profile: cfg.Digests.Profile.String(), Topics: cfg.Digests.Topics.String(),
	}
}

// recorders are the device files that the steward has to look for: those of the profile, while the robot has to be private.
func (a *Agent) recorders() []string {
	cfg, _ := a.current()
	if len(cfg.Profile.Recorders) == 0 || !a.guard.Private() {
		return nil
	}
	return cfg.Profile.Recorders
}

// demands are the nodes behind which the mapping demands a process.
func demands(p *guard.Params) map[string]bool {
	out := map[string]bool{}
	for i := range p.Processes {
		out[p.Processes[i].Node] = true
	}
	return out
}
