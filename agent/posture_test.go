package agent

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/bus"
)

// callNode is a bus's services: it notes who was called and refuses those that it is told to.
type callNode struct {
	calls  chan string
	refuse string
}

// CallSetBool is a service's.
func (n *callNode) CallSetBool(ctx context.Context, name string, _ bool) (bus.ServiceResult, error) {
	return n.CallTrigger(ctx, name)
}

// CallTrigger is a service's.
func (n *callNode) CallTrigger(_ context.Context, name string) (bus.ServiceResult, error) {
	n.calls <- name
	return bus.ServiceResult{Success: name != n.refuse}, nil
}

// CallEmpty is a service's.
func (n *callNode) CallEmpty(_ context.Context, name string) error {
	n.calls <- name
	return nil
}

// TestStepsOfTheWayDownCallTheirServices: each step that names no rung calls the service of its name once for each demand, and
// its answer comes back as the step's.
func TestStepsOfTheWayDownCallTheirServices(t *testing.T) {
	dir := filepath.Join("..", "configs", "examples", "humanoid-dds")
	cfg, err := config.Load(nil, filepath.Join(dir, "profile.yaml"), filepath.Join(dir, "topics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		rung int
		ok   bool
	}
	answers := make(chan answer, 8)
	node := &callNode{calls: make(chan string, 8), refuse: "/walk/motors_off"}
	sink := &busSink{rungs: newRungs(node, cfg, func(rung int, ok bool, _ uint8) { answers <- answer{rung, ok} })}
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for _, r := range sink.rungs {
		if r != nil {
			wait.Go(func() { _ = r.run(ctx, zerolog.Nop()) })
		}
	}
	t.Cleanup(func() { cancel(); wait.Wait() })
	const kneel, off = guard.PostureRung + 1, guard.PostureRung + 2
	for i, c := range []struct {
		asserted uint32
		name     string
		want     answer
	}{
		{1 << kneel, "/walk/kneel", answer{kneel, true}},
		{1<<kneel | 1<<off, "/walk/motors_off", answer{off, false}},
		{1 << 1, "/walk/stop", answer{1, true}}, // the ladder's, as before
	} {
		sink.Rungs(uint64(i+1), c.asserted, guard.Calls{}) //nolint:gosec // a count
		if got := within(t, "the call", node.calls); got != c.name {
			t.Errorf("called %s, expected %s", got, c.name)
		}
		if got := within(t, "the answer", answers); got != c.want {
			t.Errorf("answer %+v, expected %+v", got, c.want)
		}
	}
	quiet(t, "called again", node.calls)
}
