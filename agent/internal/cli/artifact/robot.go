package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	"github.com/robowarden/robowarden/agent/internal/floors"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/artifact"
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
		Use: "artifact", Short: "Verify models and firmware, and keep them in two slots", Args: positional(cobra.NoArgs),
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
			return usage("--output: expected text or json, found %q", r.format)
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
		return nil, nil, usage("expected an artifact's name, found %q", name)
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

// installing are the flags of install.
type installing struct {
	*robot
	trust                          Trust
	from, bundle, provenance, hook string
	ignored                        []string
	again                          bool
}

func (r *robot) newInstall() *cobra.Command {
	in := &installing{robot: r}
	cmd := &cobra.Command{
		Use:   "install NAME --from PATH",
		Short: "Bring an artifact of the release in force into its free slot, and make it active",
		Long: `Install copies an artifact into the slot that is not active, hashes what it writes, and makes it active once it is whole, durable
and has the digest of the signed release that the guard has in force. Whatever happens on the way, the slot that was active
stays so. Unless the policy says otherwise, the switch waits until the robot stands.

Exit status: 0 it is active, 1 it is not, 2 the command was used wrongly.`,
		Args: positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return in.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&in.from, "from", "", "the file or folder to copy")
	f.StringArrayVar(&in.ignored, "ignore", nil, "a path in the folder that does not belong to the artifact")
	f.StringVar(&in.bundle, "bundle", "", "a model's bundle, verified as well, so that a refusal names files")
	f.StringVar(&in.provenance, "provenance", "", "a bundle with SLSA provenance, where the policy demands one")
	f.StringVar(&in.hook, "hook", "", "a boot loader's program, called with artifact and slot before the switch")
	f.BoolVar(&in.again, "again", false, "install content that this robot has taken back before")
	in.trust.Flags(cmd)
	return r.flags(cmd)
}

func (in *installing) run(cmd *cobra.Command, name string) error {
	ctx := cmd.Context()
	if in.from == "" {
		return usage("--from is missing: expected the file or folder to copy")
	}
	status, err := in.ask(ctx)
	if err != nil {
		return err
	}
	release, demand, err := released(status, name)
	if err != nil {
		return err
	}
	if rel := status.Release; rel.Halted != "" {
		return refused(fmt.Errorf("release %s was halted: %s", rel.Version, rel.Halted))
	}
	if rel := status.Release; rel.Waits {
		return refused(fmt.Errorf("the release %s is for %d in 100 robots as yet: this one has place %d and waits", rel.Version, rel.RampPercent, rel.RampPlace))
	}
	made, err := in.evidence(ctx, demand)
	if err != nil {
		return refused(err)
	}
	store, done, err := in.open(name)
	if err != nil {
		return err
	}
	defer done()
	ignored := in.ignored
	if rel, err := filepath.Rel(in.from, in.bundle); err == nil && in.bundle != "" && filepath.IsLocal(rel) {
		ignored = append(ignored, filepath.ToSlash(rel))
	}
	source, err := slots.OpenFolder(in.from, ignored)
	if err != nil {
		return err
	}
	defer source.Close() //nolint:errcheck // it was read only
	install := &slots.Install{Release: release, Source: source, Switch: hookOf(in.hook, name), Made: made, Again: in.again, Progress: Progress(cmd.ErrOrStderr())}
	if demand.AtRest {
		install.MayActivate = func() error { return in.atRest(ctx) }
	}
	if err := store.Install(ctx, install); err != nil {
		return refused(err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s %s of release %s is active in slot %s, on trial for %d s\n",
		name, demand.Version, release.Version, store.Active(), release.Window())
	return nil
}

// evidence verifies the bundle and the provenance that come with an artifact, and that the policy's demand is met.
func (in *installing) evidence(ctx context.Context, demand *agent.ReleasedArtifact) (*slots.Made, error) {
	if len(demand.Builders) > 0 && in.provenance == "" {
		return nil, fmt.Errorf("the policy demands the provenance of %s: give it with --provenance", demand.Name)
	}
	if in.bundle == "" && in.provenance == "" {
		return nil, nil //nolint:nilnil // nothing was demanded or given
	}
	trust, err := in.trust.Read()
	if err != nil {
		return nil, err
	}
	digests := make([][sha256.Size]byte, 1, 4)
	if _, err := hex.Decode(digests[0][:], []byte(demand.SHA256)); err != nil {
		return nil, err
	}
	if in.bundle != "" {
		v := &verifying{bundle: in.bundle, ignored: in.ignored}
		more, err := v.verifyModel(ctx, trust, in.from)
		if err != nil {
			return nil, err
		}
		// Only a bundle about the released content lends its names to the provenance.
		if more[0] == digests[0] {
			digests = append(digests, more[1:]...)
		}
	}
	if in.provenance == "" {
		return nil, nil //nolint:nilnil // nothing was demanded or given
	}
	raw, err := ReadFile(in.provenance, artifact.MaxBundle)
	if err != nil {
		return nil, err
	}
	p, err := trust.VerifyProvenance(raw, digests, &artifact.ProvenanceDemand{
		Builders: demand.Builders, ModelVersion: demand.ModelVersion, Datasets: demand.Datasets,
	}, artifact.Options{})
	if err != nil {
		return nil, err
	}
	return made(p, raw), nil
}

// Bounds of what the record keeps of a provenance; the bundle's own digest names the rest.
const (
	maxMadeText = 512
	maxMadeSets = 32
)

// made is what the slot's record and the journal keep of a verified provenance.
func made(p *artifact.Provenance, raw []byte) *slots.Made {
	clip := func(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxMadeText)], "?") }
	m := &slots.Made{Builder: clip(p.Builder), Type: clip(p.BuildType), ModelVersion: clip(p.ModelVersion), SHA256: fmt.Sprintf("%x", sha256.Sum256(raw))}
	for _, x := range p.Materials {
		if x.SHA256 != "" && len(m.Datasets) < maxMadeSets {
			m.Datasets = append(m.Datasets, x.SHA256)
		}
	}
	return m
}

