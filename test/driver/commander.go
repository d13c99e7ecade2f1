package driver

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// Commander is a running planner whose commands prove who sent them, rospy on ROS 1 and C++ on DDS. Both are written from
// ENVELOPE.md alone.
type Commander struct {
	*proc.Process
	// faults is made when it is asked for first: many are started and killed by whom nobody makes misbehave.
	faults func() bus.Speaker
}

// StartCommander starts a planner /planner that drives at vx m/s on /cmd_vel_raw by the named key.
func StartCommander(t testing.TB, b bus.Bus, keyName string, key []byte, vx float64) *Commander {
	t.Helper()
	need.ROS(t)
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(hex.EncodeToString(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	const node = "/planner"
	args := []string{"--key=" + keyName, "--key-file=" + keyFile, number("vx", vx)}
	var spec proc.Spec
	if b.Kind() == bus.ROS {
		argv := append([]string{"/usr/bin/python3", filepath.Join(cpp.Root(), "driver", "commander_node.py")}, args...)
		spec = proc.Spec{Name: node, Argv: append(argv, "__name:="+strings.TrimPrefix(node, "/"))}
	} else {
		spec = bus.Peer(t, b, "commander", node, args...)
	}
	c := &Commander{Process: b.Node(t, spec)}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if _, err := c.WaitOutput(ctx, `commander ready`); err != nil {
		t.Fatal(err)
	}
	c.faults = sync.OnceValue(func() bus.Speaker { return b.Speaker(t, node+"_faults", node+"/fault") })
	return c
}

// Fault makes the commander misbehave from now on: replay, wrong_key, flip, deaf, silent, and on DDS keep and kept; clear ends
// it. It waits until the commander has understood.
func (c *Commander) Fault(t testing.TB, line string) {
	t.Helper()
	say(t, c.Process, c.faults(), "commander fault: ", line)
}
