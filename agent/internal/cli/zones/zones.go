// Package zones is the station's commands about drawings of a site: zones import, lint and show, and explain. It parses
// flags and prints; it judges nothing itself, and what it says about an unsigned policy puts nothing into force.
package zones

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
)

// New returns the command "zones" with its subcommands.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use: "zones", Short: "Import, check and draw zones", Args: cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImport(), newLint(), newShow())
	return cmd
}

// one takes exactly one argument.
func one(what string) cobra.PositionalArgs {
	return cli.Args(func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("expected %s, found %d arguments", what, len(args))
		}
		return nil
	})
}

// wantJSON reads --output.
func wantJSON(output string) (bool, error) {
	if output != "text" && output != "json" {
		return false, answer.Usage("--output: expected text or json, found %q", output)
	}
	return output == "json", nil
}

// numbers reads a list of numbers such as 1.5,-2,0.
func numbers(flag, s string, least, most int) ([]float64, error) {
	parts := strings.Split(s, ",")
	out := make([]float64, 0, len(parts))
	for _, p := range parts {
		v, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || v-v != 0 {
			return nil, answer.Usage("--%s: expected numbers with commas between them, found %q", flag, s)
		}
		out = append(out, v)
	}
	if len(out) < least || len(out) > most {
		return nil, answer.Usage("--%s: expected %d to %d numbers, found %d", flag, least, most, len(out))
	}
	return out, nil
}

// writeFile writes a result whole or not at all.
func writeFile(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".zones-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
