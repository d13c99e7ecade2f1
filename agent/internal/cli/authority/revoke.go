package authority

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/order"
)

func newRoots(open opener) *cobra.Command {
	return quiet(&cobra.Command{
		Use: "roots FILE", Short: "Pin, once, the root keys whose key list says who may revoke",
		Long: "Roots keeps the public root keys of orders, PEM, as they are on the robots. A revocation counts if a key list that they have signed\n" +
			"names its signer as security or safety engineer.",
		Example: "  robowarden-station ca roots roots.pem --dir /var/lib/robowarden-ca",
		RunE: func(_ *cobra.Command, args []string) error {
			a, err := open()
			if err != nil {
				return err
			}
			text, err := readFile(args[0])
			if err != nil {
				return err
			}
			return a.PinRoots(text)
		},
	}, 1)
}

func newKeyList(open opener) *cobra.Command {
	return quiet(&cobra.Command{
		Use: "keylist FILE", Short: "Show the authority a new key list: older ones do not say who may revoke any more",
		Long: "Keylist verifies a signed key list by the pinned root keys and remembers it, as revoke does with the one that it is given. Do so when\n" +
			"somebody is taken out of the list: with a list of before, that key could still revoke robots, and nothing lifts a revocation.\n" +
			"Lists of other robots or groups have a count of their own.",
		Example: "  robowarden-station ca keylist keylist.order --dir /var/lib/robowarden-ca",
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := open()
			if err != nil {
				return err
			}
			list, err := readFile(args[0])
			if err != nil {
				return err
			}
			sequence, err := a.TakeKeyList(list)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "key list   sequence %d: older ones do not count\n", sequence)
			return nil
		},
	}, 1)
}

func newRevoke(open opener) *cobra.Command {
	var keys string
	cmd := quiet(&cobra.Command{
		Use: "revoke FILE", Short: "Take a signed revocation: what was issued up to then does not count any more",
		Long: "Revoke verifies a revocation that robowarden-station sign revocation has made, and takes back every certificate and invitation that\n" +
			"was issued up to its moment. The key list may not be older than the newest seen here.\n" +
			"The robot cannot renew, and its TPM alone does not get it back: it has to be invited anew.\n" +
			"Write the list of revoked certificates for the broker afterwards (ca crl), and tell the verifier (verifier revoke).",
		Example: "  robowarden-station ca revoke g1-0007.revocation --keys keylist.order --dir /var/lib/robowarden-ca",
		RunE: func(cmd *cobra.Command, args []string) error {
			if keys == "" {
				return answer.Usage("--keys is missing: expected the signed key list that says who may revoke")
			}
			a, err := open()
			if err != nil {
				return err
			}
			envelope, err := readFile(args[0])
			if err != nil {
				return err
			}
			list, err := readFile(keys)
			if err != nil {
				return err
			}
			r, err := a.Take(envelope, list)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "revoked    %s %s, what was issued up to %s\nreason     %s\n", r.Role, r.Name, r.Before.Format(time.RFC3339), r.Reason)
			return nil
		},
	}, 1)
	cmd.Flags().StringVar(&keys, "keys", "", "the signed key list")
	return cmd
}

func newCRL(open opener) *cobra.Command {
	var role, out string
	cmd := quiet(&cobra.Command{
		Use: "crl", Short: "Write the list of a role's revoked certificates, for brokers",
		Long: "Crl writes a certificate revocation list (RFC 5280, PEM) in the place of the one before. It counts for 30 days, and a broker that has a\n" +
			"list refuses everybody once it has run out: write it each day, and let the broker read it again. Also served at " + identity.PathCRL + ".",
		Example: "  robowarden-station ca crl --role robot --out /etc/mosquitto/robots.crl.pem --dir /var/lib/robowarden-ca && systemctl reload mosquitto",
		RunE: func(_ *cobra.Command, _ []string) error {
			r, err := identity.ParseRole(role)
			if err != nil {
				return answer.Usage("--role: %w", err)
			}
			if out == "" {
				return answer.Usage("--out is missing: expected the list's file")
			}
			a, err := open()
			if err != nil {
				return err
			}
			return a.WriteCRL(r, out)
		},
	}, 0)
	cmd.Flags().StringVar(&role, "role", string(identity.RoleRobot), "whose certificates")
	cmd.Flags().StringVar(&out, "out", "", "the list's file, which is replaced")
	return cmd
}

func newIdentity(open opener) *cobra.Command {
	return quiet(&cobra.Command{
		Use: "identity ROBOT", Short: "Print an enrolled robot's keys, for the verifier",
		Long:    "Identity prints what robowarden identity prints on the robot, but what the robot's TPM has proven here: nobody has to carry it.",
		Example: "  robowarden-station ca identity unitree/g1-0007 --dir /var/lib/robowarden-ca > g1-0007.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := open()
			if err != nil {
				return err
			}
			id, err := a.Identity(args[0])
			if err != nil {
				return err
			}
			text, err := id.MarshalJSON()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text)
			return err
		},
	}, 1)
}

// signRevocation signs a revocation and writes it to a file that must not exist yet.
func signRevocation(out string, r *order.Revocation, keyFile string) error {
	info, err := os.Stat(keyFile)
	if err != nil {
		return err
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return fmt.Errorf("%s has mode %v, so others may have read it: expected a file with mode 0600", keyFile, mode)
	}
	text, err := readFile(keyFile)
	if err != nil {
		return err
	}
	key, err := order.ParsePrivateKey(text)
	if err != nil {
		return fmt.Errorf("%s: %w", keyFile, err)
	}
	payload, err := r.Encode()
	if err != nil {
		return err
	}
	envelope, err := order.SignDocument(order.RevocationType, payload, key)
	if err != nil {
		return err
	}
	return writeNew(out, envelope)
}

// NewSignRevocation returns the form of sign that makes a revocation.
func NewSignRevocation() *cobra.Command {
	var role, name, reason, key, out string
	cmd := quiet(&cobra.Command{
		Use: "revocation", Short: "Sign a revocation: what was issued to somebody up to now does not count any more",
		Long: "Revocation signs that every certificate that an authority has issued to a robot or another holder up to now does not count any more.\n" +
			"Security and safety engineers may. It does not run out and nothing lifts it: whoever is to be believed again is enrolled again.",
		Example: "  robowarden-station sign revocation --name unitree/g1-0007 --reason \"stolen from ward 3\" --key sara.key --out g1-0007.revocation",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" || reason == "" || key == "" || out == "" {
				return answer.Usage("--name, --reason, --key and --out are needed")
			}
			r, err := identity.ParseRole(role)
			if err == nil {
				err = identity.CheckName(r, name)
			}
			if err != nil {
				return answer.Usage("%w", err)
			}
			v := &order.Revocation{Role: role, Name: name, Before: time.Now().UTC().Truncate(time.Second), Reason: reason}
			if err := signRevocation(out, v, key); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "revokes    %s %s, what was issued up to %s\nwritten    %s\n", v.Role, v.Name, v.Before.Format(time.RFC3339), out)
			return nil
		},
	}, 0)
	fl := cmd.Flags()
	fl.StringVar(&role, "role", string(identity.RoleRobot), "what the holder's certificates are for")
	fl.StringVar(&name, "name", "", "whose they are: a robot manufacturer/serial")
	fl.StringVar(&reason, "reason", "", "why, in one line")
	fl.StringVar(&key, "key", "", "the private key to sign with")
	fl.StringVar(&out, "out", "", "the file to write; it must not exist yet")
	return cmd
}
