package keys

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/order"
)

func (s *signing) newStop() *cobra.Command {
	var category int
	cmd := s.common(&cobra.Command{
		Use:     "stop",
		Short:   "Sign a stop",
		Example: `  robowarden-station sign stop --audience "*" --reason "smoke on the ward" --key button.key --out stop.order`,
		Args:    answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd, func() (*order.Order, error) {
				o, err := s.header(order.KindStop)
				if err != nil {
					return nil, err
				}
				o.Stop = &order.Stop{Category: category}
				return o, nil
			})
		},
	})
	cmd.Flags().IntVar(&category, "category", 2, "stop category of IEC 60204-1: 1 removes the drives' power after the stop, 2 keeps it")
	return cmd
}

func (s *signing) newReset() *cobra.Command {
	var reset order.Reset
	cmd := s.bound(&cobra.Command{
		Use:   "reset",
		Short: "Sign a reset of latched triggers",
		Example: `  robowarden-station sign reset --audience unitree/g1-0007 --trigger pose.stale --nonce 000102030405060708090a0b0c0d0e0f \
      --reason "cable replaced" --key olga.key --out reset.order
  robowarden-station sign reset --from-status robot.json --all --reason "cable replaced" --key olga.key --out reset.order`,
		Args: answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd, func() (*order.Order, error) {
				if reset.All == (len(reset.Triggers) > 0) {
					return nil, answer.Usage("expected either --trigger, as often as needed, or --all")
				}
				o, err := s.header(order.KindReset)
				if err != nil {
					return nil, err
				}
				o.Reset = &reset
				return o, nil
			})
		},
	})
	cmd.Long = "Reset signs that latched triggers are cleared, if their causes have gone.\n\n" + withStatus
	cmd.Flags().StringArrayVar(&reset.Triggers, "trigger", nil, "a trigger to clear; may be given more than once")
	cmd.Flags().BoolVar(&reset.All, "all", false, "clear every trigger that the signers may clear")
	return cmd
}

func (s *signing) newGrant() *cobra.Command {
	var grant order.Grant
	var scope, instead string
	var facts []string
	var lasts time.Duration
	cmd := s.bound(&cobra.Command{
		Use:   "grant",
		Short: "Sign a grant: allow for a while what the policy forbids",
		Example: `  robowarden-station sign grant --audience unitree/g1-0007 --scope egress --zone pharmacy --max-speed 0.2 --lasts 5m \
      --nonce 000102030405060708090a0b0c0d0e0f --reason "recover the robot" --key sven.key --out grant.order`,
		Args: answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd, func() (*order.Order, error) {
				if grant.Zone == "" || grant.MaxSpeedMPS == 0 {
					return nil, answer.Usage("--zone and --max-speed are needed")
				}
				o, err := s.header(order.KindGrant)
				if err != nil {
					return nil, err
				}
				grant.Scope, grant.Answer = order.Scope(scope), order.Answer(instead)
				for _, f := range facts {
					grant.Facts = append(grant.Facts, order.Fact(f))
				}
				grant.Expires = o.NotAfter
				if lasts != 0 {
					grant.Expires = o.NotBefore.Add(early + lasts.Truncate(time.Second))
				}
				o.Grant = &grant
				return o, nil
			})
		},
	})
	f := cmd.Flags()
	f.StringVar(&scope, "scope", string(order.ScopeZone), "zone: be inside the zone; egress: move to leave it")
	f.StringVar(&grant.Zone, "zone", "", "the zone's id")
	f.Float64Var(&grant.MaxSpeedMPS, "max-speed", 0, "the speed allowed, in metres per second")
	f.DurationVar(&lasts, "lasts", 0, "when the grant ends, counted from now (default with the order's validity)")
	f.StringSliceVar(&facts, "fact", nil, "what you vouch for, for a DOOR zone: badge, door or task; may be given more than once")
	f.StringVar(&instead, "answer", "", "instead of a grant: queued, rejected or revoked")
	f.BoolVar(&grant.SingleUse, "single-use", false, "end the grant when the robot has left the zone once")
	return cmd
}

