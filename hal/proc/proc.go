// Package proc finds which process of this computer is at the far end of a TCP connection, or has the UDP port open that
// datagrams come from, from the kernel's own socket tables and /proc; it never guesses, never follows what a process says
// about itself, and changes nothing.
//
// What it finds is a fact about a moment. Whatever is missing, changes under the reader's eyes, or can be read in two
// ways is a named [Reason] and no process. Two limits stay and are not hidden: an executable's digest says which file was
// started, not what was loaded into it since; and processes of one user can hand connections to each other. So a unit or
// cgroup together with a user id is worth more than an executable, and for an interpreter the executable is worth nothing.
package proc

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Reason says why no process was found. The empty reason means that one was.
type Reason string

// Reasons. Each means that nothing is known about who is at the far end.
const (
	// ReasonNone means that the process was found.
	ReasonNone Reason = ""
	// ReasonRemote means that the far end's address is not one of this computer's. A container with a network of its own
	// looks the same.
	ReasonRemote Reason = "remote-host"
	// ReasonNotSeen means that the near end is not in this network namespace: the connection is gone, or whoever asks lives
	// in another network.
	ReasonNotSeen Reason = "connection-not-seen"
	// ReasonNoSocket means that the far end is this computer's, but is not in this network namespace: it was closed, or it
	// belongs to another namespace.
	ReasonNoSocket Reason = "no-socket"
	// ReasonAmbiguous means that several sockets of this computer can have sent the datagrams, since they share a port.
	ReasonAmbiguous Reason = "shared-port"
	// ReasonOrphan means that the far end's socket belongs to no process: not accepted yet, or closed already.
	ReasonOrphan Reason = "socket-without-process"
	// ReasonNoHolder means that no process that could be looked at has the socket open.
	ReasonNoHolder Reason = "no-holder"
	// ReasonHidden means that no process that could be looked at has the socket open, and some could not be looked at.
	ReasonHidden Reason = "not-permitted"
	// ReasonOwner means that the socket was made by another user than the one whose process has it open.
	ReasonOwner Reason = "other-owner"
	// ReasonShared means that processes that differ in user, unit or executable have the socket open.
	ReasonShared Reason = "shared-socket"
	// ReasonMixedIDs means that the process has several user ids at once (setuid), so that no single one is true.
	ReasonMixedIDs Reason = "mixed-user-ids"
	// ReasonTraced means that another process traces this one and may act in its place.
	ReasonTraced Reason = "traced"
	// ReasonGone means that the process ended or changed while it was looked at.
	ReasonGone Reason = "process-changed"
	// ReasonCgroup means that its place among the units could not be read, or lies outside of what can be seen.
	ReasonCgroup Reason = "cgroup-unreadable"
	// ReasonExe means that the executable could not be opened.
	ReasonExe Reason = "exe-unreadable"
	// ReasonExeDeleted means that the executable has no name any more: it was removed or replaced, or never had one.
	ReasonExeDeleted Reason = "exe-deleted"
	// ReasonExeForeign means that the executable lies on a file system whose content a program or another computer makes up.
	ReasonExeForeign Reason = "exe-on-foreign-filesystem"
	// ReasonExeChanged means that the executable's file was changed while it was read.
	ReasonExeChanged Reason = "exe-changed"
	// ReasonExeLarge means that the executable is larger than [MaxExeBytes].
	ReasonExeLarge Reason = "exe-too-large"
	// ReasonPending means that this round's share of work was used up; the next round goes on.
	ReasonPending Reason = "not-looked-at-yet"
	// ReasonTooMany means that there were more processes or descriptors than are looked at.
	ReasonTooMany Reason = "too-many-descriptors"
	// ReasonKernel means that the kernel did not answer.
	ReasonKernel Reason = "kernel-did-not-answer"
)

// Limits of one round, so that nobody can make the reader busy.
const (
	// MaxExeBytes is the largest executable that is hashed.
	MaxExeBytes = 512 << 20
	// MaxPairs is how many connections one round looks at.
	MaxPairs = 256
	// maxProcesses and maxDescriptors bound one look through /proc.
	maxProcesses   = 65536
	maxDescriptors = 262144
	// maxForeign bounds the look at processes of other users, which only serves to name the reason.
	maxForeign = 32768
	// roundHash is how many bytes one round hashes before it leaves the rest to the next.
	roundHash = 64 << 20
	// maxText bounds every text that comes from a process.
	maxText = 1024
)

