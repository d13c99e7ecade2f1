package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/artifact"
)

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
		Args: answer.Positional(cobra.ExactArgs(1)),
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
		return answer.Usage("--from is missing: expected the file or folder to copy")
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
		return answer.With(answer.No, fmt.Errorf("release %s was halted: %s", rel.Version, rel.Halted))
	}
	if rel := status.Release; rel.Waits {
		return answer.With(answer.No, fmt.Errorf("the release %s is for %d in 100 robots as yet: this one has place %d and waits", rel.Version, rel.RampPercent, rel.RampPlace))
	}
	made, err := in.evidence(ctx, demand)
	if err != nil {
		return answer.With(answer.No, err)
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
		return answer.With(answer.No, err)
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
