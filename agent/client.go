package agent

import (
	"context"
	"encoding/json"

	"github.com/robowarden/robowarden/agent/contract"
)

// Receipt answers a signed order; see [contract.Receipt].
type Receipt = contract.Receipt

// SendOrder gives a signed order to the guard on this computer and returns its receipt.
func SendOrder(ctx context.Context, socket string, envelope []byte) (Receipt, error) {
	return contract.SendOrder(ctx, socket, envelope)
}

// ReadStatus returns the guard's status as JSON.
func ReadStatus(ctx context.Context, socket string) (json.RawMessage, error) {
	return contract.ReadStatus(ctx, socket)
}
