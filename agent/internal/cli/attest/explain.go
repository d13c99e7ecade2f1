package attest

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
)

// newExplain says why a robot was refused.
func newExplain(dir *string) *cobra.Command {
	o := &offline{}
	cmd := answer.Quiet(&cobra.Command{
		Use:   "explain ROBOT | FILE",
		Short: "Say which register, event, file or claim differs, and what would be accepted",
		Long: `Explain judges a robot's last evidence, or evidence from a file, and names each cause once: what differs, what proves it, and
every value that would be accepted. For a register that its log does not explain, it finds out what the two show together: an
event that was never extended, a digest that is not the one that was extended, a value that no event shows.

Exit status: 0 nothing differs, 1 something does, 2 the command was used wrongly.`,
		Example: `  robowarden-station verifier explain unitree/hum-0007 --state-dir verifier
  robowarden-station verifier explain hum-0007.cose --identity hum-0007.json --references g1.yaml --firmware-log boot.bin --measured-log measured`,
		Args: answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir = *dir
			if o.output != "text" && o.output != "json" {
				return answer.Usage("--output: expected text or json, found %q", o.output)
			}
			if (o.dir == "") == (o.identity == "" || o.references == "") {
				return answer.Usage("expected either --state-dir, or --identity and --references")
			}
			in, err := o.find(args[0])
			if err != nil {
				return err
			}
			return o.explain(cmd, verifier.Explain(*in))
		},
	})
	o.flags(cmd.Flags())
	return cmd
}

// find takes a robot's last evidence, or that in a file.
func (o *offline) find(given string) (*verifier.Input, error) {
	if _, err := os.Stat(given); errors.Is(err, fs.ErrNotExist) && o.dir != "" {
		return lastEvidence(o.dir, given)
	}
	message, err := readEvidence(given)
	if err != nil {
		return nil, err
	}
	return o.input(message)
}

func (o *offline) explain(cmd *cobra.Command, x *verifier.Explanation) error {
	if o.output == "json" {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(x); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%sevidence %s\n%s\n", x.Text(), x.Evidence, strings.ToUpper(string(x.Verdict))); err != nil {
		return err
	}
	if x.Verdict != order.VerdictAccepted {
		return answer.Told()
	}
	return nil
}

// newDiff compares what is allowed, or what robots show.
func newDiff(dir *string) *cobra.Command {
	return answer.Quiet(&cobra.Command{
		Use:   "diff FIRST SECOND",
		Short: "Compare reference values, or what two robots show, rule by rule",
		Long: `Diff compares two of: a file with reference values, the name of values that are in force, a robot that has shown evidence to
this verifier. Of a robot it compares what its last evidence and logs say, verified or not.

Exit status: 0 no difference, 1 some, 2 the command was used wrongly.`,
		Example: `  robowarden-station verifier diff g1-old.yaml g1-new.yaml
  robowarden-station verifier diff unitree/hum-0007 unitree/hum-0008 --state-dir verifier
  robowarden-station verifier diff g1-2026.11 unitree/hum-0007 --state-dir verifier`,
		Args: answer.Positional(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var sides [2]*verifier.References
			for i, given := range args {
				var err error
				if sides[i], err = side(*dir, given); err != nil {
					return err
				}
			}
			differences := verifier.Diff(sides[0], sides[1])
			for _, d := range differences {
				fmt.Fprintln(cmd.OutOrStdout(), d)
			}
			if len(differences) > 0 {
				return answer.Told()
			}
			fmt.Fprintln(cmd.OutOrStdout(), "no difference")
			return nil
		},
	})
}

// side is one side of a comparison.
func side(dir, given string) (*verifier.References, error) {
	if _, err := os.Stat(given); err == nil {
		return readReferences(given)
	}
	if dir == "" {
		return nil, answer.Usage("there is no file %s; for a robot or values in force, --state-dir is missing", given)
	}
	if !order.IsRobotID(given) {
		store, err := openStore(dir)
		if err != nil {
			return nil, err
		}
		return store.References(given)
	}
	in, err := lastEvidence(dir, given)
	if err != nil {
		return nil, err
	}
	return in.Observed()
}

// newLog shows a firmware's log, or the kernel's.
func newLog() *cobra.Command {
	var ima bool
	cmd := answer.Quiet(&cobra.Command{
		Use:   "log FILE",
		Short: "Show an event log, event by event, with the classes that reference values go by",
		Long: `Log reads an event log of the TCG, as Linux shows it in /sys/kernel/security/tpm0/binary_bios_measurements, and lists its
events. By itself nothing in it is proven; of an event whose digest covers its data (marked =), the data is as true as the
digest. With --ima it reads the kernel's log of integrity measurements, /sys/kernel/security/ima/binary_runtime_measurements,
and says to which value of PCR 10 it leads.`,
		Example: "  robowarden-station verifier log boot.bin\n  robowarden-station verifier log --ima runtime.bin",
		Args:    answer.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			show := showFirmware
			if ima {
				show = showIMA
			}
			data, err := readFile(args[0], eventlog.MaxIMA)
			if err == nil {
				err = show(cmd.OutOrStdout(), data)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return nil
		},
	})
	cmd.Flags().BoolVar(&ima, "ima", false, "the file is the kernel's log of integrity measurements")
	return cmd
}

func showFirmware(out io.Writer, data []byte) error {
	alg := eventlog.SHA256
	l, err := eventlog.Parse(data)
	if errors.Is(err, eventlog.ErrLegacy) {
		alg = eventlog.SHA1
		l, err = eventlog.ParseLegacy(data)
	}
	if err != nil {
		return err
	}
	if alg == eventlog.SHA1 {
		fmt.Fprintln(out, "a log of the old format: SHA-1 alone, which proves nothing")
	}
	for i := range l.Events {
		e := &l.Events[i]
		class, name := eventlog.Classify(e)
		mark := " "
		if l.Covered(e) {
			mark = "="
		}
		fmt.Fprintf(out, "%3d  PCR %2d  %-16s %-12s %x %s %v %q\n", e.Index, e.PCR, class, name, l.Digest(e, alg), mark, e.Type, e.Text())
	}
	return nil
}

func showIMA(out io.Writer, data []byte) error {
	entries, err := eventlog.ParseIMA(data)
	if err != nil {
		return err
	}
	for i := range entries {
		fmt.Fprintln(out, &entries[i])
	}
	fmt.Fprintf(out, "leads to PCR %d %x\n", eventlog.IMAPCR, eventlog.ReplayIMA([sha256.Size]byte{}, eventlog.IMAPCR, entries))
	return nil
}
