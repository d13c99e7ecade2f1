package steward

import (
	"context"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
)

// tellArtifacts tells the guard every period until ctx ends. It has a goroutine of its own: a large model takes longer to
// hash than the lease of the processes lasts.
func (s *Steward) tellArtifacts(ctx context.Context, conn *contract.Conn) {
	if s.artifacts == nil {
		return
	}
	defer s.artifacts.stop()
	var told []contract.Artifact
	trouble, blind := "", ""
	for ctx.Err() == nil {
		list := s.artifacts.measure(ctx)
		if ctx.Err() != nil {
			return
		}
		if trouble != s.artifacts.trouble {
			if trouble = s.artifacts.trouble; trouble != "" {
				s.o.Log.Error().Str("why", trouble).Msg("the folder with the slots cannot be read: the guard hears of no artifact")
			}
		}
		if b := s.artifacts.loaded.blind; b != blind {
			if blind = b; blind != "" {
				s.o.Log.Warn().Str("why", blind).Msg("not everything that processes have loaded can be looked at: one that has loaded other files than the verified ones may not be named")
			}
		}
		s.trials.step(ctx, list, s.artifacts, s.guardStatus(conn))
		s.noteArtifacts(told, list)
		told = list
		frame, err := contract.New(0, contract.Artifacts{LeaseMS: min(max(leases*s.o.Period.Milliseconds(), artifactLease), contract.MaxLeaseMS), Artifacts: list})
		if err == nil {
			err = conn.Send(frame)
		}
		if err != nil {
			s.o.Log.Warn().Err(err).Msg("facts about artifacts not sent")
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.o.Period):
		}
	}
}

// guardStatus asks the guard for its status and returns the answer before, nil if there is none of late.
func (s *Steward) guardStatus(conn *contract.Conn) []byte {
	if err := conn.Send(contract.Frame{Type: contract.FrameStatusRequest, ID: statusID}); err != nil {
		s.o.Log.Warn().Err(err).Msg("the guard is not asked for its status")
	}
	s.statusMu.Lock()
	defer s.statusMu.Unlock()
	if s.status == nil || s.o.Clock()-s.statusAt > max(statusPatience, leases*s.o.Period) {
		return nil
	}
	return s.status
}

// statusID numbers the question for the status; the steward asks nothing else.
const statusID = 1

// artifactLease is the least lease in milliseconds: other artifacts are told of while a large one is hashed.
const artifactLease = 30_000

// noteArtifacts writes down what changed.
func (s *Steward) noteArtifacts(told, list []contract.Artifact) {
	for _, a := range list {
		if slices.Contains(told, a) {
			continue
		}
		s.notes.add(RecordArtifact, a)
		s.o.Log.Info().Str("artifact", a.Name).Str("sha256", a.SHA256).Str("why", a.Why).Msg("the content of an artifact")
	}
}
