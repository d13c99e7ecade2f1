// Package release is the station's subcommand artifact: it signs models and files, and puts a release together; it never
// sends anything anywhere and never writes over a file.
package release

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	cliartifact "github.com/robowarden/robowarden/agent/internal/cli/artifact"
	"github.com/robowarden/robowarden/agent/trial"
	"github.com/robowarden/robowarden/attest/artifact"
	"github.com/robowarden/robowarden/attest/order"
)

// New returns the station's subcommand artifact.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use: "artifact", Short: "Sign models and firmware, verify them, and put releases together", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSign(), newManifest(), cliartifact.NewVerify())
	return cmd
}

// gitPaths are what a checked-out model has beside its files.
var gitPaths = []string{".git", ".gitattributes", ".github", ".gitignore"}

func newSign() *cobra.Command {
	var key, out, name string
	var ignore []string
	var blob bool
	cmd := &cobra.Command{
		Use:   "sign PATH",
		Short: "Sign a model (a file or a folder), or with --blob one file as cosign does",
		Long: `Sign hashes every file of a folder and writes an OpenSSF Model Signing bundle (v1.0 of the format), or, with --blob, a bundle
as cosign's sign-blob writes it. Git's own files and the bundle itself are left out of a folder.

Exit status: 0 signed, 1 something cannot be signed, 2 the command was used wrongly.`,
		Example: `  robowarden-station artifact sign models/grasp --key maker.key --out models/grasp/model.sig`,
		Args:    exactly(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if key == "" || out == "" {
			return answer.Usage("--key and --out are needed: the private key, and where the bundle goes")
		}
		priv, err := readKey(key)
		if err != nil {
			return err
		}
		if name == "" {
			abs, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			name = filepath.Base(abs)
		}
		bundle, files, err := sign(cmd, args[0], name, out, blob, ignore, priv)
		if err != nil {
			return err
		}
		if err := writeNew(out, bundle); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "signed %s: %d files, sha256 %x\nbundle %s\n", args[0], len(files), artifact.TreeDigest(files), out)
		return nil
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "the private key (PKCS #8 in PEM): ECDSA P-256 or P-384, Ed25519 or RSA")
	f.StringVar(&out, "out", "", "where to write the bundle; it must not exist yet")
	f.StringVar(&name, "name", "", "the model's name (default: that of the file or folder)")
	f.StringArrayVar(&ignore, "ignore", nil, "a path in the folder to leave out; nothing may open it on the robot")
	f.BoolVar(&blob, "blob", false, "sign one file as cosign does")
	return cmd
}

func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(n)(cmd, args); err != nil {
			return answer.With(answer.Misused, err)
		}
		return nil
	}
}

func sign(cmd *cobra.Command, path, name, out string, blob bool, ignore []string, key crypto.Signer) ([]byte, []artifact.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	progress := cliartifact.Progress(cmd.ErrOrStderr())
	if !info.IsDir() {
		f, err := artifact.HashFile(cmd.Context(), path, progress)
		if err != nil {
			return nil, nil, err
		}
		var bundle []byte
		if blob {
			bundle, err = artifact.SignBlob(f, key)
		} else {
			bundle, err = artifact.SignModel(name, []artifact.File{f}, true, nil, key)
		}
		return bundle, []artifact.File{f}, err
	}
	if blob {
		return nil, nil, answer.Usage("--blob signs one file, %s is a folder", path)
	}
	ignore = append(slices.Clone(ignore), gitPaths...)
	if rel, err := filepath.Rel(path, out); err == nil && filepath.IsLocal(rel) && !slices.Contains(ignore, filepath.ToSlash(rel)) {
		ignore = append(ignore, filepath.ToSlash(rel))
	}
	files, err := artifact.ListFolder(cmd.Context(), path, ignore, progress)
	if err != nil {
		return nil, nil, err
	}
	bundle, err := artifact.SignModel(name, files, false, ignore, key)
	return bundle, files, err
}

// readKey reads a private key of any kind that signs artifacts, if nobody else on this machine can read it.
func readKey(name string) (crypto.Signer, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %04o, so others may have read it: expected 0600", name, mode)
	}
	text, err := cliartifact.ReadFile(name, 64<<10)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(bytes.TrimSpace(rest)) != 0 {
		return nil, fmt.Errorf("%s: expected one PEM block -----BEGIN PRIVATE KEY----- (PKCS #8); `openssl pkcs8 -topk8 -nocrypt` makes one", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: keys of type %T cannot sign", name, parsed)
	}
	return key, nil
}

// writeNew writes a file that must not exist yet, and returns once it is durable.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // bundles are public
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: choose another name, nothing is ever written over", name)
	}
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(name))
	}
	return nil
}

// manifest are the flags of manifest.
type manifest struct {
	version, key, out, reason      string
	svn, floor, sequence           uint64
	audience, profiles, criteria   []string
	artifacts, fallbacks, excluded []string
	settle, window, valid          time.Duration
	atEnd                          string
	ramp                           int
	bind                           answer.Run
}