func (s *signing) newPolicy() *cobra.Command {
	var profile, topics string
	var revision int64
	cmd := s.bound(&cobra.Command{
		Use:   "policy POLICY.yaml",
		Short: "Sign a policy for one robot profile and one topic mapping",
		Long: `Policy checks the three documents exactly as the robot will, and signs the policy together with the digests of the other
two. The policy's own revision becomes the order's sequence; it has to be higher than that of the policy in force.

Where no TPM proves that the robot's disk is the newest, a guard that runs takes a policy that names its nonce: sign one for each such
robot with --nonce or --from-status, or put it where the deployment's policy is and restart the guard at rest.`,
		Example: `  robowarden-station sign policy policy.yaml --profile profile.yaml --topics topics.yaml --revision 18 \
      --audience group:ward-3 --reason "night shift" --key sven.key --out night.order`,
		Args: answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.run(cmd, func() (*order.Order, error) {
				if profile == "" || topics == "" {
					return nil, answer.Usage("--profile and --topics are needed: a policy is signed for one of each")
				}
				o, err := s.header(order.KindPolicySet)
				if err != nil {
					return nil, err
				}
				cfg, err := loadPolicy(cmd.ErrOrStderr(), args[0], profile, topics)
				if err != nil {
					return nil, err
				}
				if revision != 0 && revision != cfg.Policy.Revision {
					return nil, fmt.Errorf("%s has revision %d, --revision says %d: change one of them", args[0], cfg.Policy.Revision, revision)
				}
				o.Sequence = uint64(cfg.Policy.Revision) //nolint:gosec // A policy's revision is above 0.
				o.PolicySet = &order.PolicySet{
					Policy: cfg.Raw.Policy, PolicySHA256: order.Digest(cfg.Raw.Policy),
					ProfileSHA256: order.Digest(cfg.Raw.Profile), TopicsSHA256: order.Digest(cfg.Raw.Topics),
				}
				return o, nil
			})
		},
	})
	f := cmd.Flags()
	f.StringVar(&profile, "profile", "", "the robot profile that the policy was written for")
	f.StringVar(&topics, "topics", "", "the topic mapping that the policy was written for")
	f.Int64Var(&revision, "revision", 0, "the revision that the policy must have (default whatever it says)")
	return cmd
}

// loadPolicy loads the three documents as the robot does and shows what is wrong with them.
func loadPolicy(w io.Writer, policy, profile, topics string) (*config.Config, error) {
	cfg, err := config.Load(nil, profile, topics, policy)
	var problems *config.Problems
	switch {
	case errors.As(err, &problems):
		if err := problems.Render(w, false); err != nil {
			return nil, err
		}
		return nil, errors.New("nothing was signed: a robot would refuse these documents")
	case err != nil:
		return nil, err
	case cfg.Policy == nil || cfg.Profile == nil || cfg.Topics == nil:
		return nil, fmt.Errorf("expected a policy in %s, a robot profile in %s and a topic mapping in %s", policy, profile, topics)
	}
	if err := cfg.RenderWarnings(w, false); err != nil {
		return nil, err
	}
	return cfg, nil
}

func (s *signing) newKeyList() *cobra.Command {
	var sequence uint64
	cmd := s.bound(&cobra.Command{
		Use:   "keylist KEYS.yaml",
		Short: "Sign a key list with a root key",
		Long: `Keylist signs who may sign what. KEYS.yaml names the public keys:

  keys:
    - {file: rita.pub, person: rita, roles: [root]}
    - {file: olga.pub, person: olga, roles: [operator], not_after: "2027-12-31T00:00:00Z"}
  required_signers: {policy-set: 2}   # how many persons; one where nothing is said

Files are looked for beside KEYS.yaml. Without not_before and not_after, a key is valid as long as the order. demo: true
marks a key that anybody may know; robots refuse it outside the demonstration.
Roles: ` + strings.Join(roleNames(), ", ") + `.`,
		Example: `  robowarden-station sign keylist keys.yaml --sequence 4 --audience group:site --reason "olga joins" --key rita.key --out keylist.order`,
		Args:    answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.run(cmd, func() (*order.Order, error) {
				if sequence == 0 {
					return nil, answer.Usage("--sequence is missing: expected a number above that of the list in force, 1 for the first")
				}
				o, err := s.header(order.KindKeyList)
				if err != nil {
					return nil, err
				}
				o.Sequence = sequence
				o.KeyList, err = readKeys(args[0], o)
				return o, err
			})
		},
	})
	cmd.Flags().Uint64Var(&sequence, "sequence", 0, "the list's number; it must be above that of the list in force")
	return cmd
}

func roleNames() []string {
	var out []string
	for _, r := range order.Roles() {
		out = append(out, string(r))
	}
	return out
}
