package steward

import (
	"context"

	"github.com/robowarden/robowarden/agent/internal/callers"
	"github.com/robowarden/robowarden/hal/proc"
)

// Callers returns what tells who has connected a unix socket. It is used by one goroutine.
func Callers() callers.Look {
	peers := proc.NewPeers()
	return func(ctx context.Context, fd int) callers.Caller {
		f := peers.Peer(ctx, fd)
		for f.Why == proc.ReasonPending && ctx.Err() == nil {
			f = peers.Peer(ctx, fd) // goes on with a large executable
		}
		if !f.Found() {
			return callers.Caller{Why: string(f.Why)}
		}
		return callers.Caller{
			PID: f.PID, Start: f.Start, UID: f.UID, Unit: f.Unit, Cgroup: f.Cgroup, Exe: f.Exe, ExeSHA256: f.ExeSHA256,
		}
	}
}
