package keys

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/order"
)

// NewShow returns the subcommand that says what a signed order would do.
func NewShow() *cobra.Command {
	var list, roots string
	var ans output
	cmd := answer.Quiet(&cobra.Command{
		Use:   "show FILE",
		Short: "Say what a signed order would do, who signed it, and whether it verifies",
		Long: `Show reads a signed order and says in plain words what it would do, to whom, when, who signed it, and whether the
signatures, roles, number of signers and validity hold. What only the robot knows it cannot judge: audience, boot, nonce
and earlier use.

Exit status: 0 the order verifies, 1 it does not, 2 the command was used wrongly.`,
		Example: "  robowarden-station show stop.order --keys keylist.order --roots roots.pem",
		Args:    answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := ans.check(); err != nil {
				return err
			}
			if roots != "" && list == "" {
				return answer.Usage("--roots needs --keys: root keys vouch for a key list, and the list for everybody else")
			}
			envelope, err := readFile(args[0], order.MaxEnvelope)
			if err != nil {
				return err
			}
			var keyList *order.KeyList
			if list != "" {
				if keyList, err = readKeyList(list, roots); err != nil {
					return err
				}
			}
			r := order.Inspect(envelope, keyList, clock())
			text := r.Text()
			if list != "" && roots == "" {
				text += "note       the key list was checked by its own rules only: give --roots to check who signed it\n"
			}
			if err := ans.write(cmd.OutOrStdout(), text, newReport(r)); err != nil {
				return err
			}
			if r.Err != nil {
				return answer.Told()
			}
			return nil
		},
	})
	cmd.Flags().StringVar(&list, "keys", "", "the signed key list to judge by")
	cmd.Flags().StringVar(&roots, "roots", "", "the root keys, PEM, of which one must have signed the key list")
	ans.flag(cmd)
	return cmd
}

// report is the JSON form of order.Report.
type report struct {
	Verifies   *bool           `json:"verifies,omitempty"` // Absent when there was nothing to judge by.
	Reason     order.Reason    `json:"reason,omitempty"`
	Error      string          `json:"error,omitempty"`
	Digest     string          `json:"digest,omitempty"`
	Signatures []signature     `json:"signatures,omitempty"`
	Order      json.RawMessage `json:"order,omitempty"`
}

type signature struct {
	KeyID  string       `json:"keyid"`
	Good   bool         `json:"good"`
	Person string       `json:"person,omitempty"`
	Roles  []order.Role `json:"roles,omitempty"`
	Demo   bool         `json:"demo,omitempty"`
	Reason order.Reason `json:"reason,omitempty"`
}

func newReport(r *order.Report) *report {
	verifies := r.Err == nil
	out := &report{Verifies: &verifies, Digest: r.Digest}
	if r.Err != nil {
		out.Reason, out.Error = order.ReasonOf(r.Err), r.Err.Error()
	}
	for _, s := range r.Signatures {
		out.Signatures = append(out.Signatures, signature{
			KeyID: s.KeyID, Good: s.Err == nil, Person: s.Person, Roles: s.Roles, Demo: s.Demo, Reason: order.ReasonOf(s.Err),
		})
	}
	if r.Order != nil {
		if payload, err := r.Order.Encode(); err == nil {
			out.Order = payload
		}
	}
	return out
}