// Pair is one connection as its near end sees it.
type Pair struct {
	// Local is the asker's own end, Remote the far end.
	Local, Remote netip.AddrPort
	// Datagrams is true for UDP: Remote is then the source that a peer's datagrams come from.
	Datagrams bool
}

// Fact is what is known about the far end of one connection: a reason why nothing is, or everything else.
type Fact struct {
	// Why is empty if the process was found; then everything below is filled in.
	Why Reason
	// PID is the process, in the reader's pid namespace, and Start its start in clock ticks since boot; both together name
	// a process for good.
	PID   int
	Start uint64
	// UID is the only user id that the process has (real, effective, saved and file system ids are alike).
	UID int
	// Unit is the systemd unit, as the system's manager named it, empty if it is in none; Cgroup the whole path.
	Unit, Cgroup string
	// Exe is the executable's path as the process's own file system names it, made printable: a label for people.
	// ExeSHA256 is the digest of the file itself, 64 hexadecimal digits.
	Exe, ExeSHA256 string
	// Interpreter says that the executable runs whatever it is given, so that its digest says little. False proves nothing.
	Interpreter bool
}

// Found says whether the process is known.
func (f *Fact) Found() bool { return f.Why == ReasonNone }

// Options says how to look.
type Options struct {
	// Root is where proc(5) is mounted; empty means /proc.
	Root string
	// FullEvery is how often all processes are looked through even if nothing seems to have changed, at least 1 s.
	// In between, what was found last is confirmed. Default 10 s.
	FullEvery time.Duration
	// Now is the boot clock.
	Now func() time.Duration
	// Sockets answers for the kernel's socket table; nil means the kernel's.
	Sockets SocketTable
	// Addresses lists this computer's own addresses; nil means the kernel's.
	Addresses func() ([]netip.Addr, error)
}

// Finder finds processes. It is used by one goroutine.
type Finder struct {
	o        Options
	exes     *exeCache
	known    map[socketID]holder
	lastFull time.Duration
	next     time.Duration
	scan     *scan
	full     bool
	// Scans counts how often all processes were looked through; for tests and metrics.
	Scans uint64
}

// New returns a finder.
func New(o Options) (*Finder, error) {
	if o.Now == nil {
		return nil, errors.New("option Now: expected a boot clock, found none")
	}
	if o.Root == "" {
		o.Root = "/proc"
	}
	if o.FullEvery == 0 {
		o.FullEvery = 10 * time.Second
	}
	if o.FullEvery < time.Second {
		return nil, errors.New("option FullEvery: expected at least 1s")
	}
	if o.Sockets == nil {
		o.Sockets = &kernelSockets{root: o.Root}
	}
	if o.Addresses == nil {
		o.Addresses = interfaceAddresses
	}
	return &Finder{o: o, exes: newExeCache(), known: map[socketID]holder{}}, nil
}

// Find looks at every pair and answers for each, in the same order. It never fails as a whole. Pairs beyond [MaxPairs] are
// answered with [ReasonTooMany]. When ctx ends, long work stops where it is and goes on in the next round: what that leaves
// unknown is answered with [ReasonPending], what was known already is not.
func (f *Finder) Find(ctx context.Context, pairs []Pair) []Fact {
	facts := make([]Fact, len(pairs))
	looked := min(len(pairs), MaxPairs)
	for i := range facts[looked:] {
		facts[looked+i].Why = ReasonTooMany
	}
	socks := f.sockets(pairs[:looked], facts)
	held := f.holders(ctx, socks)
	f.exes.budget = roundHash
	for i := range facts[:looked] {
		if facts[i].Why == ReasonNone {
			facts[i] = f.describe(ctx, &socks[i], held)
		}
	}
	f.forget(held)
	return facts
}

// forget keeps only holders of sockets that were asked for this time.
func (f *Finder) forget(held map[socketID]holder) {
	clear(f.known)
	for id, h := range held {
		if h.why == ReasonNone {
			f.known[id] = h
		}
	}
}
