package keys

import (
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/order"
)

// withStatus is what the forms say about binding.
const withStatus = "Take the nonce of the guard from the robot: `robowarden status --output json > robot.json`, then --from-status robot.json.\n" +
	"Bound to the boot id alone, it waits until a TPM has proven that the robot's disk was not set back."

// early is how long before the signer's now an order becomes valid: robots refuse what may not have begun by their own
// clock, and no two clocks agree.
const early = 5 * time.Minute

// signing is what all forms of sign share.
type signing struct {
	ans      output
	keys     []string
	also     []string
	out      string
	list     string
	audience []string
	reason   string
	from     string
	valid    time.Duration
	bind     answer.Run
}

// NewSign returns the subcommand that signs orders, with one form for each kind.
func NewSign() *cobra.Command {
	s := &signing{}
	cmd := answer.Quiet(&cobra.Command{
		Use:   "sign ORDER.yaml|ORDER.json",
		Short: "Sign an order: stop, reset, grant, override, session, policy, key list, or any order from a file",
		Long: `Sign makes a signed order and writes it to --out. The forms below make one kind each; without a form, the order comes from
a file with the keys that attest/order/FORMAT.md describes, where id, not_before and not_after may be left out.

An order that more than one person must sign is signed by the first, and goes to the others for sign cosign.

Exit status: 0 signed, 1 the order or a key cannot be used, 2 the command was used wrongly.`,
		Example: `  robowarden-station sign stop --audience unitree/g1-0007 --reason "water on the floor" --key olga.key --out stop.order
  robowarden-station sign policy policy.yaml --profile profile.yaml --topics topics.yaml --audience group:ward-3 \
      --reason "night shift" --key sven.key --out night.order`,
		Args: answer.Positional(cobra.ExactArgs(1)),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.run(cmd, func() (*order.Order, error) { return readOrder(args[0], time.Now(), s.valid) })
	}
	f := cmd.PersistentFlags()
	f.StringArrayVar(&s.keys, "key", nil, "the private key to sign with")
	f.StringArrayVar(&s.also, "also-sign", nil, "a further private key to sign with")
	f.StringVar(&s.out, "out", "", "where to write the signed order; it must not exist yet")
	f.StringVar(&s.list, "keys", "", "a signed key list: refuse to write what it would not let through")
	f.DurationVar(&s.valid, "valid", 0, "how long the order is valid (10m for reset, grant, override and session, 1h for stop, 720h for policy, 8760h for keylist)")
	s.ans.flag(cmd)
	cmd.AddCommand(s.newStop(), s.newReset(), s.newGrant(), s.newOverride(), s.newSession(), s.newHalt(), s.newPolicy(), s.newKeyList(), s.newCommissioning(), s.newCosign())
	return cmd
}

// common adds the flags that every form but the plain one has.
func (s *signing) common(cmd *cobra.Command) *cobra.Command {
	f := cmd.Flags()
	f.StringArrayVar(&s.audience, "audience", nil, "for whom: manufacturer/serial, group:name, or * for a stop")
	f.StringVar(&s.reason, "reason", "", "why, in one line, for whoever reads the journal")
	f.StringVar(&s.from, "not-before", "", "from when it is valid, like 2026-03-29T22:15:00Z (default five minutes ago)")
	return answer.Quiet(cmd)
}

// bound adds the flags of the kinds that can be bound to one run of one robot; some have to be.
func (s *signing) bound(cmd *cobra.Command) *cobra.Command {
	s.bind.Flags(cmd.Flags())
	return s.common(cmd)
}

// header makes an order of a kind from the flags.
func (s *signing) header(kind order.Kind) (*order.Order, error) {
	binding, err := s.bind.Read(&s.audience)
	switch {
	case err != nil:
		return nil, err
	case len(s.audience) == 0:
		return nil, answer.Usage("--audience is missing: expected manufacturer/serial or group:name")
	case s.reason == "":
		return nil, answer.Usage("--reason is missing: expected why, in one line")
	case kind.Bound() && binding == (order.Binding{}):
		return nil, answer.Usage("--boot-id and --nonce are missing: a %s needs at least one of them; `robowarden status` on the robot shows both, "+
			"and with --output json it writes the file for --from-status", kind)
	case s.valid < 0:
		return nil, answer.Usage("--valid: expected more than 0, found %s", s.valid)
	}
	o := &order.Order{
		Kind: kind, ID: order.NewID(), Audience: s.audience, Reason: s.reason,
		Binding: binding,
	}
	o.NotBefore = time.Now().UTC().Truncate(time.Second).Add(-early)
	if s.from != "" {
		t, err := time.Parse("2006-01-02T15:04:05Z", s.from)
		if err != nil {
			return nil, answer.Usage("--not-before: expected UTC in whole seconds like 2026-03-29T22:15:00Z, found %q", s.from)
		}
		o.NotBefore = t
	}
	o.NotAfter = o.NotBefore.Add(lasting(kind, s.valid))
	return o, nil
}

// lasting is how long an order is valid if nobody says otherwise.
func lasting(kind order.Kind, asked time.Duration) time.Duration {
	if asked > 0 {
		return asked.Truncate(time.Second)
	}
	switch kind {
	case order.KindReset, order.KindGrant, order.KindAttestationResult, order.KindOverride, order.KindSession:
		return 10 * time.Minute
	case order.KindStop:
		return time.Hour
	case order.KindHalt:
		return 30 * 24 * time.Hour
	case order.KindPolicySet:
		return 30 * 24 * time.Hour
	case order.KindKeyList, order.KindRelease:
	}
	return 365 * 24 * time.Hour
}

// run makes an order, signs it, and writes and shows it.
func (s *signing) run(cmd *cobra.Command, build func() (*order.Order, error)) error {
	keys, err := s.signers()
	if err != nil {
		return err
	}
	o, err := build()
	if err != nil {
		return err
	}
	envelope, err := order.Sign(o, keys...)
	if err != nil {
		return err
	}
	return s.finish(cmd, envelope)
}

// signers checks the shared flags and reads the private keys.
func (s *signing) signers() ([]crypto.Signer, error) {
	if err := s.ans.check(); err != nil {
		return nil, err
	}
	if len(s.keys) == 0 {
		return nil, answer.Usage("--key is missing: expected the private key to sign with")
	}
	if s.out == "" {
		return nil, answer.Usage("--out is missing: expected where to write the signed order")
	}
	var out []crypto.Signer
	for _, path := range append(append([]string(nil), s.keys...), s.also...) {
		key, err := readPrivate(path)
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	return out, nil
}

// signedOrder is what sign answers.
type signedOrder struct {
	File string `json:"file"`
	*report
}

// finish writes the envelope, unless the key list refuses it, and shows what has been signed.
func (s *signing) finish(cmd *cobra.Command, envelope []byte) error {
	var list *order.KeyList
	if s.list != "" {
		var err error
		if list, err = readKeyList(s.list, ""); err != nil {
			return err
		}
	}
	r := order.Inspect(envelope, list, clock())
	text, doc := "file       "+s.out+"\n"+r.Text(), newReport(r)
	switch reason := order.ReasonOf(r.Err); {
	case list == nil && reason == order.NoKeyList: // Nobody asked for a verdict.
		text = "file       " + s.out + "\n" + r.Describe() + "note       not judged: give --keys to check roles and signers before it is sent\n"
		doc = &report{Digest: doc.Digest, Order: doc.Order}
	case reason == order.TooFewSigners:
		text += "note       written, for the next person to add a signature: robowarden-station sign cosign " + s.out + "\n"
	case reason == order.NotYetValid: // Signing ahead is what --not-before is for.
	case r.Err != nil:
		return fmt.Errorf("nothing was written: robots would refuse the order: %w", r.Err)
	}
	if err := writeNew(s.out, envelope, 0o644); err != nil {
		return err
	}
	return s.ans.write(cmd.OutOrStdout(), text, signedOrder{File: s.out, report: doc})
}

func (s *signing) newCosign() *cobra.Command {
	return answer.Quiet(&cobra.Command{
		Use:   "cosign FILE",
		Short: "Add a signature to an order that somebody else has signed",
		Long:  "Cosign adds a signature to a signed order. Read what `show` says about it first: you answer for it as well.",
		Args:  answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, err := s.signers()
			if err != nil {
				return err
			}
			envelope, err := readFile(args[0], order.MaxEnvelope)
			if err != nil {
				return err
			}
			if envelope, err = order.AddSignatures(envelope, keys...); err != nil {
				return errors.Join(fmt.Errorf("%s cannot be signed", args[0]), err)
			}
			return s.finish(cmd, envelope)
		},
	})
}
