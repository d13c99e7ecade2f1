package cli

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/courier"
	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/identity/enrol"
)

// enrolFlags are what a person says about an enrolment.
type enrolFlags struct {
	invitation, est, roots, user, secret, certificate, key string
	approval                                               string
	renew, showEK                                          bool
	wait, timeout                                          time.Duration
}

func newEnroll() *cobra.Command {
	var f enrolFlags
	cmd := &cobra.Command{
		Use: "enroll", Aliases: []string{"enrol"}, Short: "Get the robot its certificate, or keep it good", Args: Args(cobra.NoArgs),
		Long: "Get the robot the certificate that the deployment names, for the key in its TPM: from the pilot authority\n" +
			"(robowarden-station ca), to which the TPM proves itself, or from an EST server (RFC 7030).\n\n" +
			"The invitation is given once. Started again, at any moment and after any fault, the command goes on where it was; once the\n" +
			"robot is enrolled it renews the certificate when two thirds of its life are over, and does nothing before. So start it every\n" +
			"hour: the unit robowarden-enroll.timer does.\n\n" +
			"Exit status: 0 the robot has a good certificate, 1 it has not got one or could not renew it, 2 the command was used wrongly.",
		Example: "  sudo -u robowarden-courier robowarden enroll --invitation g1-0007.invitation\n" +
			"  sudo -u robowarden-courier robowarden enroll --est https://est.example:8443 --roots est-ca.pem --user g1-0007 --secret-file once.txt\n" +
			"  robowarden enroll --show-ek        # for a TPM without a vendor's certificate: robowarden-station ca invite --ek",
	}
	deployment := deploymentFlag(cmd)
	out := output(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.invitation, "invitation", "", "the invitation's file, the first time")
	fl.StringVar(&f.est, "est", "", "an EST server's address, the first time, with the path at which EST begins unless that is /.well-known/est")
	fl.StringVar(&f.roots, "roots", "", "with --est: PEM certificates of who may vouch for the server's connection")
	fl.StringVar(&f.user, "user", "", "with --est: the name by which the server knows the robot at first")
	fl.StringVar(&f.secret, "secret-file", "", "with --est: the file of the secret that goes with it")
	fl.StringVar(&f.certificate, "bootstrap-certificate", "", "with --est: PEM certificate, such as the maker's, by which the server knows the robot at first")
	fl.StringVar(&f.key, "bootstrap-key", "", "with --est: that certificate's private key, PEM")
	fl.StringVar(&f.approval, "approval", "", "keep a signed approval of a state for the bound key, and do nothing else")
	fl.BoolVar(&f.renew, "renew", false, "ask for a new certificate even if it is not time yet")
	fl.BoolVar(&f.showEK, "show-ek", false, "print the SHA-256 of the TPM's endorsement key and do nothing else")
	fl.DurationVar(&f.wait, "wait", 10*time.Minute, "how long to wait for an authority that has not decided yet")
	fl.DurationVar(&f.timeout, "timeout", 30*time.Second, "how long one request may take")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := out()
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return f.run(ctx, cmd, *deployment, asJSON)
	}
	return cmd
}

func (f *enrolFlags) run(ctx context.Context, cmd *cobra.Command, deployment string, asJSON bool) error {
	if err := f.check(); err != nil {
		return &usageError{cmd.CommandPath(), err}
	}
	dep, err := config.LoadDeployment(deployment)
	if err != nil {
		return err
	}
	if dep.Courier == nil {
		return errNoRole("courier")
	}
	if f.showEK {
		return showEK(cmd, dep.Courier)
	}
	if f.approval != "" {
		return keepApproval(cmd, dep.Courier, f.approval)
	}
	o := courier.EnrolOptions{Renew: f.renew, Wait: f.wait, Timeout: f.timeout}
	if !asJSON {
		o.Step = func(s string) { fmt.Fprintf(cmd.ErrOrStderr(), "%s\n", s) }
	}
	if o.Invitation, err = f.readInvitation(); err != nil {
		return err
	}
	if o.EST, err = f.server(); err != nil {
		return err
	}
	cfg, err := config.Load(nil, dep.Paths.Profile)
	if err != nil {
		return err
	}
	got, err := courier.Enrol(ctx, dep.Courier, agent.RobotID(cfg.Profile.Manufacturer, dep.Serial), o)
	if err != nil {
		return err
	}
	return printEnrolment(cmd, got, dep.Courier.Certificate, asJSON)
}

