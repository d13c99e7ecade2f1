package keys

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/order"
)

// expires is when what an order allows ends: lasts from now, or with the order.
func expires(o *order.Order, lasts time.Duration) time.Time {
	if lasts == 0 {
		return o.NotAfter
	}
	return o.NotBefore.Add(early + lasts.Truncate(time.Second))
}

func (s *signing) newOverride() *cobra.Command {
	var q order.Override
	var lasts time.Duration
	cmd := s.bound(&cobra.Command{
		Use:   "override",
		Short: "Sign an override: suspend for a while what triggers demand",
		Long: `Override signs that what the named triggers demand is suspended for a while, at up to a speed. The policy says who may, with
how many persons, for how long and how fast; where it takes two, the second signs the same file with cosign, or an order of
the same triggers and speed within ten minutes. It ends by itself, with the guard, and by an order with --end.`,
		Example: `  robowarden-station sign override --audience unitree/g1-0007 --trigger pose.covariance --max-speed 0.2 --lasts 5m \
      --nonce 000102030405060708090a0b0c0d0e0f --reason "bring it back to the dock" --key sven.key --out override.order`,
		Args: answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd, func() (*order.Order, error) {
				if len(q.Triggers) == 0 || q.End == (q.MaxSpeedMPS != 0) {
					return nil, answer.Usage("expected --trigger, as often as needed, and either --max-speed or --end")
				}
				o, err := s.header(order.KindOverride)
				if err != nil {
					return nil, err
				}
				if !q.End {
					q.Expires = expires(o, lasts)
				}
				o.Override = &q
				return o, nil
			})
		},
	})
	f := cmd.Flags()
	f.StringArrayVar(&q.Triggers, "trigger", nil, "a trigger to override; may be given more than once")
	f.Float64Var(&q.MaxSpeedMPS, "max-speed", 0, "the highest speed meanwhile, in metres per second")
	f.DurationVar(&lasts, "lasts", 0, "when the override ends, counted from now (default with the order's validity)")
	f.BoolVar(&q.End, "end", false, "end every override of one of the triggers instead")
	return cmd
}

func (s *signing) newSession() *cobra.Command {
	var q order.Session
	var level string
	var lasts time.Duration
	cmd := s.bound(&cobra.Command{
		Use:   "session",
		Short: "Sign a session of remote control: open or end it",
		Long: `Session signs who may drive, or look, over one channel until when. There is one session for a channel at a time; it ends at its
end, by an order with --level end, by a stop and with the guard.`,
		Example: `  robowarden-station sign session --audience unitree/g1-0007 --channel operator --level control --who "Olga P." --role operator \
      --from "control room 2" --lasts 30m --nonce 000102030405060708090a0b0c0d0e0f --reason "stuck at the lift" --key sara.key --out session.order`,
		Args: answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd, func() (*order.Order, error) {
				q.Level = order.Level(level)
				end := q.Level == order.LevelEnd
				if q.Channel == "" || level == "" || !end && (q.Who == "" || q.Role == "" || q.From == "") {
					return nil, answer.Usage("--channel and --level are needed, and --who, --role and --from unless the level is end")
				}
				o, err := s.header(order.KindSession)
				if err != nil {
					return nil, err
				}
				if !end {
					q.Expires = expires(o, lasts)
				}
				o.Session = &q
				return o, nil
			})
		},
	})
	f := cmd.Flags()
	f.StringVar(&q.Channel, "channel", "", "the channel, as the topic mapping's commands name it")
	f.StringVar(&level, "level", "", "view, control, or end")
	f.StringVar(&q.Who, "who", "", "who drives or looks")
	f.StringVar(&q.Role, "role", "", "in which role")
	f.StringVar(&q.From, "from", "", "from where")
	f.DurationVar(&lasts, "lasts", 0, "when the session ends, counted from now (default with the order's validity)")
	return cmd
}

func (s *signing) newHalt() *cobra.Command {
	var version string
	cmd := s.common(&cobra.Command{
		Use:   "halt",
		Short: "Sign a halt: no robot that sees it installs a release any more",
		Long: "Halt signs an order after which no robot that sees it installs the named release. Any stop role may. It takes nothing\n" +
			"back, and nothing lifts it: what goes on is a release of another version.",
		Args: answer.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd, func() (*order.Order, error) {
				if version == "" {
					return nil, answer.Usage("--release is missing: expected the version of the release to halt")
				}
				o, err := s.header(order.KindHalt)
				if err != nil {
					return nil, err
				}
				o.Halt = &order.Halt{Version: version}
				return o, nil
			})
		},
	})
	cmd.Flags().StringVar(&version, "release", "", "the release's version")
	return cmd
}
