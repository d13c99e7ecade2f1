package agent

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
)

// factsGap is the least time between two takings of facts by the guard. What comes faster replaces what waits.
const factsGap = 50 * time.Millisecond

// facts keeps what steward and courier said last, with its lease on the boot clock, and hands the guard what is news to
// it: so a flood of facts is no flood of work.
type facts struct {
	guard interface {
		Session(guard.Session)
		Process(guard.Process)
		Recorders(guard.Recorders)
		Artifact(guard.Artifact)
	}
	boot  func() time.Duration
	peers *peerTable
	wake  chan struct{}

	mu        sync.Mutex
	processes map[uint32]contract.Process
	until     time.Duration // the end of the processes' lease
	session   contract.Session
	sessionAt time.Duration
	said      bool // session is set
	// devices is the newest fact about recording devices; the guard has not taken it yet while devicesNew is true.
	devices      contract.Devices
	devicesUntil time.Duration
	devicesNew   bool
	// artifacts is what the steward said last of each artifact, until the end of its lease.
	artifacts      map[string]contract.Artifact
	artifactsUntil time.Duration
	// demands names the artifacts that the policy demands, release the signed release in force; nil for neither.
	demands func() []guard.ArtifactDemand
	release func() *order.Release
	// failed is set by a failure that a later claim has replaced before the guard took it.
	failed bool

	// What the guard was told last; only run uses it.
	toldProcess  map[uint32]guard.Process
	toldSession  guard.Session
	toldArtifact map[string]guard.Artifact
}

func newFacts(boot func() time.Duration, peers *peerTable) *facts {
	return &facts{boot: boot, peers: peers, wake: make(chan struct{}, 1), toldProcess: map[uint32]guard.Process{}, toldArtifact: map[string]guard.Artifact{}}
}

// takeProcesses replaces the list of processes. Their lease begins now.
func (f *facts) takeProcesses(p *contract.Processes) {
	list := make(map[uint32]contract.Process, len(p.Processes))
	for _, q := range p.Processes {
		list[q.ID] = q
	}
	f.mu.Lock()
	f.processes, f.until = list, f.boot()+time.Duration(p.LeaseMS)*time.Millisecond
	f.mu.Unlock()
	f.rouse()
}

// takeDevices replaces what is known about recording devices. The lease begins now.
func (f *facts) takeDevices(v *contract.Devices) {
	f.mu.Lock()
	f.devices, f.devicesUntil, f.devicesNew = *v, f.boot()+time.Duration(v.LeaseMS)*time.Millisecond, true
	f.mu.Unlock()
	f.rouse()
}

// takeArtifacts replaces the list of artifacts. Their lease begins now.
func (f *facts) takeArtifacts(p *contract.Artifacts) {
	list := make(map[string]contract.Artifact, len(p.Artifacts))
	for _, q := range p.Artifacts {
		list[q.Name] = q
	}
	f.mu.Lock()
	f.artifacts, f.artifactsUntil = list, f.boot()+time.Duration(p.LeaseMS)*time.Millisecond
	f.mu.Unlock()
	f.rouse()
}

// handArtifacts tells the guard what is news about the artifacts that the policy demands, and renews leases in their second
// half.
func (f *facts) handArtifacts(now time.Duration) {
	if f.demands == nil || f.release == nil {
		return
	}
	f.mu.Lock()
	list, until := f.artifacts, f.artifactsUntil
	f.mu.Unlock()
	release := f.release()
	for _, d := range f.demands() {
		a := judgeArtifact(d.Name, release, nil, until)
		if q, ok := list[d.Name]; ok && until > now {
			a = judgeArtifact(d.Name, release, &q, until)
		}
		told, before := f.toldArtifact[d.Name]
		same := a
		same.Until = told.Until
		if before && same == told && a.Until-told.Until <= (told.Until-now)/2 && a.Until >= told.Until {
			continue
		}
		// Nothing said is what the guard takes for granted, and it takes nothing back of what was found wrong.
		if a.State == guard.ArtifactUnknown && a.Until == 0 && (!before || told.State == guard.ArtifactWrong) {
			continue
		}
		f.guard.Artifact(a)
		f.toldArtifact[d.Name] = a
	}
}

