// Package artifact is the subcommand artifact of both programs: it says whether a model or firmware is what somebody
// trusted signed, and on the robot puts it into its slot; it never fetches anything.
//
// Every command ends with 0 if the answer is yes, 1 if it is no, and 2 if it was not used as it should be.
package artifact

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/artifact"
	"github.com/robowarden/robowarden/attest/order"
)

// Trust are the flags that say whom to believe.
type Trust struct {
	list, roots string
	keys        []string
}

// Flags adds them.
func (t *Trust) Flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.list, "keylist", "", "the signed key list whose artifact keys and authorities count")
	cmd.Flags().StringVar(&t.roots, "roots", "", "the root keys that must have signed the key list (PEM)")
	cmd.Flags().StringArrayVar(&t.keys, "trust", nil, "a public key to believe, beside those of the key list (PEM)")
}

// Read reads whom to believe.
func (t *Trust) Read() (*artifact.Trust, error) {
	switch {
	case t.list == "" && len(t.keys) == 0:
		return nil, answer.Usage("--keylist and --trust are missing: expected at least one of them; without, nobody is believed")
	case t.list != "" && t.roots == "":
		return nil, answer.Usage("--roots is missing: expected the root keys that the key list must be signed with")
	}
	out := &artifact.Trust{}
	if t.list != "" {
		list, err := t.readList()
		if err != nil {
			return nil, err
		}
		if out, err = artifact.TrustOf(list); err != nil {
			return nil, err
		}
	}
	for _, name := range t.keys {
		text, err := ReadFile(name, 64<<10)
		if err != nil {
			return nil, err
		}
		key, err := artifact.ParseKey(filepath.Base(name), text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.Keys = append(out.Keys, key)
	}
	return out, nil
}

func (t *Trust) readList() (*order.KeyList, error) {
	text, err := ReadFile(t.roots, 64<<10)
	if err != nil {
		return nil, err
	}
	var roots []crypto.PublicKey
	if roots, err = order.ParsePublicKeys(text); err != nil {
		return nil, fmt.Errorf("%s: %w", t.roots, err)
	}
	envelope, err := ReadFile(t.list, order.MaxEnvelope)
	if err != nil {
		return nil, err
	}
	list, err := order.OpenKeyList(envelope, roots)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.list, err)
	}
	return list, nil
}

// ReadFile reads a file of at most limit bytes.
func ReadFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was read only
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes, the most that is read", name, limit)
	}
	return data, nil
}

// verdict is what verify says.
type verdict struct {
	Path       string               `json:"path"`
	Verified   bool                 `json:"verified"`
	Kind       string               `json:"kind"`
	Name       string               `json:"name,omitempty"`
	Digest     string               `json:"sha256"`
	Files      int                  `json:"files"`
	Bytes      int64                `json:"bytes"`
	Ignored    []string             `json:"ignored,omitempty"`
	Signer     artifact.Signer      `json:"signer"`
	Provenance *artifact.Provenance `json:"provenance,omitempty"`
}

// refusal is what verify says of what does not count.
type refusal struct {
	Path     string           `json:"path"`
	Verified bool             `json:"verified"`
	Reason   string           `json:"reason"`
	Text     string           `json:"text"`
	Faults   []artifact.Fault `json:"faults,omitempty"`
}

// verifying are the flags of verify.
type verifying struct {
	trust                       Trust
	bundle, detached, signedAt  string
	provenance, format          string
	builders, datasets, ignored []string
	version                     bool
}

