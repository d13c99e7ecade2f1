package attest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
)

// offline are the flags of verify.
type offline struct {
	dir, identity, references, challenge, firmware, measured, output string
}

// NewVerify returns the subcommand that appraises recorded evidence.
func NewVerify() *cobra.Command {
	var o offline
	cmd := answer.Quiet(&cobra.Command{
		Use:   "verify FILE",
		Short: "Appraise recorded evidence and explain each reason",
		Long: `Verify reads evidence from a file, as the robot has signed it or as the message that carried it, and judges it exactly as the
verifier would: with --state-dir by what the verifier knows, or with --identity, --references and the logs from files.
Whether the evidence was fresh can be judged only with the challenge; whether the TPM goes on from before, not at all. The
answer says what was not checked.

Exit status: 0 accepted, 1 refused, 2 the command was used wrongly.`,
		Example: `  robowarden-station verify hum-0007.cose --state-dir /var/lib/robowarden-verifier
  robowarden-station verify hum-0007.cose --identity hum-0007.json --references g1.yaml --firmware-log boot.bin --measured-log measured`,
		Args: answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.output != "text" && o.output != "json" {
				return answer.Usage("--output: expected text or json, found %q", o.output)
			}
			if (o.dir == "") == (o.identity == "" || o.references == "") {
				return answer.Usage("expected either --state-dir, or --identity and --references")
			}
			message, err := readEvidence(args[0])
			if err != nil {
				return err
			}
			in, err := o.input(message)
			if err != nil {
				return err
			}
			a, e := verifier.Appraise(*in)
			if err := o.show(cmd, a, e); err != nil {
				return err
			}
			if a.Verdict != order.VerdictAccepted {
				return answer.Told()
			}
			return nil
		},
	})
	cmd.Flags().StringVar(&o.dir, "state-dir", "", "the verifier's folder")
	o.flags(cmd.Flags())
	cmd.AddCommand(newVerifyToken())
	return cmd
}

// flags are those of whoever judges recorded evidence.
func (o *offline) flags(f *pflag.FlagSet) {
	f.StringVar(&o.identity, "identity", "", "the robot's identity")
	f.StringVar(&o.references, "references", "", "the reference values")
	f.StringVar(&o.challenge, "challenge", "", "the challenge that was answered, signed or not")
	f.StringVar(&o.firmware, "firmware-log", "", "the firmware's event log")
	f.StringVar(&o.measured, "measured-log", "", "the measured log")
	f.StringVar(&o.output, "output", "text", "text for people, json for programs")
}

// readEvidence reads evidence, or a message that carries it.
func readEvidence(path string) ([]byte, error) {
	data, err := readFile(path, maxMessage)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(strings.TrimSpace(string(data)), "{") {
		return data, nil
	}
	var m struct {
		Data evidence.Answer `json:"data"`
	}
	if err := json.Unmarshal(data, &m); err != nil || len(m.Data.Evidence) == 0 {
		return nil, fmt.Errorf("%s: expected evidence, or a message with data.evidence (%w)", path, err)
	}
	return m.Data.Evidence, nil
}

// input gathers what the judgement rests on.
func (o *offline) input(message []byte) (*verifier.Input, error) {
	in := &verifier.Input{Evidence: message, Recorded: true, Now: time.Now(), Logs: map[string][]byte{}}
	e, err := evidence.Parse(message)
	if err != nil {
		// Appraise says so in its own words; who it is from cannot be known.
		in.Robot, in.References = &verifier.Enrolment{}, &verifier.References{}
		return in, nil //nolint:nilerr // The judgement reports it.
	}
	if o.dir != "" {
		err = o.fromStore(in, &e.Claims)
	} else {
		err = o.fromFiles(in)
	}
	if err != nil {
		return nil, err
	}
	for name, path := range map[string]string{evidence.LogFirmware: o.firmware, evidence.LogMeasured: o.measured} {
		if path == "" {
			continue
		}
		if in.Logs[name], err = readFile(path, evidence.MaxLog); err != nil {
			return nil, err
		}
	}
	if o.challenge != "" {
		in.Challenge, err = readChallenge(o.challenge)
	}
	return in, err
}

func (o *offline) fromFiles(in *verifier.Input) error {
	identity, err := readIdentity(o.identity)
	if err != nil {
		return err
	}
	if in.References, err = readReferences(o.references); err != nil {
		return err
	}
	in.Robot = &verifier.Enrolment{Identity: identity, References: in.References.Name}
	if err := in.Robot.Validate(); err != nil {
		return fmt.Errorf("%s: %w", o.identity, err)
	}
	return nil
}

