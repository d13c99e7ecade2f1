package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/internal/floors"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/order"
)

// askTimeout bounds how long the guard may take to answer.
const askTimeout = 5 * time.Second

// robot is what the robot's commands share.
type robot struct {
	socket, dir, format, tpm string
}

// NewRobot returns the robot's subcommand artifact.
func NewRobot() *cobra.Command {
	cmd := &cobra.Command{
		Use: "artifact", Short: "Verify models and firmware, and keep them in two slots", Args: answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	r := &robot{}
	cmd.AddCommand(NewVerify(), r.newStatus(), r.newInstall(), r.newCommit(), r.newRollback(), r.newHistory())
	return cmd
}

func (r *robot) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&r.dir, "dir", "/var/lib/robowarden-artifacts", "the folder with the artifacts' slots")
	cmd.Flags().StringVar(&r.socket, "socket", "/run/robowarden/control.sock", "the guard's control socket")
	cmd.Flags().StringVar(&r.format, "output", "text", "text for people, json for programs")
	cmd.Flags().StringVar(&r.tpm, "tpm", "", "the TPM whose counters keep the floors, as the deployment's steward.tpm names it (default: "+usualTPM+" where a floor is in a TPM already)")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if r.format != "text" && r.format != "json" {
			return answer.Usage("--output: expected text or json, found %q", r.format)
		}
		return run(cmd, args)
	}
	return cmd
}

// ask asks the guard for its status: it has verified the release and knows whether the robot stands.
func (r *robot) ask(ctx context.Context) (*agent.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	raw, err := agent.ReadStatus(ctx, r.socket)
	if err != nil {
		return nil, fmt.Errorf("the guard is asked for the release in force: %w", err)
	}
	var s agent.Status
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("the guard's status: %w", err)
	}
	return &s, nil
}

// released returns the release in force and its part with a name.
func released(s *agent.Status, name string) (*order.Release, *agent.ReleasedArtifact, error) {
	if s.Release == nil {
		return nil, nil, errors.New("no release is in force: apply a signed one first, `robowarden apply --order FILE`")
	}
	for i := range s.Release.Artifacts {
		a := &s.Release.Artifacts[i]
		if a.Name != name {
			continue
		}
		rel := s.Release
		out := &order.Release{
			Version: rel.Version, SVN: rel.SVN, RollbackFloor: rel.Floor, SettleS: rel.SettleS, WindowS: rel.WindowS, Criteria: rel.Criteria,
			AtEnd: order.AtEnd(rel.AtEnd),
		}
		out.Artifacts = []order.Artifact{{
			Name: a.Name, Version: a.Version, SHA256: a.SHA256, Size: a.Size, Files: a.Files, Fallbacks: a.Fallbacks,
		}}
		return out, a, nil
	}
	return nil, nil, fmt.Errorf("the release %s in force does not name %q", s.Release.Version, name)
}

// atRest says why the robot does not stand, or nil.
func (r *robot) atRest(ctx context.Context) error {
	s, err := r.ask(ctx)
	switch {
	case err != nil:
		return err
	case !s.AtRest:
		return errors.New("the robot does not stand: bring it to rest, then call the command again")
	}
	return nil
}

// counts says why content is not one that the release in force names, as the guard will see it.
func (r *robot) counts(ctx context.Context, name string) func(string) error {
	return func(digest string) error {
		s, err := r.ask(ctx)
		if err != nil {
			return err
		}
		release, _, err := released(s, name)
		if err == nil && !release.Find(name).Counts(digest) {
			err = fmt.Errorf("the release %s in force does not name its content, sha256 %s: sign one that lists it as a fallback", release.Version, digest)
		}
		return err
	}
}

