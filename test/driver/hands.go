package driver

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// Hands are a person's at a joystick: a node /planner that commands on /cmd_vel_raw what they were told last.
type Hands struct {
	*proc.Process
	in *os.File
}

// StartHands starts them with a command of zero.
func StartHands(t testing.TB, b bus.Bus) *Hands {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	spec := bus.Peer(t, b, "hands", "/planner", "--cmd-topic=/cmd_vel_raw")
	spec.Stdin = r
	h := &Hands{Process: b.Node(t, spec), in: w}
	_ = r.Close() // the program has its own
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if _, err := h.WaitOutput(ctx, `hands ready`); err != nil {
		t.Fatal(err)
	}
	return h
}

// Set is the command from now on: a speed in m/s and a yaw rate in rad/s. A program that has ended does nothing.
func (h *Hands) Set(v, w float64) { _, _ = fmt.Fprintf(h.in, "%g %g\n", v, w) }
