// Package zones is the station's commands about drawings of a site: zones import, lint and show, and explain. It parses
// flags and prints; it judges nothing itself, and what it says about an unsigned policy puts nothing into force.
package zones

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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

// numbers reads a list of numbers such as 1.5,-2,0. Each form names the numbers that a list of that length has, such as
// x,y,yaw; example is a list that would have been taken.
func numbers(flag, s, example string, forms ...string) ([]float64, error) {
	expected := func(found string) error {
		return answer.Usage("--%s: expected %s, found %s in %q; give numbers with commas between them, such as %s",
			flag, strings.Join(forms, " or "), found, s, example)
	}
	parts := strings.Split(s, ",")
	out := make([]float64, 0, len(parts))
	for _, p := range parts {
		v, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || v-v != 0 {
			return nil, expected(fmt.Sprintf("%q, which is no number,", p))
		}
		out = append(out, v)
	}
	if !slices.ContainsFunc(forms, func(form string) bool { return strings.Count(form, ",") == len(out)-1 }) {
		return nil, expected(fmt.Sprintf("%d of them", len(out)))
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