// open takes an artifact's slots for this program.
func (r *robot) open(name string) (*slots.Store, func(), error) {
	if filepath.Base(name) != name || strings.HasPrefix(name, ".") {
		return nil, nil, answer.Usage("expected an artifact's name, found %q", name)
	}
	dir := filepath.Join(r.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // loaders read what is in it
		return nil, nil, err
	}
	unlock, err := slots.Lock(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	d, err := slots.OpenDir(dir)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	closeAll := func() { _ = d.Close(); handOver(r.dir, dir); unlock() }
	s, err := slots.Open(name, d, time.Now)
	if err == nil {
		s, err = r.counted(s)
	}
	if err != nil {
		closeAll()
		return nil, nil, err
	}
	return s, closeAll, nil
}

// usualTPM is where the kernel has a TPM.
const usualTPM = "/dev/tpmrm0"

// counted has the store keep its floor in the TPM that was named, or where it says that one has it, in the usual one.
func (r *robot) counted(s *slots.Store) (*slots.Store, error) {
	path := r.tpm
	if _, err := os.Stat(usualTPM); err == nil && path == "" && s.Counted() {
		path = usualTPM
	}
	c, err := floors.Open(path, 0)
	if err != nil {
		return nil, err
	}
	return s.With(c), nil
}

// handOver gives what root has written to the owner of the slots' folder, who is the steward: it commits and takes back.
func handOver(parent, dir string) {
	info, err := os.Stat(parent)
	if err != nil || os.Geteuid() != 0 {
		return
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return
	}
	// Through the folder's own descriptor: who owns it could put links in its way meanwhile.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return
	}
	defer root.Close() //nolint:errcheck // it was not written through
	_ = fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = root.Lchown(path, int(owner.Uid), int(owner.Gid))
		}
		return err // What it could not have, it will say itself.
	})
}

// hookOf runs a boot loader's program with artifact and slot, nil without one. What it prints, it prints to the terminal.
func hookOf(program, name string) func(string) error {
	if program == "" {
		return nil
	}
	return func(slot string) error {
		p, err := os.StartProcess(program, []string{program, name, slot}, &os.ProcAttr{Files: []*os.File{nil, os.Stderr, os.Stderr}})
		if err != nil {
			return err
		}
		state, err := p.Wait()
		if err == nil && !state.Success() {
			err = fmt.Errorf("%s: %s", program, state)
		}
		return err
	}
}

func (r *robot) newCommit() *cobra.Command {
	return r.flags(&cobra.Command{
		Use: "commit NAME", Short: "Say that the active artifact has proven itself, and close the way back below the release's floor",
		Args: answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, done, err := r.open(args[0])
			if err != nil {
				return err
			}
			defer done()
			text, err := store.Commit(cmd.Context())
			if err != nil {
				return answer.With(answer.No, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is good; %s\n", args[0], text)
			return nil
		},
	})
}

func (r *robot) newRollback() *cobra.Command {
	var hook string
	cmd := &cobra.Command{
		Use: "rollback NAME", Short: "Make the other slot active again, if its content still counts",
		Args: answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, done, err := r.open(args[0])
			if err != nil {
				return err
			}
			defer done()
			if err := store.Rollback(cmd.Context(), &slots.Back{
				Counts: r.counts(cmd.Context(), args[0]), May: func() error { return r.atRest(cmd.Context()) }, Switch: hookOf(hook, args[0]), Why: "by hand",
			}); err != nil {
				return answer.With(answer.No, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: slot %s is active again\n", args[0], store.Active())
			return nil
		},
	}
	cmd.Flags().StringVar(&hook, "hook", "", "a boot loader's program, called with artifact and slot before the switch")
	return r.flags(cmd)
}

func (r *robot) newHistory() *cobra.Command {
	return r.flags(&cobra.Command{
		Use: "history NAME", Short: "Show what was installed, committed and rolled back", Args: answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := slots.OpenDir(filepath.Join(r.dir, args[0]))
			if err != nil {
				return err
			}
			defer d.Close() //nolint:errcheck // it was read only
			events, err := slots.View(args[0], d).History()
			if err != nil {
				return err
			}
			if r.format == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(events)
			}
			for _, e := range events {
				fmt.Fprintf(cmd.OutOrStdout(), "%s %-11s %s svn %d, slot %s, sha256 %s %s\n", e.At.Format(time.RFC3339), e.What, e.Version, e.SVN, e.Slot, e.SHA256, e.Text)
			}
			return nil
		},
	})
}
