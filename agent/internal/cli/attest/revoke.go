package attest

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/attest/identity"
	pilot "github.com/robowarden/robowarden/attest/identity/authority"
	"github.com/robowarden/robowarden/attest/order"
)

// newRevoke has the verifier forget a robot that was revoked.
func newRevoke(dir *string) *cobra.Command {
	var keys, roots string
	cmd := quiet(&cobra.Command{
		Use:   "revoke FILE",
		Short: "Take a signed revocation of a robot: it is not enrolled any more",
		Long: `Revoke verifies a revocation that robowarden-station sign revocation has made, by a key list and the root keys that have signed it,
and forgets the robot's enrolment at once, also of a verifier that runs: nothing that comes in its name counts, and its last
result runs out.`,
		Example: "  robowarden-station verifier revoke g1-0007.revocation --keys keylist.order --roots roots.pem --state-dir /var/lib/robowarden-verifier",
		Args:    positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if keys == "" || roots == "" {
				return usage("--keys and --roots are needed: the signed key list that says who may revoke, and the root keys that have signed it")
			}
			store, err := openStore(*dir)
			if err != nil {
				return err
			}
			r, err := readRevocation(args[0], keys, roots)
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

func readRevocation(file, keys, roots string) (*order.Revocation, error) {
	envelope, err := readFile(file, maxFile)
	if err != nil {
		return nil, err
	}
	list, err := readFile(keys, maxFile)
	if err != nil {
		return nil, err
	}
	text, err := readFile(roots, maxFile)
	if err != nil {
		return nil, err
	}
	pinned, err := order.ParsePublicKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", roots, err)
	}
	return pilot.OpenRevocation(envelope, list, pinned, time.Now())
}
