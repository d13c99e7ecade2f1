package workbench

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/replay"
)

// agree compares a recording with the guard's journal of the same drive.
func (f *replayFlags) agree(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || f.policy != "" || f.profile != "" || f.topics != "" || f.against != "" || f.html != "" {
		return answer.Usage("expected one recording, --journal and at most --documents and --json: a journal brings its documents along")
	}
	documents, err := f.stored(f.beside)
	if err != nil {
		return err
	}
	a, err := replay.Agree(cmd.Context(), f.beside, documents, args[0])
	if err != nil {
		if cmd.Context().Err() != nil {
			return errors.New("interrupted; nothing is known about the whole drive")
		}
		return err
	}
	w := cmd.OutOrStdout()
	if f.json {
		err = writeJSON(w, a)
	} else {
		err = writeAgreement(w, a, args[0], f.beside)
	}
	if err == nil && a.Found() == 0 {
		return fmt.Errorf("nothing that the guard took is in %s: expected a recording of the same drive", args[0])
	}
	if err == nil && !a.Checked.AsRecorded {
		return cli.ErrNo
	}
	return err
}

func writeAgreement(out io.Writer, a *replay.Agreement, file, journal string) error {
	w := &textWriter{}
	w.line("recording  %s", file)
	w.line("journal    %s", journal)
	for _, kind := range slices.Sorted(maps.Keys(a.Kinds)) {
		k := a.Kinds[kind]
		w.line("input      %-12s %6d journalled, %6d of them recorded, %d before the first that is", kind, k.Journalled, k.Found, k.Before)
	}
	w.checked(a.Checked, " with the recording's messages in their place")
	if len(a.Warnings) > 0 {
		w.title("warnings")
		for _, x := range a.Warnings {
			w.line("  %s", x)
		}
	}
	_, err := io.WriteString(out, w.String())
	return err
}
