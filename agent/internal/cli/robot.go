package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/cli/artifact"
	"github.com/robowarden/robowarden/agent/internal/cli/check"
	"github.com/robowarden/robowarden/agent/internal/cli/commission"
	"github.com/robowarden/robowarden/agent/internal/cli/measure"
	"github.com/robowarden/robowarden/agent/internal/cli/profile"
)

const defaultDeployment = "/etc/robowarden/deployment.yaml"

// NewRobot returns the program that lives on the robot.
func NewRobot() *cobra.Command {
	root := NewRoot("robowarden", "The security agent on the robot: holds it to the site's rules and to a safe stop")
	root.AddCommand(newRun(), newGuard(), newSteward(), newCourier(), newIdentity(), newEnroll(), newStatus(),
		newOrder("stop", "Give the guard a signed stop order", "stop"),
		newOrder("reset", "Give the guard a signed reset order", "reset"),
		newOrder("apply", "Give the guard any signed order, such as a new policy set, key list or grant", ""),
		newJournal(), newCheck(), newCommission(), profile.New(), measure.New(), artifact.NewRobot())
	return root
}

// newCheck gives check's answers their exit codes: 1 for a refusal, which it has told already, 2 for everything else.
func newCheck() *cobra.Command {
	cmd := check.New(agent.InspectPolicy, func(cfg *config.Config) string {
		s := agent.InspectCommissioning(cfg)
		if s.Due != "" {
			return fmt.Sprintf("proof test: %s until %s: %s", s.State, s.Due, s.Text)
		}
		return fmt.Sprintf("proof test: %s: %s", s.State, s.Text)
	})
	run := cmd.RunE
	cmd.Args = Args(cmd.Args)
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		switch err := run(cmd, files); {
		case err == nil:
			return nil
		case errors.Is(err, check.ErrRefused):
			return ErrNo
		default:
			return &usageError{cmd.CommandPath(), err}
		}
	}
	return cmd
}

// newCommission gives commission's answers their exit codes, as for check.
func newCommission() *cobra.Command {
	cmd := commission.New()
	run := cmd.RunE
	cmd.Args = Args(cmd.Args)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := run(cmd, args); err == nil || !errors.Is(err, commission.ErrFailed) {
			return err
		}
		return ErrNo
	}
	return cmd
}

// toolTimeout bounds how long the guard is waited for.
const toolTimeout = 5 * time.Second

// applyTimeout is the same for a document: a slow computer takes a while to check a policy of thousands of zones.
const applyTimeout = time.Minute

func newStatus() *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use: "status", Short: "Show what the guard holds the robot to, and why", Args: Args(cobra.NoArgs),
	}
	out := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := out()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), toolTimeout)
		defer cancel()
		raw, err := agent.ReadStatus(ctx, socket)
		if err != nil {
			return err
		}
		if asJSON {
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", raw)
			return nil
		}
		var s agent.Status
		if err := json.Unmarshal(raw, &s); err != nil {
			return fmt.Errorf("status: %w", err)
		}
		printStatus(cmd.OutOrStdout(), &s)
		return nil
	}
	socketFlag(cmd, &socket)
	return cmd
}

func socketFlag(cmd *cobra.Command, socket *string) {
	cmd.Flags().StringVar(socket, "socket", "/run/robowarden/control.sock", "the guard's control socket")
}

func newOrder(use, short, kind string) *cobra.Command {
	var socket, file string
	within := toolTimeout
	if kind == "" {
		within = applyTimeout
	}
	cmd := &cobra.Command{Use: use + " --order FILE", Short: short, Args: Args(cobra.NoArgs)}
	out := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := out()
		if err != nil {
			return err
		}
		if file == "" {
			return &usageError{cmd.CommandPath(), errors.New("--order is missing: expected the file of a signed order")}
		}
		envelope, err := os.ReadFile(file) //nolint:gosec // the user names the file
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), within)
		defer cancel()
		r, err := agent.SendOrder(ctx, socket, envelope)
		if err != nil {
			return err
		}
		if err := printReceipt(cmd.OutOrStdout(), &r, asJSON); err != nil {
			return err
		}
		if !r.Accepted || !r.Applied || kind != "" && r.Kind != kind {
			return ErrNo
		}
		return nil
	}
	cmd.Flags().StringVar(&file, "order", "", "the signed order (DSSE envelope)")
	socketFlag(cmd, &socket)
	return cmd
}
