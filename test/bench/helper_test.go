package bench

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func newCells() []atomic.Int64 { return make([]atomic.Int64, maxIDs) }

// nobody is a publisher without subscribers.
func nobody(t *testing.T) *wire.Publisher {
	t.Helper()
	n, err := wire.NewNode(wire.NodeConfig{Name: "/nobody"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n.Offer(wire.PublisherConfig{Topic: "/x", Type: wire.Twist})
}
