// Package station is the engineers' program: keys, signed orders, zones, the demonstration; none of it is linked into the robot's.
package station

import (
	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/attest"
	"github.com/robowarden/robowarden/agent/internal/cli/authority"
	"github.com/robowarden/robowarden/agent/internal/cli/fleet"
	"github.com/robowarden/robowarden/agent/internal/cli/heartbeat"
	"github.com/robowarden/robowarden/agent/internal/cli/keys"
	"github.com/robowarden/robowarden/agent/internal/cli/release"
	"github.com/robowarden/robowarden/agent/internal/cli/workbench"
	"github.com/robowarden/robowarden/agent/internal/cli/zones"
)

// New returns the program with the engineers' tools.
func New() *cobra.Command {
	root := cli.NewRoot("robowarden-station", "The engineers' tools: keys, signed orders, attestation, evidence, zones, the demonstration")
	sign := keys.NewSign()
	sign.AddCommand(authority.NewSignRevocation())
	root.AddCommand(newDemo(), keys.NewKeygen(), sign, keys.NewShow(), fleet.New(),
		attest.NewVerifier(), attest.NewVerify(), zones.New(), zones.NewExplain(), workbench.NewReplay(), workbench.NewPolicy(), workbench.NewConsole(), release.New(),
		heartbeat.New(), authority.New())
	return root
}