// verifyModel verifies a model and returns the digests that name it: tree, subject and, for one file, its own.
func (v *verifying) verifyModel(ctx context.Context, trust *artifact.Trust, path string) ([][sha256.Size]byte, error) {
	raw, err := ReadFile(v.bundle, artifact.MaxBundle)
	if err != nil {
		return nil, err
	}
	o := artifact.Options{Ignore: v.ignored}
	if rel, err := filepath.Rel(path, v.bundle); err == nil && filepath.IsLocal(rel) {
		o.Ignore = append(o.Ignore, filepath.ToSlash(rel))
	}
	m, err := trust.VerifyModel(ctx, path, raw, o)
	if err != nil {
		return nil, err
	}
	out := [][sha256.Size]byte{artifact.TreeDigest(m.Files), artifact.SubjectDigest(m.Files)}
	if len(m.Files) == 1 {
		out = append(out, m.Files[0].SHA256)
	}
	return out, nil
}

func (r *robot) newCommit() *cobra.Command {
	return r.flags(&cobra.Command{
		Use: "commit NAME", Short: "Say that the active artifact has proven itself, and close the way back below the release's floor",
		Args: positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, done, err := r.open(args[0])
			if err != nil {
				return err
			}
			defer done()
			text, err := store.Commit(cmd.Context())
			if err != nil {
				return refused(err)
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
		Args: positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, done, err := r.open(args[0])
			if err != nil {
				return err
			}
			defer done()
			if err := store.Rollback(cmd.Context(), &slots.Back{
				Counts: r.counts(cmd.Context(), args[0]), May: func() error { return r.atRest(cmd.Context()) }, Switch: hookOf(hook, args[0]), Why: "by hand",
			}); err != nil {
				return refused(err)
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
		Use: "history NAME", Short: "Show what was installed, committed and rolled back", Args: positional(cobra.ExactArgs(1)),
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

// newStatus shows the slots, and with a guard also what it holds of them.
func (r *robot) newStatus() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show what is in the slots, and what the guard knows of it", Args: positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return r.status(cmd, check) },
	}
	cmd.Flags().BoolVar(&check, "check", false, "hash the active slots anew")
	return r.flags(cmd)
}

// slotReport is one artifact in status.
type slotReport struct {
	slots.Status
	// Problem is why the active slot does not hold what its record says, empty if it was not checked.
	Problem string `json:"problem,omitempty"`
}

func (r *robot) status(cmd *cobra.Command, check bool) error {
	list, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	var all []slotReport
	bad := false
	for _, e := range list {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		rep, err := r.report(cmd.Context(), e.Name(), check)
		if err != nil {
			return err
		}
		bad = bad || rep.Problem != ""
		all = append(all, *rep)
	}
	held, err := r.ask(cmd.Context())
	if r.format == "json" {
		out := map[string]any{"slots": all}
		if err == nil {
			out["release"], out["artifacts"] = held.Release, held.Artifacts
		}
		if err := json.NewEncoder(cmd.OutOrStdout()).Encode(out); err != nil {
			return err
		}
	} else {
		printSlots(cmd, all, held, err)
	}
	if bad {
		return refused(errors.New("an active slot does not hold what was installed"))
	}
	return nil
}

func (r *robot) report(ctx context.Context, name string, check bool) (*slotReport, error) {
	d, err := slots.OpenDir(filepath.Join(r.dir, name))
	if err != nil {
		return nil, err
	}
	defer d.Close() //nolint:errcheck // it was read only
	s, err := r.counted(slots.View(name, d))
	if err != nil {
		return nil, err
	}
	rep := &slotReport{}
	if rep.Status, err = s.Status(); err != nil {
		rep.Problem = err.Error()
	}
	if rep.Problem == "" {
		if err := s.Stands(); err != nil {
			rep.Problem = err.Error()
		}
	}
	if check && rep.Problem == "" {
		if err := s.Check(ctx, s.Active()); err != nil {
			rep.Problem = err.Error()
		}
	}
	return rep, nil
}