// fromStore takes what the verifier knows. The evidence says which robot's it is; a wrong word only finds other keys.
func (o *offline) fromStore(in *verifier.Input, c *evidence.Claims) error {
	store, err := openStore(o.dir)
	if err != nil {
		return err
	}
	if in.Robot, err = store.Robot(c.Robot); err != nil {
		return err
	}
	if in.References, err = store.References(in.Robot.References); err != nil {
		return err
	}
	if in.Logs, err = verifier.StoredLogs(store, c.Robot, c); err != nil {
		return err
	}
	if state, err := store.State(c.Robot); err == nil {
		in.State.IMA = state.IMA // the log of files may begin behind what was judged before
	}
	last, err := readChallenge(filepath.Join(o.dir, "evidence", strings.Replace(c.Robot, "/", "+", 1)+".challenge.json"))
	if err == nil && last.Nonce == hex.EncodeToString(c.Nonce[:]) {
		in.Challenge = last
	}
	return nil
}

// readChallenge reads a challenge, signed or not: here it is the reader's own and not believed for its signature.
func readChallenge(path string) (*order.Challenge, error) {
	data, err := readFile(path, maxFile)
	if err != nil {
		return nil, err
	}
	var envelope struct {
		Payload []byte `json:"payload"`
	}
	if err := json.Unmarshal(data, &envelope); err == nil && len(envelope.Payload) > 0 {
		data = envelope.Payload
	}
	c, err := order.DecodeChallenge(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// report is the answer for programs.
type report struct {
	Verdict  order.Verdict     `json:"verdict"`
	Reasons  []verifier.Reason `json:"reasons,omitempty"`
	Notes    []string          `json:"not_checked,omitempty"`
	Evidence string            `json:"evidence_sha256,omitempty"`
	Robot    string            `json:"robot,omitempty"`
	BootID   string            `json:"boot_id,omitempty"`
	Tier     order.Tier        `json:"tier,omitempty"`
	Claims   []claim           `json:"claims,omitempty"`
}

// claim is one claim with what the robot says stands behind it; accepted evidence has been held to that.
type claim struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Label string `json:"label"`
}

func claims(c *evidence.Claims) []claim {
	out := []claim{}
	for _, m := range []struct {
		name string
		evidence.Measured
	}{{"agent", c.Agent}, {"policy", c.Policy}, {"profile", c.Profile}, {"topics", c.Topics}} {
		value := "unknown"
		if m.SHA256 != "" {
			value = "sha256:" + m.SHA256
		}
		out = append(out, claim{m.name, value, m.Label.String()})
	}
	own := evidence.SelfReported.String()
	for _, m := range []struct {
		name string
		evidence.Measured
	}{{"config", c.Config}, {"command line", c.CommandLine}} {
		if m.SHA256 != "" {
			out = append(out, claim{m.name, "sha256:" + m.SHA256, m.Label.String()})
		}
	}
	for _, x := range c.Artifacts {
		out = append(out, claim{"artifact " + x.Name, fmt.Sprintf("sha256:%s, security version %d", x.SHA256, x.SVN), own})
	}
	if c.Debug != nil {
		open := strings.Join(c.Debug, ", ")
		if open == "" {
			open = "none open"
		}
		out = append(out, claim{"debug", open, own})
	}
	return append(out, claim{"kernel", c.Kernel, own}, claim{"guard's nonce", c.GuardNonce, own},
		claim{"journal", fmt.Sprintf("record %d, chain %s", c.Journal.Seq, c.Journal.Digest), own})
}

func (o *offline) show(cmd *cobra.Command, a *verifier.Appraisal, e *evidence.Evidence) error {
	r := report{Verdict: a.Verdict, Reasons: a.Reasons, Notes: a.Notes}
	if e != nil {
		r.Evidence, r.Robot, r.BootID, r.Tier, r.Claims = e.SHA256, e.Claims.Robot, e.Claims.BootID, e.Claims.Tier, claims(&e.Claims)
	}
	if o.output == "json" {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	if e != nil {
		line("evidence", "sha256:%s", r.Evidence)
		line("robot", "%s, boot %s", r.Robot, r.BootID)
		line("tier", "%s", tierText(r.Tier))
		if a.TPM != nil {
			line("TPM", "reset %d times, restarted %d times since, clock at %d ms", a.TPM.ResetCount, a.TPM.RestartCount, a.TPM.Clock)
		}
		for _, c := range r.Claims {
			if a.Verdict != order.VerdictAccepted {
				c.Label = "as it says, " + c.Label
			}
			line(c.Name, "%s (%s)", c.Value, c.Label)
		}
	}
	for _, n := range a.Notes {
		line("not checked", "%s", n)
	}
	for _, x := range a.Reasons {
		line("reason", "%s", x)
	}
	line("verdict", "%s", strings.ToUpper(string(a.Verdict)))
	_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}
