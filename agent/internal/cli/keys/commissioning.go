package keys

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/order"
)

// signedRecord is what sign commissioning answers.
type signedRecord struct {
	File   string               `json:"file"`
	Record *order.Commissioning `json:"record"`
	Enough bool                 `json:"enough"`
}

func (s *signing) newCommissioning() *cobra.Command {
	return answer.Quiet(&cobra.Command{
		Use:   "commissioning RECORD.json",
		Short: "Sign the record of a robot's proof test",
		Long: `Commissioning signs what ` + "`robowarden commission`" + ` measured, unchanged: a robot takes no other text than its own. It shows the
record first; who signs it says that the test was done as the record says. The key needs the role technician.`,
		Example: "  robowarden-station sign commissioning record.json --key tara.key --keys keylist.order --out record.dsse.json",
		Args:    answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			signers, err := s.signers()
			if err != nil {
				return err
			}
			payload, err := readFile(args[0], order.MaxPayload)
			if err != nil {
				return err
			}
			rec, err := order.DecodeCommissioning(payload)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if err := s.technicians(signers); err != nil {
				return err
			}
			envelope, err := order.SignDocument(order.CommissioningType, payload, signers...)
			if err != nil {
				return err
			}
			if err := writeNew(s.out, envelope, 0o644); err != nil {
				return err
			}
			return s.ans.write(cmd.OutOrStdout(), recordText(s.out, rec), signedRecord{s.out, rec, rec.Enough()})
		},
	})
}

// technicians says whether the keys may sign, where a key list was given to judge by.
func (s *signing) technicians(signers []crypto.Signer) error {
	if s.list == "" {
		return nil
	}
	list, err := readKeyList(s.list, "")
	if err != nil {
		return err
	}
	for _, k := range signers {
		id, err := order.KeyID(k.Public())
		if err != nil {
			return err
		}
		if key := list.Find(id); key != nil && slices.Contains(key.Roles, order.RoleTechnician) {
			return nil
		}
	}
	return errors.New("nothing was written: robots would refuse the record, since no signer has the role technician in " + s.list)
}

// recordText is a record for people.
func recordText(file string, c *order.Commissioning) string {
	var b strings.Builder
	fmt.Fprintf(&b, "file       %s\nrobot      %s\nprofile    sha256:%s\nmeasured   %s, at up to %.2f m/s\ndue        %s\n",
		file, c.Robot, c.Profile, stamp(c.Measured), c.MPS, stamp(c.Due))
	for i := range c.Items {
		it := &c.Items[i]
		fmt.Fprintf(&b, "%-10s %s: %s\n", it.Result, it.Name, it.Text)
	}
	if !c.Enough() {
		b.WriteString("note       a robot does not take this record: not every item passed\n")
	}
	return b.String()
}
