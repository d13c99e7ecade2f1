// Package authority is the station's subcommand ca: the pilot authority that invites robots, has their TPMs prove themselves and
// issues certificates; it never signs an order, nor puts anything into a robot by itself.
//
// Every command ends with 0 if it was done, 1 if not, and 2 if it was not used as it should be.
package authority

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/identity/authority"
	"github.com/robowarden/robowarden/attest/order"
)

// maxFile is larger than any request, key or list that is read.
const maxFile = 8 << 20

// quiet prepares a command with a number of arguments.
func quiet(cmd *cobra.Command, args int) *cobra.Command {
	cmd.Args = answer.Positional(cobra.ExactArgs(args))
	return answer.Quiet(cmd)
}

// New returns the subcommand with its own subcommands.
func New() *cobra.Command {
	var dir string
	cmd := quiet(&cobra.Command{
		Use: "ca", Short: "The pilot authority: invite robots, issue and revoke certificates",
		Long: `Ca is an authority for a pilot: certificates for some hundred robots and the people around them, from private keys that are files
of this computer. Each role (robot, fleet-manager, vendor, operator, safety-engineer, server) has a root of its own. A robot with
a TPM proves that the key it gets a certificate for is in a genuine TPM; who the robot is, the invitation says.

docs/enrolment.md leads through a pilot in ten minutes, and says what this authority is not.`,
	}, 0)
	cmd.PersistentFlags().StringVar(&dir, "dir", "", "the authority's folder")
	open := func() (*authority.Authority, error) {
		if dir == "" {
			return nil, answer.Usage("--dir is missing: expected the authority's folder")
		}
		return authority.Open(dir, nil)
	}
	cmd.AddCommand(newInit(&dir), newServe(open), newInvite(open), newIssue(open), newRoots(open), newKeyList(open), newRevoke(open), newCRL(open), newIdentity(open), newList(open))
	return cmd
}

// opener opens the folder that --dir names.
type opener func() (*authority.Authority, error)

func newInit(dir *string) *cobra.Command {
	var site string
	cmd := quiet(&cobra.Command{
		Use: "init", Short: "Make a new authority: a folder with a root for each role",
		Example: "  robowarden-station ca init --dir /var/lib/robowarden-ca --site \"St. Mary\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if *dir == "" || site == "" {
				return answer.Usage("--dir and --site are needed: the folder to make, and the site's name for its certificates")
			}
			if err := authority.Init(*dir, site, time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "made       %s\nroots      %s/roots: give ROLE.pem to brokers and services, never ROLE.key.pem\nvendors    put the root certificates of the TPM vendors that you accept into %s/vendors, as .pem\n",
				*dir, *dir, *dir)
			return nil
		},
	}, 0)
	cmd.Flags().StringVar(&site, "site", "", "the site's name")
	return cmd
}

func newServe(open opener) *cobra.Command {
	var listen string
	var hosts []string
	cmd := quiet(&cobra.Command{
		Use: "serve", Short: "Serve robots: EST (RFC 7030), credential activation, revocation lists",
		Example: "  robowarden-station ca serve --dir /var/lib/robowarden-ca --listen :8443 --host ca.example --host 10.1.2.3",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(hosts) == 0 {
				return answer.Usage("--host is missing: expected each name and address by which robots reach the authority")
			}
			a, err := open()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return serve(ctx, a, listen, hosts, zerolog.New(cmd.ErrOrStderr()).With().Timestamp().Logger())
		},
	}, 0)
	cmd.Flags().StringVar(&listen, "listen", ":8443", "where to listen")
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "a name or address by which robots reach the authority; may be given more than once")
	return cmd
}

func serve(ctx context.Context, a *authority.Authority, listen string, hosts []string, log zerolog.Logger) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	log.Info().Stringer("address", l.Addr()).Strs("hosts", hosts).Msg("serving")
	return a.Serve(ctx, l, hosts, log)
}

// inviting are the flags of invite.
type inviting struct {
	server, out, until string
	approver, scope    string
	options            authority.InviteOptions
	software           bool
}

func newInvite(open opener) *cobra.Command {
	var f inviting
	cmd := quiet(&cobra.Command{
		Use: "invite ROBOT", Short: "Invite a robot: write the file that it enrols with, once",
		Long: `Invite writes a file with the secret by which the authority knows one robot, once, and what the robot needs to know the authority.
Carry it to the robot; whoever has it before the robot does can be that robot, if he has a TPM of an accepted vendor.

A robot that was revoked, or has another TPM or mainboard, is invited anew; its earlier certificates end when it is enrolled.`,
		Example: `  robowarden-station ca invite unitree/g1-0007 --dir /var/lib/robowarden-ca --server https://ca.example:8443 --out g1-0007.invitation
  robowarden-station ca invite unitree/test-1 … --life 48h --until 2026-12-24T00:00:00Z      # a test unit: ends by itself
  robowarden-station ca invite unitree/g1-0007 … --approver approver.pem --scope g1          # a key that is bound to approved states
  robowarden-station ca invite unitree/g1-0008 … --ek 5f0c…                                  # a TPM without a certificate`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := open()
			if err != nil {
				return err
			}
			return f.run(cmd, a, args[0])
		},
	}, 1)
	fl := cmd.Flags()
	fl.StringVar(&f.server, "server", "", "the authority's address for the robot, https://host:port")
	fl.StringVar(&f.out, "out", "", "the invitation's file; it must not exist yet")
	fl.DurationVar(&f.options.Wait, "wait", 24*time.Hour, "how long the invitation waits for the robot")
	fl.DurationVar(&f.options.Life, "life", 90*24*time.Hour, "how long each certificate lasts")
	fl.StringVar(&f.until, "until", "", "when the enrolment ends by itself, like 2026-12-24T00:00:00Z (default never)")
	fl.StringVar(&f.options.EK, "ek", "", "the SHA-256 of the TPM's endorsement key, as robowarden enroll --show-ek prints it on the robot")
	fl.StringVar(&f.approver, "approver", "", "the public key, PEM, of who approves the states in which the robot's key works; without it, it works in all of them")
	fl.StringVar(&f.scope, "scope", "", "with --approver: the class of robots that states are approved for (default this robot alone)")
	fl.BoolVar(&f.software, "software-key", false, "the robot has no TPM: whoever copies its key file is that robot")
	return cmd
}