// NewVerify returns the subcommand verify of both programs.
func NewVerify() *cobra.Command {
	v := &verifying{}
	cmd := &cobra.Command{
		Use:   "verify PATH",
		Short: "Say whether a file or folder is what somebody trusted signed",
		Long: `Verify checks a model against an OpenSSF Model Signing bundle, or one file against a bundle of cosign's sign-blob or a
detached signature, without a network. It names every file that was changed, added or removed.

Exit status: 0 it is what was signed, 1 it is not or nobody trusted signed it, 2 the command was used wrongly.`,
		Example: `  robowarden artifact verify models/grasp --bundle models/grasp/model.sig --keylist keys/keylist.dsse.json --roots keys/roots.pem
  robowarden artifact verify arm.bin --detached arm.bin.sig --trust vendor.pem`,
		Args: answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return v.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&v.bundle, "bundle", "", "the sigstore bundle (model.sig)")
	f.StringVar(&v.detached, "detached", "", "a detached signature, binary or base64")
	f.StringVar(&v.signedAt, "signed-at", "", "your word for when it was signed, like 2026-03-29T22:15:00Z, for a certificate without a timestamp")
	f.StringArrayVar(&v.ignored, "ignore", nil, "a path in the folder that does not count, for bundles that do not say so themselves")
	f.StringVar(&v.provenance, "provenance", "", "a bundle with SLSA provenance about it")
	f.StringArrayVar(&v.builders, "builder", nil, "a builder that the provenance may name")
	f.StringArrayVar(&v.datasets, "dataset", nil, "the SHA-256 of a data set that the provenance must name")
	f.BoolVar(&v.version, "model-version", false, "the provenance must name a model version")
	f.StringVar(&v.format, "output", "text", "text for people, json for programs")
	v.trust.Flags(cmd)
	return cmd
}

func (v *verifying) run(cmd *cobra.Command, name string) error {
	switch {
	case v.format != "text" && v.format != "json":
		return answer.Usage("--output: expected text or json, found %q", v.format)
	case (v.bundle == "") == (v.detached == ""):
		return answer.Usage("expected either --bundle or --detached")
	case v.provenance == "" && (len(v.builders) > 0 || len(v.datasets) > 0 || v.version):
		return answer.Usage("--provenance is missing: builders, data sets and model version stand in it")
	}
	trust, err := v.trust.Read()
	if err != nil {
		return err
	}
	o, err := v.options(cmd, name)
	if err != nil {
		return err
	}
	a, err := v.verify(cmd.Context(), trust, name, o)
	if err != nil {
		return v.refuse(cmd.OutOrStdout(), name, err)
	}
	if v.format == "json" {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(a)
	}
	a.print(cmd.OutOrStdout())
	return nil
}

func (v *verifying) options(cmd *cobra.Command, name string) (artifact.Options, error) {
	o := artifact.Options{Ignore: v.ignored, Progress: Progress(cmd.ErrOrStderr())}
	if v.signedAt != "" {
		at, err := time.Parse(time.RFC3339, v.signedAt)
		if err != nil {
			return o, answer.Usage("--signed-at: expected a time like 2026-03-29T22:15:00Z, found %q", v.signedAt)
		}
		o.SignedAt = at
	}
	// The bundle itself lies beside what it signs, and bundles before version 1.1 do not say that they leave it out.
	if rel, err := filepath.Rel(name, v.bundle); err == nil && v.bundle != "" && filepath.IsLocal(rel) {
		o.Ignore = append(o.Ignore, filepath.ToSlash(rel))
	}
	return o, nil
}

