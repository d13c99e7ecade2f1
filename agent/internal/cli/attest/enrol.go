package attest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
)

// newEnrol makes a robot known to the verifier.
func newEnrol(dir *string) *cobra.Command {
	var references string
	var replace bool
	cmd := answer.Quiet(&cobra.Command{
		Use:   "enrol IDENTITY.json",
		Short: "Make a robot known to the verifier",
		Long: `Enrol takes a robot's identity, which somebody has carried here from the robot, and the reference values that it is judged
by: a file, or the name of values that are known. From then on the verifier believes these keys to be that robot's.

A robot that is enrolled already is enrolled anew only with --replace. That forgets what is known about its TPM, so look
first why it is needed: a new mainboard, or somebody who wants it forgotten.`,
		Example: "  robowarden-station verifier enrol hum-0007.json --references g1-2026.11.yaml --state-dir /var/lib/robowarden-verifier",
		Args:    answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if references == "" {
				return answer.Usage("--references is missing: expected a file, or the name of reference values that are known")
			}
			store, err := openStore(*dir)
			if err != nil {
				return err
			}
			identity, err := readIdentity(args[0])
			if err != nil {
				return err
			}
			name, err := keepReferences(store, references)
			if err != nil {
				return err
			}
			if err := store.Enrol(&verifier.Enrolment{Identity: identity, References: name}, replace); err != nil {
				return err
			}
			id, err := order.KeyID(identity.Key)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "robot      %s\ntier       %s\nkey        %s\njudged by  %s\n", identity.Robot, tierText(identity.Tier), id, name)
			if identity.Recovery != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "bound      the key works in approved states only; in others the robot attests by its recovery, and is refused\n")
			}
			return nil
		},
	})
	cmd.Flags().StringVar(&references, "references", "", "reference values: a file, or the name of values that are known")
	cmd.Flags().BoolVar(&replace, "replace", false, "enrol a robot anew and forget what is known about its TPM")
	return cmd
}

// newReference puts reference values in force.
func newReference(dir *string) *cobra.Command {
	return answer.Quiet(&cobra.Command{
		Use:   "reference FILE",
		Short: "Put reference values in force, for all robots that are enrolled with their name",
		Long: `Reference checks reference values and puts them in force at once, in place of those of the same name. While an update goes
round, allow both the old and the new values; afterwards put what must never come back on the list reject.`,
		Example: "  robowarden-station verifier reference g1-2026.11.yaml --state-dir /var/lib/robowarden-verifier",
		Args:    answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := openStore(*dir)
			if err != nil {
				return err
			}
			name, err := keepReferences(store, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "in force   %s\n", name)
			return nil
		},
	})
}

func openStore(dir string) (*verifier.DirStore, error) {
	if dir == "" {
		return nil, answer.Usage("--state-dir is missing: expected the verifier's folder")
	}
	return verifier.OpenDir(dir)
}

// keepReferences stores reference values from a file, or finds those of a name.
func keepReferences(store *verifier.DirStore, given string) (string, error) {
	if _, err := os.Stat(given); errors.Is(err, fs.ErrNotExist) {
		r, err := store.References(given)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("there is no file %s, and no reference values of that name are known", given)
		}
		if err != nil {
			return "", err
		}
		return r.Name, nil
	}
	r, err := readReferences(given)
	if err != nil {
		return "", err
	}
	return r.Name, store.SaveReferences(r)
}

// tierText names a tier so that nobody takes a software key for a TPM.
func tierText(t order.Tier) string {
	if t == order.TierSoftwareKey {
		return "software-key: NO TPM, everything is the robot's own word"
	}
	return string(t)
}
