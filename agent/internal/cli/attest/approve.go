package attest

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/verifier"
)

// approving are the flags of verifier approve.
type approving struct {
	dir                         *string
	references                  string
	scope, reason, keyFile, out string
	evidence, force             string
	pcrs                        []int
	set                         []string
	values                      map[int][sha256.Size]byte
}

// newApprove signs a state in which robots' bound keys may work.
func newApprove(dir *string) *cobra.Command {
	a := approving{dir: dir}
	cmd := answer.Quiet(&cobra.Command{
		Use:   "approve [ROBOT]",
		Short: "Approve a state in which robots whose key is bound may use it",
		Long: `Approve signs values of a TPM's registers, so that robots whose key is bound to the signer's approvals may use it while their
registers hold them: those that ROBOT has last shown to this verifier, by verified evidence, its recovery's included; or those that
reference values allow, where they allow exactly one value for each register. --set gives a value that nobody has shown yet: what an
update that is under way leads to.

It first prints what the robot has shown and how that is judged, and signs only with --evidence, the digest that it or explain has printed:
what is approved is what somebody has looked at, not what the robot has shown since. What is on a reject list is never approved; where more
differs than values that are not allowed yet, --force says why it is approved all the same. Registers 16 and 23 are refused: any software sets
them back.

The approval is for one robot or one class of robots (--scope), as their deployments and invitations say. It does not run out and
cannot be taken back: what must never start again is for the verifier to refuse. Several count at a time, so send the one for the
next release before it starts. The signer's key is ECDSA on P-256, and signs nothing else.

The document goes to the robot's topic attestation/approval, retained (mosquitto_pub -r -q 1), so that it finds a robot that is off or in
recovery; or with the update: robowarden enroll --approval FILE.`,
		Example: `  robowarden-station verifier approve unitree/g1-0007 --pcrs 0,2,4,7,14 --scope g1 --key approver.key --reason "release 2026.12" --out g1.approval --state-dir verifier --evidence 5f1c…
  robowarden-station verifier approve unitree/g1-0007 --pcrs 0,2,4,7,14 --set 14=39b6c1a6… --scope g1 …        # the next release, beforehand
  robowarden-station verifier approve --references g1-2026.12 --pcrs 7,14 --scope g1 …`,
		Args: answer.Positional(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 0) == (a.references == "") {
				return answer.Usage("expected a robot, or --references")
			}
			if len(a.pcrs) == 0 || a.scope == "" || a.reason == "" || a.keyFile == "" || a.out == "" {
				return answer.Usage("--pcrs, --scope, --reason, --key and --out are needed")
			}
			return a.run(cmd, args)
		},
	})
	f := cmd.Flags()
	f.StringVar(&a.references, "references", "", "reference values: a file, or the name of values that are known")
	f.IntSliceVar(&a.pcrs, "pcrs", nil, "the registers that the state is about; others may hold anything")
	f.StringArrayVar(&a.set, "set", nil, "N=HEX, a register's value in place of the one that was shown; may be given more than once")
	f.StringVar(&a.scope, "scope", "", "for whom: a class of robots, or one robot's id")
	f.StringVar(&a.reason, "reason", "", "which state that is, for people")
	f.StringVar(&a.evidence, "evidence", "", "the SHA-256 of the robot's evidence that somebody has looked at; without it nothing is signed")
	f.StringVar(&a.force, "force", "", "why the state is approved although more differs than values; it becomes part of the reason")
	f.StringVar(&a.keyFile, "key", "", "the approver's private key, ECDSA on P-256")
	f.StringVar(&a.out, "out", "", "the signed approval's file; it must not exist yet")
	return cmd
}

func (a *approving) run(cmd *cobra.Command, args []string) error {
	if err := a.parseSet(); err != nil {
		return err
	}
	key, err := readSigner(a.keyFile)
	if err != nil {
		return err
	}
	asked := slices.DeleteFunc(slices.Clone(a.pcrs), func(n int) bool { _, given := a.values[n]; return given })
	if len(args) == 0 {
		found, from, err := a.fromReferences(asked)
		if err != nil {
			return err
		}
		maps.Copy(a.values, found)
		return a.sign(cmd, key, from)
	}
	in, err := lastEvidence(*a.dir, args[0])
	if err != nil {
		return err
	}
	found, err := verifier.Quoted(*in, asked)
	if err != nil {
		return err
	}
	maps.Copy(a.values, found)
	if err := a.look(cmd, *in); err != nil {
		return err
	}
	return a.sign(cmd, key, "verified evidence of "+args[0])
}