func newManifest() *cobra.Command {
	m := &manifest{}
	cmd := &cobra.Command{
		Use:   "manifest",
		Short: "Hash artifacts and sign the release that names them",
		Long: `Manifest hashes each artifact and writes a signed release: one order that names artifacts, digests, security version, the
robots or the group that it is for, what healthy means, and how far back a robot may go afterwards.

Exit status: 0 signed, 1 something cannot be signed, 2 the command was used wrongly.`,
		Example: `  robowarden-station artifact manifest --release 2026.11.3 --svn 7 --rollback-floor 5 --sequence 12 --audience group:canary \
      --artifact grasp-model=models/grasp@1.4 --reason "new grasps" --key release.key --out 2026.11.3.release`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return m.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&m.version, "release", "", "the release's version, for people")
	f.Uint64Var(&m.svn, "svn", 0, "the security version: raise it when an older release must not run any more")
	f.Uint64Var(&m.floor, "rollback-floor", 0, "the least security version to which a robot may go back, once this release is good")
	f.Uint64Var(&m.sequence, "sequence", 0, "the release's number; it must be above that of the newest one")
	f.StringArrayVar(&m.audience, "audience", nil, "for whom: manufacturer/serial or group:name")
	f.StringArrayVar(&m.profiles, "profile", nil, "the SHA-256 of a robot profile that it fits (default: any)")
	f.StringArrayVar(&m.criteria, "healthy", nil, "a criterion that must be proven: "+strings.Join(trial.Criteria(), ", "))
	f.DurationVar(&m.window, "window", 0, "how long the robot may be observed until then (default: four times --settle)")
	f.StringVar(&m.atEnd, "at-end", "", "what becomes of it without proof: roll-back (default) or hold")
	f.IntVar(&m.ramp, "ramp", 0, "how many in 100 robots of the audience may install it (default: all)")
	f.DurationVar(&m.settle, "settle", 10*time.Minute, "how long the robot must be healthy before the release counts as good")
	f.StringArrayVar(&m.artifacts, "artifact", nil, "an artifact, NAME=PATH@VERSION")
	f.StringArrayVar(&m.fallbacks, "fallback", nil, "older content that still counts, NAME=SHA256")
	f.StringArrayVar(&m.excluded, "ignore", nil, "a path in each folder to leave out, such as the bundle's")
	f.StringVar(&m.reason, "reason", "", "why, in one line, for whoever reads the journal")
	f.DurationVar(&m.valid, "valid", 30*24*time.Hour, "for how long the release may be accepted; one that was accepted stays in force")
	m.bind.Flags(f)
	f.StringVar(&m.key, "key", "", "the private key of the release role")
	f.StringVar(&m.out, "out", "", "where to write the release; it must not exist yet")
	return cmd
}

func (m *manifest) run(cmd *cobra.Command) error {
	binding, err := m.bind.Read(&m.audience)
	if err != nil {
		return err
	}
	if m.key == "" || m.out == "" || len(m.artifacts) == 0 || len(m.audience) == 0 || m.version == "" || m.sequence == 0 {
		return answer.Usage("--release, --sequence, --audience, --artifact, --key and --out are needed")
	}
	priv, err := readKey(m.key)
	if err != nil {
		return err
	}
	r := &order.Release{
		Version: m.version, SVN: m.svn, RollbackFloor: m.floor, Profiles: m.profiles, SettleS: int(m.settle / time.Second), Criteria: m.criteria,
		WindowS: int(m.window / time.Second), AtEnd: order.AtEnd(m.atEnd), RampPercent: m.ramp,
	}
	for _, c := range m.criteria {
		if !slices.Contains(trial.Criteria(), c) {
			return answer.Usage("--healthy: no robot can prove %q, so the release would never count as good: expected %s", c, strings.Join(trial.Criteria(), ", "))
		}
	}
	for _, text := range m.artifacts {
		a, err := m.hash(cmd, text)
		if err != nil {
			return err
		}
		r.Artifacts = append(r.Artifacts, *a)
	}
	slices.SortFunc(r.Artifacts, func(a, b order.Artifact) int { return strings.Compare(a.Name, b.Name) })
	for _, text := range m.fallbacks {
		name, digest, ok := strings.Cut(text, "=")
		a := r.Find(name)
		if !ok || a == nil {
			return answer.Usage("--fallback: expected NAME=SHA256 of one of the artifacts, found %q", text)
		}
		a.Fallbacks = append(a.Fallbacks, digest)
	}
	begin := time.Now().UTC().Truncate(time.Second).Add(-5 * time.Minute)
	o := &order.Order{
		Kind: order.KindRelease, ID: order.NewID(), Audience: m.audience, Sequence: m.sequence, Reason: m.reason,
		NotBefore: begin, NotAfter: begin.Add(m.valid.Truncate(time.Second)), Release: r, Binding: binding,
	}
	envelope, err := order.Sign(o, priv)
	if err != nil {
		return err
	}
	if err := writeNew(m.out, envelope); err != nil {
		return err
	}
	fmt.Fprint(cmd.OutOrStdout(), "file       "+m.out+"\n"+order.Inspect(envelope, nil, order.Times{Civil: time.Now().UTC(), Trust: order.Trusted}).Describe())
	return nil
}

// hash hashes one artifact, NAME=PATH@VERSION.
func (m *manifest) hash(cmd *cobra.Command, text string) (*order.Artifact, error) {
	name, rest, ok := strings.Cut(text, "=")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at < 1 || at == len(rest)-1 {
		return nil, answer.Usage("--artifact: expected NAME=PATH@VERSION, found %q", text)
	}
	path, version := rest[:at], rest[at+1:]
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var files []artifact.File
	progress := cliartifact.Progress(cmd.ErrOrStderr())
	if info.IsDir() {
		files, err = artifact.ListFolder(cmd.Context(), path, m.excluded, progress)
	} else {
		var f artifact.File
		f, err = artifact.HashFile(cmd.Context(), path, progress)
		files = []artifact.File{f}
	}
	if err != nil {
		return nil, err
	}
	digest := artifact.TreeDigest(files)
	a := &order.Artifact{Name: name, Version: version, SHA256: hex.EncodeToString(digest[:]), Files: len(files)}
	for i := range files {
		a.Size += uint64(files[i].Size) //nolint:gosec // sizes are not negative
	}
	return a, nil
}
