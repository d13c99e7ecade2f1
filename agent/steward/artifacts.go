package steward

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/artifact"
)

// recheck is how long a measurement counts for files that look unchanged. Looking unchanged is no proof, only cheap: who
// may write can set times back, so everything is read again now and then.
const recheck = 10 * time.Minute

// maxName is the longest name of an artifact in bytes, as in releases.
const maxName = 64

// measured is what was found the last time in one artifact's active slot.
type measured struct {
	look   string // What the files looked like.
	at     time.Duration
	digest string
	why    string
}

// artifacts measures the active slots below one folder. Only one goroutine uses it.
type artifacts struct {
	dir   string
	clock func() time.Duration
	known map[string]measured
	// trouble is why the folder cannot be read, empty while it can.
	trouble string
}

// measure looks at every artifact and hashes those that changed, or whose turn it is; at most one whose files look unchanged
// in a round, so that the rest of the robot keeps its disk and processor.
func (a *artifacts) measure(ctx context.Context) []contract.Artifact {
	list, err := os.ReadDir(a.dir)
	a.trouble = ""
	if err != nil {
		a.trouble = err.Error()
		return nil // Nothing said: unknown, which restricts.
	}
	var out []contract.Artifact
	turn := true
	for _, e := range list {
		// No release names a folder with such a name, and the contract would not carry what is said about the others beside it.
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || len(e.Name()) > maxName || !utf8.ValidString(e.Name()) || len(out) == contract.MaxArtifacts {
			continue
		}
		m := a.one(ctx, e.Name(), &turn)
		a.known[e.Name()] = m
		out = append(out, contract.Artifact{Name: e.Name(), SHA256: m.digest, Why: m.why})
	}
	return out
}

// one measures one artifact, or repeats what is known.
func (a *artifacts) one(ctx context.Context, name string, turn *bool) measured {
	now := a.clock()
	look, slot, err := a.look(name)
	if err != nil {
		return measured{at: now, why: clipped(err)}
	}
	was, ok := a.known[name]
	same := ok && was.look == look && was.digest != ""
	if same && (now-was.at < recheck || !*turn) {
		return was
	}
	if same {
		*turn = false
	}
	digest, err := a.hash(ctx, name, slot)
	if err != nil {
		if same && ctx.Err() != nil {
			return was // There was no time; the next round goes on.
		}
		return measured{at: now, why: clipped(err)}
	}
	// What changed while it was read was not measured.
	if after, _, err := a.look(name); err != nil || after != look {
		return measured{at: now, why: "it changed while it was read"}
	}
	return measured{look: look, at: now, digest: digest}
}

func (a *artifacts) hash(ctx context.Context, name, slot string) (string, error) {
	d, err := slots.OpenDir(filepath.Join(a.dir, name))
	if err != nil {
		return "", err
	}
	_, digest, err := slots.View(name, d).Measure(ctx, slot)
	return digest, errors.Join(err, d.Close())
}

// look says which slot is active and what its files look like: name, inode, size, and the times of content and inode, of
// which the second cannot be set.
func (a *artifacts) look(name string) (look, slot string, err error) {
	root := filepath.Join(a.dir, name)
	d, err := slots.OpenDir(root)
	if err != nil {
		return "", "", err
	}
	slot = slots.View(name, d).Active()
	if err := d.Close(); err != nil {
		return "", "", err
	}
	if slot == "" {
		return "", "", errors.New("no slot is active")
	}
	var lines []string
	err = filepath.WalkDir(filepath.Join(root, slot), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if n := len(lines); n > 2*artifact.MaxFiles {
			return fmt.Errorf("more than %d files and folders: an artifact has fewer", n-1)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		s, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.New("the system does not say when a file was changed")
		}
		// What a link leads to changes without a trace here.
		if !e.IsDir() && !e.Type().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a folder", strings.TrimPrefix(path, root+"/"))
		}
		lines = append(lines, fmt.Sprintf("%s %d %d %d %d.%d %d.%d", path, s.Ino, s.Mode, s.Size, s.Mtim.Sec, s.Mtim.Nsec, s.Ctim.Sec, s.Ctim.Nsec))
		return nil
	})
	slices.Sort(lines)
	return slot + "\n" + strings.Join(lines, "\n"), slot, err
}

// clipped shortens a reason. Names of files are in it, so it need not be UTF-8 yet, which the contract demands.
func clipped(err error) string {
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), contract.MaxText/2)], "?")
}

// tellArtifacts tells the guard every period until ctx ends. It has a goroutine of its own: a large model takes longer to
// hash than the lease of the processes lasts.
func (s *Steward) tellArtifacts(ctx context.Context, conn *contract.Conn) {
	if s.artifacts == nil {
		return
	}
	var told []contract.Artifact
	trouble := ""
	// Facts are repeated while the next measurement goes on: what was measured holds until its files look different.
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
		s.trials.step(ctx, list, s.artifacts.known, s.guardStatus(conn))
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