func (f *inviting) run(cmd *cobra.Command, a *authority.Authority, robot string) error {
	if f.server == "" || f.out == "" {
		return answer.Usage("--server and --out are needed: the authority's address, and the file to write")
	}
	if f.until != "" {
		t, err := time.Parse(time.RFC3339, f.until)
		if err != nil {
			return answer.Usage("--until: expected a moment like 2026-12-24T00:00:00Z, found %q", f.until)
		}
		f.options.Until = t
	}
	if f.options.Tier = order.TierTPM; f.software {
		f.options.Tier = order.TierSoftwareKey
	}
	if err := identity.CheckServer(f.server); err != nil {
		return answer.Usage("--server: %w", err)
	}
	if err := f.bind(robot); err != nil {
		return err
	}
	file, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	token, expires, err := a.Invite(robot, f.options)
	if err != nil {
		return errors.Join(err, os.Remove(f.out))
	}
	i := identity.Invitation{
		Server: f.server, Robot: robot, Tier: f.options.Tier, Token: token, Expires: expires.Truncate(time.Second),
		Roots: string(identity.EncodePEM([]*x509.Certificate{a.Root(identity.RoleServer)})),
	}
	text, err := i.Encode()
	if err != nil {
		return err
	}
	if _, err = file.Write(text); err == nil {
		err = file.Sync()
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "robot      %s\ntier       %s\nwaits      until %s\nwritten    %s, to be kept from others: robowarden enroll --invitation %s\n",
		robot, i.Tier, i.Expires.Format(time.RFC3339), f.out, f.out)
	return nil
}

// bind says to whose approvals the robot's key is to be bound.
func (f *inviting) bind(robot string) error {
	if f.approver == "" {
		if f.scope != "" {
			return answer.Usage("--scope goes with --approver")
		}
		return nil
	}
	text, err := readFile(f.approver)
	if err != nil {
		return err
	}
	if f.options.Approver, err = identity.ParseApprover(text); err != nil {
		return fmt.Errorf("%s: %w", f.approver, err)
	}
	f.options.Scope = cmp.Or(f.scope, robot)
	return nil
}

func newIssue(open opener) *cobra.Command {
	var role, name, request, out string
	var life time.Duration
	cmd := quiet(&cobra.Command{
		Use: "issue", Short: "Sign a certificate request of a person or a server, which somebody has carried here",
		Long:    "Issue signs a certificate request (PKCS #10, PEM or DER, a key on P-256) for a role and a name. What the request says about names is\nnot read: this command says it. Robots are invited instead.",
		Example: "  robowarden-station ca issue --dir /var/lib/robowarden-ca --role server --name broker.example --request broker.csr --out broker.pem",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := identity.ParseRole(role)
			if err != nil {
				return answer.Usage("--role: %w", err)
			}
			if name == "" || request == "" || out == "" {
				return answer.Usage("--name, --request and --out are needed")
			}
			a, err := open()
			if err != nil {
				return err
			}
			der, err := readDER(request, "CERTIFICATE REQUEST")
			if err != nil {
				return err
			}
			cert, err := a.Issue(r, name, der, life)
			if err != nil {
				return err
			}
			if err := writeNew(out, identity.EncodePEM([]*x509.Certificate{cert})); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "issued     %s\nends       %s\n", cert.Subject, cert.NotAfter.Format(time.RFC3339))
			return nil
		},
	}, 0)
	fl := cmd.Flags()
	fl.StringVar(&role, "role", "", "fleet-manager, vendor, operator, safety-engineer or server")
	fl.StringVar(&name, "name", "", "whose certificate it is: a person, or a server's host name")
	fl.StringVar(&request, "request", "", "the certificate request")
	fl.StringVar(&out, "out", "", "the certificate's file; it must not exist yet")
	fl.DurationVar(&life, "life", 90*24*time.Hour, "how long the certificate lasts")
	return cmd
}

// readDER reads a file in PEM of one kind, or in DER.
func readDER(path, kind string) ([]byte, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	switch {
	case block == nil:
		return data, nil
	case !strings.HasSuffix(block.Type, kind): // OpenSSL also writes NEW CERTIFICATE REQUEST
		return nil, fmt.Errorf("%s holds %s: expected %s", path, block.Type, kind)
	}
	return block.Bytes, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s: expected a regular file of at most %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}

// writeNew writes a file that must not exist yet.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // certificates and lists are public
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func newList(open opener) *cobra.Command {
	return quiet(&cobra.Command{
		Use: "list", Short: "List who has certificates, and who is revoked",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := open()
			if err != nil {
				return err
			}
			all, err := a.List()
			if err != nil {
				return err
			}
			for i := range all {
				h := &all[i]
				fmt.Fprintf(cmd.OutOrStdout(), "%-15s %-32s %-12s %-20s %s\n", h.Role, h.Name, h.Tier, h.Ends(), strings.Join(slices.DeleteFunc([]string{h.State, h.Maker}, func(s string) bool { return s == "" }), ", "))
			}
			return nil
		},
	}, 0)
}
