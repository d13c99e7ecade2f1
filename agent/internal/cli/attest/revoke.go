package attest

import (
	"crypto"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/identity"
	pilot "github.com/robowarden/robowarden/attest/identity/authority"
	"github.com/robowarden/robowarden/attest/order"
)

// newRevoke has the verifier forget a robot that was revoked.
func newRevoke(dir *string) *cobra.Command {
	var keys, roots string
	cmd := answer.Quiet(&cobra.Command{
		Use:   "revoke FILE",
		Short: "Take a signed revocation of a robot: it is not enrolled any more",
		Long: `Revoke verifies a revocation that robowarden-station sign revocation has made, by a key list and the root keys that have signed it,
and forgets the robot's enrolment at once, also of a verifier that runs: nothing that comes in its name counts, and its last
result runs out. The key list may not be older than the newest seen here.`,
		Example: "  robowarden-station verifier revoke g1-0007.revocation --keys keylist.order --roots roots.pem --state-dir /var/lib/robowarden-verifier",
		Args:    answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if keys == "" || roots == "" {
				return answer.Usage("--keys and --roots are needed: the signed key list that says who may revoke, and the root keys that have signed it")
			}
			store, err := openStore(*dir)
			if err != nil {
				return err
			}
			r, err := readRevocation(*dir, args[0], keys, roots)
			if err != nil {
				return err
			}
			if r.Role != string(identity.RoleRobot) {
				return fmt.Errorf("the revocation is for the role %s: a verifier knows robots only", r.Role)
			}
			if err := store.Revoke(r.Name); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "revoked    %s\nreason     %s\n", r.Name, r.Reason)
			return nil
		},
	})
	cmd.Flags().StringVar(&keys, "keys", "", "the signed key list")
	cmd.Flags().StringVar(&roots, "roots", "", "the public root keys, PEM")
	return cmd
}

func readRevocation(dir, file, keys, roots string) (*order.Revocation, error) {
	envelope, err := readFile(file, maxFile)
	if err != nil {
		return nil, err
	}
	list, pinned, err := readList(keys, roots)
	if err != nil {
		return nil, err
	}
	return pilot.OpenRevocation(dir, envelope, list, pinned, time.Now())
}

// readList reads a key list and the root keys that have signed it; neither is verified yet.
func readList(keys, roots string) (list []byte, pinned []crypto.PublicKey, err error) {
	if list, err = readFile(keys, maxFile); err != nil {
		return nil, nil, err
	}
	text, err := readFile(roots, maxFile)
	if err != nil {
		return nil, nil, err
	}
	if pinned, err = order.ParsePublicKeys(text); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", roots, err)
	}
	return list, pinned, nil
}

// newKeyList shows the verifier a key list, so that older ones do not say any more who may revoke.
func newKeyList(dir *string) *cobra.Command {
	var roots string
	cmd := answer.Quiet(&cobra.Command{
		Use:   "keylist FILE",
		Short: "Show the verifier a new key list: older ones do not say who may revoke any more",
		Long: `Keylist verifies a signed key list by the root keys and remembers it, as revoke does with the one that it is given. Do so when
somebody is taken out of the list: with a list of before, that key could still revoke robots. Lists of other robots or groups have
a count of their own.`,
		Example: "  robowarden-station verifier keylist keylist.order --roots roots.pem --state-dir /var/lib/robowarden-verifier",
		Args:    answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if roots == "" {
				return answer.Usage("--roots is needed: the root keys that have signed the key list")
			}
			if _, err := openStore(*dir); err != nil {
				return err
			}
			list, pinned, err := readList(args[0], roots)
			if err != nil {
				return err
			}
			sequence, err := pilot.TakeKeyList(*dir, list, pinned, time.Now())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "key list   sequence %d: older ones do not count\n", sequence)
			return nil
		},
	})
	cmd.Flags().StringVar(&roots, "roots", "", "the public root keys, PEM")
	return cmd
}
