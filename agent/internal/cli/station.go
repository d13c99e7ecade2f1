package cli

import (
	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/internal/cli/keys"
)

// NewStation returns the program with the engineers' tools.
func NewStation() *cobra.Command {
	root := newRoot("robowarden-station", "The engineers' tools: keys, signed orders, the demonstration")
	root.AddCommand(newDemo(), keys.NewKeygen(), keys.NewSign(), keys.NewShow())
	return root
}
