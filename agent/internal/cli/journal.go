package cli

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/agent/steward"
)

func newJournal() *cobra.Command {
	cmd := &cobra.Command{
		Use: "journal", Short: "Read the guard's journal and check that nobody changed it", Args: Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newJournalCat(), newJournalTail(), newJournalVerify())
	return cmd
}

// kinds is which records cat and tail show, and how they read them: the roles count their kinds each for themselves.
func kinds(cmd *cobra.Command) (show func(journal.Kind) bool, decode journal.Decoder) {
	all := cmd.Flags().Bool("all", false, "show every recorded input too, not only decisions, orders and rungs")
	role := cmd.Flags().String("role", "guard", "whose journal it is: guard or steward")
	args := cmd.Args
	cmd.Args = func(cmd *cobra.Command, a []string) error {
		if *role != "guard" && *role != "steward" {
			return Usage(cmd, fmt.Errorf("--role: expected guard or steward, found %q", *role))
		}
		return args(cmd, a)
	}
	show = func(k journal.Kind) bool {
		return *all || *role != "guard" || uint8(k) != guard.RecordEvent && uint8(k) != guard.RecordSnapshot
	}
	return show, func(kind journal.Kind, payload []byte) (name, text string, err error) {
		if name := steward.KindName(kind); *role == "steward" && name != "" {
			return name, string(payload), nil
		}
		return decodeRecord(kind, payload)
	}
}

func newJournalCat() *cobra.Command {
	cmd := &cobra.Command{Use: "cat DIR", Short: "Print a journal", Args: Args(cobra.ExactArgs(1))}
	show, decode := kinds(cmd)
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		r, err := journal.OpenDir(a[0])
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		var line []byte
		damaged := false
		for rec, err := range r.All() {
			if err != nil {
				// What lies behind the damage is evidence too.
				damaged = true
				fmt.Fprintln(cmd.ErrOrStderr(), err)
				continue
			}
			if !show(rec.Kind) {
				continue
			}
			line = append(journal.AppendLine(line[:0], &rec, decode), '\n')
			if _, err := cmd.OutOrStdout().Write(line); err != nil {
				return err
			}
		}
		if damaged {
			return ErrNo
		}
		return nil
	}
	return cmd
}

// followPoll is how often a followed journal is looked at.
const followPoll = 100 * time.Millisecond

func newJournalTail() *cobra.Command {
	cmd := &cobra.Command{Use: "tail DIR", Short: "Follow a journal that is being written", Args: Args(cobra.ExactArgs(1))}
	show, decode := kinds(cmd)
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		var line []byte
		err := journal.Follow(cmd.Context(), a[0], journal.FollowOptions{Poll: followPoll}, func(rec *journal.Record) error {
			if !show(rec.Kind) {
				return nil
			}
			line = append(journal.AppendLine(line[:0], rec, decode), '\n')
			_, err := cmd.OutOrStdout().Write(line)
			return err
		})
		if cmd.Context().Err() != nil {
			return nil //nolint:nilerr // whoever asked for an end gets one
		}
		return err
	}
	return cmd
}

func newJournalVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify DIR", Short: "Check every byte of a journal: checksums, hash chain, order, gaps", Args: Args(cobra.ExactArgs(1)),
	}
	out := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		asJSON, err := out()
		if err != nil {
			return err
		}
		report, err := journal.Verify(a[0])
		if err != nil {
			return err
		}
		if asJSON {
			err = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
		} else {
			printReport(cmd.OutOrStdout(), &report)
		}
		if err == nil && !report.OK() {
			err = ErrNo
		}
		return err
	}
	return cmd
}

// decodeRecord puts the guard's records into words.
func decodeRecord(kind journal.Kind, payload []byte) (name, text string, err error) {
	switch uint8(kind) {
	case guard.RecordStart:
		return "start", string(payload), nil
	case guard.RecordSnapshot:
		return "snapshot", fmt.Sprintf("%d bytes of state", len(payload)), nil
	case guard.RecordResume:
		r, err := guard.ParseResume(payload)
		return "resume", strings.TrimSpace(string(r.Start) + " " + string(r.Policy)), err
	case guard.RecordDecision:
		text, err = guard.DescribeDecision(payload)
		return "decision", text, err
	case guard.RecordRung:
		text, err = guard.DescribeLadder(payload)
		return "rung", text, err
	case guard.RecordPosture:
		text, err = guard.DescribePosture(payload)
		return "posture", text, err
	case guard.RecordDemand:
		text, err = guard.DescribeJudgement(payload)
		return "demand", text, err
	case guard.RecordOrder:
		return "order", string(payload), nil
	case guard.RecordPolicy:
		return "policy", string(payload), nil
	case guard.RecordAuthority:
		text, err = guard.DescribeAuthority(payload)
		return "authority", text, err
	case guard.RecordCheckpoint:
		return "checkpoint", string(payload), nil
	case guard.RecordEvent:
		if len(payload) < 8 {
			return "event", "", errors.New("record ends early")
		}
		var store guard.EventStore
		ev, err := store.Decode(payload[:len(payload)-8])
		if err != nil {
			return "event", "", err
		}
		digest := binary.LittleEndian.Uint64(payload[len(payload)-8:])
		return "event", fmt.Sprintf("%s → %016x", ev, digest), nil
	}
	return "", "", fmt.Errorf("unknown record kind %d", kind)
}