// verify tells the forms apart by what the bundle signs.
func (v *verifying) verify(ctx context.Context, trust *artifact.Trust, name string, o artifact.Options) (*verdict, error) {
	a := &verdict{Path: name, Verified: true, Files: 1}
	var digests [][sha256.Size]byte
	if v.detached != "" {
		sig, err := ReadFile(v.detached, 8<<10)
		if err != nil {
			return nil, err
		}
		b, err := trust.VerifyDetached(ctx, name, sig, o)
		if err != nil {
			return nil, err
		}
		a.blob("detached signature", b)
		digests = append(digests, b.File.SHA256)
	} else {
		raw, err := ReadFile(v.bundle, artifact.MaxBundle)
		if err != nil {
			return nil, err
		}
		m, err := trust.VerifyModel(ctx, name, raw, o)
		switch {
		case err == nil:
			a.model(m)
			digests = append(digests, artifact.TreeDigest(m.Files), artifact.SubjectDigest(m.Files))
			if len(m.Files) == 1 {
				digests = append(digests, m.Files[0].SHA256)
			}
		case signsBlob(raw):
			b, err := trust.VerifyBlob(ctx, name, raw, o)
			if err != nil {
				return nil, err
			}
			a.blob("blob bundle", b)
			digests = append(digests, b.File.SHA256)
		default:
			return nil, err
		}
	}
	if v.provenance == "" {
		return a, nil
	}
	raw, err := ReadFile(v.provenance, artifact.MaxBundle)
	if err != nil {
		return nil, err
	}
	demand := &artifact.ProvenanceDemand{Builders: v.builders, Datasets: v.datasets, ModelVersion: v.version}
	a.Provenance, err = trust.VerifyProvenance(raw, digests, demand, o)
	return a, err
}

// signsBlob says whether a bundle signs one file, in cosign's form or its older one.
func signsBlob(raw []byte) bool {
	return bytes.Contains(raw, []byte(`"messageSignature"`)) || bytes.Contains(raw, []byte(`"base64Signature"`))
}

func (a *verdict) blob(kind string, b *artifact.Blob) {
	a.Kind, a.Digest, a.Bytes, a.Signer = kind, fmt.Sprintf("%x", b.File.SHA256), b.File.Size, b.Signer
}

func (a *verdict) model(m *artifact.Model) {
	a.Kind, a.Name, a.Files, a.Ignored, a.Signer = "model", m.Name, len(m.Files), m.Ignored, m.Signer
	a.Digest = fmt.Sprintf("%x", artifact.TreeDigest(m.Files))
	for i := range m.Files {
		a.Bytes += m.Files[i].Size
	}
}

func (a *verdict) print(w io.Writer) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("verified", "%s: %s, %d files, %d bytes", a.Path, a.Kind, a.Files, a.Bytes)
	line("sha256", "%s", a.Digest)
	line("signed by", "%s, key %s (%s)", a.Signer.Name, a.Signer.KeyID, a.Signer.Algorithm)
	if a.Signer.Identity != "" {
		line("", "as %s at %s", a.Signer.Identity, a.Signer.SignedAt.UTC().Format(time.RFC3339))
	}
	if len(a.Ignored) > 0 {
		line("not signed", "%s: left out by the signature, so nothing may open it", strings.Join(a.Ignored, ", "))
	}
	if p := a.Provenance; p != nil {
		line("built by", "%s, model version %q, %d materials, says %s", p.Builder, p.ModelVersion, len(p.Materials), p.Signer.Name)
	}
}

// refuse tells why, and ends with 1.
func (v *verifying) refuse(w io.Writer, name string, err error) error {
	var e *artifact.Error
	if v.format != "json" || !errors.As(err, &e) {
		return answer.With(answer.No, err)
	}
	if out := json.NewEncoder(w).Encode(refusal{Path: name, Reason: string(e.Reason), Text: e.Error(), Faults: e.Faults}); out != nil {
		return out
	}
	return answer.With(answer.No, errors.New(string(e.Reason)))
}

// Progress draws a bar on a terminal, and nothing anywhere else.
func Progress(w io.Writer) func(done, total int64) {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return bar(f)
}

// bar draws a bar that ends with a line of its own.
func bar(w io.Writer) func(done, total int64) {
	const width = 30
	last := -1
	return func(done, total int64) {
		percent := 100
		if total > 0 {
			percent = int(done * 100 / total)
		}
		if percent == last {
			return
		}
		last = percent
		full := percent * width / 100
		fmt.Fprintf(w, "\r[%s%s] %3d %%", strings.Repeat("#", full), strings.Repeat(".", width-full), percent)
		if percent == 100 {
			fmt.Fprintf(w, "\r%s\r", strings.Repeat(" ", width+8))
		}
	}
}
