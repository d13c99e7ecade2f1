package attest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
)

// learning are the flags of verifier learn.
type learning struct {
	dir             *string
	name, out, with string
	begin, soft     bool
	vary            []string
	pin             []int
}

// newLearn writes reference values from what robots have shown.
func newLearn(dir *string) *cobra.Command {
	l := learning{dir: dir}
	cmd := answer.Quiet(&cobra.Command{
		Use:   "learn [ROBOT...]",
		Short: "Write reference values from verified evidence of robots that are known to be good",
		Long: `Learn writes reference values that allow exactly what the named robots have last shown to this verifier. It learns from
verified evidence only: signed and quoted by the enrolled keys, in answer to this verifier's challenge, with logs that lead to
every register. Otherwise it refuses and says why.

With --begin it puts values in force under which robots are challenged and never accepted, for a kind of robot that nobody
knows yet. docs/attestation.md has the whole way. Several robots, or values that are known already (--with), are merged: what
differs between them is allowed with either value.`,
		Example: `  robowarden-station verifier learn --begin --name g1-2026.11 --state-dir verifier
  robowarden-station verifier enrol hum-0007.json --references g1-2026.11 --state-dir verifier
  robowarden-station verifier learn unitree/hum-0007 --name g1-2026.11 --out g1.yaml --vary boot-entry,partition-table --state-dir verifier`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if l.begin == (len(args) > 0) || l.name == "" {
				return answer.Usage("expected --name, and either --begin or the robots to learn from")
			}
			store, err := openStore(*l.dir)
			if err != nil {
				return err
			}
			if l.begin {
				return l.start(cmd, store)
			}
			return l.run(cmd, store, args)
		},
	})
	f := cmd.Flags()
	f.StringVar(&l.name, "name", "", "the name of the reference values")
	f.BoolVar(&l.begin, "begin", false, "challenge robots of this kind, and accept none, so that values can be learned")
	f.BoolVar(&l.soft, "software-key", false, "with --begin: the robots have no TPM")
	f.StringVar(&l.out, "out", "", "the file to write; standard output without")
	f.StringVar(&l.with, "with", "", "reference values to merge with: a file, or the name of values that are known")
	f.StringSliceVar(&l.vary, "vary", nil, "classes of events that may have any value, since they differ from robot to robot")
	f.IntSliceVar(&l.pin, "pin", nil, "registers to allow by their value where the log does not lead to it")
	return cmd
}

// start puts values in force that accept nobody.
func (l *learning) start(cmd *cobra.Command, store *verifier.DirStore) error {
	switch r, err := store.References(l.name); {
	case err == nil && !r.Learning:
		return fmt.Errorf("%s: these reference values are in force: to learn anew would refuse every robot that is judged by them; choose another name", l.name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	tier := order.TierTPM
	if l.soft {
		tier = order.TierSoftwareKey
	}
	if err := store.SaveReferences(verifier.Learning(l.name, tier)); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "learning   %s: enrol a robot of this kind with it, let it attest, then learn from it\n", l.name)
	return nil
}

func (l *learning) run(cmd *cobra.Command, store *verifier.DirStore, robots []string) error {
	var r *verifier.References
	if l.with != "" {
		known, err := findReferences(store, l.with)
		if err != nil {
			return err
		}
		r = known
		r.Name = l.name
	}
	for _, robot := range robots {
		in, err := lastEvidence(*l.dir, robot)
		if err != nil {
			return err
		}
		next, err := verifier.Learn(*in, l.name, l.pin...)
		if err != nil {
			return fmt.Errorf("%s: %w", robot, err)
		}
		if r == nil {
			r = next
		} else if err := r.Merge(next); err != nil {
			return fmt.Errorf("%s does not fit what was learned before: %w", robot, err)
		}
	}
	var classes []eventlog.Class
	for _, c := range l.vary {
		classes = append(classes, eventlog.Class(c))
	}
	varied, err := r.Vary(classes, "differs from robot to robot")
	if err != nil {
		return err
	}
	if len(l.vary) > 0 && varied == 0 {
		return fmt.Errorf("--vary: no event is of class %s", strings.Join(l.vary, ", "))
	}
	heading := fmt.Sprintf("Reference values, learned from %s on %s.\nLook through them before they are put in force: they allow what these robots were then.",
		strings.Join(robots, ", "), time.Now().UTC().Format("2006-01-02 15:04Z"))
	text := r.YAML(heading)
	if _, err := parseReferences("what was learned", text); err != nil {
		return err
	}
	if l.out == "" {
		_, err = cmd.OutOrStdout().Write(text)
		return err
	}
	f, err := os.OpenFile(l.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "learned    %d registers, %d rules for events, %d measured files, %d artifacts\nwritten    %s: look through it, then put it in force with verifier reference\n",
		len(r.PCRs), len(r.Events), len(r.Files), len(r.Artifacts), l.out)
	return nil
}

// findReferences reads reference values from a file, or finds those of a name.
func findReferences(store *verifier.DirStore, given string) (*verifier.References, error) {
	if _, err := os.Stat(given); errors.Is(err, fs.ErrNotExist) {
		return store.References(given)
	}
	return readReferences(given)
}

// lastEvidence is a robot's last evidence that this verifier has judged, with all it was judged by.
func lastEvidence(dir, robot string) (*verifier.Input, error) {
	if !order.IsRobotID(robot) {
		return nil, answer.Usage("found %q: expected a robot, manufacturer/serial", robot)
	}
	store, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	message, err := readEvidence(filepath.Join(dir, "evidence", strings.Replace(robot, "/", "+", 1)+".cose"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has shown nothing yet: let it attest to this verifier first", robot)
	}
	if err != nil {
		return nil, err
	}
	o := &offline{dir: dir}
	in, err := o.input(message)
	if err != nil {
		return nil, err
	}
	e, err := evidence.Parse(message)
	if err == nil && e.Claims.Robot != robot {
		err = fmt.Errorf("the evidence kept for %s is that of %s", robot, e.Claims.Robot)
	}
	if err != nil {
		return nil, err
	}
	in.State, err = store.State(robot)
	return in, err
}
