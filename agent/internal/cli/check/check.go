// Package check is the subcommand `robowarden check FILE…`; it decides nothing itself and shares its loading with
// `robowarden run`.
package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
)

// ErrRefused means that the configuration was read and refused; the report has been written. The program exits with 1
// then, and with 2 on every other error.
var ErrRefused = errors.New("the configuration is refused")

// New returns the subcommand. Policy opens signed policy sets; where it is nil, only plain policies can be checked. Proof says in a
// line how the robot of a deployment stands with its proof test; it may be nil.
func New(policy config.PolicySource, proof func(*config.Config) string) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "check FILE…",
		Short: "Check configuration documents, all errors at once",
		Long: `Check reads robot profiles, topic mappings, policies and deployments exactly as run does, and reports everything that is
wrong with its place, what was expected, and an example. Documents given together are checked against each other. A
deployment brings along the documents that it names, unless others of their kind are given.

Exit status: 0 the documents are accepted, 1 they are refused, 2 the command was used wrongly.`,
		Example: `  robowarden check profile.yaml topics.yaml policy.yaml
  robowarden check --output json deployment.yaml`,
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, files []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("--output is %q, expected text or json", output)
			}
			cfg, err := config.Load(policy, files...)
			var problems *config.Problems
			switch {
			case err == nil:
				problems = cfg.Problems()
				if proof != nil && cfg.Deployment != nil && cfg.Profile != nil {
					problems.Notes = append(problems.Notes, proof(cfg))
				}
			case !errors.As(err, &problems):
				return err
			}
			out := cmd.OutOrStdout()
			write := text
			if output == "json" {
				write = asJSON
			}
			if err := write(out, problems); err != nil {
				return fmt.Errorf("write the report: %w", err)
			}
			if problems.Errors() > 0 {
				return ErrRefused
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "text for people, json for programs")
	return cmd
}

// text writes the report for people.
func text(w io.Writer, p *config.Problems) error {
	if err := p.Render(w, answer.Colourful(w)); err != nil {
		return err
	}
	verdict := "accepted"
	if p.Errors() > 0 {
		verdict = "refused"
	}
	if _, err := fmt.Fprintf(w, "%s: %s\n", verdict, p.Summary()); err != nil {
		return err
	}
	for _, s := range p.Sources {
		if _, err := fmt.Fprintf(w, "  %-14s %s  %s\n", s.Kind, s.Digest, s.File); err != nil {
			return err
		}
	}
	for _, s := range p.NotSeen {
		if _, err := fmt.Fprintf(w, "  not seen: %s\n", s); err != nil {
			return err
		}
	}
	for _, s := range p.Notes {
		if _, err := fmt.Fprintf(w, "  %s\n", s); err != nil {
			return err
		}
	}
	return nil
}

func asJSON(w io.Writer, p *config.Problems) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(p)
}
