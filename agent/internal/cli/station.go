package cli

import (
	"github.com/spf13/cobra"
)

// NewStation returns the program with the engineers' tools.
func NewStation() *cobra.Command {
	root := newRoot("robowarden-station", "The engineers' tools: keys, signed orders, the demonstration")
	return root
}