// look shows a person what would be approved, and says whether he has said yes to that.
func (a *approving) look(cmd *cobra.Command, in verifier.Input) error {
	x := verifier.Explain(in)
	fmt.Fprintf(cmd.OutOrStdout(), "%sevidence %s\n", x.Text(), x.Evidence)
	a.show(cmd)
	judged, _ := verifier.Appraise(in)
	never, doubt := judged.AgainstApproval()
	switch {
	case len(never) > 0:
		return fmt.Errorf("%s: is on the list of what must not start again, and an approval cannot be taken back: nothing is signed", never[0])
	case len(doubt) > 0 && a.force == "":
		return fmt.Errorf("%s: more differs than values that are not allowed yet: nothing is signed; find out why, or say by --force why it is approved all the same", doubt[0])
	case a.evidence == "":
		return fmt.Errorf("nothing is signed yet: look at what is printed above, then give --evidence %s", x.Evidence)
	case a.evidence != x.Evidence:
		return fmt.Errorf("--evidence: found %s: expected %s, the robot's last: it has shown something since; nothing is signed", a.evidence, x.Evidence)
	}
	return nil
}

// show prints the values.
func (a *approving) show(cmd *cobra.Command) {
	for _, n := range slices.Sorted(slices.Values(a.pcrs)) {
		fmt.Fprintf(cmd.OutOrStdout(), "pcr %-2d     %x\n", n, a.values[n])
	}
}

// parseSet reads the values that a person gives.
func (a *approving) parseSet() error {
	a.values = map[int][sha256.Size]byte{}
	for _, text := range a.set {
		name, value, _ := strings.Cut(text, "=")
		n, err := strconv.Atoi(name)
		b, bad := hex.DecodeString(value)
		if err != nil || bad != nil || len(b) != sha256.Size || !slices.Contains(a.pcrs, n) {
			return answer.Usage("--set: found %q: expected one of --pcrs, an equals sign, and %d bytes in hexadecimal digits", text, sha256.Size)
		}
		a.values[n] = [sha256.Size]byte(b)
	}
	return nil
}

// fromReferences gives the registers' values by reference values, and says by which.
func (a *approving) fromReferences(pcrs []int) (map[int][sha256.Size]byte, string, error) {
	store, err := openStore(*a.dir)
	if err != nil {
		return nil, "", err
	}
	r, err := findReferences(store, a.references)
	if err != nil {
		return nil, "", err
	}
	found := map[int][sha256.Size]byte{}
	for _, n := range pcrs {
		i := slices.IndexFunc(r.PCRs, func(p verifier.PCRRule) bool { return p.PCR == n })
		if i < 0 || len(r.PCRs[i].Allowed) != 1 || len(r.PCRs[i].Leaving) > 0 {
			return nil, "", fmt.Errorf("%s: PCR %d has not exactly one allowed value there: approve what a robot has shown, or give it by --set", r.Name, n)
		}
		b, err := hex.DecodeString(r.PCRs[i].Allowed[0])
		if err != nil || len(b) != sha256.Size {
			return nil, "", fmt.Errorf("%s: PCR %d: found %q: expected a digest", r.Name, n, r.PCRs[i].Allowed[0])
		}
		found[n] = [sha256.Size]byte(b)
	}
	return found, "reference values " + r.Name, nil
}

func (a *approving) sign(cmd *cobra.Command, key crypto.Signer, from string) error {
	reason := a.reason
	if a.force != "" {
		reason += "; forced: " + a.force
	}
	envelope, err := identity.SignApproval(key, a.scope, reason, time.Now(), a.values)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(a.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // it is public
	if err != nil {
		return err
	}
	if _, err = f.Write(envelope); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "approved   for %s, by %s\n", a.scope, from)
	a.show(cmd)
	fmt.Fprintf(out, "written    %s\n", a.out)
	return nil
}