// content is what the steward says of artifacts, by name, while its lease lasts.
func (f *facts) content() []ContentStatus {
	f.mu.Lock()
	list, until := f.artifacts, f.artifactsUntil
	f.mu.Unlock()
	if until <= f.boot() {
		return nil
	}
	var out []ContentStatus
	for _, name := range slices.Sorted(maps.Keys(list)) {
		c := ContentStatus{Name: name, SHA256: list[name].SHA256, Why: list[name].Why}
		if c.SHA256 != "" {
			c.Kept, c.Why = c.Why, ""
		}
		out = append(out, c)
	}
	return out
}

// takeSession replaces the courier's claim.
func (f *facts) takeSession(s *contract.Session) {
	f.mu.Lock()
	f.session, f.sessionAt, f.said = *s, f.boot(), true
	f.failed = f.failed || s.State == contract.SessionFailed
	f.mu.Unlock()
	f.rouse()
}

func (f *facts) rouse() {
	select {
	case f.wake <- struct{}{}:
	default: // It will see the newest anyway.
	}
}

// run hands facts to the guard until ctx ends.
func (f *facts) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		}
		f.hand()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(factsGap):
		}
	}
}

// hand tells the guard what differs from what it was told, and renews leases in their second half.
func (f *facts) hand() {
	now := f.boot()
	f.mu.Lock()
	list, until := f.processes, f.until
	session, at, said, failed := f.session, f.sessionAt, f.said, f.failed
	f.failed = false
	devices, fresh := guard.Recorders{
		Open: uint16(min(f.devices.Total, 1<<16-1)), Complete: f.devices.Complete, Until: f.devicesUntil, //nolint:gosec // bounded
	}, f.devicesNew
	f.devicesNew = false
	f.mu.Unlock()
	if fresh {
		// Each one, since what was seen before the robot had to be private does not count.
		f.guard.Recorders(devices)
	}
	if said {
		f.handSession(now, session, at, failed)
	}
	f.handArtifacts(now)
	demanded := f.peers.demanded()
	for id := range f.toldProcess {
		if _, there := demanded[id]; !there {
			delete(f.toldProcess, id)
		}
	}
	for id := range demanded {
		p := guard.Process{ID: id} // One that is not in the list is not known any more.
		if q, ok := list[id]; ok {
			p = process(&q, until)
		}
		told, before := f.toldProcess[id]
		if before && p == told || !before && p.Until == 0 {
			continue
		}
		same := p
		same.Until = told.Until
		if before && same == told && p.Until-told.Until <= (told.Until-now)/2 && p.Until >= told.Until {
			continue
		}
		f.guard.Process(p)
		f.toldProcess[id] = p
	}
}

func (f *facts) handSession(now time.Duration, s contract.Session, at time.Duration, failed bool) {
	claim := guard.Session{Connected: s.Connected, Until: at + time.Duration(s.LeaseMS)*time.Millisecond}
	switch s.State {
	case contract.SessionAttesting:
		claim.State = guard.SessionAttesting
	case contract.SessionFailed:
		claim.State = guard.SessionFailed
	}
	if failed && claim.State != guard.SessionFailed {
		f.guard.Session(guard.Session{State: guard.SessionFailed, Connected: s.Connected, Until: claim.Until})
		f.toldSession = guard.Session{}
	}
	same := claim
	same.Until = f.toldSession.Until
	if same == f.toldSession && claim.Until-f.toldSession.Until <= (f.toldSession.Until-now)/2 && claim.Until >= f.toldSession.Until {
		return
	}
	f.guard.Session(claim)
	f.toldSession = claim
}

// process puts a fact into the guard's terms.
func process(q *contract.Process, until time.Duration) guard.Process {
	p := guard.Process{ID: q.ID, Found: q.Found, UID: uint32(q.UID), Unit: q.Unit, Until: until} //nolint:gosec // checked by the contract
	if raw, err := hex.DecodeString(q.ExeSHA256); err == nil && len(raw) == len(p.Exe) {
		p.HasExe = true
		copy(p.Exe[:], raw)
	}
	return p
}

// known returns what the steward says of a connection while its lease lasts.
func (f *facts) known(id uint32) (contract.Process, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.boot() >= f.until {
		return contract.Process{}, false
	}
	p, ok := f.processes[id]
	return p, ok
}

// recording returns the devices that the steward found open, while its lease lasts.
func (f *facts) recording() []contract.OpenDevice {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.boot() >= f.devicesUntil {
		return nil
	}
	return f.devices.Open
}

// claim returns what the courier says while its lease lasts.
func (f *facts) claim() (contract.Session, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.said || f.boot() >= f.sessionAt+time.Duration(f.session.LeaseMS)*time.Millisecond {
		return contract.Session{}, false
	}
	return f.session, true
}
