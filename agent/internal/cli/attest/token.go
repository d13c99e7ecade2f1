package attest

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/token"
)

// tokenCheck are the flags of verify token.
type tokenCheck struct {
	jwk, robot, audience, role, output string
	leeway                             time.Duration
}

// newVerifyToken returns the subcommand that checks a token of robot software.
func newVerifyToken() *cobra.Command {
	var o tokenCheck
	cmd := answer.Quiet(&cobra.Command{
		Use:   "token FILE",
		Short: "Check a token that a robot has given to its software",
		Long: `Token checks a JWT as a service would: the robot's key, which robot identity --jwk has written, the robot, the audience, the
time, and the role. A token of a software key is refused, unless the key's file says that it is one: then whoever copied that file could have signed.
FILE is - for standard input. That the robot is not revoked, and what its attestation says, is for the verifier: att names its result.

Exit status: 0 it counts now, 1 it does not, 2 the command was used wrongly.`,
		Example: "  robowarden-station verify token token.jwt --jwk g1-0007.jwk --robot unitree/g1-0007 --audience fleet --role telemetry",
		Args:    answer.Positional(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	})
	f := cmd.Flags()
	f.StringVar(&o.jwk, "jwk", "", "the robot's key, as `robowarden identity --jwk` on the robot writes it")
	f.StringVar(&o.robot, "robot", "", "whose token it has to be, manufacturer/serial")
	f.StringVar(&o.audience, "audience", "", "for whom it has to be")
	f.StringVar(&o.role, "role", "", "the role that it has to name")
	f.DurationVar(&o.leeway, "leeway", 30*time.Second, "by how much this clock and the robot's may differ")
	f.StringVar(&o.output, "output", "text", "text for people, json for programs")
	return cmd
}

func (o *tokenCheck) run(cmd *cobra.Command, path string) error {
	switch {
	case o.jwk == "" || o.robot == "" || o.audience == "" || o.role == "":
		return answer.Usage("expected --jwk, --robot, --audience and --role: a token that is good for something else is not good")
	case o.output != "text" && o.output != "json":
		return answer.Usage("--output: expected text or json, found %q", o.output)
	case o.leeway < 0:
		return answer.Usage("--leeway: expected 0s or more, found %s", o.leeway)
	}
	raw, err := readFile(o.jwk, maxFile)
	if err != nil {
		return err
	}
	key, kid, err := token.ParseJWK(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", o.jwk, err)
	}
	text, err := readToken(cmd.InOrStdin(), path)
	if err != nil {
		return err
	}
	c, err := token.Verify(text, key, token.Expect{Issuer: o.robot, Audience: o.audience, KeyID: kid, Now: time.Now(), Leeway: o.leeway})
	if err == nil && c.Role != o.role {
		err = fmt.Errorf("token: for the role %q: expected %q", c.Role, o.role)
	}
	if err != nil {
		return answer.With(answer.No, err)
	}
	return o.show(cmd.OutOrStdout(), c, kid)
}

// readToken reads a file, or standard input for "-".
func readToken(in io.Reader, path string) (string, error) {
	if path != "-" {
		data, err := readFile(path, token.MaxToken+1)
		return strings.TrimSpace(string(data)), err
	}
	data, err := io.ReadAll(io.LimitReader(in, token.MaxToken+2)) // with a line's end; more is refused as too long
	return strings.TrimSpace(string(data)), err
}

func (o *tokenCheck) show(w io.Writer, c *token.Claims, kid string) error {
	if o.output == "json" {
		return json.NewEncoder(w).Encode(c)
	}
	_, err := fmt.Fprintf(w, "counts until %s\n  robot        %s\n  program      %s\n  for          %s, as %s\n  key          %s\n  boot         %s\n  attestation  %s\n",
		time.Unix(c.Expires, 0).UTC().Format(time.RFC3339), c.Issuer, c.Subject, c.Audience, c.Role, kid, c.BootID, c.Attestation)
	return err
}