// check says which flags do not go together.
func (f *enrolFlags) check() error {
	pair := (f.secret == "") == (f.user == "") && (f.certificate == "") == (f.key == "")
	switch {
	case f.timeout <= 0 || f.wait < 0:
		return errors.New("--timeout and --wait: expected more than 0 and at least 0")
	case f.est == "" && f.roots+f.user+f.secret+f.certificate+f.key != "":
		return errors.New("--roots, --user, --secret-file and --bootstrap-… go with --est")
	case f.est != "" && (f.invitation != "" || f.roots == "" || !pair || f.secret+f.key == ""):
		return errors.New("--est: expected --roots, and --user with --secret-file or --bootstrap-certificate with --bootstrap-key, and no --invitation")
	}
	return nil
}

// readInvitation reads the invitation's file, nil without one.
func (f *enrolFlags) readInvitation() (*identity.Invitation, error) {
	if f.invitation == "" {
		return nil, nil
	}
	data, err := os.ReadFile(f.invitation)
	if err != nil {
		return nil, err
	}
	i, err := identity.ParseInvitation(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.invitation, err)
	}
	return i, nil
}

// server is the EST server that the flags describe, nil without one.
func (f *enrolFlags) server() (*enrol.Server, error) {
	if f.est == "" {
		return nil, nil
	}
	s := &enrol.Server{Address: f.est, User: f.user}
	roots, err := os.ReadFile(f.roots)
	if err != nil {
		return nil, err
	}
	s.Roots = string(roots)
	if f.secret != "" {
		secret, err := os.ReadFile(f.secret)
		if err != nil {
			return nil, err
		}
		if s.Secret = strings.TrimSpace(string(secret)); s.Secret == "" {
			return nil, fmt.Errorf("%s is empty", f.secret)
		}
	}
	if f.certificate != "" {
		pair, err := tls.LoadX509KeyPair(f.certificate, f.key)
		if err != nil {
			return nil, err
		}
		s.Certificate = &pair
	}
	return s, nil
}

func printEnrolment(cmd *cobra.Command, o *enrol.Outcome, file string, asJSON bool) error {
	type answer struct {
		Did         string    `json:"did"`
		Subject     string    `json:"subject"`
		Issuer      string    `json:"issuer"`
		Serial      string    `json:"serial"`
		Certificate string    `json:"certificate"`
		NotAfter    time.Time `json:"not_after"`
		Due         time.Time `json:"due"`
		Recovery    string    `json:"recovery,omitempty"`
	}
	c := o.Certificate
	a := answer{o.Did, c.Subject.String(), c.Issuer.String(), fmt.Sprintf("%x", c.SerialNumber), file, c.NotAfter.UTC(), o.Due.UTC(), ""}
	if r := o.Recovery; r != nil {
		a.Recovery = r.Subject.String()
	}
	if asJSON {
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text)
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "done        %s\ncertificate %s\nissuer      %s\nfile        %s\nends        %s\nrenewal     from %s\n",
		a.Did, a.Subject, a.Issuer, a.Certificate, a.NotAfter.Format(time.RFC3339), a.Due.Format(time.RFC3339))
	if err == nil && a.Recovery != "" {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "recovery    %s\n", a.Recovery)
	}
	return err
}

// keepApproval keeps an approved state, as an update does before it starts.
func keepApproval(cmd *cobra.Command, c *config.Courier, file string) error {
	envelope, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	a, err := courier.KeepApproval(c, envelope)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "kept        %s, for %s, signed %s\n", a.Reason, a.Scope, a.Issued.Format(time.RFC3339))
	return err
}

// showEK prints the digest by which an invitation pins a TPM.
func showEK(cmd *cobra.Command, c *config.Courier) error {
	ek, err := courier.Endorsement(c)
	if err != nil {
		return err
	}
	vendor := "the TPM has no vendor's certificate for it"
	if ek.Certificate != nil {
		vendor = "the TPM has a vendor's certificate for it"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%x\n%s\n", sha256.Sum256(ek.Public), vendor)
	return err
}
