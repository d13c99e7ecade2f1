package proc

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

// ReasonNamespace means that the peer's process has no number here: it lives in a pid namespace that is no part of the reader's.
const ReasonNamespace Reason = "other-pid-namespace"

// ReasonNoPidfd means that the kernel names no process behind a unix socket for good (before Linux 6.5), so that its number
// could be another process's by now.
const ReasonNoPidfd Reason = "kernel-has-no-peer-pidfd"

// Peers finds the process that has connected a unix socket. It is used by one goroutine.
type Peers struct {
	finder Finder
	// pidfd asks for the descriptor of the process that connected; a test makes it an old kernel's.
	pidfd func(fd int) (int, error)
}

// NewPeers returns a finder that looks below /proc.
func NewPeers() *Peers {
	return &Peers{finder: Finder{o: Options{Root: "/proc"}, exes: newExeCache()}, pidfd: peerPidfd}
}

func peerPidfd(fd int) (int, error) {
	return unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
}

// Peer says which process has connected the other end of the unix socket fd, as it is now: one that has started another
// program since is that program. The kernel says who connected; whether others have been handed the connection since, it
// does not say, so that only user and unit tell programs of one user apart from each other.
//
// A large executable takes several calls, each of which answers [ReasonPending] but the last.
func (p *Peers) Peer(ctx context.Context, fd int) Fact {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	switch {
	case err != nil:
		return Fact{Why: ReasonKernel}
	case cred.Pid <= 0:
		return Fact{Why: ReasonNamespace}
	}
	pidfd, err := p.pidfd(fd)
	switch {
	case errors.Is(err, unix.ENOPROTOOPT):
		return Fact{Why: ReasonNoPidfd}
	case err != nil:
		return Fact{Why: ReasonGone} // The process has been waited for, so that the number may be anybody's.
	}
	defer func() { _ = unix.Close(pidfd) }()
	start, why := p.start(int(cred.Pid))
	if why != ReasonNone {
		return Fact{Why: why}
	}
	p.finder.exes.budget = roundHash
	fact := p.finder.inspect(ctx, opened{pid: int(cred.Pid), start: start}, &Socket{UID: cred.Uid})
	// It lived until here, so the number was its own all the while.
	if ended(pidfd) {
		return Fact{Why: ReasonGone}
	}
	if fact.Why != ReasonNone {
		return Fact{Why: fact.Why}
	}
	return fact
}

func (p *Peers) start(pid int) (uint64, Reason) {
	o, err := openProcess(p.finder.o.Root, pid)
	if err != nil {
		return 0, ReasonGone
	}
	defer o.close()
	start, err := o.start()
	if err != nil {
		return 0, ReasonGone
	}
	return start, ReasonNone
}

// ended says whether the process has ended; one that nobody can tell about has.
func ended(pidfd int) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err != nil || n != 0
	}
}
