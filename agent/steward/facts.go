package steward

import (
	"net/netip"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/hal/proc"
)

// Kinds of records in the steward's journal. Their payloads are JSON.
const (
	// RecordStart opens a run: [Start].
	RecordStart journal.Kind = 1
	// RecordProcess says what is known about the process behind a connection, when that has changed: [Fact].
	RecordProcess journal.Kind = 2
	// RecordGone says that the guard has a connection no more: the last [Fact] about it.
	RecordGone journal.Kind = 3
	// RecordGuard says that the guard's connection began or ended: [Guard].
	RecordGuard journal.Kind = 4
	// RecordSuppressed says that changes came too fast to be written: [Suppressed].
	RecordSuppressed journal.Kind = 5
	// RecordDevices says which recording devices are open while the robot has to be private, when that has changed:
	// [contract.Devices].
	RecordDevices journal.Kind = 6
	// RecordArtifact says which content of an artifact lies active, when that has changed: [contract.Artifact].
	RecordArtifact journal.Kind = 7
	// RecordTrial says what became of an artifact's trial: [Trial].
	RecordTrial journal.Kind = 8
)

// KindName is a record kind's name for people, empty for one that the steward does not write.
func KindName(k journal.Kind) string {
	switch k {
	case RecordStart:
		return "start"
	case RecordProcess:
		return "process"
	case RecordGone:
		return "connection-gone"
	case RecordGuard:
		return "guard"
	case RecordSuppressed:
		return "suppressed"
	case RecordDevices:
		return "recording-devices"
	case RecordArtifact:
		return "artifact"
	case RecordTrial:
		return "artifact-trial"
	default:
		return ""
	}
}

// Start opens a run.
type Start struct {
	Program string `json:"program"`
	Walls   any    `json:"walls,omitempty"`
}

// Guard says that the connection to the guard began or ended.
type Guard struct {
	Connected bool   `json:"connected"`
	Robot     string `json:"robot"`
	Nonce     string `json:"nonce"`
}

// Suppressed counts records that were not written.
type Suppressed struct {
	Records uint64 `json:"records"`
}

// Fact is one of the guard's connections and what is behind it.
type Fact struct {
	Peer    contract.Peer    `json:"peer"`
	Process contract.Process `json:"process"`
}

// pairs are the connections' two ends. What is no address stays empty and is answered as a connection that is not seen.
func pairs(peers []contract.Peer) []proc.Pair {
	out := make([]proc.Pair, len(peers))
	for i := range peers {
		local, err := netip.ParseAddrPort(peers[i].Local)
		if err != nil {
			local = netip.AddrPort{}
		}
		remote, err := netip.ParseAddrPort(peers[i].Remote)
		if err != nil {
			remote = netip.AddrPort{}
		}
		out[i] = proc.Pair{Local: local, Remote: remote, Datagrams: peers[i].Transport == contract.TransportUDP}
	}
	return out
}

// process puts a fact into the contract's words: what was not found has a reason and nothing else.
func process(id uint32, f *proc.Fact) contract.Process {
	if !f.Found() {
		return contract.Process{ID: id, Why: string(f.Why)}
	}
	return contract.Process{
		ID: id, Found: true, PID: f.PID, UID: f.UID, Unit: f.Unit, Cgroup: f.Cgroup, Exe: f.Exe, ExeSHA256: f.ExeSHA256, Interpreter: f.Interpreter,
	}
}

// entry is what was last said about a connection, and when it was last looked at.
type entry struct {
	fact Fact
	at   time.Duration
}

// book remembers what was said about each connection of one session.
type book map[uint32]entry

// repeat stands in for connections that this round had no time for: what was found less than most ago is said again.
func (b book) repeat(facts []Fact, now, most time.Duration) {
	for i := range facts {
		if before, ok := b[facts[i].Peer.ID]; ok && pending(&facts[i]) && now-before.at < most {
			facts[i].Process = before.fact.Process
		}
	}
}

func pending(f *Fact) bool { return f.Process.Why == string(proc.ReasonPending) }

// update calls changed for what is new, different or gone. looked says which facts are this round's own.
func (b *book) update(facts []Fact, looked []bool, now time.Duration, changed func(journal.Kind, *Fact)) {
	next := make(book, len(facts))
	for i := range facts {
		f := facts[i]
		before, known := (*b)[f.Peer.ID]
		at := before.at
		if looked[i] {
			at = now
		}
		next[f.Peer.ID] = entry{f, at}
		if !known || before.fact != f {
			changed(RecordProcess, &f)
		}
	}
	for id := range *b {
		if _, ok := next[id]; !ok {
			f := (*b)[id].fact
			changed(RecordGone, &f)
		}
	}
	*b = next
}
