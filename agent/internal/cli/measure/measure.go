// Package measure is the subcommand `robowarden measure FILE…`; it parses flags and tells what was done, and does nothing
// itself.
package measure

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/measure"
	"github.com/robowarden/robowarden/attest/tpm"
)

// Defaults of the flags. Shim and the boot loader extend PCR 14 as well, before the operating system runs; the log goes
// on from there.
const (
	defaultPCR     = 14
	defaultTPM     = "/dev/tpmrm0"
	defaultLog     = "/run/robowarden/measured"
	defaultTimeout = time.Minute
)

// New returns the subcommand.
func New() *cobra.Command {
	var (
		pcr       int
		path, log string
		timeout   time.Duration
	)
	cmd := &cobra.Command{
		Use:   "measure FILE…",
		Short: "Extend a PCR of the TPM by files' digests, before they are used",
		Long: `Measure hashes files and extends a PCR of the TPM by what it has found, so that a verifier later sees which agent
this robot runs without having to take the agent's word. It keeps a log beside it; attest/eventlog/FORMAT.md says what
is in it and what it does not show. It runs before the roles are started, from a file system that nobody else writes to.

A file that was measured before, with the same content, is not measured again.

Exit status: 0 every file is in the PCR, 1 it is not, and the reason was told.`,
		Example:       "  robowarden measure /usr/bin/robowarden\n  robowarden measure --pcr 14 --tpm /dev/tpmrm0 /usr/bin/robowarden /etc/robowarden/deployment.yaml",
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, files []string) error {
			if timeout <= 0 {
				return fmt.Errorf("--timeout is %v, expected a time above zero", timeout)
			}
			absolute := make([]string, 0, len(files))
			for _, f := range files {
				a, err := filepath.Abs(f)
				if err != nil {
					return err
				}
				absolute = append(absolute, a)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			t, err := tpm.OpenWith(path, tpm.Options{Timeout: timeout})
			if err != nil {
				return err
			}
			defer func() { _ = t.Close() }()
			done, err := measure.Run(ctx, t, pcr, log, absolute)
			for _, o := range done {
				what := "measured"
				if o.Known {
					what = "measured before"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, sha256:%x, %d bytes, PCR %d\n", o.Path, what, o.Digest, o.Size, pcr)
			}
			return err
		},
	}
	cmd.Flags().IntVar(&pcr, "pcr", defaultPCR, "the PCR to extend, 8 to 15")
	cmd.Flags().StringVar(&path, "tpm", defaultTPM, "the TPM's device, or the unix socket of a software TPM")
	cmd.Flags().StringVar(&log, "log", defaultLog, "the log, on a file system that is empty after each start")
	cmd.Flags().DurationVar(&timeout, "timeout", defaultTimeout, "the longest that all this may take")
	return cmd
}
